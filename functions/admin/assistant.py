"""/api/assistant"""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from functions import http
from functions.admin import assistant_models as a
from functions.admin import models as m
from functions.admin.streams import Stream, part, take_place
from shared.domain.errors import MusterError, TooMany, TryLater
from shared.services.assistant import Question, answer, question, standing
from shared.services.context import note
from shared.wiring import wiring

if TYPE_CHECKING:
    from starlette.types import Send

router = APIRouter(tags=["assistant"])
TOLD: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Server-Sent Events: `waiting` {seconds} until its turn; `line` {line, done, why} with all of "
        "it so far, the last one with `done` (and where `line` is empty `why`); `rooms` {items: [{room_id, name, "
        "because}], problem}; `usage` {tokens, estimated, kept, month, cap}; instead of what is missing `problem` "
        "{detail, fix, retry_after}: then the template alone is used. A last `end`",
        "content": {
            "text/event-stream": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "event": {"enum": ["waiting", "line", "rooms", "usage", "problem", "end"]},
                        "data": {"type": "string", "contentMediaType": "application/json"},
                    },
                    "required": ["event", "data"],
                }
            }
        },
    }
}


@router.get("/assistant")
async def read_assistant() -> a.AssistantOut:
    """Whether there is one, and how much it was used this month. Asks nobody."""
    ports = wiring()
    found = await standing(ports)
    terms = found.terms
    return a.AssistantOut(
        on=terms is not None,
        problem="; ".join(ports.settings.problems("assistant")),
        host=terms.host if terms else "",
        model=terms.model if terms else "",
        tokens=found.tokens,
        cap=terms.monthly_tokens if terms else 0,
        requests=found.requests,
        per_minute=terms.per_minute if terms else 0,
    )


@router.post("/assistant/suggest", response_class=Response, responses=TOLD)
async def suggest(request: Request, introduced: a.Introduced) -> Response:
    """A personal line for the welcome, and rooms, to be looked at: nothing is sent, and nobody is invited. 409 while
    there is no assistant; 429 when the month's tokens are used up, or too many ask."""
    ports = wiring()
    take_place("Write a line yourself, or ask again in a moment.")
    try:
        asked = await question(ports, introduced.introduction)
    except BaseException:
        ports.followers -= 1
        raise
    return Suggesting(request, asked)


class Suggesting(Stream):
    """Idempotent by what is kept of the same question; else each is a question of its own, counted by itself."""

    def __init__(self, request: Request, asked: Question) -> None:
        super().__init__(request)
        self._asked = asked

    async def _tell(self, send: Send, gone: asyncio.Future[Any]) -> None:
        """A reader who has gone ends the question too: what it took is settled all the same."""
        telling = asyncio.ensure_future(self._answered(send, gone))
        await asyncio.wait({telling, gone}, return_when=asyncio.FIRST_COMPLETED)
        telling.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await telling

    async def _answered(self, send: Send, gone: asyncio.Future[Any]) -> None:
        wired = wiring()

        async def tell(name: str, data: dict[str, Any]) -> None:
            await send(part(f"event: {name}\ndata: {json.dumps(data)}\n\n"))

        try:
            actor = m.actor_of(self._request)
            await answer(wired, actor, self._asked, tell, lambda seconds: wired.pause(seconds, gone))
        except MusterError as error:
            note("the assistant failed", cause=error.cause)
            after = error.after if isinstance(error, TooMany | TryLater) else None
            await tell("problem", {"detail": error.cause, "fix": error.fix, "retry_after": after})
        except Exception as error:
            http.crashed(self._request, error)
            await tell("problem", {"detail": "something unexpected went wrong", "fix": "", "retry_after": None})
        await tell("end", {})
