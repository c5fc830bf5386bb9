"""For the sweep: who waits in INDOC for a room of theirs, and is in one now."""

from __future__ import annotations

from datetime import timedelta

from shared.domain.cache import Memberships
from shared.domain.onboarding import Step
from shared.repositories import Stored
from shared.services import cache
from shared.services.context import Ports
from shared.services.late_devices import start, waiting_for

WATCHED_FOR = timedelta(days=1)
"""Who has not joined by then is looked at by the step's own slow schedule."""
PER_RUN = 200
"""Members who are asked for in one sweep, at one call each where the admin API allows it."""
FRESH = 90.0
"""Seconds since a sync began within which the cache is asked instead: a member is to wait no longer than that."""


async def arrivals(ports: Ports) -> int:
    """Farewells that wait until the member has joined a room of theirs; where that guard was switched off meanwhile,
    all of them."""
    started = asked = 0
    ask = Asker(ports)
    async for waiting, owners in waiting_for(ports, "target"):
        ready: list[Stored[Step]] = []
        for stored in waiting:
            owner = owners.get(stored.record.parent)
            if not ports.policy.leave_after_join:
                ready.append(stored)
            elif owner and asked < PER_RUN and ports.now() - owner["created_at"] < WATCHED_FOR:
                asked += 1
                if await ask.has_joined(owner["matrix_id"], stored.record):
                    ready.append(stored)
        started += await start(ports, ready, ports.now())
    return started


class Asker:
    """Of the cache where it has just been synced, which is one answer for everybody; else of the homeserver, each by
    themselves. The step asks the homeserver once more before it acts."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._known: Memberships | None = None
        self._looked = False

    async def has_joined(self, matrix_id: str, step: Step) -> bool:
        rooms: list[str] = step.result.get("rooms") or []
        known = await self._fresh()
        if known and all(room in known.rooms for room in rooms):
            return any(known.is_in(room, matrix_id) for room in rooms)
        return bool(rooms) and bool(await (await self._ports.chat()).joined_among(matrix_id, rooms))

    async def _fresh(self) -> Memberships | None:
        """Looked for once in a sweep. Its state document alone says whether the rest is worth reading."""
        if not self._looked:
            self._looked, ports = True, self._ports
            age = (await cache.state(ports, "matrix")).age(ports.now())
            self._known = await cache.memberships(ports) if age is not None and age <= FRESH else None
        return self._known
