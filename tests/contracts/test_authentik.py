"""The stand-in for Authentik, held against Authentik: the models of its official client (authentik-client 2026.8.5)
and what was recorded of running servers (recorded.json, 2026.2 and 2026.5).

With AUTHENTIK_URL and AUTHENTIK_API_TOKEN in the environment the same tests run on that real server and clean up
after themselves; nothing is started then. (Its release should be near that of the client.)
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest
import standardwebhooks

from local.loopback import LOOPBACK
from tests.contracts.authentik_models import models
from tests.contracts.authentik_server import (
    CONFIG,
    SECRET,
    Answer,
    Authentik,
    Receiver,
    enroll,
    real_server,
    receiver,
    standin,
)

RECORDED: dict[str, Any] = json.loads(Path(__file__).with_name("recorded.json").read_text(encoding="utf-8"))
INVITATIONS = "stages/invitation/invitations/"
FAST = 0.0005  # of the retries' real times


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authentik]:
    if given := real_server():
        yield given
        return
    with standin(tmp_path_factory.mktemp("authentik") / "state.sqlite") as running:
        yield running


@pytest.fixture
def api(server: Authentik) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


@pytest.fixture
def made(api: httpx.Client) -> Iterator[list[str]]:
    """Paths to delete when the test is over."""
    paths: list[str] = []
    yield paths
    for path in reversed(paths):
        api.delete(path)


@pytest.fixture
def flow(server: Authentik, api: httpx.Client) -> str:
    """The uuid of the enrollment flow."""
    found = api.get("flows/instances/", params={"slug": server.slug}).json()["results"]
    if not found:
        pytest.skip(f"the server has no flow {server.slug!r}: apply infra/authentik/blueprint.yaml")
    return str(found[0]["pk"])


@contextlib.contextmanager
def hooked(path: Path, *answers: Answer, **config: Any) -> Iterator[tuple[Authentik, Receiver]]:
    """A stand-in of its own whose webhook goes to a receiver here."""
    if real_server():
        pytest.skip("a real server's webhook cannot reach this test")
    with receiver() as one:
        one.answers = list(answers) or [Answer()]
        with standin(
            path / "state.sqlite", f"{one.url}/hooks/authentik", **({"retry_factor": FAST} | config)
        ) as running:
            yield running, one


def fresh(prefix: str = "muster-test") -> str:
    return f"{prefix}-{secrets.token_hex(5)}"


def new_user(api: httpx.Client, made: list[str], **more: Any) -> dict[str, Any]:
    answer = api.post("core/users/", json={"username": fresh(), "name": "Ada L."} | more)
    assert answer.status_code == 201, answer.text
    made.append(f"core/users/{answer.json()['pk']}/")
    return dict(answer.json())


def new_invitation(api: httpx.Client, made: list[str], flow: str, **more: Any) -> dict[str, Any]:
    until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    answer = api.post(INVITATIONS, json={"name": fresh(), "flow": flow, "expires": until} | more)
    assert answer.status_code == 201, answer.text
    made.append(f"{INVITATIONS}{answer.json()['pk']}/")
    return dict(answer.json())


# ---------------------------------------------------------------- shapes

LISTS = [
    ("core/users/", models.PaginatedUserList),
    ("core/groups/?include_parents=true", models.PaginatedGroupList),
    ("core/groups/?include_users=false", models.PaginatedGroupList),
    ("core/tokens/", models.PaginatedTokenList),
    ("flows/instances/", models.PaginatedFlowList),
    ("flows/bindings/", models.PaginatedFlowStageBindingList),
    ("stages/invitation/invitations/", models.PaginatedInvitationList),
    ("managed/blueprints/", models.PaginatedBlueprintInstanceList),
    ("events/events/", models.PaginatedEventList),
    ("events/transports/", models.PaginatedNotificationTransportList),
    ("events/rules/", models.PaginatedNotificationRuleList),
    ("policies/bindings/", models.PaginatedPolicyBindingList),
    ("providers/oauth2/", models.PaginatedOAuth2ProviderList),
    ("core/users/me/", models.SessionUser),
    ("core/brands/current/", models.CurrentBrand),
    ("admin/version/", models.Version),
]


@pytest.mark.parametrize(("path", "model"), LISTS)
def test_answers_are_what_the_official_client_reads(
    api: httpx.Client, made: list[str], flow: str, path: str, model: Any
) -> None:
    """Every list that Muster reads deserializes with the model of Authentik's own client."""
    new_user(api, made)
    new_invitation(api, made, flow)
    blueprint = api.post("managed/blueprints/", json={"name": fresh(), "enabled": False, "content": "version: 1"})
    made.append(f"managed/blueprints/{blueprint.json()['pk']}/")
    body = api.get(path).json()
    model.from_dict(body)
    assert body.get("results", True), "an empty list proves nothing"


