"""What the bot does in rooms: inviting, removing, and saying in words why it could not."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import timedelta

from shared.domain import messages
from shared.domain.errors import MusterError, NotFound, Refused
from shared.domain.jobs import Job
from shared.domain.onboarding import Step
from shared.ports import Chat, Membership, Power, Room
from shared.services.context import Ports
from shared.services.encryption import NoDevice
from shared.services.leave_guard import held_back
from shared.services.messaging import direct_path, notice_path, say
from shared.services.presence import look_up_presence
from shared.services.steps import Act, Done, Ending, Skipped, Waits

LOOKS = (timedelta(minutes=10), timedelta(hours=1), timedelta(hours=6))
LAST_LOOK = timedelta(days=14)
UNEXPLAINED = ("M_FORBIDDEN", "M_NOT_FOUND", "M_UNKNOWN", "")
"""The homeserver's codes that do not say what is missing."""


async def room_id_of(ports: Ports, room: str) -> str:
    """An alias is asked for and remembered for a while; an id is itself. Raises `Refused`."""
    if room.startswith("!"):
        return room

    async def resolve() -> str | None:
        return await (await ports.chat()).resolve(room)

    room_id = await ports.remember(f"alias {room}", 300, resolve)
    if room_id is None:
        raise Refused(f"there is no room {room}", "Correct the alias in the invite or the settings.", "M_NOT_FOUND")
    return room_id


async def managed(ports: Ports) -> list[Room]:
    """The bot's rooms by name, without the direct ones: those are between a member and the bot."""

    async def read() -> list[Room]:
        chat = await ports.chat()
        rooms, direct = await asyncio.gather(chat.rooms(), chat.direct_rooms())
        return _without(rooms, direct.values())

    return await ports.remember("rooms", 60, read)


async def managed_of(ports: Ports, matrix_id: str) -> list[Room]:
    """Live: the managed rooms that a member has joined."""
    chat = await ports.chat()
    rooms, direct, ours = await asyncio.gather(
        chat.rooms_of(matrix_id),
        chat.direct_rooms(),
        ports.documents.get_many([direct_path(matrix_id), notice_path(matrix_id)]),
    )
    return _without(rooms, [*direct.values(), [room.data["room_id"] for room in ours if room]])


def _without(rooms: list[Room], direct: Iterable[list[str]]) -> list[Room]:
    private = {room_id for room_ids in direct for room_id in room_ids}
    return [room for room in rooms if room.room_id not in private]


async def invite(act: Act) -> Ending:
    """One call. An invite of somebody who has joined is refused by Matrix, and done for us."""
    chat = await act.ports.chat()
    room_id = await room_id_of(act.ports, act.step.room)
    try:
        await chat.invite(room_id, act.matrix_id)
        membership = "invite"
    except (Refused, NotFound) as refusal:
        there = await _membership(chat, room_id, act.matrix_id)
        if there is None or there.state not in ("join", "invite"):
            raise await explained(chat, room_id, act.matrix_id, "invite", refusal, there) from refusal
        membership = there.state
    await look_up_presence(act, True if membership == "join" else None)
    return Done({"room_id": room_id, "membership": membership})


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
    name = there.display_name or getattr(act.parent, "name", "") or "Hello"
    held = await held_back(act, room_id, name)
    if held:
        return held
    content = messages.farewell(act.matrix_id, name, act.marker)
    try:
        said = await say(act, room_id, content)
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


async def remove_from_room(act: Act) -> Ending:
    """For a job: verified live, so that nobody is called removed who was never there."""
    chat = await act.ports.chat()
    room_id = await room_id_of(act.ports, act.step.room)
    there = await looked(chat, room_id, act.matrix_id)
    if there is None or there.state in ("leave", "ban"):
        return Skipped(_not_there(there)["reason"])
    membership = await remove(chat, room_id, act.matrix_id, getattr(act.parent, "reason", ""))
    return Done({"room_id": room_id, "membership": membership})


