"""Who follows an onboarding or a job: what a look finds, how little it reads, and how often it is taken."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.domain.errors import NotFound
from shared.domain.onboarding import Step
from shared.ports import Page, Put, Query
from shared.services import jobs, onboardings
from shared.services.jobs import Wanted
from shared.services.watching import MOVING, STILL, WHOLE, JobWatch, OnboardingWatch
from tests.fakes.faulty_documents import FaultyDocuments
from tests.world import ADMIN, World


class Billed(FaultyDocuments):
    """`read` counts as Firestore does: each document that a query finds, one for a query that finds none."""

    async def query(self, query: Query) -> Page:
        found = await super().query(query)
        self.read += max(1, len(found.items))
        return found


async def begun(rooms: int = 20) -> tuple[World, JobWatch]:
    """A job of so many rooms, looked at once."""
    world = World()
    world.furnish(rooms)
    started = await jobs.start(world, ADMIN, Wanted("invite", world.arrive(), world.policy.default_rooms))
    world.documents = Billed(world.store)
    watch = JobWatch(world, started.job.id)
    await watch.look()
    return world, watch


def read(world: World) -> int:
    count, world.documents.read = world.documents.read, 0
    return count


async def changed(world: World, step: Step, **fields: object) -> None:
    await world.store.write(Put(step.path, step.but(**fields).data()))


async def test_a_look_reads_what_has_changed() -> None:
    """A job of 20 steps is 21 reads once; then 2 while nothing changes, and beside them what has changed lately."""
    world, watch = await begun()
    assert read(world) == 21
    await watch.look()
    assert read(world) == 2
    for count, expected in ((1, 20), (3, 1 + 3), (2, 3 + 2)):  # all are as new as the newest at first
        world.pause(seconds=10)
        for step in [step for step in watch.steps if step.state == "scheduled"][:count]:
            await changed(world, step, state="done", updated_at=world.now())
        await watch.look()
        assert read(world) == 2 + expected
    assert [step.state for step in watch.steps] == ["done"] * 6 + ["scheduled"] * 14
    assert (await jobs.view(world, watch.record.id)).steps == watch.steps


async def test_a_clock_that_is_slow() -> None:
    """What a slow clock has hidden is found with the next change, or a minute after the whole was read."""
    world, watch = await begun()
    [first, second, *_] = watch.steps
    world.pause(seconds=20)
    await changed(world, first, state="done", updated_at=world.now() - timedelta(seconds=30))
    await watch.look()
    assert watch.steps[0].state == "scheduled"
    await changed(world, second, state="done", updated_at=world.now() - timedelta(seconds=1))
    await watch.look()
    assert [step.state for step in watch.steps[:2]] == ["scheduled", "done"]
    world.pause(seconds=WHOLE.total_seconds() - 20)
    await watch.look()
    assert [step.state for step in watch.steps[:2]] == ["done", "done"]


async def test_how_often() -> None:
    """Often while a step runs or is due, seldom while all that is left waits or comes later; over when each has ended."""
    world, watch = await begun(2)
    [first, second] = watch.steps
    assert (watch.pace, watch.over) == (MOVING, False)
    await changed(world, first, due_at=world.now() + timedelta(minutes=5), updated_at=world.now())
    await changed(world, second, state="waiting", due_at=None, updated_at=world.now())
    world.pause(seconds=WHOLE.total_seconds())
    await watch.look()
    assert (watch.pace, watch.over) == (STILL, False)
    world.pause(minutes=5)
    assert watch.pace == MOVING
    await changed(world, first, state="failed", updated_at=world.now())
    await changed(world, second, state="skipped", updated_at=world.now())
    await watch.look()
    assert (watch.pace, watch.over) == (STILL, True)


async def test_an_onboarding() -> None:
    """What is seen of an onboarding is what its view says, until it is done; one that is not there raises."""
    world = World()
    world.furnish()
    await world.member("ada")
    onboarding = (await world.enrolled("ada")).onboarding
    watch = OnboardingWatch(world, onboarding)
    await watch.look()
    assert not watch.over
    await world.live()
    await watch.look()
    assert watch.over
    assert watch.view == await onboardings.view_with_replies(world, onboarding)
    with pytest.raises(NotFound):
        await OnboardingWatch(world, "ob_nobody").look()
