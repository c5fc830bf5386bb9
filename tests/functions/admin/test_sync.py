"""/api/sync, and the lists that come from the cache."""

from __future__ import annotations

import io
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.errors import Unreachable
from shared.domain.syncs import Sync
from shared.services import cache
from shared.services.shards import SYNCS
from tests.functions.conftest import lines
from tests.functions.served import Service, names, problem, walk
from tests.functions.tokens import SCHEDULER_ACCOUNT
from tests.world import World

ADA = "@ada:fake.test"


async def scheduled(service: Service) -> Any:
    token = service.issuer.task("sync_directory", email=SCHEDULER_ACCOUNT)
    answer = await service.send("sync_directory", "POST", "/", token)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def synced(service: Service) -> dict[str, Any]:
    answer = await service.api("GET", "/api/sync")
    assert answer.status_code == 200, answer.text
    return {item["source"]: item for item in answer.json()["items"]}


async def test_the_schedule_fills_the_cache(service: Service, world: World) -> None:
    """One scheduled run syncs both sources; then each says how old it is, computed when it is read."""
    assert [item["synced_at"] for item in (await synced(service)).values()] == [None, None]
    world.authentik.add_account("ada")
    told = await scheduled(service)
    assert {source: report["kind"] for source, report in told.items()} == {"authentik": "full", "matrix": "full"}
    world.pause(seconds=42)
    for source, item in (await synced(service)).items():
        assert item["age_seconds"] == 42.0
        assert (item["running"], item["progress"], item["cause"]) == (False, None, "")
        assert item["counts"] == (
            {"users": 1, "groups": 0} if source == "authentik" else {"rooms": 1, "memberships": 1}
        )
    assert await scheduled(service) == {}


async def test_an_admin_asks(service: Service, world: World) -> None:
    """Both sources become tasks, the audit says who asked; within the cool-down it is a 429 that says how long."""
    answer = await service.api("POST", "/api/sync")
    assert answer.status_code == 202, answer.text
    assert sorted(task.payload["source"] for task in world.queue.tasks.values()) == ["authentik", "matrix"]
    body = problem(await service.api("POST", "/api/sync", json={"source": "matrix"}), 429)
    assert body["retry_after"] == 30.0
    await service.work()
    assert all(item["age_seconds"] == 0 for item in (await synced(service)).values())
    world.pause(seconds=31)
    assert (await service.api("POST", "/api/sync", json={"source": "matrix", "kind": "full"})).status_code == 202
    [task] = world.queue.tasks.values()
    assert (task.payload["source"], task.payload["kind"]) == ("matrix", "full")
    records = (await service.api("GET", "/api/audit")).json()["items"]
    assert [(record["action"], record["target"]) for record in records] == [
        ("sync.start", "matrix"),
        ("sync.start", "authentik,matrix"),
    ]


async def test_the_retry_header(service: Service) -> None:
    """The refusal says in its header too when to ask again."""
    await service.api("POST", "/api/sync")
    assert (await service.api("POST", "/api/sync")).headers["retry-after"] == "30"


async def test_asking_for_show(service: Service, world: World) -> None:
    """Trying it does nothing, and is refused where the real one would be."""
    for _ in range(2):
        assert (await service.api("POST", "/api/sync?dry_run=true")).status_code == 202
    assert world.queue.tasks == {}
    assert (await service.api("GET", "/api/audit")).json()["items"] == []
    await service.api("POST", "/api/sync")
    problem(await service.api("POST", "/api/sync?dry_run=true"), 429)


@pytest.mark.parametrize(("field", "value"), [("source", "ldap"), ("kind", "half"), ("source", 1), ("sauce", "matrix")])
async def test_a_wrong_wish(service: Service, field: str, value: Any) -> None:
    """A source, kind or field that there is not is named."""
    assert names(problem(await service.api("POST", "/api/sync", json={field: value}), 400)) == [field]


async def test_a_queue_that_is_down(service: Service, world: World) -> None:
    """What could not be handed over may be asked for again at once."""
    world.queue.fail_next()
    problem(await service.api("POST", "/api/sync", json={"source": "matrix"}), 503)
    assert (await service.api("POST", "/api/sync", json={"source": "matrix"})).status_code == 202


async def test_a_task_of_another_format(service: Service) -> None:
    """A source or kind that there is not is a 400, and Cloud Tasks sees it in the log."""
    for body in ({"source": "ldap"}, {"source": "matrix", "kind": 3}):
        problem(await service.task("sync_directory", body), 400)


