"""The job of a message: makes a step for each recipient, then looks now and then until all of them have ended.

It is also what lets them go on after a pause, tries again what has failed, and leaves out who is still to come once
the message is cancelled. Idempotent: steps are named after their recipient's number and made once; each is changed only
from the state in which it was read. Whoever has changed the message has this job look at once (`broadcast_acts`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from shared.bounded import each
from shared.domain.broadcasts import CANCELLED, GROUPS, HALTED, OVER, PAUSED, Message, grouped, left_out, step_of
from shared.domain.errors import Abandoned, Refused
from shared.domain.imports import Line, Part
from shared.domain.onboarding import Step
from shared.ports import Create, Document, Op, Query
from shared.repositories import MESSAGES, Stored
from shared.services.context import Ports
from shared.services.lines import part_path
from shared.services.steps import Act, Continues, Done, Ending, Waits
from shared.services.tasks import again_when_outpaced, enqueue

PARTS = 16
"""Parts of the recipients that are read, and made steps, at once: 25 in each, and a batch holds 500 writes."""
TOGETHER = 200
"""Steps that are read, and changed, at once."""
FOR = timedelta(seconds=25)
"""After which a task begins nothing more: it has 60 s, and its step 50."""
LOOK_FIRST, LOOK_MOST = 2.0, 300.0
"""Seconds between looks: doubled as long as nothing has changed."""
NEXT = 0.0
Change = Callable[[Step, datetime], Step]


async def drive(act: Act) -> Ending:
    """Raises `Refused`, for a person to look, once all have ended and some did not get it."""
    message = await _message(act)
    made = int(act.step.result.get("made", 0))
    if made < act.step.wanted["parts"]:
        made = await _make(act, message, made)
        if made < act.step.wanted["parts"]:
            return Continues({**act.step.result, "made": made}, NEXT)
    if not await _moved(act.ports, message, act.ports.now()):
        return Continues({**act.step.result, "made": made}, NEXT)
    return await _looked(act, made)


async def _message(act: Act) -> Message:
    return (await MESSAGES.get(act.ports.documents, act.step.wanted["message"])).record


# ------------------------------------------------------------------ the recipients' steps


async def _make(act: Act, message: Message, made: int) -> int:
    """How many parts have become steps by now."""
    parts, began = int(act.step.wanted["parts"]), act.ports.now()
    while made < parts and act.ports.now() - began <= FOR:
        paths = [part_path(message.path, at) for at in range(made, min(made + PARTS, parts))]
        await _make_some(act.ports, message, _lines(await act.ports.documents.get_many(paths)))
        made += len(paths)
        message = await _message(act)
    return made


def _lines(parts: Sequence[Document | None]) -> list[Line]:
    """Raises `Abandoned` for what is gone."""
    if None in parts:  # kept for 30 days: nothing is begun after that
        raise Abandoned("who it was for is gone: it is kept for 30 days", "Write the message anew.")
    return [line for part in parts if part for line in Part.of(part.data).read()]


async def _make_some(ports: Ports, message: Message, lines: Sequence[Line]) -> None:
    steps = [step_of(message, line, ports.now()) for line in lines]

    async def attempt() -> None:
        found = await ports.documents.get_many([step.path for step in steps])
        missing = [step for step, there in zip(steps, found, strict=True) if there is None]
        if missing:
            await ports.documents.write(*(Create(step.path, step.data()) for step in missing))

    await again_when_outpaced(attempt)
    await enqueue(ports, steps)  # also those that somebody has made, and not lived to enqueue


# ------------------------------------------------------------------ what an admin has changed


async def _moved(ports: Ports, message: Message, began: datetime) -> bool:
    """Brings the steps into line with the message. False: there are more than fit into one task."""
    for where, change in _changes(message):
        while found := await _some(ports, message, where):
            if ports.now() - began > FOR:
                return False
            await _change(ports, found, change)
    return True


def _changes(message: Message) -> list[tuple[list[tuple[str, Op, Any]], Change]]:
    """Which steps are to become what. Each of them is then no longer among those that are asked for."""
    if message.state == "cancelled":
        return [([("state", "==", state)], _cancelled) for state in ("waiting", "scheduled", "pending")]
    if message.state in HALTED:
        return []
    changes: list[tuple[list[tuple[str, Op, Any]], Change]] = [([("waits_for", "==", PAUSED)], _on)]
    if message.retried_at:
        changes.append(([("state", "==", "failed"), ("updated_at", "<", message.retried_at)], _anew))
    return changes


def _cancelled(step: Step, now: datetime) -> Step:
    return left_out(step, now, CANCELLED)


def _on(step: Step, now: datetime) -> Step:
    return step.scheduled(now).but(cause="", fix="")


def _anew(step: Step, now: datetime) -> Step:
    return step.scheduled(now).but(faults=0, cause="", fix="", code="")


async def _some(ports: Ports, message: Message, where: Sequence[tuple[str, Op, Any]]) -> list[Stored[Step]]:
    page = await ports.documents.query(Query(f"{message.path}/steps", where, limit=TOGETHER))
    return [Stored(Step.of(item.data), item.path, item.version) for item in page.items]


async def _change(ports: Ports, found: Sequence[Stored[Step]], change: Change) -> None:
    """All in one batch; where one of them has moved meanwhile, each is looked at again."""
    now = ports.now()
    paths = [stored.path for stored in found]
    asked = {stored.path: (stored.record.state, stored.record.waits_for) for stored in found}

    async def attempt() -> list[Step]:
        documents = await ports.documents.get_many(paths)
        there = [Stored(Step.of(item.data), item.path, item.version) for item in documents if item]
        same = [one for one in there if (one.record.state, one.record.waits_for) == asked[one.path]]
        changed = [(one, change(one.record, now)) for one in same]
        if changed:
            await ports.documents.write(*(one.replaced(step) for one, step in changed))
        return [step for _, step in changed]

    await enqueue(ports, await again_when_outpaced(attempt))


# ------------------------------------------------------------------ how far it is


async def _looked(act: Act, made: int) -> Ending:
    """The counts are kept with the message, for lists."""
    counts = await counted(act.ports, act.step.wanted["message"])
    message = await _kept(act, counts)
    told = grouped(counts)
    result: Mapping[str, object] = {"made": made, "message": message.id, **told}
    if message.state in HALTED:
        return Waits(PAUSED, _halted(message), "Resume it, or cancel it.", None, result=result)
    if message.state in OVER and not _under_way(told):
        return _ended(message, told)
    still = 0 if told != {group: act.step.result.get(group) for group in told} else int(act.step.result.get("still", 0))
    wait = min(LOOK_FIRST * 2.0 ** min(still, 10), LOOK_MOST)
    return Continues({**result, "still": still + 1}, wait)


def _halted(message: Message) -> str:
    return f"the message has stopped by itself: {message.stopped_why}" if message.state == "stopped" else "it is paused"


def _under_way(told: Mapping[str, int]) -> bool:
    return bool(told["open"] or told["waiting"])


def _ended(message: Message, told: dict[str, int]) -> Done:
    if message.state == "failed":
        fix = "GET /api/messages names them, and why. Mend that, then retry: who has it does not get it again."
        raise Refused(f"{told['failed']} of {message.people} did not get it", fix, "PARTLY")
    return Done({"message": message.id, **told})


async def counted(ports: Ports, message: str) -> dict[str, int]:
    """How many recipients are in each state: counted, whoever changes them meanwhile."""
    states = [state for group in GROUPS.values() for state in group]

    async def count(state: str) -> int:
        return await ports.documents.count(Query(f"messages/{message}/steps", [("state", "==", state)]))

    return {state: many for state, many in zip(states, await each(states, count), strict=True) if many}


async def _kept(act: Act, counts: dict[str, int]) -> Message:
    """Once nobody is still to come it is done, or failed where somebody did not get it. A change of its state by an
    admin at the same moment comes first: then it is read again."""

    async def attempt() -> Message:
        stored, now = await MESSAGES.get(act.ports.documents, act.step.wanted["message"]), act.ports.now()
        message = stored.record.but(counts=counts)
        told = grouped(counts)
        if not _under_way(told):
            if message.state in ("running", *HALTED):
                message = message.but(state="failed" if told["failed"] else "done", changed_at=now)
            message = message.but(finished_at=message.finished_at or now)
        if message != stored.record:
            await act.ports.documents.write(stored.replaced(message))
        return message

    return await again_when_outpaced(attempt)
