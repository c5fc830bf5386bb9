"""/api/rooms searched and filtered, /api/rooms/{room_id}, its members, and several people in one job."""

from __future__ import annotations

from typing import Any

import pytest

from shared.domain.errors import Unreachable
from tests.functions.admin.test_rooms import job_of
from tests.functions.admin.test_sync import scheduled
from tests.functions.served import Service, names, problem, walk
from tests.world import World

ADA, BEE, BOT = "@ada:fake.test", "@bee:fake.test", "@muster:fake.test"


def weak(world: World, name: str = "Ops", **fields: Any) -> str:
    """A room in which the bot may do nothing."""
    room = world.homeserver.add_room(name, **fields)
    home = world.homeserver.homes[room]
    home.creators, home.creator, home.powers, home.invite = (
        frozenset(),
        "@founder:fake.test",
        {"@founder:fake.test": 100},
        50,
    )
    return room


async def found(service: Service, **query: Any) -> dict[str, Any]:
    answer = await service.api("GET", "/api/rooms", params=query)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_what_the_bot_lacks_in_each_room(service: Service, world: World) -> None:
    """The list says of each room what the bot may not do, the level that is missing, and what to type, and asks no
    homeserver for it."""
    room = weak(world)
    await scheduled(service)
    world.homeserver.calls.clear()
    items = {item["room_id"]: item for item in (await found(service))["items"]}
    ops = items.pop(room)
    assert (ops["bot_power"], ops["invite_power"], ops["remove_power"]) == (0, 50, 50)
    assert [(need["act"], need["cause"]) for need in ops["needs"]] == [
        ("invite", "the bot has power 0 in Ops, inviting needs 50"),
        ("remove", "the bot has power 0 in Ops, removing needs 50"),
    ]
    assert {need["command"] for need in ops["needs"]} == {f"/op {BOT} 50"}
    assert all(item["needs"] == [] for item in items.values())
    assert world.homeserver.calls == []


async def test_rooms_are_searched_and_filtered(service: Service, world: World) -> None:
    """Each word in name, topic, alias or id; only some kinds; and how many there are of each, over all pages."""
    weak(world, "Ops", topic="the kitchen")
    world.homeserver.add_room("Garden", kind="m.space", alias="green")
    world.homeserver.add_room("Kitchen", encrypted=True)
    await scheduled(service)
    for query, expected in (
        ({"q": "KITCHEN"}, ["Kitchen", "Ops"]),
        ({"q": "kitchen the"}, ["Ops"]),
        ({"q": "#green"}, ["Garden"]),
        ({"only": "missing"}, ["Ops"]),
        ({"only": "spaces"}, ["Garden"]),
        ({"only": "encrypted", "q": "kit"}, ["Kitchen"]),
        ({"q": "nothing like it"}, []),
    ):
        body = await found(service, **query)
        assert ([item["name"] for item in body["items"]], body["total"]) == (expected, len(expected)), query
    body = await found(service, q="kitchen", limit=1)
    assert (body["total"], body["next_cursor"]) == (2, "1")
    assert body["counts"] == {"all": 2, "missing": 1, "spaces": 0, "encrypted": 1}
    assert names(problem(await service.api("GET", "/api/rooms?only=large"), 400)) == ["only"]


async def test_the_list_without_a_cache(service: Service, world: World) -> None:
    """Before the first sync rooms are listed by what the homeserver says; what the bot lacks is not known."""
    weak(world)
    [item] = (await found(service, q="ops"))["items"]
    assert (item["bot_power"], item["needs"]) == (None, [])


async def test_a_changed_room_is_seen(service: Service, world: World) -> None:
    """After the next sync the kept order of the list is another one."""
    room = weak(world)
    await scheduled(service)
    assert (await found(service))["counts"]["missing"] == 1
    world.homeserver.homes[room].powers[BOT] = 50
    world.pause(minutes=30)
    await scheduled(service)
    assert (await found(service))["counts"]["missing"] == 0


# ------------------------------------------------------------------ one room


