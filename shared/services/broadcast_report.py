"""How a message stands: its counts, who got it, who did not and why, and who is waited for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime

from msgspec import Struct

from shared.domain.audit import audit
from shared.domain.broadcasts import GROUPS, OVER, Message, standing_of
from shared.domain.onboarding import Step
from shared.ports import Op, Query
from shared.repositories import MESSAGES, Listing, audit_write
from shared.services.broadcast_run import counted
from shared.services.context import Actor, Ports
from shared.services.watching import MOVING, STILL, WHOLE

PAGE = 200


class Standing(Struct, frozen=True):
    """`counts`: by the groups of `GROUPS`."""

    message: Message
    counts: Mapping[str, int]

    @property
    def over(self) -> bool:
        """Nothing more happens by itself."""
        return self.message.state in OVER and not (self.counts["open"] or self.counts["waiting"])


class Page(Struct, frozen=True):
    items: Sequence[Step]
    next_cursor: str | None
    total: int


async def listing(ports: Ports, limit: int, cursor: str | None) -> Listing[Message]:
    """The newest first; their counts are as their jobs saw them last."""
    return await MESSAGES.list(ports.documents, (), "-created_at", limit, cursor)


def as_kept(message: Message) -> Standing:
    return Standing(message, standing_of(message, message.counts))


async def standing(ports: Ports, message_id: str) -> Standing:
    """As of now. Raises `NotFound`."""
    message = (await MESSAGES.get(ports.documents, message_id)).record
    return Standing(message, standing_of(message, await counted(ports, message_id)))


async def page(ports: Ports, message_id: str, group: str, limit: int, cursor: str | None) -> Page:
    """Recipients in the order in which they were chosen: all, or those of one group."""
    message = (await MESSAGES.get(ports.documents, message_id)).record
    where: list[tuple[str, Op, list[str]]] = [("state", "in", list(GROUPS[group]))] if group else []
    query = Query(f"{message.path}/steps", where, limit=limit, cursor=cursor)
    found, total = await ports.documents.query(query), await ports.documents.count(query)
    return Page([Step.of(item.data) for item in found.items], found.next_cursor, total)


async def begin_export(ports: Ports, actor: Actor, message_id: str) -> AsyncIterator[Sequence[Step]]:
    """Everybody, page by page. Who takes it is recorded before anything is given."""
    first = await page(ports, message_id, "", PAGE, None)
    record = audit(ports.now(), actor.name, "export", message_id, f"{ports.chance():x}", source=actor.source)
    await ports.documents.write(audit_write(record.but(detail={"form": "csv", "message": message_id})))

    async def pages() -> AsyncIterator[Sequence[Step]]:
        found = first
        yield found.items
        while found.next_cursor:
            found = await page(ports, message_id, "", PAGE, found.next_cursor)
            yield found.items

    return pages()


class MessageWatch:
    """A message looked at again and again, as `shared.services.watching` does it: two reads where nothing is new, and
    its counts, seven more, where something is."""

    def __init__(self, ports: Ports, message_id: str) -> None:
        self._ports, self._id = ports, message_id
        self._seen: tuple[str, str] | None = None
        self._whole_at: datetime | None = None

    async def look(self) -> bool:
        """Whether the counts were read. Raises `NotFound`."""
        stored, now = await MESSAGES.get(self._ports.documents, self._id), self._ports.now()
        latest = await self._ports.documents.query(Query(f"{stored.path}/steps", order="-updated_at", limit=1))
        seen = (stored.version, next((f"{item.path} {item.version}" for item in latest.items), ""))
        whole = seen != self._seen or self._whole_at is None or now - self._whole_at >= WHOLE
        if whole:
            counts = standing_of(stored.record, await counted(self._ports, self._id))
            self.standing, self._seen, self._whole_at = Standing(stored.record, counts), seen, now
        return whole

    @property
    def over(self) -> bool:
        return self.standing.over

    @property
    def pace(self) -> float:
        """Seconds until the next look."""
        moves = self.standing.message.state in ("running", "cancelled") and self.standing.counts["open"]
        return MOVING if moves else STILL
