"""What moves while somebody looks: an onboarding by events, and a sign-in that comes to its end."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import pytest
from playwright.sync_api import Page, Request, Route, expect

from local.stack import Stack
from tests.browser.conftest import Open, People, looked_at, until, with_authentik, with_key
from tests.browser.test_page import STORED, api, aside, both

pytestmark = pytest.mark.timeout(120)
PARSED = """async ([text, cuts]) => {
    const { parser } = await import("/events.js");
    const found = cuts.map((cut) => {
        const events = [], parse = parser((each) => events.push(each));
        for (let at = 0; at < text.length; at += cut) parse(text.slice(at, at + cut));
        return JSON.stringify(events);
    });
    return [...new Set(found)].map(JSON.parse);
}"""
STREAM = (
    ': a comment\n\nid: 1\nevent: job\ndata: {"a":\ndata: "b: c"}\n\nevent:no data\n\r\ndata\r\n\r\n'
    "id: 2\rdata:two\rretry: 5\r\rdata: ünd\nid: x\0y\n\ndata: cut off"
)
HIDE = """hidden => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
    document.dispatchEvent(new Event("visibilitychange"));
}"""


def test_a_stream_is_read_however_it_is_cut(open_page: Open, stack: Stack) -> None:
    """Comments, data of many lines, all three line ends and unfinished events are read alike at every cut."""
    page = open_page(360)
    [events] = page.evaluate(PARSED, [STREAM, [1, 2, 3, 5, 7, 11, 1000]])
    assert events == [
        {"event": "job", "id": "1", "data": '{"a":\n"b: c"}'},
        {"event": "message", "data": ""},
        {"event": "message", "id": "2", "data": "two"},
        {"event": "message", "data": "ünd"},
    ]


class Watched:
    """Requests for streams, and for the thing itself."""

    def __init__(self, page: Page) -> None:
        self.streams: list[Request] = []
        self.polls: list[Request] = []
        self.broken: list[Request] = []
        page.on("request", self._asked)
        page.on("requestfailed", lambda request: self.broken.append(request) if "/events" in request.url else None)

    def _asked(self, request: Request) -> None:
        if request.url.endswith("/events"):
            self.streams.append(request)
        elif re.search(r"/api/(onboardings|jobs)/\w+$", request.url) and request.method == "GET":
            self.polls.append(request)


def enrolled(stack: Stack, people: People, name: str, rooms: int = 2) -> None:
    made = api(stack.env, "POST", "/api/invites", json={"label": name, "rooms": people.rooms[:rooms]})
    aside(lambda: asyncio.run(people.enroll(made["link"], name.lower())))


@both
def test_following_by_events(open_page: Open, stack: Stack, people: People, width: int) -> None:
    """Steps end before one's eyes by one stream, without a poll; hidden, the tab lets it go, and shown again reads on from
    where it was; no token is in an address."""
    name = f"Wanda{width}"
    enrolled(stack, people, name)
    page = open_page(width, "#/onboardings", expected="net::ERR_ABORTED")
    watched = Watched(page)
    with_key(page, stack.env)
    page.get_by_role("link", name=name).click()
    expect(page.get_by_role("listitem").filter(has_text="Direct room and hello")).to_contain_text("Done.")
    expect(page.get_by_role("listitem").filter(has_text="Out of INDOC")).to_contain_text("Waits:")
    looked_at(page)
    assert (len(watched.streams), len(watched.polls)) == (1, 1)
    assert "authorization" in watched.streams[0].all_headers()
    assert "?" not in watched.streams[0].url
    page.evaluate(HIDE, True)
    until(lambda: page.evaluate("1") and len(watched.broken) == 1)
    step = [key for key in api(stack.env, "GET", path_of(watched))["steps"] if key == "indoc_removal"]
    api(stack.env, "POST", f"{path_of(watched)}/skip", json={"step": step[0], "reason": "stays for now"})
    assert len(watched.streams) == 1
    page.evaluate(HIDE, False)
    expect(page.get_by_text("Skipped: stays for now.")).to_be_visible()
    assert watched.streams[1].all_headers()["last-event-id"]
    assert len(watched.polls) == 1


def path_of(watched: Watched) -> str:
    return "/api/" + watched.streams[0].url.split("/api/")[1].removesuffix("/events")


NO_STREAM: dict[str, dict[str, Any]] = {
    "no place": {"status": 503, "json": {"detail": "too many follow"}, "headers": {"Retry-After": "30"}},
    "no stream": {"status": 200, "body": "<html>", "content_type": "text/html"},
    "broken": {"status": 200, "body": ": hello\n\n", "content_type": "text/event-stream"},
}


@pytest.mark.parametrize("why", NO_STREAM)
def test_without_streams(open_page: Open, stack: Stack, why: str) -> None:
    """Where no stream comes through (no place, another answer, three breaks) the page asks instead, and moves all the same."""
    page = open_page(360, "#/onboardings?state=waiting", expected="Failed to load resource")
    page.clock.install()
    page.route("**/events", lambda route: route.fulfill(**NO_STREAM[why]))
    watched = Watched(page)
    with_key(page, stack.env)
    page.get_by_role("link", name="Ada").click()
    expect(page.get_by_role("button", name="Skip…").first).to_be_visible()
    until(lambda: page.clock.run_for(1000) is None and len(watched.polls) >= 3)
    assert len(watched.streams) == (3 if why == "broken" else 1)
    page.route(re.compile(r"/api/onboardings/\w+$"), lambda route: route.abort())
    until(lambda: page.clock.run_for(1000) is None and page.get_by_role("alert").count() == 1)
    expect(page.get_by_role("alert")).to_contain_text("Muster cannot be reached")
    page.unroute(re.compile(r"/api/onboardings/\w+$"))
    until(lambda: page.clock.run_for(1000) is None and page.get_by_role("alert").count() == 0)


class Zoe:
    """An onboarding that is what a test says: each change comes by the next event."""

    def __init__(self, page: Page, **steps: dict[str, Any]) -> None:
        self.page, self.steps = page, steps
        page.route("**/api/onboardings/ob_z", lambda route: route.fulfill(json=self.found()))
        page.route("**/api/onboardings/ob_z/events", self._stream)

    def found(self) -> dict[str, Any]:
        at = "2026-01-01T00:00:00Z"
        empty = dict.fromkeys(["cause", "fix", "detail", "room", "waits_for"], "")
        usual = empty | {"attempts": 1, "next_at": None, "result": {}, "updated_at": at}
        member = {"pk": 7, "username": "zoe", "name": "Zoe", "matrix_id": "@zoe:muster.test", "has_logged_in": True}
        about = {"id": "ob_z", "state": "running", "source": "api", "hold": "", "hold_reason": "", "invite": ""}
        more = {"member": member, "created_at": at, "finished_at": None, "replies": []}
        return about | more | {"steps": {name: usual | step for name, step in self.steps.items()}}

    def _stream(self, route: Route) -> None:
        body = f"event: onboarding\ndata: {json.dumps(self.found())}\n\n"
        route.fulfill(body=body, content_type="text/event-stream")

    def becomes(self, name: str, **change: Any) -> None:
        self.steps[name] = self.steps[name] | change
        self.page.clock.run_for(4000)


@both
def test_what_is_typed_stays_while_it_moves(open_page: Open, stack: Stack, width: int) -> None:
    """By keyboard alone: a reason for skipping stays, with the focus, while its step is drawn anew, and so does a refusal; the next
    try is counted down; who waits to be named is not retried; what can no longer be done leads back to its heading."""
    page = open_page(width, "#/nowhere", expected="409")
    page.clock.install(time="2026-01-01T00:00:00Z")
    failed = {
        "state": "failed",
        "cause": "the bot is not in the room",
        "fix": "Invite the bot.",
        "room": "!r:muster.test",
    }
    later = {"state": "scheduled", "next_at": "2026-01-01T00:05:00Z", "cause": "Matrix limits the bot"}
    unnamed = {"state": "waiting", "waits_for": "person", "cause": "nobody has said which Matrix id is theirs"}
    zoe = Zoe(page, **{"room:x": failed, "hello": later, "welcome": failed, "groups": unnamed})
    refusal = {"detail": "somebody else is at it", "fix": "Try again in a moment."}
    page.route(re.compile("/(skip|retry)$"), lambda route: route.fulfill(status=409, json=refusal))
    with_key(page, stack.env)
    page.goto(f"{stack.env['PUBLIC_URL']}/#/onboardings/ob_z")
    step = page.get_by_role("listitem").filter(has_text="Invite to")
    expect(step).to_contain_text("Attempt 1")
    expect(page.get_by_role("listitem").filter(has_text="Direct room")).to_contain_text("Next try in 5 minutes")
    expect(page.get_by_role("listitem").filter(has_text="Groups").get_by_role("button")).to_have_text(["Skip…"])
    expect(step.get_by_role("button")).to_have_text(["Retry this step", "Retry from here", "Skip…"])
    looked_at(page)

    step.get_by_role("button", name="Skip…").focus()
    page.keyboard.press("Enter")
    page.keyboard.type("that room is gone")
    zoe.becomes("room:x", attempts=2)
    expect(step).to_contain_text("Attempt 2")
    expect(page.get_by_label("Why")).to_be_focused()
    expect(page.get_by_label("Why")).to_have_value("that room is gone")
    page.keyboard.press("Enter")
    expect(step.get_by_role("alert")).to_contain_text("Somebody else is at it")
    zoe.becomes("room:x", attempts=3)
    expect(step).to_contain_text("Attempt 3")
    expect(step.get_by_role("alert")).to_contain_text("Somebody else is at it")
    expect(page.get_by_label("Why")).to_have_value("that room is gone")
    looked_at(page)
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(step.get_by_role("button", name="Skip…")).to_be_focused()
    step.get_by_role("button", name="Retry from here").click()
    expect(step.get_by_role("alert")).to_contain_text("Somebody else is at it")
    zoe.becomes("room:x", state="done", cause="", fix="")
    expect(step.get_by_role("heading")).to_be_focused()
    page.clock.fast_forward(300_000)
    expect(page.get_by_role("listitem").filter(has_text="Direct room")).to_contain_text("Next try any moment")


# ------------------------------------------------------------------ a sign-in that lasts, and ends


def test_a_day_and_no_longer(open_page: Open, stack: Stack) -> None:
    """An access token is renewed before its end, each time by the refresh token that the last renewal brought; after a day the
    page asks for a new sign-in, the refresh token is revoked, and what was typed is there afterwards."""
    page = open_page(360, "#/invites/new")
    page.clock.install()
    page.reload()
    with_authentik(page, stack.env)
    sent: list[str] = []
    page.on("request", lambda request: sent.append(f"{request.url} {request.post_data or ''}"))
    page.get_by_label("Label").fill("Half typed")
    for times, view in enumerate(("#/onboardings", "#/invites"), 1):
        page.clock.fast_forward("09:20")
        page.evaluate("view => { location.hash = view; }", view)
        until(lambda times=times: page.evaluate("1") and len(refreshed(sent)) == times)  # type: ignore[misc]
    assert len(set(refreshed(sent))) == 2
    expect(page.get_by_role("heading", name="Invites", exact=True)).to_be_visible()
    page.evaluate("location.hash = '#/invites/new'")
    expect(page.get_by_label("Label")).to_have_value("Half typed")

    page.clock.fast_forward("23:42:00")
    expect(page.get_by_text("You were signed in for a day.")).to_be_visible()
    looked_at(page)
    until(lambda: page.evaluate("1") and len([each for each in sent if "/revoke/" in each]) == 1)
    assert "signed-in-since" not in page.evaluate(STORED)
    page.get_by_role("button", name="Sign in with Authentik").click()
    expect(page.get_by_label("Label")).to_have_value("Half typed")


def refreshed(sent: list[str]) -> list[str]:
    return [match[1] for each in sent if (match := re.search(r"refresh_token=([\w-]+)", each)) and "/token/" in each]


def test_what_authentik_may_answer(open_page: Open, stack: Stack) -> None:
    """Each way in which a sign-in fails is said with what to do about it, and the address is clean again; that nobody is signed in
    there is no failure of a reload; and no return leads out of the page."""
    page = open_page(360, expected="Failed to load resource")
    begin = """prompt => sessionStorage.setItem("muster.sign-in", JSON.stringify(
        {state: "s", verifier: "v", back: "https://elsewhere.example/", prompt}))"""
    for query, words in (
        ("error=invalid_scope", "scope mappings openid, profile, offline_access"),
        ("error=access_denied", "whether you are in the admin group"),
        ("error=invalid_request", f"redirect URI must be exactly {stack.env['PUBLIC_URL']}/"),
        ("error=unauthorized_client", "Set its client type to public"),
        ("error=odd&error_description=%3Cimg src=x onerror=alert(1)%3E", "<img src=x onerror=alert(1)>"),
        ("code=used", "It lives for a minute and counts once"),
    ):
        page.evaluate(begin, "")
        page.goto(f"{stack.env['PUBLIC_URL']}/?{query}&state=s")
        expect(page.get_by_role("alert")).to_contain_text(words)
        assert (page.url, page.evaluate(STORED)) == (f"{stack.env['PUBLIC_URL']}/#/", "[{},{}]")
    page.evaluate(begin, "none")
    page.goto(f"{stack.env['PUBLIC_URL']}/?error=login_required&state=s")
    expect(page.get_by_role("button", name="Sign in with Authentik")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)
    # Authentik answers pages of the provider's redirect URIs only, and this is another place.
    page.goto(stack.env["PUBLIC_URL"].replace("127.0.0.1", "other.localhost"))
    page.get_by_role("button", name="Sign in with Authentik").click()
    expect(page.get_by_text("redirect URI must be exactly http://other.localhost")).to_be_visible()
    looked_at(page)
