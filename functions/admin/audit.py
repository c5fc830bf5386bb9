"""/api/audit"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response, StreamingResponse

from functions.admin import models as m
from functions.admin.csv_answers import CSV, file_headers
from functions.admin.exports import csv_of
from shared.services import audit_listing
from shared.services.audit_listing import Wanted
from shared.wiring import wiring

router = APIRouter(tags=["audit"])
When = Annotated[m.Expiry | None, Query()]


def _wanted(
    actor: m.Search = "",
    action: m.Search = "",
    target: m.Search = "",
    outcome: m.Search = "",
    since: When = None,
    until: When = None,
) -> Wanted:
    """Exact values; `since` counts in, `until` does not."""
    return Wanted(target, actor, action, outcome, since, until)


@router.get("/audit")
async def list_audit(
    wanted: Annotated[Wanted, Depends(_wanted)], limit: m.Limit = 50, cursor: m.Cursor = None
) -> m.AuditList:
    """The newest first: who did what to whom, when, from where. One filter and a span of time are answered from an
    index; of several, all are looked through that fit the first of target, actor, action and outcome, 1,000 records an
    answer: it may be short, or empty, and have a cursor to search on with."""
    found = await audit_listing.listing(wiring(), wanted, limit, cursor)
    items = [m.AuditOut.model_validate(record.data()) for record in found.items]
    return m.AuditList(items=items, next_cursor=found.next_cursor, total=found.total, looked=found.looked)


@router.get("/audit.csv", response_class=Response, responses=CSV)
async def export_audit(request: Request, wanted: Annotated[Wanted, Depends(_wanted)]) -> Response:
    """The same by the same filters, whole and as a table; recorded in the audit itself."""
    pages = await audit_listing.export(wiring(), m.actor_of(request), wanted)
    return StreamingResponse(csv_of(pages, "audit"), media_type="text/csv", headers=file_headers("audit.csv"))
