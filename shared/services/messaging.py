"""What the bot says: in one direct room per member, each message once, never in plain where it
must be encrypted."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping
from typing import Any

from msgspec import field

from shared.domain import ids, messages
from shared.domain.errors import Conflict, NotFound, Outpaced, Refused, TryLater
from shared.domain.records import Record
from shared.domain.templates import Person, Value
from shared.ports import Create, Put
from shared.services.context import Ports
from shared.services.encryption import NoDevice, check_overdue, say_sealed, waits_for_device, waits_for_join
from shared.services.position import begin_in_time
from shared.services.presence import look_up_presence
from shared.services.room_names import rooms_of
from shared.services.steps import Act, Done, Ending
from shared.services.templates import Composed, compose

SALT = "installation/salt"


class DirectRoom(Record, frozen=True, kw_only=True):
    """The one room of a member with the bot, or the one for what is not encrypted. `listed`: whether m.direct has
    it. `joined`: whether the reader has seen the member join, and not leave again. `nth`: how many before it the bot
    has lost. `notice`: the plain notice in it: event_id, the step (its path) that sent it, at."""

    matrix_id: str
    room_id: str
    encrypted: bool
    listed: bool = False
    joined: bool = False
    nth: int = 0
    notice: dict[str, Any] = field(default_factory=dict)


async def say(
    act: Act,
    room_id: str,
    message: Composed,
    *,
    encrypted: bool | None = None,
    people: Collection[str] | None = None,
) -> dict[str, Any]:
    """Sends a step's message once: under the transaction id that its claim has committed, and after
    a look into the room where that id no longer protects. Encrypted where the room is, by the room's
    own state unless the caller has just seen it; so with `people`, who are there. Answers the event id, the version of
    the template, and what became of it."""
    chat, content, template = await act.ports.chat(), message.content, {"template": message.template}
    if encrypted if encrypted is not None else await chat.is_encrypted(room_id):
        if not act.ports.policy.encrypt:
            raise never_in_plain(room_id)
        event_id, receipt = await say_sealed(act, room_id, content, people)
        return {"room_id": room_id, "event_id": event_id} | template | receipt
    sent = await chat.find_sent(room_id, messages.MARKER, act.marker) if act.look_first else None
    return {"room_id": room_id, "event_id": sent or await chat.send(room_id, content, act.marker)} | template


def never_in_plain(room_id: str) -> Refused:
    return Refused(
        f"the room {room_id} is encrypted, and encryption is switched off here",
        "Set MATRIX_ENABLE_ENCRYPTION after scripts/setup matrix, then retry; or write to them yourself and skip this.",
        "ENCRYPTED",
    )


async def hello(act: Act) -> Ending:
    room, people = await direct_room(act)
    try:
        ending = await _say_directly(act, room, await worded(act, "hello", {}), people)
    except Refused:
        await look_up_presence(act, None)
        raise
    # Who has a device has logged in; of everybody else the homeserver is asked.
    seen = isinstance(ending, Done) and bool(ending.result.get("encrypted"))
    await look_up_presence(act, seen or None)
    return ending


async def welcome(act: Act) -> Ending:
    room, _ = await direct_room(act)
    try:
        return await _welcome(act, room)
    except Refused as error:
        if error.code == "M_FORBIDDEN" and not await _are_we_in(act, room.room_id):
            fix = "Nothing to do: another one is made."
            raise TryLater(f"the bot is no longer in the direct room {room.room_id}", fix) from error
        raise


async def _welcome(act: Act, room: DirectRoom) -> Ending:
    message = await worded(act, "welcome", {"rooms": await rooms_of(act.ports, act.step.parent)})
    people: Mapping[str, str] | None = None
    if room.encrypted and act.ports.policy.encrypt:
        people = await (await act.ports.keys()).members(room.room_id)
        if people.get(act.matrix_id) != "join":
            # Newer clients may never decrypt what arrives before they have looked our keys up.
            await check_overdue(act)
            return waits_for_join(act)
    return await _say_directly(act, room, message, people)


async def worded(act: Act, purpose: str, values: Mapping[str, Value], name: str = "") -> Composed:
    """The step's message for its member, by the template that counts for them. `name`: as the room shows them."""
    parent = act.parent
    person = Person(act.matrix_id, name or name_of(act), getattr(parent, "username", ""))
    bundles, invite = getattr(parent, "bundles", ()), getattr(parent, "invite", "")
    language = getattr(parent, "language", "")
    values = {"sponsor": getattr(parent, "sponsor", "")} | dict(values)
    return await compose(
        act.ports, purpose, person, values, marker=act.marker, bundles=bundles, invite=invite, language=language
    )


