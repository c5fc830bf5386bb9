"""What the page plots, and what it costs to find out: counts, and two pages of bounded length, however many members
there are. Kept in the process for some minutes, since a page that is left open asks again and again."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct

from shared.domain import costs
from shared.domain.figures import Failure, Took, days, failures, took
from shared.domain.onboarding import Onboarding, Step
from shared.ports import Op, Query
from shared.repositories import ONBOARDINGS
from shared.services.breakers import NAMES
from shared.services.context import Ports

STATES = ("running", "waiting", "held", "done", "failed")
REASONS = ("person", "indoc", "device", "join", "room", "target", "limit", "paused", *NAMES)
SERIES_DAYS = 30
LATEST = 500
"""Onboardings that are looked at for how long they took, and failed steps for their causes: at most so many of each."""
SAMPLED = 20
"""Onboardings whose rooms are counted, for the mean."""
KEPT_SECONDS = 60.0
Where = Sequence[tuple[str, Op, Any]]
FAILED: Where = (("state", "==", "failed"),)


class Day(Struct, frozen=True):
    """`begun` and `home`: onboardings on that day, in UTC."""

    day: datetime
    begun: int
    home: int


class Metrics(Struct, frozen=True):
    """`failed_steps`: all of them; `failures` are drawn from `failures_of` of them."""

    at: datetime
    since: datetime
    by_state: Mapping[str, int]
    waiting_steps: Mapping[str, int]
    failed_steps: int
    failures: Sequence[Failure]
    failures_of: int
    time_to_home: Took
    series: Sequence[Day]


class Costs(Struct, frozen=True):
    """`onboardings`: of the latest 30 days; `rooms`: the mean of the latest few; `kept`: onboardings of all time."""

    at: datetime
    onboardings: int
    rooms: float
    kept: int
    each: costs.Bill
    month: costs.Bill
    assumed: Mapping[str, float]


async def metrics(ports: Ports) -> Metrics:
    return await ports.remember("metrics", KEPT_SECONDS, lambda: _metrics(ports))


async def costs_of(ports: Ports, changed: Mapping[str, float]) -> Costs:
    """`changed`: the prices and assumptions that differ from the table."""
    return await ports.remember("costs", KEPT_SECONDS, lambda: _costs(ports, costs.prices(changed)))


async def _metrics(ports: Ports) -> Metrics:
    now = ports.now()
    since = days(now, SERIES_DAYS)[0]
    by_state, waiting, failed, (causes, looked_at), home, series = await asyncio.gather(
        _counted(ports, {state: Query("onboardings", [("state", "==", state)]) for state in STATES}),
        _counted(ports, {why: Query("steps", [("waits_for", "==", why)], group=True) for why in REASONS}),
        ports.documents.count(Query("steps", FAILED, group=True)),
        _failures(ports),
        _took(ports, since),
        _series(ports, now),
    )
    return Metrics(now, since, by_state, waiting, failed, causes, looked_at, home, series)


async def _counted(ports: Ports, queries: Mapping[str, Query]) -> dict[str, int]:
    counts = await asyncio.gather(*(ports.documents.count(query) for query in queries.values()))
    return dict(zip(queries, counts, strict=True))


async def _failures(ports: Ports) -> tuple[list[Failure], int]:
    page = await ports.documents.query(Query("steps", FAILED, limit=LATEST, group=True))
    return failures(Step.of(item.data) for item in page.items), len(page.items)


async def _took(ports: Ports, since: datetime) -> Took:
    """Over the latest that are at home."""
    where: Where = [("state", "==", "done"), ("created_at", ">=", since)]
    page = await ports.documents.query(Query("onboardings", where, "-created_at", LATEST))
    return took(Onboarding.of(item.data) for item in page.items)


async def _series(ports: Ports, now: datetime) -> list[Day]:
    starts = days(now, SERIES_DAYS)
    begun, home = await asyncio.gather(
        *(
            _counted(ports, {start.isoformat(): Query("onboardings", _on(field, start)) for start in starts})
            for field in ("created_at", "finished_at")
        )
    )
    return [Day(start, begun[start.isoformat()], home[start.isoformat()]) for start in starts]


def _on(field: str, start: datetime) -> Where:
    return [(field, ">=", start), (field, "<", start + timedelta(days=1))]


async def _costs(ports: Ports, known: Mapping[str, float]) -> Costs:
    now = ports.now()
    month: Where = [("created_at", ">=", now - timedelta(days=costs.DAYS))]
    lately, kept, rooms = await asyncio.gather(
        ports.documents.count(Query("onboardings", month)),
        ports.documents.count(Query("onboardings")),
        _rooms(ports, known["rooms"]),
    )
    each = costs.per_onboarding(rooms, known)
    assumed = {name: known[name] for name in costs.ASSUMED}
    return Costs(now, lately, rooms, kept, each, costs.month(lately, rooms, kept, known), assumed)


async def _rooms(ports: Ports, otherwise: float) -> float:
    """Of the latest onboardings, on average."""
    page = await ports.documents.query(Query("onboardings", (), "-created_at", SAMPLED))
    kinds: Where = [("kind", "==", "room")]
    queries = {item.id: Query(f"{ONBOARDINGS.path(item.id)}/steps", kinds) for item in page.items}
    found = await _counted(ports, queries)
    return sum(found.values()) / len(found) if found else otherwise
