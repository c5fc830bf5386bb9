"""People found, acted upon together and exported; jobs followed item by item: on a phone and at a desk."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, Route, expect

from local.stack import Stack
from tests.browser.conftest import NASTY, NOWHERE, WIDTHS, Open, People, looked_at, until, with_key
from tests.browser.test_page import api

pytestmark = pytest.mark.timeout(120)
both = pytest.mark.parametrize("width", WIDTHS)
GUESTS = 12
HEAR = """() => {
    window.heard = [];
    const texts = (changes) => changes.flatMap((change) => [...change.addedNodes].map((node) => node.textContent));
    new MutationObserver((changes) => heard.push(...texts(changes))).observe(document.getElementById("line"), {childList: true});
}"""
"""What the page says stands for six seconds, which may be over before a busy machine looks."""


@pytest.fixture(scope="module")
def guests(stack: Stack, people: People) -> None:
    """More than may be deactivated without their number being typed."""
    for number in range(GUESTS):
        body = {"first_name": f"Guest{number}", "username": f"guest{number}", "email": f"g{number}@example.org"}
        api(stack.env, "POST", "/api/users", json=body)


def drawn(page: Page) -> int:
    return page.locator(".view-people .list > li").count()


@both
@pytest.mark.usefixtures("guests")
def test_one_act_on_all_who_are_found(open_page: Open, stack: Stack, width: int) -> None:
    """Found as somebody types, looked at beforehand, done as one job that is followed to its end; a search that somebody
    comes back to is still there. At a desk all are deactivated, which asks for their number; on a phone activated."""
    page = open_page(width, "#/people")
    with_key(page, stack.env)
    expect(page.get_by_role("link", name=f"{NASTY} Ada")).to_be_visible()
    looked_at(page)
    page.get_by_label("Search people").fill("guest")
    expect(page.get_by_text(f"{GUESTS} people found")).to_be_visible()
    page.get_by_role("link", name="Active" if width == 1280 else "Deactivated", exact=True).click()
    expect(page.get_by_text(f"{GUESTS} people found")).to_be_visible()
    assert page.url.endswith(f"#/people?q=guest&active={'true' if width == 1280 else 'false'}")

    page.get_by_role("button", name="Act on all").click()
    expect(page.get_by_role("heading", name=f"Do something with all {GUESTS} people")).to_be_focused()
    act = "deactivate" if width == 1280 else "activate"
    page.get_by_label("What to do").select_option(act)
    page.get_by_role("button", name="See what would happen").click()
    expect(page.get_by_role("heading", name=f"{GUESTS} people would be {act}d")).to_be_focused()
    looked_at(page)
    go_on = page.get_by_role("button", name=f"Yes: {act} {GUESTS} people")
    if width == 1280:
        go_on.click()
        expect(page.get_by_label(f"Type {GUESTS} to go on")).to_be_focused()
        page.get_by_label(f"Type {GUESTS} to go on").fill(str(GUESTS))
    go_on.dblclick()
    expect(page.get_by_role("heading", name=f"{act.title()} {GUESTS} people")).to_be_visible()
    expect(page.get_by_role("heading", name=f"Succeeded: {GUESTS}")).to_be_visible()
    expect(page.get_by_text(f"{GUESTS} done, of {GUESTS}.")).to_be_visible()
    expect(page.locator(".chip.is-done")).to_be_visible()
    looked_at(page)
    asked = api(stack.env, "GET", "/api/audit?limit=200")["items"]
    assert len([each for each in asked if each["action"] == f"users.{act}"]) == 1
    page.go_back()
    expect(page.get_by_label("Search people")).to_have_value("guest")
    expect(page.get_by_text("Nobody is found by that")).to_be_visible()
    page.get_by_role("link", name="Everybody").click()
    expect(page.get_by_text(f"{GUESTS} people found")).to_be_visible()


@pytest.mark.usefixtures("guests")
def test_who_is_left_out_and_who_has_come_since(open_page: Open, stack: Stack) -> None:
    """Admins and systems are left out with the reason; where more are found by now nothing is done, and what was chosen
    is still there."""
    page = open_page(360, "#/people", expected="409")
    with_key(page, stack.env)
    page.get_by_role("button", name="Act on all").click()
    page.get_by_label("What to do").select_option("add_group")
    page.get_by_label("Which group").fill("nobody has made it")
    page.get_by_role("button", name="Never mind").click()
    page.get_by_role("button", name="Act on all").click()
    expect(page.get_by_label("Which group")).to_have_value("nobody has made it")
    page.get_by_label("What to do").select_option("onboard")
    page.get_by_role("button", name="See what would happen").click()
    page.get_by_text("left out").click()
    expect(page.get_by_role("listitem").filter(has_text="Sample Admin: is an admin")).to_be_visible()
    expect(page.get_by_role("listitem").filter(has_text="muster: is a superuser")).to_be_visible()
    looked_at(page)
    more = {"detail": "these are 99 people now, not 90", "fix": "Look at them again."}
    page.route(
        re.compile("/api/users/bulk$"),
        lambda route: route.fulfill(status=409, json=more, content_type="application/problem+json"),
    )
    page.get_by_role("button", name="Yes:").click()
    expect(page.get_by_role("alert")).to_contain_text("These are 99 people now")
    expect(page.get_by_label("What to do")).to_have_value("onboard")


@both
def test_a_job_that_failed_in_part(open_page: Open, stack: Stack, people: People, width: int) -> None:
    """What succeeded comes first, then what failed, by name with cause and fix; it is tried again in place."""
    body = {"matrix_id": f"@walter{width}:{stack.env['MATRIX_DOMAIN']}", "rooms": [people.rooms[0], NOWHERE]}
    api(stack.env, "POST", "/api/rooms/invite", json=body)
    page = open_page(width, "#/jobs")
    with_key(page, stack.env)
    expect(page.get_by_role("link", name="Something failed")).to_be_visible()
    looked_at(page)
    page.get_by_role("link", name=f"Invite @walter{width}").click()
    expect(page.get_by_role("heading", name="Succeeded: 1")).to_be_visible()
    expect(page.get_by_role("heading", name="Failed: 1")).to_be_visible()
    failed = page.get_by_role("listitem").filter(has_text="the bot is not in the room")
    expect(failed).to_contain_text("How to fix")
    expect(page.get_by_text("1 done, 1 failed, of 2.")).to_be_visible()
    looked_at(page)
    page.evaluate(HEAR)
    for control in (
        failed.get_by_role("button", name="Retry this one"),
        page.get_by_role("button", name="Retry what failed"),
    ):
        with page.expect_response("**/retry") as answer:
            control.click()
        assert answer.value.status == 200
        assert "failed" not in [item["state"] for item in answer.value.json()["items"]]
        until(lambda: page.evaluate("heard.splice(0)").count("Begun again: what is done stays done.") == 1)
        expect(page.get_by_role("button", name="Retry what failed")).to_be_visible()


def test_thousands_in_a_job(open_page: Open, stack: Stack) -> None:
    """Of a job with 2,000 people the first of each kind are drawn, more when asked; it moves while it is looked at."""
    page = open_page(360, "#/jobs/job_x", expected="Failed to load resource")
    looks: list[str] = []
    job = {"id": "job_x", "kind": "bulk", "matrix_id": "", "reason": "deactivate 2000 people", "actor": "user:ada"}
    job |= {"part_of": "", "created_at": "2026-01-01T00:00:00Z", "finished_at": None, "message": "", "notes": []}

    def person(number: int, state: str) -> dict[str, Any]:
        cause = {"cause": "Authentik does not take it", "fix": "Look at them there"} if state == "failed" else {}
        who = {"pk": number + 1, "name": f"Person {number}", "username": f"p{number}", "kind": "deactivate", "step": ""}
        return who | {"cause": "", "fix": "", "matrix_id": "", "room": "", "result": {}, "state": state} | cause

    def at(state: str, counts: dict[str, int]) -> dict[str, Any]:
        items = [person(number, "done") for number in range(100)]
        return job | {"state": state, "counts": counts, "total": 2000, "items": items}

    begun = at("running", {"done": 500, "failed": 300, "pending": 1200})
    ended = at("failed", {"done": 1700, "failed": 300})

    def follow(route: Route) -> None:
        """One that ends too early, one that does not come, and one that is followed to the end of the job."""
        looks.append(route.request.url)
        if len(looks) == 2:
            route.abort()
            return
        found, last = (begun, "") if len(looks) == 1 else (ended, "event: end\ndata: {}\n\n")
        body = f"id: {len(looks)}\nevent: job\ndata: {json.dumps(found)}\n\n{last}"
        route.fulfill(body=body, content_type="text/event-stream")

    def pages(route: Route) -> None:
        query = parse_qs(urlsplit(route.request.url).query)
        start, limit, state = int(query.get("cursor", ["0"])[0]), int(query["limit"][0]), query["state"][0]
        total = {"failed": 300, "done": 500 if len(looks) < 3 else 1700}[state]
        items = [person(number, state) for number in range(start, min(total, start + limit))]
        following = str(start + limit) if start + limit < total else None
        route.fulfill(json={"items": items, "next_cursor": following, "total": total})

    page.route("**/api/jobs/job_x", lambda route: route.fulfill(json=begun))
    page.route("**/api/jobs/job_x/events", follow)
    page.route("**/api/jobs/job_x/items?*", pages)
    with_key(page, stack.env)
    expect(page.get_by_text("500 done, 300 failed, 1,200 to come, of 2,000.")).to_be_visible()
    expect(page.get_by_role("alert")).to_contain_text("Muster cannot be reached")  # survived, and looked again
    expect(page.get_by_role("heading", name="Succeeded: 1,700")).to_be_visible()
    expect(page.get_by_role("alert")).to_be_hidden()
    failed = page.locator(".is-failed .rows > li")
    assert (page.locator(".is-done .names > li").count(), failed.count()) == (40, 40)
    looked_at(page)
    page.locator(".group.is-failed").get_by_role("button", name="Show more").click()
    expect(failed).to_have_count(240)


@pytest.mark.parametrize("total", [0, 1, 10_000])
def test_a_list_of_any_length(open_page: Open, stack: Stack, total: int) -> None:
    """Nobody, one, ten thousand: a page at a time; a late answer to an earlier search is dropped; a fault is survived."""
    page = open_page(360, "#/people", expected="Failed to load resource")
    late: list[Route] = []

    def listed(route: Route) -> None:
        query = parse_qs(urlsplit(route.request.url).query)
        if query.get("q") == ["slow"]:
            late.append(route)
            return
        start, limit = int(query.get("cursor", ["0"])[0]), int(query["limit"][0])
        about = {"groups": ["crew"], "active": True, "matrix_id": "", "email": "", "onboarding": ""}
        items = [
            {"pk": n + 1, "name": f"Person {n}", "username": f"p{n}", **about}
            for n in range(start, min(start + limit, total))
        ]
        following = str(start + limit) if start + limit < total else None
        age = {"synced_at": "2026-01-01T00:00:00Z", "age_seconds": 9}
        route.fulfill(json={"items": items, "next_cursor": following, "total": total, **age})

    page.route("**/api/users?*", listed)
    with_key(page, stack.env)
    expect(
        page.get_by_text("Nobody has an account yet" if not total else f"{min(total, 50)} of {total:,} p")
    ).to_be_visible()
    looked_at(page)
    if total < 2:
        assert page.get_by_role("button", name="Act on all").is_disabled() is (total == 0)
        return
    page.get_by_role("button", name="Show more").click()
    expect(page.get_by_text("100 of 10,000 people.")).to_be_visible()
    assert drawn(page) == 100
    with page.expect_request("**/api/users?q=slow*"):
        page.get_by_label("Search people").fill("slow")
    page.get_by_label("Search people").fill("fast")
    expect(page.get_by_text("10,000 people found")).to_be_visible()
    for route in late:
        route.abort()
    expect(page.get_by_role("alert")).to_be_hidden()
    page.unroute("**/api/users?*")
    page.route("**/api/users?*", lambda route: route.abort())
    page.get_by_role("link", name="Deactivated").click()
    expect(page.get_by_role("alert")).to_contain_text("Muster cannot be reached")
    page.unroute("**/api/users?*")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_text("Nobody is found by that")).to_be_visible()


@pytest.mark.usefixtures("guests")
def test_a_file_of_those_who_are_found(open_page: Open, stack: Stack, tmp_path: Path) -> None:
    """The CSV has whom the filter finds, a name with its date, and goes without a token in any address; a file that cannot
    be had is told."""
    page = open_page(360, "#/people?q=guest1", expected="Failed to load resource")
    with_key(page, stack.env)
    expect(page.get_by_text("people found")).to_be_visible()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    with page.expect_download() as coming:
        page.get_by_role("button", name="Download as CSV").click()
    coming.value.save_as(tmp_path / "people.csv")
    rows = (tmp_path / "people.csv").read_text(encoding="utf-8-sig").splitlines()
    assert re.fullmatch(r"people-\d{4}-\d\d-\d\d\.csv", coming.value.suggested_filename)
    assert len(rows) == 1 + len([n for n in range(GUESTS) if str(n).startswith("1")])
    assert not [url for url in asked if stack.env["ADMIN_API_KEY"] in url]
    page.route("**/api/export/**", lambda route: route.abort())
    page.get_by_role("button", name="Download as CSV").click()
    expect(page.get_by_role("alert")).to_contain_text("Muster cannot be reached")