def name_of(act: Act) -> str:
    return getattr(act.parent, "name", "") or getattr(act.parent, "username", "") or act.matrix_id


async def _say_directly(act: Act, room: DirectRoom, message: Composed, people: Collection[str] | None) -> Ending:
    try:
        return Done(await say(act, room.room_id, message, encrypted=room.encrypted, people=people))
    except NoDevice as error:
        return waits_for_device(act, error)


async def direct_room(act: Act) -> tuple[DirectRoom, Collection[str] | None]:
    """Made exactly once: under an alias that derives from the member, so that the homeserver itself
    refuses a second one. The record comes after; lost, it is found again by the alias. And who is in one that was
    made just now; None for others. A room that the bot is no longer in is given up for another one."""
    path = ids.direct_path(act.matrix_id)
    document = await act.ports.documents.get(path)
    known = DirectRoom.of(document.data) if document else None
    if known and act.step.kind == "welcome" and act.step.attempts == 1:
        return known, None  # the hello has just seen it
    if known and await _are_we_in(act, known.room_id):
        await be_there(act, known.room_id)
        return known, None
    if act.ports.policy.encrypt:
        await begin_in_time(act.ports)
    room, people = await _made_or_found(act, known.nth + 1 if known else 0)
    await act.ports.documents.write(Put(path, room.data()))
    return room, people


async def _are_we_in(act: Act, room_id: str) -> bool:
    chat = await act.ports.chat()
    try:
        there = await chat.membership(room_id, (await chat.whoami()).user_id)
    except NotFound:
        return False
    except Refused as error:
        if error.code == "M_FORBIDDEN":
            return False
        raise
    return there is not None and there.state == "join"


async def _made_or_found(act: Act, nth: int) -> tuple[DirectRoom, Collection[str] | None]:
    chat, ports = await act.ports.chat(), act.ports
    alias = ids.direct_alias(await salt(ports), act.matrix_id, nth)
    try:
        room_id = await chat.create_direct_room(alias, act.matrix_id, "Welcome", encrypted=_seals(act))
    except Conflict:
        return await _found(act, alias, nth), None

    async def look() -> bool:
        return await chat.is_encrypted(room_id)

    # A homeserver may encrypt each new room by default. That is its configuration, and only the bot could
    # change it in a room of its own making: looked at in one new room, it holds for the next ones.
    encrypted = _seals(act) or await ports.remember("new direct rooms are encrypted", 600, look)
    room = DirectRoom(matrix_id=act.matrix_id, room_id=room_id, encrypted=encrypted, nth=nth)
    return room, ((await chat.whoami()).user_id, act.matrix_id)


def _seals(act: Act) -> bool:
    """Puppets of a bridge never have a device: plain at once."""
    policy = act.ports.policy
    return policy.encrypt and not act.matrix_id.startswith(policy.puppets)


async def _found(act: Act, alias: str, nth: int) -> DirectRoom:
    room_id = await room_under(act, alias)
    encrypted = await (await act.ports.chat()).is_encrypted(room_id)
    return DirectRoom(matrix_id=act.matrix_id, room_id=room_id, encrypted=encrypted, nth=nth)


async def room_under(act: Act, alias: str) -> str:
    """The room that was made before under this alias, with the member invited."""
    chat = await act.ports.chat()
    server = (await chat.whoami()).user_id.partition(":")[2]
    room_id = await chat.resolve(f"#{alias}:{server}")
    if room_id is None:
        raise TryLater("the direct room is being made at this moment", "Nothing to do: it is tried again.")
    await be_there(act, room_id)
    return room_id


async def be_there(act: Act, room_id: str) -> None:
    chat = await act.ports.chat()
    there = await chat.membership(room_id, act.matrix_id)
    if there is None or there.state not in ("join", "invite"):
        await chat.invite_directly(room_id, act.matrix_id)


async def salt(ports: Ports) -> str:
    """Of this installation: made once, kept with the documents."""

    async def read() -> str:
        document = await ports.documents.get(SALT)
        if document is None:
            with contextlib.suppress(Outpaced):  # another instance has made it
                await ports.documents.write(Create(SALT, {"v": 1, "value": f"{ports.chance():032x}"}))
            document = await ports.documents.get(SALT)
        assert document is not None  # noqa: S101 - it was made above
        return str(document.data["value"])

    return await ports.remember(SALT, 86_400, read)
