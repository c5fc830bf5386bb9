"""The admin page as a person uses it, on a phone and at a desk: sign-in, home, invites, an onboarding."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import re
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import Page, Route, expect

from local.loopback import LOOPBACK
from local.stack import Stack
from tests.browser.conftest import NASTY, WIDTHS, Open, People, looked_at, until, with_authentik, with_key

pytestmark = pytest.mark.timeout(120)
both = pytest.mark.parametrize("width", WIDTHS)
STORED = "JSON.stringify([{...sessionStorage}, {...localStorage}])"
NEEDS = re.compile("needs? you")


def api(env: dict[str, str], method: str, path: str, **more: Any) -> Any:
    headers = {"Authorization": f"Bearer {env['ADMIN_API_KEY']}"}
    answer = httpx.request(method, env["PUBLIC_URL"] + path, headers=headers, timeout=20, **LOOPBACK, **more)
    assert answer.is_success, answer.text
    return answer.json()


def aside(act: Callable[[], Any]) -> None:
    """On another thread: this one's event loop is Playwright's."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            act()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]


# ------------------------------------------------------------------ sign-in


@both
def test_signing_in_and_out(open_page: Open, stack: Stack, width: int) -> None:
    """By Authentik with code and PKCE; a reload stays signed in and on its page; no token is in storage, address or history;
    signing out counts in every tab, revokes, and ends Authentik's session."""
    page = open_page(width, "#/invites")
    expect(page.get_by_text("muster-admins")).to_be_visible()
    looked_at(page)
    asked: list[str] = []
    said = lambda request: asked.append(f"{request.method} {request.url} {request.post_data or ''}")  # noqa: E731
    page.context.on("request", said)
    with_authentik(page, stack.env)
    expect(page.get_by_role("heading", name="Invites", exact=True)).to_be_visible()
    [authorize] = [each.split()[1] for each in asked if "/authorize/" in each and each.startswith("GET")]
    query = parse_qs(urlsplit(authorize).query)
    assert query["code_challenge_method"] == ["S256"]
    assert "offline_access" in query["scope"][0]

    with contextlib.suppress(PlaywrightError):  # it leads on to Authentik at once, perhaps before it is through
        page.reload()
    expect(page.get_by_role("heading", name="Invites", exact=True)).to_be_visible()
    assert [each for each in asked if "prompt=none" in each]
    assert urlsplit(page.url)._replace(fragment="").geturl() == f"{stack.env['PUBLIC_URL']}/"
    stored = page.evaluate(STORED)
    assert re.fullmatch(r'\[\{"muster.signed-in-since":"\d+"\},\{\}\]', stored), stored

    other = page.context.new_page()
    other.goto(page.url)
    other.get_by_role("button", name="Sign in with Authentik").click()
    other.get_by_role("navigation", name="Main").wait_for()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign in with Authentik")).to_be_visible()
    expect(other.get_by_role("button", name="Sign in with Authentik")).to_be_visible()
    until(lambda: len([each for each in asked if "/revoke/" in each]) == 2)  # each tab its own token
    assert len([each for each in asked if "end-session" in each]) == 1
    with contextlib.suppress(PlaywrightError):
        page.reload()
    page.get_by_role("button", name="Sign in with Authentik").click()
    expect(page.get_by_label("Username")).to_be_visible()  # Authentik's session has ended


def test_a_refresh_takes_the_place_of_a_sign_in(open_page: Open, stack: Stack) -> None:
    """An access token that the API does not take is renewed once, unseen, and the request sent again."""
    page = open_page(1280, expected="401")
    with_authentik(page, stack.env)
    expect(page.get_by_role("heading", name=NEEDS)).to_be_visible()
    refused, refreshed = [], []
    page.on("request", lambda request: refreshed.append(1) if "refresh_token" in (request.post_data or "") else None)

    def refuse_once(route: Route) -> None:
        if refused:
            route.continue_()
        else:
            refused.append(1)
            route.fulfill(
                status=401, content_type="application/problem+json", body='{"detail": "the token has expired"}'
            )

    page.route("**/api/invites?*", refuse_once)
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Invites").click()
    expect(page.get_by_role("heading", name="Invites", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="Ends soon")).to_be_visible()
    assert (refused, refreshed) == ([1], [1])


