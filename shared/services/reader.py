"""The one reader of what comes to the bot: messages to its device, and what is said in its direct rooms.

The homeserver forgets messages to a device once it is asked for what came after them. So there is one reader at a
time, by a lease; each round saves what came, as it came, before the position goes on; and the position goes on in
one batch with the lease, so that a reader that has lost it cannot move it. Everything else (opening keys, opening
replies) is worked off from what was saved, as often as it takes. Whatever is done twice is created once.
"""

from __future__ import annotations

from datetime import timedelta

from msgspec import Struct

from shared.domain.arrivals import Arrivals, arrivals, membership
from shared.ports import Document, Replace
from shared.services import inbox, leases, replies, room_keys
from shared.services.context import Ports, log
from shared.services.direct_lines import completed, lines_among, note_joined
from shared.services.position import POSITION, Position, begin

LEASE = "leases/reader"
LEASE_FOR = timedelta(minutes=4)
ROUNDS = 10
"""In one run, at most: a homeserver tells so many messages to a device at once (Synapse 100)."""
ORDINARY = 200
"""Rooms that are left out, at most: the latest known ones."""


class _Held(Struct):
    version: str


async def read(ports: Ports) -> int:
    """How much was done; 0 while another reader is at it. Raises `Outpaced` when the lease was lost on the way: what
    was saved stays, and the next run goes on from where the position is."""
    version = await leases.take(ports, LEASE, LEASE_FOR)
    if version is None:
        return 0
    held = _Held(version)
    try:
        done = await _saved(ports, held)
        done += await room_keys.work_off(ports)
        done += await replies.open_waiting(ports)
    except Exception:
        await leases.give_back(ports, LEASE, held.version)
        raise
    await leases.give_back(ports, LEASE, held.version)
    return done


async def _saved(ports: Ports, held: _Held) -> int:
    saved = 0
    for _ in range(ROUNDS):
        came, new = await _round(ports, held)
        saved += new
        if not came.received:
            break
    return saved


async def _round(ports: Ports, held: _Held) -> tuple[Arrivals, int]:
    document = await begin(ports)
    known = Position.of(document.data)
    keys = await ports.keys()
    came = arrivals(await keys.sync(known.since, True, _left_out(ports, known)))
    if came.unusable:
        cause = "they have no shape that the Matrix specification knows"
        log.warning("events not read", extra={"fields": {"events": came.unusable, "cause": cause}})
    new = await inbox.keep(ports, came.to_device)
    lines = await lines_among(ports, came.rooms)
    for room_id, room in lines.direct.items():
        events = await completed(keys, room_id, came.rooms[room_id], known.since)
        new += await replies.keep(ports, room, events)
        there = membership(events, room.matrix_id)
        if there is not None:
            new += await note_joined(ports, room, there == "join")
    await _advance(ports, held, document, came.position, lines.ordinary)
    return came, new


def _left_out(ports: Ports, known: Position) -> list[str]:
    rooms = {ports.policy.indoc, *ports.policy.default_rooms, *known.ordinary}
    return sorted(room for room in rooms if room.startswith("!"))


async def _advance(ports: Ports, held: _Held, document: Document, since: str, ordinary: list[str]) -> None:
    old = Position.of(document.data)
    rooms = tuple(dict.fromkeys([*old.ordinary, *ordinary]))[-ORDINARY:]
    moved = Replace(POSITION, old.but(since=since, at=ports.now(), ordinary=rooms).data(), document.version)
    _, held.version = await ports.documents.write(moved, leases.kept(ports, LEASE, held.version, LEASE_FOR))