def test_single_answers_are_what_the_official_client_reads(api: httpx.Client, made: list[str], flow: str) -> None:
    """So do the answers to writing: user, group, invitation, token and its key, blueprint."""
    user = new_user(api, made, email="ada@example.test", attributes={"signal": "+1"})
    models.User.from_dict(user)
    models.Invitation.from_dict(new_invitation(api, made, flow, fixed_data={"attributes": {"x": 1}}))
    group = api.post("core/groups/", json={"name": fresh()})
    made.append(f"core/groups/{group.json()['pk']}/")
    models.Group.from_dict(group.json())
    token = api.post(
        "core/tokens/", json={"identifier": fresh(), "intent": "api", "user": user["pk"], "expiring": False}
    )
    models.Token.from_dict(token.json())
    key = api.get(f"core/tokens/{token.json()['identifier']}/view_key/").json()
    assert models.TokenView.from_dict(key)
    assert "key" not in token.json()
    with contextlib.suppress(httpx.HTTPError):
        assert api.get("core/users/me/", headers={"Authorization": f"Bearer {key['key']}"}).status_code == 200


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer wrong", "Basic YTpi"])
def test_every_bad_credential_is_a_403(server: Authentik, header: str) -> None:
    """No, a wrong, and another kind of credential are all 403, never 401."""
    answer = httpx.get(f"{server.url}/api/v3/core/users/", headers={"Authorization": header}, **LOOPBACK)
    assert answer.status_code == 403
    assert answer.json()["detail"]


def test_an_app_password_is_no_bearer_token(api: httpx.Client, made: list[str]) -> None:
    """The token that comes with a service account is refused as a Bearer."""
    account = api.post("core/users/service_account/", json={"name": fresh(), "create_group": False}).json()
    made.append(f"core/users/{account['user_pk']}/")
    models.UserServiceAccountResponse.from_dict(account)
    answer = api.get("core/users/me/", headers={"Authorization": f"Bearer {account['token']}"})
    assert answer.status_code == 403


BAD_USERS = [
    ({"name": "x"}, "username"),
    ({"username": "", "name": "x"}, "username"),
    ({"username": "x" * 151, "name": "x"}, "username"),
    ({"username": "muster-y", "name": None}, "name"),
    ({"username": "muster-y", "name": "x", "email": "nowhere"}, "email"),
    ({"username": "muster-y", "name": "x", "attributes": [1]}, "attributes"),
    ({"username": "muster-y", "name": "x", "is_active": "maybe"}, "is_active"),
]


@pytest.mark.parametrize(("body", "field"), BAD_USERS)
def test_a_bad_field_is_a_400_that_names_it(api: httpx.Client, body: dict[str, Any], field: str) -> None:
    """Validation answers a list of messages under the field's name."""
    answer = api.post("core/users/", json=body)
    assert (answer.status_code, list(answer.json())) == (400, [field])
    assert isinstance(answer.json()[field], list)


def test_bad_invitations_are_refused(api: httpx.Client, flow: str) -> None:
    """A name that is no slug, a moment that is none, and an unknown flow are named."""
    body = {"name": "two words", "expires": "tomorrow", "flow": "00000000-0000-4000-8000-000000000000"}
    answer = api.post(INVITATIONS, json=body)
    assert (answer.status_code, set(answer.json())) == (400, {"name", "expires", "flow"})


def test_a_taken_username_is_refused_as_unique(api: httpx.Client, made: list[str]) -> None:
    """The adapter knows a taken name by the word "unique"."""
    user = new_user(api, made)
    answer = api.post("core/users/", json={"username": user["username"], "name": "x"})
    assert "unique" in answer.json()["username"][0]