def jwt(alg: str = "RS256", **claims: Any) -> str:
    parts = [{"alg": alg}, {"sub": "x", "name": "Otto Outside"} | claims]
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts) + ".x"


@pytest.mark.parametrize(
    ("token", "told"),
    [
        (jwt(groups=["others"]), "You are not in the group"),
        (jwt(), "does not say which groups"),
        (jwt("HS256", groups=[]), "signing key"),
    ],
    ids=["not in the group", "no groups claim", "HS256"],
)
def test_a_token_that_is_no_good(open_page: Open, stack: Stack, token: str, told: str) -> None:
    """Somebody outside the group, a provider without the claim or without its key: each is told in words."""
    page = open_page(360)
    answer = {"access_token": token, "expires_in": 600}
    cors = {"Access-Control-Allow-Origin": stack.env["PUBLIC_URL"]}
    page.route("**/application/o/token/", lambda route: route.fulfill(json=answer, headers=cors))
    page.get_by_role("button", name="Sign in with Authentik").click()
    page.get_by_label("Username").fill(stack.env["ADMIN_USERNAME"])
    page.get_by_label("Password").fill(stack.env["ADMIN_PASSWORD"])
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text(told).first).to_be_visible()
    looked_at(page)


def test_a_callback_that_failed(open_page: Open, stack: Stack) -> None:
    """A return with an error, and one that nobody here has begun, say what is wrong; the address is clean again."""
    page = open_page(360)
    page.evaluate(
        """sessionStorage.setItem("muster.sign-in", JSON.stringify({state: "s", verifier: "v", back: "#/"}))"""
    )
    page.goto(f"{stack.env['PUBLIC_URL']}/?error=invalid_scope&state=s")
    expect(page.get_by_role("alert")).to_contain_text("scope mappings openid, profile, offline_access")
    assert (page.url, page.evaluate(STORED)) == (f"{stack.env['PUBLIC_URL']}/#/", "[{},{}]")
    page.goto(f"{stack.env['PUBLIC_URL']}/?code=stolen&state=other")
    expect(page.get_by_role("alert")).to_contain_text("did not begin in this tab")


def test_an_api_key_while_authentik_is_down(open_page: Open, stack: Stack) -> None:
    """With Authentik away the page says so, and a key opens it; a wrong one is told; nothing of it is stored."""
    page = open_page(360, expected="Failed to load resource")
    page.route(f"{stack.env['AUTHENTIK_URL']}/**", lambda route: route.abort())
    page.get_by_role("button", name="Sign in with Authentik").click()
    expect(page.get_by_role("alert")).to_contain_text("Authentik did not answer")
    page.get_by_text("Use an API key instead").click()
    page.get_by_label("API key").fill("muster_wrong")
    page.get_by_role("button", name="Enter with the key").click()
    expect(page.get_by_text("This API key is not known")).to_be_visible()
    looked_at(page)
    page.get_by_label("API key").fill(stack.env["ADMIN_API_KEY"])
    page.get_by_role("button", name="Enter with the key").click()
    expect(page.get_by_role("heading", name=NEEDS)).to_be_visible()
    assert page.evaluate(STORED) == "[{},{}]"


def test_a_draft_survives_a_new_sign_in(open_page: Open, stack: Stack) -> None:
    """Who is asked to sign in again in the middle of a form comes back to it with every word."""
    page = open_page(360, "#/invites/new", expected="401")
    with_key(page, stack.env)
    page.get_by_label("Label").fill("Half typed")
    page.get_by_label("Book Club").check()
    refused = {
        "status": 401,
        "content_type": "application/problem+json",
        "body": '{"detail": "this API key is not known"}',
    }
    page.route("**/api/invites", lambda route: route.fulfill(**refused))
    page.get_by_role("button", name="Make the invite").click()
    expect(page.get_by_text("what you have typed is kept")).to_be_visible()
    page.unroute("**/api/invites")
    with_key(page, stack.env)
    expect(page.get_by_label("Label")).to_have_value("Half typed")
    expect(page.get_by_role("button", name="Leave out Book Club")).to_be_visible()


# ------------------------------------------------------------------ home


