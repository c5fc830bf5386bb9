"""The webhook: believed only when signed or bearing the secret, and each enrollment counted once."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.domain.errors import Limited, Unreachable
from tests.functions.served import PLAIN_SECRET, SIGNING_SECRET, Service, names, problem, signed
from tests.world import World

RECORDED = json.loads((Path(__file__).parents[2] / "contracts" / "recorded.json").read_text())
ENROLLED: dict[str, Any] = RECORDED["user_write"]
SIX_MINUTES = timedelta(minutes=6)


def ada(world: World) -> int:
    """The account that the recorded events are about."""
    while world.authentik.add_account("somebody else").pk < ENROLLED["user"]["pk"] - 1:
        pass
    return world.authentik.add_account(ENROLLED["context"]["username"]).pk


def raw(body: Any = ENROLLED) -> bytes:
    return json.dumps(body).encode()


async def accepted(service: Service) -> str:
    answer = await service.hook(ENROLLED)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["onboarding"])


# ------------------------------------------------------------------ who may call

CREDENTIALS: dict[str, Callable[[], dict[str, str]]] = {
    "the newer secret as bearer": lambda: {"Authorization": f"Bearer {SIGNING_SECRET}"},
    "the older secret as bearer": lambda: {"Authorization": f"bearer {PLAIN_SECRET}"},
    "the newer secret in our header": lambda: {"X-Muster-Secret": SIGNING_SECRET},
    "the older secret in our header": lambda: {"x-muster-secret": PLAIN_SECRET},
    "signed with the newer secret": lambda: signed(raw(), SIGNING_SECRET),
    "signed with it, without its prefix": lambda: signed(raw(), SIGNING_SECRET.removeprefix("whsec_")),
    "signed with a secret that is no base64": lambda: signed(raw(), PLAIN_SECRET.encode()),
    "signed four minutes ago": lambda: signed(raw(), age=timedelta(minutes=4)),
    "signed by a clock that is ahead": lambda: signed(raw(), age=-timedelta(minutes=4)),
    "signed twice, once by another": lambda: _signed_twice(),
}


def _signed_twice() -> dict[str, str]:
    other = signed(raw(), b"somebody else's secret")["webhook-signature"]
    ours = signed(raw())
    return ours | {"webhook-signature": f"v1a,AAAA {other} {ours['webhook-signature']}"}


@pytest.mark.parametrize("credentials", CREDENTIALS)
async def test_believed(service: Service, world: World, credentials: str) -> None:
    """Any current secret counts, as bearer, in our header, or as the key of a Standard Webhooks signature."""
    ada(world)
    answer = await service.hook(raw(), CREDENTIALS[credentials]())
    assert answer.status_code == 202, answer.text


FORGERIES: dict[str, Callable[[], dict[str, str]]] = {
    "nothing": dict,
    "an empty bearer": lambda: {"Authorization": "Bearer "},
    "a wrong bearer": lambda: {"Authorization": "Bearer somebody else's"},
    "half of the secret": lambda: {"Authorization": f"Bearer {SIGNING_SECRET[:-1]}"},
    "the secret and more": lambda: {"X-Muster-Secret": f"{PLAIN_SECRET}."},
    "both secrets as one": lambda: {"X-Muster-Secret": f"{SIGNING_SECRET},{PLAIN_SECRET}"},
    "the secret as basic": lambda: {"Authorization": f"Basic {base64.b64encode(SIGNING_SECRET.encode()).decode()}"},
    "odd letters": lambda: {"X-Muster-Secret": "\xff\xfe"},
    "another secret's signature": lambda: signed(raw(), b"somebody else's secret"),
    "no secret's signature": lambda: signed(raw()) | {"webhook-signature": ""},
    "a signature without version": lambda: signed(raw()) | {"webhook-signature": "AAAA"},
    "a signature of no base64": lambda: signed(raw()) | {"webhook-signature": "v1,!!!"},
    "an empty signature": lambda: signed(raw()) | {"webhook-signature": "v1,"},
    "a signature of six minutes ago": lambda: signed(raw(), age=SIX_MINUTES),
    "a signature from the future": lambda: signed(raw(), age=-SIX_MINUTES),
    "another time": lambda: signed(raw()) | {"webhook-timestamp": str(int(signed(raw())["webhook-timestamp"]) - 1)},
    "no time": lambda: {name: value for name, value in signed(raw()).items() if name != "webhook-timestamp"},
    "a time that is none": lambda: signed(raw()) | {"webhook-timestamp": "now"},
    "a time without end": lambda: signed(raw()) | {"webhook-timestamp": "inf"},
    "a time beyond all": lambda: signed(raw()) | {"webhook-timestamp": "1e308"},
    "another id": lambda: signed(raw()) | {"webhook-id": "msg_2"},
    "no id": lambda: {name: value for name, value in signed(raw()).items() if name != "webhook-id"},
    "a wrong signature beside the right secret": lambda: (
        signed(raw(), b"somebody else's") | {"X-Muster-Secret": SIGNING_SECRET}
    ),
}


@pytest.mark.parametrize("credentials", FORGERIES)
async def test_not_believed(service: Service, world: World, credentials: str) -> None:
    """Anything else is a 401, whose text shows no secret; nothing is read or written."""
    ada(world)
    headers = {name: value.encode("latin-1") for name, value in FORGERIES[credentials]().items()}
    answer = await service.hook(raw(), headers)  # type: ignore[arg-type]
    problem(answer, 401)
    assert not any(secret in answer.text for secret in service.secrets)
    assert not any(service.acts().values())
    assert not world.authentik.calls


async def test_a_changed_body(service: Service, world: World) -> None:
    """One byte more than was signed is a 401."""
    ada(world)
    for body in (raw() + b" ", raw().replace(b"ada-", b"bee-"), b"\xff" + raw(), b""):
        problem(await service.hook(body, signed(raw())), 401)


@pytest.mark.parametrize("secret", ["whsec_", "----", "whsec_----", "====", "é"])
async def test_an_odd_secret_is_no_crash(service: Service, world: World, secret: str) -> None:
    """A secret that is no key at all in one reading does no harm to the others, and lets nobody in."""
    service.env["AUTHENTIK_WEBHOOK_SECRETS"] = f"{secret},{SIGNING_SECRET}"
    ada(world)
    problem(await service.hook(raw(), signed(raw(), b"somebody else's")), 401)
    assert (await service.hook(raw())).status_code == 202


async def test_no_secret_no_entry(service: Service) -> None:
    """A list of secrets that holds none lets nobody in, an empty secret neither."""
    service.env["AUTHENTIK_WEBHOOK_SECRETS"] = ","
    for headers in ({}, {"Authorization": "Bearer "}, {"X-Muster-Secret": ""}, {"X-Muster-Secret": ","}):
        problem(await service.hook(raw(), headers), 401)


# ------------------------------------------------------------------ what may be sent


async def test_too_large(service: Service) -> None:
    """A body of 1 MB is a 413, signed or not, and nothing comes of it."""
    body = raw(ENROLLED | {"padding": "x" * 1_000_000})
    problem(await service.hook(body), 413)
    problem(await service.hook(body, {}), 413)
    assert not any(service.acts().values())


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS"])
async def test_only_posts(service: Service, method: str) -> None:
    """Any other method is a 400, and nothing is read."""
    answer = await service.send("enrollment_webhook", method, "/hooks/authentik")
    assert answer.status_code == 400
    assert not any(service.acts().values())


NONSENSE: list[Any] = [
    b"",
    b"not json",
    b'{"event_id": "x"',
    b"[]",
    b"null",
    b"5",
    b'"text"',
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b"9" * 5000,
    {},
    {"event_id": "x"},
    {"action": "user_write"},
    {"event_id": 5, "action": "user_write"},
    {"event_id": "", "action": "user_write"},
    {"event_id": "x" * 201, "action": "user_write"},
    {"event_id": "\ud800", "action": "user_write"},
    {"event_id": "x", "action": ""},
    {"event_id": "x", "action": ["user_write"]},
    {"event_id": "x", "action": "\udfff"},
    {"event_id": "x", "action": "user_write", "context": {"created": True}},
    {"event_id": "x", "action": "user_write", "context": {"created": True, "username": 5}},
    {"event_id": "x", "action": "user_write", "context": {"created": True, "username": "u" * 151}},
    {"event_id": "x", "action": "user_write", "context": {"created": True, "username": "\ud800"}},
    {"body": 5, "event_user_username": "x"},
    {"body": "user_write: {}"},
]


@pytest.mark.parametrize("body", NONSENSE, ids=lambda body: repr(body)[:50])
async def test_nonsense(service: Service, body: Any) -> None:
    """Signed nonsense is a 400, not a crash, and nothing comes of it."""
    sent = body if isinstance(body, bytes) else raw(body)
    headers = {"X-Muster-Secret": SIGNING_SECRET}
    problem(await service.hook(sent, headers), 400)
    assert not any(service.acts().values())


async def test_nonsense_is_named(service: Service) -> None:
    """A field that is not as our mapping sends it is named."""
    body = {"event_id": "x", "action": "user_write", "context": {"created": True}}
    assert names(problem(await service.hook(body), 400)) == ["context.username"]


# ------------------------------------------------------------------ what becomes of it


async def test_an_enrollment(service: Service, world: World) -> None:
    """The recorded event of our mapping starts the onboarding of just that account, from the webhook, with its tasks."""
    pk = ada(world)
    onboarding = await accepted(service)
    shown = (await service.api("GET", f"/api/onboardings/{onboarding}")).json()
    assert (shown["member"]["pk"], shown["source"], shown["state"]) == (pk, "webhook", "running")
    assert {task.payload["onboarding"] for task in world.queue.tasks.values()} == {onboarding}
    assert all(set(task.payload) <= {"v", "onboarding", "step", "generation"} for task in world.queue.tasks.values())
    [record] = await service.audit("onboarding.begin")
    assert (record["actor"], record["source"]) == ("authentik", "192.0.2.7")


async def test_authentiks_own_shape(service: Service, world: World) -> None:
    """What Authentik sends without a mapping is understood as well, by the secret in the header."""
    world.authentik.add_account("e2-58dc18")
    for expected in (202, 200):
        answer = await service.hook(RECORDED["default_body"], {"Authorization": f"Bearer {PLAIN_SECRET}"})
        assert answer.status_code == expected, answer.text


@pytest.mark.parametrize(
    "text",
    ["user_write: {[1]: 2}", "user_write: {{}}", "user_write: " + "(" * 5000, "user_write: __import__('os')", "x", "", ": ",
     "user_write: {'created': True, 'username': '\\ud800'}", "user_write: {'created': True, 'username': ''}", "\ud800: {}"],
    ids=lambda text: text[:40] or "empty",
)  # fmt: skip
async def test_odd_texts_in_that_shape(service: Service, world: World, text: str) -> None:
    """A text there that is no event, or no literal, is at most ignored: never run, never a crash."""
    body = RECORDED["default_body"] | {"body": text}
    answer = await service.hook(raw(body), {"X-Muster-Secret": PLAIN_SECRET})
    assert answer.status_code in (200, 400), answer.text
    assert not await service.stored("onboardings")


IGNORED: dict[str, dict[str, Any]] = {
    "an invitation opened": RECORDED["invitation_used"],
    "a test of the transport": {"event_id": "t1", "action": "custom_notification_test", "user": {}, "context": {}},
    "a profile changed": ENROLLED | {"context": ENROLLED["context"] | {"created": False}},
    "created, but not quite": ENROLLED | {"context": ENROLLED["context"] | {"created": "True"}},
    "created is one": ENROLLED | {"context": ENROLLED["context"] | {"created": 1}},
    "a write without context": ENROLLED | {"context": None},
    "another action": ENROLLED | {"action": "model_created"},
    "a login": ENROLLED | {"action": "login"},
}


@pytest.mark.parametrize("event", IGNORED)
async def test_not_an_enrollment(service: Service, world: World, event: str) -> None:
    """Other events are answered 200 and ignored, with a record that says why; Authentik is not asked."""
    ada(world)
    answer = await service.hook(IGNORED[event])
    assert (answer.status_code, answer.json()["status"], answer.json()["onboarding"]) == (200, "ignored", None)
    assert answer.json()["reason"]
    assert len(await service.audit("webhook.ignored")) == 1
    assert world.authentik.calls == []
    assert not world.queue.used


async def test_gone_meanwhile(service: Service) -> None:
    """An account that was deleted before the event came is no error: 200, and the audit says so."""
    answer = await service.hook(ENROLLED)
    assert (answer.status_code, answer.json()["reason"]) == (200, "the account is gone")
    assert len(await service.audit("webhook.ignored")) == 1


async def test_somebody_else_at_that_number(service: Service, world: World) -> None:
    """Where the event's user is not the new account, the account is found by its name."""
    ada(world)
    other = world.authentik.add_account("bee")
    body = ENROLLED | {"context": ENROLLED["context"] | {"username": "bee"}}
    onboarding = (await service.hook(body)).json()["onboarding"]
    assert (await service.api("GET", f"/api/onboardings/{onboarding}")).json()["member"]["pk"] == other.pk


