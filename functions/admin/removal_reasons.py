"""/api/removal_reasons: templates for what a removed member is told"""

from __future__ import annotations

from fastapi import APIRouter, Request

from functions.admin import models as m
from functions.admin import removal_models as rm
from shared.rarer_repositories import REMOVAL_REASONS
from shared.services import reasons
from shared.wiring import wiring

router = APIRouter(tags=["removals"])


@router.get("/removal_reasons")
async def list_reasons(limit: m.Limit = 50, cursor: m.Cursor = None) -> rm.ReasonList:
    found = await REMOVAL_REASONS.list(wiring().documents, (), "label", limit, cursor)
    items = [rm.reason_out(record) for record in found.items]
    return rm.ReasonList(items=items, next_cursor=found.next_cursor, total=found.total)


@router.get("/removal_reasons/{reason_id}")
async def read_reason(reason_id: rm.ReasonId) -> rm.ReasonOut:
    return rm.reason_out((await REMOVAL_REASONS.get(wiring().documents, reason_id)).record)


@router.put("/removal_reasons/{reason_id}")
async def put_reason(
    request: Request, reason_id: rm.ReasonId, wanted: rm.ReasonIn, dry_run: m.DryRun = False
) -> rm.ReasonOut:
    """Made, or replaced as a whole. The one called `indoc` is what the clock of INDOC says."""
    record = await reasons.put(
        wiring(), m.actor_of(request), reason_id, wanted.label, wanted.reason, wanted.message, dry_run=dry_run
    )
    return rm.reason_out(record)


@router.delete("/removal_reasons/{reason_id}", status_code=204)
async def delete_reason(request: Request, reason_id: rm.ReasonId, dry_run: m.DryRun = False) -> None:
    await reasons.delete(wiring(), m.actor_of(request), reason_id, dry_run=dry_run)
