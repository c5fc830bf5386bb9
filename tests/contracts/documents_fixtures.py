"""The three stores that `Documents` is tried on, behind one face.

A test module that wants them says `pytest_plugins = ("tests.contracts.documents_fixtures",)`.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from local import firestore
from shared.adapters.firestore import FirestoreDocuments
from shared.adapters.sqlite import SqliteDocuments
from shared.ports import Documents

STORES = ("sqlite-memory", "sqlite-file", "firestore")


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.time = datetime(2030, 1, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def pass_by(self, **units: float) -> None:
        self.time += timedelta(**units)


class Store:
    """One empty store. `connect` gives what one more event loop would use to reach it."""

    def __init__(self, kind: str, clock: Clock, make: Callable[[], Documents]) -> None:
        self.kind, self.clock, self._make = kind, clock, make
        self._open = list[Documents]()

    def connect(self) -> Documents:
        self._open.append(self._make())
        return self._open[-1]

    async def close(self) -> None:
        for documents in self._open:
            await documents.close()


@pytest.fixture(scope="module")
def firestore_host(unused_tcp_port_factory: Callable[[], int]) -> Iterator[str]:
    """An emulator: the one of the environment, else our own. Skips in one line where there is none;
    fails there with MUSTER_REQUIRE_ALL=1."""
    if given := os.environ.get("FIRESTORE_EMULATOR_HOST"):
        yield given
        return
    if missing := firestore.missing():
        (pytest.fail if os.environ.get("MUSTER_REQUIRE_ALL") == "1" else pytest.skip)(missing)
    port = unused_tcp_port_factory()
    process = firestore.start(port)
    try:
        firestore.wait_ready(port)
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=STORES)
async def store(request: pytest.FixtureRequest, clock: Clock, tmp_path: Path) -> AsyncIterator[Store]:
    kind = request.param
    made = Store(kind, clock, _maker(kind, clock, tmp_path, request))
    yield made
    await made.close()


def _maker(kind: str, clock: Clock, folder: Path, request: pytest.FixtureRequest) -> Callable[[], Documents]:
    if kind == "sqlite-memory":
        shared = SqliteDocuments(":memory:", clock)
        return lambda: shared
    if kind == "sqlite-file":
        return lambda: SqliteDocuments(str(folder / "made" / "documents.sqlite3"), clock)
    host, project = request.getfixturevalue("firestore_host"), f"test-{uuid.uuid4().hex[:12]}"
    return lambda: FirestoreDocuments(project, emulator_host=host, now=clock)


@pytest.fixture
def documents(store: Store) -> Documents:
    return store.connect()
