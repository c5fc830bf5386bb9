"""Tokens of others: who signed them, for whom, and whether they still count.

PyJWT and httpx are imported where they are used: a task whose token Cloud Run has verified already
(and whose signature it removed) pays for neither.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from shared.adapters.jwt_claims import LEEWAY_SECONDS, REMOVED, Claims, check_claims, unverified_claims
from shared.adapters.trust import trust
from shared.domain.errors import Unauthenticated, Unreachable

GOOGLE_ISSUER = "https://accounts.google.com"
GOOGLE_KEYS = "https://www.googleapis.com/oauth2/v3/certs"
FETCH_SECONDS = 5.0
MAX_AGE_SECONDS = 3600.0
FIRST_RETRY_SECONDS = 5.0

__all__ = ["GOOGLE_ISSUER", "GOOGLE_KEYS", "InvokerTokens", "KeySet", "check_claims", "unverified_claims", "verify"]


class KeySet:
    """The public keys of an issuer, from its JWKS.

    Fetched at first use, after an hour, and for a key id that is not known; then at most once per
    `cool_down_seconds`, so that forged ids cost nothing, and once for all who wait. Old keys serve
    on when the source is down. Before there are any, it is asked again every 5 seconds.
    `neighbour`: as in `Unreachable`. `ca_bundle`: a PEM file to trust instead of the system's.
    """

    def __init__(
        self,
        url: str,
        ca_bundle: str | None = None,
        cool_down_seconds: float = 60,
        *,
        neighbour: str = "authentik",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._ca_bundle = ca_bundle
        self._cool_down = cool_down_seconds
        self._neighbour = neighbour
        self._clock = clock
        self._keys: dict[str, Any] = {}
        self._fresh_until = self._next_fetch = float("-inf")
        self._lock = asyncio.Lock()

    async def key(self, kid: str) -> Any:
        """Raises `Unauthenticated` for a key that the issuer does not publish, `Unreachable` when
        it never answered."""
        if self._wants(kid):
            async with self._lock:
                if self._wants(kid):
                    await self._refresh()
        if not self._keys:
            raise Unreachable(self._neighbour, "the keys that tokens are verified with could not be fetched")
        if kid not in self._keys:
            raise Unauthenticated("the token is signed with a key that its issuer does not publish")
        return self._keys[kid]

    def _wants(self, kid: str) -> bool:
        now = self._clock()
        return (kid not in self._keys or now >= self._fresh_until) and now >= self._next_fetch

    async def _refresh(self) -> None:
        try:
            self._keys = await self._fetch()
            self._fresh_until = self._clock() + MAX_AGE_SECONDS
        except Unreachable:
            if not self._keys:
                self._next_fetch = self._clock() + min(self._cool_down, FIRST_RETRY_SECONDS)
                raise
        self._next_fetch = self._clock() + self._cool_down

    async def _fetch(self) -> dict[str, Any]:
        import httpx

        try:
            async with (
                asyncio.timeout(FETCH_SECONDS),
                httpx.AsyncClient(verify=trust(self._url, self._ca_bundle)) as client,
            ):
                answer = (await client.get(self._url)).raise_for_status()
            keys = _rsa_keys(answer.json())
        except (httpx.HTTPError, OSError, ValueError) as error:
            cause = f"the keys that tokens are verified with could not be fetched ({type(error).__name__})"
            fix = "check that the issuer is up and its certificate trusted"
            raise Unreachable(self._neighbour, cause, fix) from error
        if not keys:
            fix = "give the issuer an RSA signing key (in Authentik: the provider's signing key)"
            raise Unreachable(self._neighbour, "the issuer publishes no RSA key to verify tokens with", fix)
        return keys


def _rsa_keys(document: Any) -> dict[str, Any]:
    """By key id; keys of other kinds and uses are left out. Raises ValueError when it is no JWKS."""
    from jwt import PyJWK, PyJWTError

    entries = document.get("keys") if isinstance(document, Mapping) else None
    if not isinstance(entries, list):
        raise ValueError("not a JWKS")
    keys = {}
    for entry in entries:
        if isinstance(entry, dict) and entry.get("kty") == "RSA" and entry.get("use", "sig") == "sig":
            try:
                keys[str(entry.get("kid"))] = PyJWK(entry, algorithm="RS256").key
            except (PyJWTError, ValueError):
                continue
    return keys


async def verify(
    token: str,
    keys: KeySet,
    *,
    issuer: str,
    audience: str,
    required: Sequence[str] = (),
    leeway: float = LEEWAY_SECONDS,
    authorized_party: str | None = None,
    emails: Collection[str] | None = None,
) -> Claims:
    """The claims of a token signed by the issuer with RS256 (nothing else: no "none", no HS256).

    Raises `Unauthenticated` saying which check failed, never the token; `Unreachable` when the
    issuer's keys could not be fetched.
    """
    import jwt

    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise Unauthenticated("the token is not a JWT") from error
    if header.get("alg") != "RS256":
        raise Unauthenticated("the token is not signed with RS256")
    if not isinstance(header.get("kid"), str):
        raise Unauthenticated("the token names no key")
    key = await keys.key(header["kid"])
    try:
        claims: Claims = jwt.decode(token, key, algorithms=["RS256"], options=_SIGNATURE_ONLY)
    except jwt.PyJWTError as error:
        raise Unauthenticated("the token's signature is not valid") from error
    check_claims(
        claims,
        now=time.time(),
        issuer=issuer,
        audience=audience,
        required=required,
        leeway=leeway,
        authorized_party=authorized_party,
        emails=emails,
    )
    return claims


_SIGNATURE_ONLY: Any = {
    "verify_signature": True,
    **dict.fromkeys(("verify_exp", "verify_nbf", "verify_iat", "verify_aud", "verify_iss"), False),
    **dict.fromkeys(("verify_sub", "verify_jti"), False),
}
"""`check_claims` does the rest: once, alike for tokens with and without a signature."""


class InvokerTokens:
    """Who calls a private entry point: Cloud Tasks or Cloud Scheduler, by the e-mail of their service account."""

    def __init__(self, keys: KeySet | None = None, issuer: str = GOOGLE_ISSUER) -> None:
        self._keys = keys or KeySet(GOOGLE_KEYS, neighbour="google")
        self._issuer = issuer

    async def verify(
        self, authorization_header: str | None, audience: str, emails: Collection[str], production: bool
    ) -> Claims:
        """A signature that is there is verified. A removed one is accepted only in production, where
        Cloud Run's IAM has verified it, and then audience, e-mail and expiry still count."""
        scheme, _, token = (authorization_header or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated("there is no bearer token", "call with an OIDC token of the service account")
        if not token.endswith(f".{REMOVED}"):
            return await verify(token, self._keys, issuer=self._issuer, audience=audience, emails=emails)
        if not production:
            raise Unauthenticated("the token's signature was removed, which only production accepts")
        claims = unverified_claims(token)
        check_claims(claims, now=time.time(), audience=audience, emails=emails)
        return claims
