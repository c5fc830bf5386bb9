"""For the self-check: how old the cache of each source is, and what keeps it from being younger."""

from __future__ import annotations

from shared.domain.syncs import SOURCES, Sync
from shared.ports import Finding
from shared.services import cache
from shared.services.context import Ports

NAMES = {"authentik": "cache of authentik", "matrix": "cache of matrix"}
SCHEDULE = "Look at the schedule of sync_directory and its logs, or ask for a sync: POST /api/sync."
OLD = 1800.0
"""Seconds, or three of its intervals where those are more: a run or two may fail and be made good by the next."""


async def check(ports: Ports) -> list[Finding]:
    return [_finding(ports, await cache.state(ports, source)) for source in SOURCES]


def _finding(ports: Ports, sync: Sync) -> Finding:
    name, age = NAMES[sync.source], sync.age(ports.now())
    said = "never synced" if age is None else f"synced {int(age)} s ago"
    if sync.failed_at:
        since = int((ports.now() - sync.failed_at).total_seconds())
        return Finding(name, ok=False, detail=f"{said}; the last run failed {since} s ago: {sync.cause}", fix=sync.fix)
    old = max(OLD, 3 * ports.policy.sync_every(sync.source))
    if age is None and sync.begun_at and (ports.now() - sync.begun_at).total_seconds() < old:
        return Finding(name, ok=True, detail="its first sync is under way")
    return Finding(name, ok=age is not None and age <= old, detail=said, fix=SCHEDULE)
