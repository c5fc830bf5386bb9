"""A chat with somebody on Signal: asked for by number at the bridge's bot, waited for, entered, and said hello in.

The bot has a Signal account of its own at mautrix-signal. `start-chat NUMBER` in its management room has the bridge
look the number up and make a room: the bridge's bot, the puppet of whoever has the number, and the bot, which is
invited; then it answers (see shared/domain/bridges.py). Asked again it answers with the same room. Nothing waits
for it by sleeping: the step goes on as a task after seconds, later after minutes.

Idempotent by the record `signal/{digest}` of the number, for good: one room, one hello, however many jobs ask.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NoReturn

from shared.domain import bridges, ids, phones
from shared.domain.bridges import Answer
from shared.domain.errors import NotFound, Refused
from shared.domain.signal_chats import SignalChat
from shared.domain.templates import Person
from shared.ports import Put
from shared.rarer_repositories import SIGNAL_CHATS
from shared.repositories import Stored
from shared.services import sent, signal_bridge
from shared.services.messaging import DirectRoom, send_plainly
from shared.services.signal_bridge import Bridge
from shared.services.steps import Act, Continues, Done, Ending, Waits
from shared.services.templates import compose

SOON = timedelta(minutes=2)
"""For so long the bridge is looked at every few seconds; then every few minutes."""
SELDOM = timedelta(minutes=10)
PATIENCE = timedelta(hours=6)
_LATER = "Nothing to do: it goes on once the bridge has answered."


async def open_chat(act: Act) -> Ending:
    """Raises `Refused` with cause and fix for what the bridge says, and when it has said nothing for 6 hours."""
    bridge = signal_bridge.the_bridge(act.ports.policy)
    stored = await _record(act)
    if stored.record.room_id and not await _still_there(act, stored.record):
        stored = await _put(act, stored, stored.record.unasked().but(room_id="", puppet="", greeted=""))
    if not stored.record.room_id:
        room = await signal_bridge.room_of(act.ports, bridge)
        if not stored.record.asked:
            return await _asked(act, bridge, room, stored)
        found = await _answered(act, bridge, room, stored)
        if found is None:
            return _later(act, stored.record.asked_at, "the Signal bridge has not answered yet", SELDOM)
        stored = found
    return await _greeted(act, stored)


async def _record(act: Act) -> Stored[SignalChat]:
    ports = act.ports
    digest = await signal_bridge.chat_id(ports, act.step.wanted["number"])
    known = await SIGNAL_CHATS.find(ports.documents, digest)
    if known:
        return known
    made = SignalChat(id=digest, account_pk=act.step.wanted.get("pk", 0), job=act.parent.id)
    [version] = await ports.documents.write(SIGNAL_CHATS.create(made, digest))
    return Stored(made, SIGNAL_CHATS.path(digest), version)


async def _put(act: Act, stored: Stored[SignalChat], record: SignalChat) -> Stored[SignalChat]:
    [version] = await act.ports.documents.write(stored.replaced(record))
    return Stored(record, stored.path, version)


async def _still_there(act: Act, record: SignalChat) -> bool:
    """Whether the bot is in the room that it had with them."""
    chat = await act.ports.chat()
    try:
        there = await chat.membership(record.room_id, (await chat.whoami()).user_id)
    except (Refused, NotFound):
        return False
    return there is not None and there.state == "join"


async def _asked(act: Act, bridge: Bridge, room: str, stored: Stored[SignalChat]) -> Ending:
    if await signal_bridge.ask(act.ports, bridge, room, stored, act.step.wanted["number"]):
        return Continues({}, 2)
    return _later(act, act.parent.created_at, "another chat on Signal is being opened just now", SOON)


def _later(act: Act, since: datetime | None, cause: str, most: timedelta) -> Ending:
    """A task of its own after seconds while it is fresh; then the sweep looks again, after `most` at the latest."""
    waited = act.ports.now() - (since or act.ports.now())
    if waited < SOON:
        return Continues({}, max(2.0, waited.total_seconds() / 2))
    return Waits("bridge", cause, _LATER, act.ports.now() + min(waited / 4, most))


# ------------------------------------------------------------------ what the bridge says


async def _answered(act: Act, bridge: Bridge, room: str, stored: Stored[SignalChat]) -> Stored[SignalChat] | None:
    """The record with the room; None while there is no answer to this question."""
    ports, record, number = act.ports, stored.record, str(act.step.wanted["number"])
    alone = await signal_bridge.is_alone(ports, record)
    said, unclear = [], ""
    for content in await (await ports.chat()).said_after(room, record.asked, bridge.bot):
        answer = bridges.answer_of(content)
        if answer.kind == "room":
            verdict = await _theirs(act, bridge, room, answer, number)
            if verdict == "theirs" or (verdict == "perhaps" and alone):
                return await _opened(act, stored, answer)
            unclear = answer.words if verdict == "perhaps" else unclear
        elif answer.kind and _is_to(number, answer, alone):
            await _refused(act, stored, answer)
        said.append(answer.words)
    if unclear:
        await _given_up(act, stored, *_UNCLEAR)
    if ports.now() - (record.asked_at or ports.now()) > PATIENCE:
        await _put(act, stored, record.unasked())
        last = f"; the last that it said: {said[-1]}" if said else ""
        fix = f"See whether mautrix-signal runs and {bridge.bot} answers `help` in its management room; then retry."
        raise Refused(
            f"the Signal bridge has not answered for {PATIENCE.seconds // 3600} hours{last}", fix, "NO_ANSWER"
        )
    return None


def _is_to(number: str, answer: Answer, alone: bool) -> bool:
    """Who is not logged in is so for every number."""
    return number in answer.numbers if answer.numbers else alone or answer.kind == "signed_out"


_UNCLEAR = (
    "the Signal bridge answered two questions at once, and does not say which room is whose",
    "Retry: it is asked once more, alone. With number_in_topic: true in its configuration this cannot happen.",
    "UNCLEAR",
)


async def _theirs(act: Act, bridge: Bridge, management: str, answer: Answer, number: str) -> str:
    """Looked at in the room itself: "theirs", where its topic has the number; "perhaps", where it has none; "" of
    another's room, of one with more people in it, and of one that the bot has not been invited to yet."""
    chat = await act.ports.chat()
    if answer.room_id == management or not answer.puppet.startswith(act.ports.policy.puppets):
        return ""
    try:
        await chat.accept(answer.room_id)
        people, room = await chat.members(answer.room_id), await chat.room(answer.room_id)
    except (Refused, NotFound):
        return ""
    if people.keys() - {(await chat.whoami()).user_id, bridge.bot, answer.puppet}:
        return ""
    numbers = phones.within(room.topic)
    return ("theirs" if number in numbers else "") if numbers else "perhaps"


