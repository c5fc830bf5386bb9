"""/api/onboardings: looked at, tried again, skipped, approved, rejected."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any

import pytest

from shared.adapters.device_crafts import DeviceCrafts
from shared.adapters.locking import derived
from shared.adapters.olm import Sealer, make_account
from shared.domain.device_account import DeviceAccount
from shared.domain.errors import Misconfigured, Refused
from shared.domain.replies import NO_KEY, Reply
from shared.ports import Create
from tests.functions.admin import wrong
from tests.functions.admin.test_invites import wrong_field
from tests.functions.served import Service, names, problem, walk
from tests.world import World

KEY = b"k" * 32
ACTS = ("retry", "skip", "approve", "reject")
BODIES: dict[str, dict[str, Any]] = {
    "retry": {"json": {}},
    "skip": {"json": {"step": "hello", "reason": "said in person"}},
    "approve": {},
    "reject": {},
}


async def onboarded(service: Service, world: World, name: str = "ada", **invite: Any) -> str:
    """Somebody who came by an invite; answers the onboarding's id."""
    made = (await service.api("POST", "/api/invites", json={"label": "x", "rooms": ["#ops:fake.test"]} | invite)).json()
    account = world.authentik.enroll(made["code"], name)
    await world.enrolled(name, f"event-{name}")
    listed = (await service.api("GET", f"/api/users/{account.pk}")).json()
    return str(listed["onboarding"])


async def held(service: Service, world: World, name: str = "ada") -> str:
    return await onboarded(service, world, name, email="somebody-else@example.test")


async def seen(service: Service, onboarding: str) -> dict[str, Any]:
    answer = await service.api("GET", f"/api/onboardings/{onboarding}")
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_all_the_way(service: Service, world: World) -> None:
    """Each step shows its state, attempts and what it produced; at the end the whole is done, with its time."""
    room = world.homeserver.add_room("Ops", alias="ops")
    indoc = world.policy.indoc
    world.homeserver.join(world.homeserver.add_user("@ada:fake.test"), indoc)
    onboarding = await onboarded(service, world)
    before = await seen(service, onboarding)
    assert (before["state"], before["source"], before["finished_at"]) == ("running", "webhook", None)
    assert before["member"]["matrix_id"] == "@ada:fake.test"
    await service.work()
    world.pause(seconds=6)
    await service.work()
    after = await seen(service, onboarding)
    assert after["state"] == "done", after
    assert after["finished_at"]
    assert {step["state"] for step in after["steps"].values()} == {"done"}
    assert after["steps"]["room:#ops:fake.test"]["result"]["room_id"] == room
    assert after["member"]["has_logged_in"] is True
    assert world.homeserver.homes[indoc].members["@ada:fake.test"] == "leave"


async def test_invited_who_never_came(service: Service, world: World) -> None:
    """An invite of somebody whom the homeserver does not know says so."""
    world.homeserver.add_room("Ops", alias="ops")
    onboarding = await onboarded(service, world)
    await service.work()
    step = (await seen(service, onboarding))["steps"]["room:#ops:fake.test"]
    assert (step["state"], step["detail"]) == ("done", "invited, has never logged in")


async def test_a_failure_with_cause_and_fix(service: Service, world: World) -> None:
    """A room that is not there fails its step with cause and fix; once mended a retry does it."""
    onboarding = await onboarded(service, world)
    await service.work()
    shown = await seen(service, onboarding)
    step = shown["steps"]["room:#ops:fake.test"]
    assert (step["state"], shown["state"]) == ("failed", "running")
    assert "#ops:fake.test" in step["cause"]
    assert step["fix"]
    world.homeserver.add_room("Ops", alias="ops")
    answer = await service.api("POST", f"/api/onboardings/{onboarding}/retry")
    assert answer.json()["steps"]["room:#ops:fake.test"]["state"] == "scheduled"
    await service.work()
    assert (await seen(service, onboarding))["steps"]["room:#ops:fake.test"]["state"] == "done"
    [record] = await service.audit("onboarding.retry")
    assert record["detail"]["steps"] == ["room:#ops:fake.test"]


async def test_a_step_that_is_left_out(service: Service, world: World) -> None:
    """A skipped step keeps the reason and who said so; what is done cannot be skipped."""
    onboarding = await onboarded(service, world)
    answer = await service.api(
        "POST", f"/api/onboardings/{onboarding}/skip", json={"step": "room:#ops:fake.test", "reason": "no need"}
    )
    step = answer.json()["steps"]["room:#ops:fake.test"]
    assert (step["state"], step["detail"], step["result"]["by"]) == ("skipped", "no need", "key:ops")
    await service.work()
    body = {"step": "hello", "reason": "no need"}
    problem(await service.api("POST", f"/api/onboardings/{onboarding}/skip", json=body), 409)