def test_an_unhandled_error_is_an_empty_405(api: httpx.Client, made: list[str]) -> None:
    """A bad token_duration is not validated: it ends as 405 with an empty HTML body."""
    answer = api.post(
        f"{new_user(api, made)['pk']}/recovery/".join(["core/users/", ""]), json={"token_duration": "soon"}
    )
    assert (answer.status_code, answer.text) == (405, "")
    assert answer.headers["Content-Type"].startswith("text/html")


def test_a_page_out_of_range_is_a_404(api: httpx.Client) -> None:
    """Nothing beyond the last page, and at most 100 rows on one."""
    assert api.get("core/users/?page=9999").status_code == 404
    page = api.get("core/users/?page=1&page_size=1").json()["pagination"]
    assert page["next"] == (2 if page["count"] > 1 else 0)


# ---------------------------------------------------------------- users


def test_a_password_sent_along_is_ignored_and_attributes_are_replaced(api: httpx.Client, made: list[str]) -> None:
    """Creating takes no password, and PATCH replaces the whole map of attributes."""
    user = new_user(api, made, password="pw-12345", attributes={"a": 1, "b": 2})
    assert "password" not in user
    changed = api.patch(f"core/users/{user['pk']}/", json={"attributes": {"b": 3}}).json()
    assert changed["attributes"] == {"b": 3}
    assert changed["last_updated"] > user["last_updated"]


def test_users_are_filtered(api: httpx.Client, made: list[str]) -> None:
    """Each filter that Muster uses narrows the list as it does on Authentik."""
    mark = fresh()
    user = new_user(api, made, attributes={"muster_invite": mark}, email=f"{mark}@example.test")
    before = (datetime.now(UTC) - timedelta(minutes=5)).isoformat()
    after = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()

    def count(**filters: str) -> int:
        rows = api.get("core/users/", params={"search": mark} | filters).json()["results"]
        return sum(row["pk"] == user["pk"] for row in rows)

    for filters in (
        {"attributes": json.dumps({"muster_invite": mark})},
        {"username": user["username"]},
        {"is_active": "true"},
        {"date_joined__gt": before},
        {"last_updated__gt": before},
    ):
        assert count(**filters) == 1, filters
    for filters in (
        {"attributes": json.dumps({"muster_invite": "another"})},
        {"username": user["username"].upper()},
        {"is_active": "false"},
        {"date_joined__gt": after},
        {"last_updated__gt": after},
    ):
        assert count(**filters) == 0, filters
    assert api.get("core/users/", params={"groups_by_name": fresh("no")}).status_code == 400


def test_groups_take_and_lose_members(api: httpx.Client, made: list[str]) -> None:
    """add_user and remove_user answer 204, and the group's name filters the list of users."""
    name, user = fresh("group"), new_user(api, made)
    group = api.post("core/groups/", json={"name": name}).json()
    made.append(f"core/groups/{group['pk']}/")
    assert api.post(f"core/groups/{group['pk']}/add_user/", json={"pk": user["pk"]}).status_code == 204
    found = api.get("core/users/", params={"groups_by_name": name}).json()["results"]
    assert [(row["pk"], row["groups_obj"][0]["name"]) for row in found] == [(user["pk"], name)]
    assert api.post(f"core/groups/{group['pk']}/remove_user/", json={"pk": user["pk"]}).status_code == 204
    assert api.get("core/users/", params={"groups_by_name": name}).json()["results"] == []


def test_deleting_a_user_deletes_their_invitations(server: Authentik, api: httpx.Client, made: list[str]) -> None:
    """An invitation does not outlive its creator."""
    if server.real:
        pytest.skip("needs a second privileged user, which this test does not make on a real server")
    admins = api.get("core/groups/?name=authentik Admins").json()["results"][0]["pk"]
    user = new_user(api, made, groups=[admins])
    body = {"identifier": fresh(), "intent": "api", "user": user["pk"]}
    token = api.post("core/tokens/", json=body).json()["identifier"]
    key = api.get(f"core/tokens/{token}/view_key/").json()["key"]
    with server.client(key) as other:
        invitation = other.post(INVITATIONS, json={"name": fresh()}).json()["pk"]
    assert api.delete(f"core/users/{user['pk']}/").status_code == 204
    assert api.get(f"{INVITATIONS}{invitation}/").status_code == 404


