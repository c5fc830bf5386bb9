"""The sweep: finds whatever was lost on the way, starts nothing that is not ours, and nothing twice."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.errors import Misconfigured, Unreachable
from shared.domain.invites import ATTRIBUTE
from shared.ports import Create, Put, Replace
from shared.services.resume import HEARTBEAT, LEASE, LEASE_FOR, PARTS, due_steps, resume
from tests.fakes.faulty_documents import Killed
from tests.world import World, at_home

MEMBER = "@ada:fake.test"


async def begun(rooms: int = 1) -> tuple[World, str]:
    world = World()
    world.furnish(rooms)
    await world.member()
    return world, (await world.enrolled("ada")).onboarding


# ------------------------------------------------------------------ lost on the way


async def test_a_lost_task_is_enqueued_again() -> None:
    """A task that never comes is made anew, under a name that was never used, once it is a minute late."""
    world, onboarding = await begun()
    lost = {task.name for task in world.queue.take(world.now())}
    world.pause(seconds=59)
    await resume(world)
    assert world.queue.tasks == {}
    world.pause(seconds=2)
    report = await resume(world)
    assert report is not None
    assert report.done["due_steps"] == len(lost)
    assert not lost & set(world.queue.tasks)
    await world.live()
    await at_home(world, onboarding, MEMBER)


async def test_enqueued_never() -> None:
    """Where the queue was down when the webhook came, the sweep starts everything."""
    world = World()
    world.furnish(1)
    await world.member()
    world.queue.fail_next(99)
    onboarding = (await world.enrolled("ada")).onboarding
    world.queue._failures = 0
    await world.live()
    await at_home(world, onboarding, MEMBER)


async def test_a_lost_enqueue_is_not_waited_for() -> None:
    """However often the queue was down: once it is back, the next sweep enqueues. Patience is for a queue that is slow."""
    world, onboarding = await begun()
    world.queue.tasks.clear()
    for _ in range(6):
        world.pause(minutes=2)
        world.queue.fail_next(99)
        await resume(world)
        assert world.queue.tasks == {}
    assert max(step.generation for step in (await world.steps(onboarding)).values()) == 6
    world.queue._failures = 0
    world.pause(seconds=1)
    await resume(world)
    assert world.queue.tasks
    await world.live()
    await at_home(world, onboarding, MEMBER)


async def test_a_lost_enqueue_is_said_in_spite_of_the_store() -> None:
    """That nothing was enqueued is written down though the store fails right then: two faults in a row cost a minute, not
    a quarter of an hour."""
    world, onboarding = await begun()
    world.queue.tasks.clear()
    [step, *others] = [step for step in (await world.steps(onboarding)).values() if step.state == "scheduled"]
    for other in others:
        await world.documents.write(Put(other.path, other.but(state="skipped", due_at=None).data()))
    late = step.but(generation=4, due_at=world.now() - timedelta(hours=1))
    await world.documents.write(Put(step.path, late.data()))
    world.queue.fail_next(99)
    for number in (2, 3):
        world.documents.fail_at(number, Unreachable("store", "down for a moment"))
    await due_steps(world)
    world.queue._failures = 0
    world.pause(seconds=1)
    assert await due_steps(world) == 1
    assert world.queue.tasks


async def test_an_expired_claim_is_taken_over() -> None:
    """A step whose holder died is run again after its claim has lapsed, not before."""
    world, onboarding = await begun()
    task = world.due("hello")
    world.homeserver.fail_next(Killed(), after_effect=True, method="send")  # type: ignore[arg-type]
    with pytest.raises(Killed):
        await world.once(task)
    await world.work()
    world.pause(seconds=80)
    await resume(world)
    assert (await world.steps(onboarding))["hello"].state == "running"
    world.pause(seconds=11)
    await resume(world)
    assert (await world.steps(onboarding))["hello"].state == "scheduled"
    await world.live()
    await at_home(world, onboarding, MEMBER)


async def test_what_is_to_come_is_left_alone() -> None:
    """A step whose time has not come, and whose task waits in the queue, gets no second one."""
    world, _ = await begun(8)
    world.homeserver.limit_invites(burst=5, every=333)
    await world.work()
    world.pause(seconds=90)
    await world.work()
    await resume(world)
    before = set(world.queue.tasks)
    world.pause(seconds=100)
    report = await resume(world)
    assert report is not None
    assert report.done["due_steps"] == 0
    assert set(world.queue.tasks) == before


async def test_the_last_step_was_recorded_and_nobody_said_so() -> None:
    """An onboarding whose last step was recorded by a process that died is settled by the sweep."""
    world, onboarding = await begun(0)
    await world.work()
    world.pause(seconds=5)
    world.documents.fail_at(4, Killed())  # the claim, the record of the message, the outcome, and what they add up to
    with pytest.raises(Killed):
        await world.once(world.due("welcome"))
    view = await world.view(onboarding)
    assert (view.state, view.onboarding.state) == ("done", "running")
    await world.live()
    view = await world.view(onboarding)
    assert (view.state, view.onboarding.state) == ("done", "done")


async def test_nothing_waits_any_more_and_nobody_said_so() -> None:
    """An onboarding that is still said to wait, though none of its steps does, is settled by the sweep too."""
    world, onboarding = await begun()
    await world.live()
    await at_home(world, onboarding, MEMBER)
    document = await world.store.get(f"onboardings/{onboarding}")
    assert document is not None
    stale = document.data | {"state": "waiting", "finished_at": None}
    await world.store.write(Replace(document.path, stale, document.version))
    world.pause(minutes=2)
    await resume(world)
    assert (await world.view(onboarding)).onboarding.state == "done"


async def test_held_stays_held() -> None:
    """What the sweep does to a held onboarding's own step does not make it look as if it ran."""
    world = World()
    world.furnish(0)
    invite = await world.invite(email="other@example.test")
    world.authentik.enroll(invite.code, "ada")
    onboarding = (await world.enrolled("ada")).onboarding
    world.authentik.fail("update_account", Unreachable("authentik", "no answer"), times=5)
    world.failures["authentik"] = 4
    await world.work()
    assert (await world.steps(onboarding))["deactivate"].waits_for == "authentik"
    await resume(world)
    assert (await world.steps(onboarding))["deactivate"].state == "scheduled"
    assert (await world.view(onboarding)).onboarding.state == "held"


