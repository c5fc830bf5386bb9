"""A neighbour is down, slow, or a person goes away: nothing is given up, and all goes on by itself."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from local import sample
from local.authentik_hooks import signed
from local.loopback import LOOPBACK
from tests.end_to_end.conftest import SQLITE

pytest_plugins = ("tests.end_to_end.faulty",)
pytestmark = [pytest.mark.stack, pytest.mark.timeout(180)]
STORE = SQLITE

SINCE = re.compile(r"Matrix down since \d\d:\d\d UTC: ")
ENTRY_POINTS_ON_MATRIX = ("room:", "indoc_", "hello", "welcome")


def on_matrix(onboarding: dict[str, Any]) -> list[dict[str, Any]]:
    steps = onboarding["steps"].items()
    return [step for name, step in steps if name.startswith(ENTRY_POINTS_ON_MATRIX) and step["state"] != "pending"]


def waits_for_matrix(onboarding: dict[str, Any]) -> bool:
    return all(step["state"] == "waiting" and SINCE.match(step["cause"]) for step in on_matrix(onboarding))


async def neighbours(town: Any) -> dict[str, Any]:
    """The self-check's line about them."""
    async with sample.api(town.env) as client:
        items = (await client.get("/api/self-check", timeout=60)).raise_for_status().json()["items"]
    return next(item for item in items if item["name"] == "neighbours")


@pytest.mark.parametrize("rooms", [2, 0])
async def test_matrix_is_down(town: Any, rooms: int) -> None:
    """While the homeserver is down, the steps that need it say since when and use up no attempts, so does the
    self-check; when it is back, all complete. With and without rooms, and Muster started meanwhile."""
    names, link = await town.newcomers(3, rooms)
    town.stack.kill("synapse")
    try:
        await asyncio.to_thread(town.stack.restart, "app")
        await town.enroll(link, names)
        found = await town.until(names, waits_for_matrix)
        check = await neighbours(town)
        for _ in range(3):
            await town.sweep()
        later = await town.until(names, waits_for_matrix)
    finally:
        await asyncio.to_thread(town.stack.restart, "synapse")
    assert not check["ok"]
    assert SINCE.match(check["detail"])
    assert max(step["attempts"] for onboarding in later for step in on_matrix(onboarding)) < 10
    assert [o["state"] for o in found] == ["waiting"] * 3
    verdict = await town.verdict(names, 90)
    assert verdict.holds, str(verdict)
    assert (await neighbours(town))["ok"]


def webhook(town: Any, username: str, pk: int) -> tuple[bytes, dict[str, str]]:
    """Authentik's, of somebody who has enrolled: to be sent when we want."""
    event, user = secrets.token_hex(16), {"pk": pk, "username": username, "email": f"{username}@example.org"}
    said = {"event_id": event, "action": "user_write", "app": "authentik.events.signals", "user": user}
    said |= {"created": datetime.now(UTC).isoformat(), "client_ip": "127.0.0.1"}
    body = json.dumps(said | {"context": {"created": True, "username": username}}).encode()
    secret = town.env["AUTHENTIK_WEBHOOK_SECRETS"].split(",")[0]
    return body, {"Content-Type": "application/json", **signed(secret, event, body)}


async def pk_of(town: Any, username: str) -> int:
    headers = {"Authorization": f"Bearer {town.env['AUTHENTIK_API_TOKEN']}"}
    async with httpx.AsyncClient(base_url=town.env["AUTHENTIK_URL"], headers=headers, **LOOPBACK) as client:
        said = await client.get("/api/v3/core/users/", params={"username": username})
    return int(said.raise_for_status().json()["results"][0]["pk"])


async def send(town: Any, body: bytes, headers: dict[str, str]) -> httpx.Response:
    async with httpx.AsyncClient(timeout=60, **LOOPBACK) as client:
        return await client.post(f"{town.env['PUBLIC_URL']}/hooks/authentik", content=body, headers=headers)


async def test_authentik_is_down(town: Any) -> None:
    """A webhook that cannot be looked into is answered 503, so that it comes again; that, or the sweep, completes it."""
    town.stack.proxy.routes["webhook"].drops = lambda _: True
    names, link = await town.newcomers(2)
    await town.enroll(link, names)
    notices = [webhook(town, name, await pk_of(town, name)) for name in names]
    town.stack.proxy.routes["authentik"].closed = lambda _: True
    refused = [(await send(town, *notice)).status_code for notice in notices]
    swept = await town.sweep()
    town.stack.proxy.routes["authentik"].be_well()
    again = await send(town, *notices[0])  # and of the other one nobody ever says anything again
    assert refused == [503, 503]
    assert "failed" not in swept or "enrollments" in swept["failed"]
    assert again.status_code in (200, 202)
    verdict = await town.verdict(names)
    assert verdict.holds, str(verdict)
    assert {o["source"] for o in await town.onboardings(names)} <= {"webhook", "sweep"}


async def test_authentik_goes_down_after_the_webhook(town: Any) -> None:
    """The group waits for Authentik and says since when, while rooms, farewell and welcome come all the same."""
    names, link = await town.newcomers(6)
    town.stack.proxy.routes["authentik"].closed = lambda path: "/core/users/" not in path or "/groups/" in path

    def only_the_group_waits(onboarding: dict[str, Any]) -> bool:
        states = {name: step["state"] for name, step in onboarding["steps"].items() if name != "invitation"}
        return states.pop("groups") == "waiting" and set(states.values()) == {"done"}

    await town.enroll(link, names)
    found = await town.until(names, only_the_group_waits)
    assert all(o["steps"]["groups"]["cause"].startswith("Authentik down since") for o in found)
    town.stack.proxy.routes["authentik"].be_well()
    verdict = await town.verdict(names)
    assert verdict.holds, str(verdict)


async def test_a_tab_that_was_closed(town: Any) -> None:
    """Looking at the link and going away uses nothing up: the same link still works later, once."""
    names, link = await town.newcomers()
    at = link.replace("/if/flow/", "/api/v3/flows/executor/").replace("?", "?query=")
    async with httpx.AsyncClient(timeout=30, follow_redirects=True, **LOOPBACK) as browser:
        for _ in range(2):
            challenge = (await browser.get(at)).raise_for_status().json()
            assert challenge["component"] == "ak-stage-prompt"
            browser.cookies.clear()
    await town.enroll(link, names)
    verdict = await town.verdict(names)
    assert verdict.holds, str(verdict)


@pytest.mark.parametrize("neighbour", ["matrix", "authentik"])
async def test_a_slow_neighbour(town: Any, neighbour: str) -> None:
    """One that acts, and answers only when Muster has stopped listening: nothing is done twice for it."""
    town.stack.change(timeout=0.5)
    await asyncio.to_thread(town.stack.restart, "app")
    names, link = await town.newcomers(2)
    town.stack.proxy.routes[neighbour].delay = 1.0
    await town.enroll(link, names)
    if neighbour == "matrix":
        await town.until(names, lambda onboarding: any("in time" in step["cause"] for step in on_matrix(onboarding)))
    else:
        await asyncio.sleep(2)
    town.stack.proxy.routes[neighbour].delay = 0.0
    verdict = await town.verdict(names)
    assert verdict.holds, str(verdict)
