"""Whatever is sent to the admin API, the answer is a problem that says what is wrong, never a crash."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from shared.domain.errors import Conflict, Limited, Misconfigured, Refused, Unreachable
from tests.functions.conftest import lines
from tests.functions.served import Service, names, problem
from tests.world import World

WITH_BODY = [
    ("POST", "/api/invites"),
    ("PATCH", "/api/invites/inv_x"),
    ("POST", "/api/users"),
    ("PATCH", "/api/users/2"),
    ("POST", "/api/onboardings/ob_x/skip"),
    ("POST", "/api/rooms/invite"),
    ("POST", "/api/rooms/remove"),
    ("POST", "/api/bundles"),
    ("PUT", "/api/bundles/bundle_x"),
    ("POST", "/api/plans/plan_x/apply"),
    ("POST", "/api/users/2/offboard"),
    ("POST", "/api/users/bulk"),
    ("PUT", "/api/removal_reasons/rules"),
    ("PUT", "/api/templates/hello"),
    ("POST", "/api/templates/lint"),
    ("POST", "/api/templates/preview"),
    ("POST", "/api/templates/hello/restore"),
    ("POST", "/api/templates/hello/send"),
    ("POST", "/api/invites/batch"),
    ("POST", "/api/rooms/recommend"),
    ("POST", "/api/categories"),
    ("PUT", "/api/categories/cat_x"),
]
OPTIONAL_BODY = [
    ("POST", "/api/users/2/onboard"),
    ("POST", "/api/onboardings/ob_x/retry"),
    ("POST", "/api/jobs/job_x/retry"),
    ("POST", "/api/plans/plan_x/undo"),
]
LISTS = [
    "/api/invites",
    "/api/users",
    "/api/groups",
    "/api/onboardings",
    "/api/rooms",
    "/api/audit",
    "/api/bundles",
    "/api/plans",
    "/api/jobs",
    "/api/removal_reasons",
    "/api/templates",
    "/api/indoc",
    "/api/categories",
    "/api/imports",
    "/api/messages",
]
ODD_BODIES: dict[str, bytes] = {
    "nothing": b"",
    "blanks": b"  \n ",
    "no JSON": b"label=Ada",
    "half a JSON": b'{"label": "Ada',
    "two": b'{"label": "Ada"}{"label": "Bee"}',
    "a list": b'[{"label": "Ada"}]',
    "a text": b'"Ada"',
    "a number": b"5",
    "no UTF-8": b'{"label": "\xff\xfe"}',
    "UTF-16": '{"label": "Ada"}'.encode("utf-16")[:-1],
    "a deep hole": b"[" * 100_000,
    "a deeper hole": b'{"a":' * 80_000,
    "a long number": b'{"max_uses": ' + b"9" * 5000 + b"}",
    "a zip": b"PK\x03\x04\x00\x00",
}


@pytest.mark.parametrize("odd", ODD_BODIES)
async def test_odd_bodies(service: Service, odd: str) -> None:
    """A body that is no JSON object is a 400 on every route that takes one, and nothing is done."""
    routes = WITH_BODY if odd in ("nothing", "blanks") else WITH_BODY + OPTIONAL_BODY
    for method, path in routes:
        body = problem(await service.api(method, path, content=ODD_BODIES[odd]), 400)
        assert names(body) == ["body"], (method, path, body)
    assert not any(service.acts().values())


@pytest.mark.parametrize(("method", "path"), OPTIONAL_BODY)
async def test_bodies_that_may_be_left_out(service: Service, method: str, path: str) -> None:
    """Where the body may be left out, leaving it out is no mistake."""
    for more in ({}, {"content": b""}, {"json": {}}):
        problem(await service.api(method, path, **more), 404)


@pytest.mark.parametrize(("method", "path"), [*WITH_BODY, *OPTIONAL_BODY, ("POST", "/api/imports?kind=users")])
async def test_too_large(service: Service, method: str, path: str) -> None:
    """A body of 1 MB is a 413, also in many small pieces; it is not read from strangers."""
    large = json.dumps({"label": "x" * 1_000_000}).encode()
    problem(await service.api(method, path, content=large), 413)
    problem(await service.api(method, path, content=_pieces(large)), 413)
    problem(await service.send("admin", method, path, content=large), 401)
    assert not any(service.acts().values())


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), 10_000):
        yield body[start : start + 10_000]


async def test_many_mistakes(service: Service) -> None:
    """Ten thousand wrong fields are answered with the first hundred."""
    body = problem(await service.api("POST", "/api/invites", json={f"field{count}": 1 for count in range(10_000)}), 400)
    assert len(body["errors"]) == 100


async def test_a_field_with_half_a_character(service: Service) -> None:
    """A field's name that no store and no person can read is a 400 like any other unknown field."""
    for path in ("/api/invites", "/api/users", "/api/rooms/invite"):
        problem(await service.api("POST", path, json={"label": "Ada", "\ud800": 1}), 400)
    account = service.world.authentik.add_account("ada")
    body = {"attributes": {"\ud800": "x"}}
    problem(await service.api("PATCH", f"/api/users/{account.pk}", json=body), 400)


