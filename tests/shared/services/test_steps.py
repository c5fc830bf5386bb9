"""How a step is run: claimed, done, recorded; told apart by what went wrong; and never twice."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest

from shared.domain.errors import Limited, Misconfigured, NotFound, Refused, TryLater, Unreachable
from shared.domain.onboarding import MAX_FAULTS
from shared.ports import Task
from shared.repositories import ONBOARDINGS, steps_of
from shared.services.actions import ACTIONS, actions_of
from shared.services.breakers import trip
from shared.services.onboardings import retry
from shared.services.steps import CLAIM, Act, Claimed, Ending, run_step
from tests.fakes.faulty_documents import Killed
from tests.world import ADMIN, World, at_home

MEMBER = "@ada:fake.test"
DOWN = Unreachable("matrix", "the homeserver did not answer")


async def begun(rooms: int = 1, *, there: bool = True, **fields: object) -> tuple[World, str]:
    """Somebody whose webhook has come; no task was delivered yet."""
    world = World()
    world.furnish(rooms, **fields)  # type: ignore[arg-type]
    await world.member(there=there)
    return world, (await world.enrolled("ada")).onboarding


def room_task(world: World, number: int = 0) -> Task:
    return world.due(f"room:{world.policy.default_rooms[number]}")


# ------------------------------------------------------------------ claims


async def test_a_task_delivered_twice_acts_once() -> None:
    """A step that has ended is left alone: the second delivery answers its state and touches nothing."""
    world, onboarding = await begun()
    task = room_task(world)
    assert await world.once(task) == "done"
    version = (await steps_of(world.store, f"onboardings/{onboarding}"))[-1].version
    assert await world.once(task) == "done"
    assert len(world.homeserver.called("invite")) == 1
    assert (await steps_of(world.store, f"onboardings/{onboarding}"))[-1].version == version


async def test_a_task_delivered_twice_at_once_acts_once() -> None:
    """Of eight deliveries at the same instant one has the claim; the others are told to come again."""
    world, _ = await begun()
    answers = await world.twice(room_task(world), 8)
    assert sorted(answers) == ["Claimed"] * 7 + ["done"]
    assert len(world.homeserver.called("invite")) == 1


async def test_a_claim_is_held() -> None:
    """While somebody has the claim, nobody else acts, whether or not he is still alive."""
    world, _ = await begun()
    task = room_task(world)
    world.homeserver.fail_next(Killed(), method="invite")  # type: ignore[arg-type]
    with pytest.raises(Killed):
        await world.once(task)
    world.pause(seconds=CLAIM.total_seconds() - 1)
    with pytest.raises(Claimed):
        await world.once(task)
    assert world.homeserver.homes[world.policy.default_rooms[0]].members.get(MEMBER) is None


async def test_a_lapsed_claim_is_taken_over() -> None:
    """A claim whose holder has died is another's after 90 seconds, and the step is done."""
    world, onboarding = await begun()
    task = room_task(world)
    world.homeserver.fail_next(Killed(), after_effect=True, method="invite")  # type: ignore[arg-type]
    with pytest.raises(Killed):
        await world.once(task)
    world.pause(seconds=CLAIM.total_seconds())
    assert await world.once(task) == "done"
    assert (await world.steps(onboarding))[task.payload["step"]].attempts == 2


async def test_a_claim_taken_over_records_nothing() -> None:
    """Who comes back after losing the claim cannot overwrite what the other has recorded."""
    world, onboarding = await begun()
    task = room_task(world)

    async def slow(act: Act) -> Ending:
        world.pause(seconds=100)
        assert await world.once(task) == "done"
        return await ACTIONS["room"](act)

    with pytest.raises(Claimed):
        await run_step(world, f"onboardings/{onboarding}", task.payload["step"], 0, {"room": slow})
    step = (await world.steps(onboarding))[task.payload["step"]]
    assert (step.state, step.attempts) == ("done", 2)