async def test_a_replay(service: Service, world: World) -> None:
    """The same event again is 200 and the same onboarding; each time is recorded, and nothing else is done."""
    ada(world)
    onboarding = await accepted(service)
    before = service.acts()
    for _ in range(3):
        world.pause(seconds=39)
        again = await service.hook(ENROLLED)
        assert (again.status_code, again.json()["status"], again.json()["onboarding"]) == (200, "known", onboarding)
    after = service.acts()
    written = after.pop("documents")[len(before.pop("documents")) :]
    assert after == before
    assert [write.data["action"] for write in written] == ["webhook.known"] * 3


async def test_lost_tasks_are_enqueued_again(service: Service, world: World) -> None:
    """A first delivery whose tasks could not be handed over is 202 all the same; the second hands them over."""
    ada(world)
    world.queue.fail_next(50)
    await accepted(service)
    assert not world.queue.used
    world.queue._failures = 0
    assert (await service.hook(ENROLLED)).status_code == 200
    assert world.queue.used


async def test_another_event_of_the_same_person(service: Service, world: World) -> None:
    """Two events of one enrollment are one onboarding."""
    ada(world)
    onboarding = await accepted(service)
    other = await service.hook(ENROLLED | {"event_id": "another"})
    assert (other.status_code, other.json()["onboarding"]) == (200, onboarding)
    assert len(await service.stored("onboardings")) == 1


