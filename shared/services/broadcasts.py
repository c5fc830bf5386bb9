"""A message to many, begun: what is said and to whom is decided once, and stored in one batch with the job for it.

Idempotent by the ids of message and job, which derive from caller and `Idempotency-Key`; each recipient by a step of
their own (`shared.services.broadcast_sending`), which the job makes (`shared.services.broadcast_run`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from shared.domain.audit import audit
from shared.domain.broadcasts import UNASKED, Message, Recipient, grouped, line_of, message_id
from shared.domain.errors import Conflict, Invalid, Outpaced
from shared.domain.jobs import Job
from shared.domain.onboarding import Step
from shared.domain.templates import Person
from shared.ports import Create
from shared.repositories import JOBS, MESSAGES, audit_write
from shared.services import broadcast_words
from shared.services.broadcast_choice import To, choose
from shared.services.context import Actor, Ports
from shared.services.jobs import job_id, repeated
from shared.services.limits import at_their_limit
from shared.services.lines import creations
from shared.services.tasks import enqueue

DRIVER = "recipients"
"""The one step of a message's job."""
SHOWN = 100


class Wanted(Struct, frozen=True):
    """`text` or `template`. `notice`: whether the footer stands below; None: for people, not in rooms. `expected`: how
    many the admin has seen that it goes to."""

    to: To
    text: str = ""
    template: str = ""
    notice: bool | None = None
    expected: int | None = None
    key: str = ""
    body: str = ""


class Sample(Struct, frozen=True):
    """The message as its first recipient gets it."""

    to: Recipient
    plain: str
    html: str


class Started(Struct, frozen=True):
    """`sends`: to so many. `first`: some of them; `left_out`: some of those who cannot be written to; `limited`: some
    of those for whom it waits until tomorrow. `out`, `later`: how many these are in all."""

    message: Message
    counts: Mapping[str, int]
    sends: int = 0
    out: int = 0
    later: int = 0
    first: Sequence[Recipient] = ()
    left_out: Sequence[Recipient] = ()
    limited: Sequence[Recipient] = ()
    sample: Sample | None = None


async def start(ports: Ports, actor: Actor, wanted: Wanted, *, dry_run: bool = False) -> Started:
    """Raises `Invalid`; `Conflict` where it would go to others than the admin has seen, and for a key used with another
    body."""
    name = job_id(ports, actor, "messages", wanted.key)
    if await repeated(ports, name, wanted.key, wanted.body):
        return _again((await MESSAGES.get(ports.documents, message_id(name))).record)
    source = await broadcast_words.source_of(ports, wanted.text, wanted.template)
    choice = await choose(ports, wanted.to)
    message = Message(
        id=message_id(name),
        job=name,
        actor=actor.name,
        created_at=ports.now(),
        text=source.text,
        template=source.template,
        notice=_notice(ports, wanted),
        to=choice.asked,
        about=choice.about,
        people=len(choice.people),
    )
    started = await _seen(ports, message, choice.people)
    _check(started, wanted, dry_run=dry_run)
    if dry_run:
        return started
    try:
        await _begin(ports, actor, started, choice.people, wanted.body)
    except Outpaced:  # the same key at the same moment
        return _again((await MESSAGES.get(ports.documents, message.id)).record)
    return started


def _again(message: Message) -> Started:
    counts = grouped(message.counts, message.people)
    return Started(message, counts, sends=message.people - counts["skipped"], out=counts["skipped"])


def _notice(ports: Ports, wanted: Wanted) -> str:
    shown = wanted.to.way != "rooms" if wanted.notice is None else wanted.notice
    return ports.policy.message_notice if shown else ""


async def _seen(ports: Ports, message: Message, people: Sequence[Recipient]) -> Started:
    """What an admin looks at beforehand. Raises `Invalid` for a text that cannot be filled in."""
    goes, out = [one for one in people if not one.cause], [one for one in people if one.cause]
    limited = await _limited(ports, goes)
    return Started(
        message,
        grouped({"skipped": len(out)}, len(people)),
        len(goes),
        len(out),
        len(limited),
        goes[:SHOWN],
        out[:SHOWN],
        limited[:SHOWN],
        await _sample(ports, message, next(iter(goes), None) or _nobody(ports, message)),
    )


async def _limited(ports: Ports, people: Sequence[Recipient]) -> list[Recipient]:
    """Who has had as many messages of the bot's own accord today as there may be."""
    there = await at_their_limit(ports, [one.matrix_id for one in people if one.matrix_id])
    return [one for one in people if one.matrix_id in there]


def _nobody(ports: Ports, message: Message) -> Recipient:
    """Whoever looks at a text that would go to nobody still sees it."""
    return Recipient(name="Ada", matrix_id="" if message.to["way"] == "rooms" else f"@ada:{ports.policy.domain}")


async def _sample(ports: Ports, message: Message, one: Recipient) -> Sample:
    words = await broadcast_words.composed(ports, message, Person(one.matrix_id, one.name, one.username), "")
    return Sample(one, words.content["body"], words.content["formatted_body"])


def _check(started: Started, wanted: Wanted, *, dry_run: bool) -> None:
    """Nobody is to write to 900 who has seen 90."""
    many = started.sends
    fix = f'Look at them again; if that is what you want, send "expected": {many}.'
    if wanted.expected is not None and wanted.expected != many:
        raise Conflict(f"it would go to {many:,} now, not to {wanted.expected:,}", fix)
    if dry_run:
        return
    if not many:
        raise Invalid.field("to", "nobody is found who can be written to")
    if many > UNASKED and wanted.expected is None:
        raise Invalid.field("expected", f"expected how many you mean it for; they are {many}")


async def _begin(ports: Ports, actor: Actor, started: Started, people: Sequence[Recipient], body: str) -> None:
    """At most 204 writes; then the task."""
    message = started.message
    now = message.created_at
    job = Job(
        id=message.job,
        kind="message",
        matrix_id="",
        people=started.sends,
        actor=actor.name,
        created_at=now,
        reason=f"message to {message.about}",
        request=body,
    )
    lines = [line_of(number, one) for number, one in enumerate(people, 1)]
    _, parts = creations(message.path, lines, now)
    step = Step(
        parent=JOBS.path(job.id),
        name=DRIVER,
        kind="recipients",
        due_at=now,
        updated_at=now,
        wanted={"message": message.id, "parts": len(parts)},
    )
    detail: dict[str, Any] = {"message": message.id, "job": job.id, "to": message.to, "people": started.sends}
    record = audit(now, actor.name, "message.send", message.id, source=actor.source)
    await ports.documents.write(
        MESSAGES.create(message, message.id),
        JOBS.create(job, job.id),
        Create(step.path, step.data()),
        *parts,
        audit_write(record.but(detail=detail | ({"template": message.template} if message.template else {}))),
    )
    await enqueue(ports, [step])
