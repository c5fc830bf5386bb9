"""Rooms, bundles and plans as a person uses them, on a phone and at a desk."""

from __future__ import annotations

import asyncio
import re
import secrets
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import pytest
from playwright.sync_api import Page, Route, expect

from local import sample
from local.member import Member
from local.stack import Stack
from tests.browser.conftest import NASTY, WIDTHS, Open, looked_at, until, with_key
from tests.browser.test_page import api

pytestmark = pytest.mark.timeout(150)
both = pytest.mark.parametrize("width", WIDTHS)
LOCKED = f"Locked {NASTY}"


class Furnished:
    """What the file's tests find: a room in which the bot may do nothing, and people in the others."""

    def __init__(self, stack: Stack) -> None:
        self.env = stack.env
        found = api(stack.env, "GET", "/api/rooms?limit=200")["items"]
        self.rooms = {room["name"]: room["room_id"] for room in found}
        self.locked = ""

    def id(self, name: str) -> str:
        return f"@{name}:{self.env['MATRIX_DOMAIN']}"

    async def settle(self) -> None:
        """Dee and Flo are in three rooms; Max has made a room of his own, with the bot as anybody."""
        at, secret = self.env["MATRIX_HOMESERVER"], self.env["SYNAPSE_REGISTRATION_SECRET"]
        people = [
            await asyncio.to_thread(Member.enter, at, secret, name, secrets.token_urlsafe(9))
            for name in ("max", "dee", "flo")
        ]
        try:
            await self._lock(people[0])
            async with sample.api(self.env) as client:
                rooms = [self.rooms[name] for name in ("Book Club", "Games", "Kitchen")]
                body = {"matrix_ids": [person.user_id for person in people[1:]], "rooms": rooms}
                assert (await client.post("/api/rooms/invite", json=body)).status_code == 202
                for name in ("dee", "flo"):
                    new = {
                        "first_name": name.title(),
                        "username": name,
                        "send_welcome": False,
                        "skip_indoc_removal": True,
                    }
                    assert (await client.post("/api/users", json=new)).status_code == 201
            await asyncio.gather(*(person.accept_invites(count=3) for person in people[1:]))
        finally:
            for person in people:
                await person.close()

    async def _lock(self, owner: Member) -> None:
        """Made by him, so that only he has power; the bot comes in by itself."""
        levels = {"users": {owner.user_id: 100}, "invite": 50}
        async with httpx.AsyncClient(base_url=self.env["MATRIX_HOMESERVER"], trust_env=False, timeout=30) as homeserver:
            body = {
                "name": LOCKED,
                "topic": "Nobody gave the bot any power here.",
                "preset": "public_chat",
                "room_version": "10",
                "power_level_content_override": levels,
            }
            headers = {"Authorization": f"Bearer {owner._nio.access_token}"}
            made = await homeserver.post("/_matrix/client/v3/createRoom", json=body, headers=headers)
            self.locked = made.raise_for_status().json()["room_id"]
            headers = {"Authorization": f"Bearer {self.env['MATRIX_ACCESS_TOKEN']}"}
            joined = await homeserver.post(f"/_matrix/client/v3/join/{quote(self.locked)}", json={}, headers=headers)
            joined.raise_for_status()


@pytest.fixture(scope="module")
def people(stack: Stack) -> Furnished:
    made = Furnished(stack)
    asyncio.run(made.settle())
    until(lambda: any(need["needs"] for need in api(stack.env, "GET", "/api/rooms?only=missing")["items"]), 40)
    until(lambda: api(stack.env, "GET", f"/api/rooms/{made.rooms['Book Club']}/members?q=flo")["total"] == 1, 40)
    return made


def entered(open_page: Open, stack: Stack, width: int, path: str, **more: Any) -> Page:
    page = open_page(width, path, **more)
    with_key(page, stack.env)
    return page


def started(page: Page, stack: Stack) -> dict[str, Any]:
    """The job that the page has led to, once it has ended."""
    page.wait_for_url(re.compile("#/jobs/job_"))
    path = f"/api/jobs/{page.url.partition('#/jobs/')[2]}"
    until(lambda: api(stack.env, "GET", path)["state"] not in ("running", "waiting"))
    found: dict[str, Any] = api(stack.env, "GET", path)
    return found


def down(route: Route) -> None:
    body = '{"detail": "matrix: no answer within 10 s", "fix": "Look at the homeserver."}'
    route.fulfill(status=503, content_type="application/problem+json", body=body)


# ------------------------------------------------------------------ rooms