async def test_one_room(service: Service, world: World) -> None:
    """What it says of itself by the last sync, what the bot may do live: who mends it sees it at once."""
    space = world.homeserver.add_room("Garden", kind="m.space")
    room = weak(world, parents=(space, "!far:x.test"), join_rule="restricted", allow=(space,))
    await scheduled(service)
    path = f"/api/rooms/{room}"
    ops = (await service.api("GET", path)).json()
    assert (ops["live"], ops["bot"], ops["domain"], len(ops["needs"])) == (True, BOT, "fake.test", 2)
    assert {each["room_id"]: each["name"] for each in ops["in_spaces"]} == {space: "Garden", "!far:x.test": ""}
    assert ops["entered_by"] == [{"room_id": space, "name": "Garden"}]
    world.homeserver.homes[room].powers[BOT] = 50
    ops = (await service.api("GET", path)).json()
    assert (ops["bot_power"], ops["needs"]) == (50, [])
    world.homeserver.fail_next(Unreachable("matrix", "no answer within 10 s"), times=9)
    ops = (await service.api("GET", path)).json()
    assert (ops["live"], ops["bot_power"], ops["bot"]) == (False, 0, BOT)


async def test_one_room_before_the_first_sync(service: Service, world: World) -> None:
    """All of it is live; who is in it has to be read first, which says how."""
    room = world.homeserver.add_room("Ops")
    ops = (await service.api("GET", f"/api/rooms/{room}")).json()
    assert (ops["live"], ops["synced_at"], ops["name"]) == (True, None, "Ops")
    assert "Read again" in problem(await service.api("GET", f"/api/rooms/{room}/members"), 409)["fix"]


@pytest.mark.parametrize("name", ["!nowhere:fake.test", "ops", "%00", "!x", "#ops:fake.test", "x" * 300])
async def test_no_such_room(service: Service, name: str) -> None:
    """What is no room of the bot is a 404, with a cache and without, and so are its members."""
    problem(await service.api("GET", f"/api/rooms/{name}"), 404)
    await scheduled(service)
    for path in (f"/api/rooms/{name}", f"/api/rooms/{name}/members"):
        problem(await service.api("GET", path), 404)


async def test_a_direct_room_is_none_of_theirs(service: Service, world: World) -> None:
    """The room between a member and the bot is not shown."""
    room = world.homeserver.add_room("", members={ADA: "join"})
    world.homeserver.homes[room].direct.add(ADA)
    await world.homeserver.set_direct_rooms({ADA: [room]})
    for _ in range(2):
        problem(await service.api("GET", f"/api/rooms/{room}"), 404)
        await scheduled(service)


# ------------------------------------------------------------------ members


async def test_who_is_in_a_room(service: Service, world: World) -> None:
    """Page by page, everybody once, with their power, the name where an account is theirs, and why somebody stays."""
    account = world.authentik.add_account("ada", "Ada Lovelace")
    world.authentik.add_account("bee", "Bee", attributes={"matrix_id": "@other:fake.test"})
    room = world.homeserver.add_room("Ops", members={ADA: "join", BEE: "invite", "@gone:fake.test": "leave"})
    home = world.homeserver.homes[room]
    home.creators, home.creator = frozenset(), "@founder:fake.test"
    home.powers = {BOT: 50, "@mod:fake.test": 50, ADA: 10}
    for number in range(5):
        home.members[f"@m{number}:fake.test"] = "join"
    home.members["@mod:fake.test"] = "join"
    service.env["PROTECTED_MEMBERS"] = "@m1:fake.test"
    await scheduled(service)
    world.homeserver.calls.clear()
    path = f"/api/rooms/{room}/members"
    items = await walk(service, path, 3)
    assert [item["matrix_id"] for item in items] == sorted(
        who for who, state in home.members.items() if state != "leave"
    )
    by_id = {item["matrix_id"]: item for item in items}
    assert (by_id[ADA]["name"], by_id[ADA]["pk"], by_id[ADA]["power"]) == ("Ada Lovelace", account.pk, 10)
    assert (by_id[BEE]["name"], by_id[BEE]["membership"]) == ("", "invite")  # the account says it is another's
    kept = {who: item["kept"] for who, item in by_id.items() if item["kept"]}
    assert kept.keys() == {BOT, "@mod:fake.test", "@m1:fake.test"}
    assert "power 50" in kept["@mod:fake.test"]
    assert [item["matrix_id"] for item in (await service.api("GET", f"{path}?q=lovelace")).json()["items"]] == [ADA]
    assert (await service.api("GET", f"{path}?q=M2:fake")).json()["total"] == 1
    assert names(problem(await service.api("GET", f"{path}?cursor=5"), 400)) == ["cursor"]
    assert world.homeserver.calls == []


