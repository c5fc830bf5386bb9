"""What a token says, apart from its signature. Pure: no key, no clock."""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from shared.domain.errors import Unauthenticated

Claims = dict[str, Any]

REMOVED = "SIGNATURE_REMOVED_BY_GOOGLE"
"""What Cloud Run puts in the place of the signature, once it has verified the caller."""

LEEWAY_SECONDS = 30.0


def check_claims(
    claims: Mapping[str, Any],
    *,
    now: float,
    audience: str,
    issuer: str | None = None,
    required: Sequence[str] = (),
    leeway: float = LEEWAY_SECONDS,
    authorized_party: str | None = None,
    emails: Collection[str] | None = None,
) -> None:
    """Everything about a token but its signature. `now` and `leeway` in seconds; what is None is not asked for.

    `iss`, `aud` and `azp` must be exactly the given ones, `email` one of `emails`. Raises `Unauthenticated`.
    """
    checks = (
        (issuer is None or claims.get("iss") == issuer, "is from another issuer"),
        (claims.get("aud") in (audience, [audience]), "is meant for another audience"),
        (_number(claims.get("exp")) > now - leeway, "has expired, or does not say when"),
        (_number(claims.get("nbf", now)) <= now + leeway, "is not valid yet"),
        (_number(claims.get("iat", now)) <= now + leeway, "was issued in the future"),
        (authorized_party is None or claims.get("azp") == authorized_party, "was not given to our client"),
        (emails is None or _is_one_of(claims, emails), "belongs to an account that may not call this"),
    )
    missing = [name for name in required if claims.get(name) is None]
    failed = [text for holds, text in checks if not holds] + [f"lacks {name}" for name in missing]
    if failed:
        raise Unauthenticated(f"the token {failed[0]}")


def _number(value: Any) -> float:
    """Not a number (which no comparison holds for) where there is none."""
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else float("nan")


def _is_one_of(claims: Mapping[str, Any], emails: Collection[str]) -> bool:
    email = claims.get("email")
    return isinstance(email, str) and email in emails and claims.get("email_verified", True) is True


def unverified_claims(token: str) -> Claims:
    """The claims of a token whose signature Cloud Run removed after verifying it. Believe them only
    behind Cloud Run. Raises `Unauthenticated` for any other token."""
    parts = token.split(".")
    if len(parts) != 3 or parts[2] != REMOVED:
        raise Unauthenticated("the token's signature was not removed by Google")
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError) as error:
        raise Unauthenticated("the token is not a JWT") from error
    if not isinstance(claims, dict):
        raise Unauthenticated("the token is not a JWT")
    return claims