async def test_held_then_approved(service: Service, world: World) -> None:
    """Another e-mail than the invited one is held, the account off; approved, it is on again and everything goes on."""
    world.homeserver.add_room("Ops", alias="ops")
    onboarding = await held(service, world)
    await service.work()
    [account] = world.authentik._accounts.values()
    assert ((await seen(service, onboarding))["state"], account.active) == ("held", False)
    assert "e-mail" in (await seen(service, onboarding))["hold_reason"]
    answer = await service.api("POST", f"/api/onboardings/{onboarding}/approve")
    assert (answer.status_code, answer.json()["hold"]) == (200, "approved")
    await service.work()
    [account] = world.authentik._accounts.values()
    assert account.active
    assert (await seen(service, onboarding))["steps"]["room:#ops:fake.test"]["state"] == "done"
    for act in ("approve", "reject"):
        problem(await service.api("POST", f"/api/onboardings/{onboarding}/{act}"), 409)


async def test_held_then_rejected(service: Service, world: World) -> None:
    """Rejected, the account stays off and nothing else is done."""
    onboarding = await held(service, world)
    await service.work()
    answer = await service.api("POST", f"/api/onboardings/{onboarding}/reject")
    states = {name: step["state"] for name, step in answer.json()["steps"].items()}
    assert (answer.status_code, set(states.values())) == (200, {"done", "skipped"})
    await service.work()
    [account] = world.authentik._accounts.values()
    assert not account.active
    assert not [call for call in world.homeserver.calls if call[0] in ("invite", "send", "create_direct_room")]


async def test_held_means_hands_off(service: Service, world: World) -> None:
    """While one is held its steps can be neither tried nor skipped; one that never was held cannot be approved."""
    onboarding = await held(service, world)
    for act in ("retry", "skip"):
        problem(await service.api("POST", f"/api/onboardings/{onboarding}/{act}", **BODIES[act]), 409)
    other = await onboarded(service, world, "bee")
    for act in ("approve", "reject"):
        problem(await service.api("POST", f"/api/onboardings/{other}/{act}"), 409)


async def test_trying_it_does_nothing(service: Service, world: World) -> None:
    """`dry_run` of each act answers what would be and leaves no trace."""
    running, stopped = await onboarded(service, world), await held(service, world, "bee")
    await service.work()
    before = service.acts()
    for onboarding, act in ((running, "retry"), (stopped, "approve"), (stopped, "reject")):
        answer = await service.api("POST", f"/api/onboardings/{onboarding}/{act}?dry_run=true", **BODIES[act])
        assert answer.status_code == 200, answer.text
    body = {"step": "room:#ops:fake.test", "reason": "x"}
    answer = await service.api("POST", f"/api/onboardings/{running}/skip?dry_run=true", json=body)
    assert answer.json()["steps"]["room:#ops:fake.test"]["state"] == "skipped"
    assert service.acts() == before


@pytest.mark.parametrize("field", wrong.RETRY)
async def test_a_wrong_field_of_a_retry(service: Service, world: World, field: str) -> None:
    """Every wrong value is a 400 that names the field, and nothing is done."""
    onboarding = await onboarded(service, world)
    for value in wrong.RETRY[field]:
        await wrong_field(service, "POST", f"/api/onboardings/{onboarding}/retry", {field: value}, field)


@pytest.mark.parametrize("field", wrong.SKIP)
async def test_a_wrong_field_of_a_skip(service: Service, world: World, field: str) -> None:
    """Every wrong value is a 400 that names the field, and nothing is done."""
    onboarding = await onboarded(service, world)
    good = {"step": "hello", "reason": "said in person"}
    for value in wrong.SKIP[field]:
        await wrong_field(service, "POST", f"/api/onboardings/{onboarding}/skip", good | {field: value}, field)


async def test_a_step_that_is_not_there(service: Service, world: World) -> None:
    """Naming a step that this onboarding does not have is a 404."""
    onboarding = await onboarded(service, world)
    problem(await service.api("POST", f"/api/onboardings/{onboarding}/retry", json={"steps": ["hello", "x"]}), 404)
    body = {"step": "room:!nowhere:fake.test", "reason": "x"}
    problem(await service.api("POST", f"/api/onboardings/{onboarding}/skip", json=body), 404)


@pytest.mark.parametrize("name", ["ob_unknown", "x" * 300, "%00", "__name__", "\u2028"])
async def test_an_unknown_onboarding(service: Service, name: str) -> None:
    """An id that is none of ours is a 404 for looking and for every act."""
    problem(await service.api("GET", f"/api/onboardings/{name}"), 404)
    for act in ACTS:
        problem(await service.api("POST", f"/api/onboardings/{name}/{act}", **BODIES[act]), 404)
    assert not any(service.acts().values())


