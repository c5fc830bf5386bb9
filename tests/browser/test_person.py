"""Somebody is made, looked at, changed and leaves, as an admin does it on the page; and what an introduction says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, Request, Route, expect

from local.stack import Stack
from tests.browser.conftest import Open, looked_at, with_key
from tests.browser.introductions import SAMPLES, SIX
from tests.browser.test_page import STORED, api, both
from tests.contracts.assistant_server import AssistantServer, serving, settings_for
from tests.contracts.mail_server import PASSWORD, SENDER, USERNAME, MailServer, mail_server

pytestmark = pytest.mark.timeout(120)
PARSED = """async (texts) => { const { parse } = await import("/introduction.js"); return texts.map((text) => parse(text)); }"""
JOB = {"job": {"id": "job_1"}}
PROVOKED = "Failed to load resource"
"""What the browser says of the failures that a test provokes."""


def words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


def posted(page: Page, path: str) -> list[Request]:
    """The POSTs to this path that the page sends from now on."""
    found: list[Request] = []

    def told(request: Request) -> None:
        if request.method == "POST" and request.url.endswith(path):
            found.append(request)

    page.on("request", told)
    return found


@pytest.fixture(scope="module")
def assistant() -> Iterator[AssistantServer]:
    with serving() as made:
        yield made


@pytest.fixture(scope="module")
def postbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailServer]:
    """The mail server of this file's stack."""
    with mail_server(tmp_path_factory.mktemp("mail")) as running:
        yield running


@pytest.fixture(scope="module")
def more_settings(assistant: AssistantServer, postbox: MailServer) -> dict[str, str]:
    """With an assistant, which nobody has to ask, and a mail server."""
    host = {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(postbox.port), "SMTP_CA_BUNDLE": str(postbox.ca)}
    login = {"SMTP_USERNAME": USERNAME, "SMTP_PASSWORD": PASSWORD, "SMTP_FROM": SENDER}
    return settings_for(assistant) | host | login


@pytest.fixture(scope="module")
def choir(stack: Stack) -> dict[str, Any]:
    """A bundle of two rooms and a group."""
    rooms = [room["room_id"] for room in json.loads(stack.env["ROOMS"])]
    body = {"name": "Choir", "rooms": rooms[:2], "groups": ["muster-webhook-destination"]}
    made: dict[str, Any] = api(stack.env, "POST", "/api/bundles", json=body)
    return made


def named(env: dict[str, str], username: str) -> dict[str, Any]:
    """By their whole username: a word of one may be in another's."""
    items: list[dict[str, Any]] = api(env, "GET", f"/api/users?q={username}")["items"]
    return next(one for one in items if one["username"] == username)


def an_account(env: dict[str, str], username: str, name: str) -> int:
    """Made in Authentik itself: nobody has brought them in."""
    headers = {"Authorization": f"Bearer {env['AUTHENTIK_API_TOKEN']}"}
    body = {"username": username, "name": name, "email": f"{username.lower()}@example.org"}
    answer = httpx.post(f"{env['AUTHENTIK_URL']}/api/v3/core/users/", headers=headers, json=body, trust_env=False)
    assert answer.is_success, answer.text
    return int(answer.json()["pk"])


# ------------------------------------------------------------------ introductions


def test_what_an_introduction_says(open_page: Open) -> None:
    """Six lines, labels of many spellings, or neither: each value lands in its field, and no word is lost."""
    page = open_page(360)
    parsed = page.evaluate(PARSED, [text for _, text, _, _ in SAMPLES])
    for (name, text, expected, said), found in zip(SAMPLES, parsed, strict=True):
        fields = {field: value for field, value in found.items() if field not in ("form", "lost") and value}
        assert fields == expected, name
        assert not words(text) - words(" ".join(fields.values())) - words(said), name
        assert all(line in found["intro"] for line in found["lost"]), name
    long = page.evaluate(PARSED, ["x@" * 30_000, "(" * 60_000, "Name: Ada\nInterests: " + "hiking, " * 9_000])
    assert [each.get("first_name", "") for each in long] == ["", "", "Ada"]
    assert sum(each["intro"].count("hiking") + each.get("interests", "").count("hiking") for each in long) >= 9_000


# ------------------------------------------------------------------ a new one


