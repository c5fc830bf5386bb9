"""/api/removal_reasons, /api/users/{pk}/offboard and /api/indoc: leaving, in the admin's hands."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from shared.domain.errors import Unreachable
from shared.services import where
from tests.functions.admin import wrong
from tests.functions.admin.test_invites import wrong_field
from tests.functions.admin.test_rooms import job_of
from tests.functions.served import Service, names, problem, walk
from tests.world import World

ADA = "@ada:fake.test"
REASON: dict[str, Any] = {"label": "Rules", "reason": "{username} broke rule 3", "message": "Goodbye, {name}."}
OFFBOARD: dict[str, Any] = {"reason": "left the club"}


async def stored(service: Service, name: str = "rules", **changes: Any) -> None:
    answer = await service.api("PUT", f"/api/removal_reasons/{name}", json=REASON | changes)
    assert answer.status_code == 200, answer.text


# ------------------------------------------------------------------ reasons


async def test_reasons(service: Service) -> None:
    """Put, read, listed page by page, deleted."""
    for number in range(3):
        await stored(service, f"r{number}", label=f"Label {number}")
    assert [each["id"] for each in await walk(service, "/api/removal_reasons", 2)] == ["r0", "r1", "r2"]
    one = (await service.api("GET", "/api/removal_reasons/r1")).json()
    assert (one["label"], one["reason"], one["updated_by"]) == ("Label 1", REASON["reason"], "key:ops")
    assert (await service.api("DELETE", "/api/removal_reasons/r1")).status_code == 204
    problem(await service.api("GET", "/api/removal_reasons/r1"), 404)
    problem(await service.api("DELETE", "/api/removal_reasons/r1"), 404)


async def test_trying_a_reason(service: Service) -> None:
    """A dry run shows what would be stored, and nothing is."""
    answer = await service.api("PUT", "/api/removal_reasons/rules?dry_run=true", json=REASON)
    assert answer.json()["reason"] == REASON["reason"]
    assert await service.stored("removal_reasons") == []


@pytest.mark.parametrize("name", ["Rules", "a b", "-a", "x" * 61, "%00", "a.b"])
async def test_an_id_that_will_not_do(service: Service, name: str) -> None:
    """An id has lower-case letters, digits, dashes and underscores."""
    problem(await service.api("PUT", f"/api/removal_reasons/{name}", json=REASON), 400)


@pytest.mark.parametrize(
    ("method", "path", "table", "body"),
    [
        *(("PUT", "/api/removal_reasons/rules", field, REASON) for field in wrong.REASON),
        *(("POST", "/api/users/2/offboard", field, OFFBOARD) for field in wrong.OFFBOARD),
        *(("POST", f"/api/indoc/{ADA}/pause", field, {}) for field in wrong.PAUSE),
    ],
)
async def test_a_wrong_field(service: Service, method: str, path: str, table: str, body: dict[str, Any]) -> None:
    """Every wrong value of every field is a 400 that names it."""
    service.world.authentik.add_account("ada")
    values = wrong.REASON if "reasons" in path else wrong.OFFBOARD if "offboard" in path else wrong.PAUSE
    for value in values[table]:
        if value is None and table in ("hours", "until"):
            continue
        await wrong_field(service, method, path, body | {table: value}, table)


# ------------------------------------------------------------------ removals and off-boarding


async def test_removed_with_a_template_and_a_message(service: Service, world: World) -> None:
    """The job shows the words as they were sent, and each step as it ended."""
    await stored(service)
    ops = world.homeserver.add_room("Ops", members={ADA: "join"})
    started = await service.api("POST", "/api/rooms/remove", json={"matrix_id": ADA, "template": "rules"})
    assert started.status_code == 202, started.text
    await service.work()
    job = await job_of(service, started.json()["job"]["id"])
    assert (job["state"], job["reason"], job["message"]) == ("done", "ada broke rule 3", "Goodbye, ada.")
    assert [(item["kind"], item["state"]) for item in job["items"]] == [
        ("removal_message", "done"),
        ("removal", "done"),
    ]
    assert world.homeserver.called("kick") == [(ops, ADA, "ada broke rule 3")]


async def test_neither_reason_nor_template(service: Service) -> None:
    """One of them there must be; a template that is not there is named."""
    assert names(problem(await service.api("POST", "/api/rooms/remove", json={"matrix_id": ADA}), 400)) == ["reason"]
    body = {"matrix_id": ADA, "template": "none"}
    assert names(problem(await service.api("POST", "/api/rooms/remove", json=body), 400)) == ["template"]


async def test_off_boarded(service: Service, world: World) -> None:
    """A job: the account first, then each room; one audit record names the admin."""
    account = world.authentik.add_account("ada")
    ops = world.homeserver.add_room("Ops", members={ADA: "join"})
    path = f"/api/users/{account.pk}/offboard"
    before = service.acts()
    dry = await service.api("POST", f"{path}?dry_run=true", json=OFFBOARD)
    assert [item["kind"] for item in dry.json()["job"]["items"]] == ["deactivate", "removal"]
    assert service.acts() == before
    started = await service.api("POST", path, json=OFFBOARD, headers={"Idempotency-Key": "k"})
    assert started.status_code == 202, started.text
    await service.work()
    job = await job_of(service, started.json()["job"]["id"])
    assert (job["state"], job["kind"], job["matrix_id"]) == ("done", "offboard", ADA)
    assert (await world.authentik.account(account.pk)).active is False
    assert world.homeserver.homes[ops].members[ADA] == "leave"
    again = await service.api("POST", path, json=OFFBOARD, headers={"Idempotency-Key": "k"})
    assert again.json()["job"]["id"] == job["id"]
    [record] = await service.audit("user.offboard")
    assert (record["actor"], record["detail"]["pk"]) == ("key:ops", account.pk)


async def test_nobody_to_off_board(service: Service) -> None:
    """An account that is not there is a 404."""
    problem(await service.api("POST", "/api/users/4711/offboard", json=OFFBOARD), 404)


async def test_the_rooms_of_a_member_from_the_cache(service: Service, world: World, monkeypatch: Any) -> None:
    """Live it says so; where the homeserver does not answer and nothing is cached, the problem is told."""
    answer = await service.api("GET", f"/api/members/{ADA}/rooms")
    assert (answer.json()["live"], answer.json()["age_seconds"]) == (True, None)
    world.homeserver.fail_next(Unreachable("matrix", "no answer"), times=9)
    problem(await service.api("GET", f"/api/members/{ADA}/rooms"), 503)
    assert where.Whereabouts([], live=False, age_seconds=5.0).age_seconds == 5.0


# ------------------------------------------------------------------ INDOC


async def test_who_is_in_indoc(service: Service, world: World) -> None:
    """Everybody there once, page by page, the longest first; with the clock off nothing is to come of them."""
    for name in ("ada", "bob", "cleo"):
        world.arrive(name)
        world.pause(hours=1)
    found = await walk(service, "/api/indoc", 2)
    people = [each["matrix_id"] for each in found]
    assert sorted(people) == ["@ada:fake.test", "@bob:fake.test", "@cleo:fake.test", "@muster:fake.test"]
    assert people.index("@ada:fake.test") < people.index("@bob:fake.test") < people.index("@cleo:fake.test")
    ada = next(each for each in found if each["matrix_id"] == ADA)
    assert (ada["state"], ada["hours"], ada["nudge_at"], ada["remove_at"]) == ("waiting", 3.0, None, None)
    body = (await service.api("GET", "/api/indoc")).json()
    assert (body["clock"], body["nudge_hours"], body["remove_hours"]) == ("off", 20.0, 24.0)


async def test_the_clock_runs(service: Service, world: World) -> None:
    """Switched on, each has the times that are to come."""
    service.env |= {"INDOC_CLOCK": "on", "INDOC_NUDGE_HOURS": "2", "INDOC_REMOVE_HOURS": "3"}
    world.arrive("ada")
    came = world.now()
    item = next(each for each in (await service.api("GET", "/api/indoc")).json()["items"] if each["matrix_id"] == ADA)
    assert item["nudge_at"] == f"{came + timedelta(hours=2):%Y-%m-%dT%H:%M:%SZ}"
    assert item["remove_at"] == f"{came + timedelta(hours=3):%Y-%m-%dT%H:%M:%SZ}"


async def test_paused_and_resumed(service: Service, world: World) -> None:
    """For hours, until a time, or until somebody lets it run; each audited, a dry run does nothing."""
    world.arrive("ada")
    path = f"/api/indoc/{ADA}"
    dry = (await service.api("POST", f"{path}/pause?dry_run=true")).json()
    assert (dry["paused"], dry["until"], await service.stored("indoc_pauses")) == (True, None, [])
    for body in ({}, {"hours": 5}, {"until": f"{world.now() + timedelta(days=2):%Y-%m-%dT%H:%M:%SZ}"}):
        world.pause(seconds=1)
        paused = (await service.api("POST", f"{path}/pause", json=body)).json()
        assert (paused["paused"], paused["by"], bool(paused["until"])) == (True, "key:ops", bool(body))
    item = next(each for each in (await service.api("GET", "/api/indoc")).json()["items"] if each["matrix_id"] == ADA)
    assert item["state"] == "paused"
    assert (await service.api("POST", f"{path}/resume")).json()["paused"] is False
    assert (await service.api("POST", f"{path}/resume")).json()["paused"] is False
    assert (len(await service.audit("indoc.pause")), len(await service.audit("indoc.resume"))) == (3, 1)


async def test_pauses_that_make_no_sense(service: Service, world: World) -> None:
    """No Matrix id, a time that is past or far away, two ends at once: named."""
    assert names(problem(await service.api("POST", "/api/indoc/ada/pause"), 400)) == ["matrix_id"]
    for until in (world.now() - timedelta(hours=1), world.now() + timedelta(days=400)):
        body = {"until": f"{until:%Y-%m-%dT%H:%M:%SZ}"}
        assert names(problem(await service.api("POST", f"/api/indoc/{ADA}/pause", json=body), 400)) == ["until"]
    body = {"until": f"{world.now() + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}", "hours": 2}
    problem(await service.api("POST", f"/api/indoc/{ADA}/pause", json=body), 400)


async def test_no_indoc_at_all(service: Service, world: World) -> None:
    """Where there is no entry room nobody is in it."""
    service.env |= {"MATRIX_INDOC_ROOM_ID": ""}
    world.policy = replace(world.policy, indoc="")
    body = (await service.api("GET", "/api/indoc")).json()
    assert (body["items"], body["total"]) == ([], 0)
