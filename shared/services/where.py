"""In which rooms a member is: as the homeserver says; where it does not answer, as the cache has it, with its age."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from msgspec import Struct

from shared.domain.errors import Limited, Unreachable
from shared.ports import Room
from shared.services.context import Ports
from shared.services.rooms import managed_of


class Cached(Struct, frozen=True):
    """What the last sync stored, and when it was true."""

    rooms: Sequence[Room]
    at: datetime


class Whereabouts(Struct, frozen=True):
    """`age_seconds`: of what the cache has; None where it is live."""

    rooms: Sequence[Room]
    live: bool
    age_seconds: float | None = None


FromCache = Callable[[Ports, str], Awaitable[Cached | None]]


async def cached(_ports: Ports, _matrix_id: str) -> Cached | None:
    """None: there is no cache, or it does not know them."""
    return None


async def whereabouts(ports: Ports, matrix_id: str, from_cache: FromCache = cached) -> Whereabouts:
    """For looking at alone: what removes somebody asks `managed_of`, which knows no cache. Raises what the live look
    raised where the cache has nothing either."""
    try:
        return Whereabouts(await managed_of(ports, matrix_id), live=True)
    except (Unreachable, Limited):
        known = await from_cache(ports, matrix_id)
        if known is None:
            raise
        age = max(0.0, (ports.now() - known.at).total_seconds())
        return Whereabouts(known.rooms, live=False, age_seconds=age)