# ------------------------------------------------------------------ enrollments


async def test_a_thousand_existing_accounts() -> None:
    """The first run on an installation with 1,000 users starts nothing, nor do the next ones."""
    world = World()
    world.furnish(2)
    for number in range(1_000):
        world.authentik.add_account(f"old{number}")
        world.authentik._enrolled.add(f"old{number}")
    world.pause(minutes=1)
    for _ in range(3):
        report = await resume(world)
        assert report is not None
        assert not any(report.done.values())
        world.pause(minutes=5)
    assert await world.documents_in("onboardings") == []
    assert "enrolled_by_flow" not in world.authentik.calls


async def test_the_webhook_that_never_came() -> None:
    """Who bears our invite, or was made by the enrollment flow after the installation, is begun by the sweep."""
    world = World()
    world.furnish(1)
    await resume(world)
    world.pause(minutes=5)
    await world.member("ada")
    world.arrive("bob")
    world.authentik.add_account("bob")
    world.authentik._enrolled.add("bob")
    world.authentik.add_account("made-by-hand")
    world.pause(minutes=1)
    report = await resume(world)
    assert report is not None
    assert report.done["enrollments"] == 2
    rows = {row["username"]: row for row in await world.documents_in("onboardings")}
    assert {name: row["source"] for name, row in rows.items()} == {"ada": "sweep", "bob": "sweep"}
    await world.live()
    for name, row in rows.items():
        await at_home(world, row["id"], f"@{name}:fake.test")


async def test_never_a_second_one() -> None:
    """Neither a later webhook nor a later sweep begins anew what the sweep has begun."""
    world = World()
    world.furnish(1)
    await world.member()
    world.pause(minutes=1)
    await resume(world)
    assert (await world.enrolled("ada")).kind == "known"
    world.pause(minutes=5)
    await world.live()
    [onboarding] = await world.documents_in("onboardings")
    await at_home(world, onboarding["id"], MEMBER)
    [invite] = await world.documents_in("invites")
    assert invite["uses"] == 1


async def test_the_webhook_may_be_first() -> None:
    """An account that was made a moment ago is left to its webhook."""
    world = World()
    world.furnish(0)
    await world.member()
    world.pause(seconds=4)
    await resume(world)
    assert await world.documents_in("onboardings") == []
    world.pause(minutes=2)
    await resume(world)
    assert len(await world.documents_in("onboardings")) == 1


async def test_the_watermark_goes_on() -> None:
    """Accounts are not looked at for ever: the watermark follows, with an hour's overlap."""
    world = World()
    world.furnish(0)
    await resume(world)
    for hour in range(5):
        world.pause(hours=1)
        await world.member(f"m{hour}")
        world.pause(minutes=1)
        await resume(world)
    asked = []
    accounts = world.authentik.accounts

    async def noted(**how: Any) -> Any:
        found = await accounts(**how)
        asked.append(len(found.items))
        return found

    world.authentik.accounts = noted  # type: ignore[method-assign]
    await resume(world)
    assert asked == [1]
    assert len(await world.documents_in("onboardings")) == 5


async def test_three_pages_of_lost_enrollments() -> None:
    """After a long silence all are found, however many pages Authentik needs for them."""
    world = World()
    await resume(world)
    invite = await world.invite(max_uses=1_000)
    world.pause(minutes=1)
    for number in range(230):
        world.authentik.enroll(invite.code, f"m{number}")
    world.pause(minutes=1)
    report = await resume(world)
    assert report is not None
    assert report.done["enrollments"] == 230
    [row] = await world.documents_in("invites")
    assert row["uses"] == 230


