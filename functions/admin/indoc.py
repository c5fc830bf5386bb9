"""/api/indoc: who is in the entry room, and the clock that runs for them"""

from __future__ import annotations

from datetime import datetime, timedelta

from fastapi import APIRouter, Request

from functions.admin import indoc_models as im
from functions.admin import models as m
from shared.domain.errors import Invalid
from shared.domain.members import member_id
from shared.services import indoc, indoc_pauses
from shared.wiring import wiring

router = APIRouter(tags=["indoc"])


@router.get("/indoc")
async def list_indoc(limit: m.Limit = 50, cursor: m.Cursor = None) -> im.IndocList:
    """Live from the homeserver: whoever is in INDOC, the longest first, and what is to come of them."""
    start, ports = m.offset_of(cursor), wiring()
    found, now = await indoc.listing(ports, start, limit), ports.now()
    return im.IndocList(
        items=[im.item(row, now) for row in found.items],
        next_cursor=str(start + limit) if start + limit < found.total else None,
        total=found.total,
        clock="on" if found.on else "off",
        nudge_hours=ports.policy.nudge_hours,
        remove_hours=ports.policy.remove_hours,
    )


@router.post("/indoc/{matrix_id:path}/pause")
async def pause_indoc(
    request: Request, matrix_id: str, wanted: im.PauseIn | None = None, dry_run: m.DryRun = False
) -> im.PauseOut:
    """Nobody nudges or removes them meanwhile."""
    ports, asked = wiring(), wanted or im.PauseIn()
    until = _until(asked, ports.now())
    actor, member = m.actor_of(request), member_id(matrix_id)
    return im.pause_out(await indoc_pauses.pause(ports, actor, member, until, dry_run=dry_run), ports.now())


@router.post("/indoc/{matrix_id:path}/resume")
async def resume_indoc(request: Request, matrix_id: str, dry_run: m.DryRun = False) -> im.PauseOut:
    """From now on; they have the time between nudge and removal at least."""
    ports, actor = wiring(), m.actor_of(request)
    return im.pause_out(await indoc_pauses.unpause(ports, actor, member_id(matrix_id), dry_run=dry_run), ports.now())


def _until(asked: im.PauseIn, now: datetime) -> datetime | None:
    if asked.until and asked.hours:
        raise Invalid.field("until", "expected this or hours, not both")
    if asked.until and not now < asked.until < now + timedelta(days=366):
        raise Invalid.field("until", "expected a time in the future, at most a year away")
    return now + timedelta(hours=asked.hours) if asked.hours else asked.until