@both
def test_somebody_from_what_they_wrote(open_page: Open, stack: Stack, choir: dict[str, Any], width: int) -> None:
    """What was pasted fills the form, is corrected, brings rooms with their reasons; two presses make one account; its link is
    shown once, to copy, and is nowhere else; from there to the member's page."""
    page, username = open_page(width, "#/people/new"), f"ada.w{width}"
    with_key(page, stack.env)
    page.get_by_label("Organization").fill("The Looms")
    page.get_by_label("What they wrote", exact=True).fill(SIX.replace("hiking", "books") + "\nSee you soon!")
    page.get_by_role("button", name="Fill in the form").click()
    expect(
        page.get_by_text("Filled in: first name, last name, invited by, e-mail, interests, and signal number")
    ).to_be_visible()
    expect(page.get_by_text("Organization: they wrote “Analytical Engines”")).to_be_visible()
    expect(page.get_by_label("Organization")).to_have_value("The Looms")
    expect(page.get_by_label("What else they wrote")).to_have_value("See you soon!")
    page.get_by_label("Last name").fill("King")
    page.get_by_label("Username").fill(username)
    suit = page.get_by_role("list", name="Rooms that suit")
    expect(suit.get_by_role("listitem").filter(has_text="Book Club")).to_contain_text("book")
    page.get_by_role("button", name="Add: Book Club").click()
    expect(page.get_by_role("button", name="Leave out Book Club")).to_be_visible()
    expect(page.get_by_role("button", name="Added: Book Club")).to_be_focused()
    page.get_by_text("Groups and bundles").click()
    blocked = page.get_by_role("checkbox", name=re.compile("muster-admins"))
    expect(blocked).to_be_disabled()
    expect(page.get_by_text("Cannot be granted here: its members are the admins of Muster.")).to_be_visible()
    page.get_by_role("checkbox", name=re.compile("Choir")).check()
    looked_at(page)

    sent = posted(page, "/api/users")
    page.get_by_role("button", name="Create the account").dblclick()
    expect(page.get_by_role("heading", name="Ada King has an account")).to_be_focused()
    link = page.get_by_role("textbox", name="The recovery link").input_value()
    assert "flow_token" in link
    expect(page.get_by_text("This is shown this once.")).to_be_visible()
    page.get_by_role("button", name="Copy the text").click()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert link in copied
    assert username in copied
    assert (len(sent), link in page.evaluate(STORED), page.evaluate(STORED)) == (1, False, "[{},{}]")
    looked_at(page)

    page.get_by_role("link", name="Their page").click()
    expect(page.get_by_role("heading", name="Ada King")).to_be_focused()
    expect(page.get_by_role("definition").filter(has_text="See you soon!")).to_be_visible()
    expect(page.get_by_text(f"@{username}:{stack.env['MATRIX_DOMAIN']}").first).to_be_visible()
    assert link not in page.content()
    made = named(stack.env, username)
    account = api(stack.env, "GET", f"/api/users/{made['pk']}")
    about = {name: account["attributes"][name] for name in ("organization", "invited_by", "signal_number", "intro")}
    assert about == {
        "organization": "The Looms",
        "invited_by": "Charles Babbage",
        "signal_number": "+442079460958",
        "intro": "See you soon!",
    }
    assert api(stack.env, "GET", f"/api/onboardings/{made['onboarding']}")["bundles"] == [choir["id"]]