async def test_sixteen_at_the_same_instant(service: Service, world: World) -> None:
    """Sixteen identical events at once: one 202, fifteen 200, one onboarding, each task once."""
    ada(world)
    answers = await asyncio.gather(*(service.hook(ENROLLED) for _ in range(16)))
    assert sorted(answer.status_code for answer in answers) == [200] * 15 + [202]
    assert len({answer.json()["onboarding"] for answer in answers}) == 1
    assert len(await service.stored("onboardings")) == 1
    assert len(await service.audit("onboarding.begin")) == 1
    assert len(world.queue.tasks) == len(
        {(t.payload["onboarding"], t.payload["step"]) for t in world.queue.tasks.values()}
    )


async def test_sixteen_others_at_the_same_instant(service: Service) -> None:
    """Sixteen identical events that are none of ours at once: sixteen times 200, and one record."""
    answers = await asyncio.gather(*(service.hook(RECORDED["invitation_used"]) for _ in range(16)))
    assert [answer.status_code for answer in answers] == [200] * 16
    assert len(await service.audit("webhook.ignored")) == 1


async def test_out_of_order(service: Service, world: World) -> None:
    """A profile change that comes before the enrollment, and the invitation's use after it, disturb nothing."""
    ada(world)
    changed = ENROLLED | {"event_id": "change", "context": ENROLLED["context"] | {"created": False}}
    for body, expected in ((changed, 200), (ENROLLED, 202), (RECORDED["invitation_used"], 200), (changed, 200)):
        assert (await service.hook(body)).status_code == expected
    assert len(await service.stored("onboardings")) == 1