@pytest.mark.parametrize("limit", [1, 3, 200])
async def test_the_list_shows_each_once(service: Service, world: World, limit: int) -> None:
    """Page by page every onboarding comes exactly once, whole and by state."""
    running = [await onboarded(service, world, f"ada{count}") for count in range(4)]
    stopped = [await held(service, world, f"bee{count}") for count in range(3)]
    for query, wanted in (({}, running + stopped), ({"state": "held"}, stopped), ({"state": "done"}, [])):
        items = await walk(service, "/api/onboardings", limit, **query)
        assert sorted(item["id"] for item in items) == sorted(wanted)
    assert (await service.api("GET", "/api/onboardings?state=held")).json()["total"] == 3
    assert names(problem(await service.api("GET", "/api/onboardings?state=lost"), 400)) == ["state"]


async def test_matrix_refuses(service: Service, world: World) -> None:
    """What the homeserver said is in the step, in words, and the log has it as something to act on."""
    world.homeserver.add_room("Ops", alias="ops", invite=50, powers={world.homeserver.user_id: 0}, version="10")
    onboarding = await onboarded(service, world)
    world.homeserver.fail_next(Refused("no (M_FORBIDDEN)", code="M_FORBIDDEN"), method="invite")
    await service.work()
    step = (await seen(service, onboarding))["steps"]["room:#ops:fake.test"]
    assert step["state"] == "failed"
    assert "50" in step["cause"] + step["fix"]


async def answered(service: Service, world: World) -> str:
    """An onboarding whose member has written twice: a text, and something whose key has not come."""
    world.homeserver.add_room("Ops", alias="ops")
    onboarding = await onboarded(service, world)
    new = make_account("@muster:fake.test", "FAKE", KEY)
    locked = Sealer("@muster:fake.test", "FAKE", new.account, KEY).lock("thank you", "$1")
    service.env["MATRIX_PICKLE_KEY"] = base64.b64encode(KEY).decode()
    account = DeviceAccount(
        user_id="@muster:fake.test", device_id="FAKE", ed25519="", account=new.account, fallback_keys={}
    )
    service.env["MATRIX_DEVICE_ACCOUNT"] = account.text
    for number, text, cause in (("1", locked, ""), ("2", None, NO_KEY)):
        at = world.now() + timedelta(minutes=int(number))
        reply = Reply(
            matrix_id="@ada:fake.test", room_id="!r", event_id=f"${number}", session_id="s", at=at, event="",
            look_at=None, created_at=at, expire_at=at + timedelta(days=90), text=text, cause=cause,
        )  # fmt: skip
        await world.documents.write(Create(f"replies/{number}", reply.data()))
    return onboarding


async def test_a_members_replies(service: Service, world: World) -> None:
    """The newest first, each with its text or its cause; an onboarding without any says so with an empty list."""
    onboarding = await answered(service, world)
    newer, older = (await seen(service, onboarding))["replies"]
    assert (newer["event_id"], newer["text"], newer["cause"]) == ("$2", None, NO_KEY)
    assert (older["event_id"], older["text"], older["cause"]) == ("$1", "thank you", "")
    assert older["at"].endswith("Z")
    other = await onboarded(service, world, "ben")
    assert (await seen(service, other))["replies"] == []


async def test_replies_without_their_key(service: Service, world: World) -> None:
    """Where the key is another or missing, the onboarding is shown all the same, and its replies say why not."""
    onboarding = await answered(service, world)
    service.env["MATRIX_PICKLE_KEY"] = ""
    older = (await seen(service, onboarding))["replies"][1]
    assert older["text"] is None
    assert "MATRIX_PICKLE_KEY" in older["cause"]
    service.env["MATRIX_REPLIES_KEY"] = base64.b64encode(b"x" * 32).decode()
    older = (await seen(service, onboarding))["replies"][1]
    assert older["text"] is None
    assert "does not open" in older["cause"]


async def test_replies_are_shown_without_the_keys_that_encrypt(service: Service, world: World) -> None:
    """The key that derives from the pickle key is enough, as the page is deployed; it leads neither back nor anywhere else."""
    onboarding = await answered(service, world)
    service.env["MATRIX_PICKLE_KEY"] = service.env["MATRIX_DEVICE_ACCOUNT"] = ""
    service.env["MATRIX_REPLIES_KEY"] = DeviceCrafts().replies_key(KEY)
    assert (await seen(service, onboarding))["replies"][1]["text"] == "thank you"
    with pytest.raises(Misconfigured):
        Sealer("@muster:fake.test", "FAKE", make_account("@muster:fake.test", "FAKE", KEY).account, derived(KEY))
