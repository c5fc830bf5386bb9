"""INDOC_LEAVE_AFTER_JOIN: out of INDOC once they are in a room of theirs, and reminded twice until then."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from shared.domain.errors import Unreachable
from shared.services import onboardings, sync, where
from tests.fakes.faulty_documents import Killed
from tests.world import ADMIN, World

ADA = "@ada:fake.test"


async def guarded(rooms: int = 2, *, on: bool = True) -> tuple[World, str]:
    world = World()
    world.furnish(rooms)
    world.policy = replace(world.policy, leave_after_join=on)
    await world.member()
    verdict = await world.enrolled("ada")
    await world.work()
    return world, verdict.onboarding


async def passing(world: World, hours: float) -> None:
    for _ in range(round(hours * 12)):
        world.pause(minutes=5)
        await world.sweep()
        await world.work()


def said(world: World) -> list[str]:
    return [event["content"]["body"] for event in world.indoc.events]


async def test_they_stay_until_they_have_joined() -> None:
    """Invited is not enough; joined, they are said farewell to and leave at the next sweep."""
    world, onboarding = await guarded()
    await passing(world, 0.5)
    steps = await world.steps(onboarding)
    assert (steps["indoc_farewell"].state, steps["indoc_farewell"].waits_for) == ("waiting", "target")
    assert "has not joined any of their 2 rooms yet" in steps["indoc_farewell"].cause
    assert (steps["indoc_removal"].state, world.indoc.members[ADA], said(world)) == ("pending", "join", [])
    world.homeserver.join(ADA, world.policy.default_rooms[1])
    await world.sweep()
    await world.work()
    assert world.indoc.members[ADA] == "leave"
    assert (await world.view(onboarding)).state == "done"
    assert len(said(world)) == 1


async def test_two_reminders() -> None:
    """One after an hour, one more after a day, and no third."""
    world, _ = await guarded()
    await passing(world, 0.9)
    assert said(world) == []
    await passing(world, 0.5)
    assert len(said(world)) == 1
    await passing(world, 22)
    assert len(said(world)) == 1
    await passing(world, 7)
    assert len(said(world)) == 2
    assert all(event["content"]["m.mentions"] == {"user_ids": [ADA]} for event in world.indoc.events)
    world.pause(days=3)
    await passing(world, 2)
    assert (len(said(world)), world.indoc.members[ADA]) == (2, "join")


async def test_late_but_in_the_end() -> None:
    """Whoever joins weeks later is seen by the slow look."""
    world, onboarding = await guarded()
    for _ in range(30):
        world.pause(hours=24)
        await world.sweep()
        await world.work()
    world.homeserver.join(ADA, world.policy.default_rooms[0])
    for _ in range(3):
        world.pause(hours=24)
        await world.sweep()
        await world.work()
    assert (await world.view(onboarding)).state == "done"


async def test_without_rooms_at_once() -> None:
    """Nobody waits for a room who has none."""
    world, onboarding = await guarded(0)
    await world.live()
    assert (world.indoc.members[ADA], (await world.view(onboarding)).state) == ("leave", "done")


async def test_not_unless_it_is_wanted() -> None:
    """Switched off, as by default, they leave at once; switched off while they wait, at the next sweep."""
    world, _ = await guarded(on=False)
    assert world.indoc.members[ADA] == "leave"
    world, _ = await guarded()
    world.policy = replace(world.policy, leave_after_join=False)
    await world.sweep()
    await world.work()
    assert world.indoc.members[ADA] == "leave"


async def test_a_farewell_that_is_skipped() -> None:
    """The removal waits by itself too, where an admin has skipped the farewell."""
    world, onboarding = await guarded()
    await onboardings.skip(world, ADMIN, onboarding, "indoc_farewell", "spoke to them")
    await world.work()
    removal = (await world.steps(onboarding))["indoc_removal"]
    assert (removal.state, removal.waits_for, world.indoc.members[ADA]) == ("waiting", "target", "join")
    world.homeserver.join(ADA, world.policy.default_rooms[0])
    await world.sweep()
    await world.work()
    assert world.indoc.members[ADA] == "leave"


async def test_who_leaves_by_themselves() -> None:
    """Gone from INDOC by their own hand: there is nothing left to wait for."""
    world, onboarding = await guarded()
    world.homeserver.leave(ADA, world.policy.indoc)
    await passing(world, 3)
    assert (await world.view(onboarding)).state == "done"


@pytest.mark.parametrize("number", range(1, 10))
async def test_a_death_at_any_write(number: int) -> None:
    """However it dies, each reminder comes once."""
    world, _ = await guarded()
    world.pause(minutes=61)
    world.documents.fail_at(number, Killed())
    await passing(world, 2)
    assert len(said(world)) == 1


async def test_few_calls() -> None:
    """A sweep asks once for each who waits, whatever the number of their rooms."""
    world, _ = await guarded(12)
    world.homeserver.calls.clear()
    world.pause(minutes=1)
    await world.sweep()
    assert len(world.homeserver.called("joined_among")) == 1
    assert world.homeserver.called("membership") == []


# ------------------------------------------------------------------ live, else from the cache


async def test_live_where_it_answers() -> None:
    """What the homeserver says now has no age."""
    world, _ = await guarded()
    world.homeserver.join(ADA, world.policy.default_rooms[0])
    seen = await where.whereabouts(world, ADA)
    assert (seen.live, seen.age_seconds) == (True, None)
    assert {room.room_id for room in seen.rooms} == {world.policy.default_rooms[0], world.policy.indoc}


async def test_from_the_cache_where_it_does_not() -> None:
    """Labelled with its age; without a cache the fault is told as it is."""
    world, _ = await guarded()
    [live, fault] = [await where.whereabouts(world, ADA), Unreachable("matrix", "no answer")]
    world.homeserver.fail_next(fault, times=9, method="rooms_of")
    with pytest.raises(Unreachable):
        await where.whereabouts(world, ADA)
    await sync.run(world, "matrix")
    world.pause(minutes=10)
    seen = await where.whereabouts(world, ADA)
    assert (seen.live, seen.age_seconds) == (False, 600.0)
    assert [room.room_id for room in seen.rooms] == [room.room_id for room in live.rooms] != []


async def test_the_cache_is_asked_where_it_is_fresh() -> None:
    """Just after a sync nobody is asked for by themselves; later the homeserver is, one by one."""
    world, _ = await guarded()
    await sync.run(world, "matrix", "full")
    world.homeserver.calls.clear()
    await world.sweep()
    assert world.homeserver.called("joined_among") == []
    world.homeserver.join(ADA, world.policy.default_rooms[0])
    await sync.run(world, "matrix", "light")
    await world.sweep()
    assert world.homeserver.called("joined_among") == []
    await world.work()
    assert world.indoc.members[ADA] == "leave"


async def test_an_older_cache_is_not_asked() -> None:
    """Nobody waits for a sync: who has joined since leaves at the next sweep."""
    world, _ = await guarded()
    await sync.run(world, "matrix", "full")
    world.pause(seconds=91)
    world.homeserver.join(ADA, world.policy.default_rooms[0])
    await world.sweep()
    await world.work()
    assert world.indoc.members[ADA] == "leave"
