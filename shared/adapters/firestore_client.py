"""The library's client as `FirestoreDocuments` needs it: an emulator that is named, a batch that can
replace, an end for every call, and our own kind of document.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final

from google.api_core.datetime_helpers import DatetimeWithNanoseconds
from google.api_core.exceptions import InternalServerError, ServiceUnavailable
from google.api_core.retry_async import AsyncRetry, if_exception_type
from google.auth.credentials import AnonymousCredentials
from google.cloud.firestore_v1 import AsyncClient, AsyncWriteBatch, DocumentSnapshot
from google.cloud.firestore_v1 import Increment as Sum

from shared.adapters.documents_common import field_parts
from shared.adapters.documents_data import tagged
from shared.adapters.firestore_errors import FAULTS, translated
from shared.domain.errors import Outpaced
from shared.ports import Create, Delete, Document, Increment, Put, Replace, Write

CALL_SECONDS: Final = 10.0
RETRY_SECONDS: Final = 4.0
TOTAL_SECONDS: Final = 14.0
"""The last resort, should the library wait for something else (a metadata server, a name server)."""

_PASSING = if_exception_type(ServiceUnavailable, InternalServerError)
RETRY: Final = AsyncRetry(_PASSING, initial=0.1, maximum=1.0, multiplier=2.0, timeout=RETRY_SECONDS)
LIMITS: Final[dict[str, Any]] = {"retry": RETRY, "timeout": CALL_SECONDS}
"""For every read. The library's own default tries for five minutes."""


@asynccontextmanager
async def translating() -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(TOTAL_SECONDS):
            yield
    except FAULTS as error:
        raise translated(error) from error


class Client(AsyncClient):
    """Speaks to the emulator it is given; the library itself only looks into the environment."""

    def __init__(self, project: str, database: str, emulator_host: str | None) -> None:
        credentials = AnonymousCredentials() if emulator_host else None  # type: ignore[no-untyped-call]
        super().__init__(project, credentials, database)
        self._emulator_host = emulator_host or self._emulator_host

    async def close(self) -> None:
        await self._firestore_api.transport.close()


class Batch(AsyncWriteBatch):
    """The library's batch, which cannot replace a whole document under a precondition; the protocol can."""

    def add(self, write: Write) -> None:
        reference = self._client.document(write.path)
        if isinstance(write, Create):
            self.create(reference, write.data)
        elif isinstance(write, Replace):
            self.set(reference, write.data)
            self._unchanged_since(write.version, write.path).modify_write(self._write_pbs[-1])
        elif isinstance(write, Put):
            self.set(reference, write.data)
        elif isinstance(write, Increment):
            self.set(reference, _nested(field_parts(write.field), Sum(write.amount)), merge=True)
        else:
            option = None if write.version is None else self._unchanged_since(write.version, write.path)
            self.delete(reference, option)

    def _unchanged_since(self, version: str, path: str) -> Any:
        try:
            stamp = DatetimeWithNanoseconds.from_rfc3339(version).timestamp_pb()  # type: ignore[no-untyped-call]
        except ValueError as error:
            raise Outpaced(path) from error
        return self._client.write_option(last_update_time=stamp)


def version_after(write: Write, result: Any) -> str:
    return "" if isinstance(write, Delete) else as_version(result.update_time)


def is_conditional(write: Write) -> bool:
    return isinstance(write, Create | Replace) or (isinstance(write, Delete) and write.version is not None)


def is_repeatable(writes: Sequence[Write]) -> bool:
    """After an answer that got lost, a bare increment would count twice; a precondition prevents it."""
    return any(map(is_conditional, writes)) or not any(isinstance(write, Increment) for write in writes)


def check_content(write: Write) -> None:
    if isinstance(write, Create | Replace | Put):
        tagged(write.data)
    elif isinstance(write, Increment):
        field_parts(write.field)


def _nested(parts: Sequence[str], value: Any) -> dict[str, Any]:
    for part in reversed(parts):
        value = {part: value}
    return dict(value)


def as_document(snapshot: DocumentSnapshot[Any]) -> Document:
    return Document(snapshot.reference.path, _plain(snapshot.to_dict()), as_version(snapshot.update_time))


def as_version(stamp: Any) -> str:
    """The library gives a bare protobuf message where it answers a query over a group."""
    if not isinstance(stamp, datetime):
        stamp = DatetimeWithNanoseconds.from_timestamp_pb(stamp)  # type: ignore[no-untyped-call]
    return str(stamp.rfc3339())


def _plain(value: Any) -> Any:
    """The library's own kind of datetime becomes Python's."""
    if isinstance(value, DatetimeWithNanoseconds):
        return datetime.combine(value.date(), value.time(), UTC)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value