@both
def test_a_suggestion(open_page: Open, stack: Stack, assistant: AssistantServer, width: int) -> None:
    """The page says who is told what; the line comes as it is written, and cancelled or failed it leaves what stood there; rooms
    come ticked; both are changed by hand before anything is made, and the welcome begins with what was left."""
    page = open_page(width, "#/people/new", expected=PROVOKED)
    with_key(page, stack.env)
    begin, line = page.get_by_role("button", name="Suggest a line and rooms"), page.get_by_label("A personal line")
    expect(page.get_by_text("Only the introduction is sent to 127.0.0.1.")).to_be_visible()
    begin.click()
    expect(page.get_by_text("There is nothing to go by yet")).to_be_visible()
    page.get_by_label("What they wrote", exact=True).fill(SIX + f"\nI found you {width} days ago.")
    page.get_by_role("button", name="Fill in the form").click()
    line.fill("Hi there.")

    assistant.manner = "held"
    assistant.gate.clear()
    begin.click()
    expect(line).to_have_value(re.compile("^Good to have"))
    expect(line).not_to_be_editable()
    looked_at(page)
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("What stood there is back.")).to_be_visible()
    expect(line).to_have_value("Hi there.")
    expect(begin).to_be_focused()
    assistant.gate.set()

    assistant.manner, assistant.status = "status", 500
    begin.click()
    alert = page.get_by_role("alert").filter(has_text="The assistant answered 500")
    expect(alert).to_be_visible()
    expect(page.get_by_text("Everything else here works.")).to_be_visible()
    expect(line).to_have_value("Hi there.")

    assistant.manner, before = "odd", len(assistant.asked)
    begin.dblclick()
    expect(page.get_by_text("150 tokens;")).to_be_visible()
    expect(alert).to_have_count(0)
    expect(line).to_have_value("Good to have you: the choir meets on Mondays.")
    sent = assistant.asked[before]["messages"][1]["content"]
    assert (len(assistant.asked) - before, "Ada Lovelace" in sent, "@" in sent, "7946" in sent) == (
        1,
        True,
        False,
        False,
    )
    suggested = page.get_by_role("list", name="Rooms that are suggested").get_by_role("checkbox", name="Book Club")
    expect(suggested).to_be_checked()
    chosen = page.get_by_role("button", name="Leave out Book Club")
    suggested.uncheck()
    expect(chosen).to_have_count(0)
    suggested.check()
    expect(chosen).to_be_visible()
    looked_at(page)
    page.get_by_role("button", name="Back to what stood there").click()
    expect(line).to_have_value("Hi there.")
    begin.click()
    expect(page.get_by_text("It was asked before, and took nothing.")).to_be_visible()
    line.fill("Good to have you: we sing on Mondays.")

    page.get_by_label("E-mail").fill(f"sung{width}@example.org")
    page.get_by_label("Username").fill(f"sung{width}")
    page.get_by_role("button", name="Create the account").click()
    page.get_by_role("link", name="watch it, step by step").click()
    expect(page.get_by_role("definition").filter(has_text="we sing on Mondays")).to_be_visible()
    page.goto(f"{stack.env['PUBLIC_URL']}/#/settings")
    expect(
        page.get_by_text(re.compile(r"a-model at 127\.0\.0\.1\. This month: [\d,]+ of 200,000 tokens"))
    ).to_be_visible()


def test_a_form_that_survives(open_page: Open, stack: Stack) -> None:
    """An answer that was lost, a sign-in that ended, a reload and rooms that cannot be recommended: every word stays, and
    the same words are sent under the same key, so that nobody is made twice. A password is shown where there is no link."""
    page = open_page(360, "#/people/new", expected=PROVOKED)
    with_key(page, stack.env)
    page.route("**/api/rooms/recommend", lambda route: route.abort())
    page.get_by_label("First name").fill("Grace")
    page.get_by_label("Interests").fill("compilers")
    page.get_by_label("Search rooms").fill("book")
    page.get_by_label("Book Club").check()
    expect(page.get_by_role("alert")).to_contain_text("Muster cannot be reached")
    page.unroute("**/api/rooms/recommend")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_text("No room suits these words.")).to_be_visible()

    sent = posted(page, "/api/users")
    page.route("**/api/users", lambda route: route.abort())
    page.get_by_role("button", name="Create the account").click()
    expect(page.get_by_role("alert")).to_contain_text("What was done already is not done twice")
    looked_at(page)
    page.unroute("**/api/users")
    refusal = {
        "detail": "some fields are not valid",
        "errors": [{"field": "email", "message": "expected an e-mail address"}],
    }
    page.route("**/api/users", lambda route: route.fulfill(status=400, json=refusal))
    page.get_by_role("button", name="Create the account").click()
    expect(page.get_by_text("expected an e-mail address", exact=True)).to_be_visible()
    expect(page.get_by_label("E-mail")).to_be_focused()
    page.unroute("**/api/users")
    page.route("**/api/users", lambda route: route.fulfill(status=401, json={"detail": "the token has expired"}))
    page.get_by_role("button", name="Create the account").click()
    expect(page.get_by_text("what you have typed is kept")).to_be_visible()
    page.unroute("**/api/users")
    page.reload()
    with_key(page, stack.env)
    expect(page.get_by_label("First name")).to_have_value("Grace")
    expect(page.get_by_role("button", name="Leave out Book Club")).to_be_visible()

    def without_recovery(route: Route) -> None:
        body = route.fetch().json()
        route.fulfill(status=201, json=body | {"recovery_link": None, "temporary_password": "one-two-three"})

    page.route("**/api/users", without_recovery)
    page.get_by_role("button", name="Create the account").click()
    expect(page.get_by_label("The temporary password")).to_have_value("one-two-three")
    assert "one-two-three" in page.get_by_label("Text to send").input_value()
    assert len({request.headers["idempotency-key"] for request in sent}) == 1
    assert len(sent) == 4
    assert page.evaluate(STORED) == "[{},{}]"
    page.get_by_role("button", name="Create another user").click()
    expect(page.get_by_label("First name")).to_have_value("")


