"""What Cloud Tasks and Cloud Scheduler call: for their accounts only, and each step done once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from main import ENTRY_POINTS
from shared.domain.errors import Limited, Unreachable
from shared.ports import Task
from tests.functions.admin.test_onboardings import onboarded, seen
from tests.functions.served import API_KEY, SIGNING_SECRET, Service, problem
from tests.functions.tokens import SCHEDULER_ACCOUNT, TASKS_URL, Issuer, forged, without_signature
from tests.world import World

PRIVATE = [name for name, kind in ENTRY_POINTS.items() if kind in ("task", "job")]
TASKS = [name for name, kind in ENTRY_POINTS.items() if kind == "task"]
PAYLOAD = {"v": 1, "onboarding": "ob_x", "step": "hello", "generation": 0}
EXPIRED = 1_600_000_000
FORGERIES: dict[str, Callable[[Issuer, str], str]] = {
    "no credentials": lambda issuer, name: "",
    "an admin's key": lambda issuer, name: API_KEY,
    "an admin's token": lambda issuer, name: issuer.access(),
    "the webhook's secret": lambda issuer, name: SIGNING_SECRET,
    "no token at all": lambda issuer, name: "a.b.c",
    "a forged token": lambda issuer, name: forged(issuer.task(name)),
    "a stranger's token": lambda issuer, name: issuer.task(name, signed_by="stranger"),
    "Authentik's token": lambda issuer, name: issuer.task(name, signed_by="authentik"),
    "an HS256 token": lambda issuer, name: issuer.task(name, algorithm="HS256"),
    "an unsigned token": lambda issuer, name: issuer.task(name, algorithm="none"),
    "an expired token": lambda issuer, name: issuer.task(name, exp=EXPIRED, iat=EXPIRED - 600),
    "a token without an end": lambda issuer, name: issuer.task(name, exp=None),
    "a foreign issuer": lambda issuer, name: issuer.task(name, iss="https://accounts.stranger.test"),
    "another entry point's token": lambda issuer, name: issuer.task("admin"),
    "a prefix of the audience": lambda issuer, name: issuer.task(name, aud="https://muster.example.test"),
    "the audience and more": lambda issuer, name: issuer.task(name, aud=[TASKS_URL.format(entry_point=name), "x"]),
    "another account": lambda issuer, name: issuer.task(name, email="someone@muster-test.iam.gserviceaccount.com"),
    "no account": lambda issuer, name: issuer.task(name, email=None),
    "an account not verified": lambda issuer, name: issuer.task(name, email_verified=False),
    "a signature removed by somebody": lambda issuer, name: without_signature(issuer.task(name)),
}


async def call(service: Service, entry_point: str, token: str) -> Any:
    return await service.send(entry_point, "POST", "/", token, json=PAYLOAD)


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_strangers_stay_outside(service: Service, world: World, forgery: str) -> None:
    """Without the token of the queue's account for just this entry point every one is a 401, and nothing is read."""
    for name in PRIVATE:
        problem(await call(service, name, FORGERIES[forgery](service.issuer, name)), 401)
    assert not any(service.acts().values())
    assert not world.homeserver.calls
    assert not world.authentik.calls


@pytest.mark.parametrize("name", PRIVATE)
async def test_the_accounts_that_may(service: Service, name: str) -> None:
    """The accounts of Cloud Tasks and of Cloud Scheduler get in."""
    for token in (service.issuer.task(name), service.issuer.task(name, email=SCHEDULER_ACCOUNT)):
        assert (await call(service, name, token)).status_code == 200


async def test_a_signature_that_google_removed(service: Service) -> None:
    """In production Cloud Run has verified the token and removed its signature: audience, account and expiry still count."""
    service.env["MUSTER_ENV"] = "production"
    issuer = service.issuer
    for name in PRIVATE:
        assert (await call(service, name, without_signature(issuer.task(name)))).status_code == 200
        for token in (
            issuer.task("admin"),
            issuer.task(name, email="someone@else.test"),
            issuer.task(name, email=None),
            issuer.task(name, exp=EXPIRED),
        ):
            problem(await call(service, name, without_signature(token)), 401)
        problem(await call(service, name, f"a.b.{without_signature(token).rpartition('.')[2]}"), 401)
        problem(await call(service, name, issuer.task(name, signed_by="stranger")), 401)


