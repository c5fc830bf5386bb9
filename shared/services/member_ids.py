"""The table of Matrix ids: a number for each, for good. A number is never given to another: whoever reads an older
table with newer memberships, or the other way round, finds nobody rather than somebody else."""

from __future__ import annotations

from collections.abc import Collection
from typing import Self

from shared.domain import packing
from shared.domain.cached_rooms import IDS, ids_name
from shared.services.shards import Run


class MemberIds:
    """The whole table, while a sync runs."""

    def __init__(self, run: Run, ids: list[str]) -> None:
        self._run, self._ids = run, ids
        self._numbers = {user: number for number, user in enumerate(ids) if user}

    @classmethod
    async def load(cls, run: Run) -> Self:
        ids: list[str] = []
        for name in run.names("ids-"):
            ids += packing.decoded(await run.read(name) or packing.encoded([]), list[str])
        return cls(run, ids)

    def number(self, user: str) -> int:
        if user not in self._numbers:
            self._numbers[user] = len(self._ids)
            self._ids.append(user)
        return self._numbers[user]

    def forget(self, used: Collection[int]) -> None:
        """Whoever is in no room any more is not kept by name."""
        for user, number in list(self._numbers.items()):
            if number not in used:
                self._ids[number] = ""
                del self._numbers[user]

    def stage(self) -> None:
        for start in range(0, len(self._ids), IDS):
            chunk = self._ids[start : start + IDS]
            self._run.stage(ids_name(start // IDS), packing.encoded(chunk), len(chunk))
