"""Asking for a sync: by an admin, and by Muster itself after what it has changed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.domain import ids
from shared.domain.audit import audit
from shared.domain.errors import MusterError, TooMany
from shared.domain.syncs import Kind, Source
from shared.ports import Task
from shared.repositories import audit_write
from shared.services import cache, leases
from shared.services.context import Actor, Ports, log

ENTRY_POINT = "sync_directory"
WINDOW = 5
"""Seconds: what is changed within them is one sync, at their end."""
KNOWN_FOR = 300.0
FOREVER = 10 * 365 * 86_400.0


def task(source: Source, kind: Kind | None, why: str, at: datetime | None = None) -> Task:
    """`why` makes the name: the same reason is one task."""
    payload: dict[str, Any] = {"v": 1, "source": source} | ({"kind": kind} if kind else {})
    return Task(ENTRY_POINT, f"sync-{source}-{ids.digest('sync', source, why)}", payload, at)


async def ask(ports: Ports, actor: Actor, sources: Sequence[Source], kind: Kind | None, *, dry_run: bool) -> None:
    """As tasks, at once. Raises `TooMany` within the cool-down of any of the sources."""
    held = await _taken(ports, sources)
    if dry_run:
        await _give_back(ports, held)
        return
    now = ports.now()
    record = audit(now, actor.name, "sync.start", ",".join(sources), f"{ports.chance()}", source=actor.source)
    try:
        await ports.documents.write(audit_write(record.but(detail={"kind": kind or ""})))
        await ports.queue.enqueue(*(task(source, kind, f"asked {now.isoformat()}") for source in sources))
    except MusterError:
        await _give_back(ports, held)
        raise


async def _taken(ports: Ports, sources: Sequence[Source]) -> dict[str, str]:
    """The cool-down is a lease that nobody gives back; all of them, or none."""
    held: dict[str, str] = {}
    lasts = timedelta(seconds=ports.policy.sync_cooldown)
    for source in sources if lasts else ():
        lease = await leases.take(ports, _lease(source), lasts)
        if lease is None:
            await _give_back(ports, held)
            raise await _too_soon(ports, source, lasts)
        held[_lease(source)] = lease
    return held


async def _too_soon(ports: Ports, source: Source, lasts: timedelta) -> TooMany:
    until = await leases.until(ports, _lease(source)) or ports.now()
    after = max(1.0, (until - ports.now()).total_seconds())
    cause = f"a sync of {source} was asked for less than {lasts.total_seconds():g} s ago"
    return TooMany(cause, after, f"GET /api/sync says how far it is; ask again in {after:.0f} s.")


async def _give_back(ports: Ports, held: dict[str, str]) -> None:
    for path, lease in held.items():
        await leases.give_back(ports, path, lease)


def _lease(source: Source) -> str:
    return f"leases/sync_{source}"


async def nudge(ports: Ports, source: Source) -> None:
    """After an act of ours: one light sync for all that is changed within some seconds. Where there is no cache there
    is nothing to follow. Never fails the act: the schedule finds it as well."""
    try:
        (await _touched(ports))[source] = ports.now()
        if await ports.remember(f"{source} is cached", KNOWN_FOR, lambda: _is_cached(ports, source)):
            window = int(ports.now().timestamp()) // WINDOW + 1
            await ports.queue.enqueue(task(source, "light", f"window {window}", _instant(window * WINDOW)))
    except MusterError as error:
        log.warning("no sync was asked for", extra={"fields": {"source": source, "cause": error.cause}})


async def touched_at(ports: Ports, source: Source) -> datetime | None:
    """When this process last changed something there: a cache that is older does not know of it yet."""
    return (await _touched(ports)).get(source)


async def _touched(ports: Ports) -> dict[str, datetime]:
    async def none() -> dict[str, datetime]:
        return {}

    return await ports.remember("touched", FOREVER, none)


async def _is_cached(ports: Ports, source: Source) -> bool | None:
    return (await cache.state(ports, source)).synced_at is not None or None


def _instant(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
