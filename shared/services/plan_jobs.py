"""A plan is carried out, or taken back: a job whose steps each make the jobs of one part of the plan, one a member.

So no batch grows with the plan, each member has a pace of their own under the homeserver's limits, and what became of
every line is the step of a job like any other. What was really done is the result of those steps: from it alone an undo
is made. Idempotent: the ids of all jobs derive from the plan's; each is created in one batch with its steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from msgspec import Struct

from shared.bounded import each
from shared.domain import ids
from shared.domain.errors import Refused
from shared.domain.jobs import Job
from shared.domain.onboarding import Step, derived_state
from shared.domain.plans import IN, Line
from shared.ports import Create, Op, Query, Write
from shared.rarer_repositories import PLANS
from shared.repositories import JOBS, every, steps_of
from shared.services.context import Ports
from shared.services.plan_guard import not_any_more
from shared.services.plans import lines_of
from shared.services.steps import Act, Continues, Done, Ending
from shared.services.stopping import kept_from
from shared.services.tasks import again_when_outpaced, enqueue

PER_JOB = 400
"""Steps of one job, at most: it is one batch, which holds 500 writes."""
KINDS = {"invite": "room", "join": "room", "remove": "removal", "level": "level"}
LOOK_MOST = 300.0
"""Seconds between looks at the members' jobs: 2, doubled with each, up to this."""


class Child(Struct, frozen=True):
    job: Job
    steps: Sequence[Step]


async def spread(act: Act) -> Ending:
    """Makes the members' jobs, then waits until all of them have ended."""
    if not act.step.result.get("made"):
        children = await (_undoing(act) if act.step.wanted.get("undo") else _applying(act))
        for batch in _batches(children):
            await _make(act.ports, batch)
    return await _progress(act)


async def _make(ports: Ports, children: Sequence[Child]) -> None:
    async def attempt() -> None:
        found = await ports.documents.get_many([JOBS.path(child.job.id) for child in children])
        writes: list[Write] = []
        for child, there in zip(children, found, strict=True):
            if there is None:
                writes += [JOBS.create(child.job, child.job.id), *(Create(s.path, s.data()) for s in child.steps)]
        if writes:
            await ports.documents.write(*writes)

    await again_when_outpaced(attempt)
    await enqueue(ports, [step for child in children for step in child.steps])


def _batches(children: Iterable[Child]) -> Iterable[list[Child]]:
    batch: list[Child] = []
    for child in children:
        if sum(len(each.steps) + 1 for each in batch) + len(child.steps) + 1 > PER_JOB + 50:
            yield batch
            batch = []
        batch.append(child)
    if batch:
        yield batch


async def _progress(act: Act) -> Ending:
    """How far the members' jobs are. Raises `Refused`, for a person to look, once all have ended and some failed."""
    part: list[tuple[str, Op, Any]] = [("part_of", "==", _own(act)), ("part", "==", act.step.wanted["part"])]

    async def count(*states: str) -> int:
        where: list[tuple[str, Op, Any]] = [*part, ("state", "in", list(states))] if states else part
        return await act.ports.documents.count(Query("jobs", where))

    total, done, failed = await count(), await count("done"), await count("failed")
    if done + failed < total:
        wait = min(2.0 ** min(act.step.attempts, 10), LOOK_MOST)
        return Continues({"made": True, "members": total, "done": done, "failed": failed}, wait)
    if failed:
        fix = f"GET /api/jobs?part_of={_own(act)}&state=failed names them. Mend the cause, then make a new plan: "
        raise Refused(f"for {failed} of {total} members something failed", f"{fix}what is left is in it.", "PARTLY")
    return Done({"members": total})


def _own(act: Act) -> str:
    return act.step.parent.partition("/")[2]


# ------------------------------------------------------------------ what is to be done


async def _applying(act: Act) -> list[Child]:
    wanted = act.step.wanted
    chosen = None if wanted.get("lines") is None else set(wanted["lines"])
    lines = await lines_of(act.ports, wanted["plan"], wanted["part"])
    ticked = [line for line in lines if line.action != "keep" and (chosen is None or line.id in chosen)]
    made = (await PLANS.get(act.ports.documents, wanted["plan"])).record.created_at
    return await _guarded(act, ticked, made)


