"""A job: one admin act on more than one thing. Each thing is a step, as in an onboarding."""

from __future__ import annotations

from datetime import datetime

from shared.domain import ids
from shared.domain.onboarding import OnboardingState, Step
from shared.domain.records import Record


class Job(Record, frozen=True, kw_only=True):
    """`kind`: "invite" or "remove"; "plan" or "undo": its steps make jobs of kind "member", one for each whom the plan
    concerns, which are `part_of` it, from that `part` of the plan. `matrix_id`: whom it concerns. `actor`: the admin.
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


KINDS = {"invite": "room", "remove": "removal"}


def job_steps(job: Job, rooms: tuple[str, ...]) -> list[Step]:
    """One step a room, all ready to start."""
    kind = KINDS[job.kind]
    return [
        Step(
            parent=f"jobs/{job.id}",
            name=ids.room_step(room),
            kind=kind,
            room=room,
            due_at=job.created_at,
            updated_at=job.created_at,
        )
        for room in dict.fromkeys(rooms)
    ]
