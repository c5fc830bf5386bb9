"""In which rooms a member is: as the homeserver says; where it does not answer, as the cache has it, with its age."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from shared.domain.errors import Limited, Outpaced, Unreachable
from shared.ports import Room
from shared.services.cache import memberships
from shared.services.context import Ports
from shared.services.lists import room_of
from shared.services.managed import managed_of


class Cached(Struct, frozen=True):
    """What the last sync stored, and when it was true."""

    rooms: Sequence[Room]
    at: datetime


class Whereabouts(Struct, frozen=True):
    """`age_seconds`: of what the cache has; None where it is live."""

    rooms: Sequence[Room]
    live: bool
    age_seconds: float | None = None


async def cached(ports: Ports, matrix_id: str) -> Cached | None:
    """None: there is no cache yet."""
    known = await memberships(ports)
    if known is None or known.sync.synced_at is None:
        return None
    rooms = sorted(known.rooms_of(matrix_id), key=lambda row: (row.name.casefold(), row.room_id))
    return Cached([room_of(row) for row in rooms], known.sync.synced_at)


async def seen_invited(ports: Ports, matrix_id: str) -> Sequence[str]:
    """Rooms to which they were invited by the last sync, to be looked at live. Empty where there was none, or where it
    is just being written."""
    with contextlib.suppress(Outpaced):
        known = await memberships(ports)
        if known:
            return [room for room in known.rooms if matrix_id in known.invited_to(room)]
    return ()


async def whereabouts(ports: Ports, matrix_id: str) -> Whereabouts:
    """For looking at alone: what removes somebody asks `managed_of`, which knows no cache. Raises what the live look
    raised where the cache has nothing either."""
    try:
        return Whereabouts(await managed_of(ports, matrix_id), live=True)
    except (Unreachable, Limited):
        known = await cached(ports, matrix_id)
        if known is None:
            raise
        age = max(0.0, (ports.now() - known.at).total_seconds())
        return Whereabouts(known.rooms, live=False, age_seconds=age)
