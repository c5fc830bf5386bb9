"""The syncs: what they find, what they write, and what they survive."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from shared.domain.errors import Refused, Unreachable
from shared.domain.syncs import SOURCES, Kind, Source
from shared.services import cache, sync, watch_check
from shared.services.shards import Busy
from tests.fakes.faulty_documents import Killed
from tests.world import DOMAIN, World

ADA, BOB = f"@ada:{DOMAIN}", f"@bob:{DOMAIN}"


@pytest.fixture
def world() -> World:
    made = World()
    made.furnish(rooms=3)
    for name in ("ada", "bob", "cleo"):
        made.authentik.add_account(name, name.title(), f"{name}@example.test")
        made.pause(seconds=7)
    for room in made.policy.default_rooms:
        made.homeserver.join(ADA, room)
    return made


async def run(world: World, source: Source, kind: Kind | None = None, budget: float = 60) -> sync.Report:
    """To its end, over all of its runs."""
    report = await sync.run(world, source, kind, budget)
    while not report.done:
        world.queue.take()
        report = await sync.run(world, source, None, budget)
    return report


async def users(world: World) -> dict[str, Any]:
    found = await cache.users(world)
    assert found is not None
    return {row.username: row for row in found}


async def seen(world: World) -> dict[str, Any]:
    """All that the cache says, without its ages and the numbers of Matrix ids."""
    people, where = await cache.users(world), await cache.memberships(world)
    assert people is not None
    assert where is not None
    return {
        "users": [(row, people.group_names(row)) for row in people],
        "rooms": {room: (row, where.members_of(room), where.invited_to(room)) for room, row in where.rooms.items()},
        "counts": [people.sync.counts, where.sync.counts],
    }


async def test_everybody_and_every_room(world: World) -> None:
    """A full sync finds accounts with their groups and rooms with their members, and says how many."""
    friends = world.authentik.add_group("friends")
    await world.authentik.add_to_group(friends, 2)
    for source in SOURCES:
        assert (await run(world, source)).kind == "full"
    found, where = await cache.users(world), await cache.memberships(world)
    assert found is not None
    assert where is not None
    assert {row.username: found.group_names(row) for row in found} == {"ada": ["friends"], "bob": [], "cleo": []}
    assert [row.username for row in found.found("ADA example")] == ["ada"]
    assert (found.sync.counts, where.sync.counts) == ({"users": 3, "groups": 1}, {"rooms": 4, "memberships": 7})
    assert {row.name for row in where.rooms_of(ADA)} == {"Room 0", "Room 1", "Room 2"}
    assert where.is_in(world.policy.default_rooms[0], ADA)
    assert not where.is_in(world.policy.indoc, ADA)
    assert where.members_of(world.policy.indoc) == {world.homeserver.user_id}
    assert where.rooms_of("@nobody:x") == []


@pytest.mark.parametrize("kind", ["light", "full"])
@pytest.mark.parametrize("source", SOURCES)
async def test_nothing_new(world: World, source: Source, kind: Kind) -> None:
    """A sync that finds nothing new writes its own document, and no other."""
    await run(world, source)
    before = {line for line in world.rows().splitlines() if not line.startswith("syncs")}
    world.pause(minutes=5)
    assert await run(world, source, kind) == replace(await run(world, source, kind), written=0)
    assert {line for line in world.rows().splitlines() if not line.startswith("syncs")} == before
    writes = world.documents.writes
    await run(world, source, "light")
    assert world.documents.writes - writes == 2


async def test_a_light_one_asks_little(world: World) -> None:
    """With nothing changed: two questions of Authentik besides the groups, and one sync of the homeserver; which devices
    these are a process asks once an hour."""
    for source in SOURCES:
        await run(world, source)
    world.pause(minutes=10)
    world.authentik.calls.clear()
    world.homeserver.calls.clear()
    for source in SOURCES:
        await run(world, source, "light")
    assert sorted(world.authentik.calls) == ["accounts", "accounts", "groups"]
    assert sorted(name for name, _ in world.homeserver.calls) == [
        "changes",
        "direct_rooms",
        "whoami",
        "whoami",
    ]


async def test_a_swap_is_seen(world: World) -> None:
    """One member for another at the same count: of a community, and of a room."""
    for source in SOURCES:
        await run(world, source)
    world.pause(minutes=5)
    await world.authentik.delete_account(3)
    world.authentik.add_account("dora")
    room = world.policy.default_rooms[0]
    world.homeserver.leave(ADA, room)
    world.homeserver.join(BOB, room)
    for source in SOURCES:
        assert (await run(world, source, "light")).kind == "light"
    assert set(await users(world)) == {"ada", "cleo", "dora"}
    where = await cache.memberships(world)
    assert where is not None
    assert where.members_of(room) == {world.homeserver.user_id, BOB}


async def test_rooms_left_upgraded_and_made(world: World) -> None:
    """A room that the bot has left is gone, an upgraded one says where it leads, a new one is there."""
    await run(world, "matrix")
    first, second, _ = world.policy.default_rooms
    world.homeserver.leave(world.homeserver.user_id, first)
    made = world.homeserver.add_room("Newer", members={ADA: "join", BOB: "invite"})
    world.homeserver.homes[second].replacement = made
    assert (await run(world, "matrix", "light")).kind == "light"
    where = await cache.memberships(world)
    assert where is not None
    assert first not in where.rooms
    assert where.rooms[second].replacement == made
    assert (where.members_of(made), where.invited_to(made)) == ({world.homeserver.user_id, ADA}, {BOB})


async def test_a_direct_room_is_nobodys_business(world: World) -> None:
    """What becomes a direct room leaves the cache; one that is direct is never read."""
    await run(world, "matrix")
    private, other = world.policy.default_rooms[0], world.homeserver.add_room("direct")
    await world.homeserver.set_direct_rooms({ADA: [private], BOB: [other]})
    for kind in ("light", "full"):
        await run(world, "matrix", kind)
        found = await cache.rooms(world)
        assert found is not None
        assert {private, other} & found.rooms.keys() == set()
    assert (other,) not in world.homeserver.called("state")


async def test_who_is_in_no_room_is_not_kept(world: World) -> None:
    """A full sync forgets the Matrix ids of those who have left everywhere."""
    await run(world, "matrix")
    for room in world.policy.default_rooms:
        world.homeserver.leave(ADA, room)
    await run(world, "matrix", "full")
    where = await cache.memberships(world)
    assert where is not None
    assert ADA not in where._ids
    world.homeserver.join(ADA, world.policy.indoc)
    await run(world, "matrix", "light")
    where = await cache.memberships(world)
    assert where is not None
    assert where.members_of(world.policy.indoc) == {ADA, world.homeserver.user_id}


async def test_a_position_that_is_lost(world: World) -> None:
    """When the homeserver does not know the position any more, everything is read anew."""
    await run(world, "matrix")
    world.homeserver._positions.clear()
    world.homeserver.join(BOB, world.policy.indoc)
    assert (await run(world, "matrix", "light")).kind == "full"
    assert (await run(world, "matrix", "light")).kind == "light"


async def test_nobody_to_watch(world: World) -> None:
    """Without a device of its own every sync of Matrix is a full one, and no `/sync` is asked for."""
    world.watched = False
    await run(world, "matrix")
    assert (await run(world, "matrix", "light")).kind == "full"
    assert world.homeserver.called("changes") == []


async def test_groups_are_found_by_a_full_one(world: World) -> None:
    """Coming into a group leaves no trace on the account: a light sync misses it, a full one finds it."""
    friends = world.authentik.add_group("friends")
    world.pause(minutes=70)
    await run(world, "authentik")
    world.pause(minutes=70)
    await world.authentik.add_to_group(friends, 2)
    expectations: list[tuple[Kind, tuple[str, ...]]] = [("light", ()), ("full", (friends,))]
    for kind, expected in expectations:
        await run(world, "authentik", kind)
        assert (await users(world))["ada"].groups == expected


async def test_many_deleted_at_once(world: World) -> None:
    """Beyond a bound of deleted accounts a light sync becomes a full one."""
    for number in range(60):
        world.authentik.add_account(f"user{number}")
    await run(world, "authentik")
    for pk in range(10, 55):
        await world.authentik.delete_account(pk)
    assert (await run(world, "authentik", "light")).kind == "full"
    assert len(await users(world)) == 63 - 45


async def test_finding_the_deleted_asks_little(world: World) -> None:
    """Of 500 accounts two are found missing in some dozens of questions."""
    for number in range(500):
        world.authentik.add_account(f"user{number}")
        world.pause(seconds=3)
    await run(world, "authentik")
    world.pause(minutes=10)
    for pk in (77, 401):
        await world.authentik.delete_account(pk)
    world.authentik.calls.clear()
    assert (await run(world, "authentik", "light")).kind == "light"
    assert len(await users(world)) == 501
    assert len(world.authentik.calls) < 50


async def test_a_page_that_shifts(world: World) -> None:
    """Somebody deleted while the pages are read pushes another off them: who is still there stays in the cache."""
    for number in range(250):
        world.authentik.add_account(f"user{number}")
    await run(world, "authentik")
    kept = dict(world.authentik._accounts)
    for pk in (5, 6, 7):  # as if they were deleted behind the pages that were read, and others slid over
        world.authentik._accounts.pop(pk)
    read = world.authentik.accounts

    async def shifted(**wanted: Any) -> Any:
        found = await read(**wanted)
        return replace(found, items=found.items[3:]) if wanted.get("page") == 2 else found

    world.authentik.accounts = shifted  # type: ignore[method-assign]
    await run(world, "authentik", "full")
    assert {row.pk for row in (await users(world)).values()} == kept.keys() - {5, 6, 7}


@pytest.mark.parametrize("kind", ["full", "light"])
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("after", [False, True])
async def test_a_death_at_each_write(source: Source, kind: Kind, *, after: bool) -> None:
    """Killed at any write, before or after it, and run again: the cache is what it would have been."""

    async def lived(kill: int) -> tuple[Any, int]:
        world = World()
        world.furnish(rooms=6)
        for number in range(120):
            world.authentik.add_account(f"user{number}")
            world.pause(seconds=1)
        other: Source = "matrix" if source == "authentik" else "authentik"
        await run(world, other)
        if kind == "light":
            await run(world, source)
            world.pause(minutes=5)
            await world.authentik.delete_account(50)
            world.authentik.add_account("new")
            world.homeserver.join(ADA, world.policy.indoc)
            world.homeserver.add_room("Newer", members={BOB: "join"})
        start = world.documents.writes
        if kill:
            world.documents.fail_at(kill, Killed(), after=after)
        for _ in range(60):
            try:
                await run(world, source, kind, budget=0)
                break
            except Killed:
                world.pause(seconds=91)
        writes = world.documents.writes - start
        return await seen(world), writes

    whole, writes = await lived(0)
    for kill in range(1, writes + 1):
        assert (await lived(kill))[0]["rooms"].keys() == whole["rooms"].keys()
        found, _ = await lived(kill)
        assert [row.pk for row, _ in found["users"]] == [row.pk for row, _ in whole["users"]]
        assert {room: sorted(there) for room, (_, there, _) in found["rooms"].items()} == {
            room: sorted(there) for room, (_, there, _) in whole["rooms"].items()
        }
        assert found["counts"] == whole["counts"]


@pytest.mark.parametrize("source", SOURCES)
async def test_two_at_once(world: World, source: Source) -> None:
    """Of several at the same instant one works, and the others say so."""
    answers = await asyncio.gather(*(sync.run(world, source) for _ in range(4)), return_exceptions=True)
    assert sorted(type(answer).__name__ for answer in answers) == ["Busy", "Busy", "Busy", "Report"]


async def test_a_run_that_was_overtaken(world: World) -> None:
    """A run whose claim has lapsed writes nothing over what another has written."""
    slow = world.authentik.accounts

    async def stalls(**wanted: Any) -> Any:
        world.authentik.accounts = slow  # type: ignore[method-assign]
        found = await slow(**wanted)
        world.pause(minutes=2)
        world.authentik.add_account("dora")
        await sync.run(world, "authentik")
        return found

    world.authentik.accounts = stalls  # type: ignore[method-assign]
    with pytest.raises(Busy):
        await sync.run(world, "authentik")
    assert "dora" in await users(world)


async def test_time_is_up(world: World) -> None:
    """A run stops at a checkpoint, and a task goes on; the cache is told to be whole only at the end."""
    report = await sync.run(world, "matrix", "full", budget=0)
    assert (report.done, await cache.rooms(world)) == (False, None)
    for _ in range(40):
        tasks = world.queue.take()
        if not tasks:
            break
        [task] = tasks
        assert (task.entry_point, task.payload["source"]) == ("sync_directory", "matrix")
        report = await sync.run(world, task.payload["source"], task.payload["kind"], budget=0)
    assert report.done
    found = await cache.rooms(world)
    assert found is not None
    assert len(found.rooms) == 4


@pytest.mark.parametrize("source", SOURCES)
async def test_a_neighbour_that_is_down(world: World, source: Source) -> None:
    """The fault is kept with its cause, the claim is given back, and the next run mends it."""
    if source == "authentik":
        world.authentik.fail("accounts", Unreachable("authentik", "no answer within 10 s", "Look at Authentik."))
    else:
        world.homeserver.fail_next(Unreachable("matrix", "no answer within 10 s", "Look at Synapse."), method="state")
    with pytest.raises(Unreachable):
        await sync.run(world, source)
    failed = await cache.state(world, source)
    assert (failed.cause, failed.running_until, failed.failed_at) == ("no answer within 10 s", None, world.now())
    assert (await run(world, source)).done
    assert (await cache.state(world, source)).cause == ""


async def test_put_out_of_a_room_meanwhile(world: World) -> None:
    """A room that refuses its state is left out, and keeps no other from being read."""
    world.homeserver.fail_next(Refused("the homeserver refused", code="M_FORBIDDEN"), method="state")
    assert (await run(world, "matrix")).counts["rooms"] == 3


async def test_the_schedule(world: World) -> None:
    """Each source by its own interval; a fault of one keeps the other from nothing."""
    world.policy = replace(world.policy, sync_authentik=600.0, sync_matrix=300.0, sync_full=3600.0)
    world.authentik.fail("accounts", Unreachable("authentik", "down"))
    told = await sync.due(world)
    assert (told["authentik"], told["matrix"].kind) == ("down", "full")
    assert set(await sync.due(world)) == {"authentik"}
    world.pause(minutes=5)
    assert set(await sync.due(world)) == {"matrix"}
    world.pause(minutes=60)
    assert {source: report.kind for source, report in (await sync.due(world)).items()} == dict.fromkeys(SOURCES, "full")


async def test_time_is_up_within_a_shard() -> None:
    """Of a slow homeserver a part of a shard is kept: the next run goes on behind the last room that was read."""
    world = World()
    for number in range(1300):
        world.homeserver.add_room(f"Room {number}", members={ADA: "join"})
    runs = 1
    while not (await sync.run(world, "matrix", "full", budget=0)).done:
        runs += 1
    assert runs > 16
    assert len(world.homeserver.called("state")) == 1300
    where = await cache.memberships(world)
    assert where is not None
    assert len(where.rooms_of(ADA)) == 1300


async def test_the_device_that_sends_is_never_synced(world: World) -> None:
    """Where the token that watches is of the device that sends, no change is asked for: every room is read instead, and
    the self-check says so."""

    async def same() -> Any:
        return world.homeserver

    world.watcher = same  # type: ignore[method-assign]
    await run(world, "matrix")
    assert (await run(world, "matrix", "light")).kind == "full"
    assert world.homeserver.called("changes") == []
    [finding] = await watch_check.seen(world)
    assert not finding.ok


async def test_a_neighbour_that_is_down_is_left_alone(world: World) -> None:
    """Five faults in a row open its breaker; until the sweep has found it well, the schedule asks it nothing."""
    for _ in range(5):
        world.homeserver.fail_next(Unreachable("matrix", "no answer"))
        with pytest.raises(Unreachable):
            await run(world, "matrix")
    asked = len(world.homeserver.calls)
    told = await sync.due(world)
    assert told["matrix"].startswith("Matrix down since ")
    assert len(world.homeserver.calls) == asked
    world.pause(minutes=1)
    await world.sweep()
    assert (await sync.due(world))["matrix"].done
