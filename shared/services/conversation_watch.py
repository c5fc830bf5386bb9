"""A conversation, looked at again and again while somebody follows it (see `shared.services.watching`)."""

from __future__ import annotations

from datetime import datetime, timedelta

from shared.services.context import Ports
from shared.services.conversation import COLLECTIONS, PAGE, Page, Place, Said, Talk, latest, read

MOVING, STILL = 2.0, 5.0
"""Seconds from one look to the next: while a message is on its way, and else."""
WHOLE = timedelta(seconds=60)
"""How old what was read may be: devices that came later show up after that at the latest."""
SOON = timedelta(seconds=5)


class ConversationWatch:
    """The first page. A look that finds nothing new costs two reads, the newest message of each side, and one for each
    that is on its way or waits for its key; 12 looks a minute, 30 while something is about to be sent: 24 reads a
    minute at rest. The whole page is read when one of those has changed, and once a minute."""

    over: bool = False

    def __init__(self, ports: Ports, matrix_id: str) -> None:
        self._ports, self._matrix_id = ports, matrix_id
        self._page: Page | None = None
        self._whole_at = ports.now()

    async def look(self) -> bool:
        """Whether the whole of it was read."""
        now = self._ports.now()
        if self._page and now - self._whole_at < WHOLE and not await self._moved(self._page):
            return False
        self._page, self._whole_at = await read(self._ports, self._matrix_id, PAGE, Place()), now
        return True

    async def _moved(self, seen: Page) -> bool:
        newest: dict[str, str] = {}
        for name in COLLECTIONS:
            newest |= {each.path: each.version for each in await latest(self._ports, name, self._matrix_id, 1, None)}
        if newest != seen.newest:
            return True
        found = await self._ports.documents.get_many(list(seen.open)) if seen.open else []
        return {each.path: each.version for each in found if each} != seen.open

    @property
    def talk(self) -> Talk:
        return self._page.talk if self._page else Talk([], None, 0)

    @property
    def pace(self) -> float:
        soon = self._ports.now() + SOON
        return MOVING if any(_is_moving(each, soon) for each in self.talk.items) else STILL


def _is_moving(said: Said, soon: datetime) -> bool:
    return said.state == "running" or (said.state == "scheduled" and said.next_at is not None and said.next_at <= soon)
