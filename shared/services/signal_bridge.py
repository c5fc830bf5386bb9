"""The Signal bridge as the settings name it, and how the bot asks it for a chat: one question at a time."""

from __future__ import annotations

from datetime import timedelta

from msgspec import Struct

from shared.domain import ids, messages
from shared.domain.errors import Conflict, MusterError, NotFound, Refused
from shared.domain.signal_chats import SignalChat, Turn
from shared.ports import Create, Finding, Put, Replace, Write
from shared.rarer_repositories import SIGNAL_CHATS
from shared.repositories import Stored
from shared.services.context import Policy, Ports
from shared.services.managed import room_id_of
from shared.services.messaging import salt
from shared.services.steps import TRANSACTIONS_HOLD

TURN = "installation/signal_turn"
TURN_LASTS = timedelta(minutes=10)
"""The bridge answers within seconds; who has had no answer for so long keeps nobody else waiting."""
CHECK = "signal bridge"
ROOM, BOT = "MATRIX_SIGNAL_BRIDGE_ROOM_ID", "MATRIX_SIGNAL_BRIDGE_BOT"
SET_UP = "Set it up as docs/setup.md says (Signal)."


class Bridge(Struct, frozen=True):
    """`room`: the bot's management room, by id or alias. `bot`: the bridge's own account there."""

    room: str
    bot: str


def bridge_of(policy: Policy) -> Bridge | None:
    """None where there is none, or only half of one."""
    if not policy.signal_room:
        return None
    return Bridge(policy.signal_room, policy.signal_bot or f"@signalbot:{policy.domain}")


def the_bridge(policy: Policy) -> Bridge:
    """Raises `Conflict`."""
    bridge = bridge_of(policy)
    if bridge is None:
        raise Conflict(f"there is no Signal bridge here: {ROOM} is not set", SET_UP)
    return bridge


async def chat_id(ports: Ports, number: str) -> str:
    return ids.phone_id(await salt(ports), number)


async def find(ports: Ports, number: str) -> Stored[SignalChat] | None:
    return await SIGNAL_CHATS.find(ports.documents, await chat_id(ports, number))


async def room_of(ports: Ports, bridge: Bridge) -> str:
    """The management room, as it must be to be asked in. Raises `Refused` where it is not."""
    chat, room = await ports.chat(), await room_id_of(ports, bridge.room)
    try:
        there = await chat.members(room)
    except (Refused, NotFound) as error:
        fix = f"Invite the bot to {room}, or correct {ROOM}. {SET_UP}"
        raise Refused("the bot is not in the management room of the Signal bridge", fix, "NO_BRIDGE") from error
    if there.get(bridge.bot) != "join":
        fix = (
            f"See whether mautrix-signal runs and lets the bot use it (bridge.permissions), and correct {BOT}. {SET_UP}"
        )
        raise Refused(f"{bridge.bot} is not in the management room of the Signal bridge", fix, "NO_BRIDGE")
    if await chat.is_encrypted(room):
        fix = f"Make one that is not encrypted, invite {bridge.bot} to it, and name it in {ROOM}."
        raise Refused("the management room of the Signal bridge is encrypted", fix, "ENCRYPTED")
    return room


async def ask(ports: Ports, bridge: Bridge, room: str, stored: Stored[SignalChat], number: str) -> bool:
    """Whether it is asked now; False: another question is open. The turn and the intent are committed first, and the
    question has a transaction id of its own, so that one which was cut short is asked again as the same one."""
    chat, matrix, now = stored.record, await ports.chat(), ports.now()
    device = (await matrix.whoami()).device_id
    document, turn = await _turn(ports)
    if turn and turn.chat not in ("", chat.id) and turn.until > now:
        return False
    late = chat.asked_at is not None and (chat.asked_from != device or now - chat.asked_at > TRANSACTIONS_HOLD)
    doubted = chat.doubted or (turn is not None and turn.chat not in ("", chat.id))
    intent = chat.but(asked_at=chat.asked_at or now, asked_from=device, doubted=doubted)
    mine = Turn(chat=chat.id, until=now + TURN_LASTS)
    taking: Write = Replace(TURN, mine.data(), document) if document else Create(TURN, mine.data())
    _, version = await ports.documents.write(taking, stored.replaced(intent))
    marker = ids.transaction_id(f"signal/{chat.id}", str(chat.asks), bridge.bot)
    content = {"msgtype": "m.text", "body": f"start-chat {number}", messages.MARKER: marker}
    event = await matrix.find_sent(room, messages.MARKER, marker) if late else None
    event = event or await matrix.send(room, content, marker)
    await ports.documents.write(Stored(intent, stored.path, version).replaced(intent.but(asked=event)))
    return True


async def is_alone(ports: Ports, chat: SignalChat) -> bool:
    """Whether what the bridge has answered can only be to this question."""
    _, turn = await _turn(ports)
    return not chat.doubted and turn is not None and turn.chat == chat.id


async def give_turn_back(ports: Ports, chat: SignalChat) -> None:
    """Once it was answered. Another's turn is left alone."""
    _, turn = await _turn(ports)
    if turn and turn.chat == chat.id:
        await ports.documents.write(Put(TURN, turn.but(chat="").data()))


async def _turn(ports: Ports) -> tuple[str, Turn | None]:
    document = await ports.documents.get(TURN)
    return (document.version, Turn.of(document.data)) if document else ("", None)


async def check(ports: Ports) -> list[Finding]:
    """For the self-check: a bridge that is half configured is off, and named."""
    bridge = bridge_of(ports.policy)
    if bridge is None:
        half = f"off: {BOT} is set, and {ROOM} is not"
        return [Finding(CHECK, ok=False, detail=half, fix=SET_UP)] if ports.policy.signal_bot else []
    try:
        await room_of(ports, bridge)
    except MusterError as error:
        return [Finding(CHECK, ok=False, detail=f"off: {error.cause}", fix=error.fix)]
    return [Finding(CHECK, ok=True, detail=f"the bot and {bridge.bot} are in its management room")]