async def test_a_neighbour_that_is_down(service: Service, world: World) -> None:
    """As a task it is tried again, for its own; by the schedule it is told, and the other source is done."""
    down = Unreachable("authentik", "no answer within 10 s", "Look at Authentik.")
    world.authentik.fail("accounts", down, times=2)
    assert (await service.task("sync_directory", {"source": "authentik"})).status_code == 500
    told = await scheduled(service)
    assert told["authentik"] == "no answer within 10 s"
    assert told["matrix"]["done"]
    item = (await synced(service))["authentik"]
    assert (item["cause"], item["fix"]) == ("no answer within 10 s", "Look at Authentik.")


async def test_two_at_once(service: Service, world: World) -> None:
    """A task for a source that is being synced is tried again later, and slows no queue down."""
    claim = Sync(source="matrix", running_until=world.now() + timedelta(seconds=60))
    await world.documents.write(SYNCS.create(claim, "matrix"))
    problem(await service.task("sync_directory", {"source": "matrix"}), 409)
    assert (await synced(service))["matrix"]["running"]


# ------------------------------------------------------------------ lists


@pytest.mark.parametrize("limit", [1, 7, 200])
async def test_users_from_the_cache(service: Service, world: World, limit: int) -> None:
    """Every account exactly once, without a call of Authentik, with the list's age."""
    pks = [world.authentik.add_account(f"member{number}").pk for number in range(23)]
    await scheduled(service)
    world.authentik.calls.clear()
    world.pause(seconds=5)
    assert [item["pk"] for item in await walk(service, "/api/users", limit)] == pks
    page = (await service.api("GET", "/api/users", params={"limit": limit})).json()
    assert (page["total"], page["age_seconds"]) == (23, pytest.approx(5, abs=2))
    assert world.authentik.calls == []


async def test_finding_somebody_in_the_cache(service: Service, world: World) -> None:
    """By words in any field, by activity, by group, and by all of it together, as Authentik itself would."""
    group = world.authentik.add_group("staff")
    accounts = [
        world.authentik.add_account(name, full, f"{name}@x.test", {"matrix_id": f"@{name}.m:fake.test"})
        for name, full in (("ada", "Ada Łukasz"), ("bee", "Bee"), ("ada2", "Ada the Second"))
    ]
    for account in accounts[:2]:
        await world.authentik.add_to_group(group, account.pk)
    await world.authentik.update_account(accounts[1].pk, active=False)
    await scheduled(service)
    world.authentik.calls.clear()
    for query, found in (
        ({"q": "ada"}, ["ada", "ada2"]),
        ({"q": "second ADA"}, ["ada2"]),
        ({"q": "łukasz"}, ["ada"]),
        ({"q": "bee.m:fake"}, ["bee"]),
        ({"group": "staff"}, ["ada", "bee"]),
        ({"active": "false"}, ["bee"]),
        ({"active": "true", "group": "staff", "q": "AD"}, ["ada"]),
        ({"q": "", "active": "", "group": ""}, ["ada", "bee", "ada2"]),
    ):
        answer = await service.api("GET", "/api/users", params=query)
        assert [item["username"] for item in answer.json()["items"]] == found, query
    item = (await service.api("GET", "/api/users?q=łukasz")).json()["items"][0]
    assert (item["groups"], item["matrix_id"], item["active"]) == (["staff"], "@ada.m:fake.test", True)
    assert item["onboarding"].startswith("ob_")
    assert world.authentik.calls == []


async def test_somebody_new(service: Service, world: World) -> None:
    """Whom the cache does not know yet is asked for in Authentik; when that is down, nobody is found."""
    await scheduled(service)
    world.authentik.add_account("ada")
    assert [item["username"] for item in (await service.api("GET", "/api/users?q=ada")).json()["items"]] == ["ada"]
    world.authentik.fail("accounts", Unreachable("authentik", "down"))
    assert (await service.api("GET", "/api/users?q=bee")).json()["total"] == 0
    assert names(problem(await service.api("GET", "/api/users?group=nobody"), 400)) == ["group"]


@pytest.mark.parametrize("cursor", ["after-x", "after-", "after-99999999999", "1-x", "x"])
async def test_a_cursor_of_nothing(service: Service, world: World, cursor: str) -> None:
    """A cursor that no list has given is a 400 on it."""
    world.authentik.add_account("ada")
    await scheduled(service)
    assert names(problem(await service.api("GET", "/api/users", params={"cursor": cursor}), 400)) == ["cursor"]


