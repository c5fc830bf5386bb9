"""`Documents` that fails at a chosen write, before it or after it: a store that is down, or a process that dies."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from shared.ports import Document, Documents, Page, Query, Write


class Killed(BaseException):
    """The process is gone at this very point: no handler of the product sees it."""


class FaultyDocuments:
    """`fail_at(3, error)`: the third write from now raises, and nothing is written; with `after` it is
    written and only the answer is lost. `writes` and `queries` count them all, `read` and `written` the documents."""

    def __init__(self, inner: Documents) -> None:
        self.inner = inner
        self.writes = self.queries = self.read = self.written = 0
        self._planned: dict[int, tuple[BaseException, bool]] = {}

    def fail_at(self, number: int, error: BaseException, *, after: bool = False) -> None:
        self._planned[self.writes + number] = (error, after)

    def mend(self) -> None:
        self._planned.clear()

    async def write(self, *writes: Write) -> list[str]:
        await asyncio.sleep(0)  # others have their turn, as with a real store
        self.writes += 1
        self.written += len(writes)
        error, after = self._planned.pop(self.writes, (None, False))
        if error and not after:
            raise error
        versions = await self.inner.write(*writes)
        if error:
            raise error
        return versions

    async def get(self, path: str) -> Document | None:
        self.read += 1
        await asyncio.sleep(0)
        return await self.inner.get(path)

    async def get_many(self, paths: Sequence[str]) -> list[Document | None]:
        self.read += len(paths)
        await asyncio.sleep(0)
        return await self.inner.get_many(paths)

    async def query(self, query: Query) -> Page:
        self.queries += 1
        await asyncio.sleep(0)
        return await self.inner.query(query)

    async def count(self, query: Query) -> int:
        return await self.inner.count(query)

    async def close(self) -> None:
        await self.inner.close()