async def test_who_ends_last_settles() -> None:
    """A step that ends while this process is doing another one asks nobody what is still open; the last one does."""
    world, onboarding = await begun(2)
    first, second = room_task(world), room_task(world, 1)
    parent, asked = f"onboardings/{onboarding}", list[int]()

    async def slow(act: Act) -> Ending:
        before = world.documents.queries
        assert await world.once(second) == "done"
        asked.append(world.documents.queries - before)
        return await ACTIONS["room"](act)

    before = world.documents.queries
    assert await run_step(world, parent, first.payload["step"], 0, {"room": slow}) == "done"
    assert asked == [0]
    assert world.documents.queries - before == 1
    assert not world.under_way


async def test_the_other_one_dies_instead_of_settling() -> None:
    """Whoever was left to settle and died is run again: the onboarding ends all the same."""
    world, onboarding = await begun(2)
    first, second = room_task(world), room_task(world, 1)

    async def dies(act: Act) -> Ending:
        assert await world.once(second) == "done"
        raise Killed

    with pytest.raises(Killed):
        await run_step(world, f"onboardings/{onboarding}", first.payload["step"], 0, {"room": dies})
    await world.live()
    await at_home(world, onboarding, MEMBER)


async def test_an_old_generation_does_nothing() -> None:
    """A task from before a retry finds that a newer one has taken its place."""
    world, onboarding = await begun()
    old = room_task(world)
    world.homeserver.fail_next(Refused("no", code="M_NO"), method="invite")
    assert await world.once(old) == "failed"
    await retry(world, ADMIN, onboarding, [])
    assert await world.once(old) == "scheduled"
    assert len(world.homeserver.called("invite")) == 1
    await world.live()
    await at_home(world, onboarding, MEMBER)


async def test_a_step_that_is_not_there() -> None:
    """A task of an onboarding or a step that nobody knows raises `NotFound`, which its entry point answers by 200."""
    world, onboarding = await begun()
    for parent, step in (("onboardings/none", "hello"), (f"onboardings/{onboarding}", "none")):
        with pytest.raises(NotFound):
            await run_step(world, parent, step, None, actions_of("deliver_welcome"))


async def test_an_open_breaker_leaves_a_running_step_alone() -> None:
    """A duplicate that meets an open breaker does not take the claim of who is still acting."""
    world, onboarding = await begun()
    task = room_task(world)

    async def slow(act: Act) -> Ending:
        await trip(world, "matrix", "down")
        with pytest.raises(Claimed):
            await world.once(task)
        return await ACTIONS["room"](act)

    state = await run_step(world, f"onboardings/{onboarding}", task.payload["step"], 0, {"room": slow})
    assert state == "done"


# ------------------------------------------------------------------ passing faults


async def test_a_passing_fault_is_recorded_and_raised() -> None:
    """Cloud Tasks is told to try again, and the step says meanwhile why it is not done, with the next try."""
    world, onboarding = await begun()
    world.homeserver.fail_next(DOWN, method="invite")
    task = room_task(world)
    with pytest.raises(TryLater) as raised:
        await world.once(task)
    assert raised.value.after == 2
    step = (await world.steps(onboarding))[task.payload["step"]]
    assert (step.state, step.faults, step.cause) == ("scheduled", 1, DOWN.cause)
    assert step.due_at == world.now() + timedelta(seconds=2)


async def test_backoff_then_failed() -> None:
    """Ten passing faults, each pause twice the one before up to five minutes; then a person is shown cause and fix."""
    world, onboarding = await begun()
    task = room_task(world)
    world.homeserver.fail_next(TryLater("the homeserver hiccups", "Look at its log."), times=99, method="invite")
    pauses = []
    for _ in range(MAX_FAULTS - 1):
        with pytest.raises(TryLater) as raised:
            await world.once(task)
        pauses.append(raised.value.after)
        world.pause(seconds=raised.value.after or 0)
    assert pauses == [2, 4, 8, 16, 32, 64, 128, 256, 300]
    assert await world.once(task) == "failed"
    step = (await world.steps(onboarding))[task.payload["step"]]
    assert step.cause == "given up after 10 tries: the homeserver hiccups"
    assert step.fix == "Look at its log."
    assert step.due_at is None
    assert len(world.homeserver.called("invite")) == MAX_FAULTS


