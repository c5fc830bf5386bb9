"""The way out of INDOC: a farewell there, then the removal."""

from __future__ import annotations

from datetime import timedelta

from shared.domain.errors import Refused
from shared.services.encryption import NoDevice
from shared.services.leave_guard import held_back
from shared.services.managed import room_id_of
from shared.services.messaging import name_of, say, worded
from shared.services.presence import look_up_presence
from shared.services.rooms import looked, remove
from shared.services.steps import Act, Done, Ending, Skipped, Waits

LOOKS = (timedelta(minutes=10), timedelta(hours=1), timedelta(hours=6))
LAST_LOOK = timedelta(days=14)


async def farewell(act: Act) -> Ending:
    """A last message in INDOC that mentions them, if they are there to read it."""
    chat = await act.ports.chat()
    room_id = await room_id_of(act.ports, act.step.room)
    try:
        there = await looked(chat, room_id, act.matrix_id)
    except Refused:
        await look_up_presence(act, None)
        raise
    if there is None or there.state != "join":
        await look_up_presence(act, None)
        if there is not None and there.state == "leave":
            return Skipped("they have left INDOC already")
        return not_in_indoc(act, room_id)
    await look_up_presence(act, True)
    name = there.display_name or name_of(act)
    held = await held_back(act, room_id, name)
    if held:
        return held
    try:
        said = await say(act, room_id, await worded(act, "indoc_farewell", {}, name))
    except NoDevice as error:
        # They are leaving: a farewell that waits for a device would keep them in INDOC.
        return Skipped(f"not said: {error.cause}")
    return Done(said | {"membership": there.state})


async def leave_indoc(act: Act) -> Ending:
    """Out of INDOC. When the farewell has seen them there, one call; else look first."""
    chat = await act.ports.chat()
    room_id = await room_id_of(act.ports, act.step.room)
    document = await act.ports.documents.get(f"{act.step.parent}/steps/indoc_farewell")
    farewell = document.data if document else {}
    if farewell.get("result", {}).get("membership") != "join":
        there = await looked(chat, room_id, act.matrix_id)
        if there is not None and there.state == "leave":
            # They were there under this very id and are out: perhaps by our own hand, the answer lost.
            return Done({"room_id": room_id, "membership": "leave"})
        if there is None or there.state not in ("join", "invite", "knock"):
            return not_in_indoc(act, room_id, looks=farewell.get("state") != "waiting")
    if farewell.get("state") != "done":
        held = await held_back(act, room_id, "")
        if held:
            return held
    membership = await remove(chat, room_id, act.matrix_id, "Onboarding is complete. Welcome!")
    return Done({"room_id": room_id, "membership": membership})


def not_in_indoc(act: Act, room_id: str, *, looks: bool = True) -> Waits:
    """Not done: somebody is waiting in INDOC, perhaps under another id. Looked at again for two weeks.
    `looks` False: the farewell looks, and starts the removal once it has found them."""
    now, step = act.ports.now(), act.step
    begun = getattr(act.parent, "created_at", now)
    wait = LOOKS[min(step.attempts - 1, len(LOOKS) - 1)] if step.attempts else LOOKS[0]
    return Waits(
        "indoc",
        f"{act.matrix_id} is not in INDOC ({room_id})",
        "If they are in INDOC under another Matrix id, name it: POST /api/users/{pk}/onboard with matrix_id. "
        "If they never were there, skip this step.",
        now + wait if looks and now - begun < LAST_LOOK else None,
    )
