"""A message to people or rooms: what is said, to whom it goes, and whether it goes on.

The text is stored here once, and never changes; each recipient is a step below it (`messages/{id}/steps`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from msgspec import Struct, field

from shared.domain.imports import Line
from shared.domain.onboarding import Step
from shared.domain.records import Record

MessageState = Literal["running", "paused", "stopped", "cancelled", "done", "failed"]
HALTED = ("paused", "stopped")
OVER = ("done", "failed", "cancelled")
MOST = 5_000
"""Recipients of one message: as many lines as fit into one batch with their job."""
MOST_ROOMS = 100
UNASKED = 10
"""So many may be written to without their number being sent along."""
LONGEST = 16_000
"""Characters of a text: an event holds 64 KB, of which it takes up to four a character, as plain text and as HTML."""
LEAST_TRIES = 20
PAUSED = "paused"
"""What a step waits for whose message does not go on."""
GROUPS: Mapping[str, tuple[str, ...]] = {
    "got": ("done",),
    "failed": ("failed",),
    "waiting": ("waiting",),
    "open": ("pending", "scheduled", "running"),
    "skipped": ("skipped",),
}
"""How a report tells the states of its recipients."""


class Message(Record, frozen=True, kw_only=True):
    """`text`: Markdown, `template`: of which version of which template it is; `notice`: the footer, as it was when it
    was sent. `to`: whom the admin has asked for, without names; `about` the same in words. `people`: the recipients,
    those that were left out from the start among them. `stopped_why`: of one that stopped by itself. `since`: from when
    on failed tries count towards that; `retried_at`: what has failed before is tried again. `counts`: of recipients by
    their state, as its job saw them last. `matrix_id`, `pace_*`: as a parent of steps has them."""

    id: str
    job: str
    actor: str
    created_at: datetime
    text: str
    template: str = ""
    notice: str = ""
    to: dict[str, Any] = field(default_factory=dict)
    about: str = ""
    people: int = 0
    state: MessageState = "running"
    stopped_why: str = ""
    since: datetime | None = None
    retried_at: datetime | None = None
    changed_at: datetime | None = None
    finished_at: datetime | None = None
    counts: dict[str, int] = field(default_factory=dict)
    matrix_id: str = ""
    pace_interval: float = 0.0
    pace_until: datetime | None = None

    @property
    def path(self) -> str:
        return f"messages/{self.id}"


def message_id(job: str) -> str:
    """Of the one message that this job sends."""
    return f"msg_{job.removeprefix('job_')}"


class Recipient(Struct, frozen=True):
    """A person, or a room. `cause`: why nothing can be sent there; "": it can be."""

    matrix_id: str = ""
    room: str = ""
    name: str = ""
    username: str = ""
    pk: int = 0
    cause: str = ""
    fix: str = ""


def line_of(number: int, one: Recipient) -> Line:
    """As it is kept until it is a step."""
    about = {"pk": one.pk} if one.pk else {}
    name = one.matrix_id or one.room
    line = Line(line=number, id=name, username=one.username, label=one.name, fields=about)
    return line.failed(one.cause, one.fix, "skipped") if one.cause else line


def step_of(message: Message, line: Line, now: datetime) -> Step:
    """The recipient's own step, in the state from which it starts while the message is in its state."""
    room = line.id if line.id.startswith("!") else ""
    step = Step(
        parent=message.path,
        name=f"to:{line.line:05}",
        kind="message",
        room=room,
        matrix_id="" if room else line.id,
        due_at=now,
        updated_at=now,
        wanted={"name": line.label, "username": line.username, **line.fields},
    )
    if line.state == "skipped":
        return left_out(step, now, line.cause, line.fix)
    if message.state == "cancelled":
        return left_out(step, now, CANCELLED)
    return halted(step, now) if message.state in HALTED else step


CANCELLED = "the message was cancelled before it went out to them"


def left_out(step: Step, now: datetime, cause: str, fix: str = "") -> Step:
    return step.ended("skipped", now, result={"reason": cause}, cause=cause, fix=fix)


def halted(step: Step, now: datetime) -> Step:
    cause, fix = "the message is paused, or has stopped by itself", "Resume it, and this goes on."
    return step.waiting(now, on=PAUSED, cause=cause, fix=fix)


def too_many_failed(failed: int, got: int) -> bool:
    """More than half of at least 20 tries."""
    tries = failed + got
    return tries >= LEAST_TRIES and 2 * failed > tries


def standing_of(message: Message, counts: Mapping[str, int]) -> dict[str, int]:
    """As `grouped`. Once it has finished nobody is still to come, also where somebody asked to be forgotten since."""
    return grouped(counts, 0 if message.finished_at else message.people)


def grouped(counts: Mapping[str, int], people: int = 0) -> dict[str, int]:
    """By what a report calls them; of so many `people` who is not a step yet is still to come."""
    found = {group: sum(counts.get(state, 0) for state in states) for group, states in GROUPS.items()}
    found["open"] += max(0, people - sum(found.values()))
    return found
