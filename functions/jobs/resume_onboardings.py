"""Called by Cloud Scheduler: the sweep."""

from __future__ import annotations

from msgspec.structs import asdict
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from functions import http
from functions.tasks import verify_invoker
from shared.services.resume import resume
from shared.wiring import wiring


async def handle(request: Request) -> Response:
    """Idempotent: one run at a time by a lease of 4 minutes, and each thing it mends by its own document."""

    async def sweep(request: Request) -> Response:
        http.only(request, "POST")
        await verify_invoker(request, "resume_onboardings", "store", "onboarding", "authentik", "matrix")
        report = await resume(wiring())
        return JSONResponse(asdict(report) if report else {"skipped": "another run is under way"})

    return await http.answer(sweep, request)
