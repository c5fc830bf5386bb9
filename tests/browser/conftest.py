"""A real Chromium in front of the running stack: started once for a file, with people in every state."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from local import sample
from local.stack import Stack
from local.surroundings import given
from tests.end_to_end.conftest import SQLITE

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome") or ""
QUIET = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync"
WIDTHS = {1280: "light", 360: "dark"}
NASTY = "<img src=x onerror=alert(1)>"
NOWHERE = "!nowhere:muster.test"

Open = Callable[..., Page]


class People:
    """What the file's tests find: rooms, and whoever has come in."""

    def __init__(self, env: dict[str, str]) -> None:
        self.env, self.rooms = env, [room["room_id"] for room in json.loads(env["ROOMS"])]

    async def settle(self) -> None:
        """One on the way with a nasty name, one held, two whose room is not there, and an invite that ends soon."""
        async with sample.api(self.env) as api:
            first = await sample.invite(api, self.rooms[:2], label=NASTY, note=NASTY)
            broken = await sample.invite(api, [NOWHERE], label="A room that is not there", max_uses=9)
            only = await sample.invite(api, self.rooms[:1], label="Only for Dee", email="dee@example.org")
            await sample.invite(api, self.rooms[:3], label="Ends soon", expires_in_hours=5, max_uses=10)
            await asyncio.gather(
                sample.enroll(first["link"], "ada", name=f"{NASTY} Ada"),
                sample.enroll(only["link"], "eve", name="Eve Else", email="eve@example.org"),
                self.break_one("bea", broken["link"]),
                self.break_one("cyd", broken["link"]),
            )
            for _ in range(300):
                states = [one["state"] for one in (await api.get("/api/onboardings")).json()["items"]]
                if sorted(states) == ["failed", "failed", "held", "waiting"]:
                    return
                await asyncio.sleep(0.1)
            raise AssertionError(f"they did not come to rest: {states}")

    async def break_one(self, name: str, link: str) -> None:
        await sample.enroll(link, name, name=f"{name.title()} Broken")

    async def enroll(self, link: str, username: str) -> None:
        await sample.enroll(link, username, name=username.title())


@pytest.fixture(scope="module")
def more_settings() -> dict[str, str]:
    """What a file wants of its stack beyond the usual."""
    return {}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, more_settings: dict[str, str]) -> Iterator[Stack]:
    expect.set_options(timeout=20_000)
    if not CHROMIUM:
        pytest.skip("there is no Chromium: apt install chromium, or name it in CHROMIUM")
    settings = SQLITE | given(os.environ) | {"MUSTER_FREE_PORTS": "1"} | more_settings
    with Stack(tmp_path_factory.mktemp("stack"), settings) as started:
        yield started


@pytest.fixture(scope="module")
def people(stack: Stack) -> People:
    made = People(stack.env)
    asyncio.run(made.settle())
    return made


@pytest.fixture(scope="module")
def browser(people: People) -> Iterator[Browser]:
    """After `people`: while Playwright runs, this thread's event loop is its own."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET.split())
        yield started
        started.close()


@pytest.fixture
def open_page(browser: Browser, stack: Stack) -> Iterator[Open]:
    """`open_page(width, path="")`: a page of its own, at a phone's or a desk's width. After the test: nothing was
    written to the console that should not be, and no name has run as a script."""
    wrong: list[str] = []
    with contextlib.ExitStack() as closing:

        def opened(width: int, path: str = "", *, expected: str = "") -> Page:
            context = browser.new_context(viewport={"width": width, "height": 780}, color_scheme=WIDTHS[width])  # type: ignore[arg-type]
            closing.callback(context.close)
            context.grant_permissions(["clipboard-read", "clipboard-write"])
            context.set_default_timeout(20_000)

            def watch(page: Page) -> None:
                page.on("console", lambda message: wrong.extend(_complaint(message, stack.env["PUBLIC_URL"], expected)))
                page.on("pageerror", lambda error: wrong.append(str(error)))
                page.on("dialog", lambda dialog: (wrong.append(f"a dialog: {dialog.message}"), dialog.dismiss()))

            context.on("page", watch)
            page = context.new_page()
            page.goto(f"{stack.env['PUBLIC_URL']}/{path}")
            return page

        yield opened
    assert not wrong


def _complaint(message: ConsoleMessage, ours: str, expected: str) -> list[str]:
    """What the browser itself says of an answer that a test provokes is `expected`; the sign-in's own pages are not ours."""
    theirs = message.location.get("url", "").startswith("http") and not message.location["url"].startswith(ours)
    if message.type not in ("error", "warning") or theirs or (expected and expected in message.text):
        return []
    return [message.text]


def looked_at(page: Page) -> None:
    """axe finds nothing, and nothing is wider than the screen."""
    found = Axe().run(page).response["violations"]
    assert not [(each["id"], [node["html"][:200] for node in each["nodes"]]) for each in found]
    wide: Any = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"{wide} px beyond the screen"


def with_key(page: Page, env: dict[str, str]) -> None:
    page.get_by_text("Use an API key instead").click()
    page.get_by_label("API key").fill(env["ADMIN_API_KEY"])
    page.get_by_role("button", name="Enter with the key").click()
    page.get_by_role("navigation", name="Main").wait_for()


def with_authentik(page: Page, env: dict[str, str]) -> None:
    page.get_by_role("button", name="Sign in with Authentik").click()
    page.get_by_label("Username").fill(env["ADMIN_USERNAME"])
    page.get_by_label("Password").fill(env["ADMIN_PASSWORD"])
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("navigation", name="Main").wait_for()


def until(holds: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.1)
