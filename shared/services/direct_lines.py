"""Which of the rooms that spoke are members' direct rooms, and what was said there since the last time."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from shared.domain import ids
from shared.domain.arrivals import Event, Timeline, room_events
from shared.domain.errors import Abandoned, Rejected
from shared.ports import Keys, Query, Replace
from shared.services.context import Ports, log
from shared.services.messaging import DirectRoom, salt
from shared.services.tasks import again_when_outpaced

TOGETHER = 30
"""Room ids in one query, at most."""
LOOKS = 20
"""Rooms that are looked at in one round, because nobody knows them."""
PAGES = 10
"""Of 100 events each, for a room in which more was said than one /sync tells."""
ALIAS = "#muster-direct-"


class Lines(Struct):
    """`direct`: by room. `ordinary`: rooms that certainly are no direct rooms."""

    direct: dict[str, DirectRoom] = field(default_factory=dict)
    ordinary: list[str] = field(default_factory=list)


async def lines_among(ports: Ports, rooms: Mapping[str, Timeline]) -> Lines:
    lines, asked = Lines(), sorted(rooms)
    for at in range(0, len(asked), TOGETHER):
        query = Query("direct_rooms", [("room_id", "in", asked[at : at + TOGETHER])], limit=2 * TOGETHER)
        found = [DirectRoom.of(item.data) for item in (await ports.documents.query(query)).items]
        lines.direct |= {room.room_id: room for room in found}
    for room_id in [room for room in asked if room not in lines.direct][:LOOKS]:
        await _look(ports, lines, room_id, rooms[room_id])
    return lines


async def _look(ports: Ports, lines: Lines, room_id: str, timeline: Timeline) -> None:
    """A direct room whose record has not been written yet shows by its alias, which derives from its member."""
    try:
        room = await (await ports.chat()).room(room_id)
    except (Rejected, Abandoned):
        return  # the bot has left it
    if not room.alias.startswith(ALIAS):
        lines.ordinary.append(room_id)
        return
    key = await salt(ports)
    for sender in {event["sender"] for event in timeline.events}:
        if room.alias.startswith(f"#{ids.direct_alias(key, sender)}:"):
            lines.direct[room_id] = DirectRoom(matrix_id=sender, room_id=room_id, encrypted=room.encrypted)


async def completed(keys: Keys, room_id: str, timeline: Timeline, since: str) -> tuple[Event, ...]:
    """All events since that position, oldest first; what is beyond the bound is logged."""
    older: list[Event] = []
    start = timeline.before
    for _ in range(PAGES if start else 0):
        try:
            page = await keys.page_back(room_id, start, since)
        except (Rejected, Abandoned) as error:
            log.warning("not read back", extra={"fields": {"room": room_id, "cause": error.cause}})
            break
        older += room_events(page.get("chunk"))[0]
        end = page.get("end")
        if not page.get("chunk") or not isinstance(end, str) or end == start:
            break
        start = end
    else:
        if start:
            cause = f"more than {PAGES} pages since the last time: the oldest of them are in the room alone"
            log.warning("not read back", extra={"fields": {"room": room_id, "cause": cause}})
    return (*reversed(older), *timeline.events)


async def note_joined(ports: Ports, room: DirectRoom, joined: bool) -> bool:
    """Whether that is news. Of the direct room alone: a member may also be in the one for what is not encrypted."""
    path = ids.direct_path(room.matrix_id)

    async def attempt() -> bool:
        document = await ports.documents.get(path)
        if document is None or document.data["room_id"] != room.room_id:
            return False
        if document.data.get("joined", False) == joined:
            return False
        await ports.documents.write(Replace(path, document.data | {"joined": joined}, document.version))
        return True

    return await again_when_outpaced(attempt)
