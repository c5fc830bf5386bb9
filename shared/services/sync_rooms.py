"""The bot's rooms and their members into the cache.

Full: the position first, then all of the state of each joined room, one shard of rooms after the other, each of them a
checkpoint. Light: what `/sync` tells since the position. Both fold with the same function, so that they agree. The
direct rooms are between a member and the bot: they are in no list, and not in the cache.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from shared.domain import packing
from shared.domain.cached_rooms import MEMBER_SHARDS, Members, RoomRow, member_shard, members_name, rooms_name
from shared.domain.errors import Refused
from shared.ports import Chat, StateEvent
from shared.services import watch_check
from shared.services.member_ids import MemberIds
from shared.services.room_reading import LARGE, Home, home, read, read_all
from shared.services.shards import Run

GROUP = 64
"""Rooms after which the time is looked at: of a slow homeserver a whole shard would take too long."""
POSITION = "POSITION"
LOOKED_FOR = 3600.0
"""Seconds for which a process believes what it saw of the device that watches; its token stays the same for as long."""
Packed = dict[str, tuple[bytes, bytes]]


async def full(run: Run) -> dict[str, Any] | None:
    """What its end changes in the state document; None: time was up, and the next run goes on with the next shard."""
    chat = await run.ports.chat()
    progress = run.sync.progress or {"shard": 0, "position": await _position(run)}
    direct = await _direct(chat)
    rooms = [room for room in await chat.joined_rooms() if room not in direct]
    ids = await MemberIds.load(run)
    for shard in range(int(progress["shard"]), MEMBER_SHARDS):
        mine = sorted(room for room in rooms if member_shard(room) == shard)
        left = [room for room in mine if room > progress.get("after", "")]
        await _drop(run, shard, mine)
        for start in range(0, len(left), GROUP):
            group = left[start : start + GROUP]
            await _put(run, shard, await read_all(chat, group, await _small(run, shard), ids))
            ids.stage()
            if run.out_of_time() and start + GROUP < len(left):
                await run.commit(progress=progress | {"shard": shard, "after": group[-1]})
                return None
        progress = progress | {"shard": shard + 1, "after": "", "done": shard + 1, "of": MEMBER_SHARDS}
        await run.commit(progress=progress)
        if shard + 1 < MEMBER_SHARDS and run.out_of_time():
            return None
    ids.forget(await _in_use(run))
    ids.stage()
    return {"position": progress["position"], "counts": await _counts(run)} | await _about(chat, direct, "")


async def light(run: Run) -> dict[str, Any] | None:
    """What its end changes in the state document; None: it takes a full one, since there is nobody to watch, or the
    homeserver has forgotten the position."""
    watcher = await _watcher(run)
    if watcher is None or not run.sync.position:
        return None
    try:
        changes = await watcher.changes(run.sync.position)
    except Refused as error:
        if error.code != POSITION:
            raise
        return None
    chat = await run.ports.chat()
    direct = await _direct(chat)
    hidden, shown = await _turned(run, chat, direct) if _mark(direct) != run.sync.direct else (set[str](), set[str]())
    gone = changes.left | hidden
    changed: dict[str, Sequence[StateEvent]] = dict.fromkeys(shown - gone, ())
    changed |= {room: events for room, events in changes.rooms.items() if room not in gone and room not in direct}
    if changed or gone:
        ids = await MemberIds.load(run)
        for shard in sorted({member_shard(room) for room in (*changed, *gone)}):
            await _apply(run, chat, ids, shard, changed, gone)
        ids.stage()
    counts = await _counts(run) if changed or gone else run.sync.counts
    return {"position": changes.position, "counts": counts} | await _about(chat, direct, run.sync.bot)


async def _position(run: Run) -> str:
    watcher = await _watcher(run)
    return (await watcher.changes(None)).position if watcher else ""


async def _watcher(run: Run) -> Chat | None:
    """None: there is none, or it is not what it should be. A sync on the device that sends would take its messages
    away: then rather every room is read."""
    found = await run.ports.remember("matrix sync device", LOOKED_FOR, lambda: watch_check.look(run.ports))
    return await run.ports.watcher() if found.ok else None


async def _direct(chat: Chat) -> set[str]:
    return {room for rooms in (await chat.direct_rooms()).values() for room in rooms}


async def _about(chat: Chat, direct: set[str], bot: str) -> dict[str, Any]:
    """What lists and the next run must know besides. `bot`: where it is known who that is."""
    return {"direct": _mark(direct), "bot": bot or (await chat.whoami()).user_id}


def _mark(direct: set[str]) -> str:
    return packing.digest(packing.encoded(sorted(direct)))


async def _turned(run: Run, chat: Chat, direct: set[str]) -> tuple[set[str], set[str]]:
    """Rooms that have become direct ones since they were cached, and those that are direct ones no more."""
    known = {room for name in run.names("rooms-") for room in await rows_in(run, name)}
    return known & direct, set(await chat.joined_rooms()) - direct - known


async def _small(run: Run, shard: int) -> set[str]:
    """Rooms that are known not to be large."""
    return {room for room, row in (await rows_in(run, rooms_name(shard))).items() if row.joined <= LARGE}


async def _apply(
    run: Run,
    chat: Chat,
    ids: MemberIds,
    shard: int,
    changed: Mapping[str, Sequence[StateEvent]],
    gone: Iterable[str],
) -> None:
    """What changed in the rooms of one shard. One that the cache does not have is read as a whole."""
    rows, packed = await rows_in(run, rooms_name(shard)), await members_in(run, shard)
    homes: dict[str, Home | None] = {room: None for room in gone if member_shard(room) == shard}
    for room, events in changed.items():
        if member_shard(room) == shard:
            known = Home(rows[room], unpacked(packed[room])) if room in rows and room in packed else None
            homes[room] = home(known, events, ids) if known else await read(chat, room, ids)
    await _put(run, shard, homes)


async def _drop(run: Run, shard: int, kept: Sequence[str]) -> None:
    """Rooms of the shard that are not among these."""
    cached = [room for room in await rows_in(run, rooms_name(shard)) if member_shard(room) == shard]
    await _put(run, shard, dict.fromkeys(set(cached).difference(kept)))


async def _put(run: Run, shard: int, homes: Mapping[str, Home | None]) -> None:
    """Stages these rooms beside the others; None: the room goes."""
    if not homes:
        return
    rows, members = await rows_in(run, rooms_name(shard)), await members_in(run, shard)
    for room, each in homes.items():
        if each is None:
            rows.pop(room, None)
            members.pop(room, None)
        else:
            rows[room] = each.row
            pair = (each.members.joined, each.members.invited)
            members[room] = (packing.numbers_packed(pair[0]), packing.numbers_packed(pair[1]))
    run.stage(rooms_name(shard), packing.encoded([rows[room] for room in sorted(rows)]) if rows else None, len(rows))
    run.stage(members_name(shard), packing.encoded(members) if members else None, len(members))


def unpacked(pair: tuple[bytes, bytes]) -> Members:
    return Members(*(frozenset(packing.numbers_of(each)) for each in pair))


async def rows_in(run: Run, name: str) -> dict[str, RoomRow]:
    data = await run.read(name)
    return {row.room_id: row for row in packing.decoded(data, list[RoomRow])} if data else {}


async def members_in(run: Run, shard: int) -> Packed:
    data = await run.read(members_name(shard))
    return packing.decoded(data, Packed) if data else {}


async def _in_use(run: Run) -> set[int]:
    """Every number that some room refers to."""
    used: set[int] = set()
    for shard in range(MEMBER_SHARDS):
        for pair in (await members_in(run, shard)).values():
            used.update(*(packing.numbers_of(each) for each in pair))
    return used


async def _counts(run: Run) -> dict[str, int]:
    counts = {"rooms": run.rows("rooms-"), "memberships": 0}
    for name in run.names("rooms-"):
        counts["memberships"] += sum(row.joined for row in (await rows_in(run, name)).values())
    return counts
