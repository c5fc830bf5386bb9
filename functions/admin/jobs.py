"""/api/jobs"""

from __future__ import annotations

from fastapi import APIRouter

from functions.admin import models as m
from shared.services import jobs
from shared.wiring import wiring

router = APIRouter(tags=["jobs"])


@router.get("/jobs/{job_id}")
async def read_job(job_id: str) -> m.JobOut:
    """Each item's state, cause and fix."""
    return m.job_out(await jobs.view(wiring(), job_id))
