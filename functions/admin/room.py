"""/api/rooms/{room_id}: one room, and who is in it"""

from __future__ import annotations

from fastapi import APIRouter
from starlette.exceptions import HTTPException

from functions.admin import models as m
from functions.admin import rooms_models as r
from shared.services import room_details, room_members
from shared.wiring import wiring

router = APIRouter(tags=["rooms"])


@router.get("/rooms/invite", include_in_schema=False)
@router.get("/rooms/remove", include_in_schema=False)
@router.get("/rooms/recommend", include_in_schema=False)
async def no_room() -> None:
    """These are no rooms' ids."""
    raise HTTPException(405)


@router.get("/rooms/{room_id:path}/members")
async def members_of_room(
    room_id: str, q: m.Search = "", limit: m.Limit = 50, cursor: m.Cursor = None
) -> r.RoomMembers:
    """Who has joined or is invited, by Matrix id, as the last sync saw it. Each word of `q` is somewhere in Matrix id,
    name or username."""
    ports = wiring()
    found = await room_members.page(ports, room_id, q, limit, cursor)
    return r.RoomMembers(
        items=[r.member(each) for each in found.items],
        next_cursor=found.next_cursor,
        total=found.total,
        named=found.named,
        synced_at=found.synced_at,
        age_seconds=max(0.0, (ports.now() - found.synced_at).total_seconds()),
    )


@router.get("/rooms/{room_id:path}")
async def read_room(room_id: str) -> r.RoomDetail:
    """What it says of itself, from the cache; what the bot may do there, live where the homeserver answers."""
    return r.detail(await room_details.read(wiring(), room_id))
