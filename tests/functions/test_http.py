"""What all entry points share: settings that are missing are named, logs can be read, cold starts stay light."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request

import shared.wiring
from functions import http
from main import ENTRY_POINTS
from shared import logs
from shared.domain.errors import Invalid, MusterError, TooLarge, TooMany, TryLater
from shared.settings import SETTINGS
from shared.wiring import Wiring
from tests.functions.conftest import lines
from tests.functions.served import API_KEY, Service, key_entry, problem

ROOT = Path(__file__).parents[2]
TRACE = "0af7651916cd43dd8448eb211c80319c"
REQUIRED: dict[str, set[str]] = {}
for _setting in SETTINGS:
    if _setting.default is None:
        REQUIRED.setdefault(_setting.concern, set()).add(_setting.name)
NEEDS: dict[str, tuple[str, ...]] = {
    "enrollment_webhook": ("webhook", "authentik", "onboarding", "tasks"),
    "invite_to_room": ("tasks", "onboarding", "matrix"),
    "remove_from_indoc": ("tasks", "onboarding", "matrix"),
    "deliver_welcome": ("tasks", "onboarding", "matrix"),
    "remove_from_room": ("tasks", "onboarding", "matrix"),
    "set_power_level": ("tasks", "onboarding", "matrix"),
    "apply_plan": ("tasks", "onboarding", "matrix"),
    "send_message": ("tasks", "onboarding", "matrix"),
    "update_account": ("tasks", "onboarding", "authentik"),
    "resume_onboardings": ("tasks", "onboarding", "authentik", "matrix"),
    "sync_directory": ("tasks", "onboarding", "authentik", "matrix"),
}
ROUTES: dict[str, tuple[str, ...]] = {
    "POST /api/invites": ("authentik", "onboarding"),
    "POST /api/users": ("authentik", "onboarding", "tasks"),
    "GET /api/users": ("authentik",),
    "POST /api/rooms/invite": ("matrix", "onboarding", "tasks"),
    "GET /api/rooms": ("matrix",),
    "POST /api/onboardings/ob_x/approve": ("onboarding", "tasks"),
}


def named(text: str) -> set[str]:
    return {setting.name for setting in SETTINGS if setting.name in text}


@pytest.fixture
def bare(service: Service, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Service:
    """The real wiring with nothing set but a store and a key to come in."""
    service.env = {
        "MUSTER_STORE": "sqlite",
        "MUSTER_DATA_DIR": str(tmp_path),
        "MUSTER_ENV": "local",
        "ADMIN_API_KEYS": key_entry("ops", API_KEY),
    }
    monkeypatch.setattr(shared.wiring, "factory", lambda unused: Wiring(service.wire(unused).settings))
    return service


def test_every_entry_point_is_here() -> None:
    """The list of this test is the list of what is deployed."""
    assert set(NEEDS) == {name for name, kind in ENTRY_POINTS.items() if kind != "admin"}


@pytest.mark.parametrize("name", NEEDS)
async def test_missing_settings_are_named_at_once(bare: Service, name: str) -> None:
    """The first request to a function without its settings is a 503 that names every missing one, and only those."""
    body = problem(await bare.send(name, "POST", "/", json={}), 503)
    assert named(body["detail"]) == set().union(*(REQUIRED[concern] for concern in NEEDS[name]))
    assert body["fix"]


@pytest.mark.parametrize("route", ROUTES)
async def test_missing_settings_of_a_route(bare: Service, route: str) -> None:
    """The same for each route of the API; nothing is half done before."""
    method, path = route.split(" ")
    more: dict[str, Any] = {"json": {"label": "x", "first_name": "x"}} if method == "POST" else {}
    body = problem(await bare.api(method, path, **more), 503)
    assert named(body["detail"]) == set().union(*(REQUIRED[concern] for concern in ROUTES[route]))
    listed = await bare.api("GET", "/api/invites")
    assert (listed.status_code, listed.json()["total"]) == (200, 0)


async def test_malformed_settings_are_named_without_their_value(service: Service) -> None:
    """A setting that cannot be read is named with what is expected, and its value is never shown."""
    wrong = {
        "AUTHENTIK_URL": "auth.secret.test",
        "MATRIX_INDOC_ROOM_ID": "indoc-secret",
        "WELCOME_DELAY_SECONDS": "five-secret",
        "AUTO_REMOVE_FROM_INDOC": "maybe-secret",
    }
    service.env.update(wrong)
    body = problem(await service.hook({}), 503)
    assert named(body["detail"]) == set(wrong)
    assert "secret" not in str(body).replace("AUTHENTIK_WEBHOOK_SECRETS", "")


async def test_without_any_setting_the_page_is_there(bare: Service) -> None:
    """With nothing set at all the page and health still answer, and the API is closed."""
    bare.env = {}
    for path in ("/", "/page.css", "/api/health"):
        assert (await bare.send("admin", "GET", path)).status_code == 200
    problem(await bare.send("admin", "GET", "/api/self-check"), 401)
    problem(await bare.api("GET", "/api/self-check"), 401)


# ------------------------------------------------------------------ problems


@pytest.mark.parametrize(
    ("error", "status", "after"),
    [
        (Invalid.field("a", "expected b"), 400, None),
        (TooLarge("too large"), 413, None),
        (TooMany("too often", 0.1), 429, "1"),
        (TryLater("later", after=61.0), 503, "61"),
        (TryLater("later"), 503, None),
        (MusterError("broken"), 500, None),
    ],
)
def test_a_problem(error: MusterError, status: int, after: str | None) -> None:
    """Every error is a problem document of its own type and status, with Retry-After where the wait is known."""
    answer = http.problem(error)
    body = json.loads(bytes(answer.body))
    assert (answer.status_code, answer.headers.get("retry-after")) == (status, after)
    assert answer.headers["content-type"] == "application/problem+json"
    assert (body["status"], body["detail"], body["type"]) == (
        status,
        error.cause,
        f"urn:muster:problem:{type(error).__name__.lower()}",
    )


def test_a_problem_can_hold_anything() -> None:
    """What is wrong with a field may be that it cannot even be written as UTF-8."""
    answer = http.problem(Invalid.field("\ud800", "expected \u2028 text"))
    assert json.loads(bytes(answer.body))["errors"] == [{"field": "\ud800", "message": "expected \u2028 text"}]


async def test_a_body_is_read_no_further_than_needed() -> None:
    """Whoever sends for ever is stopped at the limit."""
    pieces = 0

    async def receive() -> dict[str, Any]:
        nonlocal pieces
        pieces += 1
        return {"type": "http.request", "body": b"x" * 1024, "more_body": True}

    with pytest.raises(TooLarge):
        await http.read_body(Request({"type": "http", "headers": []}, receive), 10 * 1024)
    assert pieces == 11


# ------------------------------------------------------------------ logs


async def test_a_log_line_tells_what_was_done(service: Service, logged: io.StringIO) -> None:
    """A webhook's lines carry the trace that came with it, the event and the onboarding."""
    service.world.authentik.add_account("ada")
    body = {"event_id": "e-17", "action": "user_write", "context": {"created": True, "username": "ada"}}
    raw = json.dumps(body).encode()
    headers = {"X-Muster-Secret": service.env["AUTHENTIK_WEBHOOK_SECRETS"].split(",")[0]}
    answer = await service.hook(raw, headers | {"X-Cloud-Trace-Context": f"{TRACE}/7;o=1"})
    [line] = [line for line in lines(logged) if "onboarding begun" in line["message"]]
    assert (line["severity"], line["event"], line["onboarding"]) == ("INFO", "e-17", answer.json()["onboarding"])
    assert line["logging.googleapis.com/trace"].endswith(f"/traces/{TRACE}")


