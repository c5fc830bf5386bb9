"""/api/users: accounts made, found, edited and brought in; each wrong field named."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from shared.domain.errors import Limited, Unreachable
from shared.domain.ids import onboarding_id
from tests.functions.admin import wrong
from tests.functions.admin.test_invites import wrong_field
from tests.functions.served import OTHER_API_KEY, Service, names, problem, walk
from tests.world import World

GOOD: dict[str, Any] = {"first_name": "Ada"}
FULL: dict[str, Any] = {
    "first_name": "José",
    "last_name": "Núñez",
    "email": "jose@example.test",
    "username": "jose.n",
    "groups": ["staff"],
    "rooms": ["!a:fake.test"],
    "interests": "boats",
    "matrix_id": "@jose:fake.test",
    "organization": "The Boats",
    "intro": "Likes\nboats",
    "signal_number": "+15550100123",
    "invited_by": "ada",
    "skip_indoc_removal": True,
    "send_welcome": False,
}


async def made(service: Service, **fields: Any) -> dict[str, Any]:
    answer = await service.api("POST", "/api/users", json=GOOD | fields)
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_an_account_and_the_way_in(service: Service, world: World) -> None:
    """A new user has an account with all that was given, its groups, an onboarding, a recovery link, and an audit record."""
    world.authentik.add_group("staff")
    user = await made(service, **FULL)
    account = user["user"]
    assert (account["username"], account["name"], account["email"]) == ("jose.n", "José Núñez", "jose@example.test")
    assert account["groups"] == ["staff"]
    about = ("interests", "organization", "intro", "signal_number", "invited_by", "matrix_id")
    assert {name: account["attributes"][name] for name in about} == {name: FULL[name] for name in about}
    assert (user["recovery_link"] is not None, user["temporary_password"], user["secret_shown"]) == (True, None, False)
    assert user["onboarding"]["id"] == onboarding_id(account["uid"]) == account["onboarding"]
    assert user["onboarding"]["member"]["matrix_id_given_by"] == "admin"
    assert sorted(user["onboarding"]["steps"]) == ["groups", "room:!a:fake.test"]
    [record] = await service.audit("user.create")
    assert (record["actor"], record["target"], record["detail"]["pk"]) == ("key:ops", "jose.n", account["pk"])


@pytest.mark.parametrize(
    ("name", "start"), [("José", "jose-"), ("李", "li-"), ("Ada Maria", "ada-"), ("!?", "member-")]
)
async def test_a_username_from_the_name(service: Service, name: str, start: str) -> None:
    """A username that people can say comes from the first name, whatever its alphabet."""
    assert (await made(service, first_name=name))["user"]["username"].startswith(start)


async def test_no_matrix_call_on_the_way(service: Service, world: World) -> None:
    """Making a user asks nothing of the homeserver."""
    await made(service, rooms=["!a:fake.test"])
    assert world.homeserver.calls == []


async def test_a_password_where_there_is_no_recovery(service: Service, world: World) -> None:
    """Where the brand has no recovery flow there is a password of at least 64 bits, shown once and stored nowhere."""
    world.authentik.recovery = False
    user = await made(service)
    password = user["temporary_password"]
    assert user["recovery_link"] is None
    assert world.authentik.passwords == {user["user"]["pk"]: password}
    assert len(password.replace("-", "")) * 4 >= 64
    for collection in ("user_requests", "onboardings", "audit"):
        assert all(password not in str(document.data) for document in await service.stored(collection))


@pytest.mark.parametrize("field", wrong.USER)
async def test_a_wrong_field_of_a_new_one(service: Service, field: str) -> None:
    """Every wrong value of every field is a 400 that names the field, and nobody is made."""
    for value in wrong.USER[field]:
        await wrong_field(service, "POST", "/api/users", GOOD | {field: value}, field)


@pytest.mark.parametrize("field", wrong.USER_CHANGES)
async def test_a_wrong_field_of_a_change(service: Service, world: World, field: str) -> None:
    """The same for a change; Muster's own attributes cannot be set by hand either."""
    account = world.authentik.add_account("ada")
    for value in wrong.USER_CHANGES[field]:
        await wrong_field(service, "PATCH", f"/api/users/{account.pk}", {field: value}, field)


@pytest.mark.parametrize("field", wrong.ONBOARD)
async def test_a_wrong_field_of_an_onboarding(service: Service, world: World, field: str) -> None:
    """The same for onboarding somebody who is there."""
    account = world.authentik.add_account("ada")
    for value in wrong.ONBOARD[field]:
        await wrong_field(service, "POST", f"/api/users/{account.pk}/onboard", {field: value}, field)