async def foreseen(ports: Ports, job: Job, step: Step) -> Step:
    """For a dry run: a removal as it would end, so far as the homeserver can tell beforehand. Nothing is done. Raises
    `TryLater` where it does not tell."""
    chat, member = await ports.chat(), step.matrix_id or job.matrix_id
    try:
        room_id = await room_id_of(ports, step.room)
        there = await looked(chat, room_id, member)
        if there is None or there.state in ("leave", "ban"):
            return step.ended("skipped", job.created_at, result=_not_there(there))
        unable = lacking(await chat.power(room_id, member), await _name(chat, room_id), member, "kick")
    except (Refused, NotFound) as refusal:
        unable = Refused(refusal.cause, refusal.fix, getattr(refusal, "code", ""))
    if unable:
        return step.ended("failed", job.created_at, cause=unable.cause, fix=unable.fix, code=unable.code)
    return step


def _not_there(there: Membership | None) -> dict[str, str]:
    return {"reason": f"they are not in the room ({there.state if there else 'never were'})"}


async def remove(chat: Chat, room_id: str, matrix_id: str, reason: str) -> str:
    """Answers the membership afterwards. A refusal for somebody who has left is done."""
    try:
        await chat.kick(room_id, matrix_id, reason)
    except (Refused, NotFound) as refusal:
        there = await _membership(chat, room_id, matrix_id)
        if there is None or there.state in ("join", "invite", "knock"):
            raise await explained(chat, room_id, matrix_id, "kick", refusal, there) from refusal
        return there.state
    return "leave"


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


async def looked(chat: Chat, room_id: str, matrix_id: str) -> Membership | None:
    """Raises `Refused` in words where the bot may not look."""
    try:
        return await chat.membership(room_id, matrix_id)
    except (Refused, NotFound) as refusal:
        if getattr(refusal, "code", "") not in UNEXPLAINED:
            raise
        raise _absent(room_id) from refusal


def _absent(room_id: str) -> Refused:
    cause = f"the bot is not in the room {room_id}, or there is no such room"
    return Refused(cause, "Invite the bot to it and let it join, then retry.", "M_FORBIDDEN")


async def _membership(chat: Chat, room_id: str, matrix_id: str) -> Membership | None:
    """None also where the bot may not look: then the room's powers say why."""
    try:
        return await chat.membership(room_id, matrix_id)
    except (Refused, NotFound):
        return None


async def explained(
    chat: Chat, room_id: str, matrix_id: str, act: str, refusal: MusterError, there: Membership | None
) -> Refused:
    """ "M_FORBIDDEN" says nothing: the powers in the room do."""
    if there is not None and there.state == "ban":
        return Refused(f"{matrix_id} is banned from {await _name(chat, room_id)}", "Lift the ban first.", "M_FORBIDDEN")
    if getattr(refusal, "code", "") not in UNEXPLAINED:
        return Refused(refusal.cause, refusal.fix, getattr(refusal, "code", ""))
    try:
        power = await chat.power(room_id, matrix_id)
    except (Refused, NotFound):
        return _absent(room_id)
    name = await _name(chat, room_id)
    unable = lacking(power, name, matrix_id, act)
    return unable or Refused(f"the homeserver refuses in {name}: {refusal.cause}", refusal.fix, "M_FORBIDDEN")


def lacking(power: Power, name: str, matrix_id: str, act: str) -> Refused | None:
    """Which level is missing for an "invite" or a "kick" in the room of that name; None where none is."""
    needed = power.invite if act == "invite" else power.kick
    doing = "inviting" if act == "invite" else "removing"
    if power.ours < needed:
        cause = f"the bot has power {power.ours} in {name}, {doing} needs {needed}"
        return Refused(cause, f"In {name}, give the bot power {needed}, then retry.", "M_FORBIDDEN")
    if act == "kick" and power.target >= power.ours:
        cause = f"{matrix_id} has power {power.target} in {name}, the bot {power.ours}: it cannot remove them"
        return Refused(cause, f"Lower their power in {name}, or remove them by hand.", "M_FORBIDDEN")
    return None


async def _name(chat: Chat, room_id: str) -> str:
    try:
        return (await chat.room(room_id)).name or room_id
    except MusterError:
        return room_id
