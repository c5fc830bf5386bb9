"""Members' replies: kept locked, as they came; opened once their key is there; shown to admins alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct

from shared.domain import ids
from shared.domain.arrivals import Event
from shared.domain.devices import RoomKey
from shared.domain.errors import MusterError, Outpaced, Refused, Rejected
from shared.domain.replies import ENCRYPTED, KEPT, MESSAGE, Reply, sent_at, session_of, words_of
from shared.ports import Create, Opener, Query, Sealer
from shared.repositories import Stored
from shared.services.context import Ports, log
from shared.services.messaging import DirectRoom
from shared.services.once import create_missing
from shared.services.room_keys import key_of, key_path

PER_RUN = 200
SHOWN = 20
IN_PLAIN = "it was sent unencrypted into an encrypted room"


class Shown(Struct, frozen=True):
    """`text`: None when there is none to show, and then `cause` says why."""

    at: datetime
    event_id: str
    text: str | None
    cause: str


async def keep(ports: Ports, room: DirectRoom, events: Sequence[Event]) -> int:
    """How many are new. Only what the room's own member says is a reply to us."""
    said = [event for event in events if event["type"] in (ENCRYPTED, MESSAGE) and event["sender"] == room.matrix_id]
    if not said:
        return 0
    sealer = await ports.sealer()
    kept = [_kept(sealer, room, event, ports.now()) for event in said]
    creates = [Create(f"replies/{ids.digest('reply', reply.event_id)}", reply.data()) for reply in kept]
    return await create_missing(ports, creates)


def _kept(sealer: Sealer, room: DirectRoom, event: Event, now: datetime) -> Reply:
    return Reply(
        matrix_id=room.matrix_id,
        room_id=room.room_id,
        event_id=event["event_id"],
        session_id=session_of(event),
        at=sent_at(event, now),
        event=sealer.lock(json.dumps(event), event["event_id"]),
        look_at=now,
        created_at=now,
        expire_at=now + KEPT,
        cause=IN_PLAIN if room.encrypted and event["type"] == MESSAGE else "",
    )


async def open_waiting(ports: Ports) -> int:
    """How many were opened, or given up."""
    page = await ports.documents.query(Query("replies", [("look_at", "<=", ports.now())], "look_at", PER_RUN))
    if not page.items:
        return 0
    due = [Stored(Reply.of(item.data), item.path, item.version) for item in page.items]
    paths = [key_path(one.record.matrix_id, one.record.room_id, one.record.session_id) for one in due]
    found = await ports.documents.get_many(paths)
    sealer, ended = await ports.sealer(), 0
    for one, document in zip(due, found, strict=True):
        changed = _opened(sealer, one.record, key_of(document.data) if document else None, ports.now())
        ended += await _replaced(ports, one, changed)
    return ended


async def _replaced(ports: Ports, stored: Stored[Reply], reply: Reply) -> int:
    try:
        await ports.documents.write(stored.replaced(reply))
    except Outpaced:
        return 0  # somebody whose lease was over has done it
    return int(reply.look_at is None)


def _opened(sealer: Sealer, reply: Reply, key: RoomKey | None, now: datetime) -> Reply:
    try:
        event = json.loads(sealer.unlock(reply.event, reply.event_id))
        if event["type"] == ENCRYPTED and event["content"]:
            if key is None and reply.session_id:
                return reply.waiting(now)
            said = sealer.open_event(reply.room_id, event, {reply.session_id: key} if key else {})
            text, cause = words_of(said["type"], said["content"])
        else:
            text, cause = words_of(event["type"], event["content"])
            cause = "; ".join(part for part in (reply.cause, cause) if part)
    except (Rejected, Refused) as error:
        return reply.opened(None, error.cause)
    except Exception:  # a mistake of ours, which must not keep all the others waiting
        log.exception("a reply crashed", extra={"fields": {"event": reply.event_id}})
        return reply.waiting(now).but(cause="Muster failed to open it, and tries again: look into the logs")
    return reply.opened(text if text is None else sealer.lock(text, reply.event_id), cause)


async def shown(ports: Ports, matrix_id: str) -> list[Shown]:
    """The newest first. Raises nothing for texts that do not open: they say so themselves."""
    if not matrix_id:
        return []
    page = await ports.documents.query(Query("replies", [("matrix_id", "==", matrix_id)], "-at", SHOWN))
    return await opened(ports, [Reply.of(item.data) for item in page.items])


async def opened(ports: Ports, replies: Sequence[Reply]) -> list[Shown]:
    """In their order."""
    opener: Any = None
    if any(reply.text is not None for reply in replies):
        try:
            opener = await ports.opener()
        except MusterError as error:
            return [Shown(reply.at, reply.event_id, None, reply.cause or error.cause) for reply in replies]
    return [_shown(opener, reply) for reply in replies]


def _shown(opener: Opener, reply: Reply) -> Shown:
    if reply.text is None:
        return Shown(reply.at, reply.event_id, None, reply.cause or "it has come and is opened within a minute")
    try:
        return Shown(reply.at, reply.event_id, opener.unlock(reply.text, reply.event_id), reply.cause)
    except Refused as error:
        return Shown(reply.at, reply.event_id, None, error.cause)