@both
def test_home(open_page: Open, stack: Stack, width: int) -> None:
    """What needs somebody now is named with cause, fix and people; the figures have a table; names stay names."""
    page = open_page(width)
    with_key(page, stack.env)
    expect(page.get_by_role("heading", name="2 members: Invite to a room")).to_be_visible()
    expect(page.get_by_text("Invite the bot to it and let it join")).to_be_visible()
    expect(page.get_by_role("link", name="Eve Else")).to_be_visible()
    expect(page.get_by_role("link", name=f"{NASTY} Ada")).to_be_visible()
    expect(page.get_by_role("link", name="Ends soon")).to_be_visible()
    expect(page.get_by_text(re.compile("Self-check: (?!looking)"))).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("The last 30 days.*begun.*home"))).to_be_visible()
    page.get_by_text("The numbers").click()
    looked_at(page)


def test_retrying_all_of_one_cause(open_page: Open, stack: Stack) -> None:
    """One press retries everybody who failed for a cause; what does not go is named, the rest is shown as begun."""
    page = open_page(360, expected="409")
    with_key(page, stack.env)
    bea = page.get_by_role("link", name="Bea Broken")
    refused = str(bea.get_attribute("href")).removeprefix("#/onboardings/")
    sent: list[str] = []

    def retry(route: Route) -> None:
        sent.append(route.request.url)
        if refused in route.request.url:
            body = '{"detail": "somebody else is at it", "fix": "Try again in a moment."}'
            route.fulfill(status=409, content_type="application/problem+json", body=body)
        else:
            route.continue_()

    page.route("**/retry", retry)
    page.get_by_role("button", name="Retry all 2").dblclick()
    expect(page.get_by_text("1 member begun again")).to_be_visible()
    expect(page.get_by_role("listitem").filter(has_text="Somebody else is at it")).to_contain_text("Bea Broken")
    assert len(sent) == 2
    looked_at(page)


# ------------------------------------------------------------------ invites


@both
def test_an_invite_from_making_to_revoking(open_page: Open, stack: Stack, width: int) -> None:
    """Made in seconds with rooms by name; link, QR code and text to hand over, the link even while there is no text; what
    it grants; changed in place; found by a search; revoked by two presses."""
    page, name = open_page(width, "#/invites", expected="503"), f"Ada of the choir {width}"
    with_key(page, stack.env)
    page.get_by_role("link", name="Invite somebody").click()
    page.get_by_role("button", name="Make the invite").click()
    expect(page.get_by_text("Say who it is for.")).to_be_visible()
    page.get_by_label("Label").fill(name)
    page.get_by_label("Search rooms").fill("book")
    page.get_by_label("Book Club").check()
    page.get_by_label("Works for").select_option("3 days")
    expect(page.get_by_text("in 3 days.")).to_be_visible()
    page.get_by_text("Note, sponsor, e-mail").click()
    page.get_by_label("Sponsor").fill(f"@bob{width}:muster.test")
    looked_at(page)
    down = {"detail": "Muster is being deployed.", "fix": "Try again in a minute."}
    page.route("**/api/invites/*/text", lambda route: route.fulfill(status=503, json=down))
    page.get_by_role("button", name="Make the invite").dblclick()

    expect(page.get_by_role("heading", name=f"The invite for {name} is made")).to_be_visible()
    [made] = [each for each in api(stack.env, "GET", "/api/invites")["items"] if each["label"] == name]
    expect(page.get_by_role("textbox", name="The link")).to_have_value(made["link"])
    expect(page.get_by_role("img", name="QR code")).to_be_visible()
    expect(page.get_by_text("Muster is being deployed.")).to_be_visible()
    expect(page.get_by_role("button", name="Copy the text")).to_be_disabled()
    looked_at(page)
    page.unroute("**/api/invites/*/text")
    page.get_by_role("button", name="Try again").click()
    page.get_by_role("button", name="Copy the text").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    text = page.evaluate("navigator.clipboard.readText()")
    assert made["link"] in text
    assert "Book Club" in text
    expect(page.get_by_role("definition").filter(has_text="Book Club")).to_be_visible()
    page.get_by_role("button", name="Pause all their invites").click()
    expect(page.get_by_text("Whoever comes by one of their invites is held")).to_be_visible()
    looked_at(page)
    page.get_by_role("button", name="Resume their invites").click()
    expect(page.get_by_text("1 open invite, used 0 times so far:")).to_be_visible()

    page.get_by_text("Change or revoke").click()
    page.get_by_label("How often it can be used").fill("5")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("0 of 5", exact=True)).to_be_visible()
    page.get_by_text("Change or revoke").click()
    looked_at(page)
    page.get_by_role("button", name="Revoke…").click()
    page.get_by_role("button", name="Yes: the link ends now").click()
    expect(page.get_by_text("Revoked", exact=True)).to_be_visible()
    page.get_by_role("link", name="All invites").click()
    page.get_by_label("Search invites").fill(f"choir {width}")
    expect(page.get_by_text("1 invite found")).to_be_visible()
    expect(page.get_by_role("listitem").filter(has_text=name)).to_contain_text("Revoked")
    looked_at(page)


