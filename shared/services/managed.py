"""Which rooms are meant: those that the bot manages, and a room by its alias."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from shared.domain import ids
from shared.domain.errors import Refused
from shared.ports import Room
from shared.services.context import Ports


async def room_id_of(ports: Ports, room: str) -> str:
    """An alias is asked for and remembered for a while; an id is itself. Raises `Refused`."""
    if room.startswith("!"):
        return room

    async def resolve() -> str | None:
        return await (await ports.chat()).resolve(room)

    room_id = await ports.remember(f"alias {room}", 300, resolve)
    if room_id is None:
        raise Refused(f"there is no room {room}", "Correct the alias in the invite or the settings.", "M_NOT_FOUND")
    return room_id


async def managed(ports: Ports) -> list[Room]:
    """The bot's rooms by name, without the direct ones: those are between a member and the bot."""

    async def read() -> list[Room]:
        chat = await ports.chat()
        rooms, direct = await asyncio.gather(chat.rooms(), chat.direct_rooms())
        return _without(rooms, direct.values())

    return await ports.remember("rooms", 60, read)


async def managed_of(ports: Ports, matrix_id: str) -> list[Room]:
    """Live: the managed rooms that a member has joined."""
    chat = await ports.chat()
    rooms, direct, ours = await asyncio.gather(
        chat.rooms_of(matrix_id),
        chat.direct_rooms(),
        ports.documents.get_many([ids.direct_path(matrix_id), ids.notice_path(matrix_id)]),
    )
    return _without(rooms, [*direct.values(), [room.data["room_id"] for room in ours if room]])


def _without(rooms: list[Room], direct: Iterable[list[str]]) -> list[Room]:
    private = {room_id for room_ids in direct for room_id in room_ids}
    return [room for room in rooms if room.room_id not in private]
