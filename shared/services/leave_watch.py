"""For the sweep: who waits in INDOC for a room of theirs, and is in one now."""

from __future__ import annotations

from datetime import timedelta

from shared.domain.onboarding import Step
from shared.repositories import Stored
from shared.services.context import Ports
from shared.services.late_devices import start, waiting_for

WATCHED_FOR = timedelta(days=1)
"""Who has not joined by then is looked at by the step's own slow schedule."""
PER_RUN = 200
"""Members who are asked for in one sweep, at one call each where the admin API allows it."""


async def arrivals(ports: Ports) -> int:
    """Farewells that wait until the member has joined a room of theirs; where that guard was switched off meanwhile,
    all of them."""
    started = asked = 0
    async for waiting, owners in waiting_for(ports, "target"):
        ready: list[Stored[Step]] = []
        for stored in waiting:
            owner = owners.get(stored.record.parent)
            if not ports.policy.leave_after_join:
                ready.append(stored)
            elif owner and asked < PER_RUN and ports.now() - owner["created_at"] < WATCHED_FOR:
                asked += 1
                if await _has_joined(ports, owner["matrix_id"], stored.record):
                    ready.append(stored)
        started += await start(ports, ready, ports.now())
    return started


async def _has_joined(ports: Ports, matrix_id: str, step: Step) -> bool:
    rooms: list[str] = step.result.get("rooms") or []
    return bool(rooms) and bool(await (await ports.chat()).joined_among(matrix_id, rooms))
