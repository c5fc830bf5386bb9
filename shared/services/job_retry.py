"""What failed in a job, once more. Idempotent: what is done stays done, and a step that is under way is left alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from shared.bounded import each
from shared.domain.audit import audit
from shared.domain.broadcasts import message_id
from shared.domain.errors import Conflict, NotFound
from shared.domain.jobs import Job
from shared.domain.onboarding import Step, again, derived_state
from shared.ports import Op, Query, Write
from shared.rarer_repositories import PLANS
from shared.repositories import JOBS, Stored, audit_write, steps_of
from shared.services import bulk_lines
from shared.services.context import Actor, Ports
from shared.services.jobs import JobView, view
from shared.services.tasks import again_when_outpaced, enqueue

MOST_PARTS = 200
"""Jobs of a job that are begun again at once; for more it is asked again."""


async def retry(ports: Ports, actor: Actor, job_id: str, names: Sequence[str], *, dry_run: bool = False) -> JobView:
    """All failed steps, or those named. Of a plan's job: first those of its members' jobs that failed; of such a job,
    and of one that an act on many has made: then that it belongs to counts anew. Raises `NotFound`, and `Conflict` for
    a plan that was undone since."""
    job = (await JOBS.get(ports.documents, job_id)).record
    if job.kind == "message":
        return await _message(ports, actor, job, names, dry_run=dry_run)
    await _not_undone(ports, job)
    if job.kind in ("plan", "undo") and not dry_run:
        failed = await _failed_parts(ports, job)
        await each(failed, lambda part: anew(ports, actor, part.id))
    found = await _again(ports, actor, job_id, names, dry_run=dry_run)
    if job.part_of and not dry_run:
        await _again(ports, actor, job.part_of, (), part=job)
    return found


async def _message(ports: Ports, actor: Actor, job: Job, names: Sequence[str], *, dry_run: bool) -> JobView:
    """Its recipients are steps of the message, which knows how they are tried again."""
    from shared.services.broadcast_acts import act_on

    found = await view(ports, job.id)
    _known(names, [step.name for step in found.steps])
    await act_on(ports, actor, message_id(job.id), "retry", dry_run=dry_run)
    return await view(ports, job.id)


async def anew(ports: Ports, actor: Actor, job_id: str) -> JobView:
    """The failed steps of this one job, whatever it belongs to."""
    return await _again(ports, actor, job_id, ())


async def _not_undone(ports: Ports, job: Job) -> None:
    if job.kind not in ("plan", "member"):
        return
    page = await ports.documents.query(Query("plans", [("job", "==", job.part_of or job.id)], limit=1))
    if page.items and PLANS.stored(page.items[0]).record.undo_job:
        raise Conflict("this plan was undone since", "Make a new plan for what should be otherwise.")


async def _failed_parts(ports: Ports, job: Job) -> list[Job]:
    where: list[tuple[str, Op, str]] = [("part_of", "==", job.id), ("state", "==", "failed")]
    page = await ports.documents.query(Query("jobs", where, limit=MOST_PARTS))
    return [JOBS.stored(item).record for item in page.items]


async def _again(
    ports: Ports, actor: Actor, job_id: str, names: Sequence[str], *, part: Job | None = None, dry_run: bool = False
) -> JobView:
    """`part`: because of this one of its jobs alone."""

    async def attempt() -> JobView:
        stored, now = await JOBS.get(ports.documents, job_id), ports.now()
        steps = await steps_of(ports.documents, stored.path)
        _known(names, [step.record.name for step in steps])
        changed = [(step, _of_part(step.record, part, names, now)) for step in steps]
        moved = [(step, record) for step, record in changed if step.record != record]
        records = [record for _, record in changed]
        job = stored.record.but(state=derived_state("", records), pace_interval=0.0, pace_until=None)
        job = job.but(finished_at=job.finished_at if job.state == "done" else None)
        if moved and not dry_run:
            writes = await bulk_lines.reopened(ports, job, part.id if part else "")
            await _write(ports, actor, stored, job, moved, writes)
        return JobView(job if moved else stored.record, records)

    return await again_when_outpaced(attempt)


def _known(names: Sequence[str], steps: Sequence[str]) -> None:
    missing = set(names) - set(steps)
    if missing:
        raise NotFound(f"this job has no step {min(missing)!r}", "GET it to see its steps.")


def _of_part(step: Step, part: Job | None, names: Sequence[str], now: datetime) -> Step:
    """Of a plan's job, only the step that counts this part; one that failed for a reason of its own stays so."""
    if part and (step.code != "PARTLY" or step.wanted.get("part", part.part) != part.part):
        return step
    return again(step, names, now)


async def _write(
    ports: Ports,
    actor: Actor,
    stored: Stored[Job],
    job: Job,
    moved: Sequence[tuple[Stored[Step], Step]],
    writes: Sequence[Write],
) -> None:
    names = [step.name for _, step in moved]
    tries = [f"{step.name} {step.generation}" for _, step in moved]
    record = audit(ports.now(), actor.name, "job.retry", job.matrix_id or job.id, job.id, *tries, source=actor.source)
    await ports.documents.write(
        stored.replaced(job),
        *(step.replaced(record) for step, record in moved),
        *writes,
        audit_write(record.but(detail={"job": job.id, "steps": names})),
    )
    await enqueue(ports, [step for _, step in moved])
