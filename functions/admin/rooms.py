"""/api/rooms and /api/members"""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Request

from functions.admin import models as m
from functions.admin import removal_models as rm
from functions.admin import rooms_models as r
from shared.domain.errors import Invalid
from shared.domain.members import member_id
from shared.services import crowds, jobs, room_lists
from shared.services.jobs import JobView, Wanted
from shared.services.where import whereabouts
from shared.wiring import wiring

router = APIRouter(tags=["rooms"])


@router.get("/rooms")
async def list_rooms(
    q: m.Search = "",
    only: Literal["", "missing", "spaces", "encrypted"] = "",
    limit: m.Limit = 50,
    cursor: m.Cursor = None,
) -> r.CachedRooms:
    """The rooms that the bot is in, by name: from the cache, or of the homeserver while there is none. Each word of
    `q` is somewhere in name, topic, alias or id. `only` those in which the bot lacks power, or of a kind."""
    ports, start = wiring(), m.offset_of(cursor)
    found = await room_lists.find(ports, q, only, start, limit)
    following = str(start + limit) if start + limit < found.total else None
    age = max(0.0, (ports.now() - found.synced_at).total_seconds())
    return r.CachedRooms(
        items=[r.listed(each) for each in found.items],
        next_cursor=following,
        total=found.total,
        counts=dict(found.counts),
        synced_at=found.synced_at,
        age_seconds=age,
    )


@router.get("/members/{matrix_id:path}/rooms")
async def rooms_of_member(matrix_id: str) -> rm.MemberRooms:
    """Live from the homeserver: those of the bot's rooms that they have joined. Where it does not answer, those of the
    last sync, with their age."""
    return rm.member_rooms(await whereabouts(wiring(), member_id(matrix_id)))


@router.post("/rooms/invite", status_code=202)
async def invite_to_rooms(
    request: Request, wanted: m.RoomsInvite, dry_run: m.DryRun = False, idempotency_key: m.IdempotencyKey = ""
) -> m.JobStarted:
    """One person, or with `matrix_ids` several, each into each of the rooms."""
    asked = Wanted("invite", rooms=tuple(wanted.rooms), key=idempotency_key, body=m.body_of(request), **rm.whom(wanted))
    return m.JobStarted(job=m.job_out(await _started(request, asked, dry_run=dry_run)))


@router.post("/rooms/remove", status_code=202)
async def remove_from_rooms(
    request: Request, wanted: m.RoomsRemove, dry_run: m.DryRun = False, idempotency_key: m.IdempotencyKey = ""
) -> m.JobStarted:
    """Without `rooms`: every room of the bot that they are in, verified live. A dry run shows for each room what the
    bot may not do, or need not."""
    rooms = tuple(wanted.rooms or ())
    if wanted.rooms is not None and not rooms:
        raise Invalid.field("rooms", "expected at least one room, or no such field for every room they are in")
    words, body = rm.words_of(wanted), m.body_of(request)
    asked = Wanted(
        "remove", rooms=rooms, reason=words.reason, key=idempotency_key, body=body, words=words, **rm.whom(wanted)
    )
    return m.JobStarted(job=m.job_out(await _started(request, asked, dry_run=dry_run)))


async def _started(request: Request, asked: Wanted, *, dry_run: bool) -> JobView:
    act = crowds.start if asked.people else jobs.start
    return await act(wiring(), m.actor_of(request), asked, dry_run=dry_run)
