"""/api/invites: made, listed, edited, revoked; each wrong field named."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from shared.domain.errors import Limited, Unreachable
from tests.functions.admin import wrong
from tests.functions.served import OTHER_API_KEY, Service, names, problem, walk
from tests.world import World

GOOD: dict[str, Any] = {"label": "Ada"}
FULL: dict[str, Any] = {
    "label": "Ada and 李",
    "rooms": ["!a:fake.test", "#ops:fake.test"],
    "email": "ada@example.test",
    "matrix_id": "@ada:fake.test",
    "max_uses": 3,
    "note": "met at the fair\nsaid hello",
    "sponsor": "José",
}


async def made(service: Service, **fields: Any) -> dict[str, Any]:
    answer = await service.api("POST", "/api/invites", json=GOOD | fields)
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


async def test_an_invite_and_its_link(service: Service, world: World) -> None:
    """A new invite has all that was asked for, a link that Authentik knows, a week to live, and its audit record."""
    world.authentik.add_group("staff")
    invite = await made(service, **FULL, groups=["staff"])
    assert {name: invite[name] for name in FULL} == FULL
    assert (invite["status"], invite["uses"], invite["groups"], invite["settled"]) == ("pending", 0, ["staff"], True)
    assert at(invite["expires_at"]) == world.now() + timedelta(days=7)
    known, fixed_data = world.authentik.invitations[invite["code"]]
    assert (known.link, known.expires_at) == (invite["link"], at(invite["expires_at"]))
    assert fixed_data == {"attributes": {"muster_invite": invite["id"]}, "email": "ada@example.test"}
    assert (await service.api("GET", f"/api/invites/{invite['id']}")).json() == invite
    [record] = await service.audit("invite.create")
    assert (record["actor"], record["target"], record["source"]) == ("key:ops", invite["id"], "192.0.2.7")


async def test_the_text_to_hand_over(service: Service) -> None:
    """Made from the template in force, which it names; an odd language is a 400, a revoked invite a 409."""
    invite = await made(service, max_uses=3)
    path = f"/api/invites/{invite['id']}/text"
    found = (await service.api("GET", path)).json()
    assert found["template"] == "invite_text@0"
    assert invite["link"] in found["text"]
    assert (await service.api("GET", f"{path}?language=de")).json()["template"] == "invite_text.language.de@0"
    assert names(problem(await service.api("GET", f"{path}?language=d%20e"), 400)) == ["language"]
    await service.api("POST", f"/api/invites/{invite['id']}/revoke")
    problem(await service.api("GET", path), 409)
    problem(await service.api("GET", "/api/invites/inv_x/text"), 404)


@pytest.mark.parametrize("hours", [0.5, 1, 8784])
async def test_its_end_in_hours_or_as_a_time(service: Service, world: World, hours: float) -> None:
    """The expiry is given in hours from now or as a time, and answered in UTC either way."""
    expected = world.now() + timedelta(hours=hours)
    assert at((await made(service, expires_in_hours=hours))["expires_at"]) == expected
    local = expected.isoformat().replace("+00:00", "Z")
    assert at((await made(service, expires_at=local))["expires_at"]) == expected


async def test_both_ends_are_one_too_many(service: Service, world: World) -> None:
    """Hours and a time together contradict each other, when making and when editing."""
    both = {"expires_in_hours": 5, "expires_at": (world.now() + timedelta(hours=5)).isoformat()}
    assert names(problem(await service.api("POST", "/api/invites", json=GOOD | both), 400)) == ["expires_at"]
    invite = await made(service)
    answer = await service.api("PATCH", f"/api/invites/{invite['id']}", json=both)
    assert names(problem(answer, 400)) == ["expires_at"]


async def wrong_field(service: Service, method: str, path: str, body: dict[str, Any], field: str) -> None:
    before = service.acts()
    readable = field.encode("ascii", "backslashreplace").decode()
    answer = problem(await service.api(method, path, json=body), 400)
    named = names(answer)
    assert any(name == readable or name.startswith(f"{readable}.") for name in named), (body, answer)
    assert service.acts() == before


@pytest.mark.parametrize("field", wrong.INVITE)
async def test_a_wrong_field_of_a_new_one(service: Service, field: str) -> None:
    """Every wrong value of every field is a 400 that names the field, and nothing is made."""
    for value in wrong.INVITE[field]:
        if value is not None or not field.startswith("expires"):
            await wrong_field(service, "POST", "/api/invites", GOOD | {field: value}, field)


@pytest.mark.parametrize("field", wrong.INVITE)
async def test_a_wrong_field_of_a_change(service: Service, field: str) -> None:
    """The same for a change: nothing is changed, and null is no value."""
    invite = await made(service)
    for value in wrong.INVITE[field]:
        if value is not None or not field.startswith("expires"):
            await wrong_field(service, "PATCH", f"/api/invites/{invite['id']}", {field: value}, field)


async def test_all_that_is_wrong_at_once(service: Service) -> None:
    """One answer names every wrong field, the missing one too."""
    body = problem(
        await service.api("POST", "/api/invites", json={"email": "x", "max_uses": 0, "rooms": ["a", "b"]}), 400
    )
    assert names(body) == ["label", "rooms.0", "rooms.1", "email", "max_uses"]


async def test_groups_that_may_not_be_granted(service: Service, world: World) -> None:
    """A group that is unknown, makes a superuser, or is the admins' own cannot be granted, unless the settings name it."""
    world.authentik.add_group("gods", superuser=True)
    world.authentik.add_group("heirs", parents=("gods",))
    world.authentik.add_group("muster-admins")
    invite = await made(service)
    for group in ("nobody", "gods", "heirs", "muster-admins"):
        for method, path in (("POST", "/api/invites"), ("PATCH", f"/api/invites/{invite['id']}")):
            answer = await service.api(method, path, json=GOOD | {"groups": [group]})
            assert names(problem(answer, 400)) == ["groups"]


