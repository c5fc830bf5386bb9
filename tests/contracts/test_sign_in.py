"""The self-check of sign-in: green on a good set-up, and each thing that a browser would trip over is found, with its fix."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from msgspec.structs import replace

from shared.adapters import authentik_sign_in_verdicts as verdicts
from shared.adapters.authentik import AuthentikDirectory
from shared.adapters.authentik_sign_in import VIEW_PROVIDER
from shared.adapters.authentik_sign_in_verdicts import SignIn
from shared.ports import Finding
from tests.contracts.authentik_server import TOKEN, Authentik, free_port, standin

PAGE = "http://127.0.0.1:8080"
LEAST = {"username": "least", "key": "least-token", "permissions": ["authentik_core.view_user"]}
LOOKS = {"username": "looks", "key": "looks-token", "permissions": [VIEW_PROVIDER]}
GOOD = SignIn("https://auth.test/application/o/muster/", "muster-admin", PAGE)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authentik]:
    tokens = [{"username": "muster-bot", "key": TOKEN}, LEAST, LOOKS]
    with standin(tmp_path_factory.mktemp("authentik") / "state.sqlite", tokens=tokens) as running:
        yield running


def of(server: Authentik, **changes: str) -> SignIn:
    return replace(SignIn(f"{server.url}/application/o/muster-admin/", "muster-admin", PAGE), **changes)


async def look(sign_in: SignIn | None, url: str = "http://127.0.0.1:9", token: str = TOKEN) -> dict[str, Finding]:
    """What is found of sign-in alone."""
    directory = AuthentikDirectory(url, token, "muster-enrollment", sign_in=lambda: sign_in)
    try:
        found = {finding.name: finding for finding in await directory.check()}
    finally:
        await directory.close()
    ours = {getattr(verdicts, name) for name in ("SERVER", "KEY", "SCOPES", "GROUPS", "ADDRESS", "CLIENT")}
    return {name: finding for name, finding in found.items() if name in ours}


async def test_a_good_set_up_is_well(server: Authentik) -> None:
    """With the blueprint applied each of the six is looked at, and green; with the right to look and without."""
    for token in (TOKEN, "looks-token"):
        found = await look(of(server), server.url, token)
        assert len(found) == 6
        assert not [finding for finding in found.values() if not finding.ok or finding.detail == verdicts.HIDDEN]
    assert found[verdicts.CLIENT].detail.startswith("the client is public")


async def test_what_a_token_may_not_see(server: Authentik) -> None:
    """A token without the right to look at providers is no fault, and the permission is named; the rest needs none."""
    found = await look(of(server), server.url, "least-token")
    assert all(finding.ok for finding in found.values())
    assert VIEW_PROVIDER in found[verdicts.CLIENT].detail
    assert "on this provider alone" in found[verdicts.CLIENT].fix


@pytest.mark.parametrize(
    ("changes", "name", "fix"),
    [
        ({"page": "https://muster.test"}, verdicts.ADDRESS, "Redirect URIs: add https://muster.test/ as Strict"),
        ({"page": ""}, verdicts.ADDRESS, "Set PUBLIC_URL"),
        ({"client_id": "nobody"}, verdicts.ADDRESS, "AUTHENTIK_CLIENT_ID"),
        ({"client_id": "nobody"}, verdicts.CLIENT, "AUTHENTIK_CLIENT_ID"),
        ({"issuer": "http://127.0.0.1:9/application/o/muster/"}, verdicts.SERVER, "AUTHENTIK_ISSUER"),
    ],
)
async def test_a_wrong_setting_is_found(server: Authentik, changes: dict[str, str], name: str, fix: str) -> None:
    """An address that is not registered, another client, an issuer that nobody is: red, each with what to do."""
    found = (await look(of(server, **changes), server.url))[name]
    assert not found.ok
    assert fix in found.fix


async def test_no_such_application_and_another_name(server: Authentik) -> None:
    """A slug that no application has, and the issuer by another name than Authentik's own, are told apart."""
    wrong = (await look(of(server, issuer=f"{server.url}/application/o/nothing/"), server.url))[verdicts.SERVER]
    assert "one with the slug 'nothing'" in wrong.fix
    bare = of(server)
    named = (await look(replace(bare, issuer=bare.issuer.rstrip("/")), server.url))[verdicts.SERVER]
    assert (named.ok, f"Set AUTHENTIK_ISSUER to {bare.issuer}," in named.fix) == (False, True)