def test_who_used_an_invite(open_page: Open, stack: Stack, people: People) -> None:
    """An invite shows who came in by it, by a name that stays a name."""
    page = open_page(360, "#/invites?status=redeemed")
    with_key(page, stack.env)
    page.get_by_role("link", name=NASTY).click()
    expect(page.get_by_role("link", name=f"{NASTY} Ada")).to_be_visible()
    looked_at(page)


@pytest.mark.parametrize("total", [0, 1, 10_000])
def test_a_list_of_any_length(open_page: Open, stack: Stack, total: int) -> None:
    """No invite, one, ten thousand: a page at a time, and a search that says how far it has looked."""
    page = open_page(360)
    kind = {"rooms": [], "groups": [], "bundles": [], "used_by": [], "settled": True, "status": "pending"}
    words = dict.fromkeys(["link", "code", "email", "matrix_id", "note", "sponsor", "created_by"], "")
    times = {"expires_at": "2030-01-01T00:00:00Z", "created_at": "2026-01-01T00:00:00Z", "uses": 0, "max_uses": 1}

    def listed(route: Route) -> None:
        query = parse_qs(urlsplit(route.request.url).query)
        start, limit = int(query.get("cursor", ["0"])[0]), int(query["limit"][0])
        numbers = range(start, min(start + limit, total))
        items = [{"id": f"inv_{n}", "label": f"Number {n}", **kind, **words, **times} for n in numbers]
        following = str(start + limit) if start + limit < total else None
        route.fulfill(json={"items": items, "next_cursor": following, "total": total})

    page.route("**/api/invites?*", listed)
    with_key(page, stack.env)
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Invites").click()
    expect(
        page.get_by_text("No invite has been made yet" if not total else f"{min(total, 50)} of {total:,} invite")
    ).to_be_visible()
    looked_at(page)
    if total > 1:
        page.get_by_label("Search invites").fill("number 999")
        expect(page.get_by_text("1 invite found in 1,000 of 10,000.")).to_be_visible()
        page.get_by_role("button", name="Search on").click()
        expect(page.get_by_text("in 2,000 of 10,000.")).to_be_visible()


# ------------------------------------------------------------------ an onboarding


@both
def test_the_steps_of_an_onboarding(open_page: Open, stack: Stack, width: int) -> None:
    """Each step has its state, a sentence and its record; a failed one is skipped with a reason, in place."""
    page = open_page(width, "#/onboardings?state=failed")
    with_key(page, stack.env)
    looked_at(page)
    page.get_by_role("link", name="Bea Broken" if width == 360 else "Cyd Broken").click()
    step = page.get_by_role("listitem").filter(has_text="the bot is not in the room")
    expect(step).to_contain_text("How to fix")
    step.get_by_role("button", name="Retry this step").click()
    expect(step.get_by_role("button", name="Skip…")).to_be_visible()
    page.get_by_text("The record").first.click()
    looked_at(page)
    step.get_by_role("button", name="Skip…").click()
    page.get_by_label("Why").fill("that room is gone")
    page.get_by_role("button", name="Skip this step").click()
    expect(page.get_by_text("Skipped: that room is gone.")).to_be_visible()
    looked_at(page)