@pytest.mark.parametrize(
    "fault", [Unreachable("authentik", "no answer within 10 s"), Limited("Authentik limits us", 2)]
)
async def test_authentik_is_down(service: Service, world: World, fault: Exception) -> None:
    """While Authentik cannot be asked the answer is 503, so that it sends the event again; then it is accepted."""
    ada(world)
    for name in ("account", "account_named"):
        world.authentik.fail(name, fault)  # type: ignore[arg-type]
    problem(await service.hook(ENROLLED), 503)
    assert not await service.stored("onboardings")
    world.authentik._faults.clear()
    await accepted(service)


async def test_the_invite_is_redeemed_once(service: Service, world: World) -> None:
    """Whoever comes by an invite uses it up; a second one by the same link is held."""
    made = (await service.api("POST", "/api/invites", json={"label": "x"})).json()
    for name, state in (("ada", "running"), ("bee", "held")):
        account = world.authentik.enroll(made["code"], name) if world.authentik.invitations else None
        account = account or world.authentik.add_account(name, attributes={"muster_invite": made["id"]})
        body = ENROLLED | {"event_id": name, "user": {"pk": account.pk, "username": name}}
        answer = await service.hook(body | {"context": {"created": True, "username": name}})
        shown = (await service.api("GET", f"/api/onboardings/{answer.json()['onboarding']}")).json()
        assert shown["state"] == state
    used = (await service.api("GET", f"/api/invites/{made['id']}")).json()
    assert (used["uses"], used["status"]) == (1, "redeemed")
