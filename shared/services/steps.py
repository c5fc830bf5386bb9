"""Running one step: claim it, act, record what was confirmed, start what follows.

Idempotent by the step's own document: an ended step is left alone, a claimed one is refused until the
claim lapses, and only the holder of the claim (its version) can record an outcome.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta

from msgspec import Struct, field, structs

from shared.domain import ids, pace
from shared.domain.audit import Audit, audit
from shared.domain.broadcasts import Message
from shared.domain.errors import (
    Conflict,
    Invalid,
    Limited,
    Misconfigured,
    MusterError,
    NotFound,
    Outpaced,
    Refused,
    TryLater,
)
from shared.domain.jobs import STAGES, Job, next_stage
from shared.domain.onboarding import ENDED, ENTRY_POINTS, FOLLOWER, MAX_FAULTS, OPEN, Step, backoff
from shared.ports import Document, Query, Write
from shared.repositories import Stored, audit_write, every
from shared.services import breakers
from shared.services.breakers import Breaker
from shared.services.context import MUSTER, Ports, log, note, whose
from shared.services.tasks import Parent, change_parent, enqueue, parent_of, settle

CLAIM = timedelta(seconds=90)
"""Longer than a task may run (its deadline is 60 s), so that a lapsed claim has no holder any more."""
TRANSACTIONS_HOLD = timedelta(hours=12)
"""Synapse de-duplicates a transaction id for 24 h; half of that is safe."""
LIMITED = "M_LIMIT_EXCEEDED"
SENDS = (
    "indoc_farewell",
    "hello",
    "welcome",
    "sponsor_note",
    "removal_message",
    "indoc_nudge",
    "answer",
    "message",
    "template_test",
)
"""Kinds that send a message: which device it is sent from is committed first."""
MAILS = ("email",)
"""Kinds that send an e-mail: that it is begun is committed first, since a mail server cannot be asked afterwards."""
PACED = ("room", "message")
"""Kinds of which many are under way at once: after a 429 each has its own place in one row (`shared.domain.pace`)."""

LIMITS = {
    "room": "limits how fast one member may be invited; this room's turn",
    "message": "limits how fast the bot may write; the turn of this one",
}


class Done(Struct, frozen=True):
    """What the neighbour confirmed: kept as the step's `result`."""

    result: Mapping[str, object]


class Skipped(Struct, frozen=True):
    reason: str


class Waits(Struct, frozen=True):
    """`code`: what a sweep must know of it, see `Step.code`. `result`: what it has found so far."""

    on: str
    cause: str
    fix: str
    until: datetime | None
    code: str = ""
    result: Mapping[str, object] = {}


class Continues(Struct, frozen=True):
    """It has come on, and there is more than fits into one task: the next one goes on, `after` seconds from now. What
    failed before this counts no more."""

    result: Mapping[str, object]
    after: float = 0.0


Ending = Done | Skipped | Waits | Continues


class Act(Struct, frozen=True):
    """What an action is given. `look_first`: the message may have been sent under a transaction id
    that no longer protects, so look into the room before sending. Of an e-mail: it was begun before, and nobody has
    recorded what became of it. `also`: what is written in one commit with how it ends, unless it fails."""

    ports: Ports
    parent: Parent
    step: Step
    look_first: bool = False
    also: list[Write] = field(default_factory=list)

    @property
    def matrix_id(self) -> str:
        return self.step.matrix_id or self.parent.matrix_id

    @property
    def marker(self) -> str:
        """The transaction id of this step's message, which its content carries too."""
        return ids.transaction_id(self.step.parent, self.step.name, self.matrix_id)


Action = Callable[[Act], Awaitable[Ending]]


class Claimed(Conflict):
    """Somebody runs this step just now; the task is tried again, and finds it ended or lapsed."""


