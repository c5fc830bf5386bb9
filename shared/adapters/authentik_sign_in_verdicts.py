"""What the documents of Authentik say about sign-in to the admin page, and what to do about it in the words of its
admin pages. The names of the mappings are those that Authentik brings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from shared.ports import Data, Finding

SERVER, KEY, SCOPES = "authentik sign-in", "authentik signing key", "authentik sign-in scopes"
GROUPS, ADDRESS, CLIENT = "authentik groups claim", "authentik redirect address", "authentik sign-in client"
WANTED = ("openid", "profile", "offline_access")
APPLY = "apply infra/authentik/admin-page.yaml, which sets all of it"
HIDDEN = "not visible from here"
NOT_SIGNED_IN = ("login_required", "interaction_required", "consent_required", "account_selection_required")


class SignIn(Struct, frozen=True):
    """`page`: where people open it, PUBLIC_URL. `issuer`: "" where there are API keys only."""

    issuer: str
    client_id: str
    page: str

    @property
    def redirect(self) -> str:
        """Where the page comes back to (static/oidc.js)."""
        return f"{self.page.rstrip('/')}/"

    @property
    def edit(self) -> str:
        """The way there, in the words of Authentik's admin pages."""
        return f"In Authentik: Applications, Providers, the provider with the client ID {self.client_id}, Edit"


def issuer(sign_in: SignIn, document: Data) -> Finding:
    """Compared letter by letter, as each token's is."""
    said = str(document.get("issuer", ""))
    if said == sign_in.issuer:
        return Finding(SERVER, True, f"Authentik is the issuer {said}")
    fix = (
        f"Set AUTHENTIK_ISSUER to {said}, if that is the address that browsers use. If not: {sign_in.edit}, Advanced "
        "protocol settings, Issuer mode: each provider has a different issuer; and let the proxy before Authentik pass "
        "the Host header on."
    )
    return Finding(SERVER, False, f"Authentik calls itself {said or 'nothing'}, AUTHENTIK_ISSUER says otherwise", fix)


def key(sign_in: SignIn, document: Data, keys: Any) -> Finding:
    """Without a signing key Authentik signs with HS256, and publishes none."""
    algorithms = texts(document, "id_token_signing_alg_values_supported")
    kinds = {each.get("kty") for each in keys if isinstance(each, dict)} if isinstance(keys, list) else set()
    if "RSA" in kinds and (not algorithms or "RS256" in algorithms):
        return Finding(KEY, True, "tokens are signed with RS256")
    published = "no RSA key is published" if kinds else "no key is published"
    detail = f"tokens are signed with {' and '.join(algorithms) or 'another algorithm'}, and {published}"
    fix = f"{sign_in.edit}, Signing Key: choose one with RSA, such as authentik Self-signed Certificate."
    return Finding(KEY, False, f"{detail}: nobody can check them", fix)


def scopes(sign_in: SignIn, document: Data) -> Finding:
    """`offline_access` brings the refresh token: without it a sign-in lasts ten minutes."""
    offered = texts(document, "scopes_supported")
    if not offered:
        return Finding(SCOPES, True, HIDDEN)
    missing = [scope for scope in WANTED if scope not in offered]
    if not missing:
        return Finding(SCOPES, True, f"{', '.join(WANTED)} are offered")
    mappings = ", ".join(f"authentik default OAuth Mapping: OpenID '{scope}'" for scope in missing)
    fix = f"{sign_in.edit}, Advanced protocol settings, Scopes: add {mappings}."
    return Finding(SCOPES, False, f"not offered: {', '.join(missing)}", fix)


def groups(sign_in: SignIn, document: Data) -> Finding:
    """Authentik says which claims its mappings make; a release that does not is not guessed."""
    claims = texts(document, "claims_supported")
    if "groups" in claims:
        return Finding(GROUPS, True, "tokens say who is in which group")
    if "preferred_username" not in claims and "profile" in texts(document, "scopes_supported"):
        return Finding(GROUPS, True, HIDDEN)
    fix = (
        f"{sign_in.edit}, Advanced protocol settings, Scopes: add authentik default OAuth Mapping: OpenID 'profile', "
        "or let your own mapping of that scope return groups, a list of names."
    )
    return Finding(GROUPS, False, "no claim groups: everybody who signs in would be refused", fix)


def sent_back(sign_in: SignIn, error: str) -> Finding:
    if not error or error in NOT_SIGNED_IN:
        return Finding(ADDRESS, True, f"{sign_in.redirect} is registered")
    return Finding(ADDRESS, False, f"Authentik refuses the page's sign-in: {error}", f"{sign_in.edit}; or {APPLY}.")


def client(sign_in: SignIn, row: Data) -> Finding:
    """A page in a browser keeps no secret, so its client is public; its claims must be in the token."""
    slug, here = slug_of(sign_in.issuer), row.get("assigned_application_slug")
    if here != slug:
        fix = f"In Authentik: Applications, Applications, {slug}, Edit, Provider: choose {row.get('name')}."
        return Finding(CLIENT, False, f"its provider belongs to the application {here!r}, not to {slug!r}", fix)
    if row.get("client_type") != "public":
        return Finding(CLIENT, False, "the client is not public", f"{sign_in.edit}, Client type: Public.")
    if row.get("include_claims_in_id_token") is False:
        fix = f"{sign_in.edit}, Advanced protocol settings: switch Include claims in id_token on."
        return Finding(CLIENT, False, "claims are left out of the tokens, groups among them", fix)
    return Finding(CLIENT, True, "the client is public, and its tokens carry the claims")


def slug_of(address: str) -> str:
    return address.rstrip("/").rpartition("/")[2]


def texts(document: Data, name: str) -> Sequence[str]:
    found: Any = document.get(name)
    return [str(each) for each in found] if isinstance(found, list) else []
