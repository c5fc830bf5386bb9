"""Admin acts on more than one room: each room a step, each step a task, each outcome shown."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from shared.domain import ids, members
from shared.domain.audit import audit
from shared.domain.errors import Conflict, Invalid, Outpaced
from shared.domain.jobs import Job, job_steps
from shared.domain.onboarding import OnboardingState, Step, derived_state
from shared.ports import Create, Op
from shared.repositories import JOBS, Listing, audit_write
from shared.repositories import steps_of as read_steps
from shared.services.context import Actor, Ports
from shared.services.rooms import managed_of
from shared.services.tasks import enqueue

MAX_ROOMS = 450
"""A job, its steps and its audit record are one batch, and a batch holds 500 writes."""


class JobView(Struct, frozen=True):
    job: Job
    steps: Sequence[Step]

    @property
    def state(self) -> OnboardingState:
        return derived_state("", self.steps)


class Wanted(Struct, frozen=True):
    """`kind`: "invite" or "remove". `rooms` empty, for a removal: every room of the bot they are in."""

    kind: str
    matrix_id: str
    rooms: tuple[str, ...] = ()
    reason: str = ""
    key: str = ""
    body: str = ""


async def start(ports: Ports, actor: Actor, wanted: Wanted, *, dry_run: bool = False) -> JobView:
    """Raises `Invalid`, and `Conflict` for a key used with another body."""
    member = members.member_id(wanted.matrix_id)
    name = ids.keyed_id("job", actor.name, f"rooms/{wanted.kind}", wanted.key or f"{ports.chance():032x}")
    known = await JOBS.find(ports.documents, name) if wanted.key else None
    if known:
        return await _repeated(ports, known.record, wanted)
    rooms = wanted.rooms or await _everywhere(ports, member, wanted.kind)
    if len(rooms) > MAX_ROOMS:
        raise Invalid.field("rooms", f"expected at most {MAX_ROOMS}")
    job = Job(
        id=name,
        kind=wanted.kind,
        matrix_id=member,
        actor=actor.name,
        created_at=ports.now(),
        reason=wanted.reason,
        request=wanted.body,
    )
    steps = job_steps(job, rooms)
    job = job.but(state=derived_state("", steps), finished_at=None if steps else job.created_at)
    if dry_run:
        return JobView(job, steps)
    record = audit(ports.now(), actor.name, f"rooms.{wanted.kind}", member, name, source=actor.source)
    detail = {"job": name, "rooms": list(rooms), "reason": wanted.reason}
    try:
        await ports.documents.write(
            JOBS.create(job, name),
            *(Create(step.path, step.data()) for step in steps),
            audit_write(record.but(detail=detail)),
        )
    except Outpaced:  # the same key at the same moment
        return await _repeated(ports, (await JOBS.get(ports.documents, name)).record, wanted)
    await enqueue(ports, steps)
    return JobView(job, steps)


async def _repeated(ports: Ports, known: Job, wanted: Wanted) -> JobView:
    if known.request != wanted.body:
        raise Conflict("this Idempotency-Key was used with another body", "Use a new key for a new job.")
    return await view(ports, known.id)


async def _everywhere(ports: Ports, member: str, kind: str) -> tuple[str, ...]:
    if kind != "remove":
        raise Invalid.field("rooms", "expected at least one room")
    return tuple(room.room_id for room in await managed_of(ports, member))


async def listing(ports: Ports, part_of: str, state: str, limit: int, cursor: str | None) -> Listing[Job]:
    """Without `part_of`: those that were asked for, not those which a plan's job has made for its members."""
    where: list[tuple[str, Op, str]] = [("part_of", "==", part_of)]
    if state:
        where.append(("state", "==", state))
    return await JOBS.list(ports.documents, where, "-created_at", limit, cursor)


async def view(ports: Ports, job_id: str) -> JobView:
    stored = await JOBS.get(ports.documents, job_id)
    return JobView(stored.record, [step.record for step in await read_steps(ports.documents, stored.path)])
