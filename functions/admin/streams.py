"""Answers that go on: Server-Sent Events of one thing, for as long as somebody reads them.

Idempotent: it only reads. An event's id is a version of what it holds, the same on every instance, so that a reader
who comes back with `Last-Event-ID` gets nothing twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Header, Request
from starlette.responses import Response

from functions import http
from functions.admin.access import authenticate, seconds_left
from shared.domain.errors import MusterError, TryLater
from shared.services.context import note
from shared.services.watching import Followed, News, news
from shared.wiring import wiring

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

MOST = 50
"""Streams of one instance, which serves more than these at once (`concurrency` in infra/terraform/locals.tf)."""
AGAIN = 30.0
"""Seconds after which a reader for whom there was no place may ask for one again."""
HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx passes each event on as it comes
}
EVENTS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Server-Sent Events: `id`, a version of it; `event`; `data`, the same JSON as without "
        "`/events`. A comment every 15 seconds, a last `event: end` once it is over. Ends after 4 minutes, or with the "
        "token: read on with `Last-Event-ID`. 503 with Retry-After while too many are read: ask without `/events`",
        "content": {
            "text/event-stream": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "id": {"type": "string"},
                        "event": {"enum": ["onboarding", "job", "conversation", "message", "end"]},
                        "data": {"type": "string", "contentMediaType": "application/json"},
                    },
                    "required": ["event", "data"],
                }
            }
        },
    }
}
"""The schema is that of each event."""
LastEventId = Annotated[str, Header(max_length=200, description="The `id` of the last event that the reader has")]


async def stream(request: Request, watch: Followed, name: str, text: Callable[[], str], known: str) -> Response:
    """Raises whatever is wrong before the first event: `NotFound`, and `TryLater` where there is no place left."""
    wired = wiring()
    take_place("Ask without /events, every few seconds.")
    try:
        await watch.look()
        left = await seconds_left(request)
    except BaseException:
        wired.followers -= 1
        raise

    def told(pause: Callable[[float], Any]) -> AsyncIterator[News]:
        return news(wired, watch, text, known, pause, lambda: authenticate(request), min(left, 86_400))

    return Following(request, name, told)


def take_place(instead: str) -> None:
    """Of one stream, which gives it back when it has ended. Raises `TryLater`."""
    if wiring().followers >= MOST:
        raise TryLater("too many follow something here just now", instead, AGAIN)
    wiring().followers += 1


class Stream(Response):
    """Reads on only while somebody listens; gives its place back however it ends."""

    def __init__(self, request: Request) -> None:
        super().__init__(None, 200, HEADERS)
        del self.headers["content-length"]
        self._request = request

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - an ASGI application
        wired, gone = wiring(), asyncio.ensure_future(_gone(receive))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await send(part(": hello\n\n"))
            await self._tell(send, gone)
            if not gone.done():
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            wired.followers -= 1
            gone.cancel()

    async def _tell(self, send: Send, gone: asyncio.Future[Any]) -> None:
        """All of it, or until the reader is `gone`."""
        raise NotImplementedError


class Following(Stream):
    """Of what is looked at again and again."""

    def __init__(self, request: Request, name: str, told: Callable[[Any], AsyncIterator[News]]) -> None:
        super().__init__(request)
        self._name, self._told = name, told

    async def _tell(self, send: Send, gone: asyncio.Future[Any]) -> None:
        """Too late for another status: whoever asks again is told what is wrong."""
        wired = wiring()
        try:
            async for each in self._told(lambda seconds: wired.pause(seconds, gone)):
                await send(part(_event(self._name, each)))
        except MusterError as error:
            note("stream ended early", cause=error.cause)
        except Exception as error:
            http.crashed(self._request, error)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def part(text: str) -> dict[str, Any]:
    return {"type": "http.response.body", "body": text.encode(), "more_body": True}


def _event(name: str, each: News) -> str:
    if each.over:
        return "event: end\ndata: {}\n\n"
    if each.text is None:
        return ": still here\n\n"
    return f"id: {each.version}\nevent: {name}\ndata: {each.text}\n\n"