@both
def test_rooms_and_what_is_missing(open_page: Open, stack: Stack, people: Furnished, width: int) -> None:
    """All rooms with their facts; those where something is missing; the fix as a command to copy; a file; read again,
    and once more too soon."""
    page = entered(open_page, stack, width, "#/rooms", expected="429")
    expect(page.get_by_role("link", name="Book Club")).to_be_visible()
    looked_at(page)
    page.get_by_label("Search rooms").fill("novel")
    expect(page.get_by_text("1 of 1 room.")).to_be_visible()
    page.get_by_label("Search rooms").fill("")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save all as CSV").click()
    assert saved.value.suggested_filename.startswith("rooms-")
    assert "bot_power" in saved.value.path().read_text(encoding="utf-8-sig")
    again = page.get_by_role("button", name="Read again")
    if width == 1280:  # the cool-down is the stack's, and one for both
        again.click()
        expect(page.get_by_text("Read again.", exact=True)).to_be_visible()
        again.click()
        expect(page.get_by_role("button", name=re.compile("Try again in"))).to_be_visible()
    page.get_by_role("link", name="Something is missing").click()
    expect(page.get_by_text("1 of 1 room.")).to_be_visible()
    page.get_by_role("link", name=LOCKED).click()

    expect(page.get_by_role("listitem").filter(has_text="invite people: that needs power 50")).to_contain_text("cannot")
    page.get_by_role("button", name="Copy the command").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    bot = stack.env["MATRIX_USER_ID"]
    assert page.evaluate("navigator.clipboard.readText()") == f"/op {bot} 50"
    expect(page.get_by_text(people.id("max"))).to_be_visible()
    page.get_by_role("button", name="Check again").click()
    expect(page.get_by_text("Looked again.")).to_be_visible()
    page.get_by_text("Invite people", exact=True).click()
    looked_at(page)


@both
def test_one_person_to_many_rooms(open_page: Open, stack: Stack, people: Furnished, width: int) -> None:
    """Rooms they are in are greyed; what is ticked stays through searches, filters, an outage and a reload of the list;
    then one job has each room."""
    page, who = entered(open_page, stack, width, "#/rooms", expected="503"), people.id(f"newcomer{width}")
    page.get_by_text("Invite one person to many rooms").click()
    page.get_by_label("Their Matrix id").fill("dee")
    page.get_by_role("button", name="Choose rooms for them").click()
    expect(page.get_by_text("A Matrix id looks like")).to_be_visible()
    page.get_by_label("Their Matrix id").fill(people.id("dee"))
    page.get_by_role("button", name="Choose rooms for them").click()
    expect(page.get_by_role("checkbox", name=re.compile("Book Club.*they are in it"))).to_be_disabled()
    page.goto(f"{stack.env['PUBLIC_URL']}/#/rooms?for={quote(who)}")
    expect(page.get_by_role("heading", name=f"Choose rooms for {who}")).to_be_visible()
    page.get_by_role("checkbox", name=re.compile("^Book Club")).check()
    page.get_by_label("Search rooms").fill("soldering electronics")
    page.get_by_label("Search rooms").fill("electronics")
    page.get_by_role("checkbox", name=re.compile("^Makers")).check()
    page.get_by_role("link", name=re.compile("^All")).click()
    expect(page.get_by_text("2 rooms chosen")).to_be_visible()
    looked_at(page)
    page.get_by_role("button", name="None").click()
    page.get_by_label("Search rooms").fill("")
    page.get_by_role("button", name="All", exact=True).click()
    expect(page.get_by_text("7 rooms chosen")).to_be_visible()  # all but the one where the bot may not
    page.get_by_role("checkbox", name=re.compile("^INDOC")).uncheck()
    page.route("**/api/rooms/invite", down)
    page.get_by_role("button", name="Invite to 6 rooms").click()
    expect(page.get_by_role("alert")).to_contain_text("no answer within 10 s")
    expect(page.get_by_text("6 rooms chosen")).to_be_visible()
    page.unroute("**/api/rooms/invite")
    page.get_by_role("button", name="Invite to 6 rooms").dblclick()
    job = started(page, stack)
    assert (job["matrix_id"], len(job["items"]), {item["state"] for item in job["items"]}) == (who, 6, {"done"})


