"""A job: one admin act on more than one thing. Each thing is a step, as in an onboarding."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from shared.domain import ids
from shared.domain.onboarding import ENDED, OnboardingState, Step
from shared.domain.records import Record

STAGES = ("deactivate", "removal_message", "removal")
"""Of a job that takes somebody out: what comes after what. The next begins when the one before has ended in any way."""
MOST_ROOMS = 440
"""That a job takes somebody out of: it is one batch, which holds 500 writes, and so is the beginning of its stage."""


class Job(Record, frozen=True, kw_only=True):
    """`kind`: "invite", "remove" or "offboard"; "plan" or "undo": its steps make jobs of kind "member", one for each
    whom the plan concerns, which are `part_of` it, from that `part` of the plan; "import" or "bulk": one step that
    works off lines; "signal": opens a chat there; "email": a step for each recipient; "answer": an admin's words to a
    member. `target`: an invite's id or an account's username, where it is about that. `matrix_id`: whom it concerns; ""
    where that is several `people`, so many of them, each named by the steps.
    `actor`: the admin. `account_pk`: in Authentik, of who is off-boarded or written to on Signal. `message`: said to
    them before; `message_required`: nothing is done unless it was. `not_before`: when the first removal may be.
    `notes`: what the admin should know of how it was decided.
    `state` repeats, for queries, what the steps add up to."""

    id: str
    kind: str
    matrix_id: str
    actor: str
    created_at: datetime
    reason: str = ""
    state: OnboardingState = "running"
    finished_at: datetime | None = None
    request: str = ""
    part_of: str = ""
    part: int = 0
    pace_interval: float = 0.0
    pace_until: datetime | None = None
    account_pk: int = 0
    people: int = 0
    message: str = ""
    message_required: bool = False
    not_before: datetime | None = None
    notes: tuple[str, ...] = ()
    target: str = ""


KINDS = {"invite": "room", "remove": "removal"}


def job_steps(job: Job, rooms: tuple[str, ...]) -> list[Step]:
    """One step a room, all ready to start."""
    return [_step(job, KINDS[job.kind], ids.room_step(room), room) for room in dict.fromkeys(rooms)]


def leaving_steps(job: Job, where: Mapping[str, Iterable[str]]) -> list[Step]:
    """Of a job that takes somebody out: `where` has, for each of their Matrix ids, the rooms. The first stage that
    there is starts at once, the others wait for it."""
    steps = [_step(job, "deactivate", "deactivate")] if job.account_pk else []
    if job.message and job.matrix_id:
        steps.append(_step(job, "removal_message", "removal_message"))
    for member, rooms in where.items():
        steps += [_removal(job, member, room) for room in dict.fromkeys(rooms)]
    first = next((stage for stage in STAGES if any(step.kind == stage for step in steps)), "")
    return [step if step.kind == first else step.but(state="pending", due_at=None) for step in steps]


def crowd_steps(job: Job, rooms: Mapping[str, Iterable[str]], said: Mapping[str, tuple[str, str]]) -> list[Step]:
    """Of a job that concerns several people: `rooms` of each, and for a removal the reason and the message of each. A
    message comes before the removals of its own reader, and before nobody else's."""
    steps: list[Step] = []
    for member, theirs in rooms.items():
        reason, message = said.get(member, ("", ""))
        own = ids.digest("member", member, length=8)
        made = [_step(job, KINDS[job.kind], f"{ids.room_step(room)}~{own}", room) for room in dict.fromkeys(theirs)]
        made = [step.but(wanted={"reason": reason}) if reason else step for step in made]
        if message and made:
            made = [step.but(state="pending", due_at=None) for step in made]
            first = _step(job, "removal_message", f"removal_message~{own}")
            made = [first.but(wanted={"message": message}), *made]
        steps += [step.but(matrix_id=member) for step in made]
    return steps


def fitting(where: Mapping[str, Sequence[str]]) -> tuple[dict[str, Sequence[str]], list[str]]:
    """Of the rooms of each Matrix id as many as one job can hold, and a note where there are more."""
    cut: dict[str, Sequence[str]] = {}
    for member, rooms in where.items():
        cut[member] = rooms[: MOST_ROOMS - sum(map(len, cut.values()))]
    more = sum(map(len, where.values())) - sum(map(len, cut.values()))
    words = (
        f"they are in {more} more rooms than the {MOST_ROOMS} that one job can hold: ask again once this one is done"
    )
    return cut, [words] if more else []


def _removal(job: Job, member: str, room: str) -> Step:
    """A second Matrix id of the same person has steps of its own."""
    name = ids.room_step(room)
    if member == job.matrix_id:
        return _step(job, "removal", name, room)
    return _step(job, "removal", f"{name}~{ids.digest('member', member, length=8)}", room).but(matrix_id=member)


def _step(job: Job, kind: str, name: str, room: str = "") -> Step:
    return Step(
        parent=f"jobs/{job.id}", name=name, kind=kind, room=room, due_at=job.created_at, updated_at=job.created_at
    )


def next_stage(job: Job, ended: Step, pending: Sequence[Step], now: datetime) -> list[Step]:
    """What the end of a stage starts: the pending steps of the next one. Where the message was required and could not
    be said, nobody is removed. Of several people each has stages of their own."""
    if ended.kind not in STAGES[:-1] or ended.state not in ENDED:
        return []
    pending = [step for step in pending if job.matrix_id or step.matrix_id == ended.matrix_id]
    if ended.kind == "removal_message" and ended.state != "done" and job.message_required:
        reason = {"reason": "not removed, as was asked: the message before it could not be said"}
        return [step.ended("skipped", now, result=reason) for step in pending if step.kind == "removal"]
    following = next((stage for stage in STAGES if any(step.kind == stage for step in pending)), "")
    at = max(now, job.not_before or now)
    return [step.scheduled(at, anew=False) for step in pending if step.kind == following]
