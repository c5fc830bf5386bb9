"""Admin acts on several people at once: one job, in which each room of each person is a step.

Idempotent by the job's id under an `Idempotency-Key`, and by each step's document. A job is one batch: so many people
and rooms as it holds, and no more.
"""

from __future__ import annotations

from collections.abc import Sequence

from shared.bounded import each
from shared.domain.errors import Invalid
from shared.domain.jobs import MOST_ROOMS, Job, crowd_steps
from shared.domain.members import MemberId, member_id
from shared.domain.onboarding import Step, derived_state
from shared.services.context import Actor, Ports
from shared.services.jobs import JobView, Wanted, begun, job_id, repeated
from shared.services.managed import managed_of
from shared.services.removals import all_foreseen, chosen, filled_for, onboarding_of, refuse_the_bot


async def start(ports: Ports, actor: Actor, wanted: Wanted, *, dry_run: bool = False) -> JobView:
    """As `shared.services.jobs.start`, for `wanted.people`. Each gets the reason and the message filled in for them."""
    people = list(dict.fromkeys(member_id(each, "matrix_ids") for each in wanted.people))
    name = job_id(ports, actor, f"rooms/{wanted.kind}/people", wanted.key)
    known = await repeated(ports, name, wanted.key, wanted.body)
    if known:
        return known
    job = Job(
        id=name,
        kind=wanted.kind,
        matrix_id="",
        people=len(people),
        actor=actor.name,
        created_at=ports.now(),
        reason=wanted.reason,
        request=wanted.body,
        message_required=wanted.words.required,
    )
    if wanted.kind == "remove":
        job, steps = await _removal(ports, job, people, wanted)
    else:
        steps = _inviting(job, people, wanted)
    if len(steps) > MOST_ROOMS:
        said = f"{len(people)} people and their rooms are {len(steps)} things to do; expected at most {MOST_ROOMS}"
        raise Invalid.field("matrix_ids", said)
    if dry_run:
        steps = await all_foreseen(ports, job, steps)
        return JobView(job.but(state=derived_state("", steps)), steps)
    return await begun(ports, actor, job, steps, f"rooms.{wanted.kind}", people=len(people))


def _inviting(job: Job, people: Sequence[MemberId], wanted: Wanted) -> list[Step]:
    if not wanted.rooms:
        raise Invalid.field("rooms", "expected at least one room")
    return crowd_steps(job, {str(person): wanted.rooms for person in people}, {})


async def _removal(ports: Ports, job: Job, people: Sequence[MemberId], wanted: Wanted) -> tuple[Job, list[Step]]:
    for person in people:
        await refuse_the_bot(ports, person, "matrix_ids")
    texts = await chosen(ports, wanted.words)

    async def said_to(person: MemberId) -> tuple[str, str]:
        who = await onboarding_of(ports, person) if "{" in "".join(texts) else None
        return filled_for(ports, texts, person, who.username if who else "", who.name if who else "")

    async def rooms_of(person: MemberId) -> Sequence[str]:
        return wanted.rooms or [room.room_id for room in await managed_of(ports, person)]

    said: dict[str, tuple[str, str]] = dict(zip(people, await each(people, said_to), strict=True))
    where: dict[str, Sequence[str]] = dict(zip(people, await each(people, rooms_of), strict=True))
    return job.but(reason=texts[0], message=texts[1]), crowd_steps(job, where, said)