def test_many_people_in_and_out_of_one_room(open_page: Open, stack: Stack, people: Furnished) -> None:
    """Found by name or pasted, invited by one job; then ticked among the members, looked at live, and taken out with
    words of one's own; while the homeserver is away nothing is done and nothing is lost."""
    room = f"#/rooms/{quote(people.rooms['Games'])}"
    page = entered(open_page, stack, 360, room, expected="503")
    page.get_by_text("Invite people", exact=True).click()
    page.get_by_label("Who", exact=True).fill("flo")
    page.get_by_role("list", name="People found").get_by_role("checkbox", name=re.compile("^Flo")).check()
    page.get_by_label("Or Matrix ids").fill(f"{people.id('una')}, {people.id('vic')}; and who else?")
    page.get_by_role("button", name="Take these").click()
    expect(page.get_by_text("2 Matrix ids taken; what is left was not understood.")).to_be_visible()
    looked_at(page)
    page.get_by_role("button", name="Leave out Flo").click()
    page.get_by_role("button", name="Invite 2 people").click()
    job = started(page, stack)
    assert {item["matrix_id"]: item["state"] for item in job["items"]} == dict.fromkeys(
        map(people.id, ("una", "vic")), "done"
    )
    path = f"/api/rooms/{people.rooms['Games']}/members?q=una"
    until(lambda: api(stack.env, "GET", path)["total"] == 1)

    page.goto(f"{stack.env['PUBLIC_URL']}/{room}")
    bot = page.get_by_role("checkbox", name=re.compile("is the bot itself"))
    expect(bot).to_be_disabled()
    page.get_by_role("checkbox", name=re.compile("^Dee")).check()
    page.get_by_label("Search members").fill("una")
    page.get_by_role("checkbox", name=re.compile("^@una")).check()
    page.get_by_role("button", name="See what would happen").click()
    expect(page.get_by_text("Say why")).to_be_visible()
    page.get_by_label("Reason", exact=True).fill("the club is over")
    page.route("**/api/rooms/remove?dry_run=true", down)
    page.get_by_role("button", name="See what would happen").click()
    expect(page.get_by_text("Nothing was done. What you have chosen is kept.")).to_be_visible()
    looked_at(page)
    page.unroute("**/api/rooms/remove?dry_run=true")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("heading", name="What would happen: 2 removals")).to_be_focused()
    page.get_by_role("checkbox", name="@una").uncheck()
    looked_at(page)
    page.get_by_role("button", name="Do this 1 thing").dblclick()
    job = started(page, stack)
    assert [(item["matrix_id"], item["state"]) for item in job["items"]] == [(people.id("dee"), "done")]
    assert job["reason"] == "the club is over"


def test_out_of_rooms_with_a_stored_reason(open_page: Open, stack: Stack, people: Furnished) -> None:
    """All rooms of one person at once, by a template with its message; what cannot be done is greyed with cause and fix;
    above ten the number is typed."""
    template = {"label": "House rules", "reason": "{username} broke rule 3", "message": "Dear {name}, goodbye."}
    api(stack.env, "PUT", "/api/removal_reasons/rules", json=template)
    page = entered(open_page, stack, 1280, f"#/rooms?out={quote(people.id('max'))}")
    page.get_by_role("checkbox", name=re.compile("^Locked")).check()
    page.get_by_label("Why").select_option("House rules")
    expect(page.get_by_text("They are told before: “Dear {name}, goodbye.”")).to_be_visible()
    page.get_by_role("button", name="See what would happen").click()
    expect(page.get_by_role("heading", name="Nothing would happen")).to_be_visible()
    expect(page.get_by_text("the bot has power 0 in Locked")).to_be_visible()
    expect(page.get_by_text("give the bot power 50")).to_be_visible()
    looked_at(page)
    page.get_by_role("button", name="Back").click()
    expect(page.get_by_role("checkbox", name=re.compile("^Locked"))).to_be_checked()

    page.goto(f"{stack.env['PUBLIC_URL']}/#/rooms?out={quote(people.id('flo'))}")
    expect(page.get_by_role("heading", name=f"Take {people.id('flo')} out of rooms")).to_be_visible()
    page.get_by_role("button", name="All", exact=True).click()
    page.get_by_label("Why").select_option("House rules")

    def fourteen(route: Route) -> None:
        job = route.fetch().json()["job"]
        removal = next(item for item in job["items"] if item["kind"] == "removal")
        job["items"] = [removal | {"room": f"!room{number}:x"} for number in range(14)]
        route.fulfill(json={"job": job}, status=202)

    page.route("**/api/rooms/remove?dry_run=true", fourteen)
    page.get_by_role("button", name="See what would happen").click()
    act = page.get_by_role("button", name="Do these 14 things")
    expect(act).to_be_disabled()
    page.get_by_label("The number, typed").fill("14")
    expect(act).to_be_enabled()
    looked_at(page)
    page.get_by_role("button", name="Back").click()
    page.unroute("**/api/rooms/remove?dry_run=true")
    page.get_by_role("checkbox", name=re.compile("^Games")).uncheck()
    page.get_by_role("button", name="See what would happen").click()
    page.get_by_role("button", name="Do these 2 things").click()
    job = started(page, stack)
    assert sorted(item["state"] for item in job["items"] if item["kind"] == "removal") == ["done", "done"]
    assert job["reason"] == "flo broke rule 3"


