"""/api/rooms, /api/members and /api/jobs: who is where, and rooms entered and left as jobs."""

from __future__ import annotations

from typing import Any

import pytest

from shared.domain.errors import Unreachable
from tests.functions.admin import wrong
from tests.functions.admin.test_invites import wrong_field
from tests.functions.served import Service, names, problem, walk
from tests.world import World

ADA = "@ada:fake.test"
INVITE: dict[str, Any] = {"matrix_id": ADA, "rooms": ["#ops:fake.test"]}
REMOVE: dict[str, Any] = INVITE | {"reason": "left the club"}


def body_for(act: str) -> dict[str, Any]:
    return INVITE if act == "invite" else REMOVE


async def job_of(service: Service, job: str) -> dict[str, Any]:
    answer = await service.api("GET", f"/api/jobs/{job}")
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


@pytest.mark.parametrize("limit", [1, 3, 200])
async def test_the_rooms_page_by_page(service: Service, world: World, limit: int) -> None:
    """Every room of the bot exactly once, by name."""
    for name in ("Ops", "garden", "Art", "boats", "Zoo", "cooking"):
        world.homeserver.add_room(name)
    found = [room["name"] for room in await walk(service, "/api/rooms", limit)]
    assert found == ["Art", "boats", "cooking", "garden", "INDOC", "Ops", "Zoo"]


async def test_the_rooms_are_remembered(service: Service, world: World) -> None:
    """Pages after the first ask the homeserver nothing."""
    await service.api("GET", "/api/rooms")
    before = len(world.homeserver.calls)
    await service.api("GET", "/api/rooms?limit=1")
    assert len(world.homeserver.calls) == before


async def test_the_rooms_of_a_member(service: Service, world: World) -> None:
    """Live: the rooms that they have joined, not those to which they are only invited."""
    ops, art = world.homeserver.add_room("Ops"), world.homeserver.add_room("Art")
    world.homeserver.join(ADA, ops)
    world.homeserver.homes[art].members[ADA] = "invite"
    answer = await service.api("GET", f"/api/members/{ADA}/rooms")
    assert [room["room_id"] for room in answer.json()["items"]] == [ops]
    assert (await service.api("GET", "/api/members/@nobody:fake.test/rooms")).json()["items"] == []


async def test_a_member_whose_name_has_a_slash(service: Service, world: World) -> None:
    """A slash is allowed in a Matrix id, and a path may say it as %2F."""
    ops = world.homeserver.add_room("Ops")
    world.homeserver.join("@ada/bee:fake.test", ops)
    answer = await service.api("GET", "/api/members/%40ada%2Fbee%3Afake.test/rooms")
    assert [room["room_id"] for room in answer.json()["items"]] == [ops]


@pytest.mark.parametrize(
    "name", ["ada", "@ada", "@ada:", "@a b:x.test", "%00", "@%00:x.test", "@josé:x.test", "x" * 300]
)
async def test_no_matrix_id(service: Service, name: str) -> None:
    """What is no Matrix id is a 400 on `matrix_id`."""
    assert names(problem(await service.api("GET", f"/api/members/{name}/rooms"), 400)) == ["matrix_id"]


async def test_invited_as_a_job(service: Service, world: World) -> None:
    """A job has an item for each room, each with its own outcome; the audit names admin, member and rooms."""
    ops = world.homeserver.add_room("Ops", alias="ops")
    wanted = {"matrix_id": ADA, "rooms": ["#ops:fake.test", "!nowhere:fake.test", "#ops:fake.test"]}
    started = await service.api("POST", "/api/rooms/invite", json=wanted)
    assert started.status_code == 202, started.text
    job = started.json()["job"]
    assert [item["room"] for item in job["items"]] == ["#ops:fake.test", "!nowhere:fake.test"]
    await service.work()
    job = await job_of(service, job["id"])
    states = {item["room"]: item["state"] for item in job["items"]}
    assert (job["state"], states) == ("failed", {"#ops:fake.test": "done", "!nowhere:fake.test": "failed"})
    assert all(item["cause"] and item["fix"] for item in job["items"] if item["state"] == "failed")
    assert world.homeserver.homes[ops].members[ADA] == "invite"
    [record] = await service.audit("rooms.invite")
    assert (record["actor"], record["target"]) == ("key:ops", ADA)


async def test_removed_from_named_rooms(service: Service, world: World) -> None:
    """They are out of the rooms named and of no other; where they never were is said so."""
    ops, art = world.homeserver.add_room("Ops", alias="ops"), world.homeserver.add_room("Art", alias="art")
    empty = world.homeserver.add_room("Empty")
    for room in (ops, art):
        world.homeserver.join(ADA, room)
    started = await service.api("POST", "/api/rooms/remove", json=REMOVE | {"rooms": ["#ops:fake.test", empty]})
    await service.work()
    job = await job_of(service, started.json()["job"]["id"])
    assert (job["state"], sorted(item["state"] for item in job["items"])) == ("done", ["done", "skipped"])
    assert job["finished_at"]
    assert [world.homeserver.homes[room].members[ADA] for room in (ops, art)] == ["leave", "join"]
    assert world.homeserver.called("kick") == [(ops, ADA, "left the club")]