async def run_step(ports: Ports, parent: str, name: str, generation: int | None, actions: Mapping[str, Action]) -> str:
    """Answers the state the step is in afterwards. Raises `TryLater` for a passing fault that was
    recorded, `Claimed` while somebody else has it, `NotFound` for a step that does not exist."""
    neighbour = next(breakers.neighbour_of(ENTRY_POINTS[kind]) for kind in actions)
    found = await _read(ports, parent, name, neighbour)
    step = found.step.record
    if step.kind not in actions:
        raise Invalid(f"{parent}/{name} is no step for this entry point", fix=f"It belongs to {step.entry_point}.")
    if step.state in ENDED or step.state not in OPEN or (generation is not None and generation < step.generation):
        if step.state not in OPEN and found.parent.state == "running":
            await settle(ports, parent)  # perhaps this very task came so far before, and no further
        return step.state
    if step.state == "running" and step.due_at and step.due_at > ports.now():
        raise Claimed(f"{parent}/{name} is being done by another task", "Nothing to do: it is tried again.")
    if found.breaker:
        return await _wait_for_neighbour(ports, found, found.breaker)
    if _queues_up(found, ports.now()):
        return await _queue_up(ports, found, 0.0)
    try:
        device = (await (await ports.chat()).whoami()).device_id if step.kind in SENDS else ""
    except Exception as error:
        return await _failed(ports, found, error)
    found, act = await _claim(ports, found, device)
    ports.under_way.add(step.path)
    try:
        return await _act(ports, found, actions[step.kind], act)
    finally:
        ports.under_way.discard(step.path)


def _queues_up(found: _Found, now: datetime) -> bool:
    """Whether its turn has not come yet. Of a message that does not go on there are no turns to wait for."""
    step, parent = found.step.record, found.parent
    goes_on = not isinstance(parent, Message) or parent.state == "running"
    return step.kind in PACED and step.code != LIMITED and goes_on and pace.is_paced(parent, now)


class _Found(Struct, frozen=True):
    parent: Parent
    step: Stored[Step]
    follower: Stored[Step] | None
    neighbour: str
    breaker: Breaker | None


async def _read(ports: Ports, parent: str, name: str, neighbour: str) -> _Found:
    """All that a task must know, in one round trip."""
    names = [name, FOLLOWER[name]] if name in FOLLOWER else [name]
    paths = [parent, breakers.path(neighbour), *(f"{parent}/steps/{n}" for n in names)]
    owner, breaker, *found = await ports.documents.get_many(paths)
    parent_record = parent_of(owner, parent).record
    step, *followers = [_stored(document) for document in found]
    if step is None:
        raise NotFound(f"there is no {paths[2]}")
    return _Found(parent_record, step, followers[0] if followers else None, neighbour, breakers.read(breaker))


def _stored(document: Document | None) -> Stored[Step] | None:
    return Stored(Step.of(document.data), document.path, document.version) if document else None


async def _claim(ports: Ports, found: _Found, device: str) -> tuple[_Found, Act]:
    """Commits the claim, and with it what a message will be sent as, before anything is done."""
    step, now = found.step.record, ports.now()
    claimed = step.but(state="running", attempts=step.attempts + 1, due_at=now + CLAIM, updated_at=now)
    look_first = False
    if device:
        look_first = step.sent_at is not None and (step.sent_device != device or now - step.sent_at > TRANSACTIONS_HOLD)
        claimed = claimed.but(sent_device=device, sent_at=step.sent_at or now)
    if step.kind in MAILS:
        look_first = step.sent_at is not None
        claimed = claimed.but(sent_at=step.sent_at or now)
    try:
        [version] = await ports.documents.write(found.step.replaced(claimed))
    except Outpaced as error:
        raise Claimed(f"{step.path} was claimed at the same moment", "Nothing to do.") from error
    stored = Stored(claimed, found.step.path, version)
    act = Act(ports, found.parent, claimed, look_first)
    return _Found(found.parent, stored, found.follower, found.neighbour, None), act


async def _act(ports: Ports, found: _Found, action: Action, act: Act) -> str:
    try:
        async with asyncio.timeout(50):
            ending = await action(act)
    except Exception as error:
        return await _failed(ports, found, error)
    await breakers.saw(ports, found.neighbour, None)
    if isinstance(ending, Continues):
        return await _record_quietly(ports, found, _continued(found.step.record, ending, ports.now()), act.also)
    return await _record(ports, found, _after(found.step.record, ending, ports.now()), act.also)


