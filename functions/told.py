"""The one line that each request leaves in the log, and, where requests are traced, its span."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, Protocol

from starlette.requests import Request
from starlette.responses import Response

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

    from shared.domain.traces import Trace

log = logging.getLogger("muster")
MAX_PATH = 300
"""Characters of a path that are worth a line: a stranger may send 64 KB."""


class Span(Protocol):
    """Of a request that is traced."""

    @property
    def trace(self) -> Trace: ...
    async def end(self, status: int) -> None: ...


class Told(Response):
    """An answer that tells the log about itself: with the status that it really has, and before its last bytes
    leave, since a function is given no time after them."""

    def __init__(self, answer: Response, request: Request, began: float, span: Span | None) -> None:
        self.answer, self.span, self.began = answer, span, began
        self.method, self.path = request.method, request.url.path[:MAX_PATH]
        self.background = None
        self._status, self._is_told = 500, False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._status = message["status"]
            elif not message.get("more_body", False):
                await self._tell()
            await send(message)

        try:
            await self.answer(scope, receive, watched)
        finally:
            await self._tell()  # the caller may have gone away before the end

    async def _tell(self) -> None:
        if self._is_told:
            return
        self._is_told = True
        log.info("%s %s: %d", self.method, self.path, self._status, extra={"fields": {"httpRequest": self._entry()}})
        if self.span:
            await self.span.end(self._status)

    def _entry(self) -> dict[str, Any]:
        """Cloud Logging's HttpRequest. Without the query: what admins search for are people's names and addresses."""
        latency = f"{time.perf_counter() - self.began:.6f}s"
        return {"requestMethod": self.method, "requestUrl": self.path, "status": self._status, "latency": latency}
