"""/api/users/{pk}/signal"""

from __future__ import annotations

from fastapi import APIRouter, Request

from functions.admin import models as m
from functions.admin import signal_models as sg
from functions.admin.users import Pk
from shared.services import signal_jobs
from shared.wiring import wiring

router = APIRouter(tags=["users"])


@router.get("/users/{pk}/signal")
async def read_signal(pk: Pk) -> sg.SignalOut:
    """Whether they can be written to on Signal, and the chat with them there."""
    return sg.signal_out(await signal_jobs.shown(wiring(), pk))


@router.post("/users/{pk}/signal", status_code=202)
async def write_on_signal(
    request: Request, pk: Pk, dry_run: m.DryRun = False, idempotency_key: m.IdempotencyKey = ""
) -> m.JobStarted:
    """Opens a chat with them by the `signal_number` of their account, through the Signal bridge, and says hello there:
    once, however often it is asked for."""
    actor, body = m.actor_of(request), m.body_of(request)
    view = await signal_jobs.start(wiring(), actor, pk, idempotency_key, body, dry_run=dry_run)
    return m.JobStarted(job=m.job_out(view))
