"""The Olm sessions that were kept with letters, for the device that answers on one of them.

Nothing in an answer names its session, so they are tried, the likeliest first: a client answers on the newest one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from shared.domain.devices import Device
from shared.ports import Document, Query
from shared.services.context import Ports

OWN, IN_INDOC = 20, 10
"""Letters that are looked through: the member's latest, and the latest in INDOC, whose keys go to all who are there."""


class OlmSessions:
    """Of one run: what was read of a device is not read again."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._kept: dict[tuple[str, str], list[dict[str, str]]] = {}

    async def with_device(self, device: Device) -> AsyncIterator[Mapping[str, str]]:
        """In steps, so that what the first ones open costs no more reads. The first is empty: the account itself opens
        the first messages of a session."""
        yield {}
        kept = self._kept.setdefault((device.user_id, device.device_id), [])
        for number, find in enumerate((self._in_own, self._in_shares, self._in_indoc)):
            if number == len(kept):
                kept.append(await find(device))
            if kept[number]:
                yield kept[number]

    async def _in_own(self, device: Device) -> dict[str, str]:
        return await self._in_parts(await self._letters("matrix_id", device.user_id, OWN), device)

    async def _in_shares(self, device: Device) -> dict[str, str]:
        shares: list[Document | None] = []
        for letter in reversed(await self._letters("matrix_id", device.user_id, OWN)):
            shares += (await self._ports.documents.query(Query(f"{letter.path}/shares", limit=100))).items
        return _of(shares, device)

    async def _in_indoc(self, device: Device) -> dict[str, str]:
        indoc = self._ports.policy.indoc
        return await self._in_parts(await self._letters("room_id", indoc, IN_INDOC), device) if indoc else {}

    async def _letters(self, field: str, value: Any, limit: int) -> Sequence[Document]:
        """The newest first."""
        query = Query("letters", [(field, "==", value)], "-created_at", limit)
        return (await self._ports.documents.query(query)).items

    async def _in_parts(self, letters: Sequence[Document], device: Device) -> dict[str, str]:
        paths = [f"{item.path}/parts/{number}" for item in reversed(letters) for number in range(item.data["parts"])]
        return _of(await self._ports.documents.get_many(paths) if paths else [], device)


def _of(documents: Sequence[Document | None], device: Device) -> dict[str, str]:
    name = f"{device.user_id}|{device.device_id}"
    return {item.path: item.data["olm"][name] for item in documents if item and item.data.get("olm", {}).get(name)}
