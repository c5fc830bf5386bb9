"""What the bot does in rooms: inviting, removing, and saying in words why it could not."""

from __future__ import annotations

from shared.domain.errors import MusterError, NotFound, Refused
from shared.domain.jobs import Job
from shared.domain.onboarding import Step
from shared.domain.room_needs import cause_of
from shared.ports import Chat, Membership, Power
from shared.services.context import Ports
from shared.services.managed import room_id_of
from shared.services.presence import look_up_presence
from shared.services.steps import Act, Done, Ending, Skipped

PROTECTED = "they are protected by the settings (PROTECTED_MEMBERS)"
UNEXPLAINED = ("M_FORBIDDEN", "M_NOT_FOUND", "M_UNKNOWN", "")
"""The homeserver's codes that do not say what is missing."""


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


async def remove_from_room(act: Act) -> Ending:
    """For a job: verified live, so that nobody is called removed who was never there."""
    chat = await act.ports.chat()
    room_id = await room_id_of(act.ports, act.step.room)
    there = await looked(chat, room_id, act.matrix_id)
    if there is None or there.state in ("leave", "ban"):
        return Skipped(_not_there(there)["reason"])
    if isinstance(act.parent, Job) and _protects(act.ports, act.parent, act.matrix_id):
        return Skipped(PROTECTED)
    reason = str(act.step.wanted.get("reason") or getattr(act.parent, "reason", ""))
    membership = await remove(chat, room_id, act.matrix_id, reason)
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
        if _protects(ports, job, member):
            return step.ended("skipped", job.created_at, result={"reason": PROTECTED})
        unable = lacking(await chat.power(room_id, member), await _name(chat, room_id), member, "kick")
    except (Refused, NotFound) as refusal:
        unable = Refused(refusal.cause, refusal.fix, getattr(refusal, "code", ""))
    if unable:
        return step.ended("failed", job.created_at, cause=unable.cause, fix=unable.fix, code=unable.code)
    return step


def _protects(ports: Ports, job: Job, matrix_id: str) -> bool:
    """An off-boarding is somebody's own decision about one person: it takes them out all the same."""
    return job.kind == "remove" and matrix_id in ports.policy.protected


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
    if power.ours < needed:
        cause = cause_of(power.ours, needed, name, "invite" if act == "invite" else "remove")
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
