"""/api/rooms and /api/members"""

from __future__ import annotations

from fastapi import APIRouter, Request

from functions.admin import models as m
from functions.admin import removal_models as rm
from shared.domain.errors import Invalid
from shared.domain.members import member_id
from shared.ports import Room
from shared.services import jobs
from shared.services.rooms import managed
from shared.services.where import whereabouts
from shared.wiring import wiring

router = APIRouter(tags=["rooms"])


@router.get("/rooms")
async def list_rooms(limit: m.Limit = 50, cursor: m.Cursor = None) -> m.RoomList:
    """The rooms that the bot is in, by name; asked of the homeserver at most once a minute."""
    return _sliced(await managed(wiring()), limit, cursor)


def _sliced(rooms: list[Room], limit: int, cursor: str | None) -> m.RoomList:
    start = m.offset_of(cursor)
    more = start + limit < len(rooms)
    items = [m.room_out(room) for room in rooms[start : start + limit]]
    return m.RoomList(items=items, next_cursor=str(start + limit) if more else None, total=len(rooms))


@router.get("/members/{matrix_id:path}/rooms")
async def rooms_of_member(matrix_id: str) -> rm.MemberRooms:
    """Live from the homeserver: those of the bot's rooms that they have joined. Where it does not answer, those of the
    last sync, with their age."""
    return rm.member_rooms(await whereabouts(wiring(), member_id(matrix_id)))


@router.post("/rooms/invite", status_code=202)
async def invite_to_rooms(
    request: Request, wanted: m.RoomsInvite, dry_run: m.DryRun = False, idempotency_key: m.IdempotencyKey = ""
) -> m.JobStarted:
    asked = jobs.Wanted("invite", wanted.matrix_id, tuple(wanted.rooms), key=idempotency_key, body=m.body_of(request))
    return m.JobStarted(job=m.job_out(await jobs.start(wiring(), m.actor_of(request), asked, dry_run=dry_run)))


@router.post("/rooms/remove", status_code=202)
async def remove_from_rooms(
    request: Request, wanted: m.RoomsRemove, dry_run: m.DryRun = False, idempotency_key: m.IdempotencyKey = ""
) -> m.JobStarted:
    """Without `rooms`: every room of the bot that they are in, verified live. A dry run shows for each room what the
    bot may not do, or need not."""
    rooms = tuple(wanted.rooms or ())
    if wanted.rooms is not None and not rooms:
        raise Invalid.field("rooms", "expected at least one room, or no such field for every room they are in")
    words = rm.words_of(wanted)
    asked = jobs.Wanted("remove", wanted.matrix_id, rooms, words.reason, idempotency_key, m.body_of(request), words)
    return m.JobStarted(job=m.job_out(await jobs.start(wiring(), m.actor_of(request), asked, dry_run=dry_run)))
