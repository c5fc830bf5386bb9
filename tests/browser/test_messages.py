"""Messages as a person writes them: who gets it and how it looks beforehand, how far it is, and what did not arrive."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from local.stack import Stack
from tests.browser.conftest import NASTY, WIDTHS, Open, looked_at, until, with_key
from tests.browser.test_page import api

pytestmark = pytest.mark.timeout(150)
both = pytest.mark.parametrize("width", WIDTHS)
GUESTS = 11
TEXT = f"Dear **{{display_name}}**,\n\nthe party is on *Sunday* {NASTY}"


@pytest.fixture(scope="module")
def people(stack: Stack) -> None:
    """More than can be written to without their number being typed."""
    for number in range(GUESTS):
        body = {"first_name": f"Guest{number}", "username": f"guest{number}", "send_welcome": False}
        api(stack.env, "POST", "/api/users", json=body | {"skip_indoc_removal": True})


def entered(open_page: Open, stack: Stack, width: int, path: str, **more: Any) -> Page:
    page = open_page(width, path, **more)
    with_key(page, stack.env)
    return page


@both
def test_from_a_search_to_everybody_who_has_it(open_page: Open, stack: Stack, width: int, tmp_path: Path) -> None:
    """Whom a search has found is written to: seen as they will see it, with their number typed; what was written outlives
    a reload, and the report is a file."""
    page = entered(open_page, stack, width, "#/people?q=guest", expected="409")
    expect(page.get_by_text(f"{GUESTS} people found")).to_be_visible()
    page.get_by_role("link", name="Write to them").click()
    expect(page.get_by_label("Found by")).to_have_value("guest")
    expect(page.get_by_text("Write something: then you see here")).to_be_visible()
    page.get_by_label("What it says").fill(TEXT)
    expect(page.get_by_role("heading", name=f"It goes to {GUESTS} people")).to_be_visible()
    bubble = page.locator(".bubble")
    expect(bubble.locator("strong")).to_have_text("Guest0")
    expect(bubble).to_contain_text("the party is on Sunday")
    expect(bubble.locator("img")).to_have_count(0)
    looked_at(page)
    page.reload()
    with_key(page, stack.env)
    expect(page.get_by_label("What it says")).to_have_value(TEXT)
    send = page.get_by_role("button", name=f"Send to {GUESTS} people")
    expect(send).to_be_disabled()
    page.get_by_label("The number, typed").fill(str(GUESTS))
    page.route("**/api/messages", moved, times=1)
    send.click()
    expect(page.get_by_text("It would go to 12 now, not to 11.")).to_be_visible()
    page.get_by_label("The number, typed").fill(str(GUESTS))
    send.click()
    expect(page.get_by_role("heading", name="To people found by “guest”")).to_be_visible()
    expect(page.get_by_text("Sent", exact=True).first).to_be_visible()
    expect(page.get_by_text(f"{GUESTS} got it, of {GUESTS} recipients.")).to_be_visible()
    page.get_by_text(f"Got it: {GUESTS}").click()
    expect(page.get_by_role("link", name="Guest0", exact=True)).to_be_visible()
    looked_at(page)
    with page.expect_download() as saved:
        page.get_by_role("button", name="Download the report as CSV").click()
    saved.value.save_as(tmp_path / "report.csv")
    assert (tmp_path / "report.csv").read_text("utf-8-sig").count(",got,") == GUESTS
    page.get_by_role("link", name="All messages").click()
    expect(page.get_by_role("link", name="To people found by “guest”").first).to_be_visible()
    looked_at(page)
    page.get_by_role("link", name="Write a message").click()
    expect(page.get_by_label("What it says")).to_have_value("")


def moved(route: Route) -> None:
    """Somebody has come in meanwhile."""
    if route.request.method != "POST":
        return route.fallback()
    body = {"detail": "it would go to 12 now, not to 11", "fix": 'Look at them again; send "expected": 12.'}
    return route.fulfill(status=409, content_type="application/problem+json", body=json.dumps(body))


@both
def test_what_cannot_go_out(open_page: Open, stack: Stack, width: int) -> None:
    """A room in which the bot may not write is named with the fix; a word that nothing is known for is marked where it
    was written; nobody chosen yet is said in words."""
    page = entered(open_page, stack, width, "#/messages/new", expected="400")
    page.get_by_label("Who gets it").select_option("rooms")
    expect(page.get_by_text("Choose who gets it")).to_be_visible()
    page.get_by_role("checkbox", name="Games").check()
    page.get_by_label("What it says").fill("Dear {nobody}")
    expect(page.get_by_role("heading", name="It cannot go out like this")).to_be_visible()
    expect(page.locator('[data-field="text"] .wrong')).to_contain_text("{nobody}")
    expect(page.get_by_label("What it says")).to_be_focused()
    looked_at(page)
    page.get_by_label("What it says").fill("The kitchen is open.")
    expect(page.get_by_role("heading", name="It goes to 1 room")).to_be_visible()
    page.get_by_role("button", name="Send to 1 room").click()
    expect(page.get_by_text("1 got it, of 1 recipient.")).to_be_visible()
    found = api(stack.env, "GET", "/api/messages")["items"][0]
    until(lambda: api(stack.env, "GET", f"/api/messages/{found['id']}")["state"] == "done")


STOPPED: dict[str, Any] = {
    "id": "msg_1",
    "job": "job_1",
    "state": "stopped",
    "text": "The party is on Sunday.",
    "template": "",
    "notice": "You get this as a member.",
    "to": {"way": "users"},
    "about": "everybody with an account",
    "people": 40,
    "counts": {"got": 6, "failed": 14, "waiting": 19, "open": 0, "skipped": 1},
    "stopped_why": "14 of 20 tries failed; most often: the homeserver refused: you are not welcome",
    "actor": "user:max",
    "created_at": "2026-11-21T12:00:00Z",
    "changed_at": "2026-11-21T12:01:00Z",
    "finished_at": None,
    "over": False,
}


class Told:
    """The API of one message that has stopped, and goes on when it is told to."""

    def __init__(self) -> None:
        self.message, self.asked = dict(STOPPED), list[str]()

    def __call__(self, route: Route) -> None:
        path = route.request.url.partition("/api/messages/msg_1")[2]
        if route.request.method == "POST":
            self.asked.append(path)
            self.message |= {"state": {"/resume": "running", "/pause": "paused"}.get(path, "cancelled")}
            answer: Any = {"message": self.message, "job": {"id": "job_1"}}
            return route.fulfill(status=202, content_type="application/json", body=json.dumps(answer))
        answer = self.items(path) if path.startswith("/items") else self.message
        return route.fulfill(content_type="application/json", body=json.dumps(answer))

    def items(self, path: str) -> dict[str, Any]:
        group = path.partition("state=")[2].partition("&")[0]
        made = [self.item(number, group) for number in range(self.message["counts"][group])]
        return {"items": made, "next_cursor": None, "total": len(made)}

    def item(self, number: int, group: str) -> dict[str, Any]:
        why = "they blocked the bot" if number == 13 else f"the homeserver refused: @m{number}:x.test is not welcome"
        about = {"failed": (why, "Ask its admin."), "waiting": ("it has stopped", "Resume it.")}.get(group, ("", ""))
        return {
            "step": f"to:{number:05}",
            "state": group,
            "name": f"Member {number} {NASTY}",
            "username": f"m{number}",
            "pk": number + 1,
            "matrix_id": f"@m{number}:x.test",
            "room": "",
            "at": "2026-11-21T12:00:30Z",
            "next_at": None,
            "waits_for": "paused" if group == "waiting" else "",
            "cause": about[0],
            "fix": about[1],
            "attempts": 1,
            "event_id": "",
            "room_id": "",
            "template": "",
            "readable": "readable on 2 devices, 12:00 UTC",
        }


@both
def test_one_that_has_stopped(open_page: Open, stack: Stack, width: int) -> None:
    """Why it has stopped, and who did not get it, come first, by cause with the fix; it is resumed, paused, and cancelled
    by two presses that say how many have it already."""
    page = entered(open_page, stack, width, "#/more")
    told = Told()
    page.route("**/api/messages/msg_1**", told)
    page.evaluate("location.hash = '#/messages/msg_1'")
    expect(page.get_by_text("It has stopped by itself:")).to_be_visible()
    expect(page.get_by_text("14 of 20 tries failed")).to_be_visible()
    expect(page.get_by_role("heading", name="14 did not get it")).to_be_visible()
    expect(page.get_by_text("13 people:")).to_be_visible()
    expect(page.get_by_text("1 person:")).to_be_visible()
    expect(page.get_by_role("link", name=f"Member 13 {NASTY}")).to_be_visible()
    page.get_by_text("Waited for: 19").click()
    expect(page.get_by_text("waits for the message to be resumed").first).to_be_visible()
    looked_at(page)
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("button", name="Pause")).to_be_focused()
    expect(page.get_by_text("Going out", exact=True)).to_be_visible()
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("Nobody else gets it until you resume it.")).to_be_visible()
    page.get_by_role("button", name="Cancel…").click()
    page.get_by_role("button", name="Yes: nobody else gets it (6 have it already)").click()
    expect(page.get_by_text("Who is still to come is being left out.")).to_be_visible()
    assert told.asked == ["/resume", "/pause", "/cancel"]
    looked_at(page)