def access_lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [line for line in lines(stream) if "httpRequest" in line]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/health", 200),
        ("GET", "/", 200),
        ("HEAD", "/page.css", 200),
        ("GET", "/nothing", 404),
        ("GET", "/api/invites?limit=5", 200),
        ("GET", "/api/users?q=ada%40example.test", 200),
        ("GET", "/api/onboardings/ob_x", 404),
        ("PUT", "/api/invites", 405),
        ("POST", "/api/invites", 400),
    ],
)
async def test_one_line_for_each_request(
    service: Service, logged: io.StringIO, method: str, path: str, status: int
) -> None:
    """Whatever answers, a request leaves one INFO line with method, path, the status it really has, and latency; never the
    query, which may hold a name."""
    answer = await service.api(method, path)
    assert answer.status_code == status
    [line] = access_lines(logged)
    entry = line["httpRequest"]
    assert (line["severity"], entry["requestMethod"], entry["status"]) == ("INFO", method, status)
    assert entry["requestUrl"] == path.partition("?")[0]
    assert re.fullmatch(r"\d+\.\d{6}s", entry["latency"])
    assert "example.test" not in logged.getvalue()


async def test_a_part_of_a_file_is_told_as_such(service: Service, logged: io.StringIO) -> None:
    """The line says the status that was sent, also where the answer itself decides it late."""
    answer = await service.send("admin", "GET", "/page.css", headers={"Range": "bytes=0-3"})
    assert [line["httpRequest"]["status"] for line in access_lines(logged)] == [answer.status_code] == [206]