# ---------------------------------------------------------------- invitations and the flow


def test_expiry_is_half_an_hour_unless_named_and_may_lie_in_the_past(
    api: httpx.Client, made: list[str], flow: str
) -> None:
    """Left out or null means 30 minutes; the past is accepted without a word."""
    until = datetime.fromisoformat(new_invitation(api, made, flow, expires=None)["expires"])
    assert timedelta(minutes=28) < until - datetime.now(UTC) < timedelta(minutes=32)
    new_invitation(api, made, flow, expires="2020-01-01T00:00:00Z")


def test_single_use_is_used_up_by_a_look(server: Authentik, api: httpx.Client, made: list[str], flow: str) -> None:
    """The first HEAD or GET of the executor uses a single_use invitation up; the HTML page does not."""
    for method in ("HEAD", "GET"):
        invitation = new_invitation(api, made, flow, single_use=True)
        page = httpx.get(f"{server.url}/if/flow/{server.slug}/?itoken={invitation['pk']}", **LOOPBACK)
        assert page.status_code == 200
        assert api.get(f"{INVITATIONS}{invitation['pk']}/").status_code == 200
        look = f"{server.url}/api/v3/flows/executor/{server.slug}/?query=itoken%3D{invitation['pk']}"
        httpx.request(method, look, **LOOPBACK)
        assert api.get(f"{INVITATIONS}{invitation['pk']}/").status_code == 404


def test_a_member_enrolls_through_the_executor(
    server: Authentik, api: httpx.Client, made: list[str], flow: str
) -> None:
    """Challenge, field errors with status 200, redirect; the member bears our attribute and is in the events."""
    fixed = {"name": "Pre Filled", "attributes": {"muster_invite": fresh()}, "groups": ["authentik Admins"]}
    invitation = new_invitation(api, made, flow, fixed_data=fixed)
    taken = new_user(api, made)["username"]
    look = f"{server.url}/api/v3/flows/executor/{server.slug}/?query=itoken%3D{invitation['pk']}"
    first = httpx.get(look, **LOOPBACK).json()
    challenge = models.PromptChallenge.from_dict(first)
    assert challenge
    assert [field.initial_value for field in challenge.fields if field.field_key == "name"] == ["Pre Filled"]
    refused = enroll(server, invitation["pk"], username=taken, password_repeat="another")
    assert refused.status_code == 200
    assert {"username", "non_field_errors"} & set(refused.json()["response_errors"])
    models.PromptChallenge.from_dict(refused.json())
    username = fresh()
    done = enroll(server, invitation["pk"], username=username)
    models.RedirectChallenge.from_dict(done.json())
    assert done.json()["component"] == "xak-flow-redirect"
    user = api.get("core/users/", params={"username": username}).json()["results"][0]
    made.append(f"core/users/{user['pk']}/")
    assert (user["name"], user["attributes"]["muster_invite"]) == ("Ada L.", fixed["attributes"]["muster_invite"])
    assert not user["is_superuser"]
    events = api.get("events/events/", params={"action": "user_write", "username": username}).json()["results"]
    assert (events[0]["context"]["created"], events[0]["context"]["password"]) == (True, "*" * 20)
    assert f"/flows/executor/{server.slug}/" in events[0]["context"]["http_request"]["path"]


def test_an_invitation_that_is_gone_is_denied(server: Authentik, api: httpx.Client, made: list[str], flow: str) -> None:
    """An expired, a deleted and an absent invitation are all answered by the denied stage."""
    old = new_invitation(api, made, flow, expires="2020-01-01T00:00:00Z")["pk"]
    for itoken in (old, "8653fbfb-3e3f-4e84-ae58-45b1556a1718", ""):
        denied = enroll(server, itoken).json()
        assert denied["component"] == "ak-stage-access-denied"
        models.AccessDeniedChallenge.from_dict(denied)


