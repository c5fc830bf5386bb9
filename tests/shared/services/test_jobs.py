"""Admin acts on more than one room: each room's outcome is told, and a repeat starts nothing twice."""

from __future__ import annotations

import asyncio

import pytest

from shared.domain.errors import Conflict, Invalid, NotFound, Refused
from shared.services import jobs
from shared.services.jobs import JobView, Wanted
from tests.fakes.faulty_documents import Killed
from tests.world import ADMIN, World

MEMBER = "@ada:fake.test"


def furnished(rooms: int = 3) -> World:
    world = World()
    world.furnish(rooms)
    world.arrive("ada")
    return world


def outcomes(view: JobView) -> list[str]:
    return [step.state for step in view.steps]


async def test_invite_to_rooms() -> None:
    """One step a room, each with what the homeserver confirmed."""
    world = furnished()
    rooms = world.policy.default_rooms
    started = await jobs.start(world, ADMIN, Wanted("invite", MEMBER, (*rooms, rooms[0])))
    assert (started.state, len(started.steps)) == ("running", 3)
    await world.live()
    view = await jobs.view(world, started.job.id)
    assert (view.state, view.job.state, view.job.finished_at is not None) == ("done", "done", True)
    assert all(world.homeserver.homes[room].members[MEMBER] == "invite" for room in rooms)


async def test_each_rooms_outcome() -> None:
    """A room that fails is shown with its cause and keeps none of the others from being done."""
    world = furnished()
    world.homeserver.leave(world.homeserver.user_id, world.policy.default_rooms[1])
    started = await jobs.start(world, ADMIN, Wanted("invite", MEMBER, world.policy.default_rooms))
    await world.live()
    view = await jobs.view(world, started.job.id)
    assert (view.state, sorted(outcomes(view))) == ("failed", ["done", "done", "failed"])
    [failed] = [step for step in view.steps if step.state == "failed"]
    assert "the bot is not in the room" in failed.cause
    assert failed.fix


async def test_remove_from_rooms() -> None:
    """Looked at live: removed where they are, skipped with the reason where they are not."""
    world = furnished()
    first, second, third = world.policy.default_rooms
    world.homeserver.join(MEMBER, first)
    world.homeserver.leave(MEMBER, second)
    started = await jobs.start(world, ADMIN, Wanted("remove", MEMBER, (first, second, third), "moved away"))
    await world.live()
    view = await jobs.view(world, started.job.id)
    by_room = {step.room: step for step in view.steps}
    assert (by_room[first].state, by_room[second].state, by_room[third].state) == ("done", "skipped", "skipped")
    assert "not in the room" in by_room[third].result["reason"]
    assert world.homeserver.called("kick") == [(first, MEMBER, "moved away")]
    assert world.homeserver.homes[first].members[MEMBER] == "leave"


async def test_remove_from_every_room() -> None:
    """Without rooms: every managed room that they are in, but never the direct one."""
    world = furnished()
    first, second, _ = world.policy.default_rooms
    world.homeserver.join(MEMBER, first)
    world.homeserver.join(MEMBER, second)
    direct = world.homeserver.add_room("Welcome", members={MEMBER: "join"})
    world.homeserver.direct = {MEMBER: [direct]}
    started = await jobs.start(world, ADMIN, Wanted("remove", MEMBER, reason="moved away"))
    await world.live()
    assert world.homeserver.homes[direct].members[MEMBER] == "join"
    view = await jobs.view(world, started.job.id)
    assert {step.room for step in view.steps} == {first, second, world.policy.indoc}
    assert set(outcomes(view)) == {"done"}


async def test_nowhere_to_remove_from() -> None:
    """Who is in no room is removed from none: the job is done at once."""
    world = furnished()
    started = await jobs.start(world, ADMIN, Wanted("remove", "@bob:fake.test", reason="x"))
    assert (started.state, started.job.state, started.job.finished_at) == ("done", "done", world.now())


