"""matrix-nio's client made strict: whatever is no success raises, nothing is retried or slept on."""

from __future__ import annotations

import json
import ssl
from collections.abc import Awaitable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
from nio import AsyncClient, AsyncClientConfig, ErrorResponse
from nio.responses import Response

from shared.adapters.matrix_errors import error_of, nonsense, unreachable
from shared.adapters.matrix_json import parsed
from shared.domain.errors import Misconfigured, NotFound


@dataclass
class Answer(Response):  # type: ignore[misc]  # nio carries no types
    """The answer of an endpoint that nio has no method for. `headers`: the HTTP ones."""

    data: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, parsed: dict[str, Any]) -> Answer:
        return cls(parsed)

    @property
    def headers(self) -> Any:
        return self.transport_response.headers


@dataclass
class Body(Response):  # type: ignore[misc]  # nio carries no types
    """An answer that its reader parses: large, and of known shape."""

    raw: bytes = b""


class StrictClient(AsyncClient):  # type: ignore[misc]  # nio carries no types
    """By itself nio takes a proxy's web page for a success of every call whose answer is `{}` (invite,
    kick), and returns the errors it does see. Here both are exceptions, before nio looks."""

    async def create_matrix_response(
        self, response_class: Any, transport_response: Any, data: Any = None, **_: Any
    ) -> Any:
        """The parsed answer, or raises our own error. Downloads are not supported."""
        status, body = transport_response.status, await transport_response.read()
        if response_class is Body and 200 <= status < 300:
            return Body(body)
        answer = parsed(body)
        if not 200 <= status < 300:
            raise error_of(status, answer, transport_response.headers)
        if not isinstance(answer, dict):
            raise nonsense(status)
        response = response_class.from_dict(answer, *(data or ()))
        if isinstance(response, ErrorResponse):  # JSON, but not the fields this call must answer with
            raise nonsense(status)
        response.transport_response = transport_response
        return response

    async def call(self, method: str, path: str, body: Any = None) -> Answer:
        """For what nio has no method for; `path` as made by `path_of`."""
        answer: Answer = await ask(self._send(Answer, method, path, None if body is None else json.dumps(body)))
        return answer

    async def body(self, path: str, timeout: float) -> bytes:  # noqa: ASYNC109 - aiohttp keeps it
        """GETs an answer of which only the status was looked at. `timeout`: seconds for the whole call."""
        return bytes((await ask(self._send(Body, "GET", path, timeout=timeout))).raw)

    async def state(self, room_id: str, event_type: str, state_key: str = "") -> dict[str, Any] | None:
        """A state event's content, None when the room has no such event. One call."""
        try:
            return dict((await ask(self.room_get_state_event(room_id, event_type, state_key))).content)
        except NotFound:
            return None


async def ask(request: Awaitable[Any]) -> Any:
    """Awaits one of nio's methods; a call without an answer raises `Unreachable`."""
    try:
        return await request
    except (aiohttp.ClientError, OSError) as error:  # TimeoutError and SSLError are OSErrors
        raise unreachable(error) from error


def connect(
    homeserver: str, access_token: str, user_id: str, ca_bundle: str | None, verify: bool, timeout: float
) -> StrictClient:
    """Bound to the running event loop. No request is made yet. Raises `Misconfigured` for a bad bundle."""
    config = AsyncClientConfig(
        max_limit_exceeded=0, max_timeouts=0, request_timeout=timeout, encryption_enabled=False, store_sync_tokens=False
    )
    trust = trusted(ca_bundle) if verify and homeserver.startswith("https:") else verify
    client = StrictClient(homeserver.rstrip("/"), user_id, config=config, ssl=trust)
    client.access_token, client.user_id = access_token, user_id
    return client


def trusted(ca_bundle: str | None) -> ssl.SSLContext:
    """The system's roots, and those of the bundle: a path, or the PEM text itself."""
    context = ssl.create_default_context()
    if ca_bundle:
        try:
            pem = ca_bundle if "-----BEGIN" in ca_bundle else Path(ca_bundle).read_text()
            context.load_verify_locations(cadata=pem)
        except (OSError, ValueError) as error:
            raise Misconfigured(
                "MATRIX_CA_BUNDLE cannot be read as PEM certificates", "Give the path of a PEM file, or its text."
            ) from error
    return context


CLIENT, ADMIN = "/_matrix/client/v3", "/_synapse/admin/v1"


def path_of(base: str, *parts: str) -> str:
    """`base` with each part quoted behind it: room ids and aliases hold characters that mean something in a URL."""
    return "/".join([base, *(quote(part, safe="") for part in parts)])