async def test_an_admin_sees_what_they_did(service: Service, world: World) -> None:
    """After a change by Muster the list is Authentik's own until a sync has seen it, which is asked for within seconds."""
    ada = world.authentik.add_account("ada")
    world.authentik.add_group("staff")
    await scheduled(service)
    world.pause(minutes=90)
    await scheduled(service)
    await service.api("PATCH", f"/api/users/{ada.pk}", json={"groups": ["staff"]})
    [item] = (await service.api("GET", "/api/users")).json()["items"]
    assert item["groups"] == ["staff"]
    [task] = world.queue.tasks.values()
    assert (task.entry_point, dict(task.payload)) == (
        "sync_directory",
        {"v": 1, "source": "authentik", "kind": "light"},
    )
    world.pause(seconds=6)
    await service.work()
    world.authentik.calls.clear()
    [item] = (await service.api("GET", "/api/users")).json()["items"]
    assert (item["groups"], world.authentik.calls) == (["staff"], [])


async def test_many_changes_are_one_sync(service: Service, world: World) -> None:
    """What is changed within some seconds is one task; where nothing is cached, none."""
    accounts = [world.authentik.add_account(f"member{number}") for number in range(4)]
    await service.api("POST", f"/api/users/{accounts[0].pk}/deactivate")
    assert world.queue.tasks == {}
    await scheduled(service)
    for account in accounts:
        await service.api("POST", f"/api/users/{account.pk}/deactivate")
    assert len(world.queue.tasks) == 1


async def test_an_act_is_done_though_no_sync_could_be_asked_for(service: Service, world: World) -> None:
    """A queue that is down makes no act fail."""
    ada = world.authentik.add_account("ada")
    await scheduled(service)
    world.queue.fail_next(10)
    assert (await service.api("POST", f"/api/users/{ada.pk}/deactivate")).status_code == 200


async def test_a_job_is_followed_by_a_sync(service: Service, world: World) -> None:
    """Once a job has ended, the cache follows."""
    room = world.homeserver.add_room("Ops")
    await scheduled(service)
    await service.api("POST", "/api/rooms/invite", json={"matrix_id": ADA, "rooms": [room]})
    await service.work()
    world.pause(seconds=6)
    await service.work()
    where = await cache.memberships(world)
    assert where is not None
    assert where.invited_to(room) == {ADA}


async def test_rooms_from_the_cache(service: Service, world: World) -> None:
    """By name, without a call of the homeserver, with the list's age and what a room says of itself."""
    for name in ("Ops", "garden", "Art"):
        world.homeserver.add_room(name, topic=f"about {name}", encrypted=True, members={ADA: "join"})
    await scheduled(service)
    world.homeserver.calls.clear()
    found = await walk(service, "/api/rooms", 2)
    assert [room["name"] for room in found] == ["Art", "garden", "INDOC", "Ops"]
    assert (found[0]["topic"], found[0]["encrypted"], found[0]["members"]) == ("about Art", True, 2)
    assert (await service.api("GET", "/api/rooms")).json()["age_seconds"] < 2
    assert world.homeserver.calls == []


async def test_a_page_costs_few_reads(service: Service, world: World) -> None:
    """One read where the process has the cache already, three in a small community where it has not."""
    for number in range(30):
        world.authentik.add_account(f"member{number}")
    await scheduled(service)
    reads: list[str] = []
    get_many = world.documents.get_many

    async def counted(paths: Any) -> Any:
        reads.extend(paths)
        return await get_many(paths)

    world.documents.get_many = counted  # type: ignore[method-assign]
    for expected in (3, 1):
        reads.clear()
        await service.api("GET", "/api/users?q=member1")
        assert len([path for path in reads if not path.startswith("heartbeats")]) == expected


async def test_the_log_names_nobody(service: Service, world: World, logged: io.StringIO) -> None:
    """A sync's line in the log has counts and no names."""
    world.authentik.add_account("ada", email="ada@secret.test")
    await scheduled(service)
    said = [line for line in lines(logged) if line["message"] == "sync"]
    assert {line["source"] for line in said} == {"authentik", "matrix"}
    assert "secret.test" not in str(said)


async def test_a_room_that_was_upgraded(service: Service, world: World) -> None:
    """Once a sync has seen it, the list of rooms says by which one it was replaced."""
    old, new = world.homeserver.add_room("Hiking"), world.homeserver.add_room("Hiking")
    world.homeserver.homes[old].replacement = new
    await scheduled(service)
    rooms = (await service.api("GET", "/api/rooms")).json()["items"]
    assert {room["room_id"]: room["replaced_by"] for room in rooms if room["name"] == "Hiking"} == {old: new, new: ""}
