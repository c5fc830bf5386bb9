"""Full and light syncs agree, whatever has happened in between."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from shared.domain.syncs import SOURCES, Kind
from shared.services import cache, sync
from tests.world import DOMAIN, World

USERS = [f"@user{number}:{DOMAIN}" for number in range(4)]
Act = tuple[str, int, int]
ACTS = st.tuples(
    st.sampled_from(
        "join leave invite ban rename retopic level upgrade link unlink out back room direct "
        "delete add edit deactivate group light pause".split()
    ),
    st.integers(0, 5),
    st.integers(0, 5),
)


async def act(world: World, what: str, one: int, other: int) -> None:
    """Something that people do, there or in between. What there is not is left alone."""
    homes = list(world.homeserver.homes.values())
    room, user = homes[one % len(homes)], USERS[other % len(USERS)]
    accounts = sorted(world.authentik._accounts)
    pk = accounts[one % len(accounts)] if accounts else 0
    if what in ("join", "leave", "invite", "ban"):
        room.put(user, what, 1000 + one)
    elif what in ("rename", "retopic", "upgrade"):
        field = {"rename": "name", "retopic": "topic", "upgrade": "replacement"}[what]
        setattr(room, field, f"{what} {other}" if other else "")
    elif what == "level":
        room.kick, room.powers = other * 10, {user: other}
    elif what in ("link", "unlink"):
        room.parents = (homes[other % len(homes)].room_id,) if what == "link" else ()
    elif what in ("out", "back"):
        room.put(world.homeserver.user_id, "leave" if what == "out" else "join", 2000 + one)
    elif what == "room":
        world.homeserver.add_room(f"Room {one}", members={user: "join"})
    elif what == "direct":
        await world.homeserver.set_direct_rooms({user: [room.room_id]} if other else {})
    elif what == "add":
        world.authentik.add_account(f"new{len(world.authentik._accounts)}-{one}-{other}")
    elif what == "pause":
        world.pause(minutes=other * 20, seconds=one)
    elif what == "light":
        for source in SOURCES:
            await ended(world, source, "light")
    elif pk:
        await account_act(world, what, pk, other)


async def account_act(world: World, what: str, pk: int, other: int) -> None:
    if what == "delete":
        await world.authentik.delete_account(pk)
    elif what == "edit":
        await world.authentik.update_account(pk, name=f"Name {other}", attributes={"matrix_id": USERS[other % 4]})
    elif what == "deactivate":
        await world.authentik.update_account(pk, active=other % 2 == 0)
    elif what == "group":  # as Muster does it: the account is written afterwards
        group = next(iter(world.authentik._groups))
        await (world.authentik.add_to_group if other % 2 else world.authentik.remove_from_group)(group, pk)
        await world.authentik.update_account(pk, active=True)


async def ended(world: World, source: Any, kind: Kind) -> None:
    while not (await sync.run(world, source, kind)).done:
        pass


async def seen(world: World) -> Any:
    people, where = await cache.users(world), await cache.memberships(world)
    assert people is not None
    assert where is not None
    rooms = {
        room: (row, sorted(where.members_of(room)), sorted(where.invited_to(room))) for room, row in where.rooms.items()
    }
    return [replace(row, last_login=0) for row in people], people.groups, rooms, people.sync.counts, where.sync.counts


async def true(world: World) -> Any:
    """What a new cache would say."""
    fresh = World(homeserver=world.homeserver, authentik=world.authentik)
    fresh.authentik.clock = world.now
    fresh._now = world.now()
    for source in SOURCES:
        await ended(fresh, source, "full")
    return await seen(fresh)


async def lived(history: list[Act], last: Kind) -> None:
    world = World()
    world.furnish(rooms=2)
    world.authentik.add_group("staff")
    for number in range(3):
        world.authentik.add_account(f"user{number}")
        world.pause(seconds=number)
    for source in SOURCES:
        await ended(world, source, "full")
    for what, one, other in history:
        await act(world, what, one, other)
    for source in SOURCES:
        await ended(world, source, last)
    assert await seen(world) == await true(world)


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(st.lists(ACTS, max_size=25), st.sampled_from(["light", "full"]))
@example([("direct", 0, 1), ("light", 0, 0), ("direct", 0, 0)], "light")
def test_light_and_full_agree(history: list[Act], last: Kind) -> None:
    """After any history a light sync says what a cache made anew would say, and so does a full one."""
    asyncio.run(lived(history, last))
