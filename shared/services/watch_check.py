"""The device that only watches: who syncs looks at it, and the self-check tells, since the page has not its token."""

from __future__ import annotations

import asyncio

from msgspec import convert
from msgspec.structs import asdict

from shared.domain.errors import Refused
from shared.ports import Chat, Finding, Put
from shared.services.context import Ports
from shared.services.watch_setup import HOW, WATCH_TOKEN

SEEN = "heartbeats/matrix_watcher"
NAME = "matrix sync device"
COMMAND = "scripts/setup matrix"


async def look(ports: Ports) -> Finding:
    """For the sync, before it begins; stored where it is another one than the last. Raises `TryLater` as the homeserver
    does."""
    found = await _check(await ports.chat(), await ports.watcher())
    known = await ports.documents.get(SEEN)
    if known is None or known.data["finding"] != asdict(found):
        await ports.documents.write(Put(SEEN, {"v": 1, "at": ports.now(), "finding": asdict(found)}))
    return found


async def seen(ports: Ports) -> list[Finding]:
    """As the last sync saw it; nothing as long as none has looked."""
    known = await ports.documents.get(SEEN)
    return [convert(known.data["finding"], Finding)] if known else []


async def _check(sender: Chat, watcher: Chat | None) -> Finding:
    if watcher is None:
        return Finding(NAME, ok=True, detail="there is none: each sync reads every room in full", fix=HOW)
    try:
        sends, watches = await asyncio.gather(sender.whoami(), watcher.whoami())
    except Refused as error:
        return Finding(NAME, ok=False, detail=f"{WATCH_TOKEN}: {error.cause}", fix=HOW, command=COMMAND)
    if watches.user_id != sends.user_id:
        detail = f"{WATCH_TOKEN} is of {watches.user_id}, the bot is {sends.user_id}"
        return Finding(NAME, ok=False, detail=detail, fix=f"Clear it. {HOW}", command=COMMAND)
    if watches.device_id == sends.device_id:
        detail = f"{WATCH_TOKEN} is of device {sends.device_id}, which sends: a sync would take its messages away"
        return Finding(NAME, ok=False, detail=detail, fix=f"Clear it. {HOW}", command=COMMAND)
    return Finding(NAME, ok=True, detail=f"device {watches.device_id}; messages are sent from {sends.device_id}")
