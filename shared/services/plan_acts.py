"""The lines of a plan, each looked at live before it acts: one that no longer holds is skipped, with the reason.

What was before is kept with the result, so that it can be taken back. An earlier try of the same step may have acted
and died before it said so: then what is as it was to become counts as done by us.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from shared.domain import ids
from shared.domain.errors import NotFound, Refused
from shared.domain.onboarding import ENDED
from shared.domain.plans import IN, INSIDE
from shared.services.managed import room_id_of
from shared.services.powers import NOT_IN
from shared.services.steps import LIMITED, Act, Action, Done, Ending, Skipped
from shared.services.stopping import offboarded_since

GONE = "they were off-boarded since"
Look = Callable[[Act, str], Awaitable[Ending | str]]
"""Given the act and its room: an ending where there is nothing to do, else what is there now."""


def verified(action: Action, look: Look) -> Action:
    """A step of an onboarding, or of any other job, is left as it is."""

    async def run(act: Act) -> Ending:
        if "line" not in act.step.wanted:
            return await action(act)
        room_id = await room_id_of(act.ports, act.step.room)
        try:
            seen = await look(act, room_id)
        except (Refused, NotFound):  # the action says in words what is missing
            seen = str(act.step.wanted["before"])
        if not isinstance(seen, str):
            return seen
        ending = await action(act)
        return Done({**ending.result, "before": seen}) if isinstance(ending, Done) else ending

    return run


async def entering(act: Act, room_id: str) -> Ending | str:
    if await _has_left_us(act):
        return Skipped(GONE)
    state = await _state(act, room_id)
    if state == "ban":
        return Skipped("they have been banned since the plan was made")
    if state not in IN:
        return state
    said = "they are in the room already" if state == "join" else "they are invited already"
    return _again(act, said, {"room_id": room_id, "membership": state})


async def leaving(act: Act, room_id: str) -> Ending | str:
    """Protected people are looked for once more: somebody may have got power since."""
    state = await _state(act, room_id)
    if state not in INSIDE:
        said = f"they are not in the room ({state or 'never were'})"
        return _again(act, said, {"room_id": room_id, "membership": "leave"})
    return await _protected(act, room_id) or state


async def leveling(act: Act, room_id: str) -> Ending | str:
    wanted, entering = act.step.wanted, await _is_entering(act)  # read first: they may be joined just now
    if await _state(act, room_id) != "join":
        return str(wanted["before"]) if entering else Skipped("they are not in the room")
    now = (await (await act.ports.chat()).levels(room_id)).of(act.matrix_id)
    if now == int(wanted["after"]):
        return _again(act, f"they have power {now} already", {"room_id": room_id, "to": now})
    if str(now) != wanted["before"]:
        return Skipped(f"they have power {now} by now, and the plan saw {wanted['before']}")
    return (await _protected(act, room_id) if now > int(wanted["after"]) else None) or str(now)


def _again(act: Act, said: str, result: dict[str, Any]) -> Ending:
    ours = act.step.attempts > 1 and act.step.code not in (LIMITED, NOT_IN)
    return Done({**result, "before": act.step.wanted["before"]}) if ours else Skipped(said)


async def _is_entering(act: Act) -> bool:
    """By another line of the plan. Else nobody waits for them to join: a plan that never ends cannot be undone."""
    found = await act.ports.documents.get(f"{act.step.parent}/steps/{ids.room_step(act.step.room)}")
    return found is not None and found.data["kind"] == "room" and found.data["state"] not in ENDED


async def _has_left_us(act: Act) -> bool:
    """A plan knows nothing of who was off-boarded after it was made, and its undo of who was after it was applied."""
    return await offboarded_since(act.ports, act.matrix_id, act.step.wanted.get("seen") or act.parent.created_at)


async def _state(act: Act, room_id: str) -> str:
    there = await (await act.ports.chat()).membership(room_id, act.matrix_id)
    return there.state if there else ""


async def _protected(act: Act, room_id: str) -> Skipped | None:
    chat, policy = await act.ports.chat(), act.ports.policy
    if act.matrix_id in policy.protected:
        return Skipped("they are protected by the settings")
    power = await chat.power(room_id, act.matrix_id)
    if power.target >= power.ours:
        return Skipped("they have as much power here as the bot, and are protected")
    return None
