"""`scripts/screenshots`: each view of the page, at a desk's and a phone's width, light and dark."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from local import sample
from local.stack import Stack
from local.surroundings import given
from tests.browser.conftest import CHROMIUM, NOWHERE, QUIET, WIDTHS, People, with_key
from tests.browser.introductions import SIX
from tests.contracts.assistant_server import serving, settings_for

VIEWS = {
    "home": ("#/", "needs? you"),
    "invites": ("#/invites", "Ends soon"),
    "invite-new": ("#/invites/new", "Book Club"),
    "invite": ("#/invites", "Ends soon"),
    "people": ("#/people", "Eve Else"),
    "people-bulk": ("#/people", "Eve Else"),
    "jobs": ("#/jobs", "Invite @walter"),
    "job": ("#/jobs", "Invite @walter"),
    "onboardings": ("#/onboardings", "Eve Else"),
    "onboarding-failed": ("#/onboardings", "Bea Broken"),
    "onboarding-held": ("#/onboardings", "Eve Else"),
    "rooms": ("#/rooms", "Book Club"),
    "rooms-for-somebody": ("#/rooms?for=@ada:muster.test", "Book Club"),
    "room": ("#/rooms", "Book Club"),
    "bundles": ("#/bundles", "There is no bundle yet"),
    "bundle-new": ("#/bundles/+", "Choose rooms first"),
    "plans": ("#/plans", "No plan has been made yet"),
    "person-new": ("#/people/new", "Book Club"),
    "person-new-suggested": ("#/people/new", "Book Club"),
    "person": ("#/onboardings", "Bea Broken"),
    "templates": ("#/templates", "Farewell in INDOC"),
    "template": ("#/templates/welcome", "A name from right to left"),
    "settings": ("#/settings", "AUTHENTIK_URL"),
    "self-check": ("#/self-check", "Looked"),
    "messages": ("#/messages", "Nothing has been written yet"),
    "message-new": ("#/messages/new", "Write something"),
    "audit": ("#/audit", "The API key local made"),
    "imports": ("#/imports", "Nothing has been imported yet"),
}
"""Where it is, and what is there when it is; of those that are one thing, what leads to it."""


def main(folder: Path) -> None:
    if not CHROMIUM:
        sys.exit("There is no Chromium: apt install chromium, or name it in CHROMIUM.")
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as data,
        serving() as assistant,
        Stack(Path(data), given(os.environ) | {"MUSTER_FREE_PORTS": "1"} | settings_for(assistant)) as stack,
    ):
        people = People(stack.env)
        asyncio.run(people.settle())
        asyncio.run(_a_job(people))
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET.split())
            for width in WIDTHS:
                _pictures(browser, stack.env, width, folder)
            browser.close()


async def _a_job(people: People) -> None:
    """One that fails in part."""
    async with sample.api(people.env) as api:
        walter = f"@walter:{people.env['MATRIX_DOMAIN']}"
        await api.post("/api/rooms/invite", json={"matrix_id": walter, "rooms": [*people.rooms[:2], NOWHERE]})


def _pictures(browser: Browser, env: dict[str, str], width: int, folder: Path) -> None:
    for scheme in ("light", "dark"):
        context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)  # type: ignore[arg-type]
        page = context.new_page()
        page.goto(env["PUBLIC_URL"])
        page.get_by_role("heading", name="Sign in").wait_for()
        page.screenshot(path=folder / f"sign-in-{width}-{scheme}.png")
        with_key(page, env)
        for name, (path, sign) in VIEWS.items():
            _shown(page, env["PUBLIC_URL"], name, path, sign)
            page.screenshot(path=folder / f"{name}-{width}-{scheme}.png", full_page=True)
        context.close()


def _shown(page: Page, base: str, name: str, path: str, sign: str) -> None:
    page.goto(f"{base}/{path}")
    found = page.get_by_role("heading", name="you").first if name == "home" else page.get_by_text(sign).first
    found.wait_for()
    if name in ("invite", "onboarding-failed", "onboarding-held", "person", "room"):
        page.get_by_role("link", name=sign).click()
        page.get_by_role("heading", name=sign).first.wait_for()
    if name == "job":
        page.get_by_role("link", name=sign).click()
        page.get_by_role("heading", name="Failed").wait_for()
    if name == "people-bulk":
        page.get_by_role("button", name="Act on all").click()
        page.get_by_role("button", name="See what would happen").click()
        page.get_by_role("heading", name="would be").wait_for()
        page.get_by_text("left out").click()
    if name == "person":
        page.get_by_role("link", name="bea", exact=True).click()
        page.get_by_role("log").wait_for()
        page.get_by_role("heading", name="Leaving").wait_for()
    if name.startswith("person-new"):
        page.get_by_label("What they wrote", exact=True).fill(SIX.replace("hiking", "books"))
        page.get_by_role("button", name="Fill in the form").click()
        page.get_by_role("list", name="Rooms that suit").get_by_role("button").first.wait_for()
    if name == "person-new-suggested":
        page.get_by_role("button", name="Suggest a line and rooms").click()
        page.get_by_text("Look the line through").wait_for()
    page.wait_for_timeout(700)  # what comes in by itself: counts, the QR code, the self-check


if __name__ == "__main__":
    main(Path(sys.argv[1]))