# ------------------------------------------------------------------ a member


@both
def test_a_member(open_page: Open, stack: Stack, choir: dict[str, Any], width: int) -> None:
    """Their account is changed in place, groups come and go one by one, a bundle is taken away, a new way in is shown once, and
    what was done is in the audit below."""
    body = {"first_name": "Hedy", "last_name": "L.", "username": f"hedy{width}", "bundles": ["Choir"]}
    pk = api(stack.env, "POST", "/api/users", json=body)["user"]["pk"]
    page = open_page(width, f"#/people/{pk}", expected="400 (Bad Request)")
    with_key(page, stack.env)
    expect(page.get_by_role("heading", name="Hedy L.")).to_be_visible()
    expect(page.get_by_text(re.compile("In none of the bot's rooms|room.*as the homeserver says now"))).to_be_visible()
    looked_at(page)
    page.locator("summary", has_text=re.compile("^Change$")).click()
    page.get_by_label("Name", exact=True).fill("Hedy Lamarr")
    page.get_by_label("E-mail").fill("hedy")
    page.get_by_label("Organization").fill("Frequency Hoppers")
    looked_at(page)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("expected an e-mail address")).to_be_visible()
    page.get_by_label("E-mail").fill("hedy@example.org")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("heading", name="Hedy Lamarr")).to_be_focused()
    expect(page.get_by_role("definition").filter(has_text="Frequency Hoppers")).to_be_visible()
    expect(page.get_by_text("changed the account of").first).to_be_visible()

    page.get_by_text("Add or remove").click()
    page.get_by_role("checkbox", name=re.compile("muster-members")).check()
    other = {"groups": [*api(stack.env, "GET", f"/api/users/{pk}")["groups"], "muster-webhook-destination"]}
    api(stack.env, "PATCH", f"/api/users/{pk}", json=other)  # somebody else, meanwhile
    page.get_by_role("button", name="Save the groups").click()
    expect(page.get_by_role("listitem").filter(has_text=re.compile("^muster-members$"))).to_be_visible()
    assert {"muster-members", "muster-webhook-destination"} <= set(api(stack.env, "GET", f"/api/users/{pk}")["groups"])

    page.get_by_role("button", name="Take it away…").click()
    page.get_by_role("button", name="Yes: take Choir away").click()
    expect(page.get_by_text("None was given to them.")).to_be_visible()
    page.get_by_role("button", name="New recovery link…").click()
    page.get_by_role("button", name="Yes: make one now").click()
    expect(page.get_by_label("The recovery link")).to_have_value(re.compile("flow_token"))
    looked_at(page)
    page.get_by_role("button", name="Deactivate…").click()
    page.get_by_role("button", name="Yes: they cannot sign in any more").click()
    expect(page.get_by_text("deactivated", exact=True)).to_be_visible()
    page.get_by_role("button", name="Activate").click()
    expect(page.get_by_text("active", exact=True)).to_be_visible()
    assert page.evaluate(STORED) == "[{},{}]"


