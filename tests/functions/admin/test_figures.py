"""/api/metrics and /api/costs: true, and as cheap for a hundred thousand members as for ten."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from benchmarks import counting
from benchmarks.counting import CountingDocuments
from shared.domain import costs
from shared.domain.onboarding import Onboarding, OnboardingState, Step
from shared.ports import Create
from shared.repositories import ONBOARDINGS
from shared.services import figures
from tests.functions.served import API_KEY, Service, problem
from tests.world import World


async def add(
    world: World, number: int, state: OnboardingState = "done", *, age: timedelta = timedelta(0), took: float = 60
) -> str:
    """An onboarding that began so long ago, with two rooms."""
    began = world.now() - age
    name = f"ob_{number:06}"
    made = Onboarding(
        id=name, source="api", account_pk=number, uid=f"u{number}", username=f"m{number}", name="M", created_at=began,
        state=state, finished_at=began + timedelta(seconds=took) if state == "done" else None,
    )  # fmt: skip
    parent = ONBOARDINGS.path(name)
    steps = [Step(parent=parent, name=f"room:{room}", kind="room", state="done") for room in "ab"]
    await world.documents.write(ONBOARDINGS.create(made, name), *(Create(each.path, each.data()) for each in steps))
    return name


async def read(service: Service, path: str) -> Any:
    answer = await service.api("GET", path)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture
def counted(service: Service, world: World) -> Counter[str]:
    """What is asked of the store, as Firestore bills it."""
    world.documents = CountingDocuments(world.documents)  # type: ignore[assignment]
    counting.COUNTS.clear()
    counting.COUNTS["other"] = Counter()
    return counting.COUNTS["other"]


async def test_nobody_yet(service: Service) -> None:
    """On the first day there are zeros, no quantile, and thirty empty days."""
    found = await read(service, "/api/metrics")
    assert found["by_state"] == dict.fromkeys(("running", "waiting", "held", "done", "failed"), 0)
    assert (found["time_to_home"], found["failures"]) == ({"count": 0, "p50": None, "p95": None}, [])
    assert [(day["begun"], day["home"]) for day in found["series"]] == [(0, 0)] * 30


async def test_how_everybody_is_doing(service: Service, world: World) -> None:
    """Onboardings by state, the time home, what steps wait for, and a day each of the latest thirty."""
    world.pause(days=1 - world.now().hour / 24, hours=1)
    for number, seconds in enumerate((10, 20, 30, 4000)):
        await add(world, number, took=seconds, age=timedelta(days=number))
    await add(world, 10, age=timedelta(days=40), took=900_000)
    await add(world, 12, "running")
    await add(world, 13, "held")
    found = await read(service, "/api/metrics")
    assert found["by_state"] == {"running": 1, "waiting": 0, "held": 1, "done": 5, "failed": 0}
    assert found["time_to_home"] == {"count": 4, "p50": 20.0, "p95": 4000.0}
    assert [day["begun"] for day in found["series"]][-4:] == [1, 1, 1, 3]
    assert sum(day["home"] for day in found["series"]) == 4
    assert found["series"][-1]["day"] == found["at"][:10] + "T00:00:00Z"


async def test_waiting_and_failing_by_reason(service: Service, world: World) -> None:
    """Steps that wait are counted by what for; failures are grouped by cause, with count, fix and an onboarding to look at."""
    for number in range(3):
        cause = f"@m{number}:fake.test is banned from 'Ops'"
        await _failing(world, number, cause, minutes=number)
    await _failing(world, 7, "the group is gone", minutes=9)
    await _waiting(world, 8, "person")
    await _waiting(world, 9, "matrix")
    found = await read(service, "/api/metrics")
    assert found["waiting_steps"] == {
        "person": 1,
        "indoc": 0,
        "device": 0,
        "join": 0,
        "room": 0,
        "target": 0,
        "limit": 0,
        "paused": 0,
        "matrix": 1,
        "authentik": 0,
    }
    assert (found["failed_steps"], found["failures_of"]) == (4, 4)
    first, second = found["failures"]
    assert (first["count"], first["example"], first["fix"]) == (3, "ob_000002", "Lift it.")
    assert first["cause"] == "@m2:fake.test is banned from 'Ops'"
    assert (second["count"], second["example"]) == (1, "ob_000007")
    assert (await service.api("GET", f"/api/onboardings/{first['example']}")).status_code == 200


async def _failing(world: World, number: int, cause: str, minutes: int) -> None:
    at = world.now() + timedelta(minutes=minutes)
    owner = await add(world, number, "failed")
    step = Step(parent=ONBOARDINGS.path(owner), name="x", kind="room", state="failed", cause=cause, fix="Lift it.", updated_at=at)  # fmt: skip
    await world.documents.write(Create(step.path, step.data()))


async def _waiting(world: World, number: int, on: str) -> None:
    owner = await add(world, number, "waiting")
    step = Step(parent=ONBOARDINGS.path(owner), name="x", kind="room", state="waiting", waits_for=on)
    await world.documents.write(Create(step.path, step.data()))


MOST_READS = 5 + 10 + 1 + 2 * figures.SERIES_DAYS + 2 * figures.LATEST
"""Counts of states, reasons, failures and days, and the two pages."""


async def test_the_reads_are_bounded(
    service: Service, world: World, counted: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many members there are, the reads are so many at most; beyond the pages another thousand members cost nothing
    but the counts' one read for each thousand."""
    monkeypatch.setattr(figures, "LATEST", 50)
    monkeypatch.setattr(figures, "KEPT_SECONDS", 0.0)
    reads = []
    for size in (60, 240):
        for number in range(size):
            await add(world, size * 1000 + number, age=timedelta(hours=number % 500))
            await _failing(world, size * 2000 + number, "the group is gone", minutes=0)
        world.pause(minutes=5)
        counted.clear()
        await read(service, "/api/metrics")
        reads.append(counted["documents read"])
        assert counted["documents written"] == 1  # a block of the caller's permits
    assert reads[0] == reads[1] == 5 + 10 + 1 + 60 + 2 * 50
    assert MOST_READS == 1076


