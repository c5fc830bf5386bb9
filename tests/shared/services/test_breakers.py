"""An outage is one fact: it exhausts no attempts, is shown with its beginning, and ends by itself."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.domain.errors import Limited, Refused, TryLater, Unreachable
from shared.domain.onboarding import Step
from shared.services import breakers
from shared.services.self_check import self_check
from tests.world import World, at_home

MEMBER = "@ada:fake.test"
MATRIX_DOWN = Unreachable("matrix", "the homeserver did not answer")


async def begun(rooms: int = 8) -> tuple[World, str]:
    world = World()
    world.furnish(rooms)
    world.authentik.add_group("friends")
    await world.member(groups=("friends",))
    return world, (await world.enrolled("ada")).onboarding


async def outage(world: World) -> None:
    """Matrix is down: each task that is due comes once."""
    world.homeserver.fail_next(MATRIX_DOWN, times=10_000)
    for task in world.queue.take(world.now()):
        try:
            await world.once(task)
        except TryLater:
            world.queue.tasks[task.name] = task


def on_matrix(steps: dict[str, Step]) -> list[Step]:
    return [step for step in steps.values() if step.entry_point != "update_account"]


async def test_five_faults_open_it() -> None:
    """Four unreachable calls in a row open nothing, the fifth does, and says since when and why."""
    world = World()
    for _ in range(4):
        assert await breakers.saw(world, "matrix", MATRIX_DOWN) is None
    breaker = await breakers.saw(world, "matrix", MATRIX_DOWN)
    assert breaker is not None
    assert breaker.words() == f"Matrix down since {world.now():%H:%M} UTC: the homeserver did not answer"
    assert await breakers.all_open(world) == [breaker]


@pytest.mark.parametrize("answer", [None, TryLater("a hiccup"), Refused("no"), Unreachable("authentik", "down")])
async def test_only_faults_in_a_row_count(answer: Exception | None) -> None:
    """Any answer in between, and any other neighbour's fault, begins the count anew."""
    world = World()
    for _ in range(4):
        await breakers.saw(world, "matrix", MATRIX_DOWN)
    await breakers.saw(world, "matrix", answer)
    for _ in range(4):
        assert await breakers.saw(world, "matrix", MATRIX_DOWN) is None


async def test_steps_wait_without_attempts() -> None:
    """While it is open, what needs Matrix waits and asks nothing; what needs Authentik goes on."""
    world, onboarding = await begun()
    await outage(world)
    asked = len(world.homeserver.calls)
    await world.work()
    steps = await world.steps(onboarding)
    assert len(world.homeserver.calls) == asked
    assert steps["groups"].state == "done"
    waiting = [step for step in on_matrix(steps) if step.state != "pending"]
    assert {(step.state, step.waits_for) for step in waiting} == {("waiting", "matrix")}
    assert {step.cause for step in waiting} == {f"Matrix down since {world.now():%H:%M} UTC: {MATRIX_DOWN.cause}"}
    assert max(step.attempts for step in steps.values()) <= 2
    assert (await world.view(onboarding)).onboarding.state == "waiting"


async def test_a_day_of_outage_exhausts_nothing() -> None:
    """After a day without Matrix nothing has failed; when it is back everything goes on by itself."""
    world, onboarding = await begun()
    since = world.now()
    await outage(world)
    await world.live(hours=24, on=True)
    steps = await world.steps(onboarding)
    assert "failed" not in {step.state for step in steps.values()}
    assert max(step.attempts for step in steps.values()) <= 3
    assert all(f"since {since:%H:%M}" in step.cause for step in on_matrix(steps) if step.state == "waiting")
    assert len(world.homeserver.calls) < 24 * 60
    world.homeserver._planned.clear()
    world.pause(minutes=6)
    await world.live()
    await at_home(world, onboarding, MEMBER)
    assert await breakers.all_open(world) == []


async def test_new_members_during_an_outage() -> None:
    """Who comes while Matrix is down waits at once, and goes on with the others."""
    world, first = await begun()
    await outage(world)
    await world.member("bob")
    second = (await world.enrolled("bob", "e2")).onboarding
    await world.work()
    assert {step.attempts for step in on_matrix(await world.steps(second))} == {0}
    world.homeserver._planned.clear()
    world.pause(minutes=6)
    await world.live()
    await at_home(world, first, MEMBER)
    await at_home(world, second, "@bob:fake.test")


async def test_probes_become_rare() -> None:
    """A neighbour that is down is asked by one cheap call, at growing pauses of at most five minutes."""
    world = World()
    world.homeserver.fail_next(MATRIX_DOWN, times=99)
    await breakers.trip(world, "matrix", "down")
    pauses = []
    for _ in range(8):
        [breaker] = await breakers.all_open(world)
        assert not await breakers.probe(world, breaker)
        [breaker] = await breakers.all_open(world)
        assert breaker.probe_at is not None
        pauses.append((breaker.probe_at - world.now()).total_seconds())
        assert not await breakers.probe(world, breaker)
        world.pause(seconds=pauses[-1])
    assert pauses == [5, 10, 20, 40, 80, 160, 300, 300]
    assert len(world.homeserver.calls) == 8


@pytest.mark.parametrize("answer", [Refused("no", code="M_FORBIDDEN"), Limited("slow down", 9)])
async def test_any_answer_is_an_answer(answer: Exception) -> None:
    """A neighbour that refuses or limits us is up: the breaker closes."""
    world = World()
    await breakers.trip(world, "matrix", "down")
    [breaker] = await breakers.all_open(world)
    world.homeserver.fail_next(answer)
    assert await breakers.probe(world, breaker)
    assert await breakers.all_open(world) == []


async def test_the_beginning_stays() -> None:
    """Further faults and probes change nothing about since when it has been down."""
    world = World()
    first = await breakers.trip(world, "matrix", "down")
    world.pause(hours=3)
    again = await breakers.trip(world, "matrix", "still down")
    assert again.since == first.since == world.now() - timedelta(hours=3)


async def test_authentik_has_one_of_its_own() -> None:
    """Authentik down keeps nobody from the rooms; its own steps wait for it, and go on."""
    world, onboarding = await begun(1)
    await breakers.trip(world, "authentik", "no answer")
    await world.work()
    steps = await world.steps(onboarding)
    assert (steps["groups"].state, steps["groups"].waits_for) == ("waiting", "authentik")
    assert steps["groups"].cause.startswith("Authentik down since")
    assert steps["indoc_removal"].state == "done"
    await world.live()
    await at_home(world, onboarding, MEMBER)


async def test_it_is_shown_in_the_self_check() -> None:
    """The self-check says in one line who is down and since when."""
    world = World()
    await breakers.trip(world, "matrix", "no answer")
    findings = [finding for finding in await self_check(world, ()) if finding.name == "neighbours"]
    assert [(finding.ok, finding.detail[:22]) for finding in findings] == [
        (False, "Matrix down since " + f"{world.now():%H:%M}"[:4])
    ]
