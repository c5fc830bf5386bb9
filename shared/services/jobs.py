"""Admin acts on more than one room: each room a step, each step a task, each outcome shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from shared.domain import ids, members
from shared.domain.audit import audit
from shared.domain.errors import Conflict, Invalid, Outpaced
from shared.domain.imports import Line
from shared.domain.jobs import Job, fitting, job_steps, leaving_steps
from shared.domain.members import MemberId
from shared.domain.onboarding import OnboardingState, Step, derived_state
from shared.ports import Create, Op, Write
from shared.repositories import JOBS, Listing, audit_write
from shared.repositories import steps_of as read_steps
from shared.services.context import Actor, Ports
from shared.services.managed import managed_of
from shared.services.removals import Words, all_foreseen, onboarding_of, refuse_the_bot, worded
from shared.services.tasks import enqueue

MAX_STEPS = 450
"""A job, its steps and its audit record are one batch, and a batch holds 500 writes."""


class JobView(Struct, frozen=True):
    """`lines`: of an act on many people, some of them or all; `counts`: of all, by state.
    None for others: their steps are the items."""

    job: Job
    steps: Sequence[Step]
    lines: Sequence[Line] = ()
    counts: Mapping[str, int] | None = None

    @property
    def state(self) -> OnboardingState:
        return derived_state("", self.steps)


class Wanted(Struct, frozen=True):
    """`kind`: "invite" or "remove". `rooms` empty, for a removal: every room of the bot they are in. `words`: what a
    removal says beyond its reason. `people`: instead of `matrix_id`, where it concerns several. `part_of`: the job of
    an act on many."""

    kind: str
    matrix_id: str = ""
    rooms: tuple[str, ...] = ()
    reason: str = ""
    key: str = ""
    body: str = ""
    words: Words = Words()
    people: tuple[str, ...] = ()
    part_of: str = ""


async def start(ports: Ports, actor: Actor, wanted: Wanted, *, dry_run: bool = False) -> JobView:
    """Raises `Invalid`, and `Conflict` for a key used with another body. A removal from everywhere is decided by what
    the homeserver says now: raises `TryLater` where it does not. Its dry run shows which room would come to nothing."""
    member = members.member_id(wanted.matrix_id)
    name = job_id(ports, actor, f"rooms/{wanted.kind}", wanted.key)
    known = await repeated(ports, name, wanted.key, wanted.body)
    if known:
        return known
    job = Job(
        id=name,
        kind=wanted.kind,
        matrix_id=member,
        actor=actor.name,
        created_at=ports.now(),
        reason=wanted.reason,
        request=wanted.body,
        part_of=wanted.part_of,
    )
    if wanted.kind == "remove":
        job, steps = await _removal(ports, job, member, wanted)
    else:
        steps = job_steps(job, _named(wanted))
    if dry_run:
        steps = await all_foreseen(ports, job, steps)
        return JobView(job.but(state=derived_state("", steps)), steps)
    return await begun(ports, actor, job, steps, f"rooms.{wanted.kind}")


async def _removal(ports: Ports, job: Job, member: MemberId, wanted: Wanted) -> tuple[Job, list[Step]]:
    await refuse_the_bot(ports, member)
    words, who = wanted.words, None
    if "{" in wanted.reason + words.message or words.template:
        who = await onboarding_of(ports, member)
    asked = Words(wanted.reason, words.template, words.message, words.required)
    reason, message = await worded(ports, asked, member, who.username if who else "", who.name if who else "")
    rooms, notes = wanted.rooms, list[str]()
    if not rooms:
        where, notes = fitting({member: [room.room_id for room in await managed_of(ports, member)]})
        rooms = tuple(where[member])
        notes += [] if rooms else ["they are in none of the bot's rooms: there is nothing to take them out of"]
    said = message if rooms else ""
    job = job.but(reason=reason, message=said, message_required=words.required, notes=tuple(notes))
    return job, leaving_steps(job, {member: rooms})


def _named(wanted: Wanted) -> tuple[str, ...]:
    if not wanted.rooms:
        raise Invalid.field("rooms", "expected at least one room")
    return wanted.rooms


def job_id(ports: Ports, actor: Actor, route: str, key: str) -> str:
    return ids.keyed_id("job", actor.name, route, key or f"{ports.chance():032x}")


async def repeated(ports: Ports, name: str, key: str, body: str) -> JobView | None:
    """The job that this key has made before. Raises `Conflict` where that was asked for with another body."""
    known = await JOBS.find(ports.documents, name) if key else None
    return await _the_same(ports, known.record, body) if known else None


async def begun(
    ports: Ports,
    actor: Actor,
    job: Job,
    steps: Sequence[Step],
    action: str,
    *,
    also: Sequence[Write] = (),
    **detail: Any,
) -> JobView:
    """Job, steps and audit in one batch, and what `also` belongs to it; then the tasks. Under a key that another
    request has just used: that one's."""
    if len(steps) > MAX_STEPS:
        raise Invalid.field("rooms", f"expected at most {MAX_STEPS}")
    job = job.but(state=derived_state("", steps), finished_at=None if steps else job.created_at)
    rooms = list(dict.fromkeys(step.room for step in steps if step.room))
    target = (
        job.matrix_id or job.target or (rooms[0] if len(rooms) == 1 else "")
    )  # several people: each step's own record names one
    record = audit(ports.now(), actor.name, action, target, job.id, source=actor.source)
    record = record.but(detail={"job": job.id, "rooms": rooms, "reason": job.reason} | detail)
    creations = [Create(step.path, step.data()) for step in steps]
    try:
        await ports.documents.write(JOBS.create(job, job.id), *creations, *also, audit_write(record))
    except Outpaced:  # the same key at the same moment
        return await _the_same(ports, (await JOBS.get(ports.documents, job.id)).record, job.request)
    await enqueue(ports, steps)
    return JobView(job, steps)


async def _the_same(ports: Ports, known: Job, body: str) -> JobView:
    if known.request != body:
        raise Conflict("this Idempotency-Key was used with another body", "Use a new key for a new job.")
    return await view(ports, known.id)


async def listing(ports: Ports, part_of: str, state: str, limit: int, cursor: str | None) -> Listing[Job]:
    """Without `part_of`: those that were asked for, not those which a plan's job has made for its members."""
    where: list[tuple[str, Op, str]] = [("part_of", "==", part_of)]
    if state:
        where.append(("state", "==", state))
    return await JOBS.list(ports.documents, where, "-created_at", limit, cursor)


async def view(ports: Ports, job_id: str) -> JobView:
    stored = await JOBS.get(ports.documents, job_id)
    return JobView(stored.record, [step.record for step in await read_steps(ports.documents, stored.path)])
