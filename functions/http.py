"""HTTP in, one service call, HTTP out: the only place where an outcome becomes a status."""

from __future__ import annotations

import json
import logging
import math
import os
import time
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from functions.told import MAX_PATH, Span, Told
from shared import logs
from shared.domain.errors import Invalid, MusterError, TooLarge, TooMany, TryLater
from shared.domain.traces import CLOUD, TRACEPARENT, Trace, read

log = logging.getLogger("muster")
MAX_BODY = 256 * 1024
"""Bytes. The largest sensible request is a hundredth of it."""

Handler = Callable[[Request], Awaitable[Response]]


async def answer(handler: Handler, request: Request) -> Response:
    """Runs the handler within the request's log context; every error becomes a problem document. The answer leaves
    one line in the log."""
    logs.configure()
    began, arriving = time.perf_counter(), read(*(request.headers.get(name, "") for name in (TRACEPARENT, CLOUD)))
    span = _span(request, arriving)
    logs.begin(span.trace if span else arriving)
    return Told(await _answered(handler, request), request, began, span)


async def _answered(handler: Handler, request: Request) -> Response:
    try:
        return await handler(request)
    except MusterError as error:
        return problem(error)
    except Exception as error:
        return crashed(request, error)


def _span(request: Request, arriving: Trace | None) -> Span | None:
    """Asks the environment first: while tracing is off, health and the page come up without the wiring."""
    if os.environ.get("TRACING", "off") in ("", "off"):
        return None
    from shared.wiring import wiring

    try:
        tracer = wiring().tracer
    except MusterError:
        return None  # the self-check says what is wrong with the setting
    return tracer.request(f"{request.method} {request.url.path}"[:MAX_PATH], arriving) if tracer else None


def crashed(request: Request, error: Exception) -> Response:
    """A mistake of ours: all of it into the log, nothing of it into the answer."""
    fields = {"path": request.url.path, "method": request.method}
    log.error("request failed", exc_info=error, extra={"fields": fields})
    return problem(MusterError("something unexpected went wrong", "It is in the logs; try again."))


def problem(error: MusterError) -> Response:
    """RFC 9457, with the fix beside the detail."""
    body: dict[str, Any] = {
        "type": f"urn:muster:problem:{type(error).__name__.lower()}",
        "title": error.title,
        "status": error.status,
        "detail": error.cause,
        "fix": error.fix,
    }
    headers = {}
    if isinstance(error, Invalid):
        body["errors"] = [{"field": field, "message": message} for field, message in error.errors]
    after = error.after if isinstance(error, TooMany | TryLater) else None
    if after is not None:
        body["retry_after"] = after
        headers["Retry-After"] = str(math.ceil(after))
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    # As ASCII: what is wrong with a field may be that it holds half a character, which UTF-8 cannot say.
    return Response(json.dumps(body), error.status, headers, media_type="application/problem+json")


async def read_body(request: Request, limit: int = MAX_BODY) -> bytes:
    """Raises `TooLarge` without reading on."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise TooLarge(f"the body is larger than {limit // 1024} KiB", "Send less at a time.")
    return bytes(body)


def read_json(body: bytes) -> dict[str, Any]:
    """A JSON object. Raises `Invalid`, also for text with halves of characters: nobody can store or print it."""
    try:
        found = json.loads(body)
        json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise Invalid("the body is not JSON", fix="Send a JSON object in UTF-8.") from error
    if not isinstance(found, dict):
        raise Invalid("the body is not a JSON object", fix="Send a JSON object in UTF-8.")
    return found


def source(request: Request) -> str:
    """The caller's address. On Cloud Run everybody comes through Google's front end, which writes the address that it
    was called from at the end of X-Forwarded-For; elsewhere that header says whatever its sender likes."""
    if os.environ.get("K_SERVICE"):
        return request.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()[:64]
    return request.client.host if request.client else ""


def only(request: Request, method: str) -> None:
    """Raises for any other method. 405 would be a vendor's retry loop for a task: 400 says the same."""
    if request.method != method:
        raise Invalid(f"{request.method} is not understood here", fix=f"Use {method}.")
