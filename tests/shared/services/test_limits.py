"""No more messages of the bot's own accord than a member may get in a day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from shared.domain import limits as rules
from shared.domain.onboarding import Step
from shared.ports import Create
from shared.services.limits import limited, proactive, waits_for_limit
from shared.services.steps import Act, Done, Ending, run_step
from tests.world import World

ADA, BEN = "@ada:fake.test", "@ben:fake.test"
MIDNIGHT = datetime(2030, 1, 2, tzinfo=UTC)


def world_at(*, before: timedelta = timedelta(hours=12), most: int = 3) -> World:
    world = World(_now=MIDNIGHT - before)
    world.policy = replace(world.policy, proactive_a_day=most)
    return world


async def test_so_many_a_day() -> None:
    """After the third of a day the answer is the next midnight of UTC; another member has three of their own."""
    world = world_at()
    assert [await proactive(world, ADA, f"jobs/{n}") for n in range(5)] == [None] * 3 + [MIDNIGHT] * 2
    assert await proactive(world, BEN, "jobs/0") is None
    [mine, theirs] = sorted(await world.documents_in("proactive"), key=lambda data: len(data["taken"]))
    assert (len(mine["taken"]), len(theirs["taken"])) == (1, 3)
    assert ADA not in world.rows()


async def test_the_same_one_is_counted_once() -> None:
    """A step that is tried again asks under the same key, and takes nothing more, whether any are left or not."""
    world = world_at(most=2)
    for _ in range(3):
        assert await proactive(world, ADA, "jobs/a/steps/x") is None
    assert await proactive(world, ADA, "jobs/b/steps/x") is None
    assert await proactive(world, ADA, "jobs/a/steps/x") is None
    assert await proactive(world, ADA, "jobs/c/steps/x") == MIDNIGHT


async def test_a_new_day() -> None:
    """At midnight there are as many again, and what was refused the day before has its turn."""
    world = world_at(before=timedelta(seconds=1), most=1)
    assert await proactive(world, ADA, "first") is None
    assert await proactive(world, ADA, "second") == MIDNIGHT
    world.pause(seconds=1)
    assert await proactive(world, ADA, "second") is None
    assert await proactive(world, ADA, "third") == MIDNIGHT + timedelta(days=1)


@pytest.mark.parametrize(("minutes", "again"), [(59, True), (62, False)])
async def test_tried_again_across_midnight(minutes: int, again: bool) -> None:
    """A retry soon after midnight is not counted once more; one that comes later is a message of the new day."""
    world = world_at(before=timedelta(minutes=1), most=1)
    assert await proactive(world, ADA, "first") is None
    world.pause(minutes=minutes)
    assert await proactive(world, ADA, "first") is None
    assert (await proactive(world, ADA, "second") is None) is again


async def test_none_at_all() -> None:
    """With a limit of 0 nothing may be sent, and the words say which setting it is."""
    world = world_at(most=0)
    assert await proactive(world, ADA, "first") == MIDNIGHT
    told = waits_for_limit(world, MIDNIGHT)
    assert "MAX_PROACTIVE_MESSAGES_PER_DAY is 0" in told.cause
    assert told.fix


async def test_it_is_swept_away() -> None:
    """A day's document ends a day after the day, when no retry looks at it any more."""
    world = world_at()
    await proactive(world, ADA, "first")
    [kept] = await world.documents_in("proactive")
    assert kept["expire_at"] == MIDNIGHT + timedelta(days=1)


@pytest.mark.parametrize(("hour", "read"), [(0, 2), (1, 2), (2, 1), (23, 1)])
def test_yesterday_is_read_only_where_it_matters(hour: int, read: int) -> None:
    """One document a message, but for the first hour of a day."""
    assert len(rules.days_to_read(MIDNIGHT + timedelta(hours=hour))) == read


async def step_of(world: World, job: str, sent: list[str]) -> str:
    """Runs the one step of a job that sends a message if it may; answers its state."""

    async def send(act: Act) -> Ending:
        waits = await limited(act)
        if waits:
            return waits
        sent.append(act.step.path)
        return Done({})

    return await run_step(world, f"jobs/{job}", "removal_message", None, {"removal_message": send})


async def job(world: World, name: str) -> None:
    parent: dict[str, Any] = {"v": 1, "id": name, "kind": "remove", "actor": "key:test", "matrix_id": ADA}
    parent |= {"created_at": world.now(), "state": "running", "reason": ""}
    step = Step(parent=f"jobs/{name}", name="removal_message", kind="removal_message", due_at=world.now())
    await world.documents.write(Create(f"jobs/{name}", parent), Create(step.path, step.data()))


async def test_a_step_waits_and_goes_on() -> None:
    """A step over the limit waits with cause and fix until the next day; then the sweep lets it go on."""
    world, sent = world_at(most=1), list[str]()
    for name in ("job_a", "job_b"):
        await job(world, name)
    assert await step_of(world, "job_a", sent) == "done"
    assert await step_of(world, "job_b", sent) == "waiting"
    found = await world.documents.get("jobs/job_b/steps/removal_message")
    assert found
    step = Step.of(found.data)
    assert (step.waits_for, step.due_at) == ("limit", MIDNIGHT)
    assert step.cause == (
        "the bot has sent them 1 message of its own accord today, and more are too many; there is one again from "
        "2030-01-02 00:00 UTC"
    )
    assert "goes on by itself" in step.fix
    await world.sweep()
    assert not world.queue.tasks
    world.pause(hours=12, seconds=1)
    await world.sweep()
    [task] = world.queue.take(world.now())
    assert task.payload["job"] == "job_b"
    assert await step_of(world, "job_b", sent) == "done"
    assert len(sent) == 2