@both
def test_on_signal(open_page: Open, stack: Stack, width: int) -> None:
    """An odd number is refused at its field; without a bridge that is said; with one a press opens a chat, once; while it
    is being opened, when it failed and once it is there the page says so."""
    pk = api(stack.env, "POST", "/api/users", json={"first_name": "Sia", "username": f"sia{width}"})["user"]["pk"]
    page = open_page(width, f"#/people/{pk}", expected=PROVOKED)
    with_key(page, stack.env)
    expect(page.get_by_text("no Signal bridge is set up")).to_be_visible()
    page.locator("summary", has_text=re.compile("^Change$")).click()
    page.get_by_label("Signal number").fill("0170 1234567")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("this number lacks its country's code; expected a number such as")).to_be_visible()
    expect(page.get_by_label("Signal number")).to_be_focused()
    page.get_by_label("Signal number").fill("+49 (0)170 1234567")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Their number is +491701234567.")).to_be_visible()

    said = api(stack.env, "GET", f"/api/users/{pk}/signal") | {"set_up": True}
    page.route("**/signal", lambda route: route.fulfill(json=said if route.request.method == "GET" else JOB))
    page.goto(f"{stack.env['PUBLIC_URL']}/#/more")
    page.goto(f"{stack.env['PUBLIC_URL']}/#/people/{pk}")
    expect(page.get_by_text("The bot opens a chat with +491701234567")).to_be_visible()
    looked_at(page)
    begun = posted(page, "/signal")
    page.get_by_role("button", name="Write to them on Signal").dblclick()
    page.wait_for_url("**/#/jobs/job_1")
    assert len(begun) == 1
    for state, words_ in (
        ("waiting", "A chat with them is being opened."),
        ("failed", "A chat with them could not be opened."),
    ):
        said |= {"job": "job_1", "state": state}
        page.goto(f"{stack.env['PUBLIC_URL']}/#/people/{pk}")
        expect(page.get_by_text(words_)).to_be_visible()
        expect(page.get_by_role("button", name="Try again")).to_have_count(int(state == "failed"))
        page.goto(f"{stack.env['PUBLIC_URL']}/#/more")
    said |= {"state": "done", "room_id": "!chat:muster.test", "bridge": "Signal", "name": "Sia <b>"}
    said |= {"matrix_id": f"@signal_{'0a1b2c3d-' * 4}:muster.test"}
    page.goto(f"{stack.env['PUBLIC_URL']}/#/people/{pk}")
    expect(page.get_by_text("Sia <b>")).to_be_visible()
    expect(page.get_by_text("by Signal")).to_be_visible()
    looked_at(page)


@both
def test_a_conversation(open_page: Open, stack: Stack, width: int) -> None:
    """What the bot has said is there; an answer survives a failure and leaving, is sent once by two presses, and shows up by itself
    as sent; one that waits or failed says why, replies and devices are named, and older ones are loaded where one is."""
    pk, words = named(stack.env, "bea")["pk"], f"See you at eight, {{display_name}}! {width}"
    page = open_page(width, f"#/people/{pk}", expected="net::ERR_")
    with_key(page, stack.env)
    log, box = page.get_by_role("log", name="Messages"), page.get_by_label("Answer as Muster")
    expect(log.get_by_text("Hello Bea Broken")).to_have_count(1)
    expect(log.get_by_text("Welcome, Bea Broken")).to_have_count(1)
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_text("Write something first.")).to_be_visible()
    box.fill(words)
    sent = posted(page, "/conversation")
    page.route("**/conversation", lambda route: route.abort() if route.request.method == "POST" else route.continue_())
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("What was done already is not done twice")
    page.unroute("**/conversation")
    page.goto(f"{stack.env['PUBLIC_URL']}/#/people")
    expect(page.get_by_role("heading", name="People", exact=True)).to_be_visible()
    page.goto(f"{stack.env['PUBLIC_URL']}/#/people/{pk}")
    expect(box).to_have_value(words)
    page.get_by_role("button", name="Send", exact=True).dblclick()
    said = log.get_by_role("listitem").filter(has_text=f"See you at eight, Bea Broken! {width}")
    expect(said).to_contain_text("The API key local, as Muster")
    expect(said).to_contain_text("Not encrypted.")  # it was sent, and nobody has asked for it
    expect(box).to_have_value("")
    expect(box).to_be_focused()
    assert len({request.headers["idempotency-key"] for request in sent}) == 1
    assert len(sent) == 2
    looked_at(page)

    page.route(re.compile("/conversation([?].*)?$"), _long_talk)
    page.route("**/conversation/events", lambda route: route.abort())
    page.goto(f"{stack.env['PUBLIC_URL']}/#/people")
    page.goto(f"{stack.env['PUBLIC_URL']}/#/people/{pk}")
    expect(log.get_by_text("no device yet", exact=False)).to_be_visible()
    expect(log.get_by_text("Ask them to accept.")).to_be_visible()
    expect(log.get_by_text("Its key has not come yet.")).to_be_visible()
    expect(log.get_by_text("“welcome”, version 3").first).to_be_visible()
    log.get_by_text("Readable on 2 devices").last.click()
    expect(log.get_by_text(", since").last).to_be_visible()
    looked_at(page)
    page.get_by_role("button", name="Load older").click()
    expect(log.get_by_text("word 40", exact=True)).to_have_count(1)
    expect(page.get_by_role("button", name="Load older")).to_be_hidden()
    looked_at(page)