def test_a_recovery_link_sets_a_password_once(server: Authentik, api: httpx.Client, made: list[str]) -> None:
    """The link leads to a form that sets the password, and does not work twice."""
    if server.real:
        pytest.skip("what a recovery flow asks for is each server's own")
    link = api.post(f"core/users/{new_user(api, made)['pk']}/recovery/", json={"token_duration": "hours=2"}).json()
    assert models.Link.from_dict(link)
    parts = urlsplit(link["link"])
    url = f"{server.url}/api/v3/flows/executor/{parts.path.split('/')[3]}/?query={parts.query.replace('=', '%3D')}"
    answer = {"component": "ak-stage-prompt", "password": "pw-12345", "password_repeat": "pw-12345"}
    with httpx.Client(follow_redirects=True, **LOOPBACK) as browser:
        assert browser.get(url).json()["component"] == "ak-stage-prompt"
        assert browser.post(url, json=answer).json()["component"] == "xak-flow-redirect"
        assert browser.get(url).json()["component"] == "ak-stage-access-denied"


# ---------------------------------------------------------------- webhooks


def shape(value: Any) -> Any:
    """Keys and types; a masked value stays what it is."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in sorted(value.items())}
    return value if value == "*" * 20 else type(value).__name__


def invite(server: Authentik) -> str:
    attributes = {"signal": "+15550100", "onboarding_id": "ob_1"}
    with server.client() as api:
        flow = api.get("flows/instances/", params={"slug": server.slug}).json()["results"][0]["pk"]
        return str(new_invitation(api, [], flow, fixed_data={"attributes": attributes})["pk"])


def test_webhook_bodies_have_the_recorded_shape(tmp_path: Path) -> None:
    """Opening the link and enrolling send the two bodies that were recorded: the same keys, types and masks."""
    with hooked(tmp_path) as (server, one):
        enroll(server, invite(server), username=fresh())
        sent = {body["action"]: body for body in (json.loads(got.body) for got in one.wait_for(2))}
    for action, body in sent.items():
        assert shape(body) == shape(RECORDED[action])
    assert sent["invitation_used"]["user"]["username"] == "AnonymousUser"
    assert len(sent["user_write"]["event_id"]) == 32


def test_webhooks_are_signed(tmp_path: Path) -> None:
    """The Standard Webhooks library accepts the signature over the raw bytes, and the shared secret is there."""
    with hooked(tmp_path) as (server, one):
        enroll(server, invite(server), username=fresh(), name="José 李")
        for got in one.wait_for(2):
            headers = {name.lower(): value for name, value in got.headers.items()}
            standardwebhooks.Webhook(SECRET).verify(got.body, headers)
            assert headers["x-muster-secret"] == SECRET
            assert headers["webhook-id"] == json.loads(got.body)["event_id"]


def test_the_default_body_has_the_recorded_shape(tmp_path: Path) -> None:
    """Without a mapping Authentik sends a Python repr, for people to read."""
    with hooked(tmp_path, webhook_body="default") as (server, one):
        enroll(server, invite(server), username=fresh())
        bodies = [json.loads(got.body) for got in one.wait_for(2)]
    body = next(body for body in bodies if body["body"].startswith("user_write: {"))
    assert shape(body) == shape(RECORDED["default_body"])
    assert "'created': True" in body["body"]


def test_a_refused_webhook_is_tried_six_times_and_then_lost(tmp_path: Path) -> None:
    """Six attempts of one event with the same id, and not a seventh; a good answer ends them."""
    with hooked(tmp_path, Answer(500)) as (server, one):
        with server.client() as api:
            flow = api.get("flows/instances/", params={"slug": server.slug}).json()["results"][0]["pk"]
            pk = new_invitation(api, [], flow)["pk"]
        httpx.get(f"{server.url}/api/v3/flows/executor/{server.slug}/?query=itoken%3D{pk}", **LOOPBACK)
        one.wait_for(6)
        one.answers = [Answer()]
        enroll(server, invite(server), username=fresh())
        ids = [json.loads(got.body)["event_id"] for got in one.wait_for(8)]
    assert len(set(ids[:6])) == 1
    assert ids[0] not in ids[6:]


def test_a_profile_change_sends_nothing(tmp_path: Path) -> None:
    """Accounts made or changed through the API give no webhook."""
    with hooked(tmp_path) as (server, one):
        with server.client() as api:
            user = new_user(api, [])
            api.patch(f"core/users/{user['pk']}/", json={"name": "Eve"})
            actions = [event["action"] for event in api.get("events/events/").json()["results"]]
        enroll(server, invite(server), username=fresh())
        assert {json.loads(got.body)["action"] for got in one.wait_for(2)} == {"invitation_used", "user_write"}
    assert actions == ["model_created"]


def test_a_transport_can_be_tested(tmp_path: Path) -> None:
    """The test of a transport sends an event of its own kind and tells what came back."""
    with hooked(tmp_path, Answer(200, b'{"ok":true}')) as (server, one), server.client() as api:
        transport = api.get("events/transports/").json()["results"][0]["pk"]
        assert api.post(f"events/transports/{transport}/test/").json() == RECORDED["transport_test_answer"]
        assert json.loads(one.wait_for(1)[0].body)["action"] == "custom_notification_test"


def test_a_crash_loses_nothing(tmp_path: Path) -> None:
    """What was answered survives kill -9: accounts, invitations, and the way of a member who is half through."""
    if real_server():
        pytest.skip("a real server is not ours to kill")
    with standin(tmp_path / "state.sqlite") as server:
        itoken = invite(server)
        with server.client() as api:
            before = new_user(api, [])
        server.kill()
    with standin(tmp_path / "state.sqlite") as server:
        with server.client() as api:
            assert api.get(f"core/users/{before['pk']}/").json() == before
        assert enroll(server, itoken, username=fresh()).json()["component"] == "xak-flow-redirect"


# ---------------------------------------------------------------- OIDC, of the stand-in

REDIRECT = CONFIG["oidc"]["redirect_uris"][0]
VERIFIER = "v" * 64
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
ASKED = {"client_id": "muster-admin", "redirect_uri": REDIRECT, "response_type": "code", "state": "s1", "nonce": "n1"}
ASKED |= {"scope": "openid profile email offline_access", "code_challenge": CHALLENGE, "code_challenge_method": "S256"}
LOGIN = {"username": "ada-admin", "password": "correct horse"}


@pytest.fixture
def browser(server: Authentik) -> Iterator[httpx.Client]:
    if server.real:
        pytest.skip("signing in is each server's own")
    with httpx.Client(base_url=f"{server.url}/application/o/", **LOOPBACK) as client:
        yield client


def code(browser: httpx.Client) -> str:
    answer = browser.post("authorize/", params=ASKED, data=LOGIN)
    assert answer.status_code == 302, answer.text
    query = parse_qs(urlsplit(answer.headers["Location"]).query)
    assert query["state"] == ["s1"]
    return query["code"][0]


def redeemed(browser: httpx.Client, **form: str) -> httpx.Response:
    return browser.post("token/", data={"client_id": "muster-admin", "redirect_uri": REDIRECT} | form)


def by_code(browser: httpx.Client, one: str, verifier: str = VERIFIER) -> httpx.Response:
    return redeemed(browser, grant_type="authorization_code", code=one, code_verifier=verifier)


def claims(browser: httpx.Client, token: str) -> dict[str, Any]:
    found = browser.get("muster-admin/.well-known/openid-configuration").json()
    keys = jwt.PyJWKSet.from_dict(browser.get(found["jwks_uri"]).json())
    key = keys[jwt.get_unverified_header(token)["kid"]]
    return dict(jwt.decode(token, key, ["RS256"], audience="muster-admin", issuer=found["issuer"]))


def test_code_and_pkce_give_the_observed_claims(browser: httpx.Client) -> None:
    """The access token has azp, scope and groups; the ID token has the same audience but neither azp nor scope."""
    tokens = by_code(browser, code(browser)).json()
    access, identity = claims(browser, tokens["access_token"]), claims(browser, tokens["id_token"])
    assert (access["aud"], access["azp"], access["groups"]) == ("muster-admin", "muster-admin", ["muster-admins"])
    assert access["scope"] == ASKED["scope"]
    assert not {"azp", "scope"} & set(identity)
    assert identity["nonce"] == "n1"
    about = browser.get("userinfo/", headers={"Authorization": f"Bearer {tokens['access_token']}"}).json()
    assert (about["sub"], about["preferred_username"]) == (access["sub"], "ada-admin")


def test_wrong_codes_and_verifiers_are_the_same_refusal(browser: httpx.Client) -> None:
    """A wrong code, a wrong verifier and a used code cannot be told apart."""
    used = code(browser)
    assert by_code(browser, used).status_code == 200
    answers = [by_code(browser, used), by_code(browser, "wrong"), by_code(browser, code(browser), "w" * 64)]
    assert {(answer.status_code, answer.json()["error"]) for answer in answers} == {(400, "invalid_grant")}


def test_refresh_tokens_rotate(browser: httpx.Client) -> None:
    """Each refresh token works once."""
    first = by_code(browser, code(browser)).json()["refresh_token"]
    second = redeemed(browser, grant_type="refresh_token", refresh_token=first).json()
    assert claims(browser, second["access_token"])["groups"] == ["muster-admins"]
    assert redeemed(browser, grant_type="refresh_token", refresh_token=first).status_code == 400
    browser.post("revoke/", data={"token": second["refresh_token"], "client_id": "muster-admin"})
    assert redeemed(browser, grant_type="refresh_token", refresh_token=second["refresh_token"]).status_code == 400


def test_a_quiet_sign_in_needs_a_session(browser: httpx.Client) -> None:
    """prompt=none comes back with a code or login_required; after the end of the session with the latter."""
    quiet = ASKED | {"prompt": "none"}
    assert "error=login_required" in browser.get("authorize/", params=quiet).headers["Location"]
    code(browser)
    assert "code=" in browser.get("authorize/", params=quiet).headers["Location"]
    assert browser.get("muster-admin/end-session/").headers["Location"] == REDIRECT
    assert "error=login_required" in browser.get("authorize/", params=quiet).headers["Location"]


@pytest.mark.parametrize("change", [{"redirect_uri": "http://evil.test/"}, {"client_id": "another"}])
def test_a_foreign_redirect_is_never_followed(browser: httpx.Client, change: dict[str, str]) -> None:
    """A wrong redirect URI or client ends on Authentik's own page."""
    assert browser.get("authorize/", params=ASKED | change).status_code == 400


