"""How far the reader has come in what the homeserver tells."""

from __future__ import annotations

import contextlib
from datetime import datetime, timedelta

from shared.domain.arrivals import arrivals
from shared.domain.errors import MusterError, Outpaced
from shared.domain.records import Record
from shared.ports import Create, Document
from shared.services import inbox
from shared.services.context import Ports, log

POSITION = "installation/reader"
FRESH = timedelta(minutes=10)


class Position(Record, frozen=True, kw_only=True):
    """`since`: all before it was saved. `begun_at`: of the first run; nothing before it was read. `at`: of the last.
    `ordinary`: rooms that are left out of the answers, since they spoke and are no direct rooms."""

    since: str
    begun_at: datetime
    at: datetime
    ordinary: tuple[str, ...] = ()


async def begin(ports: Ports) -> Document:
    """The position, made if there is none yet. That first sync asks for no rooms at all: it is to learn where we stand,
    not everybody's history. It has no position to move, so it needs no lease; of two that begin at once, the first
    stored one counts, and both have saved what came."""
    document = await ports.documents.get(POSITION)
    if document is not None:
        return document
    came = arrivals(await (await ports.keys()).sync(None, False))
    await inbox.keep(ports, came.to_device)
    now = ports.now()
    with contextlib.suppress(Outpaced):
        await ports.documents.write(Create(POSITION, Position(since=came.position, begun_at=now, at=now).data()))
    document = await ports.documents.get(POSITION)
    if document is None:
        raise Outpaced(POSITION)
    return document


async def begin_in_time(ports: Ports) -> None:
    """Before the first message to anybody, so that no answer to it is missed. A homeserver that refuses keeps no
    message from being sent."""

    async def begun() -> bool | None:
        try:
            await begin(ports)
        except MusterError as error:
            log.warning("the reader has not begun", extra={"fields": {"cause": error.cause}})
            return None
        return True

    await ports.remember(POSITION, 86_400, begun)


async def reads_since(ports: Ports) -> datetime | None:
    """From when on no join has escaped the reader; None when it does not read just now."""
    document = await ports.documents.get(POSITION)
    if document is None:
        return None
    position = Position.of(document.data)
    return position.begun_at if ports.now() - position.at < FRESH else None
