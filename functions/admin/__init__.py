"""One public function: the page (`static/`) and the API (`/api/*`).

Health and the page's files are answered before anything heavy is imported. Everything else below
`/api/` is denied unless the caller proves to be an admin, whatever the path.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from functions import http

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

MAX_API_BODY = 512 * 1024
MAX_FILE = 1_000_000
"""Bytes of a file to import: 5,000 lines of 200."""


async def handle(request: Request) -> Response:
    """By path alone."""
    path = request.url.path
    if path == "/api/health" and request.method in ("GET", "HEAD"):
        return await http.answer(_health, request)
    return await http.answer(_api if path == "/api" or path.startswith("/api/") else _page, request)


async def handle_as(request: Request, path: str) -> Response:
    """A target of its own for one route: whatever its own URL is, it means `path`."""
    scope = {**request.scope, "path": path, "raw_path": path.encode(), "root_path": ""}
    return await http.answer(_api, Request(scope, request.receive))


async def _health(_: Request) -> Response:
    return JSONResponse({"status": "ok"}, headers={"Cache-Control": "no-store"})


async def _page(request: Request) -> Response:
    from functions.admin.page import page

    return await page(request)


async def _api(request: Request) -> Response:
    """Who, then how much, then what: in this order, so that a stranger costs and learns nothing."""
    from functions.admin.access import admitted

    actor = await admitted(request)
    body = await http.read_body(request, MAX_FILE if request.url.path == "/api/imports" else MAX_API_BODY)
    from functions.admin.app import app

    # The API speaks JSON only, so a body is JSON whatever its caller calls it (curl -d says it is a form). The route
    # that takes a file reads it by itself.
    headers = [(name, value) for name, value in request.scope["headers"] if name != b"content-type"]
    headers.append((b"content-type", b"application/json"))
    state = {"actor": actor, "body": body}
    return _Delegated(app(), {**request.scope, "headers": headers, "state": state}, body)


class _Delegated(Response):
    """The answer of another ASGI application, which reads the body that was read already."""

    def __init__(self, app: Any, scope: dict[str, Any], body: bytes) -> None:
        self.app = app
        self.scope = scope
        self.request_body = body
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - read already
        messages = iter([{"type": "http.request", "body": self.request_body, "more_body": False}])

        async def replay() -> Any:
            return next(messages, None) or await receive()

        # A crash in there was logged and answered by its own handler; Starlette then raises it once more.
        with contextlib.suppress(Exception):
            await self.app(self.scope, replay, send)