def _long_talk(route: Route) -> None:
    """20 messages and 20 older ones; of the newest one is on its way, one has failed, and of one the key is missing."""

    def line(number: int, **more: Any) -> dict[str, Any]:
        at = f"2026-11-20T10:{59 - number:02}:00Z"
        known = {
            "id": str(number),
            "direction": "out",
            "state": "sent",
            "at": at,
            "text": f"word {number}",
            "cause": "",
        }
        known |= {
            "fix": "",
            "next_at": None,
            "kind": "welcome",
            "by": "muster",
            "template": "welcome@3",
            "room_id": "!a",
        }
        known |= {"event_id": "$e", "encrypted": True, "devices": DEVICES, "missed": [], "job": ""}
        return known | more

    if route.request.method != "GET":
        return route.continue_()
    if "cursor=" in route.request.url:
        return route.fulfill(json={"items": [line(n) for n in range(21, 41)], "next_cursor": None, "total": 40})
    waits = {"state": "waiting", "cause": "they have no device yet", "job": "job_a", "kind": "answer", "devices": None}
    failed = waits | {"state": "failed", "cause": "the room is gone", "fix": "Ask them to accept.", "by": "user:grace"}
    reply = {"direction": "in", "kind": "reply", "text": None, "cause": "its key has not come yet", "devices": None}
    items = [line(1, **waits), line(2, **failed), line(3, **reply, template=""), *(line(n) for n in range(4, 21))]
    return route.fulfill(json={"items": items, "next_cursor": "c", "total": 40})


DEVICES = [
    {"device_id": "PHONE", "name": "Phone <b>", "verified": True, "since": None},
    {"device_id": "TABLET", "name": "Tablet", "verified": False, "since": "2026-11-20T12:00:00Z"},
]


def test_a_part_that_fails(open_page: Open, stack: Stack) -> None:
    """With Authentik, the homeserver or the audit away, what can be read is shown, with its age; the rest says so and is
    tried again by itself alone."""
    bea = named(stack.env, "bea")
    page = open_page(360, "#/", expected=PROVOKED)
    with_key(page, stack.env)
    down = {"detail": "no answer within 10 s", "fix": "Look at Authentik."}
    page.route(re.compile(rf"/api/users/{bea['pk']}$"), lambda route: route.fulfill(status=503, json=down))
    page.route("**/api/audit?*", lambda route: route.abort())
    room = {"room_id": "!a:b.test", "name": "Kitchen <b>", "kind": "", "members": 2, "alias": "", "topic": ""}
    old = {"items": [room], "total": 1, "next_cursor": None, "live": False, "age_seconds": 180}
    page.route("**/api/members/*/rooms", lambda route: route.fulfill(json=old))
    page.goto(f"{stack.env['PUBLIC_URL']}/#/people/{bea['pk']}")
    expect(page.get_by_role("heading", name="Bea Broken")).to_be_visible()
    expect(page.get_by_text("1 room, as of 3 minutes ago, since the homeserver does not answer.")).to_be_visible()
    expect(page.get_by_role("link", name="Kitchen <b>")).to_be_visible()
    expect(page.get_by_role("link", name="Step by step")).to_be_visible()
    expect(page.get_by_role("alert").filter(has_text="No answer within 10 s")).to_have_count(3)
    expect(page.get_by_role("alert").filter(has_text="Muster cannot be reached")).to_have_count(1)
    looked_at(page)
    page.unroute(re.compile(rf"/api/users/{bea['pk']}$"))
    page.get_by_role("alert").filter(has_text="No answer within 10 s").first.get_by_role(
        "button", name="Try again"
    ).click()
    expect(page.get_by_role("definition").filter(has_text="bea@example.org")).to_be_visible()
    bot = named(stack.env, "muster")
    page.goto(f"{stack.env['PUBLIC_URL']}/#/people/{bot['pk']}")
    expect(page.get_by_text("A superuser is changed in Authentik itself.")).to_be_visible()
    expect(page.get_by_role("button", name="Deactivate…")).to_have_count(0)


