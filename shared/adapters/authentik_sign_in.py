"""The self-check of sign-in to the admin page: whatever a browser would trip over, looked at before it does.

Nearly all of it is public: the discovery document, the keys, and what Authentik answers to somebody who is not signed
in. Only whether the client is public is behind a permission, which set-up does not grant: on all providers it would
show the secrets of every other application. What Authentik answers when: as observed on 2026.2 and 2026.5.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from urllib.parse import parse_qs, urlsplit

import httpx

from shared.adapters import authentik_sign_in_verdicts as verdicts
from shared.adapters.authentik_http import CHECK_TLS, Api, results
from shared.adapters.authentik_sign_in_verdicts import (
    ADDRESS,
    APPLY,
    CLIENT,
    HIDDEN,
    KEY,
    SERVER,
    WANTED,
    SignIn,
    slug_of,
)
from shared.domain.errors import MusterError, Refused
from shared.ports import Data, Finding

VIEW_PROVIDER = "authentik_providers_oauth2.view_oauth2provider"
SECONDS = 10.0
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
"""Any will do, since nobody comes back with its verifier: the example of RFC 7636."""


async def sign_in_findings(api: Api, sign_in: SignIn | None, ca_bundle: str | None = None) -> list[Finding]:
    """Raises nothing: what goes wrong is a finding. Asking with a wrong address leaves a line in Authentik's log of
    events, and nothing else."""
    if sign_in is None:
        return []
    if not sign_in.issuer:
        fix = f"To let people sign in with Authentik: {APPLY}, then set AUTHENTIK_ISSUER."
        return [Finding(SERVER, True, "not set up: the page is entered with API keys", fix)]
    async with AsyncExitStack() as stack:
        try:
            web = await stack.enter_async_context(_browser(ca_bundle))
            document = await _json(web, f"{sign_in.issuer.rstrip('/')}/.well-known/openid-configuration")
        except _Failed as failed:
            return [Finding(SERVER, False, failed.detail, failed.fix or _no_application(sign_in))]
        checks: list[tuple[str, Callable[[], Awaitable[Finding]]]] = [
            (KEY, lambda: _key(web, sign_in, document)),
            (ADDRESS, lambda: _address(web, sign_in, document)),
            (CLIENT, lambda: _client(api, sign_in)),
        ]
        looked = await asyncio.gather(*(_guarded(name, check) for name, check in checks))
    return [
        verdicts.issuer(sign_in, document),
        *looked,
        verdicts.scopes(sign_in, document),
        verdicts.groups(sign_in, document),
    ]


class _Failed(Exception):
    def __init__(self, detail: str, fix: str = "") -> None:
        super().__init__(detail)
        self.detail, self.fix = detail, fix


def _browser(ca_bundle: str | None) -> httpx.AsyncClient:
    """Without the token: the issuer may be another address than the API's."""
    try:
        trust = ssl.create_default_context(cafile=ca_bundle) if ca_bundle else True
    except OSError as error:
        raise _Failed("AUTHENTIK_CA_BUNDLE names no readable file of certificates", CHECK_TLS) from error
    return httpx.AsyncClient(timeout=SECONDS, verify=trust, trust_env=False, headers={"Accept-Language": "en"})


async def _get(web: httpx.AsyncClient, url: str, params: Mapping[str, str] | None = None) -> httpx.Response:
    try:
        return await web.get(url, params=params)
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        if "CERTIFICATE" in str(error).upper():
            raise _Failed("the TLS certificate of AUTHENTIK_ISSUER is not trusted", CHECK_TLS) from error
        fix = "Check that AUTHENTIK_ISSUER is an address of Authentik that Muster and browsers both reach."
        raise _Failed("AUTHENTIK_ISSUER does not answer", fix) from error


async def _json(web: httpx.AsyncClient, url: str) -> Data:
    answer = await _get(web, url)
    try:
        document = answer.json() if answer.is_success else None
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise _Failed(f"{urlsplit(url).path} answers {answer.status_code}, and no document")
    return document


def _no_application(sign_in: SignIn) -> str:
    slug = slug_of(sign_in.issuer)
    return (
        f"In Authentik: Applications, Applications: one with the slug {slug!r} must have an OAuth2 provider. "
        f"Or {APPLY}; then set AUTHENTIK_ISSUER to the OpenID Configuration Issuer that the provider's page shows."
    )


async def _guarded(name: str, check: Callable[[], Awaitable[Finding]]) -> Finding:
    try:
        return await check()
    except _Failed as failed:
        return Finding(name, False, failed.detail, failed.fix)
    except MusterError as error:
        return Finding(name, False, error.cause, error.fix)


async def _key(web: httpx.AsyncClient, sign_in: SignIn, document: Data) -> Finding:
    """From where the API takes its keys."""
    keys = (await _json(web, f"{sign_in.issuer.rstrip('/')}/jwks/")).get("keys")
    return verdicts.key(sign_in, document, keys)


async def _address(web: httpx.AsyncClient, sign_in: SignIn, document: Data) -> Finding:
    """As the page asks, but without a person: Authentik sends back to an address that it knows, and to no other."""
    if not sign_in.page:
        return Finding(ADDRESS, False, "PUBLIC_URL is not set", "Set PUBLIC_URL to where people open the page.")
    asked = {"response_type": "code", "client_id": sign_in.client_id, "redirect_uri": sign_in.redirect}
    asked |= {"scope": " ".join(WANTED), "prompt": "none", "state": "self-check"}
    asked |= {"code_challenge": CHALLENGE, "code_challenge_method": "S256"}
    answer = await _get(web, str(document.get("authorization_endpoint", "")), asked)
    back = answer.headers.get("Location", "")
    if answer.is_redirect and back.startswith(sign_in.redirect):
        return verdicts.sent_back(sign_in, parse_qs(urlsplit(back).query).get("error", [""])[0])
    if answer.status_code == 400:
        fix = (
            f"{sign_in.edit}, Redirect URIs: add {sign_in.redirect} as Strict. If no provider has that client ID: "
            "correct AUTHENTIK_CLIENT_ID."
        )
        return Finding(ADDRESS, False, f"Authentik does not send anybody back to {sign_in.redirect}", fix)
    return Finding(ADDRESS, True, HIDDEN)


async def _client(api: Api, sign_in: SignIn) -> Finding:
    try:
        answer = await api.get("providers/oauth2/", VIEW_PROVIDER, client_id=sign_in.client_id)
    except Refused:
        fix = (
            f"Nothing has to be done. To have it looked at: {sign_in.edit.removesuffix(', Edit')}, Permissions: give "
            f"the role of Muster's token {VIEW_PROVIDER} on this provider alone."
        )
        return Finding(CLIENT, True, f"not visible to this token, which lacks {VIEW_PROVIDER}", fix)
    row = next((row for row in results(answer) if row.get("client_id") == sign_in.client_id), None)
    if row is None:
        fix = f"Correct AUTHENTIK_CLIENT_ID; or {APPLY}."
        return Finding(CLIENT, False, f"there is no provider with the client ID {sign_in.client_id!r}", fix)
    return verdicts.client(sign_in, row)