@pytest.mark.parametrize("wanted", [Wanted("invite", "ada", ("!a",)), Wanted("invite", MEMBER), Wanted("remove", "@:")])
async def test_bad_input(wanted: Wanted) -> None:
    """A Matrix id of another shape, or an invitation to nowhere, is refused, and nothing begins."""
    world = furnished()
    with pytest.raises(Invalid):
        await jobs.start(world, ADMIN, wanted)
    assert await world.documents_in("jobs") == []


async def test_dry_run() -> None:
    """A dry run shows the rooms and does nothing."""
    world = furnished()
    view = await jobs.start(world, ADMIN, Wanted("invite", MEMBER, world.policy.default_rooms), dry_run=True)
    assert len(view.steps) == 3
    assert await world.documents_in("jobs") == []
    assert world.queue.tasks == {}


async def test_a_repeat() -> None:
    """The same key and body answer the same job, also at the same moment; another body is a conflict."""
    world = furnished()
    wanted = Wanted("invite", MEMBER, world.policy.default_rooms, key="k", body="b")
    views = await asyncio.gather(*(jobs.start(world, ADMIN, wanted) for _ in range(4)))
    assert len({view.job.id for view in views}) == 1
    assert len(await world.documents_in("jobs")) == 1
    await world.live()
    assert len(world.homeserver.called("invite")) == 3
    with pytest.raises(Conflict):
        await jobs.start(world, ADMIN, Wanted("invite", MEMBER, ("!a",), key="k", body="c"))


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("number", range(1, 12))
async def test_a_death_at_any_write(number: int, after: bool) -> None:
    """A death anywhere in a job ends in each room's removal, once."""
    world = furnished(2)
    for room in world.policy.default_rooms:
        world.homeserver.join(MEMBER, room)
    world.documents.fail_at(number, Killed(), after=after)
    wanted = Wanted("remove", MEMBER, world.policy.default_rooms, "x", key="k", body="b")
    for _ in range(2):
        try:
            job = (await jobs.start(world, ADMIN, wanted)).job.id
        except Killed:
            world.pause(seconds=5)
    await world.live()
    view = await jobs.view(world, job)
    assert view.state == "done"
    assert {world.homeserver.homes[room].members[MEMBER] for room in world.policy.default_rooms} == {"leave"}


async def test_limits_of_the_homeserver() -> None:
    """A job's rooms are paced like an onboarding's."""
    world = furnished(12)
    world.homeserver.limit_invites(burst=5, every=333)
    started = await jobs.start(world, ADMIN, Wanted("invite", MEMBER, world.policy.default_rooms))
    await world.live()
    assert set(outcomes(await jobs.view(world, started.job.id))) == {"done"}
    assert len(world.homeserver.called("invite")) <= 24


async def test_a_refused_removal_says_why() -> None:
    """Whoever cannot be removed is named with both power levels."""
    world = furnished(0)
    room = world.homeserver.add_room("Council", version="10", powers={MEMBER: 100}, members={MEMBER: "join"})
    started = await jobs.start(world, ADMIN, Wanted("remove", MEMBER, (room,), "x"))
    await world.live()
    [step] = (await jobs.view(world, started.job.id)).steps
    assert step.cause == f"{MEMBER} has power 100 in Council, the bot 100: it cannot remove them"


async def test_unknown() -> None:
    """A job that nobody knows is not found."""
    with pytest.raises(NotFound):
        await jobs.view(World(), "job_none")


async def test_who_and_from_where() -> None:
    """The start and each act are audited, with the admin who asked."""
    world = furnished(1)
    world.homeserver.fail_next(Refused("no", code="M_ODD"), method="invite")
    await jobs.start(world, ADMIN, Wanted("invite", MEMBER, world.policy.default_rooms, "because"))
    await world.live()
    records = {record["action"]: record for record in await world.audits()}
    assert set(records) == {"rooms.invite", "step.room"}
    assert {record["actor"] for record in records.values()} == {ADMIN.name}
    assert records["rooms.invite"]["source"] == ADMIN.source
    assert records["step.room"]["outcome"] == "failed"