async def test_a_retry_of_what_was_given_up_begins_anew() -> None:
    """After "retry" the faults are forgotten, and the step is done."""
    world, onboarding = await begun()
    world.homeserver.fail_next(TryLater("hiccup"), times=10, method="invite")
    await world.live()
    assert (await world.view(onboarding)).onboarding.state == "failed"
    await retry(world, ADMIN, onboarding, [])
    assert (await world.view(onboarding)).onboarding.state == "running"
    await world.live()
    await at_home(world, onboarding, MEMBER)


async def test_a_bug_is_a_passing_fault() -> None:
    """An exception of our own making is retried as well, and never shows its inside on the page."""
    world, onboarding = await begun()
    world.homeserver.fail_next(KeyError("secret-inside"), method="invite")
    task = room_task(world)
    with pytest.raises(TryLater):
        await world.once(task)
    step = (await world.steps(onboarding))[task.payload["step"]]
    assert step.cause == "Muster failed (KeyError)"
    assert "secret-inside" not in world.rows()
    assert await world.once(task) == "done"


async def test_missing_settings_are_waited_for() -> None:
    """A token that is not set is not the member's fault: the step goes on once it is there."""
    world, onboarding = await begun()
    world.homeserver.fail_next(Misconfigured("MATRIX_ACCESS_TOKEN is missing", "Set it."), method="invite")
    await world.live()
    await at_home(world, onboarding, MEMBER)


async def test_a_fault_before_the_claim_is_recorded_too() -> None:
    """A message's step that cannot even learn which device it has is a passing fault like any other."""
    world, onboarding = await begun(0)
    world.homeserver.fail_next(DOWN, method="whoami")
    with pytest.raises(TryLater):
        await world.once(world.due("hello"))
    step = (await world.steps(onboarding))["hello"]
    assert (step.faults, step.attempts, step.sent_device) == (1, 0, "")
    world.homeserver.fail_next(Refused("the token is not valid", "Make a new one.", "M_UNKNOWN_TOKEN"), method="whoami")
    assert await world.once(world.due("indoc_farewell")) == "failed"


# ------------------------------------------------------------------ permanent ones


async def test_a_refusal_is_recorded_with_cause_and_fix() -> None:
    """What nobody but a person can mend ends the task, is shown, and keeps no other step from being done."""
    world, onboarding = await begun(3)
    refusal = Refused("the homeserver will not", "Ask its admin.", "M_ODD")
    world.homeserver.fail_next(refusal, method="invite")
    await world.live()
    states = await world.states(onboarding)
    assert sorted(states.values()) == ["done"] * 7 + ["failed"]
    step = next(step for step in (await world.steps(onboarding)).values() if step.state == "failed")
    assert (step.cause, step.fix, step.code) == (refusal.cause, refusal.fix, "M_ODD")
    assert (await world.view(onboarding)).onboarding.state == "failed"


async def test_retry_leaves_alone_what_is_done() -> None:
    """A retry acts on what failed and on nothing else."""
    world, onboarding = await begun(2)
    world.homeserver.fail_next(Refused("no", code="M_ODD"), method="invite")
    await world.live()
    before = len(world.homeserver.calls)
    await retry(world, ADMIN, onboarding, [])
    await world.work()
    assert [name for name, _ in world.homeserver.calls[before:]] == ["invite"]
    await at_home(world, onboarding, MEMBER)


# ------------------------------------------------------------------ the audit


async def test_each_act_is_audited_once() -> None:
    """Every step that was done has one audit record that says who, what, where and with which outcome."""
    world, onboarding = await begun(2)
    await world.live()
    acts = [record for record in await world.audits() if record["action"].startswith("step.")]
    assert sorted(record["action"] for record in acts) == sorted(
        f"step.{kind}" for kind in "invitation room room indoc_farewell indoc_removal hello welcome".split()
    )
    assert {record["outcome"] for record in acts} == {"done"}
    assert all(record["target"] == MEMBER for record in acts)
    assert all(onboarding in record["detail"]["step"] for record in acts)


# ------------------------------------------------------------------ 429


