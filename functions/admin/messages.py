"""/api/messages: written to people or rooms, followed, halted, tried again"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from functions.admin import messages_models as mm
from functions.admin import models as m
from functions.admin.csv_answers import CSV, file_headers
from functions.admin.exports import cells_of
from functions.admin.streams import EVENTS, LastEventId, stream
from shared.domain import sheets
from shared.domain.onboarding import Step
from shared.services import broadcast_report, broadcasts
from shared.services.broadcast_acts import Deed, act_on
from shared.services.broadcast_report import MessageWatch, Standing
from shared.wiring import wiring

router = APIRouter(tags=["messages"])
COLUMNS = (
    "name username matrix_id room state at event_id template readable waits_for next_at cause fix attempts".split()
)


@router.post("/messages", status_code=202)
async def send_message(
    request: Request, new: mm.NewMessage, dry_run: m.DryRun = False, idempotency_key: m.IdempotencyKey = ""
) -> mm.MessageStarted:
    """Up to 5,000 recipients, decided now. The dry run tells to how many it goes, who cannot be written to and why, and
    what the first of them would read."""
    asked = broadcasts.Wanted(
        mm.chosen(new.to),
        new.text,
        new.template,
        new.notice,
        new.expected,
        idempotency_key,
        m.body_of(request),
    )
    return mm.started_out(await broadcasts.start(wiring(), m.actor_of(request), asked, dry_run=dry_run))


@router.get("/messages")
async def list_messages(limit: m.Limit = 50, cursor: m.Cursor = None) -> mm.Messages:
    """The newest first. Counts of those under way may be minutes old: each one's own are of now."""
    found = await broadcast_report.listing(wiring(), limit, cursor)
    items = [mm.summary_out(broadcast_report.as_kept(message)) for message in found.items]
    return mm.Messages(items=items, next_cursor=found.next_cursor, total=found.total)


@router.get("/messages/{message_id}")
async def read_message(message_id: str) -> mm.MessageOut:
    """What it says, to whom it goes, and how many have it."""
    return mm.message_out(await broadcast_report.standing(wiring(), message_id))


@router.get("/messages/{message_id}/items")
async def list_recipients(
    message_id: str, state: mm.Group = "", limit: m.Limit = 50, cursor: m.Cursor = None
) -> mm.Recipients:
    """Who got it, with event id and time; who did not, and why; who is waited for. All, or those in one state."""
    found = await broadcast_report.page(wiring(), message_id, state, limit, cursor)
    items = [mm.recipient_out(step) for step in found.items]
    return mm.Recipients(items=items, next_cursor=found.next_cursor, total=found.total)


@router.get("/messages/{message_id}/report.csv", response_class=Response, responses=CSV)
async def read_report(request: Request, message_id: str) -> Response:
    """Every recipient as a table; recorded in the audit."""
    pages = await broadcast_report.begin_export(wiring(), m.actor_of(request), message_id)
    headers = file_headers(f"message-{message_id}.csv")
    return StreamingResponse(_csv(pages), media_type="text/csv", headers=headers)


async def _csv(pages: AsyncIterator[Sequence[Step]]) -> AsyncIterator[str]:
    yield sheets.write(COLUMNS, ())
    async for page in pages:
        yield sheets.write(COLUMNS, [cells_of(mm.recipient_out(step), COLUMNS) for step in page], header=False)


@router.get("/messages/{message_id}/events", response_class=Response, responses=EVENTS)
async def follow_message(request: Request, message_id: str, last_event_id: LastEventId = "") -> Response:
    """It again whenever it or its counts have changed, until it is over: `event: message`, then `event: end`."""
    watch = MessageWatch(wiring(), message_id)
    return await stream(
        request, watch, "message", lambda: mm.message_out(watch.standing).model_dump_json(), last_event_id
    )


@router.post("/messages/{message_id}/pause", status_code=202)
async def pause_message(request: Request, message_id: str, dry_run: m.DryRun = False) -> mm.MessageChanged:
    """Nobody else is written to until it is resumed; what is being sent at this moment is sent."""
    return await _changed(request, message_id, "pause", dry_run=dry_run)


@router.post("/messages/{message_id}/resume", status_code=202)
async def resume_message(request: Request, message_id: str, dry_run: m.DryRun = False) -> mm.MessageChanged:
    """It goes on with those who have not got it: after a pause, or after it has stopped by itself."""
    return await _changed(request, message_id, "resume", dry_run=dry_run)


@router.post("/messages/{message_id}/cancel", status_code=202)
async def cancel_message(request: Request, message_id: str, dry_run: m.DryRun = False) -> mm.MessageChanged:
    """Whoever has not got it does not get it; `counts.got` have it already. It cannot be taken up again."""
    return await _changed(request, message_id, "cancel", dry_run=dry_run)


@router.post("/messages/{message_id}/retry", status_code=202)
async def retry_message(request: Request, message_id: str, dry_run: m.DryRun = False) -> mm.MessageChanged:
    """All for whom it failed, once more. Who has it does not get it again."""
    return await _changed(request, message_id, "retry", dry_run=dry_run)


async def _changed(request: Request, message_id: str, deed: Deed, *, dry_run: bool) -> mm.MessageChanged:
    message = await act_on(wiring(), m.actor_of(request), message_id, deed, dry_run=dry_run)
    now = await broadcast_report.standing(wiring(), message_id)
    return mm.changed_out(Standing(message, now.counts))