async def test_removed_from_everywhere(service: Service, world: World) -> None:
    """Without `rooms`: every room of the bot they are in, as the homeserver says at that moment."""
    inside = [world.homeserver.add_room(name) for name in ("Ops", "Art")]
    world.homeserver.add_room("Other")
    for room in inside:
        world.homeserver.join(ADA, room)
    started = await service.api("POST", "/api/rooms/remove", json={"matrix_id": ADA, "reason": "left"})
    assert sorted(item["room"] for item in started.json()["job"]["items"]) == sorted(inside)
    await service.work()
    assert all(world.homeserver.homes[room].members[ADA] == "leave" for room in inside)


async def test_removed_from_nowhere(service: Service) -> None:
    """Somebody who is in no room: a job with nothing to do, which is done."""
    started = await service.api("POST", "/api/rooms/remove", json={"matrix_id": ADA, "reason": "left"})
    assert (started.status_code, started.json()["job"]["state"]) == (202, "done")


@pytest.mark.parametrize(
    ("act", "field"),
    [
        *(("invite", field) for field in wrong.ROOMS_INVITE),
        *(("remove", field) for field in wrong.ROOMS_REMOVE),
    ],
)
async def test_a_wrong_field(service: Service, act: str, field: str) -> None:
    """Every wrong value of every field is a 400 that names the field, and no job is made."""
    table = wrong.ROOMS_INVITE if act == "invite" else wrong.ROOMS_REMOVE
    for value in table[field]:
        await wrong_field(service, "POST", f"/api/rooms/{act}", body_for(act) | {field: value}, field)


@pytest.mark.parametrize("act", ["invite", "remove"])
async def test_trying_it_does_nothing(service: Service, world: World, act: str) -> None:
    """`dry_run` shows the job that would be, and there is none."""
    world.homeserver.join(ADA, world.homeserver.add_room("Ops", alias="ops"))
    before = service.acts()
    answer = await service.api("POST", f"/api/rooms/{act}?dry_run=true", json=body_for(act))
    assert (answer.status_code, len(answer.json()["job"]["items"])) == (202, 1)
    problem(await service.api("GET", f"/api/jobs/{answer.json()['job']['id']}"), 404)
    assert service.acts() == before


@pytest.mark.parametrize("act", ["invite", "remove"])
async def test_the_same_key_is_the_same_job(service: Service, world: World, act: str) -> None:
    """A repeat with its Idempotency-Key is the first job, wherever it stands; another body is a 409."""
    world.homeserver.join(ADA, world.homeserver.add_room("Ops", alias="ops"))
    headers = {"Idempotency-Key": "k"}
    first = await service.api("POST", f"/api/rooms/{act}", json=body_for(act), headers=headers)
    await service.work()
    before = service.acts()
    again = await service.api("POST", f"/api/rooms/{act}", json=body_for(act), headers=headers)
    assert (again.status_code, again.json()["job"]["id"]) == (202, first.json()["job"]["id"])
    assert again.json()["job"]["state"] == "done"
    other = body_for(act) | {"matrix_id": "@bee:fake.test"}
    problem(await service.api("POST", f"/api/rooms/{act}", json=other, headers=headers), 409)
    assert service.acts() == before


@pytest.mark.parametrize(
    "room", ["!" + "x" * 254, "#" + "\u00e9" * 240 + ":fake.test", "#a/b%2F:fake.test", "#" + "/" * 200 + ":x"]
)
async def test_rooms_with_odd_names(service: Service, room: str) -> None:
    """However long or odd a room's name is, its step runs and ends, and can be named."""
    started = await service.api("POST", "/api/rooms/invite", json={"matrix_id": ADA, "rooms": [room]})
    assert started.status_code == 202, started.text
    await service.work()
    [item] = (await job_of(service, started.json()["job"]["id"]))["items"]
    assert (item["room"], item["state"]) == (room, "failed")


@pytest.mark.parametrize("name", ["job_unknown", "x" * 300, "%00", "__name__"])
async def test_an_unknown_job(service: Service, name: str) -> None:
    """An id that is none of ours is a 404."""
    problem(await service.api("GET", f"/api/jobs/{name}"), 404)


async def test_matrix_is_down(service: Service, world: World) -> None:
    """A homeserver that does not answer is a 503 for what is read live, and nothing is kept of it."""
    world.homeserver.fail_next(Unreachable("matrix", "no answer within 10 s"), times=9)
    for method, path, body in (
        ("GET", "/api/rooms", {}),
        ("GET", f"/api/members/{ADA}/rooms", {}),
        ("POST", "/api/rooms/remove", {"json": {"matrix_id": ADA, "reason": "left"}}),
    ):
        problem(await service.api(method, path, **body), 503)
    world.homeserver._planned.clear()
    assert (await service.api("GET", "/api/rooms")).status_code == 200