def _continued(step: Step, ending: Continues, now: datetime) -> Step:
    again = step.scheduled(now + timedelta(seconds=ending.after))
    return again.but(faults=0, result=dict(ending.result), cause="", fix="", code="", updated_at=now)


async def _failed(ports: Ports, found: _Found, error: Exception) -> str:
    """By what must be done about it: wait as long as the homeserver says, try again, or show it to a person."""
    if found.step.record.kind in MAILS and isinstance(error, MusterError):  # whoever raised it knows what was sent
        unsent = found.step.record.but(sent_at=None)
        found = structs.replace(found, step=Stored(unsent, found.step.path, found.step.version))
    step = found.step.record
    if isinstance(error, Limited):
        return await _queue_up(ports, found, error.after)
    if isinstance(error, TryLater | Misconfigured | TimeoutError):
        return await _passing(ports, found, error)
    if not isinstance(error, MusterError):
        log.error("step crashed", exc_info=error, extra={"fields": _about(step)})
        return await _passing(ports, found, error)
    await breakers.saw(ports, found.neighbour, error)
    code = error.code if isinstance(error, Refused) else type(error).__name__
    log.error("step failed", extra={"fields": _about(step, cause=error.cause, fix=error.fix)})
    failed = step.ended("failed", ports.now(), cause=error.cause, fix=error.fix, code=code)
    return await _record(ports, found, failed)


def _after(step: Step, ending: Done | Skipped | Waits, now: datetime) -> Step:
    if isinstance(ending, Done):
        return step.ended("done", now, result=dict(ending.result))
    if isinstance(ending, Skipped):
        return step.ended("skipped", now, result={"reason": ending.reason})
    waiting = step.waiting(now, on=ending.on, cause=ending.cause, fix=ending.fix, until=ending.until)
    return waiting.but(code=ending.code, result=dict(ending.result) or waiting.result)


async def _record(ports: Ports, found: _Found, step: Step, also: Sequence[Write] = ()) -> str:
    """The outcome, its audit record and what it starts, in one commit; then the tasks."""
    followers = await _next_stage(ports, found, step) or _followers(ports, found, step)
    writes: list[Write] = [found.step.replaced(step), *(stored.replaced(record) for stored, record in followers)]
    writes += [audit_write(_audited(ports, found, step)), *also]
    await _commit(ports, step, *writes)
    await enqueue(ports, [step, *(record for _, record in followers)])
    if step.state not in OPEN and not any(record.state in OPEN for _, record in followers):
        await settle(ports, step.parent)
    _logged(step)
    return step.state


async def _commit(ports: Ports, step: Step, *writes: Write) -> None:
    """What a claim has led to. Raises `Claimed` when the claim is no longer ours."""
    try:
        await ports.documents.write(*writes)
    except Outpaced as error:
        raise Claimed(f"{step.path} changed while it was being done", "Nothing to do: it is tried again.") from error
    ports.under_way.discard(step.path)


def _audited(ports: Ports, found: _Found, step: Step) -> Audit:
    owner = found.parent
    detail = {"room": step.room, "attempt": step.attempts, "cause": step.cause, "result": step.result}
    return audit(
        ports.now(),
        getattr(owner, "actor", MUSTER.name),
        f"step.{step.kind}",
        step.matrix_id or owner.matrix_id or getattr(owner, "username", "") or getattr(owner, "target", "") or owner.id,
        step.path,
        str(step.attempts),
        outcome=step.state,
        detail={"step": step.path} | {key: value for key, value in detail.items() if value},
    )


async def _next_stage(ports: Ports, found: _Found, step: Step) -> list[tuple[Stored[Step], Step]]:
    """Of a job in stages: nobody else touches its pending steps, so what is read here still holds at the commit."""
    if not isinstance(found.parent, Job) or step.kind not in STAGES[:-1] or step.state not in ENDED:
        return []
    waiting = await every(ports.documents, Query(f"{step.parent}/steps", [("state", "==", "pending")]))
    stored = {item.path: Stored(Step.of(item.data), item.path, item.version) for item in waiting}
    records = next_stage(found.parent, step, [each.record for each in stored.values()], ports.now())
    return [(stored[record.path], record) for record in records]