@pytest.mark.parametrize(
    "name", ["x", "form", "application/x-www-form-urlencoded", "text/plain", "multipart/form-data", ""]
)
async def test_whatever_the_body_is_called(service: Service, name: str) -> None:
    """JSON is JSON whatever its Content-Type says: `curl -d` calls it a form."""
    answer = await service.api(
        "POST", "/api/invites?dry_run=true", json={"label": "Ada"}, headers={"Content-Type": name}
    )
    assert answer.status_code == 200, answer.text


# ------------------------------------------------------------------ methods and paths

KNOWN: dict[str, set[str]] = {
    "/api/invites": {"GET", "POST"},
    "/api/invites/inv_x": {"GET", "PATCH"},
    "/api/invites/inv_x/text": {"GET"},
    "/api/invites/inv_x/revoke": {"POST"},
    "/api/invites/inv_x/email": {"GET", "POST"},
    "/api/invites/batch": {"POST"},
    "/api/imports": {"GET", "POST"},
    "/api/imports/imp_x": {"GET"},
    "/api/imports/imp_x/left.csv": {"GET"},
    "/api/export/invites.csv": {"GET"},
    "/api/export/invites.json": {"GET"},
    "/api/users": {"GET", "POST"},
    "/api/users/bulk": {"POST"},
    "/api/users/2": {"GET", "PATCH", "DELETE"},
    "/api/users/2/activate": {"POST"},
    "/api/users/2/deactivate": {"POST"},
    "/api/users/2/recovery": {"POST"},
    "/api/users/2/recovery/email": {"POST"},
    "/api/users/2/onboard": {"POST"},
    "/api/users/2/offboard": {"POST"},
    "/api/users/2/standing": {"GET"},
    "/api/users/2/signal": {"GET", "POST"},
    "/api/groups": {"GET"},
    "/api/users/2/bundles/bundle_x": {"DELETE"},
    "/api/onboardings": {"GET"},
    "/api/onboardings/ob_x": {"GET"},
    "/api/onboardings/ob_x/events": {"GET"},
    "/api/onboardings/ob_x/retry": {"POST"},
    "/api/onboardings/ob_x/skip": {"POST"},
    "/api/onboardings/ob_x/approve": {"POST"},
    "/api/onboardings/ob_x/reject": {"POST"},
    "/api/rooms": {"GET"},
    "/api/rooms/!a:b.test": {"GET"},
    "/api/rooms/!a:b.test/members": {"GET"},
    "/api/rooms/invite": {"POST"},
    "/api/rooms/remove": {"POST"},
    "/api/bundles": {"GET", "POST"},
    "/api/bundles/bundle_x": {"GET", "PUT", "DELETE"},
    "/api/plans": {"GET", "POST"},
    "/api/plans/plan_x": {"GET"},
    "/api/plans/plan_x/lines": {"GET"},
    "/api/plans/plan_x/apply": {"POST"},
    "/api/plans/plan_x/undo": {"POST"},
    "/api/jobs": {"GET"},
    "/api/assistant": {"GET"},
    "/api/assistant/suggest": {"POST"},
    "/api/messages": {"GET", "POST"},
    "/api/messages/msg_x": {"GET"},
    "/api/messages/msg_x/events": {"GET"},
    "/api/messages/msg_x/items": {"GET"},
    "/api/messages/msg_x/report.csv": {"GET"},
    "/api/messages/msg_x/pause": {"POST"},
    "/api/messages/msg_x/resume": {"POST"},
    "/api/messages/msg_x/cancel": {"POST"},
    "/api/messages/msg_x/retry": {"POST"},
    "/api/rooms/recommend": {"POST"},
    "/api/categories": {"GET", "POST"},
    "/api/categories/cat_x": {"GET", "PUT", "DELETE"},
    "/api/members/@a:b.test/rooms": {"GET"},
    "/api/members/@a:b.test/conversation": {"GET", "POST"},
    "/api/members/@a:b.test/conversation/events": {"GET"},
    "/api/jobs/job_x": {"GET"},
    "/api/jobs/job_x/events": {"GET"},
    "/api/jobs/job_x/items": {"GET"},
    "/api/jobs/job_x/retry": {"POST"},
    "/api/removal_reasons": {"GET"},
    "/api/removal_reasons/rules": {"GET", "PUT", "DELETE"},
    "/api/templates": {"GET"},
    "/api/templates/lint": {"POST"},
    "/api/templates/preview": {"POST"},
    "/api/templates/hello": {"GET", "PUT", "DELETE"},
    "/api/templates/hello/versions/1": {"GET"},
    "/api/templates/hello/restore": {"POST"},
    "/api/templates/hello/send": {"POST"},
    "/api/indoc": {"GET"},
    "/api/sponsors": {"GET"},
    "/api/sponsors/pause": {"POST"},
    "/api/sponsors/resume": {"POST"},
    "/api/indoc/@a:b.test/pause": {"POST"},
    "/api/indoc/@a:b.test/resume": {"POST"},
    "/api/jobs/job_x/invites.csv": {"GET"},
    "/api/audit": {"GET"},
    "/api/audit.csv": {"GET"},
    "/api/settings": {"GET"},
    "/api/status": {"GET"},
    "/api/metrics": {"GET"},
    "/api/costs": {"GET"},
    "/api/sync": {"GET", "POST"},
    "/api/self-check": {"GET"},
    "/api/health": {"GET"},
}