def test_from_nobody_to_gone(open_page: Open, stack: Stack) -> None:
    """Who was here before Muster: their Matrix id is named, tried out, and they are brought in; then off-boarded after a look at
    what would happen; and deleted once their username is typed."""
    pk = an_account(stack.env, "Otto", "Otto Old")
    page = open_page(1280, f"#/people/{pk}", expected="400 (Bad Request)")
    with_key(page, stack.env)
    expect(page.get_by_text("the username 'Otto' cannot be a Matrix id as it stands")).to_be_visible()
    expect(page.get_by_text("Nobody has said which Matrix id is theirs: name it above.")).to_be_visible()
    page.get_by_label("Matrix id", exact=True).fill("otto")
    page.get_by_role("button", name="Show what would happen").first.click()
    expect(page.get_by_text("expected a Matrix id such as @ada:example.org")).to_be_visible()
    page.get_by_label("Matrix id", exact=True).fill("@otto:muster.test")
    page.get_by_label("Book Club").check()
    page.get_by_role("button", name="Show what would happen").first.click()
    expect(page.get_by_text("steps as @otto:muster.test")).to_be_visible()
    expect(page.get_by_role("listitem").filter(has_text="Invite to Book Club")).to_be_visible()
    looked_at(page)
    page.get_by_role("button", name="Bring them in").click()
    page.wait_for_url("**/#/onboardings/ob_*")
    expect(page.get_by_role("listitem").filter(has_text="Invite to Book Club")).to_be_visible()
    page.goto(f"{stack.env['PUBLIC_URL']}/#/people/{pk}")
    expect(page.get_by_text("named by an admin")).to_be_visible()

    page.get_by_text("Off-board them").click()
    page.get_by_role("button", name="Show what would happen").last.click()
    expect(page.get_by_text("Say why.")).to_be_visible()
    page.get_by_label("Reason", exact=True).fill("moved away")
    page.get_by_role("button", name="Show what would happen").last.click()
    expect(page.get_by_role("heading", name=re.compile("What would happen: .* thing"))).to_be_focused()
    expect(page.get_by_role("listitem").filter(has_text="Deactivate the account")).to_be_visible()
    looked_at(page)
    page.get_by_label("Message to them, before").fill("Farewell, {name}!")
    expect(page.get_by_text("Something has changed: look again")).to_be_visible()
    page.get_by_role("button", name="Show what would happen").last.click()
    expect(page.get_by_text("Farewell, Otto Old!")).to_be_visible()
    begun = posted(page, "/offboard")
    page.get_by_role("button", name=re.compile("^Do th")).dblclick()
    page.wait_for_url("**/#/jobs/job_*")
    assert len(begun) == 1

    page.goto(f"{stack.env['PUBLIC_URL']}/#/people/{pk}")
    expect(page.get_by_role("heading", name="What would happen")).to_have_count(
        0
    )  # what was there stays until it comes
    page.get_by_text("Delete the account", exact=True).first.click()
    page.get_by_label("Type Otto to confirm").fill("otto")
    page.get_by_role("button", name="Delete the account").click()
    expect(page.get_by_text("That is not Otto: nothing was deleted.")).to_be_visible()
    page.get_by_label("Type Otto to confirm").fill("Otto")
    page.get_by_role("button", name="Delete the account").click()
    page.wait_for_url("**/#/people")
    assert "Otto" not in [one["username"] for one in api(stack.env, "GET", "/api/users?q=otto")["items"]]


# ------------------------------------------------------------------ an invite


