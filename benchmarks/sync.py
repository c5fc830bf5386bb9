"""The syncs and a page of a search: calls, documents read and written, seconds and memory, by the community's size.

    .venv/bin/python -m benchmarks.sync --sizes 1300x50 10000x500 [--emulator] [--delay 0.01]

Each size in a process of its own. Authentik and the homeserver are computed in that process, their answers without
HTTP; `floor` makes the same calls as a full sync and keeps nothing: the sync's own cost is above it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.common import ROOT, Figures, Report
from benchmarks.communities import Authentik, Homeserver, user_id
from local import firestore
from shared.adapters.sqlite import SqliteDocuments
from shared.domain.syncs import SOURCES, Kind, Source
from shared.ports import Document, Documents, Write
from shared.services import cache, lists, sync
from shared.services.context import Policy
from tests.fakes.task_queue import FakeTaskQueue

T = TypeVar("T")
SIZES = ("1300x50", "10000x500", "100000x5000")
SMALL = ("1300x50",)
CHANGED = 60
"""Edits, deletions (5 of them) and joins that a light sync finds."""


class CountedDocuments:
    """Documents read and written (each one of a batch), and the bytes of what is packed."""

    def __init__(self, inner: Documents) -> None:
        self.inner, self.reads, self.writes, self.bytes = inner, 0, 0, 0

    async def get(self, path: str) -> Document | None:
        return (await self.get_many([path]))[0]

    async def get_many(self, paths: Sequence[str]) -> list[Document | None]:
        self.reads += len(paths)
        return await self.inner.get_many(paths)

    async def write(self, *writes: Write) -> list[str]:
        self.writes += len(writes)
        self.bytes += sum(len(getattr(write, "data", {}).get("packed", b"")) for write in writes)
        return await self.inner.write(*writes)


class Ports:
    """What the syncs use of `shared.services.context.Ports`."""

    def __init__(self, documents: Documents, authentik: Authentik, homeserver: Homeserver) -> None:
        self.documents, self._authentik, self._homeserver = CountedDocuments(documents), authentik, homeserver
        self.queue, self.policy = FakeTaskQueue(), Policy(domain="example.org")
        self.later, self._kept = timedelta(0), dict[str, Any]()
        self.failures: dict[str, int] = {}

    def now(self) -> datetime:
        return datetime.now(UTC) + self.later

    async def directory(self) -> Any:
        return self._authentik

    async def chat(self) -> Any:
        return self._homeserver

    async def watcher(self) -> Any:
        return self._homeserver

    async def remember(self, key: str, seconds: float, find: Callable[[], Awaitable[T]]) -> T:  # noqa: ARG002
        if key not in self._kept:
            self._kept[key] = await find()
        found: T = self._kept[key]
        return found

    def forget(self) -> None:
        """As a new process would."""
        self._kept.clear()

    def counts(self) -> tuple[int, ...]:
        calls = self._authentik.calls + self._homeserver.calls
        return calls, self.documents.reads, self.documents.writes, self.documents.bytes


class Bench:
    """One community; `rows` grows."""

    def __init__(self, ports: Any, authentik: Authentik, homeserver: Homeserver, name: str) -> None:
        self.ports, self.authentik, self.homeserver, self.name = ports, authentik, homeserver, name
        self.rows: list[Figures] = []

    async def measure(self, what: str, work: Callable[[], Awaitable[object]]) -> None:
        before, cpu, began = self.ports.counts(), time.process_time(), time.perf_counter()
        await work()
        seconds, used = time.perf_counter() - began, time.process_time() - cpu
        calls, reads, writes, written = (now - then for now, then in zip(self.ports.counts(), before, strict=True))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        figures: Figures = {"calls": calls, "reads": reads, "writes": writes, "packed KB": written / 1024}
        self.rows.append({"name": f"{self.name} {what}"} | figures | {"s": seconds, "CPU s": used, "peak MB": peak})

    async def all(self) -> None:
        await self.measure("floor", self.floor)
        for source in SOURCES:
            await self.measure(f"full {source}", lambda source=source: self.ended(source, "full"))  # type: ignore[misc]
        for source in SOURCES:
            await self.measure(f"full again {source}", lambda source=source: self.ended(source, "full"))  # type: ignore[misc]
            await self.measure(f"light, nothing new {source}", lambda source=source: self.ended(source, "light"))  # type: ignore[misc]
        self.change()
        for source in SOURCES:
            await self.measure(f"light, changes {source}", lambda source=source: self.ended(source, "light"))  # type: ignore[misc]
        await self.page("cold")
        await self.page("warm")
        await self.measure("who is where, cold", self.where)

    async def floor(self) -> None:
        """The calls of a full sync and nothing else."""
        page: int | None = 1
        while page:
            page = (await self.authentik.accounts(page=page, size=100)).next_page
        for room in await self.homeserver.joined_rooms():
            await self.homeserver.state(room)

    async def ended(self, source: Source, kind: Kind) -> None:
        while not (await sync.run(self.ports, source, kind)).done:
            pass
        self.ports.later += timedelta(hours=2)

    def change(self) -> None:
        users = len(self.authentik.pks)
        self.authentik.edited = dict.fromkeys(self.authentik.pks[:: max(1, users // CHANGED)], self.ports.now())
        for place in range(5):
            del self.authentik.pks[users // 7 * (place + 1)]
        self.homeserver.joins = [(number % self.homeserver.rooms, users + number) for number in range(CHANGED)]

    async def page(self, kind: str) -> None:
        if kind == "cold":
            self.ports.forget()
        wanted = lists.Wanted("ada", True, "group 3")
        await self.measure(f"search page, {kind}", lambda: lists.people(self.ports, wanted))

    async def where(self) -> None:
        self.ports.forget()
        found = await cache.memberships(self.ports)
        assert found is not None
        assert found.rooms_of(user_id(1))


@contextlib.asynccontextmanager
async def documents(emulator: bool) -> AsyncIterator[Documents]:
    with tempfile.TemporaryDirectory() as folder:
        if not emulator:
            yield SqliteDocuments(str(Path(folder) / "documents.sqlite3"))
            return
        from shared.adapters.firestore import FirestoreDocuments

        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        process = firestore.start(port)
        try:
            firestore.wait_ready(port)
            made = FirestoreDocuments(f"bench-{port}", emulator_host=f"127.0.0.1:{port}")
            yield made
            await made.close()
        finally:
            process.terminate()
            process.wait()


async def one(size: str, delay: float, emulator: bool) -> list[Figures]:
    users, rooms = map(int, size.split("x"))
    authentik, homeserver = Authentik(users, delay), Homeserver(rooms, users, delay)
    async with documents(emulator) as store:
        bench = Bench(Ports(store, authentik, homeserver), authentik, homeserver, size)
        await bench.all()
    return bench.rows


def report(sizes: Sequence[str], delay: float, emulator: bool) -> Report:
    made = Report("sync", "syncs, and a page of a search, by users x rooms")
    for size in sizes:
        options = ["--one", size, "--delay", str(delay), *(["--emulator"] if emulator else [])]
        command = [sys.executable, "-m", "benchmarks.sync", *options]
        answer = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
        made.rows += json.loads(answer.stdout)
    made.notes.append("peak MB: of the process so far, Python and libraries included, and the community's names too.")
    return made


def run(small: bool, repeat: int) -> Report:  # noqa: ARG001 - counts do not vary
    return report(SMALL if small else SIZES, 0.0, not firestore.missing())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sync", description=__doc__)
    parser.add_argument("--sizes", nargs="+", default=SMALL, metavar="USERSxROOMS")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds that each call takes on its way")
    parser.add_argument("--emulator", action="store_true", help="on the Firestore emulator instead of SQLite")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one:
        print(json.dumps(asyncio.run(one(chosen.one, chosen.delay, chosen.emulator))))
    else:
        print(report(chosen.sizes, chosen.delay, chosen.emulator).as_text())


if __name__ == "__main__":
    main()
