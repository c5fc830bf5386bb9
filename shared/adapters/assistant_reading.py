"""What an OpenAI-compatible API answers, piece by piece. Read defensively: those who offer this protocol differ in what
they send last, and whether they stream at all."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
from httpx_sse import EventSource

from shared.domain.errors import MusterError, Unreachable
from shared.ports import Used

Told = Callable[[str], Awaitable[None]]
LONGEST = 20_000
"""Characters of an answer: whoever sends more has not understood the question."""
LOOK = "Look whether it is up; ASSISTANT_URL is its address."
CHECK_MODEL = "Look at ASSISTANT_URL (such as https://api.example.org/v1) and ASSISTANT_MODEL."
AGAIN = "Ask again."


async def text_of(response: httpx.Response) -> str:
    """As much of it as is worth reading."""
    kept = bytearray()
    async for part in response.aiter_bytes():
        kept += part
        if len(kept) > 4 * LONGEST:
            break
    return kept.decode("utf-8", "replace")


async def read(response: httpx.Response, told: Told) -> Used | None:
    """Of a stream, or of one answer where it sends no stream."""
    if not response.headers.get("content-type", "").startswith("text/event-stream"):
        return await _whole(response, told)
    told_of, used, ended = 0, None, False
    async for event in EventSource(response).aiter_sse():
        if event.data.strip() == "[DONE]":
            return used
        if not event.data.strip():
            continue  # a sign of life
        row = _row(event.data)
        used = _used(row) or used
        piece, last = _piece(row)
        ended = ended or last
        told_of += len(piece)
        if told_of > LONGEST:
            raise Unreachable("assistant", "the assistant said far more than it was asked for", CHECK_MODEL)
        if piece:
            await told(piece)
    if not ended:
        raise Unreachable("assistant", "the assistant's answer broke off", AGAIN)
    return used


async def _whole(response: httpx.Response, told: Told) -> Used | None:
    row = _row(await text_of(response))
    text = _object(_choice(row).get("message")).get("content")
    if not isinstance(text, str):
        raise _not_understood()
    await told(text[:LONGEST])
    return _used(row)


def _row(text: str) -> dict[str, Any]:
    try:
        row = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _not_understood() from error
    if not isinstance(row, dict):
        raise _not_understood()
    if row.get("error"):  # some find out only when they have begun
        raise Unreachable("assistant", "the assistant failed in the middle of its answer", AGAIN)
    return row


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _choice(row: dict[str, Any]) -> dict[str, Any]:
    choices = row.get("choices")
    return _object(choices[0]) if isinstance(choices, list) and choices else {}


def _piece(row: dict[str, Any]) -> tuple[str, bool]:
    """And whether it is the last. What a model only thinks has another name, and is nobody's business."""
    choice = _choice(row)
    text = _object(choice.get("delta")).get("content")
    return (text if isinstance(text, str) else ""), bool(choice.get("finish_reason"))


def _used(row: dict[str, Any]) -> Used | None:
    counts = [_object(row.get("usage")).get(name) for name in ("prompt_tokens", "completion_tokens")]
    counted = [each for each in counts if isinstance(each, int) and not isinstance(each, bool) and 0 <= each < 10**9]
    return Used(*counted) if len(counted) == 2 else None


def _not_understood() -> MusterError:
    return Unreachable("assistant", "the assistant's answer is not of the protocol", CHECK_MODEL)
