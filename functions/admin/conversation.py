"""/api/members/{matrix_id}/conversation"""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from functions.admin import conversation_models as c
from functions.admin import models as m
from functions.admin.streams import EVENTS, LastEventId, stream
from shared.domain.members import member_id
from shared.services import answers, conversation
from shared.services.conversation import PAGE
from shared.services.conversation_watch import ConversationWatch
from shared.wiring import wiring

router = APIRouter(tags=["conversation"])


@router.get("/members/{matrix_id:path}/conversation")
async def read_conversation(matrix_id: str, limit: m.Limit = PAGE, cursor: m.Cursor = None) -> c.Conversation:
    """What the bot and they have said to each other in their direct room, the newest first, for 90 days; texts are kept
    locked and opened for this answer alone."""
    return c.conversation_out(await conversation.page(wiring(), member_id(matrix_id), limit, cursor))


@router.get("/members/{matrix_id:path}/conversation/events", response_class=Response, responses=EVENTS)
async def follow_conversation(request: Request, matrix_id: str, last_event_id: LastEventId = "") -> Response:
    """Its first page again whenever it has changed: `event: conversation`."""
    watch = ConversationWatch(wiring(), member_id(matrix_id))
    shown = lambda: c.conversation_out(watch.talk).model_dump_json()  # noqa: E731
    return await stream(request, watch, "conversation", shown, last_event_id)


@router.post("/members/{matrix_id:path}/conversation", status_code=202)
async def answer_member(
    request: Request,
    matrix_id: str,
    wanted: c.Answer,
    dry_run: m.DryRun = False,
    idempotency_key: m.IdempotencyKey = "",
) -> m.JobStarted:
    """Said by the bot, encrypted where their direct room is; that is made where there is none. It waits until they can
    read it, as the welcome does."""
    asked = answers.Wanted(matrix_id, wanted.text, idempotency_key, m.body_of(request))
    started = await answers.start(wiring(), m.actor_of(request), asked, dry_run=dry_run)
    return m.JobStarted(job=m.job_out(started))
