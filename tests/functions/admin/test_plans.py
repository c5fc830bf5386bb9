"""/api/plans: computed, read page by page, applied and undone, as the admin page calls them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.functions.admin.test_invites import wrong_field
from tests.functions.served import Service, names, problem, walk
from tests.world import DOMAIN, World

PLAN: dict[str, list[Any]] = {
    "bundles": [None, "garden", [""], [5], ["no such"], [f"b{n}" for n in range(51)]],
    "groups": [None, "staff", [""], [5], ["no such"], ["g" * 101]],
    "matrix_ids": [None, "@ada:fake.test", [""], ["ada"], ["!room:fake.test"], [5], ["@a:b.test"] * 1001],
    "extra": [1],
}
APPLY: dict[str, list[Any]] = {
    "lines": [None, "every", "", [], [""], [5], ["!"], ["abc"], ["x" * 65], {}],
    "all_of": [None, "invite", ["keep"], ["kick"], [5], ["invite"] * 5],
    "without": [None, "all", ["!"], [5], ["x" * 65]],
    "removals": [-1, 1.5, "3", True, 10**9, []],
    "extra": [1],
}


async def planned(service: Service, members: int = 2) -> dict[str, Any]:
    """Everybody of a group is to be in a room where nobody is."""
    world = service.world
    world.homeserver.add_room("Ops", alias="ops")
    group = world.authentik.add_group("staff")
    for number in range(members):
        account = world.authentik.add_account(f"m{number}")
        await world.authentik.add_to_group(group, account.pk)
    body = {"name": "Staff", "rooms": [f"#ops:{DOMAIN}"], "for_groups": ["staff"], "removes": True}
    assert (await service.api("POST", "/api/bundles", json=body)).status_code == 201
    answer = await service.api("POST", "/api/plans", json={})
    assert answer.status_code == 201, answer.text
    plan: dict[str, Any] = answer.json()
    return plan


async def state(service: Service, path: str) -> str:
    return str((await service.api("GET", path)).json()["state"])


async def test_planned_applied_undone(service: Service, world: World) -> None:
    """The whole way through the entry points, each act in the audit."""
    plan = await planned(service)
    path = f"/api/plans/{plan['id']}"
    assert (plan["state"], plan["counts"], plan["total"]) == ("planned", {"invite": 2}, 2)
    assert (await service.api("GET", path)).json() == plan
    lines = (await service.api("GET", f"{path}/lines")).json()["items"]
    assert [(line["action"], line["username"], line["room"]) for line in lines] == [
        ("invite", "m0", "Ops"),
        ("invite", "m1", "Ops"),
    ]
    started = await service.api("POST", f"{path}/apply", json={"lines": [lines[0]["id"]]})
    assert (started.status_code, started.json()["job"]["kind"]) == (202, "plan")
    await finished(service, started.json()["job"]["id"])
    [room] = [room for room in world.homeserver.homes.values() if room.name == "Ops"]
    assert room.members[f"@m0:{DOMAIN}"] == "invite"
    assert f"@m1:{DOMAIN}" not in room.members
    assert await state(service, path) == "applied"
    [part] = (await service.api("GET", f"/api/jobs?part_of={started.json()['job']['id']}&state=done")).json()["items"]
    assert part["matrix_id"] == f"@m0:{DOMAIN}"
    undone = await service.api("POST", f"{path}/undo")
    assert undone.status_code == 202, undone.text
    await finished(service, undone.json()["job"]["id"])
    assert room.members[f"@m0:{DOMAIN}"] == "leave"
    assert await state(service, path) == "undone"
    for action in ("create", "apply", "undo"):
        [record] = await service.audit(f"plan.{action}")
        assert (record["actor"], record["target"]) == ("key:ops", plan["id"])


async def finished(service: Service, job: str) -> None:
    """Tasks and sweeps until the job has come to its end."""
    for _ in range(20):
        await service.work()
        if await state(service, f"/api/jobs/{job}") in ("done", "failed"):
            return
        service.world.pause(minutes=2)
        await service.world.sweep()
    raise AssertionError("the job never ended")


async def test_a_try(service: Service, world: World) -> None:
    """Planning, applying and undoing can be tried; nothing is kept or done."""
    plan = await planned(service)
    before = service.acts()
    tried = await service.api("POST", "/api/plans?dry_run=true")
    assert (tried.status_code, tried.json()["counts"]) == (200, {"invite": 2})
    applied = await service.api("POST", f"/api/plans/{plan['id']}/apply?dry_run=true", json={"lines": "all"})
    assert (applied.status_code, len(applied.json()["job"]["items"])) == (202, 1)
    problem(await service.api("POST", f"/api/plans/{plan['id']}/undo?dry_run=true"), 409)
    assert service.acts() == before


@pytest.mark.parametrize("limit", [1, 2, 200])
async def test_lists(service: Service, limit: int) -> None:
    """Plans by age, lines by member, jobs by age: each once."""
    plan = await planned(service, members=5)
    service.world.pause(seconds=1)
    other = (await service.api("POST", "/api/plans", json={"groups": ["staff"]})).json()
    assert [each["id"] for each in await walk(service, "/api/plans", limit)] == [other["id"], plan["id"]]
    path = f"/api/plans/{plan['id']}/lines"
    assert [line["username"] for line in await walk(service, path, limit)] == [f"m{number}" for number in range(5)]
    assert await walk(service, path, limit, action="remove") == []
    await service.api("POST", f"/api/plans/{plan['id']}/apply", json={"lines": "all"})
    assert [job["kind"] for job in await walk(service, "/api/jobs", limit)] == ["plan"]


async def test_wrong_cursors_of_lines(service: Service) -> None:
    """What is no place in this plan is a 400."""
    plan = await planned(service)
    for cursor in ("x", "0", "-", "0-2", "1-0", "0-99999999", "-1-0", "%00", "²-1", "x" * 2001):
        answer = await service.api("GET", f"/api/plans/{plan['id']}/lines?cursor={cursor}")
        assert names(problem(answer, 400)) == ["cursor"], cursor
    problem(await service.api("GET", "/api/plans/plan_x/lines"), 404)
    assert names(problem(await service.api("GET", f"/api/plans/{plan['id']}/lines?action=kick"), 400)) == ["action"]


@pytest.mark.parametrize("field", PLAN)
async def test_a_wrong_field_of_a_plan(service: Service, field: str) -> None:
    """Every wrong value of every field is a 400 that names it, and no plan is made."""
    for value in PLAN[field]:
        await wrong_field(service, "POST", "/api/plans", {field: value}, field)


@pytest.mark.parametrize("field", APPLY)
async def test_a_wrong_field_of_an_apply(service: Service, field: str) -> None:
    """The same for saying yes."""
    plan = await planned(service)
    for value in APPLY[field]:
        body = {"lines": "all", field: value}
        await wrong_field(service, "POST", f"/api/plans/{plan['id']}/apply", body, field)
        if field == "lines" and value in ("every", []):
            said = problem(await service.api("POST", f"/api/plans/{plan['id']}/apply", json=body), 400)
            assert said["detail"] == 'lines: expected "all", or 1 to 20000 ids of lines'
        if field != "lines":
            await wrong_field(service, "POST", f"/api/plans/{plan['id']}/undo", {field: value}, field)


async def test_more_than_ten_removals(service: Service, world: World) -> None:
    """A 409 that says the number to send, and does nothing."""
    plan = await planned(service)
    [room] = [room for room in world.homeserver.homes.values() if room.name == "Ops"]
    for number in range(11):
        world.authentik.add_account(f"old{number}")
        world.homeserver.join(f"@old{number}:{DOMAIN}", room.room_id)
    plan = (await service.api("POST", "/api/plans", json={})).json()
    assert plan["counts"] == {"invite": 2, "remove": 11}
    answer = await service.api("POST", f"/api/plans/{plan['id']}/apply", json={"lines": "all"})
    assert '"removals": 11' in problem(answer, 409)["fix"]
    answer = await service.api("POST", f"/api/plans/{plan['id']}/apply", json={"lines": "all", "removals": 11})
    assert answer.status_code == 202


async def test_ticked_by_kind(service: Service, world: World) -> None:
    """All lines of a kind but some need no list of the others; what is named wrongly, or nothing at all, is refused."""
    plan = await planned(service, 4)
    path = f"/api/plans/{plan['id']}"
    lines = (await service.api("GET", f"{path}/lines")).json()["items"]
    for nothing in ({}, {"without": [lines[0]["id"]]}, {"all_of": []}):
        assert names(problem(await service.api("POST", f"{path}/apply", json=nothing), 400)) == ["lines"]
    body = {"all_of": ["level"], "lines": ["abcdef"]}
    assert names(problem(await service.api("POST", f"{path}/apply", json=body), 400)) == ["lines"]
    body = {"all_of": ["invite", "remove"], "without": [lines[1]["id"]], "removals": 0}
    started = await service.api("POST", f"{path}/apply", json=body)
    assert started.status_code == 202, started.text
    assert (await service.api("GET", path)).json()["applied"] == {"invite": 3}
    await finished(service, started.json()["job"]["id"])
    [room] = [room for room in world.homeserver.homes.values() if room.name == "Ops"]
    assert "@m1:fake.test" not in room.members
    assert [room.members[f"@m{number}:fake.test"] for number in (0, 2, 3)] == ["invite"] * 3


async def test_all_but_one(service: Service) -> None:
    """ "all" without some lines is all of the others."""
    plan = await planned(service, 3)
    path = f"/api/plans/{plan['id']}"
    lines = (await service.api("GET", f"{path}/lines")).json()["items"]
    body = {"lines": "all", "without": [lines[0]["id"]]}
    assert (await service.api("POST", f"{path}/apply", json=body)).status_code == 202
    assert (await service.api("GET", path)).json()["applied"] == {"invite": 2}