@pytest.mark.parametrize("odd", ["__x__", "a/b", "..", "\N{SNOWMAN}" * 300, ["list"], 7])
async def test_one_odd_account_stops_no_other(odd: object) -> None:
    """Whatever an account's attributes hold, the others are begun; an invite that is not ours is left alone."""
    world = World()
    world.furnish(0)
    await resume(world)
    world.pause(minutes=1)
    world.authentik.add_account("odd", attributes={ATTRIBUTE: odd})
    await world.member("good")
    world.pause(minutes=1)
    report = await resume(world)
    assert report is not None
    assert (report.done["enrollments"], report.failed) == (1, {})
    assert [row["username"] for row in await world.documents_in("onboardings")] == ["good"]


async def test_one_that_cannot_be_begun() -> None:
    """An enrollment that is refused for good keeps nobody else waiting."""
    world = World()
    world.furnish(0)
    await resume(world)
    await world.member("bad", rooms=("#" + "x" * 1_500 + ":fake.test",))
    await world.member("good")
    world.pause(minutes=1)
    report = await resume(world)
    assert report is not None
    assert report.failed == {}
    assert [row["username"] for row in await world.documents_in("onboardings")] == ["good"]


async def test_a_fault_with_one_enrollment() -> None:
    """A passing fault while one enrollment is begun keeps no other from its turn; the next run begins that one as well."""
    world = World()
    world.furnish(0)
    await resume(world)
    for name in ("first", "second", "third"):
        await world.member(name)
    world.pause(minutes=1)
    world.documents.fail_at(2, Unreachable("firestore", "no answer"))  # after the lease
    report = await resume(world)
    assert report is not None
    assert report.failed == {"enrollments": "no answer"}
    assert {row["username"] for row in await world.documents_in("onboardings")} == {"second", "third"}
    await resume(world)
    assert len(await world.documents_in("onboardings")) == 3


# ------------------------------------------------------------------ one run at a time


async def test_one_run_at_a_time() -> None:
    """Of four runs at the same instant one works; the others are told that it does."""
    world, _ = await begun()
    reports = await asyncio.gather(*(resume(world) for _ in range(4)))
    assert [report is None for report in reports].count(False) == 1
    assert await world.store.get(LEASE) is None
    assert await resume(world) is not None


async def test_a_run_that_died() -> None:
    """The lease of a run that died lapses after four minutes."""
    world, _ = await begun()
    world.authentik.fail("accounts", Killed())  # type: ignore[arg-type]
    with pytest.raises(Killed):
        await resume(world)
    assert await resume(world) is None
    world.pause(seconds=LEASE_FOR.total_seconds() + 1)
    assert await resume(world) is not None


async def test_a_run_that_took_too_long() -> None:
    """A run that outlived its lease does not take away that of the next one."""
    world, _ = await begun()
    accounts = world.authentik.accounts

    async def slow(**how: Any) -> Any:
        world.authentik.accounts = accounts  # type: ignore[method-assign]
        world.pause(minutes=5)
        await world.store.write(Create(LEASE, {"v": 1, "expire_at": world.now() + timedelta(minutes=4)}))
        return await accounts(**how)

    world.authentik.accounts = slow  # type: ignore[method-assign]
    assert await resume(world) is not None
    assert await world.store.get(LEASE) is not None


@pytest.mark.parametrize("error", [Unreachable("authentik", "no answer"), Misconfigured("no token"), KeyError("bug")])
async def test_one_failing_part_stops_no_other(error: Exception) -> None:
    """Whatever happens to one part, even a bug, the others do their work, and the report says what could not be done."""
    world, onboarding = await begun()
    world.queue.take(world.now())
    world.pause(minutes=2)
    world.authentik.fail("accounts", error)  # type: ignore[arg-type]
    report = await resume(world)
    assert report is not None
    assert set(report.failed) == {"enrollments"}
    assert set(report.done) == set(PARTS) - {"enrollments"}
    assert report.done["due_steps"] > 0
    beat = await world.store.get(HEARTBEAT)
    assert beat is not None
    assert beat.data["failed"] == report.failed
    await world.live()
    await at_home(world, onboarding, MEMBER)


async def test_everything_outside_is_down() -> None:
    """With Matrix and Authentik down a run still comes to its end, and the next one mends it all."""
    world, onboarding = await begun()
    world.queue.take(world.now())
    world.pause(minutes=2)
    world.homeserver.fail_next(Unreachable("matrix", "no answer"), times=50)
    world.authentik.fail("accounts", Unreachable("authentik", "no answer"), times=2)
    assert await resume(world) is not None
    await world.work()
    world.homeserver._planned.clear()
    world.pause(minutes=6)
    await world.live()
    await at_home(world, onboarding, MEMBER)
