"""One run of the syncs: claimed, done as far as the time goes, and gone on with as a new task.

Idempotent: one run of a source at a time, by the claim in its state document (`syncs/SOURCE`), which lapses after 90
seconds. What a run that died has read and not committed is read again. A sync that finds nothing new writes that
document and no other.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from msgspec import Struct

from shared.domain.errors import MusterError
from shared.domain.syncs import SOURCES, Kind, Source, Sync
from shared.services import breakers, sync_accounts, sync_rooms
from shared.services.breakers import Breaker
from shared.services.context import Ports, log, note
from shared.services.shards import SYNCS, Busy, Run, claimed
from shared.services.sync_requests import task

BUDGET = 35.0
"""Seconds after which a run stops at its next checkpoint: the function has 60, and a checkpoint takes some of them."""
LEAST = 10.0
"""Seconds that a source should have: with less, it becomes a task of its own."""
WAYS = {
    "authentik": (sync_accounts.light, sync_accounts.full),
    "matrix": (sync_rooms.light, sync_rooms.full),
}


class Report(Struct, frozen=True):
    """`done` False: it goes on as a task. `written`: packed documents that were not so already."""

    source: Source
    kind: Kind
    done: bool
    written: int
    counts: dict[str, int]


async def due(ports: Ports, budget: float = BUDGET) -> dict[str, Any]:
    """By the schedule: each source whose interval is over. Never raises for one source: the other one is done all the
    same, the fault is kept in its state document, and the schedule comes again. A neighbour whose breaker is open is
    left alone until the sweep has found it well."""
    deadline, told = ports.now() + timedelta(seconds=budget), dict[str, Any]()
    down: dict[str, Breaker] | None = None
    for source in SOURCES:
        found = await SYNCS.find(ports.documents, source)
        sync = found.record if found else Sync(source=source)
        if not sync.is_due(ports.now(), ports.policy.sync_every(source)):
            continue
        if down is None:
            down = {breaker.neighbour: breaker for breaker in await breakers.all_open(ports)}
        if source in down:
            told[source] = down[source].words()
            continue
        left = (deadline - ports.now()).total_seconds()
        if left < LEAST <= budget:
            await ports.queue.enqueue(task(source, None, f"due {ports.now().isoformat()}"))
            told[source] = "goes on as a task"
            continue
        try:
            told[source] = await run(ports, source, None, left)
        except MusterError as error:
            told[source] = error.cause
    if not told:
        note("sync", due=0)
    return told


async def run(ports: Ports, source: Source, asked: Kind | None = None, budget: float = BUDGET) -> Report:
    """Raises `Busy` while another run has it, and whatever its neighbour raises: that is in the state document then,
    and where a full one stopped is kept."""
    now = ports.now()

    def begin(sync: Sync) -> Sync:
        kind = sync.next_kind(asked, now, ports.policy.sync_full)
        if sync.progress and sync.begun_at:
            return sync.but(runs=sync.runs + 1)
        return sync.but(kind=kind, begun_at=now, runs=1)

    work = await claimed(ports, source, budget, begin)
    try:
        kind, changes = await _work(work)
    except Busy:
        raise
    except Exception as error:
        await _failed(work, error)
        await breakers.saw(ports, source, error)
        raise
    await breakers.saw(ports, source, None)
    return await _ended(work, kind, changes)


async def _work(work: Run) -> tuple[Kind, dict[str, Any] | None]:
    """What its end changes in the state document; None: time was up."""
    light, full = WAYS[work.sync.source]
    if work.sync.kind == "light":
        changes = await light(work)
        if changes is not None:
            return "light", changes
        work.sync = work.sync.but(kind="full")
    return "full", await full(work)


async def _ended(work: Run, kind: Kind, changes: dict[str, Any] | None) -> Report:
    ports, sync = work.ports, work.sync
    begun = sync.begun_at or ports.now()
    if changes is None:
        await work.commit(running_until=None)
        await ports.queue.enqueue(task(sync.source, kind, f"{begun.isoformat()} {sync.runs}"))
    else:
        quiet: dict[str, Any] = {"running_until": None, "progress": {}, "kind": None, "begun_at": None, "runs": 0}
        fine = {"failed_at": None, "cause": "", "fix": "", f"{kind}_at": begun}
        await work.commit(**changes, **quiet, **fine)
    report = Report(sync.source, kind, changes is not None, work.written, dict(work.sync.counts))
    note("sync", source=sync.source, kind=kind, done=report.done, written=work.written, **work.sync.counts)
    return report


async def _failed(work: Run, error: Exception) -> None:
    """Kept for the page; what was staged is given up."""
    known = isinstance(error, MusterError)
    cause = error.cause if isinstance(error, MusterError) else f"Muster failed ({type(error).__name__})"
    fix = error.fix if isinstance(error, MusterError) else "It is in the logs; the next run tries again."
    fields = {"source": work.sync.source, "cause": cause}
    if known:
        log.warning("a sync failed", extra={"fields": fields})
    else:
        log.error("a sync crashed", exc_info=error, extra={"fields": fields})
    work.forget()
    try:
        await work.commit(running_until=None, failed_at=work.ports.now(), cause=cause, fix=fix)
    except MusterError as again:
        log.warning("its failure is not kept", extra={"fields": fields | {"why": again.cause}})
