"""How a member gets into a room: by a space, joined at once, or invited."""

from __future__ import annotations

from shared.domain.errors import NotFound, Refused
from shared.ports import Chat
from shared.services.managed import room_id_of
from shared.services.presence import look_up_presence
from shared.services.rooms import invite
from shared.services.steps import Act, Done, Ending, Skipped


async def enter(act: Act) -> Ending:
    """Idempotent: whoever is in, or invited, stays so. Where joining at once is refused, they are invited, which then
    says in words what is missing."""
    chat = await act.ports.chat()
    if act.ports.policy.membership == "join":
        return await _joined(act, chat) or await invite(act)
    if await _by_space(act, chat):
        name = act.step.wanted.get("space_name") or act.step.wanted["space"]
        return Skipped(f"by the space {name}: its members enter this room by themselves")
    return await invite(act)


async def _by_space(act: Act, chat: Chat) -> bool:
    """Looked up live: a room that has been closed since is one to be invited to."""
    space = act.step.wanted.get("space")
    if not space:
        return False
    try:
        return (await chat.entry(await room_id_of(act.ports, act.step.room))).by(space)
    except (Refused, NotFound):  # inviting says why
        return False


async def _joined(act: Act, chat: Chat) -> Done | None:
    room_id = await room_id_of(act.ports, act.step.room)
    try:
        await chat.join_member(room_id, act.matrix_id)
    except (Refused, NotFound):  # no admin, a member of another homeserver, or not let in
        return None
    await look_up_presence(act, True)
    return Done({"room_id": room_id, "membership": "join", "by": "join"})
