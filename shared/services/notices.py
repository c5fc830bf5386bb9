"""Whoever has no device after 14 days: one plain notice in a room of its own, where the admin has chosen that.

Idempotent by the room's record, which is made with what was sent and kept for good; before it is there, by the
room's alias and by the notice's transaction id, both derived from the member: hello and welcome send the same one.
"""

from __future__ import annotations

from typing import Any

from shared.domain import ids, messages
from shared.domain.errors import Conflict, Outpaced, Refused
from shared.domain.templates import Person
from shared.ports import Create
from shared.services.encryption import DeviceOverdue
from shared.services.messaging import DirectRoom, name_of, room_under, salt
from shared.services.steps import Act, Action, Done, Ending
from shared.services.templates import compose

NAME = "Not encrypted: a notice"


def or_notice(action: Action) -> Action:
    """The action; where it finds no device after 14 days, the notice instead. Switched off it fails with that cause.
    Nothing sends the message later by itself: a retry does, of a failed one, once there is a device."""

    async def run(act: Act) -> Ending:
        try:
            return await action(act)
        except DeviceOverdue as overdue:
            if not act.ports.policy.notice:
                raise
            return _ended(act, overdue, await _noticed(act, overdue))

    return run


async def _noticed(act: Act, overdue: DeviceOverdue) -> DirectRoom:
    path = ids.notice_path(act.matrix_id)
    document = await act.ports.documents.get(path)
    if document is None:
        room = await _sent(act, overdue)
        try:
            await act.ports.documents.write(Create(path, room.data()))
        except Outpaced:  # the other message's step has recorded the same notice
            document = await act.ports.documents.get(path)
    return DirectRoom.of(document.data) if document else room


async def _sent(act: Act, overdue: DeviceOverdue) -> DirectRoom:
    chat, marker = await act.ports.chat(), ids.transaction_id("notice", "notice", act.matrix_id)
    room_id, known = await _room(act)
    if await chat.is_encrypted(room_id):
        raise Refused(f"{overdue.cause}; and the homeserver encrypts each new room", overdue.fix, overdue.code)
    event_id = await chat.find_sent(room_id, messages.MARKER, marker) if known else None
    person = Person(act.matrix_id, name_of(act), getattr(act.parent, "username", ""))
    server = {"community": act.matrix_id.partition(":")[2]}
    said = await compose(act.ports, "notice", person, server, marker=marker)
    event_id = event_id or await chat.send(room_id, said.content, marker)
    notice = {"event_id": event_id, "step": act.step.path, "at": act.ports.now(), "template": said.template}
    return DirectRoom(matrix_id=act.matrix_id, room_id=room_id, encrypted=False, notice=notice)


async def _room(act: Act) -> tuple[str, bool]:
    """Made exactly once, as the direct room is; and whether it was there before."""
    alias = ids.notice_alias(await salt(act.ports), act.matrix_id)
    try:
        return await (await act.ports.chat()).create_direct_room(alias, act.matrix_id, NAME), False
    except Conflict:
        return await room_under(act, alias), True


def _ended(act: Act, overdue: DeviceOverdue, room: DirectRoom) -> Done:
    sent = room.notice
    instead = "one unencrypted notice was sent instead"
    if sent["step"] != act.step.path:
        instead = f"the one unencrypted notice went out at {sent['at']:%Y-%m-%d %H:%M} UTC, and there is no second one"
    said: dict[str, Any] = {"encrypted": False, "notice": True, "room_id": room.room_id, "event_id": sent["event_id"]}
    said |= {"template": sent["template"]} if sent.get("template") else {}
    return Done(said | {"reason": f"the {act.step.kind} was not sent ({overdue.cause}): {instead}"})
