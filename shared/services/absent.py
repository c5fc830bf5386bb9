"""Who is in the cache and not in Authentik any more. Authentik keeps no list of the deleted: but it counts those who
joined after a moment, so that halving the time finds each in as many questions as the logarithm of all."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from shared.bounded import each
from shared.domain.errors import NotFound
from shared.ports import Account, Directory
from shared.services import user_shards
from shared.services.shards import Run

MOST = 32
"""Deleted accounts beyond which a full sync asks less."""
FEW = 8
"""Accounts that are asked for one by one rather than counted once more."""


class TooMuch(Exception):
    """It would take more questions than a full sync."""


async def absent(run: Run, directory: Directory, missing: int) -> list[int] | None:
    """The pks; None where so many are missing, or so many joined in one second, that a full sync is cheaper."""
    if missing > MOST:
        return None
    rows = [
        (row.joined_at, row.pk)
        for name in user_shards.names(run)
        for row in await user_shards.rows_in(run, name)
    ]  # fmt: skip
    search = _Search(directory, sorted(rows), questions=missing * 40 + 40)
    try:
        return await search.all()
    except TooMuch:
        return None


class _Search:
    """`rows`: (second of joining, pk), in order."""

    def __init__(self, directory: Directory, rows: Sequence[tuple[int, int]], questions: int) -> None:
        self._directory, self._rows, self._left = directory, rows, questions

    async def all(self) -> list[int]:
        if not self._rows:
            return []
        newer = await self._since(self._rows[-1][0] + 1)
        return await self._within(0, len(self._rows), await self._since(self._rows[0][0]), newer)

    async def _within(self, start: int, end: int, since_start: int, since_end: int) -> list[int]:
        """Of the rows from `start` up to `end`, both of them the first one of their second."""
        if since_start - since_end >= end - start:
            return []
        middle = self._middle(start, end)
        if end - start <= FEW or middle is None:
            return await self._asked(start, end)
        since_middle = await self._since(self._rows[middle][0])
        older = await self._within(start, middle, since_start, since_middle)
        return older + await self._within(middle, end, since_middle, since_end)

    def _middle(self, start: int, end: int) -> int | None:
        """The first row of a second, as near to the middle as there is one; None: all are of the same."""
        half = (start + end) // 2
        starts = (place for step in range(end - start) for place in (half - step, half + step))
        inside = (place for place in starts if start < place < end)
        return next((place for place in inside if self._rows[place][0] != self._rows[place - 1][0]), None)

    async def _asked(self, start: int, end: int) -> list[int]:
        self._spend(end - start)
        _, gone = await looked_up(self._directory, [pk for _, pk in self._rows[start:end]])
        return gone

    async def _since(self, second: int) -> int:
        """How many joined in that second or later. Authentik's filter means later than."""
        self._spend(1)
        just_before = datetime.fromtimestamp(second, UTC) - timedelta(microseconds=1)
        return (await self._directory.accounts(joined_after=just_before, size=1)).total

    def _spend(self, questions: int) -> None:
        self._left -= questions
        if self._left < 0:
            raise TooMuch


async def looked_up(directory: Directory, pks: Sequence[int]) -> tuple[list[Account], list[int]]:
    """Those that are there, and the numbers of those that are not."""

    async def read(pk: int) -> Account | None:
        try:
            return await directory.account(pk)
        except NotFound:
            return None

    found = await each(pks, read)
    there = [account for account in found if account]
    return there, [pk for pk, account in zip(pks, found, strict=True) if account is None]
