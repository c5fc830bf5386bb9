"""`Documents` on Firestore, through the library's asynchronous client.

`version` is the document's update time, to the nanosecond. A write that changes nothing keeps it
(Firestore's documentation of `WriteResult.update_time`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, cast

from google.cloud.firestore_v1 import AsyncQuery, FieldFilter
from google.cloud.firestore_v1.field_path import FieldPath

from shared.adapters.documents_common import check_path, check_query, check_writes, cursor_after, ordering, position
from shared.adapters.documents_common import field_parts as parts
from shared.adapters.documents_data import is_expired, lookup
from shared.adapters.firestore_client import (
    CALL_SECONDS,
    LIMITS,
    RETRY,
    Batch,
    Client,
    as_document,
    check_content,
    is_conditional,
    is_repeatable,
    translating,
    version_after,
)
from shared.adapters.firestore_errors import CONFLICTS, is_missing_database
from shared.domain.errors import Outpaced
from shared.ports import Create, Document, Page, Query, Replace, Write

REFILL: Final = 300
"""Documents to ask for once a page turned out to hold expired ones."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


class FirestoreDocuments:
    """One per event loop: the client belongs to the loop of its first call. An unreachable Firestore
    raises `Unreachable` within `TOTAL_SECONDS`.

    An `Increment` cannot see an expiry: on an expired document that was not swept away yet it counts,
    unseen. Counters need no `expire_at`, or an id that is not used again.
    """

    def __init__(
        self,
        project: str,
        database: str = "(default)",
        emulator_host: str | None = None,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._project, self._database, self._emulator_host, self._now = project, database, emulator_host, now
        self._made: Client | None = None

    async def get(self, path: str) -> Document | None:
        return (await self.get_many([path]))[0]

    async def get_many(self, paths: Sequence[str]) -> list[Document | None]:
        for path in paths:
            check_path(path)
        found = {document.path: document for document in await self._stored(paths) if self._is_live(document)}
        return [found.get(path) for path in paths]

    async def write(self, *writes: Write) -> list[str]:
        check_writes(writes)
        for write in writes:
            check_content(write)
        if not writes:
            return []
        try:
            return await self._commit(writes)
        except Outpaced:
            again = await self._over_expired(writes)
            if again == list(writes):
                raise
            return await self._commit(again)

    async def query(self, query: Query) -> Page:
        check_query(query)
        after, items, size = position(query), list[Document](), query.limit + 1
        while True:
            found = await self._fetch(self._ordered(query, after).limit(size))
            items += filter(self._is_live, found)
            if len(items) > query.limit:
                items = items[: query.limit]
                return Page(items, cursor_after(query, items[-1]))
            if len(found) < size:
                return Page(items, None)
            after, size = _behind(query, found[-1]), max(size, REFILL)

    async def count(self, query: Query) -> int:
        check_query(query)
        return await self._counted(self._filtered(query))

    async def close(self) -> None:
        made, self._made = self._made, None
        if made:
            await made.close()

    # -- the client

    @property
    def _client(self) -> Client:
        if self._made is None:
            self._made = Client(self._project, self._database, self._emulator_host)
        return self._made

    def _is_live(self, document: Document) -> bool:
        return not is_expired(document.data, self._now())

    # -- reading

    async def _stored(self, paths: Sequence[str], fields: Sequence[str] | None = None) -> list[Document]:
        """Those that are there, expired or not, in any order."""
        if not paths:
            return []
        async with translating():
            references = [self._client.document(path) for path in dict.fromkeys(paths)]
            found = self._client.get_all(references, fields, **LIMITS)
            return [as_document(snapshot) async for snapshot in found if snapshot.exists]

    async def _fetch(self, query: AsyncQuery) -> list[Document]:
        async with translating():
            return [as_document(snapshot) for snapshot in await query.get(**LIMITS)]

    async def _counted(self, query: AsyncQuery) -> int:
        async with translating():
            return int((await query.count().get(**LIMITS))[0][0].value)

    def _filtered(self, query: Query) -> AsyncQuery:
        name, client = query.collection, self._client
        found: Any = client.collection_group(name) if query.group else client.collection(name)
        for field, op, value in query.where:
            found = found.where(filter=FieldFilter(_name(field), op, value))
        return cast("AsyncQuery", found)

    def _ordered(self, query: Query, after: tuple[list[Any], str] | None) -> AsyncQuery:
        fields, descending = ordering(query)
        found = self._filtered(query)
        for name in [*map(_name, fields), "__name__"]:
            found = found.order_by(name, direction="DESCENDING" if descending else "ASCENDING")
        return found.start_after([*after[0], self._client.document(after[1])]) if after else found

    # -- writing

    async def _commit(self, writes: Sequence[Write]) -> list[str]:
        """The new versions. Raises `Outpaced`, naming the document if only one can be meant."""
        async with translating():
            try:
                batch = Batch(self._client)
                for write in writes:
                    batch.add(write)
                repeat = RETRY if is_repeatable(writes) else None
                results = await batch.commit(retry=repeat, timeout=CALL_SECONDS)
                return [version_after(write, result) for write, result in zip(writes, results, strict=True)]
            except CONFLICTS as error:
                if is_missing_database(error):
                    raise
                conditional = [write.path for write in writes if is_conditional(write)]
                raise Outpaced(conditional[0] if len(conditional) == 1 else "") from error

    async def _over_expired(self, writes: Sequence[Write]) -> list[Write]:
        """The same writes, replacing what is in the way of a `Create` and expired. Raises `Outpaced`
        if something in the way is alive."""
        created = [write.path for write in writes if isinstance(write, Create)]
        in_the_way = {document.path: document for document in await self._stored(created, ["expire_at"])}
        for document in in_the_way.values():
            if self._is_live(document):
                raise Outpaced(document.path)
        return [
            Replace(write.path, write.data, in_the_way[write.path].version)
            if isinstance(write, Create) and write.path in in_the_way
            else write
            for write in writes
        ]


def _behind(query: Query, document: Document) -> tuple[list[Any], str]:
    return [lookup(document.data, field) for field in ordering(query)[0]], document.path


def _name(field: str) -> str:
    """Quoted where it must be."""
    return str(FieldPath(*parts(field)).to_api_repr())
