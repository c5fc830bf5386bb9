"""/api/jobs"""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Request
from starlette.responses import Response

from functions.admin import models as m
from functions.admin.streams import EVENTS, LastEventId, stream
from shared.services import jobs
from shared.services.watching import JobWatch
from shared.wiring import wiring

router = APIRouter(tags=["jobs"])


@router.get("/jobs")
async def list_jobs(
    part_of: m.Search = "",
    state: Literal["", "running", "waiting", "done", "failed"] = "",
    limit: m.Limit = 50,
    cursor: m.Cursor = None,
) -> m.Jobs:
    """The newest first: those that were asked for, or with `part_of` those of the members that a plan's job made."""
    found = await jobs.listing(wiring(), part_of, state, limit, cursor)
    items = [m.JobSummary.model_validate(job.data()) for job in found.items]
    return m.Jobs(items=items, next_cursor=found.next_cursor, total=found.total)


@router.get("/jobs/{job_id}")
async def read_job(job_id: str) -> m.JobOut:
    """Each item's state, cause and fix."""
    return m.job_out(await jobs.view(wiring(), job_id))


@router.get("/jobs/{job_id}/events", response_class=Response, responses=EVENTS)
async def follow_job(request: Request, job_id: str, last_event_id: LastEventId = "") -> Response:
    """It again whenever it has changed, until each item has ended: `event: job`, then `event: end`."""
    watch = JobWatch(wiring(), job_id)
    return await stream(request, watch, "job", lambda: m.job_out(watch.view).model_dump_json(), last_event_id)
