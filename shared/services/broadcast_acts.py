"""What an admin does with a message that is under way: pause, resume, cancel, and try again what has failed.

Idempotent: the same again changes nothing. Message, audit and the job's step that is to look are one batch, so that
whoever dies after it has lost nothing; the recipients' steps follow in the job (`broadcast_run`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Literal

from shared.domain.audit import audit
from shared.domain.broadcasts import HALTED, Message
from shared.domain.errors import Conflict
from shared.domain.onboarding import ENDED, Step
from shared.ports import Write
from shared.repositories import JOBS, MESSAGES, Stored, audit_write
from shared.services.broadcast_run import counted
from shared.services.broadcasts import DRIVER
from shared.services.context import Actor, Ports
from shared.services.tasks import again_when_outpaced, enqueue

Deed = Literal["pause", "resume", "cancel", "retry"]
FINISHED = "everybody has come to an end with it"
CANCELLED = "it was cancelled"


async def act_on(ports: Ports, actor: Actor, message_id: str, deed: Deed, *, dry_run: bool = False) -> Message:
    """The message as it is then. Raises `NotFound`, and `Conflict` where it is too late for that."""

    async def attempt() -> tuple[Message, list[Step]]:
        stored, now = await MESSAGES.get(ports.documents, message_id), ports.now()
        changed = DEEDS[deed](stored.record, now)
        if deed == "retry" and not (await counted(ports, message_id)).get("failed"):
            changed = stored.record  # there is nothing to try again
        if changed == stored.record or dry_run:
            return changed, []
        record = audit(now, actor.name, f"message.{deed}", message_id, f"{now.timestamp()}", source=actor.source)
        detail = {"message": message_id, "job": changed.job, "was": stored.record.state}
        woken, writes = await _woken(ports, changed, now) if deed != "pause" else ([], [])
        await ports.documents.write(stored.replaced(changed), *writes, audit_write(record.but(detail=detail)))
        return changed, woken

    message, steps = await again_when_outpaced(attempt)
    await enqueue(ports, steps)
    return message


async def _woken(ports: Ports, message: Message, now: datetime) -> tuple[list[Step], list[Write]]:
    """The job's step looks at once, whatever it was waiting for. One that looks just now finds that it has changed, and
    what it wanted to record is left to this one."""
    path = JOBS.path(message.job)
    job, document = await JOBS.get(ports.documents, message.job), await ports.documents.get(f"{path}/steps/{DRIVER}")
    if document is None:
        raise Conflict("its job is gone", "Write the message anew.")
    step = Step.of(document.data)
    ended = step.state in ENDED
    result = {name: value for name, value in step.result.items() if name != "still"}
    if ended:
        result["made"] = step.wanted["parts"]
    woken = step.scheduled(now).but(cause="", fix="", code="", faults=0, result=result)
    writes: Sequence[Write] = (
        Stored(step, document.path, document.version).replaced(woken),
        job.replaced(job.record.but(state="running", finished_at=None)),
    )
    return [woken], list(writes)


# ------------------------------------------------------------------ the deeds


def _pause(message: Message, now: datetime) -> Message:
    if message.state in HALTED:
        return message
    _under_way(message, "pause")
    return message.but(state="paused", changed_at=now)


def _resume(message: Message, now: datetime) -> Message:
    """What had failed before counts no more towards its stopping. The homeserver is asked anew how fast it may be."""
    if message.state == "running":
        return message
    _under_way(message, "resume")
    fresh = message.but(since=now, stopped_why="") if message.state == "stopped" else message
    return fresh.but(state="running", changed_at=now, pace_interval=0.0, pace_until=None)


def _cancel(message: Message, now: datetime) -> Message:
    if message.state == "cancelled":
        return message
    _under_way(message, "cancel")
    return message.but(state="cancelled", changed_at=now, stopped_why="")


def _retry(message: Message, now: datetime) -> Message:
    """A message that has stopped, or is paused, goes on by it as well."""
    if message.state == "cancelled":
        raise Conflict(CANCELLED, "Write the message anew.")
    again = message.but(retried_at=now, since=now, stopped_why="", pace_interval=0.0, pace_until=None)
    return again.but(state="running", changed_at=now, finished_at=None)


def _under_way(message: Message, deed: str) -> None:
    if message.state in ("done", "failed"):
        raise Conflict(FINISHED, f"There is nothing to {deed}.")
    if message.state == "cancelled":
        raise Conflict(CANCELLED, "Write the message anew.")


DEEDS: dict[Deed, Callable[[Message, datetime], Message]] = {
    "pause": _pause,
    "resume": _resume,
    "cancel": _cancel,
    "retry": _retry,
}
