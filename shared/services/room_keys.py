"""Room keys that members have sent to the bot's device: opened, trusted or dropped, and kept.

A message leaves the inbox once its key is kept, or once it is certain that there is nothing in it for us.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

from shared.domain import ids
from shared.domain.arrivals import Event, is_id
from shared.domain.devices import Device, Opened, RoomKey
from shared.domain.errors import MusterError, Outpaced, Refused, Rejected
from shared.domain.replies import KEPT, next_look
from shared.ports import Create, Data, Delete, Query, Replace, Sealer
from shared.repositories import Stored
from shared.services.context import Ports, log
from shared.services.inbox import INBOX, KEPT_UNOPENED, Unopened
from shared.services.olm_sessions import OlmSessions
from shared.services.once import create_missing

PER_RUN = 300


class _Known(Struct, frozen=True):
    """What all the messages of a run are held against. `rooms`: sender to their direct room."""

    devices: Sequence[Device]
    rooms: dict[str, str]


class _Later(Exception):
    """It cannot be decided just now."""


async def work_off(ports: Ports) -> int:
    """How many messages left the inbox. One key query for all senders."""
    page = await ports.documents.query(Query(INBOX, [("look_at", "<=", ports.now())], "look_at", PER_RUN))
    if not page.items:
        return 0
    inbox = [Stored(Unopened.of(item.data), item.path, item.version) for item in page.items]
    senders = sorted({stored.record.sender for stored in inbox})
    keys, sealer = await ports.keys(), await ports.sealer()
    devices, _ = sealer.devices_of(await keys.query_keys(senders), senders)
    found = await ports.documents.get_many([ids.direct_path(sender) for sender in senders])
    rooms = {document.data["matrix_id"]: document.data["room_id"] for document in found if document}
    known, sessions = _Known(devices, rooms), OlmSessions(ports)
    return sum([await _one(ports, sealer, known, sessions, stored) for stored in inbox])


async def _one(ports: Ports, sealer: Sealer, known: _Known, sessions: OlmSessions, stored: Stored[Unopened]) -> int:
    sender = stored.record.sender
    try:
        key = await _trusted(sealer, known, sessions, sender, json.loads(stored.record.event))
        if key and known.rooms[sender] == key.room_id:
            await _store(ports, key)
    except _Later as error:
        return await _later(ports, stored, str(error))
    except (Rejected, Refused) as error:
        _log_dropped(sender, error.cause)
    except MusterError:
        raise
    except Exception as error:  # a mistake of ours, which must not keep all the others waiting
        log.exception("a message to the bot's device crashed", extra={"fields": {"sender": sender}})
        return await _later(ports, stored, f"Muster failed ({type(error).__name__})")
    await _write(ports, Delete(stored.path))
    return 1


async def _later(ports: Ports, stored: Stored[Unopened], cause: str) -> int:
    now = ports.now()
    age = now - stored.record.created_at
    if age < KEPT_UNOPENED:
        await _write(ports, stored.replaced(stored.record.but(look_at=now + next_look(age))))
        return 0
    _log_dropped(stored.record.sender, cause)
    await _write(ports, Delete(stored.path))
    return 1


async def _trusted(sealer: Sealer, known: _Known, sessions: OlmSessions, sender: str, event: Event) -> RoomKey | None:
    """None: it was no room key. A key counts only as sent by a device that its owner's key list shows, signed; and only
    a member who has a direct room can send one that is of use."""
    theirs = [
        device
        for device in known.devices
        if device.user_id == sender and device.curve25519 == event["content"].get("sender_key")
    ]
    if not theirs:
        raise _Later("from a device that is not among the sender's signed ones")
    if sender not in known.rooms:
        raise _Later("the sender has no direct room with the bot")
    opened = await _opened(sealer, sessions, event, theirs[0])
    if not any(opened.is_from(device) for device in theirs):
        raise Rejected("it names other keys than those of the device that sent it")
    return opened.room_key


async def _opened(sealer: Sealer, sessions: OlmSessions, event: Event, device: Device) -> Opened:
    refused: MusterError | None = None
    async for kept in sessions.with_device(device):
        try:
            return sealer.open_to_device(event, kept)
        except Refused as error:
            refused = error
    raise refused or Refused("no session opens it", code="SESSION")


async def _store(ports: Ports, key: RoomKey) -> None:
    """First the key, then the replies that wait for it are due, and the message leaves the inbox last: whoever dies in
    between is followed by one who does it again."""
    now = ports.now()
    data = {"v": 1, **asdict(key), "created_at": now, "expire_at": now + KEPT}
    await create_missing(ports, [Create(key_path(key.user_id, key.room_id, key.session_id), data)])
    page = await ports.documents.query(Query("replies", [("session_id", "==", key.session_id)], limit=200))
    for item in page.items:
        if item.data["matrix_id"] == key.user_id and item.data.get("look_at"):
            await _write(ports, Replace(item.path, item.data | {"look_at": now}, item.version))


def key_path(user_id: str, room_id: str, session_id: str) -> str:
    """Of a user's own: nobody can put a key in the way of another's."""
    return f"room_keys/{ids.digest('room key', user_id, room_id, session_id)}"


def key_of(data: Data) -> RoomKey:
    names: tuple[Any, ...] = ("room_id", "session_id", "user_id", "ed25519", "curve25519", "session")
    return RoomKey(*(data[name] for name in names))


async def _write(ports: Ports, write: Replace | Delete) -> None:
    try:
        await ports.documents.write(write)
    except Outpaced:
        return  # somebody whose lease was over has done it


def _log_dropped(sender: str, cause: str) -> None:
    shown = sender if is_id(sender) else "somebody"
    log.warning("a message to the bot's device was dropped", extra={"fields": {"sender": shown, "cause": cause}})