async def test_a_group_that_the_settings_name(service: Service, world: World) -> None:
    """GRANTABLE_GROUPS opens just what it names."""
    service.env["GRANTABLE_GROUPS"] = "gods"
    world.authentik.add_group("gods", superuser=True)
    assert (await made(service, groups=["gods"]))["groups"] == ["gods"]


async def test_trying_it_does_nothing(service: Service) -> None:
    """`dry_run` answers in the same shape and leaves no trace anywhere, for making, editing and revoking."""
    invite = await made(service)
    before = service.acts()
    path = f"/api/invites/{invite['id']}"
    tried = await service.api("POST", "/api/invites?dry_run=true", json=FULL)
    assert (tried.status_code, tried.json()["label"], tried.json()["link"]) == (200, FULL["label"], "")
    edited = await service.api("PATCH", f"{path}?dry_run=true", json={"label": "Bee", "max_uses": 5})
    assert (edited.json()["label"], edited.json()["max_uses"]) == ("Bee", 5)
    revoked = await service.api("POST", f"{path}/revoke?dry_run=true")
    assert revoked.json()["status"] == "revoked"
    assert service.acts() == before
    assert (await service.api("GET", path)).json() == invite
    assert set(tried.json()) == set(edited.json()) == set(revoked.json()) == set(invite)


async def test_trying_it_is_as_strict(service: Service) -> None:
    """`dry_run` refuses what the real one would refuse."""
    answer = await service.api("POST", "/api/invites?dry_run=true", json=GOOD | {"groups": ["nobody"]})
    assert names(problem(answer, 400)) == ["groups"]
    problem(await service.api("POST", "/api/invites/inv_no/revoke?dry_run=true"), 404)


async def test_the_same_key_is_the_same_invite(service: Service) -> None:
    """A repeat with its Idempotency-Key is the first invite again, made once; another caller's key is another one."""
    headers = {"Idempotency-Key": "letter-17"}
    first = await service.api("POST", "/api/invites", json=FULL, headers=headers)
    before = service.acts()
    again = await service.api("POST", "/api/invites", json=FULL, headers=headers)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    assert service.acts() == before
    other = await service.api("POST", "/api/invites", json=FULL, headers=headers, token=OTHER_API_KEY)
    assert other.status_code == 201
    assert other.json()["id"] != first.json()["id"]


async def test_a_repeat_after_its_end(service: Service, world: World) -> None:
    """A repeat is the first invite also when that has expired meanwhile."""
    body = GOOD | {"expires_at": (world.now() + timedelta(hours=1)).isoformat()}
    first = await service.api("POST", "/api/invites", json=body, headers={"Idempotency-Key": "k"})
    world.pause(hours=2)
    again = await service.api("POST", "/api/invites", json=body, headers={"Idempotency-Key": "k"})
    assert (again.status_code, again.json()["id"], again.json()["status"]) == (200, first.json()["id"], "expired")


async def test_the_same_key_for_another_body(service: Service) -> None:
    """An Idempotency-Key that comes with another body is a 409, and nothing is made."""
    headers = {"Idempotency-Key": "letter-17"}
    await service.api("POST", "/api/invites", json=GOOD, headers=headers)
    before = service.acts()
    problem(await service.api("POST", "/api/invites", json=GOOD | {"max_uses": 2}, headers=headers), 409)
    assert service.acts() == before