@pytest.mark.parametrize("path", KNOWN)
async def test_wrong_methods(service: Service, path: str) -> None:
    """A method that a path does not know is a 405 that names those it does, and nothing is done."""
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} - KNOWN[path]:
        answer = await service.api(method, path)
        problem(answer, 405)
        assert set(answer.headers["allow"].split(", ")) == KNOWN[path]
    assert not any(service.acts().values())


@pytest.mark.parametrize(
    "path",
    ["/api", "/api/", "/api/nothing", "/api/invites/", "/api/invites/a/b", "/api/users/2/promote", "/api/../api/x",
     "/api/%00", "/api/invites%2F", "/api/" + "x" * 5000, "/api/%FF", "/api/docs", "/api/redoc", "/api/v1/invites"],
)  # fmt: skip
async def test_no_such_route(service: Service, path: str) -> None:
    """A path that is no route is a 404 for those who may ask."""
    problem(await service.api("GET", path), 404)


@pytest.mark.parametrize(
    "path",
    ["/nothing", "/docs", "/openapi.json", "/main.py", "/../app.py", "/%2e%2e/app.py", "/..%2fapp.py", "/static/page.css",
     "/%00", "/page.css%00", "/" + "x" * 300, "/" + "x/" * 3000, "/%2E", "/%FF", "//etc/passwd", "/API/health"],
)  # fmt: skip
async def test_no_such_page(service: Service, path: str) -> None:
    """Outside the page's own files there is nothing, however it is written."""
    problem(await service.send("admin", "GET", path), 404)
    problem(await service.send("admin", "POST", path), 404)


