"""Every way a homeserver can say no, as one of our own errors. The only place that reads an errcode."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any

import aiohttp

from shared.domain.errors import Conflict, Limited, MusterError, NotFound, Refused, Unreachable

NEIGHBOUR = "matrix"
DEFAULT_WAIT = 5.0
"""Seconds after a 429 that does not say how long."""

_CHECK_ADDRESS = "Check that MATRIX_HOMESERVER is the address of the homeserver itself and that it is running."
_CHECK_TLS = (
    "Give the certificate of the authority that signed the homeserver's one (PEM) in MATRIX_CA_BUNDLE, "
    "or correct the host name in MATRIX_HOMESERVER."
)
_LOOK_AFTER_IT = "See whether the homeserver is up and keeps up, then try again. What runs by itself is tried again."
_NEW_TOKEN = "Put a working access token of the bot's account into MATRIX_ACCESS_TOKEN."  # noqa: S105 - a sentence

_FIXES = {
    "M_UNKNOWN_TOKEN": _NEW_TOKEN,
    "M_MISSING_TOKEN": _NEW_TOKEN,
    "M_FORBIDDEN": "See whether the bot is in that room and has the power level the room asks for.",
    "M_USER_DEACTIVATED": "The bot's account is deactivated: make another and set MATRIX_USER_ID and its token.",
    "M_USER_LOCKED": "A server admin has locked the bot's account and must unlock it.",
    "M_USER_SUSPENDED": "A server admin has suspended the bot's account and must lift that.",
    "M_CONSENT_NOT_GIVEN": "Sign in as the bot once with a Matrix client and accept the homeserver's terms.",
    "M_RESOURCE_LIMIT_EXCEEDED": "The homeserver has reached a limit set by its admin, who must raise it.",
    "M_INVALID_PARAM": "Correct the Matrix id or the room id.",
    "M_TOO_LARGE": "Shorten the message: a homeserver takes at most 64 KB.",
    "M_UNRECOGNIZED": "This homeserver does not know that request: update it.",
}


def error_of(status: int, answer: Any, headers: Mapping[str, str]) -> MusterError:
    """For an answer that is no success. `answer`: the parsed body, None when it is not JSON."""
    body = answer if isinstance(answer, dict) else {}
    code, said = str(body.get("errcode") or ""), str(body.get("error") or "")[:200]
    if status == 429 or code == "M_LIMIT_EXCEEDED":
        after = _wait(body.get("retry_after_ms"), headers.get("Retry-After"))
        return Limited(f"the homeserver's rate limit: next try in {after:g} s", after)
    if status >= 500:
        cause = f"the homeserver answered HTTP {status}{f': {said}' if said else ''}"
        return Unreachable(NEIGHBOUR, cause, _LOOK_AFTER_IT)
    if status == 401 and "flows" in body:
        return Refused("the homeserver asks for the bot's password", "Give it to the set-up command.", "UIA")
    if not code:
        return nonsense(status)
    words = f"the homeserver refused: {said or 'no reason given'} ({code})"
    if code == "M_NOT_FOUND" or (status == 404 and code != "M_UNRECOGNIZED"):
        return NotFound(words)
    if code == "M_ROOM_IN_USE" or status == 409:
        return Conflict(words)
    return Refused(words, _FIXES.get(code, ""), code)


def forbidden(said: str) -> Refused:
    """As the homeserver itself would put it."""
    return Refused(f"the homeserver refused: {said} (M_FORBIDDEN)", _FIXES["M_FORBIDDEN"], "M_FORBIDDEN")


def nonsense(status: int) -> Unreachable:
    """An answer that is not what a homeserver says: a proxy's page, half a JSON, another program."""
    return Unreachable(NEIGHBOUR, f"HTTP {status} with an answer that is no Matrix homeserver's", _CHECK_ADDRESS)


def unreachable(error: Exception) -> Unreachable:
    """For a call that got no answer at all."""
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError | aiohttp.ClientConnectorCertificateError):
        return Unreachable(NEIGHBOUR, "the homeserver's TLS certificate is not trusted", _CHECK_TLS)
    if isinstance(error, TimeoutError):
        return Unreachable(NEIGHBOUR, "the homeserver did not answer in time", _LOOK_AFTER_IT)
    if isinstance(error, aiohttp.InvalidURL):
        return Unreachable(NEIGHBOUR, "the homeserver's address is malformed", _CHECK_ADDRESS)
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return Unreachable(NEIGHBOUR, "the homeserver's name is not known to DNS", _CHECK_ADDRESS)
    if isinstance(error, aiohttp.ClientConnectorError):
        return Unreachable(NEIGHBOUR, "the homeserver refuses connections", _CHECK_ADDRESS)
    return Unreachable(NEIGHBOUR, "the connection to the homeserver broke off", _LOOK_AFTER_IT)


def _wait(milliseconds: Any, header: str | None) -> float:
    """Seconds: the body's `retry_after_ms` (exact), else the Retry-After header, else the default."""
    if isinstance(milliseconds, int | float) and milliseconds > 0:
        return milliseconds / 1000
    return float(header) if header and header.isdigit() and int(header) else DEFAULT_WAIT