async def test_without_an_issuer(server: Authentik) -> None:
    """API keys alone are a choice: one green line that says how to let people in; and nothing where nobody asks."""
    [finding] = (await look(of(server, issuer=""), server.url)).values()
    assert (finding.ok, "admin-page.yaml" in finding.fix) == (True, True)
    assert await look(None, server.url) == {}


async def test_a_bad_token_hides_none_of_it(server: Authentik) -> None:
    """What is public is looked at even where the API token is refused, and the token is never sent there."""
    found = await look(of(server), server.url, "wrong")
    assert [name for name, finding in found.items() if not finding.ok] == []
    with answering({}) as (url, headers):
        await look(SignIn(f"{url}/o/x/", "x", PAGE), server.url)
    assert headers
    assert not [each for each in headers if "authorization" in each]


# ---------------------------------------------------------------- documents that are not as they must be

DOCUMENT: dict[str, Any] = {
    "issuer": GOOD.issuer,
    "id_token_signing_alg_values_supported": ["RS256"],
    "scopes_supported": ["openid", "profile", "email", "offline_access"],
    "claims_supported": ["sub", "preferred_username", "groups"],
}
PROVIDER = {
    "name": "muster-admin",
    "client_type": "public",
    "assigned_application_slug": "muster",
    "include_claims_in_id_token": True,
}


@pytest.mark.parametrize(
    ("finding", "told"),
    [
        (verdicts.key(GOOD, DOCUMENT | {"id_token_signing_alg_values_supported": ["HS256"]}, []), "Signing Key"),
        (verdicts.key(GOOD, DOCUMENT | {"id_token_signing_alg_values_supported": ["ES256"]}, [{"kty": "EC"}]), "RSA"),
        (verdicts.key(GOOD, {}, None), "Signing Key"),
        (verdicts.scopes(GOOD, DOCUMENT | {"scopes_supported": ["openid", "profile"]}), "OpenID 'offline_access'"),
        (verdicts.groups(GOOD, DOCUMENT | {"claims_supported": ["sub", "preferred_username"]}), "'profile'"),
        (verdicts.groups(GOOD, {"claims_supported": ["sub"], "scopes_supported": ["openid"]}), "'profile'"),
        (verdicts.sent_back(GOOD, "invalid_scope"), "admin-page.yaml"),
        (verdicts.client(GOOD, PROVIDER | {"client_type": "confidential"}), "Client type: Public"),
        (verdicts.client(GOOD, PROVIDER | {"assigned_application_slug": None}), "Provider: choose muster-admin"),
        (verdicts.client(GOOD, PROVIDER | {"include_claims_in_id_token": False}), "Include claims in id_token"),
    ],
)
def test_each_fault_is_found(finding: Finding, told: str) -> None:
    """HS256 or another key, a scope, the groups, a confidential client: red, in the words of Authentik's admin pages."""
    assert not finding.ok
    assert finding.fix.startswith("In Authentik: Applications, ")
    assert told in finding.fix


def test_what_an_older_release_does_not_say_is_not_guessed() -> None:
    """A document without scopes or claims is no fault."""
    assert all(check(GOOD, {"scopes_supported": ["profile"]} if check is verdicts.groups else {}).ok
               for check in (verdicts.scopes, verdicts.groups))  # fmt: skip
    assert all(verdicts.sent_back(GOOD, error).ok for error in ("", "login_required"))


@contextmanager
def answering(documents: dict[str, Any]) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """A server that answers these paths with JSON and everything else with a page; and the headers it was sent."""
    headers: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            headers.append({name.lower(): value for name, value in self.headers.items()})
            found = documents.get(self.path.partition("?")[0])
            body = json.dumps(found).encode() if found is not None else b"<html>"
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", headers
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


async def test_odd_answers_are_findings() -> None:
    """A page where a document should be, lists where there should be none, a way to authorize that is no way: no crash."""
    for document in ([], "text", 5, {}, {"issuer": 5, "authorization_endpoint": "nonsense", "scopes_supported": "x"}):
        with answering({"/o/x/.well-known/openid-configuration": document, "/o/x/jwks/": {"keys": 5}}) as (url, _):
            found = await look(SignIn(f"{url}/o/x/", "x", PAGE))
        assert not found[verdicts.SERVER].ok
        assert all(finding.detail and finding.fix for finding in found.values() if not finding.ok)
    assert not (await look(SignIn(f"http://127.0.0.1:{free_port()}/o/x/", "x", PAGE)))[verdicts.SERVER].ok