# ------------------------------------------------------------------ queries and headers


@pytest.mark.parametrize("path", LISTS)
async def test_wrong_pages(service: Service, path: str) -> None:
    """A limit or cursor that cannot be is a 400 that names it."""
    for limit in ("0", "-1", "201", "ten", "1.5", "", "9" * 5000, "NaN", "1e2", "true", "%00"):
        assert names(problem(await service.api("GET", f"{path}?limit={limit}"), 400)) == ["limit"], limit
    for cursor in (
        "x",
        "%00",
        "5-7",
        "e30=",
        "W10=",
        "bnVsbA==",
        "-1",
        "1e9",
        "x" * 2001,
        "%F0%9F%98%80",
        "{}",
        "9" * 1999,
    ):
        answer = await service.api("GET", f"{path}?cursor={cursor}")
        assert names(problem(answer, 400)) == ["cursor"], cursor


async def test_cursors_of_another_list(service: Service, world: World) -> None:
    """A cursor is good for its own list only."""
    for count in range(3):
        world.pause(seconds=1)
        await service.api("POST", "/api/invites", json={"label": f"Guest {count}"})
    cursor = (await service.api("GET", "/api/invites?limit=1")).json()["next_cursor"]
    for path in ("/api/users?", "/api/rooms?", "/api/audit?", "/api/invites?status=pending&"):
        assert names(problem(await service.api("GET", f"{path}cursor={cursor}"), 400)) == ["cursor"]


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/api/invites?status=lost", "status"),
        ("/api/onboardings?state=lost", "state"),
        ("/api/users?active=perhaps", "active"),
        ("/api/users?q=%00", "q"),
        ("/api/users?group=a%1Bb", "group"),
        ("/api/users?q=" + "x" * 301, "q"),
        ("/api/audit?target=%7F", "target"),
    ],
)
async def test_wrong_questions(service: Service, world: World, path: str, field: str) -> None:
    """A query parameter that cannot be is a 400 that names it, and nobody is asked."""
    assert names(problem(await service.api("GET", path), 400)) == [field]
    assert world.authentik.calls == []


ACTS = [
    ("POST", "/api/invites"),
    ("PATCH", "/api/invites/inv_x"),
    ("POST", "/api/invites/inv_x/revoke"),
    ("POST", "/api/invites/inv_x/email"),
    ("POST", "/api/users"),
    ("PATCH", "/api/users/2"),
    ("DELETE", "/api/users/2"),
    ("POST", "/api/users/2/activate"),
    ("POST", "/api/users/2/deactivate"),
    ("POST", "/api/users/2/recovery"),
    ("POST", "/api/users/2/recovery/email"),
    ("POST", "/api/users/2/onboard"),
    ("POST", "/api/onboardings/ob_x/retry"),
    ("POST", "/api/onboardings/ob_x/skip"),
    ("POST", "/api/onboardings/ob_x/approve"),
    ("POST", "/api/onboardings/ob_x/reject"),
    ("POST", "/api/rooms/invite"),
    ("POST", "/api/rooms/remove"),
    ("POST", "/api/bundles"),
    ("PUT", "/api/bundles/bundle_x"),
    ("DELETE", "/api/bundles/bundle_x"),
    ("DELETE", "/api/users/2/bundles/bundle_x"),
    ("POST", "/api/plans"),
    ("POST", "/api/plans/plan_x/apply"),
    ("POST", "/api/plans/plan_x/undo"),
]