async def test_a_page_of_members_costs_few_reads(service: Service, world: World) -> None:
    """Two state documents where the process has the rest already, and no more than ten at first."""
    room = world.homeserver.add_room("Ops", members={ADA: "join"})
    world.authentik.add_account("ada")
    await scheduled(service)
    reads: list[str] = []
    get_many = world.documents.get_many

    async def counted(paths: Any) -> Any:
        reads.extend(paths)
        return await get_many(paths)

    world.documents.get_many = counted  # type: ignore[method-assign]
    for most in (10, 2):
        reads.clear()
        await service.api("GET", f"/api/rooms/{room}/members")
        assert len([path for path in reads if path.startswith(("cache/", "syncs/"))]) <= most


# ------------------------------------------------------------------ several people


async def test_several_people_to_one_room(service: Service, world: World) -> None:
    """One job, each person an item of their own with their own outcome; the audit names the room and how many."""
    room = world.homeserver.add_room("Ops", members={"@cyd:fake.test": "ban"})
    body = {"matrix_ids": [ADA, BEE, "@cyd:fake.test", ADA], "rooms": [room]}
    started = await service.api("POST", "/api/rooms/invite", json=body, headers={"Idempotency-Key": "k"})
    assert started.status_code == 202, started.text
    await service.work()
    job = await job_of(service, started.json()["job"]["id"])
    states = {item["matrix_id"]: item["state"] for item in job["items"]}
    assert states == {ADA: "done", BEE: "done", "@cyd:fake.test": "failed"}
    assert (job["matrix_id"], job["people"], job["kind"], job["state"]) == ("", 3, "invite", "failed")
    assert {world.homeserver.homes[room].members[who] for who in (ADA, BEE)} == {"invite"}
    [record] = await service.audit("rooms.invite")
    assert (record["target"], record["detail"]["people"]) == (room, 3)
    again = await service.api("POST", "/api/rooms/invite", json=body, headers={"Idempotency-Key": "k"})
    assert again.json()["job"]["id"] == job["id"]


async def test_several_people_out_of_a_room(service: Service, world: World) -> None:
    """Looked at first: who is protected, who may not be removed, who is not there; then each with words of their own."""
    members = dict.fromkeys([ADA, BEE, "@mod:fake.test", "@kept:fake.test"], "join")
    room = world.homeserver.add_room("Ops", members=members)
    home = world.homeserver.homes[room]
    home.creators, home.powers = frozenset(), {BOT: 50, "@mod:fake.test": 60}
    service.env["PROTECTED_MEMBERS"] = "@kept:fake.test"
    people = [ADA, BEE, "@mod:fake.test", "@kept:fake.test", "@nobody:fake.test"]
    body = {"matrix_ids": people, "rooms": [room], "reason": "goodbye {username}", "message": "Dear {username}"}
    before = service.acts()
    dry = (await service.api("POST", "/api/rooms/remove?dry_run=true", json=body)).json()["job"]
    seen = {item["matrix_id"]: item for item in dry["items"] if item["kind"] == "removal"}
    assert {who: item["state"] for who, item in seen.items()} == {
        ADA: "pending",
        BEE: "pending",
        "@mod:fake.test": "failed",
        "@kept:fake.test": "skipped",
        "@nobody:fake.test": "skipped",
    }
    assert "PROTECTED_MEMBERS" in seen["@kept:fake.test"]["result"]["reason"]
    assert "power 60" in seen["@mod:fake.test"]["cause"]
    assert service.acts() == before
    started = await service.api("POST", "/api/rooms/remove", json=body)
    await service.work()
    job = await job_of(service, started.json()["job"]["id"])
    ended = {item["matrix_id"]: item["state"] for item in job["items"] if item["kind"] == "removal"}
    assert ended == {ADA: "done", BEE: "done", "@mod:fake.test": "failed"} | dict.fromkeys(people[3:], "skipped")
    assert sorted(world.homeserver.called("kick")[:2]) == [(room, ADA, "goodbye ada"), (room, BEE, "goodbye bee")]
    told = {item["matrix_id"] for item in job["items"] if item["kind"] == "removal_message" and item["state"] == "done"}
    assert {ADA, BEE} <= told


