"""Whatever was still to be done for a member who leaves: stopped, so that nobody is invited again afterwards."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import datetime

from shared.domain.audit import audit
from shared.domain.errors import Outpaced
from shared.domain.jobs import Job
from shared.domain.onboarding import Onboarding, Step, derived_state
from shared.ports import Query, Replace, Write
from shared.repositories import JOBS, ONBOARDINGS, Stored, audit_write, every, steps_of
from shared.services.context import Actor, Ports
from shared.services.tasks import again_when_outpaced, restate

STAYS = ("deactivate", "invitation")
"""Steps that take something away go on."""
REASON = "off-boarded"
BRINGING = ("room", "level", "answer", "message")
"""Kinds of steps of a job or a message that give something, or say it; what takes something away goes on."""


def open_steps(steps: Sequence[Step]) -> list[Step]:
    """Those that are to stop; what has failed is no longer to be tried again either."""
    return [step for step in steps if step.state not in ("done", "skipped") and step.kind not in STAYS]


async def stop_onboarding(ports: Ports, actor: Actor, onboarding: Onboarding) -> None:
    """Their open steps are skipped with the reason, in one batch; one that runs just now finds at its end that it was.
    What was held is rejected. Stopping again is fine."""

    async def attempt() -> None:
        stored = await ONBOARDINGS.get(ports.documents, onboarding.id)
        steps = await steps_of(ports.documents, stored.path)
        stopping = {step.path for step in open_steps([each.record for each in steps])}
        now, reason = ports.now(), {"reason": REASON, "by": actor.name}
        changed = [
            (each, each.record.ended("skipped", now, result=each.record.result | reason))
            for each in steps
            if each.path in stopping
        ]
        record = _stopped(stored, [step for _, step in changed] + [s.record for s in steps if s.path not in stopping])
        if not changed and record == stored.record:
            return
        record = record.but(finished_at=record.finished_at or now) if record.state == "done" else record
        said = audit(now, actor.name, "onboarding.stop", onboarding.username, onboarding.id, source=actor.source)
        detail = {"onboarding": onboarding.id, "steps": [step.name for _, step in changed], "reason": REASON}
        await ports.documents.write(
            stored.replaced(record),
            *(each.replaced(step) for each, step in changed),
            audit_write(said.but(detail=detail)),
        )

    await again_when_outpaced(attempt)


def _stopped(stored: Stored[Onboarding], steps: Sequence[Step]) -> Onboarding:
    held = stored.record.hold == "pending"
    onboarding = stored.record.but(hold="rejected" if held else stored.record.hold, look_at=None)
    return onboarding.but(state=derived_state(onboarding.hold, steps))


async def _bringing_jobs(ports: Ports, person: str) -> list[Stored[Job]]:
    query = Query("jobs", [("matrix_id", "==", person), ("kind", "in", ["invite", "member", "answer"])])
    return [JOBS.stored(item) for item in await every(ports.documents, query)]


async def _among_others(ports: Ports, person: str) -> list[Stored[Step]]:
    """Of jobs that concern several people, the steps that are about this one."""
    found = await every(ports.documents, Query("steps", [("matrix_id", "==", person)], group=True))
    steps = [Stored(Step.of(item.data), item.path, item.version) for item in found]
    return [each for each in steps if each.record.kind in BRINGING]


async def inviting_steps(ports: Ports, person: str) -> list[Step]:
    """By which jobs have invited them, or still may; none that was left out."""
    found = [
        *[each for job in await _bringing_jobs(ports, person) for each in await steps_of(ports.documents, job.path)],
        *await _among_others(ports, person),
    ]
    return [each.record for each in found if each.record.kind == "room" and each.record.state != "skipped"]


async def stop_invites(ports: Ports, people: Sequence[str]) -> None:
    """What a job was still to bring them: an admin's invites, and their part of a plan, or of its being undone. What is
    only planned is left out when it is applied (`shared.services.plan_guard`)."""
    for person in people:
        for job in await _bringing_jobs(ports, person):
            if job.record.state == "done":
                continue
            await _stop(ports, await steps_of(ports.documents, job.path))
            await restate(ports, job.path)
        theirs = await _among_others(ports, person)
        await _stop(ports, theirs)
        for path in sorted({each.record.parent for each in theirs}):
            await restate(ports, path)


async def _stop(ports: Ports, steps: Sequence[Stored[Step]]) -> None:
    for each in steps:
        [stopped] = kept_from([each.record], REASON, ports.now())
        if stopped != each.record:
            with contextlib.suppress(Outpaced):  # it ends just now by itself
                await ports.documents.write(each.replaced(stopped))


def kept_from(steps: Sequence[Step], why: str, now: datetime) -> list[Step]:
    """The same steps, of which those that bring something are skipped."""
    return [
        step.ended("skipped", now, result={**step.result, "reason": why})
        if step.kind in BRINGING and step.state not in ("done", "skipped")
        else step
        for step in steps
    ]


async def stop_letters(ports: Ports, people: Sequence[str]) -> None:
    """No device of theirs that comes later gets the key of what was said before."""
    for person in people:
        letters = await every(ports.documents, Query("letters", [("matrix_id", "==", person)]))
        writes: list[Write] = [
            Replace(item.path, item.data | {"look_at": None}, item.version) for item in letters if item.data["look_at"]
        ]
        for write in writes:
            with contextlib.suppress(Outpaced):
                await ports.documents.write(write)


async def offboarded_since(ports: Ports, matrix_id: str, since: datetime) -> bool:
    query = Query("jobs", [("matrix_id", "==", matrix_id), ("kind", "==", "offboard")])
    return any(item.data["created_at"] >= since for item in await every(ports.documents, query))


async def was_offboarded(ports: Ports, pk: int) -> bool:
    """For accounts without an onboarding: a webhook that comes late is not to bring in whoever was shown out."""
    query = Query("jobs", [("account_pk", "==", pk), ("kind", "==", "offboard")], limit=1)
    return bool((await ports.documents.query(query)).items)
