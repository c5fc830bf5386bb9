"""Who may use the admin API: nobody, unless proven otherwise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.functions.conftest import Service
from tests.functions.served import API_KEY, SIGNING_SECRET, problem
from tests.functions.tokens import CLIENT_ID, Issuer, forged, without_signature

PARAMETERS = {"invite_id": "inv_x", "pk": "1", "onboarding_id": "ob_x", "matrix_id": "@a:b.test", "job_id": "job_x"}
PARAMETERS |= {"reason_id": "rules", "import_id": "imp_x", "category_id": "cat_x", "what": "invites"}
PARAMETERS |= {"template_id": "hello", "number": "1", "message_id": "msg_x"}
PARAMETERS |= {"bundle_id": "bundle_x", "plan_id": "plan_x", "room_id": "!x:b.test"}
EXPIRED = 1_600_000_000
STRANGERS: dict[str, Callable[[Issuer], str]] = {
    "an unknown key": lambda _: "mk-unknown",
    "a key's hash": lambda _: "ops:8d969eef6ecad3c29a3a629280e686cf0c3f5d5a86aff3ca12020c923adc6c92",
    "the webhook's secret": lambda _: SIGNING_SECRET,
    "a key and more": lambda _: API_KEY + "0",
    "no token at all": lambda _: "a.b.c",
    "an expired token": lambda issuer: issuer.access(exp=EXPIRED, iat=EXPIRED - 600),
    "a token without an end": lambda issuer: issuer.access(exp=None),
    "a token from another issuer": lambda issuer: issuer.access(iss="https://auth.stranger.test/application/o/muster/"),
    "a token of another key": lambda issuer: issuer.access(signed_by="stranger"),
    "a token of Google's": lambda issuer: issuer.access(signed_by="google"),
    "a changed token": lambda issuer: forged(issuer.access()),
    "an HS256 token": lambda issuer: issuer.access(algorithm="HS256"),
    "an unsigned token": lambda issuer: issuer.access(algorithm="none"),
    "a token without signature": lambda issuer: without_signature(issuer.access()),
    "an ID token": lambda issuer: issuer.access(azp=None, scope=None),
    "a token without scope": lambda issuer: issuer.access(scope=None),
    "a token for another audience": lambda issuer: issuer.access(aud="another-client"),
    "a token for two audiences": lambda issuer: issuer.access(aud=[CLIENT_ID, "another-client"]),
    "a token of another client": lambda issuer: issuer.access(azp="another-client"),
    "a token of nobody": lambda issuer: issuer.access(sub=None),
}


def routes() -> list[tuple[str, str]]:
    """Method and path of everything in the API's own document, but health."""
    from functions.admin.app import app

    return [
        (method.upper(), path.format(**PARAMETERS))
        for path, operations in app().openapi()["paths"].items()
        for method in operations
        if path != "/api/health"
    ]


async def refused_everywhere(service: Service, status: int, **more: Any) -> None:
    for method, path in [
        *routes(),
        ("GET", "/api/openapi.json"),
        ("GET", "/api/nothing"),
        ("PUT", "/api"),
        ("GET", "/api/"),
    ]:
        answer = await service.send("admin", method, path, **more)
        problem(answer, status)
        assert (answer.headers.get("www-authenticate") == "Bearer") is (status == 401)
    assert not any(service.acts().values())
    assert not service.world.authentik.calls
    assert not service.world.homeserver.calls


async def test_nobody_is_nobody(service: Service) -> None:
    """Without credentials every path below /api is a 401, whether it exists or not, and nothing is even looked up."""
    await refused_everywhere(service, 401)


@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer ", f"Basic {API_KEY}", API_KEY, f"Token {API_KEY}", "Bearer \xff\xfe"]
)
async def test_only_bearer_counts(service: Service, header: str) -> None:
    """A key in any other form than `Authorization: Bearer` is none."""
    answer = await service.send("admin", "GET", "/api/rooms", headers={"Authorization": header.encode("latin-1")})
    problem(answer, 401)


@pytest.mark.parametrize("stranger", STRANGERS)
async def test_strangers_stay_outside(service: Service, stranger: str) -> None:
    """Whoever comes with another credential than a known key or a proper access token gets 401 on every route."""
    await refused_everywhere(service, 401, token=STRANGERS[stranger](service.issuer))


