"""What the page says of the system itself: settings, audit, self-check, imports, and the rest of Home."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from playwright.sync_api import Route, expect

from local.loopback import LOOPBACK
from local.stack import Stack
from tests.browser.conftest import NASTY, WIDTHS, Open, looked_at, with_key

pytestmark = pytest.mark.timeout(120)
both = pytest.mark.parametrize("width", WIDTHS)


@both
def test_settings(open_page: Open, stack: Stack, width: int) -> None:
    """Each setting by concern with value and source, secrets only as set; found by a word; what is wrong comes first."""
    page = open_page(width, "#/settings")
    with_key(page, stack.env)
    token = page.get_by_role("listitem").filter(has=page.get_by_role("heading", name="AUTHENTIK_API_TOKEN"))
    expect(token).to_contain_text("Secret, set")
    for name in ("AUTHENTIK_API_TOKEN", "MATRIX_ACCESS_TOKEN", "AUTHENTIK_WEBHOOK_SECRETS"):
        assert stack.env[name] not in page.content()
    looked_at(page)
    page.get_by_label("Search settings").fill("nudge")
    expect(page.get_by_text("3 settings found.").or_(page.get_by_text("2 settings found."))).to_be_visible()
    expect(page.get_by_role("listitem").filter(has_text="INDOC_NUDGE_HOURS")).to_contain_text("20 by default")


WRONG = {
    "required": True,
    "is_set": True,
    "source": "environment",
    "version": "",
    "value": None,
    "default": None,
    "ok": False,
}


def test_a_setting_that_is_wrong(open_page: Open, stack: Stack) -> None:
    """What is missing or not valid stands first, with its fix, here and at Home."""
    page = open_page(360, "#/settings")
    name = "MATRIX_USER_ID"
    wrong = {"name": name, "problem": f"{name} is not valid: expected a Matrix id", "fix": "Set it in .env."}
    item = WRONG | wrong | {"concern": "matrix", "about": "The bot", "secret": False}
    page.route("**/api/settings", lambda route: route.fulfill(json={"items": [item], "ok": False, "total": 1}))
    with_key(page, stack.env)
    expect(page.get_by_role("heading", name="1 setting needs you")).to_be_visible()
    expect(page.get_by_text(f"{name} is not valid").first).to_be_visible()
    expect(page.get_by_text("Set it in .env.").first).to_be_visible()
    looked_at(page)


# ------------------------------------------------------------------ self-check


def finding(name: str, ok: bool = False, **more: str) -> dict[str, Any]:
    return {"name": name, "ok": ok, "detail": f"what {name} is", "fix": f"Mend {name}.", "command": ""} | more


@both
def test_self_check(open_page: Open, stack: Stack, width: int) -> None:
    """Green as it really is; then red first, by group, each with its fix and a command to copy; looked at again."""
    page = open_page(width, "#/self-check", expected="429")  # a sync may have been asked for a moment ago
    with_key(page, stack.env)
    expect(page.get_by_role("heading", name=re.compile("all is well|need you"))).to_be_visible()
    for part in ("Signing key", "Redirect address", "Groups claim", "Sign-in scopes", "Sign-in client"):
        expect(page.get_by_role("listitem").filter(has_text=part)).to_be_visible()
    looked_at(page)
    items = [
        finding("store", ok=True),
        finding("authentik redirect address", command=""),
        finding("matrix room Ops", command="/op @muster:muster.test 50"),
        finding("matrix token", ok=True),
        finding("cache of matrix"),
        finding("settings", detail=f"{NASTY} is missing"),
    ]
    page.route("**/api/self-check", lambda route: route.fulfill(json={"items": items, "ok": False, "total": 6}))
    page.get_by_role("button", name="Check again").click()
    expect(page.get_by_role("heading", name="Self-check: 4 of 6 need you")).to_be_visible()
    page.get_by_role("button", name="Copy for the room").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == "/op @muster:muster.test 50"
    page.get_by_role("button", name="Read it anew now").click()
    expect(
        page.get_by_role("status").filter(has_text="It is being read").or_(page.get_by_role("alert"))
    ).to_be_visible()
    expect(page.get_by_role("heading", level=2).last).to_contain_text("Well")
    looked_at(page)


# ------------------------------------------------------------------ audit


@both
def test_audit(open_page: Open, stack: Stack, width: int) -> None:
    """One sentence a record, the record folded, a link to what it is about; by filter, kept in the address; as a file."""
    page = open_page(width, "#/audit")
    with_key(page, stack.env)
    expect(page.get_by_text("The API key local made the invite Ends soon.")).to_be_visible()
    expect(page.get_by_text(re.compile("failed: the bot is not in the room")).first).to_be_visible()
    looked_at(page)
    page.locator("summary").filter(has_text="Filter").click()
    page.get_by_label("Who", exact=True).fill("key:local")
    page.get_by_label("What", exact=True).select_option("Made the invite")
    page.get_by_label("Result").select_option("Done")
    looked_at(page)
    page.get_by_role("button", name="Show these").click()
    expect(page.locator("summary").filter(has_text="Filter: by key:local, what: made the invite")).to_be_focused()
    expect(page.get_by_text(re.compile("4 (records found in|of 4 records)"))).to_be_visible()
    assert "actor=key%3Alocal" in page.url
    page.get_by_text("The record").first.click()
    expect(page.get_by_text('"action": "invite.create"').first).to_be_visible()
    looked_at(page)
    page.locator("summary").filter(has_text="Filter").click()
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save as CSV").click()
    assert len(saved.value.path().read_text().splitlines()) == 5
    page.get_by_role("link", name="Ends soon").click()
    expect(page.get_by_role("heading", name="Ends soon")).to_be_visible()
    page.go_back()
    expect(page.locator("summary").filter(has_text="Filter: by key:local")).to_be_visible()


@pytest.mark.parametrize("total", [0, 10_000])
def test_audit_of_any_length(open_page: Open, stack: Stack, total: int) -> None:
    """Nothing that fits, and ten thousand to look through: it says how far it has looked, and searches on."""
    page = open_page(360, "#/audit?actor=ada&outcome=failed")
    record = {"at": "2026-01-01T00:00:00Z", "actor": "user:ada", "action": "user.edit", "target": NASTY}
    record |= {"outcome": "failed", "detail": {}, "source": ""}
    asked: list[dict[str, list[str]]] = []

    def listed(route: Route) -> None:
        asked.append(parse_qs(urlsplit(route.request.url).query))
        start = int(asked[-1].get("cursor", ["0"])[0])
        items = [record | {"id": str(start)}] if total else []
        following = str(start + 1000) if start + 1000 < total else None
        answer = {"items": items, "next_cursor": following, "total": total, "looked": min(1000, total)}
        route.fulfill(json=answer)

    page.route("**/api/audit?*", listed)
    with_key(page, stack.env)
    expect(page.get_by_text("Nothing fits." if not total else "1 record found in 1,000 of 10,000.")).to_be_visible()
    assert (asked[0]["actor"], asked[0]["outcome"]) == (["user:ada"], ["failed"])
    if total:
        page.get_by_role("button", name="Search on").click()
        expect(page.get_by_text("2 records found in 2,000 of 10,000.")).to_be_visible()
    looked_at(page)


LISTS = {
    "onboardings": {
        "state": "running",
        "source": "webhook",
        "member": {"name": NASTY, "username": "ada", "matrix_id": ""},
    },
    "jobs": {"kind": "invite", "matrix_id": "@ada:b.test", "state": "done", "actor": "user:ada", "reason": NASTY},
    "bundles": {"name": NASTY, "rooms": [], "groups": [], "for_groups": [], "removes": False},
    "plans": {"state": "planned", "counts": {}, "actor": NASTY, "bundles": [], "groups": []},
    "imports": {"kind": "users", "lines": 2, "counts": {"created": 2}, "actor": NASTY},
}
"""What a line of each list needs, beside its id and times."""


@pytest.mark.parametrize("total", [0, 1, 10_000])
def test_lists_of_any_length(open_page: Open, stack: Stack, total: int) -> None:
    """Nothing, one, ten thousand: each list says which, draws a page of it, and the next when asked."""
    page = open_page(360)
    times = dict.fromkeys(("created_at", "changed_at", "updated_at"), "2026-01-01T00:00:00Z") | {"finished_at": None}

    def listed(route: Route) -> None:
        parts = urlsplit(route.request.url)
        line, query = LISTS[parts.path.rpartition("/")[2]], parse_qs(parts.query)
        start, limit = int(query.get("cursor", ["0"])[0]), int(query["limit"][0])
        items = [{"id": f"x_{n}", **times, **line} for n in range(start, min(start + limit, total))]
        following = str(start + limit) if start + limit < total else None
        route.fulfill(json={"items": items, "next_cursor": following, "total": total})

    with_key(page, stack.env)
    for name in LISTS:
        page.route(re.compile(rf"/api/{name}\?"), listed)
        page.goto(f"{stack.env['PUBLIC_URL']}/#/{name}")
        foot = page.get_by_role("status").last
        expect(page.locator("main .list > li")).to_have_count(min(total, 50))
        expect(foot).to_contain_text(f"{min(total, 50)} of {total:,}" if total else re.compile("No|no|Nothing"))
        looked_at(page)
        if total > 50:
            page.get_by_role("button", name="Show more").click()
            expect(page.locator("main .list > li")).to_have_count(100)
        page.unroute(re.compile(rf"/api/{name}\?"))


# ------------------------------------------------------------------ home


def test_home_says_what_is_down(open_page: Open, stack: Stack) -> None:
    """What is down, since when, and what is missing stand first; a part that cannot be read is named once; what waits says why."""
    page = open_page(360, expected="Failed to load resource")
    status = {
        "at": "2026-01-01T00:00:00Z",
        "settings": [{"name": "X", "problem": "X is not set", "fix": "Set it in .env."}],
        "down": [{"neighbour": "matrix", "since": "2026-01-01T14:02:00Z", "cause": "no answer", "probe_at": None}],
        "sweep_at": None,
        "sweep_failed": {"clock": "no room"},
        "webhook_at": None,
    }
    page.route("**/api/status", lambda route: route.fulfill(json=status))
    gone = {"detail": "X is not set", "fix": "Set it.", "status": 503}
    for path in ("**/api/metrics", "**/api/indoc?*"):
        page.route(path, lambda route: route.fulfill(status=503, json=gone))
    with_key(page, stack.env)
    headings = page.get_by_role("heading", level=2)
    expect(headings.nth(0)).to_contain_text("Matrix down since")
    expect(headings.nth(1)).to_have_text("1 setting missing or not valid")
    expect(headings.nth(2)).to_have_text("Could not be read: INDOC and the figures")
    expect(page.get_by_text(re.compile("Ada.* is not in INDOC")).last).to_be_visible()
    expect(page.get_by_text("has never run: set up its schedule; clock failed: no room")).to_be_visible()
    looked_at(page)


def test_home_checks_a_cause_again(open_page: Open, stack: Stack) -> None:
    """Beside a cause one press looks whether it is still so, at these members and at the neighbour, and loses nothing."""
    page = open_page(360)
    with_key(page, stack.env)
    card = page.locator("section").filter(has=page.get_by_role("heading", name="2 members: Invite to a room"))
    items = [finding("matrix token", detail="Matrix refuses the token")]
    page.route("**/api/self-check", lambda route: route.fulfill(json={"items": items, "ok": False, "total": 1}))
    card.get_by_role("button", name="Check again").click()
    expect(card.get_by_text("Matrix refuses the token. Mend matrix token.")).to_be_visible()
    page.unroute("**/api/self-check")
    page.route("**/api/self-check", lambda route: route.fulfill(json={"items": [], "ok": True, "total": 0}))
    card.get_by_role("button", name="Check again").click()
    expect(card.get_by_text("The self-check finds nothing wrong with Matrix now")).to_be_visible()
    expect(card.get_by_role("button", name="Retry all 2")).to_be_visible()


def test_home_on_the_first_day(open_page: Open, stack: Stack) -> None:
    """With nobody and nothing there, Home says what to do first, rooms included."""
    page = open_page(360)
    nothing = {"items": [], "next_cursor": None, "total": 0}
    figures = {"by_state": {}, "waiting_steps": {}, "series": [], "failures": [], "at": "2026-01-01T00:00:00Z"}
    figures |= {"time_to_home": {"count": 0, "p50": None, "p95": None}}
    indoc = nothing | {"clock": "off", "nudge_hours": 20, "remove_hours": 24}
    for path in ("onboardings?*", "invites?*", "jobs?*", "rooms?*"):
        page.route(f"**/api/{path}", lambda route: route.fulfill(json=nothing))
    page.route("**/api/indoc?*", lambda route: route.fulfill(json=indoc))
    page.route("**/api/metrics", lambda route: route.fulfill(json=figures))
    with_key(page, stack.env)
    expect(page.get_by_role("heading", name="Begin here")).to_be_visible()
    expect(page.get_by_text("The bot is in no room yet.")).to_be_visible()
    looked_at(page)


# ------------------------------------------------------------------ imports


@both
def test_a_file_from_trial_to_what_was_left(open_page: Open, stack: Stack, width: int) -> None:
    """A file is tried out first; the real run has the same table; what was left is a file that can be imported again."""
    page = open_page(width, "#/imports")
    with_key(page, stack.env)
    page.get_by_role("button", name="Try it out").click()
    expect(page.get_by_text("Choose a file first.")).to_be_visible()
    name = f"imp{width}"
    rows = f"first_name,last_name,email,groups\nIna,{NASTY},{name}@example.org,\nUma,Upload,{name},nobody\n"
    page.get_by_label("The file").set_input_files(
        {"name": "members.csv", "mimeType": "text/csv", "buffer": rows.encode()}
    )
    page.get_by_label("Lines that cannot be made").select_option("Leave such lines out, make the rest")
    page.get_by_role("button", name="Try it out").click()
    expect(page.get_by_role("heading", name="Tried out: of 2 members, 1 would be made")).to_be_focused()
    expect(page.get_by_role("listitem").filter(has_text="Uma Upload")).to_contain_text("e-mail address")
    looked_at(page)
    page.get_by_role("button", name="Make this one").dblclick()
    expect(page.get_by_role("heading", name="1 of 2 members made")).to_be_visible()
    expect(page.get_by_text("1 made", exact=True)).to_be_visible()
    page.get_by_text("1 made", exact=True).click()
    expect(page.get_by_role("link", name=f"Ina {NASTY}")).to_be_visible()
    looked_at(page)
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save what was left").click()
    assert saved.value.path().read_text("utf-8-sig").splitlines()[0] == "first_name,last_name,email,groups,reason"
    page.get_by_role("link", name="All imports").click()
    expect(page.get_by_role("listitem").filter(has_text="2 members").first).to_contain_text("1 made, 1 cannot be made")


def test_many_invites_at_once(open_page: Open, stack: Stack) -> None:
    """A wrong label is said at its field and loses nothing; then so many invites are made, and their links saved."""
    page = open_page(360, "#/imports", expected="400")
    with_key(page, stack.env)
    page.get_by_text("Many invites for one use each").click()
    page.get_by_label("How many").fill("3")
    page.get_by_label("Label").fill("Choir")
    page.get_by_role("button", name="Make the invites").click()
    expect(page.get_by_text("expected {n} in it, which is the number of each invite").first).to_be_visible()
    looked_at(page)
    page.get_by_label("Label").fill("Choir {n}")
    page.get_by_role("button", name="Make the invites").click()
    expect(page.get_by_role("heading", name="3 invites made")).to_be_visible()
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save the links as CSV").click()
    assert saved.value.path().read_text().count("itoken=") == 3
    looked_at(page)


# ------------------------------------------------------------------ templates


def api(env: dict[str, str], method: str, path: str, body: Any = None) -> Any:
    headers = {"Authorization": f"Bearer {env['ADMIN_API_KEY']}"}
    answer = httpx.request(method, env["PUBLIC_URL"] + path, headers=headers, json=body, timeout=20, **LOOPBACK)
    assert answer.is_success, answer.text
    return answer.json()


@both
def test_a_template_from_writing_to_restoring(open_page: Open, stack: Stack, width: int) -> None:
    """How it turns out is shown while it is written, for three people; a misspelt variable is named and not saved; what
    another admin has saved meanwhile is said, with nothing lost; an older text is in force again by two presses."""
    page = open_page(width, "#/templates", expected="status of 4")
    with_key(page, stack.env)
    expect(page.get_by_role("link", name="Farewell in INDOC")).to_be_visible()
    looked_at(page)
    page.get_by_role("link", name="Hello", exact=True).click()
    bubble = page.get_by_role("group", name="A name from right to left")
    expect(bubble).to_contain_text("good to have you here")
    text = page.get_by_label("Text, in Markdown")
    text.fill("Hi {displayname}, <script>alert(1)</script> **well** met!")
    expect(page.get_by_text("{displayname} is not known").first).to_be_visible()
    page.get_by_role("button", name="Save as a new version").click()
    expect(page.get_by_role("alert")).to_contain_text("marked above")
    text.fill(f"Hi {{display_name}}, **well** met at {width}!")
    expect(bubble.locator("strong")).to_have_text("well")
    looked_at(page)
    with page.expect_response(lambda response: response.request.method == "PUT") as saved:
        page.get_by_role("button", name="Save as a new version").click()
    version = saved.value.json()["version"]
    expect(page.get_by_text(f"In force: version {version}")).to_be_visible()

    api(stack.env, "PUT", "/api/templates/hello", {"source": "Another admin was faster.", "version": version})
    text.fill("Mine, {display_name}")
    page.get_by_role("button", name="Save as a new version").click()
    expect(page.get_by_role("button", name="Read the one in force, and drop mine")).to_be_visible()
    expect(text).to_have_value("Mine, {display_name}")
    page.get_by_role("button", name="Read the one in force, and drop mine").click()
    expect(text).to_have_value("Another admin was faster.")
    page.get_by_text("The built-in text").click()
    page.get_by_role("button", name="Use this text again…").last.click()
    page.get_by_role("button", name="Yes: as a new version").click()
    expect(text).to_have_value(re.compile("^Hello {display_name}"))
    looked_at(page)


def test_a_variant(open_page: Open, stack: Stack) -> None:
    """Begins with the text for everybody, counts for some, and can be removed again."""
    page = open_page(360, "#/templates/welcome", expected="404")
    with_key(page, stack.env)
    page.get_by_label("Which one").fill("fr")
    page.get_by_role("button", name="Write this variant").click()
    expect(page.get_by_role("heading", name="Welcome, in French")).to_be_visible()
    expect(page.get_by_text("nothing of its own yet")).to_be_visible()
    page.get_by_label("Text, in Markdown").fill("Bienvenue, {display_name} !")
    page.get_by_role("button", name="Save as a new version").click()
    expect(page.get_by_text("In force: version 1")).to_be_visible()
    looked_at(page)
    page.get_by_role("button", name="Remove this variant…").click()
    page.get_by_role("button", name="Yes: remove it").click()
    expect(page.get_by_text("In force: version 1")).to_be_hidden()
