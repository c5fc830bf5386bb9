"""The blueprint of the admin page's sign-in: what it must say, held against Muster's settings and the stand-in."""

from __future__ import annotations

from typing import Any

import pytest

from local.authentik_oidc import ACCESS_SECONDS, REFRESH_SECONDS
from shared.settings import BY_NAME
from tests.infra.blueprints import Tag, entry, evaluate, load, tags

UNITS = {"seconds": 1, "minutes": 60, "hours": 3600}


@pytest.fixture(scope="module")
def blueprint() -> dict[str, Any]:
    return load("admin-page.yaml")


@pytest.fixture(scope="module")
def provider(blueprint: dict[str, Any]) -> dict[str, Any]:
    return dict(entry(blueprint, "provider")["attrs"])


def seconds(validity: str) -> int:
    unit, _, amount = validity.partition("=")
    return UNITS[unit] * int(amount)


def test_names_are_those_of_the_settings(blueprint: dict[str, Any], provider: dict[str, Any]) -> None:
    """Client, admin group and the issuer's slug are what Muster's settings have without a word of the admin's."""
    assert provider["client_id"] == BY_NAME["AUTHENTIK_CLIENT_ID"].default
    assert entry(blueprint, "admins")["identifiers"]["name"] == BY_NAME["ADMIN_GROUP"].default
    assert entry(blueprint, "page")["identifiers"]["slug"] == "muster-admin"


def test_the_client_is_public_and_its_tokens_can_be_checked(
    blueprint: dict[str, Any], provider: dict[str, Any]
) -> None:
    """No secret is set, not even an empty one; without a signing key nothing at all is made."""
    assert provider["client_type"] == "public"
    assert "client_secret" not in provider
    assert entry(blueprint, "provider")["conditions"] == [provider["signing_key"]]
    assert provider["signing_key"].name == "Find"


def test_the_page_alone_is_returned_to(blueprint: dict[str, Any], provider: dict[str, Any]) -> None:
    """One redirect URI, compared strictly: PUBLIC_URL and a slash; sign-out leads to the same place."""
    page = Tag("Context", "page")
    assert provider["redirect_uris"] == [{"matching_mode": "strict", "url": page}]
    assert entry(blueprint, "return")["attrs"]["target_static"] == page
    pattern, address = blueprint["context"]["page"].value
    assert (pattern, address.value[0]) == ("%s/", "MUSTER_PUBLIC_URL")


def test_scopes_bring_groups_and_a_refresh_token(provider: dict[str, Any]) -> None:
    """`profile`, whose claims hold the groups, and `offline_access` are mapped; claims are in the tokens."""
    found = {tag.value[1][1].rpartition("scope-")[2] for tag in tags(provider["property_mappings"])}
    assert found == {"openid", "profile", "email", "offline_access"}
    assert provider["include_claims_in_id_token"] is True


def test_tokens_live_as_long_as_the_stand_ins(provider: dict[str, Any]) -> None:
    """Ten minutes for access, less than a day for a refresh token, and a new one each time."""
    assert seconds(provider["access_token_validity"]) == ACCESS_SECONDS == 600
    assert seconds(provider["refresh_token_validity"]) == REFRESH_SECONDS <= 24 * 3600
    assert seconds(provider["refresh_token_threshold"]) == 0


def test_group_and_pkce_are_both_needed(blueprint: dict[str, Any]) -> None:
    """The application is bound to the admin group and to the policy, and all of its bindings count."""
    assert entry(blueprint, "page")["attrs"]["policy_engine_mode"] == "all"
    bindings = [one for one in blueprint["entries"] if one["model"] == "authentik_policies.policybinding"]
    assert all(one["identifiers"]["target"] == Tag("KeyOf", "page") and one["attrs"]["enabled"] for one in bindings)
    bound = [one["identifiers"].get("group") or one["identifiers"]["policy"] for one in bindings]
    assert bound == [Tag("KeyOf", "admins"), Tag("KeyOf", "with-pkce")]
    assert not any(one["attrs"]["negate"] for one in bindings)


@pytest.mark.parametrize(
    ("context", "passes"),
    [
        ({}, True),
        ({"oauth_grant_type": "client_credentials"}, True),
        (
            {
                "oauth_grant_type": "authorization_code",
                "oauth_code_challenge": "x",
                "oauth_code_challenge_method": "S256",
            },
            True,
        ),
        (
            {
                "oauth_grant_type": "authorization_code",
                "oauth_code_challenge": "x",
                "oauth_code_challenge_method": "plain",
            },
            False,
        ),
        ({"oauth_grant_type": "authorization_code", "oauth_code_challenge_method": "S256"}, False),
        ({"oauth_grant_type": "authorization_code"}, False),
        ({"oauth_grant_type": "implicit"}, False),
        ({"oauth_grant_type": "urn:ietf:params:oauth:grant-type:device_code"}, False),
    ],
)
def test_a_code_needs_pkce(blueprint: dict[str, Any], context: dict[str, Any], passes: bool) -> None:
    """Only a code with an S256 challenge, a script's own password, and the list of applications pass the policy."""
    expression = entry(blueprint, "with-pkce")["attrs"]["expression"]
    assert evaluate(expression, context=context) is passes


def test_signing_out_ends_the_session_first(blueprint: dict[str, Any]) -> None:
    """The provider's own sign-out flow ends Authentik's session, then returns."""
    bound = [one["identifiers"] for one in blueprint["entries"] if one["model"] == "authentik_flows.flowstagebinding"]
    assert [one["stage"].value for one in sorted(bound, key=lambda one: one["order"])] == ["end-session", "return"]
    assert entry(blueprint, "provider")["attrs"]["invalidation_flow"] == Tag("KeyOf", "sign-out")
