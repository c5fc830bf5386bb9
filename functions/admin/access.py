"""Who may use the admin API: a member of the admin group with an access token, or an API key."""

from __future__ import annotations

import hashlib
import hmac
import math
import time
from collections.abc import Mapping

from starlette.requests import Request

from functions import http
from shared import logs
from shared.domain.errors import Forbidden, Unauthenticated
from shared.services.context import Actor
from shared.wiring import Wiring, wiring

HOW = "Send Authorization: Bearer with an API key (scripts/setup key NAME) or an access token of Authentik."


async def authenticate(request: Request) -> Actor:
    """Raises `Unauthenticated`; `Forbidden` for a valid token whose bearer is no admin."""
    wired, token = wiring(), _bearer(request)
    name = await (_by_token(wired, token) if _is_token(token) else _by_key(wired, token))
    logs.within(actor=name)
    return Actor(name, http.source(request))


async def admitted(request: Request) -> Actor:
    """As `authenticate`, and counted: raises `TooMany` for a caller who has asked too often within this minute. Who
    follows something asks once for minutes, and there are few places for that: it is not counted."""
    limiter, limit = wiring().limiter, wiring().per_minute("API_REQUESTS_PER_MINUTE")
    try:
        actor = await authenticate(request)
    except (Unauthenticated, Forbidden):
        limiter.wrong("api", http.source(request), limit)
        raise
    if actor.name.startswith("key:"):  # nobody guesses a token: a stranger at their address keeps no admin out
        limiter.unless_guessing("api", actor.source, limit)
    if not request.url.path.endswith("/events"):
        await limiter.take("api", actor.name, limit, "API_REQUESTS_PER_MINUTE")
    return actor


async def seconds_left(request: Request) -> float:
    """Of the caller's access token, whatever leeway a single request is given; a key has no end."""
    token = _bearer(request)
    if not _is_token(token):
        return math.inf
    return float((await wiring().access_claims(token))["exp"]) - time.time()


def _bearer(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("there are no credentials", HOW)
    return token.strip()


def _is_token(bearer: str) -> bool:
    return bearer.count(".") == 2


async def _by_key(wired: Wiring, token: str) -> str:
    keys: Mapping[str, str] = await wired.secret("ADMIN_API_KEYS")
    given, found = hashlib.sha256(token.encode()).hexdigest(), ""
    for digest, name in keys.items():
        if hmac.compare_digest(digest, given):  # no early end: the time tells nothing
            found = name
    if not found:
        raise Unauthenticated("this API key is not known", HOW)
    return f"key:{found}"


async def _by_token(wired: Wiring, token: str) -> str:
    """The group is checked at every request: a refresh does not ask for it again."""
    wired.settings.require("admin")
    if not wired.settings["AUTHENTIK_ISSUER"]:
        raise Unauthenticated("access tokens are not accepted here: AUTHENTIK_ISSUER is not set", HOW)
    claims = await wired.access_claims(token)
    groups = claims.get("groups")
    admin_group = wired.settings["ADMIN_GROUP"]
    if not isinstance(groups, list) or admin_group not in groups:
        raise Forbidden(f"this account is not in the group {admin_group!r}", "Ask an admin to add it in Authentik.")
    return f"user:{claims.get('preferred_username') or claims['sub']}"