async def _undoing(act: Act) -> list[Child]:
    """The opposite of what each step of the plan's jobs says it has done."""
    wanted = act.step.wanted
    where: list[tuple[str, Op, Any]] = [("part_of", "==", wanted["job"]), ("part", "==", wanted["part"])]
    jobs = [Job.of(item.data) for item in await every(act.ports.documents, Query("jobs", where))]

    async def inverse_of(job: Job) -> list[Line]:
        steps = await steps_of(act.ports.documents, JOBS.path(job.id))
        return [line for stored in steps if (line := inverse(job, stored.record))]

    found = await each(jobs, inverse_of)
    applied = min((job.created_at for job in jobs), default=act.ports.now())
    return await _guarded(act, [line for lines in found for line in lines], applied)


def inverse(job: Job, step: Step) -> Line | None:
    """None for what was not done, or needs nothing. Who was only invited is invited again, who had joined as well: only
    they themselves can join. Who had only knocked was never let in, and may knock again."""
    if step.state != "done" or "line" not in step.wanted:
        return None
    before, after = str(step.result.get("before", step.wanted["before"])), str(step.wanted["after"])
    if step.kind == "removal" and before not in IN:
        return None
    action: Any = {"room": "remove", "removal": "invite", "level": "level"}[step.kind]
    if step.kind == "level":
        before = str(step.result.get("from", before))
        if before == after:
            return None
    back = "leave" if action == "remove" else "invite" if action == "invite" else before
    name = ids.digest("undo", step.wanted["line"], length=16)
    return Line(name, action, job.matrix_id, "", step.room, "", after, back, "undone")


async def _guarded(act: Act, lines: Sequence[Line], since: datetime) -> list[Child]:
    """Who has left since gets nothing more."""
    gone, now = await not_any_more(act.ports, lines, since), act.ports.now()
    return [_kept_from(child, gone, now) for child in _children(act, lines)]


def _kept_from(child: Child, gone: Mapping[str, str], now: datetime) -> Child:
    why = gone.get(child.job.matrix_id)
    if why is None:
        return child
    steps = kept_from(child.steps, why, now)
    state = derived_state("", steps)
    return Child(child.job.but(state=state, finished_at=now if state == "done" else None), steps)


def _children(act: Act, lines: Sequence[Line]) -> list[Child]:
    """A job a member; of a member with more than a job can hold, several."""
    by_member = groupby(sorted(lines, key=lambda line: line.matrix_id), lambda line: line.matrix_id)
    made: list[Child] = []
    for matrix_id, found in by_member:
        own = list(found)
        pieces = [own[at : at + PER_JOB] for at in range(0, len(own), PER_JOB)]
        made += [_child(act, matrix_id, piece, number) for number, piece in enumerate(pieces)]
    return made


def _child(act: Act, matrix_id: str, lines: Sequence[Line], number: int) -> Child:
    now, parent = act.ports.now(), _own(act)
    name = f"job_{ids.digest('part of', parent, matrix_id, str(number))}"
    job = Job(
        id=name,
        kind="member",
        matrix_id=matrix_id,
        actor=getattr(act.parent, "actor", ""),
        created_at=now,
        reason=getattr(act.parent, "reason", ""),
        part_of=parent,
        part=act.step.wanted["part"],
    )
    more: dict[str, Any] = {name: act.step.wanted[name] for name in ("undo", "seen") if name in act.step.wanted}
    return Child(job, [_step(job.id, line, now, more) for line in lines])


def _step(job: str, line: Line, now: datetime, more: Mapping[str, Any]) -> Step:
    kind = KINDS[line.action]
    wanted: Mapping[str, Any] = {"line": line.id, "before": line.before, "after": line.after}
    level = {"level": int(line.after), "lowers": True} if kind == "level" else {}
    return Step(
        parent=f"jobs/{job}",
        name=STEP_NAMES[kind](line.room_id),
        kind=kind,
        room=line.room_id,
        due_at=now,
        updated_at=now,
        wanted={**wanted, **level, **more},
    )


STEP_NAMES: Mapping[str, Callable[[str], str]] = {
    "room": ids.room_step,
    "removal": ids.room_step,
    "level": ids.level_step,
}


def part_step(job_id: str, part: int, now: datetime, **wanted: Any) -> Step:
    """Of the job of a whole plan."""
    return Step(
        parent=f"jobs/{job_id}",
        name=f"part:{part:04d}",
        kind="spread",
        due_at=now,
        updated_at=now,
        wanted={"part": part, **wanted},
    )
