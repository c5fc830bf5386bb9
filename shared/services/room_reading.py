"""Whole rooms from the homeserver, as the cache keeps them; as many at once as memory allows."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from msgspec import Struct
from msgspec.structs import replace

from shared.bounded import each
from shared.domain import cached_rooms
from shared.domain.cached_rooms import Members, RoomRow, folded
from shared.domain.errors import NotFound, Refused
from shared.ports import Chat, StateEvent
from shared.services.member_ids import MemberIds

AT_ONCE, CAREFULLY = 4, 2
"""Rooms that are read at the same time; the second where one of them may be large: the state of 20,000 members is an
answer of some 10 MB, and three times that until it is folded."""
LARGE = 2_000
"""Members."""


class Home(Struct, frozen=True):
    """A room with who is in it."""

    row: RoomRow
    members: Members


async def read_all(chat: Chat, rooms: Sequence[str], small: Collection[str], ids: MemberIds) -> dict[str, Home | None]:
    known, others = [room for room in rooms if room in small], [room for room in rooms if room not in small]
    return await _read_some(chat, known, AT_ONCE, ids) | await _read_some(chat, others, CAREFULLY, ids)


async def _read_some(chat: Chat, rooms: Sequence[str], at_once: int, ids: MemberIds) -> dict[str, Home | None]:
    homes = await each(rooms, lambda room: read(chat, room, ids), at_once)
    return dict(zip(rooms, homes, strict=True))


async def read(chat: Chat, room: str, ids: MemberIds) -> Home | None:
    """None: the bot has been put out of it since it was listed."""
    try:
        events = await chat.state(room)
    except (Refused, NotFound) as error:
        if getattr(error, "code", "") not in ("M_FORBIDDEN", "M_NOT_FOUND", ""):
            raise
        return None
    return home(Home(RoomRow(room), Members()), events, ids)


def home(before: Home, events: Sequence[StateEvent], ids: MemberIds) -> Home:
    """The room after these events: full and light alike."""
    changed = {ids.number(user): state for user, state in cached_rooms.memberships(events).items()}
    members = before.members.after(changed)
    row = folded(before.row, events)
    return Home(replace(row, joined=len(members.joined), invited=len(members.invited)), members)