async def test_twenty_rooms_under_the_default_limits() -> None:
    """Five at once, then one every 5.5 minutes: 20 rooms cost at most 40 attempts, spaced, and no fault."""
    world, onboarding = await begun(20)
    world.homeserver.limit_invites(burst=5, every=333)
    begin = world.now()
    await world.live(hours=6)
    await at_home(world, onboarding, MEMBER)
    asked = world.homeserver.called("invite") + world.homeserver.called("create_direct_room")
    assert len(asked) <= 40
    steps = (await world.steps(onboarding)).values()
    assert {step.faults for step in steps} == {0}
    assert sum(step.attempts for step in steps if step.kind == "room") <= 40
    assert world.now() - begin < timedelta(seconds=333 * 21)


async def test_after_the_first_refusal_nobody_asks_in_vain() -> None:
    """The first 429 sets the pace: the other rooms take their places k x `retry_after` without an attempt."""
    world, onboarding = await begun(10)
    world.homeserver.limit_invites(burst=5, every=333)
    await world.work()
    steps = [step for step in (await world.steps(onboarding)).values() if step.kind == "room"]
    queued = sorted(step.due_at for step in steps if step.state == "scheduled" and step.due_at)
    gaps = {round((later - earlier).total_seconds()) for earlier, later in pairwise(queued)}
    assert len(queued) == 5
    assert gaps == {340}
    assert sum(step.attempts for step in steps) == 6
    assert all("limits how fast" in step.cause for step in steps if step.state == "scheduled")


async def test_the_queue_is_not_slowed() -> None:
    """A 429 is answered as done with, and the room gets a new task at its place."""
    world, _ = await begun()
    world.homeserver.fail_next(Limited("slow down", 333), method="invite")
    task = room_task(world)
    assert await world.once(task) == "scheduled"
    again = room_task(world)
    assert again.name != task.name
    assert again.at == world.now() + timedelta(seconds=333 * 1.02)


async def test_the_pace_is_one_members_own() -> None:
    """Another member's rooms do not stand in the row of the first."""
    world, _ = await begun(8)
    world.homeserver.limit_invites(burst=5, every=333)
    await world.work()
    await world.member("bob")
    other = (await world.enrolled("bob", "e2")).onboarding
    await world.work()
    steps = [step for step in (await world.steps(other)).values() if step.kind == "room"]
    assert [step.state for step in steps].count("done") == 5


async def test_a_limited_message_waits_as_long_as_it_is_told() -> None:
    """A 429 for a message is no fault either: a new task at `retry_after`, said in words that fit."""
    world, onboarding = await begun(0)
    world.homeserver.fail_next(Limited("slow down", 10), method="send")
    assert await world.once(world.due("hello")) == "scheduled"
    step = (await world.steps(onboarding))["hello"]
    assert step.due_at == world.now() + timedelta(seconds=10.2)
    assert step.faults == 0
    assert "asks for a pause" in step.cause
    await world.live()
    await at_home(world, onboarding, MEMBER)


# ------------------------------------------------------------------ what steps add up to


async def test_the_onboarding_says_what_its_steps_add_up_to() -> None:
    """Running while a step is open; done with a time once the last has ended."""
    world, onboarding = await begun()
    stored = await ONBOARDINGS.get(world.store, onboarding)
    assert (stored.record.state, stored.record.finished_at) == ("running", None)
    await world.live()
    stored = await ONBOARDINGS.get(world.store, onboarding)
    assert stored.record.state == "done"
    assert stored.record.finished_at is not None


async def test_the_welcome_comes_after_the_hello_and_its_delay() -> None:
    """The welcome is a task of its own, `WELCOME_DELAY_SECONDS` after the hello was said."""
    world, onboarding = await begun(0)
    assert (await world.steps(onboarding))["welcome"].state == "pending"
    await world.once(world.due("hello"))
    welcome = world.due("welcome")
    assert welcome.at == world.now() + timedelta(seconds=world.policy.welcome_delay)


async def test_the_welcome_comes_though_the_hello_failed() -> None:
    """A hello that could not be said keeps nobody from the welcome."""
    world, onboarding = await begun(0)
    world.homeserver.fail_next(Refused("no", code="M_ODD"), method="send")
    await world.once(world.due("hello"))
    await world.live()
    states = await world.states(onboarding)
    assert (states["hello"], states["welcome"]) == ("failed", "done")