def test_an_invite_with_groups_and_bundles(open_page: Open, stack: Stack, choir: dict[str, Any]) -> None:
    """An invite says by name what it gives: rooms, groups, and each bundle with what is in it; they are changed in place."""
    page = open_page(360, "#/invites/new")
    with_key(page, stack.env)
    page.get_by_label("Label").fill("For the choir")
    page.get_by_text("Groups and bundles").click()
    page.get_by_role("checkbox", name=re.compile("Choir")).check()
    page.get_by_label("Search groups").fill("members")
    page.get_by_role("checkbox", name=re.compile("muster-members")).check()
    looked_at(page)
    page.get_by_role("button", name="Make the invite").click()
    expect(page.get_by_role("definition").filter(has_text="muster-members")).to_be_visible()
    names = [room["name"] for room in json.loads(stack.env["ROOMS"])][:2]
    expect(page.get_by_role("definition").filter(has_text="Choir: rooms")).to_contain_text(
        f"{names[0]}, {names[1]}; groups muster-webhook"
    )
    expect(page.get_by_label("Text to paste")).to_have_value(re.compile(re.escape(names[0])))
    page.get_by_text("Change or revoke").click()
    page.get_by_role("button", name="Leave out Choir").click()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("definition").filter(has_text="Choir: rooms")).to_be_hidden()
    expect(page.get_by_role("definition").filter(has_text="muster-members")).to_be_visible()
    looked_at(page)


# ------------------------------------------------------------------ e-mails


@both
def test_an_invite_by_mail(open_page: Open, stack: Stack, postbox: MailServer, width: int) -> None:
    """After making it the address is there; the e-mail is shown first; one of two fails by name, with its fix, and is
    sent again; two presses send one; who comes back finds what became of each."""
    gone, ada = f"gone{width}@example.org", f"ada{width}@example.org"
    postbox.answers[gone] = "550 5.1.1 no such user"
    page = open_page(width, "#/invites/new")
    with_key(page, stack.env)
    page.get_by_label("Label").fill(f"Ada by mail {width}")
    page.get_by_label("How often it can be used").fill("2")
    page.get_by_text("Note, sponsor, e-mail, Matrix id").click()
    page.get_by_label("E-mail", exact=True).fill(ada)
    page.get_by_role("button", name="Make the invite").click()
    box = page.get_by_label("Addresses")
    expect(box).to_have_value(ada)
    box.fill(f"{ada}, {gone}")
    page.get_by_role("button", name="Show the e-mail").click()
    shown = page.get_by_label("The e-mail", exact=True)
    expect(shown).to_contain_text("itoken=")
    expect(page.get_by_text(SENDER)).to_be_visible()
    looked_at(page)

    sent = posted(page, "/email")
    page.get_by_role("button", name="Send by e-mail").dblclick()
    outcome = page.get_by_role("list", name="What became of each e-mail")
    expect(outcome.get_by_role("listitem").filter(has_text=ada)).to_contain_text("sent")
    failed = outcome.get_by_role("listitem").filter(has_text=gone)
    expect(failed).to_contain_text("there is no such mailbox")
    expect(failed).to_contain_text("How to fix:")
    looked_at(page)
    assert len(sent) == 1

    page.get_by_role("link", name="All invites").click()
    page.get_by_role("link", name=f"Ada by mail {width}").click()
    del postbox.answers[gone]
    page.get_by_role("button", name=f"Send again to {gone}").click()
    expect(failed).to_contain_text("sent")
    expect(page.get_by_role("button", name="Send again")).to_have_count(0)
    letters = [letter for letter in postbox.letters() if str(width) in letter["To"]]
    assert sorted(letter["To"] for letter in letters) == [ada, gone]
    assert all("itoken=" in str(letter) for letter in letters)


@both
def test_a_recovery_link_by_mail(open_page: Open, stack: Stack, postbox: MailServer, width: int) -> None:
    """Two presses on the member's page send it; the page says so and never has the link."""
    username = f"zed{width}"
    pk = an_account(stack.env, username, f"Zed {width}")
    page = open_page(width, f"#/people/{pk}")
    with_key(page, stack.env)
    page.get_by_role("button", name="Send a recovery link by e-mail…").click()
    page.get_by_role("button", name=f"Yes: send it to {username}@example.org").click()
    expect(page.get_by_role("list", name="What became of each e-mail")).to_contain_text(f"{username}@example.org: sent")
    expect(page.get_by_text("sent a recovery link by e-mail to")).to_be_visible()
    looked_at(page)
    [letter] = [letter for letter in postbox.letters() if username in letter["To"]]
    plain = letter.get_body(("plain",))
    assert plain is not None
    token = plain.get_content().partition("flow_token=")[2].split()[0].rstrip(")")
    assert len(token) > 20
    assert token not in page.content()
    assert token not in json.dumps(api(stack.env, "GET", "/api/audit?limit=200"))
