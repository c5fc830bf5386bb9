"""What goes out of /api/rooms: a room with what the bot may not do in it, and who is in it."""

from __future__ import annotations

from typing import Literal

from functions.admin import models as m
from functions.admin import sync_models as s
from shared.services.room_details import Detail
from shared.services.room_lists import Listed
from shared.services.room_members import Resident


class NeedOut(m.Out):
    """What the bot may not do. `command`: for an admin of the room to type in it."""

    act: Literal["invite", "remove"]
    needed: int
    cause: str
    fix: str
    command: str


class ListedRoom(m.RoomOut):
    """`bot_power` and what the room asks for; null while there is no cache. A creator of a room of version 12 or later
    has 2**53. `needs`: what the bot lacks."""

    bot_power: int | None
    invite_power: int | None
    remove_power: int | None
    needs: list[NeedOut]
    invited: int


class CachedRooms(s.Aged):
    """`counts`: of what `q` finds: all, missing, spaces, encrypted."""

    items: list[ListedRoom]
    counts: dict[str, int]


class NamedRoom(m.Out):
    room_id: str
    name: str


class RoomDetail(ListedRoom):
    """`live`: the powers are those of this moment; else they are of the last sync, at `synced_at`. `in_spaces`: that it
    says it belongs to; `entered_by`: whose members may join it by themselves. `bot`: its Matrix id; `domain`: of the
    members' ones."""

    live: bool
    synced_at: m.Time | None
    version: str
    in_spaces: list[NamedRoom]
    entered_by: list[NamedRoom]
    children: int
    bot: str
    domain: str


class RoomMember(m.Out):
    """`pk`, `username`, `name`: of the account whose Matrix id this is by its username; null and "" where nobody knows,
    or it would cost too much to look. `kept`: why nobody is taken out of the room here, "" where they can be.
    `bridge`: such as "Signal", "" of who is on Matrix."""

    matrix_id: str
    membership: Literal["join", "invite"]
    power: int
    pk: int | None
    username: str
    name: str
    kept: str
    bridge: str


class RoomMembers(s.Aged):
    """`named`: whether accounts were looked at for the names."""

    items: list[RoomMember]
    named: bool


def listed(found: Listed) -> ListedRoom:
    return ListedRoom.model_validate(_shown(found))


def detail(found: Detail) -> RoomDetail:
    more = {
        "live": found.live,
        "synced_at": found.synced_at,
        "version": found.version,
        "in_spaces": [NamedRoom(room_id=room, name=name) for room, name in found.in_spaces.items()],
        "entered_by": [NamedRoom(room_id=room, name=name) for room, name in found.entered_by.items()],
        "children": found.children,
        "bot": found.bot,
        "domain": found.domain,
    }
    return RoomDetail.model_validate(_shown(found.listed) | more)


def _shown(found: Listed) -> dict[str, object]:
    power = found.standing
    return m.room_out(found.room).model_dump() | {
        "bot_power": power.ours if power else None,
        "invite_power": power.invite if power else None,
        "remove_power": power.remove if power else None,
        "needs": [NeedOut.model_validate(each, from_attributes=True) for each in found.needs],
        "invited": found.invited,
    }


def member(found: Resident) -> RoomMember:
    return RoomMember.model_validate(found, from_attributes=True)