async def test_a_username_that_is_taken(service: Service, world: World) -> None:
    """A chosen username that is taken is a 409, also when only tried, and the key may be used again with another."""
    world.authentik.add_account("ada")
    headers = {"Idempotency-Key": "k"}
    body = GOOD | {"username": "ada"}
    problem(await service.api("POST", "/api/users?dry_run=true", json=body), 409)
    problem(await service.api("POST", "/api/users", json=body, headers=headers), 409)
    answer = await service.api("POST", "/api/users", json=GOOD | {"username": "ada.b"}, headers=headers)
    assert answer.status_code == 201, answer.text


async def test_groups_that_may_not_be_granted(service: Service, world: World) -> None:
    """Neither a new user nor an edit grants a group that makes a superuser, or the admins' own."""
    world.authentik.add_group("gods", superuser=True)
    world.authentik.add_group("muster-admins")
    account = world.authentik.add_account("bee")
    for group in ("gods", "muster-admins", "nobody"):
        for method, path in (("POST", "/api/users"), ("PATCH", f"/api/users/{account.pk}")):
            body = {"groups": [group]} | (GOOD if method == "POST" else {})
            assert names(problem(await service.api(method, path, json=body), 400)) == ["groups"]


async def test_trying_it_does_nothing(service: Service, world: World) -> None:
    """`dry_run` of every act on a user answers as the act would and leaves no trace."""
    world.authentik.add_group("staff")
    pk = (await made(service, username="bee"))["user"]["pk"]
    other = world.authentik.add_account("old").pk
    before = service.acts()
    tried = await service.api("POST", "/api/users?dry_run=true", json=FULL)
    assert (tried.status_code, tried.json()["user"]["username"]) == (200, "jose.n")
    assert (tried.json()["recovery_link"], tried.json()["temporary_password"]) == (None, None)
    assert sorted(tried.json()["onboarding"]["steps"]) == ["groups", "room:!a:fake.test"]
    for method, path, body in (
        ("PATCH", f"/{pk}", {"name": "New", "groups": ["staff"], "attributes": {"a": "b"}}),
        ("POST", f"/{pk}/activate", None),
        ("POST", f"/{pk}/deactivate", None),
        ("POST", f"/{pk}/recovery", None),
        ("DELETE", f"/{pk}", None),
        ("POST", f"/{pk}/onboard", {"matrix_id": "@other:fake.test", "rooms": ["!b:fake.test"]}),
        ("POST", f"/{other}/onboard", {"rooms": ["!b:fake.test"]}),
    ):
        more = {} if body is None else {"json": body}
        answer = await service.api(method, f"/api/users{path}?dry_run=true", **more)
        assert answer.status_code in (200, 202, 204), answer.text
        assert service.acts() == before, (method, path)


async def test_the_same_key_is_the_same_user(service: Service, world: World) -> None:
    """A repeat with its Idempotency-Key is the first user again without the way in; another body is a 409."""
    headers = {"Idempotency-Key": "k"}
    first = await service.api("POST", "/api/users", json=GOOD, headers=headers)
    before = service.acts()
    again = await service.api("POST", "/api/users", json=GOOD, headers=headers)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json()["user"] == first.json()["user"]
    assert again.json()["onboarding"]["id"] == first.json()["onboarding"]["id"]
    assert (again.json()["recovery_link"], again.json()["temporary_password"], again.json()["secret_shown"]) == (
        None,
        None,
        True,
    )
    problem(await service.api("POST", "/api/users", json=GOOD | {"last_name": "L"}, headers=headers), 409)
    assert service.acts() == before
    other = await service.api("POST", "/api/users", json=GOOD, headers=headers, token=OTHER_API_KEY)
    assert (other.status_code, len(world.authentik._accounts)) == (201, 2)


async def test_the_same_key_at_the_same_moment(service: Service, world: World) -> None:
    """Eight requests with one key at once make one account; who came too soon is told to ask again."""
    calls = (service.api("POST", "/api/users", json=GOOD, headers={"Idempotency-Key": "k"}) for _ in range(8))
    answers = await asyncio.gather(*calls)
    assert {answer.status_code for answer in answers} <= {200, 201, 409}
    assert [answer.status_code for answer in answers].count(201) == 1
    assert len(world.authentik._accounts) == 1


async def test_a_half_made_one_is_continued(service: Service, world: World) -> None:
    """Authentik failing after the account was made is a 503; the same key then finishes the same account."""
    headers = {"Idempotency-Key": "k"}
    world.authentik.fail("recovery_link", Unreachable("authentik", "no answer"))
    problem(await service.api("POST", "/api/users", json=GOOD, headers=headers), 503)
    again = await service.api("POST", "/api/users", json=GOOD, headers=headers)
    assert again.status_code == 201, again.text
    assert again.json()["recovery_link"]
    assert len(world.authentik._accounts) == 1