def test_it_moves_by_itself(open_page: Open, stack: Stack, people: People) -> None:
    """Whoever watches an onboarding sees its steps end without touching anything, and is told of them."""
    made = api(stack.env, "POST", "/api/invites", json={"label": "Watched", "rooms": people.rooms[:2]})
    aside(lambda: asyncio.run(people.enroll(made["link"], "wanda")))
    page = open_page(360, "#/onboardings")
    with_key(page, stack.env)
    page.get_by_role("link", name="Wanda").click()
    expect(page.get_by_role("listitem").filter(has_text="Direct room and hello")).to_contain_text("Done.")
    expect(page.get_by_role("listitem").filter(has_text="Out of INDOC")).to_contain_text("Waits:")


def test_a_held_one_is_let_in(open_page: Open, stack: Stack) -> None:
    """Who is held says why, and one press lets them in."""
    page = open_page(1280, "#/onboardings?state=held")
    with_key(page, stack.env)
    page.get_by_role("link", name="Eve Else").click()
    expect(page.get_by_role("button", name="Refuse…")).to_be_visible()
    expect(page.get_by_text("was for another e-mail address")).to_be_visible()
    looked_at(page)
    page.get_by_role("button", name="Let them in").click()
    expect(page.get_by_role("button", name="Let them in")).to_be_hidden()
    expect(
        page.get_by_role("listitem")
        .filter(has_text="Activate the account")
        .or_(page.get_by_text("Groups in Authentik"))
        .first
    ).to_be_visible()


# ------------------------------------------------------------------ networks, hands and eyes


def test_faults_of_the_network(open_page: Open, stack: Stack) -> None:
    """A limit says when it may be tried again, an unreachable Muster and an offline device are told, and all are survived."""
    page = open_page(360, "#/nowhere", expected="Failed to load resource")
    with_key(page, stack.env)
    limited = {"detail": "too many at once", "fix": "Wait a moment.", "retry_after": 7}
    page.route(
        "**/api/onboardings?*", lambda route: route.fulfill(status=429, json=limited, headers={"Retry-After": "7"})
    )
    page.get_by_role("navigation", name="Main").get_by_role("link", name="More").click()
    page.get_by_role("link", name="Members on their way").click()
    expect(page.get_by_role("button", name=re.compile("Try again in [67] s"))).to_be_disabled()
    looked_at(page)
    page.unroute("**/api/onboardings?*")
    page.route("**/api/invites?*", lambda route: route.abort())
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Invites").click()
    expect(page.get_by_role("alert")).to_contain_text("Muster cannot be reached")
    page.context.set_offline(True)
    expect(page.get_by_role("status").filter(has_text="This device is offline")).to_be_visible()
    page.context.set_offline(False)
    page.unroute("**/api/invites?*")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("link", name="Ends soon")).to_be_visible()


def test_by_keyboard_alone(open_page: Open, stack: Stack) -> None:
    """Tab and Enter lead everywhere: past the navigation, to a link, and into the next view's heading."""
    page = open_page(1280)
    with_key(page, stack.env)
    expect(page.get_by_role("heading", name=NEEDS)).to_be_visible()
    page.locator(".skip").focus()
    expect(page.get_by_role("link", name="Skip to the content")).to_be_in_viewport()
    for _ in range(3):
        page.keyboard.press("Tab")
    expect(page.get_by_role("navigation", name="Main").get_by_role("link", name="Invites")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Invites", exact=True)).to_be_focused()
    assert page.title() == "Invites · Muster"


def transferred(page: Page) -> int:
    found: Any = page.evaluate("performance.getEntries().reduce((sum, each) => sum + (each.transferSize || 0), 0)")
    return int(found)


def test_the_first_view_is_light_and_still(open_page: Open, stack: Stack) -> None:
    """All that Home needs, files and answers, is under 60 KB over the wire, and nothing jumps while it comes in."""
    page = open_page(360)
    page.evaluate("""() => { window.shifts = 0; new PerformanceObserver((list) => {
        for (const each of list.getEntries()) if (!each.hadRecentInput) window.shifts += each.value;
    }).observe({type: "layout-shift", buffered: true}); }""")
    with_key(page, stack.env)
    expect(page.get_by_role("heading", name=NEEDS)).to_be_visible()
    expect(page.get_by_text("looking")).to_be_hidden()
    assert transferred(page) < 60_000
    assert page.evaluate("window.shifts") < 0.05