def test_outsiders_and_a_missing_pkce_end_on_the_denied_page(browser: httpx.Client, api: httpx.Client) -> None:
    """Who is not in the group, or comes without PKCE, never comes back with a code."""
    user = new_user(api, [])
    api.post(f"core/users/{user['pk']}/set_password/", json={"password": "pw-12345"})
    outsider = {"username": user["username"], "password": "pw-12345"}
    assert browser.post("authorize/", params=ASKED, data=outsider).status_code == 403
    bare = {key: value for key, value in ASKED.items() if not key.startswith("code_challenge")}
    assert browser.post("authorize/", params=bare, data=LOGIN).status_code == 403
    assert browser.post("authorize/", params=ASKED, data=LOGIN | {"password": "wrong"}).status_code == 200


def test_a_script_signs_in_with_an_app_password(browser: httpx.Client, api: httpx.Client) -> None:
    """A service account of the group gets the same kind of token; outside the group it gets none."""
    account = api.post("core/users/service_account/", json={"name": fresh()}).json()
    form = {"grant_type": "client_credentials", "username": account["username"], "password": account["token"]}
    form["scope"] = "openid profile"
    assert redeemed(browser, **form).status_code == 400
    group = api.get("core/groups/?name=muster-admins").json()["results"][0]["pk"]
    api.post(f"core/groups/{group}/add_user/", json={"pk": account["user_pk"]})
    assert claims(browser, redeemed(browser, **form).json()["access_token"])["groups"] == ["muster-admins"]


def test_only_the_page_s_own_origin_may_read(browser: httpx.Client) -> None:
    """CORS opens discovery, token and userinfo to registered origins, the keys to all, revocation to nobody."""

    def allowed(path: str, origin: str) -> str | None:
        return browser.options(path, headers={"Origin": origin}).headers.get("Access-Control-Allow-Origin")

    assert allowed("token/", "http://127.0.0.1:8080") == "http://127.0.0.1:8080"
    assert allowed("userinfo/", "http://localhost:8080") is None
    assert browser.get("muster-admin/jwks/").headers["Access-Control-Allow-Origin"] == "*"
    assert allowed("revoke/", "http://127.0.0.1:8080") is None
