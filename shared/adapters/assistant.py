"""`Assistant` by the chat completions of an OpenAI-compatible API, streamed.

Nothing that the other side says of an error is repeated, since it may quote the key or the question.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from shared.adapters.assistant_reading import CHECK_MODEL, LOOK, Told, read, text_of
from shared.adapters.trust import trust
from shared.domain.errors import Limited, Misconfigured, MusterError, Refused, Unreachable
from shared.ports import Used

CONNECT_SECONDS = 5.0
BETWEEN_SECONDS = 20.0
"""From one piece to the next, and until the first."""
WHOLE_SECONDS = 60.0
RETRY_AFTER = 20.0
"""Seconds, when a 429 names none."""
OTHER_NAMES = {"max_tokens": "max_completion_tokens", "stream_options": ""}
"""Parameters that some refuse, and what they call them: "" can be left out."""
CHECK_KEY = "Look at ASSISTANT_API_KEY, and at the account with who provides it."
OUT_OF_QUOTA = ("insufficient_quota", "billing_hard_limit_reached")


class ChatCompletions:
    """The key is held by the HTTP client alone, so that no error and no repr can show it."""

    def __init__(
        self, url: str, key: str, model: str, *, between: float = BETWEEN_SECONDS, whole: float = WHOLE_SECONDS
    ) -> None:
        self._model, self._whole = model, whole
        self._open: Callable[[], httpx.AsyncClient] = lambda: _client(url, key, between)
        self._client: httpx.AsyncClient | None = None
        self._refused: set[str] = set()

    async def answer(self, instructions: str, text: str, most: int, told: Told) -> Used | None:
        if self._client is None:
            self._client = self._open()
        messages = [{"role": "system", "content": instructions}, {"role": "user", "content": text}]
        body = {"model": self._model, "messages": messages, "stream": True}
        wanted = {"max_tokens": most, "stream_options": {"include_usage": True}}
        try:
            async with asyncio.timeout(self._whole):
                return await self._asked(self._client, body, wanted, told)
        except TimeoutError as error:
            raise Unreachable("assistant", f"the assistant took longer than {self._whole:g} s", LOOK) from error
        except httpx.TimeoutException as error:
            raise Unreachable("assistant", "the assistant gave no answer in time", LOOK) from error
        except (httpx.HTTPError, OSError) as error:
            raise _no_answer(error) from error

    async def _asked(self, client: httpx.AsyncClient, body: Any, wanted: dict[str, Any], told: Told) -> Used | None:
        """Once more without what it refuses; that is remembered."""
        for _ in range(len(wanted) + 1):
            async with client.stream("POST", "chat/completions", json=body | self._parameters(wanted)) as response:
                if response.is_success:
                    return await read(response, told)
                said = await text_of(response)
                refused = _named(said, set(wanted) - self._refused)
                if response.status_code not in (400, 422) or not refused:
                    raise _refusal(response, _code(said))
                self._refused.add(refused)
        raise Refused("the assistant refuses the question", CHECK_MODEL)

    def _parameters(self, wanted: dict[str, Any]) -> dict[str, Any]:
        names = {name: OTHER_NAMES[name] if name in self._refused else name for name in wanted}
        return {names[name]: value for name, value in wanted.items() if names[name]}

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None


def _client(url: str, key: str, between: float) -> httpx.AsyncClient:
    """Costs 28 ms (the TLS context), hence made at first use and kept. Redirects are never followed: they could lead
    the question to somebody else."""
    timeout = httpx.Timeout(between, connect=CONNECT_SECONDS, pool=CONNECT_SECONDS)
    headers = {"Authorization": f"Bearer {key}", "Accept": "text/event-stream"}
    try:
        return httpx.AsyncClient(
            base_url=f"{url}/", headers=headers, timeout=timeout, verify=trust(url, None), trust_env=False
        )
    except httpx.InvalidURL as error:
        raise Misconfigured("ASSISTANT_URL is malformed", CHECK_MODEL) from error


# ------------------------------------------------------------------ what it refuses


def _named(text: str, names: set[str]) -> str:
    """Which parameter it is that a refusal names."""
    return next((name for name in sorted(names) if name in text), "")


def _code(text: str) -> str:
    """The error's own, where it is a mere word: nothing else of it is worth the risk."""
    try:
        error = json.loads(text).get("error")
    except (ValueError, RecursionError, AttributeError):
        return ""
    code = error.get("code") or error.get("type") if isinstance(error, dict) else ""
    return code if isinstance(code, str) and re.fullmatch(r"[a-z_]{1,40}", code) else ""


def _refusal(response: httpx.Response, code: str) -> MusterError:
    status = response.status_code
    said = f"the assistant answered {status}{f' ({code})' if code else ''}"
    if status == 402 or code in OUT_OF_QUOTA:
        return Refused("what was paid for the assistant is used up", CHECK_KEY, code or str(status))
    if status == 429:
        return Limited("the assistant asks to slow down", _seconds(response.headers.get("Retry-After", "")))
    if status in (401, 403):
        return Refused("the assistant refuses the key", CHECK_KEY, str(status))
    if status >= 500:
        return Unreachable("assistant", said, LOOK)
    return Refused(said, CHECK_MODEL, code or str(status))


def _seconds(text: str) -> float:
    """In seconds, or as a date."""
    try:
        found = float(text)
    except ValueError:
        try:
            found = (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):
            return RETRY_AFTER
    return min(max(found, 1.0), 86_400.0) if math.isfinite(found) else RETRY_AFTER


def _no_answer(error: Exception) -> MusterError:
    if "CERTIFICATE" in str(error).upper():
        return Unreachable("assistant", "the TLS certificate of the assistant is not trusted", LOOK)
    if isinstance(error, httpx.RemoteProtocolError | httpx.ReadError):
        return Unreachable("assistant", "the assistant's answer broke off", "Ask again.")
    return Unreachable("assistant", "the assistant could not be reached", LOOK)
