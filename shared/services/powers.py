"""Power levels that a bundle gives, once the member is in the room."""

from __future__ import annotations

from datetime import timedelta

from shared.domain.errors import NotFound, Refused
from shared.services.managed import room_id_of
from shared.services.steps import Act, Done, Ending, Waits

LOOKS = (timedelta(minutes=2), timedelta(minutes=10), timedelta(hours=1), timedelta(hours=6))
NOT_IN = "NOT_IN"
"""The `code` of a step that has not acted yet: they had not joined."""
LAST_LOOK = timedelta(days=14)


async def give_level(act: Act) -> Ending:
    """Never before they have joined: an invite that went to the wrong person must give nobody power. Idempotent: the
    level is what it is to be, or is made so; nobody's is lowered by an onboarding."""
    chat = await act.ports.chat()
    room_id, level = await room_id_of(act.ports, act.step.room), int(act.step.wanted["level"])
    try:
        there = await chat.membership(room_id, act.matrix_id)
        if there is None or there.state != "join":
            return _not_in(act, room_id)
        before = (await chat.levels(room_id)).of(act.matrix_id)
        if before >= level and not act.step.wanted.get("lowers"):
            return Done({"room_id": room_id, "from": before, "to": before})
        before = await chat.set_power(room_id, act.matrix_id, level)
    except NotFound as error:
        raise Refused(error.cause, "Let the bot into the room, then retry.", "M_NOT_FOUND") from error
    return Done({"room_id": room_id, "from": before, "to": level})


def _not_in(act: Act, room_id: str) -> Ending:
    now, begun = act.ports.now(), getattr(act.parent, "created_at", act.ports.now())
    wait = LOOKS[min(max(act.step.attempts, 1), len(LOOKS)) - 1]
    return Waits(
        "room",
        f"{act.matrix_id} has not joined the room {room_id} yet",
        "Nothing to do: they get their power level once they have. If they never will, skip this step.",
        now + wait if now - begun < LAST_LOOK else None,
        NOT_IN,
    )