@pytest.mark.parametrize("limit", [1, 3, 7, 100, 200])
async def test_the_list_shows_each_once(service: Service, world: World, limit: int) -> None:
    """Page by page every account comes exactly once, also where a page is larger than Authentik's."""
    pks = [world.authentik.add_account(f"member{count}").pk for count in range(7 if limit < 100 else 230)]
    assert [item["pk"] for item in await walk(service, "/api/users", limit)] == pks
    assert (await service.api("GET", "/api/users", params={"limit": limit})).json()["total"] == len(pks)


async def test_finding_somebody(service: Service, world: World) -> None:
    """The list can be searched, by activity, by group, and by all of it together."""
    group = world.authentik.add_group("staff")
    accounts = [world.authentik.add_account(name, email=f"{name}@x.test") for name in ("ada", "bee", "ada2")]
    await world.authentik.add_to_group(group, accounts[0].pk)
    await world.authentik.add_to_group(group, accounts[1].pk)
    await world.authentik.update_account(accounts[1].pk, active=False)
    for query, found in (
        ({"q": "ada"}, ["ada", "ada2"]),
        ({"group": "staff"}, ["ada", "bee"]),
        ({"active": "false"}, ["bee"]),
        ({"active": "true", "group": "staff", "q": "AD"}, ["ada"]),
        ({"q": "nobody"}, []),
        ({"q": "", "active": "", "group": ""}, ["ada", "bee", "ada2"]),
    ):
        answer = await service.api("GET", "/api/users", params=query)
        assert [item["username"] for item in answer.json()["items"]] == found, query


async def test_a_group_that_is_not_there(service: Service) -> None:
    """Asking for an unknown group is a 400 on the parameter that the caller sent."""
    assert names(problem(await service.api("GET", "/api/users?group=nobody"), 400)) == ["group"]


