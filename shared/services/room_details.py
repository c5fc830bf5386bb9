"""One room: what it says of itself, from the cache; what the bot may do there, live, so that a fix is seen to work."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from msgspec import Struct

from shared.domain.cache import Rooms
from shared.domain.cached_rooms import RoomRow
from shared.domain.errors import Limited, NotFound, Refused, Unreachable
from shared.domain.room_needs import Standing, needs_of
from shared.ports import Room
from shared.services import cache
from shared.services.context import Ports
from shared.services.managed import managed
from shared.services.room_lists import Listed, listed_of


class Detail(Struct, frozen=True):
    """`live`: whether the powers are of now. `synced_at`: of the rest; None: all of it is of now. `in_spaces`,
    `entered_by`: room id to name."""

    listed: Listed
    live: bool
    synced_at: datetime | None
    bot: str
    domain: str
    version: str = ""
    in_spaces: Mapping[str, str] = {}
    entered_by: Mapping[str, str] = {}
    children: int = 0


async def read(ports: Ports, room_id: str) -> Detail:
    """Raises `NotFound` for what is no room of the bot, or a direct one: that is between a member and the bot."""
    known = await cache.rooms(ports)
    row = known.rooms.get(room_id) if known else None
    if known is None or row is None:
        return await _live(ports, room_id)
    listed, bot, live = listed_of(row, known.sync.bot), known.sync.bot, False
    try:
        listed, bot = await _looked(ports, listed)
        live = True
    except (Unreachable, Limited):
        pass
    except (Refused, NotFound) as error:
        raise _absent(room_id) from error
    return Detail(
        listed,
        live,
        known.sync.synced_at,
        bot,
        ports.policy.domain,
        row.version,
        _named(known, row.parents),
        _named(known, _entering(row)),
        len(row.children),
    )


async def _live(ports: Ports, room_id: str) -> Detail:
    room = next((room for room in await managed(ports) if room.room_id == room_id), None)
    if room is None:
        raise _absent(room_id)
    try:
        listed, bot = await _looked(ports, Listed(room))
    except (Refused, NotFound) as error:
        raise _absent(room_id) from error
    return Detail(listed, True, None, bot, ports.policy.domain)


async def _looked(ports: Ports, listed: Listed) -> tuple[Listed, str]:
    """With the powers of this moment."""
    chat, room = await ports.chat(), listed.room
    power, bot = await chat.power(room.room_id), (await chat.whoami()).user_id
    standing = Standing(power.ours, power.invite, power.kick)
    needs = needs_of(standing, _name(room), bot)
    return Listed(room, standing, needs, listed.invited), bot


def _name(room: Room) -> str:
    return room.name or room.alias or room.room_id


def _absent(room_id: str) -> NotFound:
    return NotFound(f"the bot is not in the room {room_id}, or there is none", "Invite the bot to it and let it join.")


def _entering(row: RoomRow) -> Iterable[str]:
    return row.allow if row.join_rule in ("restricted", "knock_restricted") else ()


def _named(known: Rooms, rooms: Iterable[str]) -> dict[str, str]:
    return {room: known.rooms[room].name if room in known.rooms else "" for room in rooms}
