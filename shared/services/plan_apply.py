"""Saying yes to a plan, or taking it back: what is checked before, and the one batch that begins it.

Idempotent by the plan's document: it is applied once, and undone once; the same request again answers the same job.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

from msgspec import Struct

from shared.domain import ids
from shared.domain.audit import audit
from shared.domain.errors import Conflict, Invalid, Outpaced
from shared.domain.jobs import Job
from shared.domain.onboarding import ENDED, Step, derived_state
from shared.domain.plans import Line, Plan
from shared.ports import Create
from shared.rarer_repositories import PLANS
from shared.repositories import JOBS, Stored, audit_write
from shared.services import bundles
from shared.services.context import Actor, Ports
from shared.services.jobs import JobView, view
from shared.services.plan_jobs import part_step
from shared.services.plans import lines_of
from shared.services.tasks import enqueue

MAX_AGE = timedelta(hours=1)
"""A plan says who was where, and in which groups, when it was made: rooms are looked at again, groups are not."""
UNDONE_WITHIN = timedelta(days=7)
UNASKED_REMOVALS = 10


class Wanted(Struct, frozen=True):
    """`lines`: ids, None for all. `removals`: how many the admin knows of. `body`: a digest of the request. `all_of`:
    actions of which every line is ticked besides. `without`: of those, and of all, these are not."""

    lines: tuple[str, ...] | None = None
    removals: int | None = None
    body: str = ""
    all_of: tuple[str, ...] = ()
    without: frozenset[str] = frozenset()

    @property
    def everything(self) -> bool:
        return self.lines is None and not self.without

    def ticks(self, line: Line, named: frozenset[str]) -> bool:
        by_kind = (self.lines is None or line.action in self.all_of) and line.id not in self.without
        return line.action != "keep" and (line.id in named or by_kind)


async def apply(ports: Ports, actor: Actor, plan_id: str, wanted: Wanted, *, dry_run: bool = False) -> JobView:
    """Raises `NotFound`, `Invalid`, `Conflict` with what stands in the way in words."""
    stored = await PLANS.get(ports.documents, plan_id)
    plan, now = stored.record, ports.now()
    if plan.job:
        return await _applied(ports, plan, wanted)
    if now - plan.created_at > MAX_AGE:
        raise Conflict("this plan is more than an hour old", "Make a new one: what it sees is true now.")
    await _check_bundles(ports, plan)
    ticked, counts = await _ticked(ports, plan, wanted)
    check_removals(counts.get("remove", 0), wanted.removals, "takes people out of rooms")
    name = f"job_{ids.digest('plan', plan.id)}"
    steps = [part_step(name, part, now, plan=plan.id, lines=chosen, seen=plan.created_at) for part, chosen in ticked]
    changed = plan.but(
        job=name, applied_at=now, applied_as=wanted.body, applied=dict(counts), undo_until=now + UNDONE_WITHIN
    )
    job = _job(ports, actor, name, "plan", f"plan {plan.id}", steps)
    try:
        return await _begin(ports, actor, "plan.apply", stored, changed, job, steps, dry_run=dry_run)
    except Outpaced:  # somebody has said yes at the same moment
        return await _applied(ports, (await PLANS.get(ports.documents, plan_id)).record, wanted)


async def _applied(ports: Ports, plan: Plan, wanted: Wanted) -> JobView:
    if plan.applied_as != wanted.body:
        raise Conflict(f"this plan was applied: job {plan.job}", "Make a new plan for what is left.")
    return await view(ports, plan.job)


async def _check_bundles(ports: Ports, plan: Plan) -> None:
    now = {bundle.id: bundle.revision for bundle in await bundles.everyone(ports)}
    changed = sorted(name for name in plan.revisions.keys() | now if plan.revisions.get(name) != now.get(name))
    if changed:
        words = f"since this plan was made, bundles were changed: {', '.join(changed[:10])}"
        raise Conflict(words, "Make a new plan.")


async def _ticked(ports: Ports, plan: Plan, wanted: Wanted) -> tuple[list[tuple[int, list[str] | None]], Counter[str]]:
    """The parts that have ticked lines, each with those (None: all of them), and how many of each action."""
    if wanted.everything:
        counts = Counter({action: count for action, count in plan.counts.items() if action != "keep"})
        return [(part, None) for part in range(len(plan.sizes))] if counts.total() else [], counts
    named, counts, known = frozenset(wanted.lines or ()), Counter[str](), 0
    ticked: list[tuple[int, list[str] | None]] = []
    for part in range(len(plan.sizes)):
        found = [line for line in await lines_of(ports, plan.id, part) if wanted.ticks(line, named)]
        counts.update(line.action for line in found)
        known += sum(line.id in named for line in found)
        if found:
            ticked.append((part, [line.id for line in found]))
    if missing := len(named) - known:
        raise Invalid.field("lines", f"expected ids of lines of this plan that change something; {missing} are none")
    return ticked, counts


def check_removals(count: int, typed: int | None, what: str) -> None:
    """More than ten need the very number; a number that was typed is never another one."""
    if typed is None and count <= UNASKED_REMOVALS:
        return
    if typed != count:
        said = "" if typed is None else f", not {typed}"
        raise Conflict(f"this {what} {count} times{said}", f'If that is what you want, send "removals": {count}.')


async def undo(ports: Ports, actor: Actor, plan_id: str, removals: int | None, *, dry_run: bool = False) -> JobView:
    """The opposite of what was really done, as the plan's jobs have recorded it. Raises as `apply` does."""
    stored = await PLANS.get(ports.documents, plan_id)
    plan, now = stored.record, ports.now()
    if plan.undo_job:
        return await view(ports, plan.undo_job)
    if not plan.job or plan.undo_until is None:
        raise Conflict("this plan was never applied", "There is nothing to undo.")
    if now > plan.undo_until:
        raise Conflict(
            f"this plan was applied more than {UNDONE_WITHIN.days} days ago, and can no longer be undone",
            "Make a new plan for what should be otherwise.",
        )
    applied = await view(ports, plan.job)
    if any(step.state not in ENDED for step in applied.steps):
        raise Conflict(f"this plan is still being applied: job {plan.job}", "Wait for its end, then undo it.")
    check_removals(sum(plan.applied.get(each, 0) for each in ("invite", "join")), removals, "takes back invites")
    name = f"job_{ids.digest('undo', plan.id)}"
    parts = [int(step.wanted["part"]) for step in applied.steps]
    more = {"plan": plan.id, "undo": True, "job": plan.job, "seen": plan.applied_at}
    steps = [part_step(name, part, now, **more) for part in parts]
    job = _job(ports, actor, name, "undo", f"plan {plan.id} undone", steps)
    changed = plan.but(undo_job=name, undone_at=now)
    try:
        return await _begin(ports, actor, "plan.undo", stored, changed, job, steps, dry_run=dry_run)
    except Outpaced:
        return await view(ports, name)


def _job(ports: Ports, actor: Actor, name: str, kind: str, reason: str, steps: Sequence[Step]) -> Job:
    now = ports.now()
    job = Job(id=name, kind=kind, matrix_id="", actor=actor.name, created_at=now, reason=reason)
    return job.but(state=derived_state("", steps), finished_at=None if steps else now)


async def _begin(
    ports: Ports,
    actor: Actor,
    action: str,
    stored: Stored[Plan],
    changed: Plan,
    job: Job,
    steps: Sequence[Step],
    *,
    dry_run: bool,
) -> JobView:
    if dry_run:
        return JobView(job, steps)
    record = audit(ports.now(), actor.name, action, changed.id, job.id, source=actor.source)
    detail = {"job": job.id, "lines": changed.applied}
    await ports.documents.write(
        stored.replaced(changed),
        JOBS.create(job, job.id),
        *(Create(step.path, step.data()) for step in steps),
        audit_write(record.but(detail=detail)),
    )
    await enqueue(ports, steps)
    return JobView(job, steps)
