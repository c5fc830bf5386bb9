"""`Documents` on SQLite: the embedded store, and on ":memory:" the fake of the unit tests."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

from shared.adapters import sqlite_conditions as conditions
from shared.adapters.documents_common import check_path, check_query, check_writes, cursor_after, field_parts, position
from shared.adapters.documents_data import dumps, surplus, tagged, untagged
from shared.domain.errors import Outpaced, Refused, Unreachable
from shared.ports import Create, Data, Delete, Document, Increment, Page, Put, Query, Replace, Write

T = TypeVar("T")
PATIENCE: Final = 10.0
"""Seconds to wait for another process that is writing to the same file."""

MAX_BYTES: Final = 1_048_576
"""Firestore's limit for a document."""

_TABLES = """
CREATE TABLE IF NOT EXISTS documents (path TEXT PRIMARY KEY, collection TEXT NOT NULL, name TEXT NOT NULL,
    data TEXT NOT NULL, version TEXT NOT NULL, expire_at TEXT);
CREATE INDEX IF NOT EXISTS by_collection ON documents (collection, path);
CREATE INDEX IF NOT EXISTS by_name ON documents (name, path);
"""
_LIVE = "(expire_at IS NULL OR expire_at > ?)"
_KEEP = "INSERT OR REPLACE INTO documents VALUES (?, ?, ?, ?, ?, ?)"
Row = tuple[str, str, str]


def _utc_now() -> datetime:
    return datetime.now(UTC)


class SqliteDocuments:
    """`path`: ":memory:" or a file, which several processes may share. One instance serves any number
    of threads and event loops: one connection, one caller at a time. Nothing is opened before the
    first call, so an instance may be made before a fork. A write that changes nothing keeps the
    version, as in Firestore."""

    def __init__(self, path: str, now: Callable[[], datetime] = _utc_now) -> None:
        self._path, self._now = path, now
        self._lock = threading.Lock()
        self._opened: sqlite3.Connection | None = None

    async def get(self, path: str) -> Document | None:
        return (await self.get_many([path]))[0]

    async def get_many(self, paths: Sequence[str]) -> list[Document | None]:
        for path in paths:
            check_path(path)
        return await self._run(lambda db: [self._get(db, path) for path in paths])

    async def write(self, *writes: Write) -> list[str]:
        check_writes(writes)
        prepared = [(write, _prepared(write)) for write in writes]
        return await self._run(lambda db: self._write_all(db, prepared))

    async def query(self, query: Query) -> Page:
        check_query(query)
        after = position(query)
        return await self._run(lambda db: self._page(db, query, after))

    async def count(self, query: Query) -> int:
        check_query(query)
        text, bound = conditions.where(query)
        statement = f"SELECT count(*) FROM documents WHERE {text} AND {_LIVE}"  # noqa: S608 (see sqlite_conditions)
        return await self._run(lambda db: int(db.execute(statement, [*bound, self._tagged_now()]).fetchone()[0]))

    async def close(self) -> None:
        """A file stays as it is; ":memory:" forgets everything."""
        with self._lock:
            opened, self._opened = self._opened, None
        if opened:
            opened.close()

    # -- one call at a time

    async def _run(self, call: Callable[[sqlite3.Connection], T]) -> T:
        """A file may be held by another process, so it is waited for in a thread."""
        if self._path == ":memory:":
            return self._locked(call)
        return await asyncio.to_thread(self._locked, call)

    def _locked(self, call: Callable[[sqlite3.Connection], T]) -> T:
        try:
            with self._lock:
                self._opened = self._opened or self._open()
                return call(self._opened)
        except sqlite3.OperationalError as error:
            fix = "See that its folder is writable and not full, and that no other program holds the file."
            raise Unreachable("firestore", f"the local file of documents cannot be used: {error}", fix) from error

    def _open(self) -> sqlite3.Connection:
        if self._path != ":memory:":
            Path(self._path).parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(self._path, timeout=PATIENCE, isolation_level=None, check_same_thread=False)
        _write_ahead(db)
        db.execute("PRAGMA synchronous = NORMAL")
        db.executescript(_TABLES)
        db.execute("DELETE FROM documents WHERE expire_at <= ?", [self._tagged_now()])
        return db

    def _tagged_now(self) -> str:
        return str(tagged(self._now()))

    # -- reading

    def _get(self, db: sqlite3.Connection, path: str) -> Document | None:
        statement = f"SELECT path, data, version FROM documents WHERE path = ? AND {_LIVE}"  # noqa: S608
        row: Row | None = db.execute(statement, [conditions.key(path), self._tagged_now()]).fetchone()
        return _document(row) if row else None

    def _page(self, db: sqlite3.Connection, query: Query, after: tuple[list[Any], str] | None) -> Page:
        text, bound = conditions.where(query)
        (behind, more), order = conditions.order(query, after)
        statement = (
            f"SELECT path, data, version FROM documents WHERE {text} AND {behind} AND {_LIVE}"  # noqa: S608
            f" ORDER BY {order} LIMIT ?"
        )
        rows = db.execute(statement, [*bound, *more, self._tagged_now(), query.limit + 1]).fetchall()
        items = [_document(row) for row in rows[: query.limit]]
        return Page(items, cursor_after(query, items[-1]) if len(rows) > query.limit else None)

    # -- writing

    def _write_all(self, db: sqlite3.Connection, writes: Sequence[tuple[Write, Data]]) -> list[str]:
        db.execute("BEGIN IMMEDIATE")
        try:
            versions = {write.path: self._write(db, write, data) for write, data in writes}
            db.execute("COMMIT")
        except BaseException:
            db.execute("ROLLBACK")
            raise
        return [versions[write.path] for write, _ in writes]

    def _write(self, db: sqlite3.Connection, write: Write, data: Data) -> str:
        """The new version. `data` is tagged. An expired document is in nobody's way, and its version holds."""
        key = conditions.key(write.path)
        stored: Row | None = db.execute("SELECT path, data, version FROM documents WHERE path = ?", [key]).fetchone()
        wanted = write.version if isinstance(write, Replace | Delete) else None
        if wanted is not None and (stored is None or stored[2] != wanted):
            raise Outpaced(write.path)
        if isinstance(write, Create) and self._get(db, write.path):
            raise Outpaced(write.path)
        if isinstance(write, Delete):
            db.execute("DELETE FROM documents WHERE path = ?", [key])
            return ""
        data = _added(stored, write) if isinstance(write, Increment) else data
        return _keep(db, key, data, None if isinstance(write, Create) else stored)