async def test_everywhere_for_several(service: Service, world: World) -> None:
    """Without `rooms`: each out of every room that they are in."""
    ops = world.homeserver.add_room("Ops", members={ADA: "join"})
    art = world.homeserver.add_room("Art", members={ADA: "join", BEE: "join"})
    body = {"matrix_ids": [ADA, BEE], "reason": "left"}
    dry = (await service.api("POST", "/api/rooms/remove?dry_run=true", json=body)).json()["job"]
    assert {(item["matrix_id"], item["room"]) for item in dry["items"]} == {(ADA, ops), (ADA, art), (BEE, art)}


async def test_a_protected_member_stays(service: Service, world: World) -> None:
    """Whom the settings protect no removal takes out, and the job says so."""
    room = world.homeserver.add_room("Ops", members={ADA: "join"})
    service.env["PROTECTED_MEMBERS"] = ADA
    started = await service.api("POST", "/api/rooms/remove", json={"matrix_id": ADA, "rooms": [room], "reason": "x"})
    await service.work()
    [item] = (await job_of(service, started.json()["job"]["id"]))["items"]
    assert (item["state"], world.homeserver.homes[room].members[ADA]) == ("skipped", "join")


async def test_who_leaves_is_not_invited_among_others(service: Service, world: World) -> None:
    """An off-boarding stops what a job for several people was still to bring its member, and takes back the rest."""
    account = world.authentik.add_account("ada")
    rooms = [world.homeserver.add_room(f"Room {number}") for number in range(2)]
    first = await service.api("POST", "/api/rooms/invite", json={"matrix_ids": [ADA, BEE], "rooms": rooms[:1]})
    await service.work()
    second = await service.api("POST", "/api/rooms/invite", json={"matrix_ids": [ADA, BEE], "rooms": rooms[1:]})
    await service.api("POST", f"/api/users/{account.pk}/offboard", json={"reason": "left"})
    await service.work()
    states = {item["matrix_id"]: item["state"] for item in (await job_of(service, second.json()["job"]["id"]))["items"]}
    assert states == {ADA: "skipped", BEE: "done"}
    assert (await job_of(service, first.json()["job"]["id"]))["state"] == "done"
    homes = world.homeserver.homes
    assert [homes[room].members.get(ADA, "leave") for room in rooms] == ["leave", "leave"]


@pytest.mark.parametrize("act", ["invite", "remove"])
async def test_whom_it_is_about(service: Service, world: World, act: str) -> None:
    """One person or several, not both and not neither; a list of nobody, of too many or of no Matrix ids is named, and
    so are the bot and more than one job holds."""
    room = world.homeserver.add_room("Ops")
    body: dict[str, Any] = {"rooms": [room]} | ({"reason": "x"} if act == "remove" else {})
    path = f"/api/rooms/{act}"
    assert names(problem(await service.api("POST", path, json=body), 400)) == ["matrix_id"]
    both = body | {"matrix_id": ADA, "matrix_ids": [BEE]}
    assert names(problem(await service.api("POST", path, json=both), 400)) == ["matrix_ids"]
    crowd = [f"@m{number}:fake.test" for number in range(101)]
    for wrong in ([], ["ada"], [""], [5], crowd, "ada", [None]):
        answer = problem(await service.api("POST", path, json=body | {"matrix_ids": wrong}), 400)
        assert names(answer)[0].startswith("matrix_ids"), wrong
    many = body | {"matrix_ids": crowd[:100], "rooms": [f"!r{number}:fake.test" for number in range(5)]}
    assert names(problem(await service.api("POST", path, json=many), 400)) == ["matrix_ids"]
    if act == "remove":
        assert names(problem(await service.api("POST", path, json=body | {"matrix_ids": [BOT]}), 400)) == ["matrix_ids"]
    assert not any(service.acts().values())