async def test_asked_again_it_is_remembered(service: Service, world: World, counted: Counter[str]) -> None:
    """A page that is left open asks the store once a minute at most."""
    first = await read(service, "/api/metrics")
    counted.clear()
    assert await read(service, "/api/metrics") == first
    assert not counted


# ------------------------------------------------------------------ costs


async def test_what_it_costs(service: Service, world: World, counted: Counter[str]) -> None:
    """Operations and money for one onboarding and for thirty days, by the rooms that members really get, in a few reads."""
    for number in range(30):
        await add(world, number, age=timedelta(days=number * 2))
    counted.clear()
    found = await read(service, "/api/costs")
    assert (found["onboardings"], found["rooms"], found["kept"]) == (16, 2.0, 30)
    assert counted["documents read"] <= 2 + 2 * figures.SAMPLED
    expected = costs.per_onboarding(2)
    assert found["per_onboarding"]["money"] == pytest.approx(expected.money, abs=1e-6)
    assert found["per_onboarding"]["operations"]["writes"] == expected.operations.writes
    assert found["per_month"]["money"] == pytest.approx(costs.month(16, 2, 30).money, abs=1e-6)
    assert {line["name"] for line in found["lines"]} == {item.name for item in costs.ITEMS}
    assert all(0 <= line["covered"] <= 1 for line in found["lines"])
    assert found["prices_of"] == costs.AS_OF.isoformat()
    assert found["assumed"]["sweep_minutes"] == 1
    assert found["not_counted"]


async def test_prices_can_be_set(service: Service, world: World) -> None:
    """COST_PRICES replaces single prices, tiers and assumptions; a name that there is none of is refused by name."""
    await add(world, 1)
    service.env["COST_PRICES"] = "writes=1, free_writes=0, sweep_minutes=60"
    found = await read(service, "/api/costs")
    [writes] = [line for line in found["lines"] if line["name"] == "writes"]
    assert writes["money"] == writes["amount"] == found["per_month"]["operations"]["writes"]
    assert found["assumed"]["sweep_minutes"] == 60


async def test_a_price_of_nothing_we_know(service: Service) -> None:
    """A misspelt price stops the costs, which name the setting, and nothing else."""
    service.env["COST_PRICES"] = "reeds=1"
    assert "COST_PRICES" in problem(await service.api("GET", "/api/costs"), 503)["detail"]
    assert (await service.api("GET", "/api/onboardings")).status_code == 200


@pytest.mark.parametrize("path", ["/api/metrics", "/api/costs"])
async def test_only_for_admins(service: Service, path: str) -> None:
    """Figures are for admins."""
    problem(await service.send("admin", "GET", path), 401)
    problem(await service.api("GET", f"{path}?days=3"), 400)
    assert (await service.send("admin", "GET", path, API_KEY)).status_code == 200


def test_today() -> None:
    """The table of prices has a date, for who reads it later."""
    assert datetime(2026, 1, 1, tzinfo=UTC).date() < costs.AS_OF