@pytest.mark.parametrize(("method", "path"), ACTS)
async def test_a_try_that_is_misspelt(service: Service, world: World, method: str, path: str) -> None:
    """A `dry_run` that is neither yes nor no is a 400, and nothing is done: better than doing it."""
    world.authentik.add_account("ada")
    for value in ("maybe", "", "truee", "2", "null", "True%20"):
        answer = await service.api(method, f"{path}?dry_run={value}", json={"label": "x", "first_name": "x"})
        assert "dry_run" in names(problem(answer, 400))
    assert not any(service.acts().values())


@pytest.mark.parametrize(("method", "path"), ACTS)
async def test_a_parameter_that_nobody_knows(service: Service, world: World, method: str, path: str) -> None:
    """A misspelt `dry_run` is a 400 that names it, and nothing is done."""
    world.authentik.add_account("ada")
    for name in ("dryrun", "dry-run", "DRY_RUN", "dry_run%20", "", "\u00e9"):
        answer = await service.api(method, f"{path}?{name}=true", json={"label": "x", "first_name": "x"})
        assert names(problem(answer, 400)) == [name.replace("%20", " ")]
    assert not any(service.acts().values())


@pytest.mark.parametrize(
    "path", ["/api/invites", "/api/users", "/api/rooms/invite", "/api/rooms/remove", "/api/bundles"]
)
async def test_odd_keys(service: Service, path: str) -> None:
    """An Idempotency-Key may hold anything that a header can, up to 200 characters; more is a 400."""
    answer = await service.api("POST", path, json={}, headers={"Idempotency-Key": "k" * 201})
    assert "idempotency-key" in [name.lower() for name in names(problem(answer, 400))]
    body = {"/api/invites": {"label": "x"}, "/api/bundles": {"name": "x"}}.get(path, {"first_name": "x"})
    if "rooms" not in path:
        odd = {"Idempotency-Key": "\xe9 \xff/..".encode("latin-1")}
        assert (await service.api("POST", path, json=body, headers=odd)).status_code == 201


# ------------------------------------------------------------------ what goes wrong behind


@pytest.mark.parametrize(
    ("error", "status", "after"),
    [
        (Limited("Authentik limits us", 0.2), 503, "1"),
        (Limited("Authentik limits us", 333), 503, "333"),
        (Unreachable("authentik", "no answer within 10 s"), 503, None),
        (Refused("Authentik says no", "Look at the token.", "403"), 502, None),
        (Misconfigured("AUTHENTIK_URL is not set", "Set it."), 503, None),
        (Conflict("it is taken", "Choose another."), 409, None),
    ],
)
async def test_what_authentik_says(service: Service, world: World, error: Any, status: int, after: str | None) -> None:
    """Each fault of a neighbour has its status, cause and fix, and says how long to wait where that is known."""
    world.authentik.fail("account", error)
    answer = await service.api("GET", "/api/users/2")
    body = problem(answer, status)
    assert (body["detail"], body["fix"], answer.headers.get("retry-after")) == (error.cause, error.fix, after)


@pytest.mark.parametrize("path", ["/api/users/2", "/api/users", "/api/users/2/activate"])
async def test_a_mistake_of_ours(service: Service, world: World, logged: io.StringIO, path: str) -> None:
    """A crash is one problem document that tells nothing, and one ERROR line with the whole story."""
    for method in ("account", "accounts", "update_account"):
        world.authentik.fail(method, RuntimeError("a very private detail"))  # type: ignore[arg-type]
    answer = await service.api("POST" if path.endswith("activate") else "GET", path)
    problem(answer, 500)
    assert "private" not in answer.text
    [line] = [line for line in lines(logged) if line["severity"] == "ERROR"]
    assert "a very private detail" in line["stack_trace"]
    assert (line["path"], line["actor"]) == (path, "key:ops")