@pytest.mark.parametrize("groups", [[], ["muster"], ["Muster-Admins"], None, "muster-admins", {"muster-admins": True}])
async def test_only_admins(service: Service, groups: Any) -> None:
    """A token that is good in every way, of somebody outside the admin group, gets 403 on every route."""
    await refused_everywhere(service, 403, token=service.issuer.access(groups=groups))


async def test_admins_by_token_and_by_key(service: Service) -> None:
    """An API key and an admin's access token both open the API, and the audit knows them apart."""
    for token in (API_KEY, service.issuer.access()):
        answer = await service.api("POST", "/api/invites", json={"label": "Ada"}, token=token)
        assert answer.status_code == 201, answer.text
    assert {record["actor"] for record in await service.audit("invite.create")} == {"key:ops", "user:ada"}
    assert {record["source"] for record in await service.audit("invite.create")} == {"192.0.2.7"}


async def test_a_scheme_in_any_case(service: Service) -> None:
    """The scheme's name has no case, as the standard says."""
    answer = await service.send("admin", "GET", "/api/rooms", headers={"Authorization": f"bEARER  {API_KEY}"})
    assert answer.status_code == 200


async def test_tokens_need_an_issuer(service: Service) -> None:
    """Without AUTHENTIK_ISSUER no access token is believed, whoever signed it; keys still are."""
    service.env["AUTHENTIK_ISSUER"] = ""
    problem(await service.api("GET", "/api/rooms", token=service.issuer.access()), 401)
    assert (await service.api("GET", "/api/rooms")).status_code == 200


async def test_no_keys_no_entry(service: Service) -> None:
    """Where no key is set none is accepted, the empty one neither."""
    service.env["ADMIN_API_KEYS"] = ""
    for token in (API_KEY, "e3b0c442", " "):
        problem(await service.send("admin", "GET", "/api/rooms", headers={"Authorization": f"Bearer {token}"}), 401)


async def test_a_malformed_key_list_is_named(service: Service) -> None:
    """A plain key in ADMIN_API_KEYS (it must be a hash) is a 503 that names the setting and shows nothing of it."""
    service.env["ADMIN_API_KEYS"] = API_KEY
    body = problem(await service.api("GET", "/api/rooms"), 503)
    assert "ADMIN_API_KEYS" in body["detail"]
    assert API_KEY not in str(body)


async def test_authentik_being_down_is_no_401(service: Service) -> None:
    """While the keys of the issuer cannot be fetched a token is neither good nor bad: 503, try again."""
    service.env["AUTHENTIK_ISSUER"] = f"{service.issuer.base}/nowhere/"
    problem(await service.api("GET", "/api/rooms", token=service.issuer.access()), 503)


@pytest.mark.parametrize("path", ["/", "/index.html", "/page.css", "/api/health"])
async def test_the_page_and_health_need_nobody(service: Service, path: str) -> None:
    """The page's files and health are there for everybody, also for HEAD."""
    for method in ("GET", "HEAD"):
        answer = await service.send("admin", method, path)
        assert answer.status_code == 200, answer.text


async def test_health_asks_nobody(service: Service) -> None:
    """Health makes no outside call, needs no setting, is not cached, and is for reading only."""
    service.env.clear()
    answer = await service.send("admin", "GET", "/api/health")
    assert (answer.json(), answer.headers["cache-control"]) == ({"status": "ok"}, "no-store")
    problem(await service.send("admin", "POST", "/api/health"), 401)


@pytest.mark.parametrize(("target", "path"), [("create_invite", "/api/invites"), ("create_user", "/api/users")])
async def test_targets_of_their_own(service: Service, target: str, path: str) -> None:
    """`create_invite` and `create_user` do at any URL what `admin` does at theirs, for the same callers only."""
    body = {"label": "Ada"} if target == "create_invite" else {"first_name": "Ada"}
    for url in ("/", "/anything/at/all", "/api/health"):
        problem(await service.send(target, "POST", url, json=body), 401)
        problem(await service.send(target, "POST", url, service.issuer.access(groups=[]), json=body), 403)
    assert not any(service.acts().values())
    made = await service.send(target, "POST", "/", API_KEY, json=body)
    assert made.status_code == 201, made.text
    listed = await service.api("GET", path)
    assert listed.json()["total"] == 1