def _write_ahead(db: sqlite3.Connection) -> None:
    """Of several that open a new file at once one changes its mode, and SQLite tells the others at once that
    it is locked: to wait with a read lock in hand could be a deadlock, so its own patience is not asked."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                db.close()
                raise
        time.sleep(0.01)


def _prepared(write: Write) -> Data:
    """Whatever can be wrong with a write itself shows before the first of a batch is done."""
    if isinstance(write, Increment):
        field_parts(write.field)
    data: Data = tagged(write.data) if isinstance(write, Create | Replace | Put) else {}
    return data


def _added(stored: Row | None, write: Increment) -> Data:
    """What is not a number counts as absent, what is not a map gives way, as in Firestore."""
    data: Data = json.loads(stored[1]) if stored else {}
    *parents, last = field_parts(write.field)
    place: Any = data
    for part in parents:
        if not isinstance(place.get(part), dict):
            place[part] = {}
        place = place[part]
    old: Any = place.get(last)
    is_number = isinstance(old, int | float) and not isinstance(old, bool)
    place[last] = old + write.amount if is_number else write.amount
    return data


def _keep(db: sqlite3.Connection, key: str, data: Data, stored: Row | None) -> str:
    text = dumps(data)
    if stored and stored[1] == text:
        return stored[2]
    size = len(text.encode())
    if size > MAX_BYTES and size - surplus(data) > MAX_BYTES:
        raise Refused("a document is larger than 1 MiB", "Split it into several documents.")
    collection = key.rpartition("\x01")[0].replace("\x01", "/")
    expiry = data.get("expire_at")
    expiry = expiry if isinstance(untagged(expiry), datetime) else None
    version = uuid.uuid4().hex
    db.execute(_KEEP, [key, collection, collection.rpartition("/")[2], text, version, expiry])
    return version


def _document(row: Row) -> Document:
    key, data, version = row
    return Document(key.replace("\x01", "/"), untagged(json.loads(data)), version)
