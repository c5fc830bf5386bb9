"""/api/jobs"""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Request
from starlette.responses import Response

from functions.admin import jobs_models as j
from functions.admin import models as m
from functions.admin.streams import EVENTS, LastEventId, stream
from shared.domain.onboarding import ENDED
from shared.services import bulk_lines, job_retry, jobs
from shared.services.context import Ports
from shared.services.jobs import JobView
from shared.services.watching import JobWatch
from shared.wiring import wiring

router = APIRouter(tags=["jobs"])
State = Literal["", "open", "done", "skipped", "failed"]


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
    """Each item's state, cause and fix: all of them, or the first 100 people of an act on many."""
    return m.job_out(await _seen(wiring(), job_id))


async def _seen(ports: Ports, job_id: str) -> JobView:
    return await bulk_lines.shown(ports, await jobs.view(ports, job_id))


@router.get("/jobs/{job_id}/items")
async def list_items(job_id: str, state: State = "", limit: m.Limit = 50, cursor: m.Cursor = None) -> j.JobItems:
    """Page by page, in one state or in all of them; `open`: neither done nor skipped nor failed yet."""
    ports, start = wiring(), m.offset_of(cursor)
    view = await jobs.view(ports, job_id)
    if view.job.kind == "bulk":
        page = await bulk_lines.page(ports, view, state, limit, start)
        items, following, total = (
            [m.person_item(page.bulk.deed, line) for line in page.lines],
            page.following,
            page.total,
        )
    else:
        found = [
            item
            for item in m.job_out(view).items
            if state in ("", item.state) or (state == "open" and item.state not in ENDED)
        ]
        end, total = start + limit, len(found)
        items, following = found[start:end], end if end < total else None
    return j.JobItems(items=items, next_cursor=None if following is None else str(following), total=total)


@router.post("/jobs/{job_id}/retry")
async def retry_job(
    request: Request, job_id: str, wanted: m.Retry | None = None, dry_run: m.DryRun = False
) -> m.JobOut:
    """What failed again, or the steps that are named. What is done stays done."""
    ports, steps = wiring(), wanted.steps if wanted else []
    view = await job_retry.retry(ports, m.actor_of(request), job_id, steps, dry_run=dry_run)
    return m.job_out(await bulk_lines.shown(ports, view))


@router.get("/jobs/{job_id}/events", response_class=Response, responses=EVENTS)
async def follow_job(request: Request, job_id: str, last_event_id: LastEventId = "") -> Response:
    """It again whenever it has changed, until each item has ended: `event: job`, then `event: end`."""
    watch = JobWatch(wiring(), job_id)
    return await stream(request, watch, "job", lambda: m.job_out(watch.view).model_dump_json(), last_event_id)