async def test_a_crash_of_the_api_is_reported(
    service: Service, logged: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mistake of ours is one event for Error Reporting and one line for the request, with the same trace."""
    service.world.homeserver.fail_next(RuntimeError("a mistake"), times=9)
    problem(await service.api("GET", "/api/rooms", headers={"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}), 500)
    [crashed] = [line for line in lines(logged) if line["severity"] == "ERROR"]
    [told] = access_lines(logged)
    assert "RuntimeError: a mistake" in crashed["stack_trace"]
    assert crashed["@type"] == logs.REPORTED
    assert crashed["logging.googleapis.com/trace"] == told["logging.googleapis.com/trace"]
    assert told["httpRequest"]["status"] == 500


async def test_requests_do_not_share_their_lines(service: Service, logged: io.StringIO) -> None:
    """What one request is about never shows in the lines of the next."""
    for name in ("ada", "bee"):
        service.world.authentik.add_account(name)
        body = {"event_id": f"e-{name}", "action": "user_write", "context": {"created": True, "username": name}}
        await service.hook(body)
    assert [line["event"] for line in lines(logged) if line["message"] == "onboarding begun"] == ["e-ada", "e-bee"]


async def test_nothing_to_act_on_is_no_error(service: Service, logged: io.StringIO) -> None:
    """Strangers, mistakes of callers and neighbours that are down for a moment write no ERROR."""
    await service.send("admin", "GET", "/api/rooms")
    await service.api("GET", "/api/rooms", token="mk-wrong")
    await service.api("POST", "/api/invites", json={"label": 5})
    await service.api("GET", "/api/invites/inv_x")
    await service.hook(b"{}", {})
    await service.task("invite_to_room", {}, token="a.b.c")
    assert not [line for line in lines(logged) if line["severity"] not in ("INFO", "WARNING")]


# ------------------------------------------------------------------ cold starts

LIGHT = """
import asyncio, json, sys
import shared.wiring
from tests.functions.conftest import new_world
from tests.functions.served import Service
from tests.functions.tokens import Issuer

async def main():
    world, indoc = new_world()
    with Issuer() as issuer:
        service = Service(world, issuer, indoc)
        shared.wiring.factory = service.wire
        world.authentik.add_account("ada")
        statuses = [
            (await service.send("admin", "GET", "/")).status_code,
            (await service.send("admin", "GET", "/page.css")).status_code,
            (await service.send("admin", "GET", "/api/health")).status_code,
            (await service.send("admin", "GET", "/api/rooms")).status_code,
            (await service.api("GET", "/api/rooms", token="mk-wrong")).status_code,
        ]
        event = {"event_id": "e", "action": "user_write", "context": {"created": True, "username": "ada"}}
        statuses.append((await service.hook(event)).status_code)
        await service.work()
        world.pause(seconds=10)
        await service.work()
        token = issuer.task("resume_onboardings")
        statuses.append((await service.send("resume_onboardings", "POST", "/", token)).status_code)
        print(json.dumps([statuses, sorted(set(sys.modules) & {"pydantic", "pydantic_core", "fastapi"})]))

asyncio.run(main())
"""


def test_only_the_api_pays_for_its_models() -> None:
    """Health, the page, a stranger's request, the webhook, every task and the sweep load neither pydantic nor FastAPI."""
    run = subprocess.run([sys.executable, "-c", LIGHT], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout.splitlines()[-1]) == [[200, 200, 200, 401, 401, 202, 200], []]
