"""A message to one of its recipients: a step of its own, sent once, in the direct room or in the room that is meant.

Idempotent by the step's document, and by the transaction id that its claim commits (`shared.services.messaging.say`).
Whether the message still goes on is read with the step itself, so that nobody is written to once it is known to be
paused, stopped or cancelled; what was being sent at that moment is sent.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from shared.domain.audit import audit
from shared.domain.broadcasts import CANCELLED, HALTED, PAUSED, Message, halted, too_many_failed
from shared.domain.errors import Invalid
from shared.domain.onboarding import Step
from shared.domain.templates import Person
from shared.ports import Op, Query
from shared.repositories import MESSAGES, audit_write
from shared.services import broadcast_words
from shared.services.context import MUSTER, Ports, note
from shared.services.encryption import check_overdue, waits_for_join
from shared.services.limits import limited
from shared.services.messaging import direct_room, said_or_waits, say
from shared.services.steps import Act, Done, Ending, Skipped, Waits
from shared.services.tasks import again_when_outpaced

FEW = 10
"""So many may fail however few were tried: they are no more than half of 20."""
LOOKED_AT = 50
"""Failures of which the most frequent cause is told."""


async def send(act: Act) -> Ending:
    """To one person or into one room."""
    message = act.parent
    if not isinstance(message, Message):
        raise Invalid(f"{act.step.path} is not a step of a message")
    if message.state == "running" and await _stops(act.ports, message):
        message = message.but(state="stopped")
    if message.state in HALTED:
        return _halts(act.step)
    if message.state == "cancelled":
        return Skipped(CANCELLED)
    return await (_into_the_room(act, message) if act.step.room else _to_the_person(act, message))


def _halts(step: Step) -> Waits:
    waiting = halted(step, step.updated_at)  # type: ignore[arg-type]  # only its words are wanted
    return Waits(PAUSED, waiting.cause, waiting.fix, None)


async def _into_the_room(act: Act, message: Message) -> Ending:
    words = await broadcast_words.composed(act.ports, message, Person(""), act.marker)
    return Done(await say(act, act.step.room, words))


async def _to_the_person(act: Act, message: Message) -> Ending:
    """As a welcome is: in an encrypted room only once they are there to have the key."""
    room, people = await direct_room(act)
    if room.encrypted and act.ports.policy.encrypt:
        there = await (await act.ports.keys()).members(room.room_id)
        if there.get(act.matrix_id) != "join":
            await check_overdue(act)
            return waits_for_join(act)
        people = there
    person = Person(act.matrix_id, *(str(act.step.wanted.get(name, "")) for name in ("name", "username")))
    words = await broadcast_words.composed(act.ports, message, person, act.marker)
    return await limited(act) or await said_or_waits(act, room, words, people)


# ------------------------------------------------------------------ it stops by itself


async def _stops(ports: Ports, message: Message) -> bool:
    """Looked at before each try. The steps themselves are counted: each has one outcome, however many end at once, and
    none can be lost or counted twice, as a counter of its own could be. As long as few have failed that is one read."""
    failed = await _tried(ports, message, "failed")
    if failed <= FEW:
        return False
    got = await _tried(ports, message, "done")
    if not too_many_failed(failed, got):
        return False
    await _stop(ports, message, failed, failed + got)
    return True


async def _tried(ports: Ports, message: Message, state: str) -> int:
    return await ports.documents.count(Query(f"{message.path}/steps", _since(message, state)))


def _since(message: Message, state: str) -> list[tuple[str, Op, Any]]:
    """Tries before it was resumed, or before what failed was tried again, count no more."""
    return [("state", "==", state), *([("updated_at", ">=", message.since)] if message.since else [])]  # type: ignore[list-item]


async def _stop(ports: Ports, message: Message, failed: int, tries: int) -> None:
    """By one of the tasks; the others find it stopped."""
    page = await ports.documents.query(
        Query(f"{message.path}/steps", _since(message, "failed"), "updated_at", LOOKED_AT)
    )
    causes = Counter(str(item.data["cause"]) for item in page.items)
    most = causes.most_common(1)[0][0] if causes else ""
    why = f"{failed} of {tries} tries failed{f'; most often: {most}' if most else ''}"

    async def attempt() -> None:
        stored = await MESSAGES.get(ports.documents, message.id)
        if stored.record.state != "running" or stored.record.since != message.since:
            return
        now = ports.now()
        stopped = stored.record.but(state="stopped", stopped_why=why, changed_at=now)
        record = audit(now, MUSTER.name, "message.stop", message.id, f"{now.timestamp()}")
        detail = {"message": message.id, "failed": failed, "tries": tries, "cause": most}
        await ports.documents.write(stored.replaced(stopped), audit_write(record.but(detail=detail)))
        note("a message stopped by itself", message_id=message.id, failed=failed, tries=tries)

    await again_when_outpaced(attempt)
