"""Leases: one holder at a time, until it gives the lease back or the time is over. A document with the holder and
`expire_at`; its version shows whether one still holds it."""

from __future__ import annotations

import contextlib
from datetime import datetime, timedelta

from shared.domain.errors import Outpaced
from shared.ports import Create, Data, Delete, Replace
from shared.services.context import Ports


async def take(ports: Ports, path: str, lasts: timedelta) -> str | None:
    """Its version, by which it is kept and given back; None when somebody else has it."""
    try:
        [version] = await ports.documents.write(Create(path, _lease(ports, lasts)))
    except Outpaced:
        return None
    return version


def kept(ports: Ports, path: str, version: str, lasts: timedelta) -> Replace:
    """Written in one batch with what only the holder may write, and for as long again from now on."""
    return Replace(path, _lease(ports, lasts), version)


async def give_back(ports: Ports, path: str, version: str) -> None:
    with contextlib.suppress(Outpaced):  # it took too long, and another has the lease now
        await ports.documents.write(Delete(path, version))


async def until(ports: Ports, path: str) -> datetime | None:
    """When it is over at the latest; None: nobody has it."""
    document = await ports.documents.get(path)
    return document.data["expire_at"] if document else None


def _lease(ports: Ports, lasts: timedelta) -> Data:
    return {"v": 1, "holder": f"{ports.chance():032x}", "expire_at": ports.now() + lasts}
