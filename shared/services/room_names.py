"""What an onboarding's rooms are called, for its messages: asked of the homeserver, and remembered."""

from __future__ import annotations

from collections.abc import Sequence

from shared.bounded import each
from shared.domain.errors import MusterError
from shared.domain.onboarding import Step
from shared.ports import Query
from shared.repositories import every
from shared.services.context import Ports
from shared.services.managed import room_id_of

REMEMBERED = 900.0
"""Seconds. A room's new name may come a little late."""
UNNAMED = "a room without a name"


async def rooms_of(ports: Ports, parent: str) -> list[str]:
    """Names of the rooms that a parent of steps brings somebody into, by name. Those whose name nobody can say just now
    are left out, as long as there is another: that they have rooms at all stays said."""
    found = await every(ports.documents, Query(f"{parent}/steps", [("kind", "==", "room")]))
    steps = [Step.of(item.data) for item in found]
    names = await names_of(ports, [step.room for step in steps if step.state != "skipped"])
    return [name for name in names if name != UNNAMED] or names[:1]


async def names_of(ports: Ports, rooms: Sequence[str]) -> list[str]:
    """One for each, whatever the homeserver answers: a message does not wait for a name."""

    async def one(room: str) -> str:
        try:
            return await ports.remember(f"name of {room}", REMEMBERED, lambda: _name(ports, room)) or UNNAMED
        except MusterError:
            return room if room.startswith("#") else UNNAMED

    return sorted(await each(rooms, one), key=str.casefold)


async def _name(ports: Ports, room: str) -> str:
    found = await (await ports.chat()).room(await room_id_of(ports, room))
    return found.name or found.alias