async def test_an_edit_merges(service: Service, world: World) -> None:
    """Attributes are merged, a null removes its key; `groups` is the whole list; the rest stays; the audit names the fields."""
    staff, crew = world.authentik.add_group("staff"), world.authentik.add_group("crew")
    world.authentik.add_group("gods", superuser=True)
    account = world.authentik.add_account("ada", "Ada", "ada@x.test", {"a": "1", "b": "2", "muster_invite": "inv_1"})
    await world.authentik.add_to_group(staff, account.pk)
    answer = await service.api(
        "PATCH",
        f"/api/users/{account.pk}",
        json={"name": "Ada L.", "attributes": {"b": None, "c": 3, "d": True, "e": 0.5}, "groups": ["crew"]},
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["attributes"] == {"a": "1", "c": 3, "d": True, "e": 0.5, "muster_invite": "inv_1"}
    assert (answer.json()["name"], answer.json()["email"], answer.json()["groups"]) == (
        "Ada L.",
        "ada@x.test",
        ["crew"],
    )
    assert world.authentik._accounts[account.pk].group_pks == (crew,)
    [record] = await service.audit("user.edit")
    assert record["detail"]["fields"] == ["attributes", "groups", "name"]


async def test_an_edit_keeps_a_privileged_group(service: Service, world: World) -> None:
    """A group that a form could not grant may stay where it is; a superuser is not edited here."""
    admins = world.authentik.add_group("muster-admins")
    account = world.authentik.add_account("ada")
    await world.authentik.add_to_group(admins, account.pk)
    answer = await service.api("PATCH", f"/api/users/{account.pk}", json={"groups": ["muster-admins"]})
    assert answer.json()["groups"] == ["muster-admins"]
    gods = world.authentik.add_group("gods", superuser=True)
    await world.authentik.add_to_group(gods, account.pk)
    problem(await service.api("PATCH", f"/api/users/{account.pk}", json={"email": "me@x.test"}), 403)


async def test_switching_off_and_on(service: Service, world: World) -> None:
    """Deactivated and activated in Authentik, each with its audit record."""
    pk = world.authentik.add_account("ada").pk
    for act, active in (("deactivate", False), ("activate", True)):
        answer = await service.api("POST", f"/api/users/{pk}/{act}")
        assert (answer.status_code, answer.json()["active"]) == (200, active)
        assert world.authentik._accounts[pk].active is active
        assert [record["target"] for record in await service.audit(f"user.{act}")] == ["ada"]


async def test_a_new_way_in(service: Service, world: World) -> None:
    """Recovery gives a link, or where there is no recovery flow a new password; the audit keeps neither."""
    pk = world.authentik.add_account("ada").pk
    link = (await service.api("POST", f"/api/users/{pk}/recovery")).json()["recovery_link"]
    world.authentik.recovery = False
    password = (await service.api("POST", f"/api/users/{pk}/recovery")).json()["temporary_password"]
    assert world.authentik.passwords[pk] == password
    written = str([document.data for document in await service.stored("audit")])
    assert link not in written
    assert password not in written


async def test_gone(service: Service, world: World) -> None:
    """Deleting answers 204, the account is gone from Authentik, and the audit remembers who it was."""
    pk = world.authentik.add_account("ada").pk
    answer = await service.api("DELETE", f"/api/users/{pk}")
    assert (answer.status_code, answer.content) == (204, b"")
    problem(await service.api("GET", f"/api/users/{pk}"), 404)
    assert [record["target"] for record in await service.audit("user.delete")] == ["ada"]


async def test_an_administrator_is_not_deleted(service: Service, world: World) -> None:
    """A superuser of Authentik cannot be deleted from here, and the answer says where."""
    gods = world.authentik.add_group("gods", superuser=True)
    account = world.authentik.add_account("root")
    await world.authentik.add_to_group(gods, account.pk)
    answer = await service.api("DELETE", f"/api/users/{account.pk}")
    assert "Authentik" in problem(answer, 403)["fix"]
    assert account.pk in world.authentik._accounts


async def test_onboarding_somebody_who_is_there(service: Service, world: World) -> None:
    """An account that was made elsewhere gets its onboarding; again, it is the same one and goes on."""
    account = world.authentik.add_account("ada", "Ada")
    first = await service.api("POST", f"/api/users/{account.pk}/onboard")
    assert first.status_code == 202, first.text
    assert first.json()["onboarding"]["id"] == onboarding_id(account.uid)
    again = await service.api("POST", f"/api/users/{account.pk}/onboard", json={"rooms": ["!b:fake.test"]})
    assert again.json()["onboarding"]["id"] == first.json()["onboarding"]["id"]
    assert set(again.json()["onboarding"]["steps"]) - set(first.json()["onboarding"]["steps"]) == {"room:!b:fake.test"}


async def test_a_matrix_id_named_later(service: Service, world: World) -> None:
    """What waited for somebody's Matrix id goes on when an admin names it."""
    account = world.authentik.add_account("ada", attributes={"matrix_id": "@stranger:elsewhere.test"})
    waiting = (await service.api("POST", f"/api/users/{account.pk}/onboard", json={"rooms": ["!b:fake.test"]})).json()
    assert waiting["onboarding"]["state"] == "waiting"
    answer = await service.api("POST", f"/api/users/{account.pk}/onboard", json={"matrix_id": "@ada:fake.test"})
    onboarding = answer.json()["onboarding"]
    assert (onboarding["state"], onboarding["member"]["matrix_id"]) == ("running", "@ada:fake.test")


ACTS = [
    ("GET", ""),
    ("PATCH", ""),
    ("DELETE", ""),
    ("POST", "/activate"),
    ("POST", "/deactivate"),
    ("POST", "/recovery"),
    ("POST", "/onboard"),
]


@pytest.mark.parametrize(("method", "path"), ACTS)
async def test_nobody_of_that_number(service: Service, method: str, path: str) -> None:
    """An unknown pk is a 404, something that is no pk a 400 on `pk`; neither does anything, tried or not."""
    body: dict[str, Any] = {"json": {"name": "x"}} if method == "PATCH" else {}
    for query in ("", "?dry_run=true") if method != "GET" else ("",):
        problem(await service.api(method, f"/api/users/999{path}{query}", **body), 404)
        for pk in ("0", "-1", "1.5", "ada", "2147483648", "9" * 400, "%00", "\u0663", "true"):
            assert names(problem(await service.api(method, f"/api/users/{pk}{path}{query}", **body), 400)) == ["pk"]
    acted = set(service.acts()["authentik"]) - {"recovery_link", "update_account", "delete_account"}
    assert not acted
    assert not service.acts()["documents"]


@pytest.mark.parametrize(("method", "path"), ACTS)
async def test_authentik_is_busy_or_down(service: Service, world: World, method: str, path: str) -> None:
    """Authentik limiting us is a 503 with Retry-After, Authentik being down a 503: never a 500."""
    pk = world.authentik.add_account("ada").pk
    body: dict[str, Any] = {"json": {"name": "x"}} if method == "PATCH" else {}
    for name in ("account", "update_account"):
        world.authentik.fail(name, Limited("Authentik limits us", 3))
    answer = await service.api(method, f"/api/users/{pk}{path}", **body)
    assert (problem(answer, 503)["retry_after"], answer.headers["retry-after"]) == (3, "3")
    world.authentik._faults.clear()
    for name in ("account", "update_account"):
        world.authentik.fail(name, Unreachable("authentik", "no answer within 10 s", "See that it is up."))
    assert problem(await service.api(method, f"/api/users/{pk}{path}", **body), 503)["fix"] == "See that it is up."
