"""Importing members or invites: all lines are checked, then stored in one batch with the job that makes them.

Idempotent by the import's id, which derives from caller and `Idempotency-Key`; each line by a key of its own
(`shared.services.import_lines`).
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from shared.domain import ids
from shared.domain.audit import audit
from shared.domain.errors import Conflict, Invalid, Outpaced
from shared.domain.imports import (
    Import,
    Kind,
    Line,
    OnConflict,
    as_it_stands,
    counted,
)
from shared.domain.invites import Invite
from shared.domain.jobs import Job
from shared.domain.onboarding import Step
from shared.ports import Create
from shared.rarer_repositories import IMPORTS
from shared.repositories import INVITES, JOBS, Listing, audit_write
from shared.services import jobs
from shared.services.context import Actor, Ports
from shared.services.import_check import checked
from shared.services.jobs import JobView
from shared.services.lines import TOGETHER, creations, read_lines
from shared.services.tasks import enqueue


class Wanted(Struct, frozen=True):
    """`lines`: each with its `fields`, or with `errors`. `body`: a digest of all that was sent."""

    kind: Kind
    columns: tuple[str, ...]
    lines: Sequence[Line]
    on_conflict: OnConflict = "stop"
    key: str = ""
    body: str = ""


class Table(Struct, frozen=True):
    """An import, its job and some of its lines; `next_cursor`: where the next ones begin."""

    imported: Import
    job: JobView
    lines: Sequence[Line]
    next_cursor: str | None = None


async def start(ports: Ports, actor: Actor, wanted: Wanted, *, dry_run: bool = False) -> Table:
    """All lines, as a real run begins them or, in a dry run, `would_create`. Raises `Conflict` for a key used with
    another body."""
    name = ids.keyed_id("imp", actor.name, "imports", wanted.key or f"{ports.chance():032x}")
    known = await IMPORTS.find(ports.documents, name) if wanted.key else None
    if known:
        return await _repeated(ports, name, wanted)
    lines = await checked(ports, wanted.kind, wanted.lines, wanted.on_conflict)
    if dry_run:
        lines = [line.but(state="would_create") if line.state == "pending" else line for line in lines]
    imported, parts = _imported(ports, actor, name, wanted, lines)
    job, steps = _job(imported, wanted)
    if dry_run:
        return Table(imported, JobView(job, steps), lines)
    record = audit(imported.created_at, actor.name, f"import.{wanted.kind}", name, source=actor.source)
    detail = {"lines": imported.lines, "counts": imported.counts, "on_conflict": wanted.on_conflict}
    try:
        await ports.documents.write(
            IMPORTS.create(imported, name),
            JOBS.create(job, name),
            *(Create(step.path, step.data()) for step in steps),
            *parts,
            audit_write(record.but(detail=detail)),
        )
    except Outpaced:  # the same key at the same moment
        return await _repeated(ports, name, wanted)
    await enqueue(ports, steps)
    return Table(imported, JobView(job, steps), lines)


def _imported(
    ports: Ports, actor: Actor, name: str, wanted: Wanted, lines: Sequence[Line]
) -> tuple[Import, list[Create]]:
    now = ports.now()
    sizes, parts = creations(IMPORTS.path(name), lines, now)
    imported = Import(
        id=name,
        kind=wanted.kind,
        on_conflict=wanted.on_conflict,
        actor=actor.name,
        created_at=now,
        columns=wanted.columns,
        sizes=sizes,
        counts=counted(lines),
    )
    return imported, parts


def _job(imported: Import, wanted: Wanted) -> tuple[Job, list[Step]]:
    """One step, which goes on from task to task until all lines are done; none where nothing can be."""
    at, nothing = imported.created_at, not set(imported.counts) & {"pending", "would_create"}
    job = Job(
        id=imported.id,
        kind="import",
        matrix_id="",
        actor=imported.actor,
        created_at=at,
        reason=f"{imported.lines} {imported.kind}",
        request=wanted.body,
        state="done" if nothing else "running",
        finished_at=at if nothing else None,
    )
    return job, [] if nothing else [
        Step(parent=f"jobs/{job.id}", name="lines", kind="import", due_at=at, updated_at=at)
    ]


async def _repeated(ports: Ports, name: str, wanted: Wanted) -> Table:
    if (await JOBS.get(ports.documents, name)).record.request != wanted.body:
        raise Conflict("this Idempotency-Key was used with another body", "Use a new key for a new import.")
    return await table(ports, name)


async def table(ports: Ports, name: str, limit: int | None = None, cursor: str | None = None) -> Table:
    """As it stands. Raises `NotFound`; `Invalid` for a cursor that is none. Lines are kept for 30 days."""
    imported = (await IMPORTS.get(ports.documents, name)).record
    start = _place(cursor, imported.lines)
    job = await jobs.view(ports, name)
    imported = (await IMPORTS.get(ports.documents, name)).record  # once more: a job that is done has counted all lines
    lines = await read_lines(ports, IMPORTS.path(name), imported.sizes, start, limit or imported.lines)
    step = next(iter(job.steps), None)
    why = {"cause": step.cause, "fix": step.fix} if step else {}
    end = start + (limit or imported.lines)
    shown = as_it_stands(lines, imported, job.state, why)
    return Table(imported, job, shown, str(end) if end < imported.lines else None)


def _place(cursor: str | None, lines: int) -> int:
    if cursor and not (cursor.isascii() and cursor.isdigit() and len(cursor) < 6 and int(cursor) < lines):
        raise Invalid.field("cursor", "expected the next_cursor of the page before")
    return int(cursor or 0)


async def left(ports: Ports, name: str) -> tuple[Import, list[Line]]:
    """The lines that were not made, and will not be by themselves."""
    whole = await table(ports, name)
    return whole.imported, [line for line in whole.lines if line.state in ("failed", "skipped", "left")]


async def listing(ports: Ports, limit: int, cursor: str | None) -> Listing[Import]:
    return await IMPORTS.list(ports.documents, (), "-created_at", limit, cursor)


async def made_invites(ports: Ports, name: str) -> list[tuple[Line, Invite]]:
    """Of an import of invites, or a batch of them: each that there is by now, as it stands."""
    made = [line for line in (await table(ports, name)).lines if line.state == "created" and line.id]
    found: list[tuple[Line, Invite]] = []
    for at in range(0, len(made), TOGETHER):
        some = made[at : at + TOGETHER]
        documents = await ports.documents.get_many([INVITES.path(line.id) for line in some])
        found += [(line, INVITES.stored(item).record) for line, item in zip(some, documents, strict=True) if item]
    return found
