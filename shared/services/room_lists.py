"""The bot's rooms, searched and filtered: from the cache, with what the bot may not do in each; where there is none,
of the homeserver, which then is not asked for every room's powers.

The list is put in order once for each state of the cache, and kept: a page costs one read and no sorting.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Literal

from msgspec import Struct

from shared.domain.cache import Rooms
from shared.domain.cached_rooms import RoomRow
from shared.domain.room_needs import Need, Standing, needs_of, standing_of
from shared.ports import Room
from shared.services import cache
from shared.services.context import Ports
from shared.services.lists import room_of
from shared.services.managed import managed

FOREVER = 10 * 365 * 86_400.0
SPACE = "m.space"
Only = Literal["", "missing", "spaces", "encrypted"]


class Listed(Struct, frozen=True, dict=True):
    """`standing`: None while there is no cache."""

    room: Room
    standing: Standing | None = None
    needs: Sequence[Need] = ()
    invited: int = 0

    @cached_property
    def text(self) -> str:
        """What a word is looked for in."""
        room = self.room
        return f"{room.name}\n{room.topic}\n{room.alias}\n{room.room_id}".casefold()

    def fits(self, only: str) -> bool:
        room = self.room
        held = {"": True, "missing": bool(self.needs), "spaces": room.kind == SPACE, "encrypted": room.encrypted}
        return held[only]


class Found(Struct, frozen=True):
    """`counts`: how many the words find: "all", "missing", "spaces", "encrypted". `synced_at`: how old it may be."""

    items: Sequence[Listed]
    total: int
    counts: Mapping[str, int]
    synced_at: datetime


async def find(ports: Ports, words: str, only: Only, start: int, limit: int) -> Found:
    """By name."""
    rooms, synced_at = await everything(ports)
    wanted = words.casefold().split()
    named = [each for each in rooms if all(word in each.text for word in wanted)] if wanted else rooms
    counts = {"all": len(named)}
    counts |= {kind: sum(each.fits(kind) for each in named) for kind in ("missing", "spaces", "encrypted")}
    fits = [each for each in named if each.fits(only)] if only else named
    return Found(fits[start : start + limit], len(fits), counts, synced_at)


async def everything(ports: Ports) -> tuple[Sequence[Listed], datetime]:
    """All of them by name, and how old that may be."""
    known = await cache.rooms(ports)
    if known is None or known.sync.synced_at is None:
        return [Listed(room) for room in await managed(ports)], ports.now()
    held = await _held(ports)
    key = _key(known)
    if key not in held:
        listed = [listed_of(row, known.sync.bot) for row in known.by_name()]
        held.clear()
        held[key] = listed
    return held[key], known.sync.synced_at


async def _held(ports: Ports) -> dict[tuple[str, ...], Sequence[Listed]]:
    """Of one state of the cache, the newest that was asked for."""

    async def none() -> dict[tuple[str, ...], Sequence[Listed]]:
        return {}

    return await ports.remember("rooms in order", FOREVER, none)


def _key(known: Rooms) -> tuple[str, ...]:
    sync = known.sync
    return (sync.bot, *(str(sync.shards[name]["digest"]) for name in sync.names("rooms-")))


def listed_of(row: RoomRow, bot: str) -> Listed:
    if not bot:  # a cache of a release before, until its next sync
        return Listed(room_of(row), invited=row.invited)
    standing = standing_of(row, bot)
    needs = needs_of(standing, row.name or row.alias or row.room_id, bot)
    return Listed(room_of(row), standing, needs, row.invited)
