"""Invites that somebody has not answered: of admins' jobs and of plans, and what the last sync has seen."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from shared.domain.errors import Outpaced
from shared.domain.onboarding import Step
from shared.ports import Query
from shared.repositories import JOBS, every, steps_of
from shared.services.cache import memberships
from shared.services.context import Ports

INVITING = ("invite", "member")
"""Kinds of jobs that bring somebody into rooms."""


async def inviting_steps(ports: Ports, matrix_id: str) -> Sequence[Step]:
    """Of all jobs for this Matrix id: those that have invited, or are just about to."""
    found = await every(ports.documents, Query("jobs", [("matrix_id", "==", matrix_id)]))
    jobs = [job for job in map(JOBS.stored, found) if job.record.kind in INVITING]
    steps = [each.record for job in jobs for each in await steps_of(ports.documents, job.path)]
    return [step for step in steps if step.kind == "room" and step.state in ("done", "running")]


async def seen_invited(ports: Ports, matrix_id: str) -> Sequence[str]:
    """By the last sync: rooms to look at live. Empty where there is none, or where it is just being written."""
    with contextlib.suppress(Outpaced):
        known = await memberships(ports)
        if known:
            return [room for room in known.rooms if matrix_id in known.invited_to(room)]
    return ()
