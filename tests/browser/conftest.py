"""A real Chromium in front of the running stack: started once for a file, with people in every state."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from axe_playwright_python.base import AXE_FILE_PATH
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright
from playwright.sync_api import Error as PlaywrightError

from local import sample
from local.stack import Stack
from local.surroundings import given
from tests.conftest import StackData
from tests.end_to_end.conftest import SQLITE

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome") or ""
QUIET = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync"
WIDTHS = {1280: "light", 360: "dark"}
NASTY = "<img src=x onerror=alert(1)>"
NOWHERE = "!nowhere:muster.test"
UNTOUCHED = "!sessionStorage.length && !localStorage.length && String(Date).includes('native code')"
VIOLATIONS = "axe.run({resultTypes: ['violations'], preload: false}).then(found => found.violations)"
"""Every rule, on everything. `preload` would fetch the stylesheets once more, for rules about other things than ours."""

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
def stack(stack_data: StackData, more_settings: dict[str, str]) -> Iterator[Stack]:
    expect.set_options(timeout=20_000)
    if not CHROMIUM:
        pytest.skip("there is no Chromium: apt install chromium, or name it in CHROMIUM")
    settings = SQLITE | given(os.environ) | {"MUSTER_FREE_PORTS": "1"} | more_settings
    with Stack(stack_data("stack"), settings) as started:
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


class Tab:
    """A page in a context of its own. What is written to its console goes to `wrong`, but for what is `expected`."""

    def __init__(self, browser: Browser, width: int, ours: str) -> None:
        self.wrong: list[str] = []
        self.expected, self._ours, self._size = "", ours, {"width": width, "height": 780}
        self.context = browser.new_context(viewport=self._size, color_scheme=WIDTHS[width])  # type: ignore[arg-type]
        self.context.grant_permissions(["clipboard-read", "clipboard-write"])
        self.context.set_default_timeout(20_000)
        self.context.on("page", self._watch)
        self.page = self.context.new_page()

    def _watch(self, page: Page) -> None:
        page.on("console", lambda message: self.wrong.extend(_complaint(message, self._ours, self.expected)))
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("dialog", lambda dialog: (self.wrong.append(f"a dialog: {dialog.message}"), dialog.dismiss()))

    def is_as_new(self) -> bool:
        """Emptied; False where something of a test would be left: a page, a cookie, what it stored, its clock, its size."""
        try:
            left = self.context.cookies() or self.context.pages != [self.page] or self.page.viewport_size != self._size
            if left or not self.page.evaluate(UNTOUCHED):
                return False
            self.page.goto("about:blank")
            self.page.unroute_all(behavior="ignoreErrors")
            self.context.unroute_all(behavior="ignoreErrors")
        except PlaywrightError:
            return False
        return not self.wrong


@pytest.fixture(scope="module")
def kept() -> dict[int, Tab]:
    """By width, a tab that the next test may have: a new one is most of what a short test costs."""
    return {}


@pytest.fixture
def open_page(browser: Browser, stack: Stack, kept: dict[int, Tab]) -> Iterator[Open]:
    """`open_page(width, path="")`: a page of its own, at a phone's or a desk's width. After the test: nothing was
    written to the console that should not be, and no name has run as a script."""
    used: list[tuple[int, Tab]] = []

    def opened(width: int, path: str = "", *, expected: str = "") -> Page:
        tab = kept.pop(width, None) or Tab(browser, width, stack.env["PUBLIC_URL"])
        used.append((width, tab))
        tab.expected = expected
        tab.page.goto(f"{stack.env['PUBLIC_URL']}/{path}")
        return tab.page

    yield opened
    for width, tab in used:
        if width not in kept and tab.is_as_new():
            kept[width] = tab
        else:
            tab.context.close()
    assert not [each for _, tab in used for each in tab.wrong]


def _complaint(message: ConsoleMessage, ours: str, expected: str) -> list[str]:
    """What the browser itself says of an answer that a test provokes is `expected`; the sign-in's own pages are not ours."""
    theirs = message.location.get("url", "").startswith("http") and not message.location["url"].startswith(ours)
    if message.type not in ("error", "warning") or theirs or (expected and expected in message.text):
        return []
    return [message.text]


def looked_at(page: Page) -> None:
    """axe finds nothing, and nothing is wider than the screen."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_FILE_PATH.read_text(encoding="utf-8"))
    found = page.evaluate(VIOLATIONS)
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