async def _opened(act: Act, stored: Stored[SignalChat], answer: Answer) -> Stored[SignalChat]:
    """The room is also their puppet's direct room: replies are read there, and whatever else is said goes there."""
    ports = act.ports
    chat = await ports.chat()
    there, sealed = await chat.membership(answer.room_id, answer.puppet), await chat.is_encrypted(answer.room_id)
    direct = DirectRoom(matrix_id=answer.puppet, room_id=answer.room_id, encrypted=sealed, joined=True)
    name = (there.display_name or "")[:200] if there else ""
    record = stored.record.but(room_id=answer.room_id, puppet=answer.puppet, name=name, opened_at=ports.now())
    written = await ports.documents.write(stored.replaced(record), Put(ids.direct_path(answer.puppet), direct.data()))
    await signal_bridge.give_turn_back(ports, record)
    return Stored(record, stored.path, written[0])


async def _refused(act: Act, stored: Stored[SignalChat], answer: Answer) -> NoReturn:
    reasons: dict[str, tuple[str, str, str]] = {
        "unknown": (
            "nobody on Signal has this number, or they cannot be found by it",
            "Correct their Signal number, or reach them another way. Signal: Settings, Privacy, Phone number.",
            "NOT_ON_SIGNAL",
        ),
        "signed_out": (
            "the bot is not logged in to Signal at the bridge",
            f"Log it in, as the bot, in the bridge's management room; then retry. {signal_bridge.SET_UP}",
            "SIGNED_OUT",
        ),
        "failed": (
            f"the Signal bridge could not look the number up: {answer.words}",
            "Look into the logs of mautrix-signal; then retry.",
            "BRIDGE",
        ),
        "not_understood": (
            f"the Signal bridge does not know start-chat: {answer.words}",
            "Update mautrix-signal (v0.7.0 of 2024 or newer), then retry.",
            "BRIDGE",
        ),
    }
    await _given_up(act, stored, *reasons[answer.kind])


async def _given_up(act: Act, stored: Stored[SignalChat], cause: str, fix: str, code: str) -> NoReturn:
    """A retry asks anew."""
    await _put(act, stored, stored.record.unasked())
    await signal_bridge.give_turn_back(act.ports, stored.record)
    raise Refused(cause, fix, code)


# ------------------------------------------------------------------ the hello


async def _greeted(act: Act, stored: Stored[SignalChat]) -> Ending:
    """Once a room, in plain: a bridge's puppet has no device. Where the bridge encrypts its rooms nothing is said."""
    chat, record = await act.ports.chat(), stored.record
    result: dict[str, Any] = {"room_id": record.room_id, "matrix_id": record.puppet}
    if record.greeted:
        return Done(
            result | {"event_id": record.greeted, "reason": "the chat was there, and the hello was said before"}
        )
    if await chat.is_encrypted(record.room_id):
        fix = (
            "Set encryption.default to false in the bridge's configuration, send `delete-portal` in that room as the "
            "bot, then retry; or write to them yourself."
        )
        raise Refused(
            "the Signal bridge has encrypted the room, and has no device there to encrypt for", fix, "ENCRYPTED"
        )
    marker = ids.transaction_id(f"signal/{record.id}", f"hello {record.asks}", record.puppet)
    name = str(act.step.wanted.get("name") or record.name)
    composed = await compose(act.ports, "signal_hello", Person(record.puppet, name), {}, marker=marker)
    draft = (await sent.drafted(act, record.room_id, composed, marker)).but(matrix_id=record.puppet)
    event = await send_plainly(act, draft, composed, marker, look=act.step.attempts > 1)
    await _put(act, stored, record.but(greeted=event))
    return Done(result | {"event_id": event, "template": composed.template})