def _followers(ports: Ports, found: _Found, step: Step) -> list[tuple[Stored[Step], Step]]:
    """The welcome comes some seconds after the hello, the removal at once after the farewell."""
    follower = found.follower
    if follower is None or not _releases(step):
        return []
    waited_along = step.state in ENDED and follower.record.waits_along
    if follower.record.state != "pending" and not waited_along:
        return []
    now = ports.now()
    delay = ports.policy.welcome_delay if follower.record.kind == "welcome" else 0.0
    return [(follower, follower.record.scheduled(now + timedelta(seconds=delay), anew=waited_along))]


def _releases(step: Step) -> bool:
    """Ended in any way; or waiting for somebody, where the follower waits by its own reasons."""
    return step.state in ENDED or (step.state == "waiting" and step.waits_for not in (*breakers.NAMES, "target"))


async def _queue_up(ports: Ports, found: _Found, retry_after: float) -> str:
    """429: not a fault, and no reason to slow the queue: a new task at the place in the member's row."""
    step = found.step.record
    places: list[datetime] = []

    def take(parent: Parent) -> Parent:
        paced, place = pace.next_place(parent, ports.now(), retry_after)
        places.append(place)
        return paced

    if step.kind in PACED:
        await change_parent(ports, step.parent, take)
    else:
        places.append(ports.now() + timedelta(seconds=retry_after * pace.MARGIN))
    limit = LIMITS.get(step.kind, "asks for a pause; the next try")
    cause = f"the homeserver {limit} is at {places[-1]:%H:%M:%S} UTC"
    fix = "Nothing to do. To lift the limit for the bot, see the self-check."
    queued = step.scheduled(places[-1]).but(code=LIMITED, cause=cause, fix=fix, updated_at=ports.now())
    return await _record_quietly(ports, found, queued)


async def _record_quietly(ports: Ports, found: _Found, step: Step, also: Sequence[Write] = ()) -> str:
    """A change of plan: nothing was done, so nothing goes into the audit."""
    await _commit(ports, step, found.step.replaced(step), *also)
    await enqueue(ports, [step])
    if step.state not in OPEN:
        await settle(ports, step.parent)
    _logged(step)
    return step.state


def _logged(step: Step) -> None:
    note(f"{step.kind}: {step.state}", **_about(step, state=step.state, cause=step.cause))


def _about(step: Step, **more: object) -> dict[str, object]:
    return {**whose(step.path), "attempt": step.attempts, **more}


async def _wait_for_neighbour(ports: Ports, found: _Found, breaker: Breaker) -> str:
    waiting = found.step.record.waiting(
        ports.now(), on=breaker.neighbour, cause=breaker.words(), fix="Nothing to do: it goes on by itself."
    )
    return await _record_quietly(ports, found, waiting)


async def _passing(ports: Ports, found: _Found, error: Exception) -> str:
    """Recorded, then raised, so that Cloud Tasks tries again; too many become a failure to look at."""
    step, now = found.step.record, ports.now()
    opened = await breakers.saw(ports, found.neighbour, error)
    if opened:
        return await _wait_for_neighbour(ports, found, opened)
    cause = error.cause if isinstance(error, MusterError) else f"Muster failed ({type(error).__name__})"
    fix = error.fix if isinstance(error, MusterError) else "Look into the logs for this step."
    if step.faults + 1 >= MAX_FAULTS:
        log.error("step given up", extra={"fields": _about(step, cause=cause, fix=fix)})
        final = step.ended(
            "failed", now, cause=f"given up after {step.attempts} tries: {cause}", fix=fix, faults=step.faults + 1
        )
        return await _record(ports, found, final)
    wait = backoff(step.faults + 1)
    again = step.but(state="scheduled", faults=step.faults + 1, due_at=now + wait, cause=cause, fix=fix, updated_at=now)
    await _commit(ports, step, found.step.replaced(again))
    note(f"{step.kind}: again later", **_about(again, state=again.state, cause=cause))
    raise TryLater(cause, fix, after=wait.total_seconds()) from error
