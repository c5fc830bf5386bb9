"""What the syncs ask, read and write as a community grows: counted, not timed. `benchmarks.sync` measures the rest."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import pairwise
from typing import Any

import pytest

from shared.domain.syncs import SOURCES, Kind, Source
from shared.ports import StateEvent
from shared.services import cache, lists, sync
from shared.services.member_ids import MemberIds
from shared.services.room_reading import AT_ONCE, CAREFULLY, read_all
from tests.world import DOMAIN, World

SIZES = (300, 600, 1_200)
PER_ROOM, SHARDS = 10, 16
Counts = tuple[int, int, int]


def community(users: int) -> World:
    """A room for every ten of them, each of whom is in two."""
    world = World()
    rooms = world.furnish(rooms=users // PER_ROOM)
    for number in range(users):
        name = f"u{number}"
        world.authentik.add_account(name, f"User {number}", f"{name}@example.test")
        world.pause(seconds=7)
        for place in (number, number * 7 + 1):
            world.homeserver.join(f"@{name}:{DOMAIN}", rooms[place % len(rooms)])
    world.pause(hours=2)
    return world


async def counted(world: World, work: Callable[[], Awaitable[object]]) -> Counts:
    """Calls of the neighbours, documents read, documents written."""
    world.authentik.calls.clear()
    world.homeserver.calls.clear()
    read, written = world.documents.read, world.documents.written
    await work()
    calls = len(world.authentik.calls) + len(world.homeserver.calls)
    return calls, world.documents.read - read, world.documents.written - written


async def synced(world: World, kind: Kind) -> Counts:
    async def both() -> None:
        for source in SOURCES:
            assert (await sync.run(world, source, kind, 600)).done

    return await counted(world, both)


def at_most_linear(found: list[Counts]) -> None:
    """Twice the community costs at most twice as much, each kind of cost for itself."""
    for before, after in pairwise(found):
        assert all(later <= 2 * sooner for sooner, later in zip(before, after, strict=True)), found


async def test_a_full_sync_grows_with_the_community() -> None:
    """Calls, reads and writes are at most twice as many for twice the community, and the calls are the least that there
    can be: a page for each hundred accounts and one for each room, besides eight in a new process."""
    worlds = [community(users) for users in SIZES]
    for kind in ("first", "again"):
        found = [await synced(world, "full") for world in worlds]
        at_most_linear(found)
        for users, (calls, _, _) in zip(SIZES, found, strict=True):
            assert calls <= users // 100 + users // PER_ROOM + 8, kind


async def test_an_unchanged_community_costs_the_same_at_any_size() -> None:
    """A light sync makes five calls, reads its two state documents, and writes them: at the claim and at the end. A new
    process looks besides at the device that watches: two calls and a read."""
    for users in SIZES:
        world = community(users)
        await synced(world, "full")
        before = cached(world)
        assert await synced(world, "light") == (5 + 2, 2 + 1, 4)
        assert cached(world) == before


async def test_a_full_sync_of_an_unchanged_community_writes_no_cache() -> None:
    """It writes its state documents alone: at the claim, at each checkpoint, at the end."""
    for users in SIZES:
        world = community(users)
        await synced(world, "full")
        before = cached(world)
        _, _, written = await synced(world, "full")
        assert cached(world) == before
        assert written <= SHARDS + 6


def cached(world: World) -> list[str]:
    return [line for line in world.rows().splitlines() if not line.startswith("syncs")]


@pytest.mark.parametrize("source", SOURCES)
async def test_changes_cost_what_changed(source: Source) -> None:
    """Five accounts written, or five rooms that somebody entered: no more calls, reads or writes in a larger one."""
    found = []
    for users in SIZES:
        world = community(users)
        await synced(world, "full")
        for number in range(5):
            await world.authentik.update_account(number + 2, name="Changed")
            world.homeserver.join("@new:elsewhere.test", world.policy.default_rooms[number])
        found.append(await counted(world, partial(sync.run, world, source, "light")))
    assert len({calls for calls, _, _ in found}) == 1
    most = 5 + 4 + 2 + 2
    assert all(written <= most for _, _, written in found)
    assert all(read <= 4 * most for _, read, _ in found)


async def test_a_page_of_a_search_costs_as_much_as_there_are_shards() -> None:
    """In a process that holds nothing yet: the state document, the groups and the accounts."""
    for users in SIZES:
        world = community(users)
        await synced(world, "full")
        wanted = lists.Wanted("user")
        assert await counted(world, partial(lists.people, world, wanted)) == (0, 3, 0)


async def test_a_plan_reads_each_shard_once() -> None:
    """Who is where: every shard of rooms, members and names, and the state document."""
    world = community(SIZES[0])
    await synced(world, "full")
    _, read, _ = await counted(world, partial(cache.memberships, world))
    assert read <= 1 + SHARDS + 4 + 1


class Watched:
    """Answers for any room, and knows how many were asked for at the same time."""

    def __init__(self) -> None:
        self.now = self.most = 0

    async def state(self, room_id: str) -> list[StateEvent]:
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0)
        self.now -= 1
        return []


@pytest.mark.parametrize(("known", "at_once"), [(True, AT_ONCE), (False, CAREFULLY)])
async def test_rooms_that_may_be_large_are_read_by_few(*, known: bool, at_once: int) -> None:
    """Four at once where all are known to be small; of large ones, and of those never read before, two: that bounds the
    memory of a sync."""
    chat: Any = Watched()
    run: Any = None
    rooms = [f"!{number}:example.org" for number in range(20)]
    found = await read_all(chat, rooms, rooms if known else [], MemberIds(run, []))
    assert list(found) == rooms
    assert chat.most == at_once
