"""Sends a message to one of its recipients."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from functions.tasks import run


async def handle(request: Request) -> Response:
    """Idempotent by the step's document, for as long as it is kept."""
    return await run(request, "send_message")
