"""The sweep, as Cloud Scheduler calls it."""

from __future__ import annotations

import asyncio
from typing import Any

from shared.domain.errors import Unreachable
from tests.functions.admin.test_onboardings import onboarded, seen
from tests.functions.served import Service, problem
from tests.functions.tokens import SCHEDULER_ACCOUNT
from tests.world import World


async def sweep(service: Service) -> Any:
    token = service.issuer.task("resume_onboardings", email=SCHEDULER_ACCOUNT)
    answer = await service.send("resume_onboardings", "POST", "/", token)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_an_empty_house(service: Service) -> None:
    """With nothing to mend the report says so, and the self-check knows when it was."""
    report = await sweep(service)
    assert report["failed"] == {}
    assert set(report["done"].values()) == {0}
    items = (await service.api("GET", "/api/self-check")).json()["items"]
    assert [item["ok"] for item in items if item["name"] == "sweep"] == [True]


async def test_what_was_lost_is_found(service: Service, world: World) -> None:
    """Tasks that the queue lost are handed over anew."""
    world.homeserver.add_room("Ops", alias="ops")
    world.queue.swallow_next(50)
    onboarding = await onboarded(service, world)
    world.queue._losses = 0
    world.pause(minutes=5)
    assert (await sweep(service))["done"]["due_steps"] > 0
    await service.work()
    assert (await seen(service, onboarding))["steps"]["room:#ops:fake.test"]["state"] == "done"


async def test_who_the_webhook_missed(service: Service, world: World) -> None:
    """An enrollment that no webhook told of is begun by the sweep, and says so; nobody else is."""
    for count in range(5):
        world.authentik.add_account(f"old{count}")
    made = (await service.api("POST", "/api/invites", json={"label": "x"})).json()
    world.pause(minutes=1)
    world.authentik.enroll(made["code"], "ada")
    world.pause(minutes=5)
    assert (await sweep(service))["done"]["enrollments"] == 1
    [item] = (await service.api("GET", "/api/onboardings")).json()["items"]
    assert (item["member"]["username"], item["source"]) == ("ada", "sweep")
    assert (await sweep(service))["done"]["enrollments"] == 0


async def test_one_at_a_time(service: Service) -> None:
    """Of several at the same instant at least one sweeps, each is answered 200, and none is an error."""
    reports = await asyncio.gather(*(sweep(service) for _ in range(4)))
    assert all(report.get("failed") == {} or report == {"skipped": "another run is under way"} for report in reports)
    assert any("done" in report for report in reports)


async def test_a_part_that_cannot_be_done(service: Service, world: World) -> None:
    """Authentik being down is in the report; the other parts are done all the same."""
    world.authentik.fail("accounts", Unreachable("authentik", "no answer within 10 s"))
    report = await sweep(service)
    assert report["failed"] == {"enrollments": "no answer within 10 s"}
    assert "due_steps" in report["done"]


async def test_what_the_body_says_is_nothing(service: Service) -> None:
    """A scheduled run carries no data: whatever is sent along is not even read."""
    token = service.issuer.task("resume_onboardings")
    answer = await service.send("resume_onboardings", "POST", "/", token, content=b"\xff not json")
    assert answer.status_code == 200
    problem(await service.send("resume_onboardings", "GET", "/", token), 400)
