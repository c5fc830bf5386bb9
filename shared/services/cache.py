"""Reading the cache: one document says which shards there are, and those that this process holds are not read again.

A page of users at 100,000 of them costs at most 10 reads: the state document, the groups, and up to 8 shards; in a
process that has read them before, one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import Any, TypeVar

from shared.domain import cached_rooms, cached_users, packing
from shared.domain.cache import Memberships, Numbered, Rooms, Users, UserShard
from shared.domain.cached_rooms import RoomRow, member_shard, members_name, rooms_name
from shared.domain.cached_users import UserRow
from shared.domain.errors import Outpaced
from shared.domain.syncs import Source, Sync
from shared.services.context import Ports
from shared.services.shards import SYNCS, loaded

T = TypeVar("T")
Held = dict[str, tuple[str, Any]]
FOREVER = 10 * 365 * 86_400.0
TRIES = 3
"""How often a shard is asked for that is just being written."""


async def users(ports: Ports) -> Users | None:
    """None: there is no cache yet."""

    async def read(sync: Sync, held: Held) -> Users:
        names = sync.names("users-")
        shards = await loaded(ports, sync, names, _user_shard, held)
        groups = await loaded(ports, sync, sync.names("groups"), _groups, held)
        return Users(sync, shards, groups.get("groups", {}))

    return await _whole(ports, "authentik", read)


async def rooms(ports: Ports) -> Rooms | None:
    """None: there is no cache yet."""

    async def read(sync: Sync, held: Held) -> Rooms:
        return Rooms(sync, list((await loaded(ports, sync, sync.names("rooms-"), _room_shard, held)).values()))

    return await _whole(ports, "matrix", read)


async def memberships(ports: Ports, only: Collection[str] | None = None) -> Memberships | None:
    """Of all rooms, or of those whose ids are in `only`. None: there is no cache yet."""

    async def read(sync: Sync, held: Held) -> Memberships:
        shards = range(cached_rooms.MEMBER_SHARDS) if only is None else {member_shard(room) for room in only}
        names = {members_name(shard): shard for shard in shards if members_name(shard) in sync.shards}
        members = await loaded(ports, sync, sorted(names), _member_shard, held)
        ids = (await loaded(ports, sync, sync.names("ids-"), _ids, held)).values()
        rows = (await loaded(ports, sync, sync.names("rooms-"), _room_shard, held)).values()
        by_id = {room: row for shard in rows for room, row in shard.items()}
        found = {names[name]: members[name] for name in names}
        return Memberships(sync, by_id, found, [user for chunk in ids for user in chunk])

    return await _whole(ports, "matrix", read)


async def memberships_of(ports: Ports, room_id: str) -> Memberships | None:
    """Of one room and its row alone: fewer reads. None: there is no cache yet."""

    async def read(sync: Sync, held: Held) -> Memberships:
        shard = member_shard(room_id)
        members, rows = ([name] if name in sync.shards else [] for name in (members_name(shard), rooms_name(shard)))
        there = (await loaded(ports, sync, members, _member_shard, held)).values()
        ids = (await loaded(ports, sync, sync.names("ids-"), _ids, held)).values()
        found = list((await loaded(ports, sync, rows, _room_shard, held)).values())
        by_id = found[0] if found else {}
        return Memberships(
            sync, by_id, dict(zip([shard], there, strict=False)), [user for chunk in ids for user in chunk]
        )

    return await _whole(ports, "matrix", read)


async def users_for_names(ports: Ports, most: int) -> list[UserRow] | None:
    """Everybody, where no more than so many documents would have to be read for it, besides the state document."""

    async def read(sync: Sync, held: Held) -> list[UserRow] | None:
        names = sync.names("users-")
        missing = [name for name in names if held.get(name, ("",))[0] != sync.shards[name]["digest"]]
        if sum(int(sync.shards[name]["parts"]) for name in missing) > most:
            return None
        return list(Users(sync, await loaded(ports, sync, names, _user_shard, held), {}))

    return await _whole(ports, "authentik", read)


async def _whole(ports: Ports, source: Source, read: Callable[[Sync, Held], Awaitable[T]]) -> T | None:
    """Anew when a shard was just being written; a reader that has no luck gets `Outpaced`, which is tried later."""
    held = await _held(ports, source)
    for tries_left in reversed(range(TRIES)):
        sync = await state(ports, source)
        if sync.synced_at is None:
            return None
        try:
            found = await read(sync, held)
        except Outpaced:
            if not tries_left:
                raise
        else:
            _let_go(held, sync)
            return found
    return None


def _let_go(held: Held, sync: Sync) -> None:
    for name in held.keys() - sync.shards.keys():
        del held[name]


async def state(ports: Ports, source: Source) -> Sync:
    found = await SYNCS.find(ports.documents, source)
    return found.record if found else Sync(source=source)


async def _held(ports: Ports, source: Source) -> Held:
    async def none() -> Held:
        return {}

    return await ports.remember(f"cache of {source}", FOREVER, none)


def _user_shard(data: bytes) -> UserShard:
    return UserShard(cached_users.decoded(data))


def _groups(data: bytes) -> dict[str, tuple[str, bool]]:
    return packing.decoded(data, dict[str, tuple[str, bool]])


def _room_shard(data: bytes) -> dict[str, RoomRow]:
    return {row.room_id: row for row in packing.decoded(data, list[RoomRow])}


def _member_shard(data: bytes) -> Numbered:
    pairs = packing.decoded(data, dict[str, tuple[bytes, bytes]])
    return {
        room: (packing.numbers_of(joined), packing.numbers_of(invited)) for room, (joined, invited) in pairs.items()
    }


def _ids(data: bytes) -> list[str]:
    return packing.decoded(data, list[str])