@pytest.mark.parametrize("total", [0, 1, 10_000])
def test_rooms_of_any_number(open_page: Open, stack: Stack, total: int) -> None:
    """No room, one, ten thousand: a page at a time, and a hint at what to do first."""
    page = open_page(360)
    plain = {
        "topic": "",
        "alias": "",
        "encrypted": False,
        "members": 3,
        "kind": "",
        "join_rule": "invite",
        "replaced_by": "",
    }
    power = {"bot_power": 100, "invite_power": 0, "remove_power": 50, "needs": [], "invited": 0}

    def listed(route: Route) -> None:
        query = parse_qs(urlsplit(route.request.url).query)
        start, limit = int(query.get("cursor", ["0"])[0]), int(query["limit"][0])
        items = [
            {"room_id": f"!{n}:x", "name": f"Room {n}", **plain, **power}
            for n in range(start, min(start + limit, total))
        ]
        following = str(start + limit) if start + limit < total else None
        more = {
            "counts": dict.fromkeys(("all", "missing", "spaces", "encrypted"), total),
            "synced_at": "2026-01-01T00:00:00Z",
            "age_seconds": 5,
        }
        route.fulfill(json={"items": items, "next_cursor": following, "total": total, **more})

    page.route("**/api/rooms?*", listed)
    with_key(page, stack.env)
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Rooms").click()
    expect(
        page.get_by_text("The bot is in no room yet" if not total else f"{min(total, 50)} of {total:,} room")
    ).to_be_visible()
    looked_at(page)
    if total > 1:
        page.get_by_role("button", name="Show more").click()
        expect(page.get_by_text("100 of 10,000 rooms.")).to_be_visible()
        expect(page.get_by_role("link", name="Room 99")).to_be_visible()


# ------------------------------------------------------------------ bundles and plans


@both
def test_a_bundle_and_a_plan(open_page: Open, stack: Stack, people: Furnished, width: int) -> None:
    """A bundle is made, changed and in the end deleted; a plan by it is looked at line by line, ticked, applied, undone;
    a change by somebody else meanwhile is said, and nothing that was typed is lost."""
    page, name = entered(open_page, stack, width, "#/bundles", expected="status of 4"), f"Kitchen team {width}"
    page.get_by_role("link", name="Make a bundle").click()
    page.get_by_role("button", name="Make the bundle").click()
    expect(page.get_by_text("Give it a name.")).to_be_visible()
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Newcomers").check()
    members = page.get_by_role("group", name="Groups whose members are to have it")
    members.get_by_role("checkbox", name=re.compile("^muster-admins")).check()
    gives = page.get_by_role("group", name="Groups in Authentik that it gives")
    expect(gives.get_by_role("checkbox", name=re.compile("^muster-admins"))).to_be_disabled()
    page.get_by_label("In all of them").select_option("Moderator (50)")
    looked_at(page)
    page.get_by_role("button", name="Make the bundle").dblclick()
    expect(page.get_by_role("heading", name=name)).to_be_visible()
    path = f"/api/bundles/kitchen-team-{width}"
    made = api(stack.env, "GET", path)
    assert (made["levels"], made["rooms"]) == ({"*": 50}, [people.rooms["Newcomers"]])
    fields = ("name", "rooms", "groups", "for_groups", "levels", "removes", "space_first", "revision")
    api(stack.env, "PUT", path, json={field: made[field] for field in fields} | {"groups": []})
    page.get_by_label("A plan may take those out").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("changed meanwhile")
    page.get_by_role("button", name="Show it as it is now").click()
    expect(page.get_by_role("alert")).to_be_hidden()  # with the form before
    expect(page.get_by_label("A plan may take those out")).to_be_checked()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    looked_at(page)

    page.get_by_role("link", name="Plan with it").click()
    expect(page.get_by_role("checkbox", name=re.compile(name))).to_be_checked()
    looked_at(page)
    page.get_by_role("button", name="See what would change").dblclick()
    page.wait_for_url(re.compile("#/plans/plan_"))
    expect(page.get_by_role("heading", name="1 invite", exact=True)).to_be_visible()
    plan = page.url.partition("#/plans/")[2]
    looked_at(page)
    page.get_by_role("button", name="Tick none: Invited").click()
    expect(page.get_by_role("button", name="Nothing is ticked")).to_be_disabled()
    page.get_by_role("checkbox", name=re.compile("Newcomers")).check()
    page.get_by_role("button", name="Do this 1 thing").dblclick()
    job = started(page, stack)
    assert (job["kind"], job["state"]) == ("plan", "done")
    assert api(stack.env, "GET", f"/api/plans/{plan}")["applied"] == {"invite": 1}

    page.goto(f"{stack.env['PUBLIC_URL']}/#/plans/{plan}")
    expect(page.get_by_text("Can be undone until")).to_be_visible()
    page.get_by_role("button", name="Undo…").click()
    looked_at(page)
    page.get_by_role("button", name="Yes: undo it").click()
    assert started(page, stack)["state"] == "done"
    page.goto(f"{stack.env['PUBLIC_URL']}/#/plans")
    expect(page.get_by_text("undone", exact=True).first).to_be_visible()
    looked_at(page)
    page.goto(f"{stack.env['PUBLIC_URL']}/#/bundles/kitchen-team-{width}")
    page.get_by_text("Delete", exact=True).click()
    page.get_by_role("button", name="Delete…").click()
    page.get_by_role("button", name="Yes: delete the bundle").click()
    expect(page.get_by_role("heading", name="Bundles")).to_be_visible()