@pytest.mark.parametrize("name", ["", "staging", "Production", "prod"])
async def test_only_production_counts(service: Service, name: str) -> None:
    """A removed signature is believed only where MUSTER_ENV says production; its default does, a misspelling does not."""
    service.env["MUSTER_ENV"] = name
    answer = await call(service, "invite_to_room", without_signature(service.issuer.task("invite_to_room")))
    assert answer.status_code == (200 if not name else 503)


async def test_urls_with_dashes(service: Service) -> None:
    """Where the services' names have dashes the audience has them too."""
    service.env["TASKS_URL_TEMPLATE"] = "https://{entry-point}-abc.run.test"
    good = service.issuer.task("invite_to_room", aud="https://invite-to-room-abc.run.test")
    assert (await call(service, "invite_to_room", good)).status_code == 200
    problem(await call(service, "invite_to_room", service.issuer.task("invite_to_room")), 401)


# ------------------------------------------------------------------ what may be sent

NOT_TASKS: list[Any] = [
    b"",
    b"not json",
    b"[]",
    b"\xff",
    b'{"onboarding": "ob_x", "step": "\\ud800"}',
    {},
    {"onboarding": "ob_x"},
    {"step": "hello"},
    {"onboarding": 5, "step": "hello"},
    {"onboarding": "ob_x", "step": ["hello"]},
    {"onboarding": "", "step": "hello"},
    {"onboarding": "..", "step": "hello"},
    {"onboarding": "a/b", "step": "hello"},
    {"onboarding": "ob_x", "step": "a/b"},
    {"onboarding": "ob_x", "step": ""},
    {"onboarding": "ob_x", "step": "x" * 801},
    {"onboarding": "x" * 201, "step": "hello"},
    {"onboarding": "ob\x00", "step": "hello"},
]


@pytest.mark.parametrize("body", NOT_TASKS, ids=lambda body: repr(body)[:50])
async def test_no_task_of_ours(service: Service, body: Any) -> None:
    """What is no task is a 400 at every entry point, and nothing is done."""
    for name in TASKS:
        more = {"content": body} if isinstance(body, bytes) else {"json": body}
        problem(await service.send(name, "POST", "/", service.issuer.task(name), **more), 400)
    assert not any(service.acts().values())


async def test_too_large(service: Service) -> None:
    """A task of 1 MB is a 413; without credentials it is not even read."""
    body = PAYLOAD | {"padding": "x" * 1_000_000}
    problem(await service.task("deliver_welcome", body), 413)
    problem(await service.task("deliver_welcome", body, token=""), 401)


@pytest.mark.parametrize("name", PRIVATE)
async def test_only_posts(service: Service, name: str) -> None:
    """Any other method is a 400, whoever sends it."""
    for method in ("GET", "PUT", "DELETE", "PATCH"):
        problem(await service.send(name, method, "/", service.issuer.task(name)), 400)


@pytest.mark.parametrize("name", TASKS)
async def test_a_step_that_is_gone(service: Service, world: World, name: str) -> None:
    """A task for a step, an onboarding or a job that is not there ends: there is nothing to try again."""
    onboarding = await onboarded(service, world)
    for payload in (
        PAYLOAD,
        PAYLOAD | {"onboarding": onboarding, "step": "room:!x:y"},
        {"job": "job_x", "step": "room:!x:y"},
    ):
        answer = await service.task(name, payload)
        assert (answer.status_code, answer.json()) == (200, {"state": "gone"})


# ------------------------------------------------------------------ each step once


def room_task(world: World) -> Task:
    return next(task for task in world.queue.tasks.values() if task.entry_point == "invite_to_room")


async def ready(service: Service, world: World) -> str:
    world.homeserver.add_room("Ops", alias="ops")
    world.homeserver.add_user("@ada:fake.test")
    return await onboarded(service, world)