async def test_the_same_key_at_the_same_moment(service: Service, world: World) -> None:
    """Eight requests with one key at once make one invite and one invitation."""
    send = service.api("POST", "/api/invites", json=GOOD, headers={"Idempotency-Key": "k"})
    answers = await asyncio.gather(
        send, *(service.api("POST", "/api/invites", json=GOOD, headers={"Idempotency-Key": "k"}) for _ in range(7))
    )
    assert {answer.status_code for answer in answers} <= {200, 201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(world.authentik.invitations) == 1


async def test_a_half_made_one_is_continued(service: Service, world: World) -> None:
    """Authentik failing in the middle is a 503; the same key then finishes the same invite."""
    headers = {"Idempotency-Key": "k"}
    world.authentik.fail("create_invitation", Unreachable("authentik", "no answer"))
    problem(await service.api("POST", "/api/invites", json=GOOD, headers=headers), 503)
    before = service.acts()
    tried = await service.api("POST", "/api/invites?dry_run=true", json=GOOD, headers=headers)
    assert (tried.json()["link"], tried.json()["settled"], service.acts()) == ("", False, before)
    again = await service.api("POST", "/api/invites", json=GOOD, headers=headers)
    assert again.status_code == 200, again.text
    assert again.json()["link"]
    assert len(await service.stored("invites")) == 1


async def test_authentiks_limit_is_passed_on(service: Service, world: World) -> None:
    """How long to wait is in the header, rounded up, and in the problem document."""
    world.authentik.fail("create_invitation", Limited("Authentik limits us", 6.2))
    answer = await service.api("POST", "/api/invites", json=GOOD)
    assert (problem(answer, 503)["retry_after"], answer.headers["retry-after"]) == (6.2, "7")


@pytest.mark.parametrize("limit", [1, 3, 7, 200])
async def test_the_list_shows_each_once(service: Service, world: World, limit: int) -> None:
    """Page by page every invite comes exactly once, the newest first, whatever the page's size."""
    ids = []
    for count in range(7):
        ids.append((await made(service, label=f"Guest {count}"))["id"])
        world.pause(seconds=0 if count % 2 else 1)
    listed = [item["id"] for item in await walk(service, "/api/invites", limit)]
    assert sorted(listed) == sorted(ids)
    assert listed[-1] in ids[:2]
    answer = await service.api("GET", "/api/invites", params={"limit": limit})
    assert answer.json()["total"] == 7


async def test_the_list_by_status(service: Service, world: World) -> None:
    """Each status lists just its own, page by page; the four together are all."""
    wanted: dict[str, list[str]] = {"pending": [], "expired": [], "revoked": []}
    for count in range(9):
        status = list(wanted)[count % 3]
        invite = await made(service, expires_in_hours=1 if status == "expired" else 100)
        wanted[status].append(invite["id"])
        if status == "revoked":
            await service.api("POST", f"/api/invites/{invite['id']}/revoke")
    world.pause(hours=2)
    for status, ids in wanted.items():
        items = await walk(service, "/api/invites", 2, status=status)
        assert sorted(item["id"] for item in items) == sorted(ids)
        assert {item["status"] for item in items} == {status}
    assert await walk(service, "/api/invites", 2, status="redeemed") == []


async def test_an_edit(service: Service, world: World) -> None:
    """Just the named fields change, Authentik is told, and the audit says which."""
    invite = await made(service, **FULL)
    later = world.now() + timedelta(days=30)
    changes = {"label": "Bee", "rooms": [], "email": "", "expires_at": later.isoformat(), "note": ""}
    answer = await service.api("PATCH", f"/api/invites/{invite['id']}", json=changes)
    expected = invite | changes | {"expires_at": later.isoformat().replace("+00:00", "Z")}
    assert answer.json() == expected
    known, fixed_data = world.authentik.invitations[invite["code"]]
    assert (known.expires_at, "email" in fixed_data) == (later, False)
    [record] = await service.audit("invite.edit")
    assert record["detail"]["fields"] == sorted(changes)


async def test_a_revoked_invite(service: Service, world: World) -> None:
    """Revoking ends the link at once; again changes nothing; no edit brings it back."""
    invite = await made(service)
    path = f"/api/invites/{invite['id']}"
    first = await service.api("POST", f"{path}/revoke")
    assert (first.status_code, first.json()["status"], world.authentik.invitations) == (200, "revoked", {})
    before = service.acts()
    again = await service.api("POST", f"{path}/revoke")
    assert again.json() == first.json()
    problem(await service.api("PATCH", path, json={"max_uses": 5}), 409)
    assert service.acts() == before


@pytest.mark.parametrize(
    "name", ["inv_unknown", "x" * 300, "..", "%00", "%E2%80%A8", "inv%2Fsteps", "__name__", "%ED%A0%80"]
)
async def test_an_unknown_invite(service: Service, name: str) -> None:
    """An id that is none of ours, however it is written, is a 404 for reading, editing and revoking."""
    for method, path in (("GET", ""), ("PATCH", ""), ("POST", "/revoke")):
        body = {"json": {"label": "x"}} if method == "PATCH" else {}
        problem(await service.api(method, f"/api/invites/{name}{path}", **body), 404)