def test_a_plan_of_a_hundred_thousand(open_page: Open, stack: Stack) -> None:
    """Nothing is drawn that was not asked for; all, none and single lines are ticked; removals need their number typed;
    what is sent names the exceptions alone."""
    page = open_page(360, expected="409")
    counts = {"invite": 99_000, "remove": 1_000}
    empty = {
        "bundles": [],
        "groups": [],
        "matrix_ids": [],
        "job": "",
        "applied_at": None,
        "applied": {},
        "undo_until": None,
        "undo_job": "",
        "undone_at": None,
    }
    note = "The homeserver's limits stand in the way: 10 now, 98990 more over 6 days, or lift the limits: scripts/setup bot"
    plan = {
        "id": "plan_x",
        "state": "planned",
        "actor": "key:ops",
        "created_at": "2026-01-01T00:00:00Z",
        "people": 5000,
        "total": 100_000,
        "counts": counts,
        "notes": [note],
        **empty,
    }
    sent: list[Any] = []

    def lines(route: Route) -> None:
        query = parse_qs(urlsplit(route.request.url).query)
        [kind], start = query["action"], int(query.get("cursor", ["0"])[0])
        items = [
            {
                "id": f"{kind}{n}",
                "action": kind,
                "matrix_id": f"@m{n}:x",
                "username": f"m{n}",
                "room_id": "!a:x",
                "room": "Ops",
                "before": "leave",
                "after": kind,
                "reason": "by the bundle Staff",
            }
            for n in range(start, start + 50)
        ]
        route.fulfill(json={"items": items, "next_cursor": str(start + 50), "total": counts[kind]})

    def apply(route: Route) -> None:
        sent.append(route.request.post_data_json)
        route.fulfill(
            status=409,
            content_type="application/problem+json",
            body='{"detail": "bundles were changed", "fix": "Make a new plan."}',
        )

    page.route("**/api/plans/plan_x", lambda route: route.fulfill(json=plan))
    page.route("**/api/plans/plan_x/lines?*", lines)
    page.route("**/api/plans/plan_x/apply", apply)
    with_key(page, stack.env)
    page.goto(f"{stack.env['PUBLIC_URL']}/#/plans/plan_x")
    expect(page.get_by_role("heading", name="99,000 invites, 1,000 removals")).to_be_visible()
    expect(page.get_by_text("98990 more over 6 days")).to_be_visible()
    page.get_by_text("Each of the 99,000").click()
    page.get_by_role("checkbox", name=re.compile("^m7 ")).uncheck()
    page.get_by_role("button", name="Show more").click()
    expect(page.get_by_text("100 of 99,000.")).to_be_visible()
    page.get_by_text("Each of the 1,000").click()
    page.get_by_role("checkbox", name=re.compile("^m3 ")).nth(1).check()
    expect(page.get_by_role("button", name="Do these 99,000 things")).to_be_enabled()
    looked_at(page)
    page.get_by_role("button", name="Tick all: Out of rooms").click()
    act = page.get_by_role("button", name="Do these 99,999 things")
    expect(act).to_be_disabled()
    page.get_by_label("The number, typed").fill("1000")
    act.click()
    expect(page.get_by_role("alert")).to_contain_text("Bundles were changed")
    assert sent == [{"all_of": ["invite", "remove"], "without": ["invite7"], "removals": 1000}]
