"""The spaces by which rooms are entered: looked up on the homeserver, in few calls."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from msgspec import Struct

from shared.bounded import each
from shared.domain.bundles import Way
from shared.domain.errors import Invalid, NotFound, Refused
from shared.ports import Chat, Entry
from shared.services.context import Ports
from shared.services.managed import room_id_of

SPACE = "m.space"


class Looked(Struct, frozen=True):
    """`named`: as the admin wrote it."""

    named: str
    room_id: str
    way: Way | None = None


async def look_at_rooms(ports: Ports, rooms: Sequence[str], *, spaces: bool) -> list[Looked]:
    """Each room's id, and with `spaces` the space by which it is entered. Raises `Invalid` on `rooms` where there is no
    such room, or the bot is not in it."""
    chat, named = await ports.chat(), list(dict.fromkeys(rooms))

    async def look(room: str) -> tuple[str, Entry]:
        try:
            room_id = await room_id_of(ports, room)
            return room_id, await chat.entry(room_id)
        except (Refused, NotFound) as error:
            raise Invalid.field("rooms", f"the bot is not in the room {room}, or there is none") from error

    seen = await each(named, look)
    allowed = [space for _, entry in seen for space in entry.rooms] if spaces else []
    usable = await _usable(chat, dict.fromkeys(allowed))
    return [
        Looked(
            room, room_id, next((usable[space] for space in entry.rooms if space in usable and entry.by(space)), None)
        )
        for room, (room_id, entry) in zip(named, seen, strict=True)
    ]


async def _usable(chat: Chat, spaces: Iterable[str]) -> dict[str, Way]:
    """Those to which the bot can invite."""

    async def look(space: str) -> Way | None:
        try:
            room, power = await asyncio.gather(chat.room(space), chat.power(space))
        except (Refused, NotFound):
            return None
        lacking = power.lacking(indoc=False) is not None
        return None if room.kind != SPACE or lacking else Way(space, room.name or space)

    wanted = list(spaces)
    found = await each(wanted, look)
    return {space: way for space, way in zip(wanted, found, strict=True) if way}