async def test_delivered_twice(service: Service, world: World) -> None:
    """The second delivery of a task finds it done: 200, and nothing happens."""
    await ready(service, world)
    task = room_task(world)
    assert (await service.deliver(task)).json() == {"state": "done"}
    before = service.acts()
    assert (await service.deliver(task)).json() == {"state": "done"}
    assert service.acts() == before


async def test_delivered_sixteen_times_at_once(service: Service, world: World) -> None:
    """However often a task comes at the same instant it acts once; the others end, or are told to come again."""
    await ready(service, world)
    task = room_task(world)
    answers = await asyncio.gather(*(service.deliver(task) for _ in range(16)))
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert 200 in {answer.status_code for answer in answers}
    assert len(world.homeserver.called("invite")) == 1
    assert len(await service.audit("step.room")) == 1


async def test_an_older_generation(service: Service, world: World) -> None:
    """A task that was replaced by a newer one does nothing."""
    onboarding = await ready(service, world)
    task = room_task(world)
    await service.api("POST", f"/api/onboardings/{onboarding}/retry", json={"steps": [task.payload["step"]]})
    assert (await service.deliver(task)).json() == {"state": "scheduled"}
    assert not world.homeserver.called("invite")


async def test_matrix_limits_us(service: Service, world: World) -> None:
    """A 429 of the homeserver ends the task with 200, so that the queue is not slowed; a later task is its next try."""
    await ready(service, world)
    world.homeserver.fail_next(Limited("the homeserver's rate limit", 300.0), method="invite")
    task = room_task(world)
    assert (await service.deliver(task)).json() == {"state": "scheduled"}
    [later] = [
        t for t in world.queue.tasks.values() if t.payload["step"] == task.payload["step"] and t.name != task.name
    ]
    assert later.at is not None
    assert (later.at - world.now()).total_seconds() >= 300


async def test_matrix_is_down_for_a_moment(service: Service, world: World) -> None:
    """A passing fault is recorded and answered 500, which unlike 503 slows nobody else's task; the next delivery does it."""
    onboarding = await ready(service, world)
    world.homeserver.fail_next(Unreachable("matrix", "no answer within 10 s"), method="invite")
    task = room_task(world)
    answer = await service.deliver(task)
    problem(answer, 500)
    assert "retry-after" not in answer.headers
    step = (await seen(service, onboarding))["steps"][task.payload["step"]]
    assert (step["state"], step["cause"]) == ("scheduled", "no answer within 10 s")
    assert (await service.deliver(task)).json() == {"state": "done"}


async def test_a_mistake_of_ours(service: Service, world: World) -> None:
    """Even a crash in a step is recorded and tried again, and its text stays in the log."""
    onboarding = await ready(service, world)
    world.homeserver.fail_next(RuntimeError("a very private detail"), method="invite")
    task = room_task(world)
    answer = await service.deliver(task)
    problem(answer, 500)
    shown = await seen(service, onboarding)
    assert "private" not in answer.text + str(shown)
    assert (await service.deliver(task)).json() == {"state": "done"}


async def test_an_outage_exhausts_nothing(service: Service, world: World) -> None:
    """Once Matrix is known to be down tasks end with 200 and wait; the sweep lets them go on when it is back."""
    onboarding = await ready(service, world)
    world.homeserver.fail_next(Unreachable("matrix", "connection refused"), times=500)
    for _ in range(30):
        for task in world.queue.take(world.now()):
            for _ in range(9):
                if (await service.deliver(task)).status_code == 200:
                    break
                world.pause(seconds=5)
        world.pause(seconds=30)
    steps = (await seen(service, onboarding))["steps"].values()
    waiting = [step for step in steps if step["state"] == "waiting"]
    assert waiting
    assert all("Matrix down since" in step["cause"] for step in waiting)
    assert not [step for step in steps if step["state"] == "failed"]
    world.homeserver._planned.clear()
    world.pause(minutes=10)
    assert (await call(service, "resume_onboardings", service.issuer.task("resume_onboardings"))).status_code == 200
    await service.work()
    room = (await seen(service, onboarding))["steps"]["room:#ops:fake.test"]
    assert room["state"] == "done"
