"""A process that is measured while it syncs, or while it answers lists as `admin` does, on the real adapters.

    python -m benchmarks.syncing floor|sync|admin   reads a line of JSON: {"name", "joining", "sources"}

Its environment has the settings. Answers rows of figures. It has loaded what the deployed function loads: its memory is
that of the whole function.
"""

from __future__ import annotations

import asyncio
import importlib
import itertools
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import httpx

from benchmarks.common import Figures, peak_mib
from benchmarks.counting import COUNTS, CountingWiring, count
from benchmarks.world import NoQueue
from local.loopback import LOOPBACK
from shared.adapters.matrix_client import CLIENT, path_of
from shared.domain.syncs import SOURCES, Kind, Source
from shared.ports import TaskQueue
from shared.services import cache, lists, room_reading, sync, sync_accounts
from shared.settings import Settings

LOADED: dict[str, tuple[str, ...]] = {
    "floor": (),
    "sync": ("main", "functions_framework.aio", "functions.jobs.sync_directory", "google.cloud.tasks_v2"),
    "admin": ("main", "functions_framework.aio", "functions.admin.app", "google.cloud.tasks_v2"),
}
EDITED, DELETED = 60, 5
COLUMNS = {
    "calls": ("matrix calls", "authentik calls", "bare calls"),
    "reads": ("documents read",),
    "writes": ("documents written",),
}


class Ports(CountingWiring):
    def _queue(self) -> TaskQueue:
        return NoQueue()

    def forget(self) -> None:
        """What the cache was: as a new process would."""
        for key in [key for key in self._kept if key.startswith("cache of ")]:
            del self._kept[key]


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


class Bench:
    """`rows` grows. `joining`: who enters a room when something is to change."""

    def __init__(self, name: str, joining: Sequence[str], sources: Sequence[Source] = SOURCES) -> None:
        self.ports, self.name, self.sources, self.joining = Ports(Settings(os.environ)), name, sources, joining
        self.rows: list[Figures] = []

    async def measure(self, what: str, work: Callable[[], Awaitable[object]]) -> None:
        COUNTS.clear()
        forget_peak()
        cpu, began = time.process_time(), time.perf_counter()
        await work()
        seconds, used = time.perf_counter() - began, time.process_time() - cpu
        counts = COUNTS.get("other", Counter())
        figures: Figures = {column: sum(counts[name] for name in names) for column, names in COLUMNS.items()}
        figures |= {"packed KB": counts["packed bytes"] / 1024, "s": seconds, "CPU s": used}
        self.rows.append({"name": f"{self.name} {what}"} | figures | {"peak MiB": peak_mib([os.getpid()])})

    async def sync(self) -> None:
        await self.ports.documents.get("syncs/none")  # the client is made, and connected
        for source in self.sources:
            await self._run(source, "full", "full")
            await self._run(source, "full again", "full")
            await self._run(source, "light, nothing new", "light")
            await CHANGES[source](self)
            await self._run(source, "light, changes", "light")

    async def floor(self) -> None:
        for source in self.sources:
            await self.measure(f"{source}: floor", FLOORS[source])

    async def _run(self, source: Source, what: str, kind: Kind) -> None:
        await self.measure(f"{source}: {what}", lambda: self._ended(source, kind))

    async def _ended(self, source: Source, kind: Kind) -> None:
        while not (await sync.run(self.ports, source, kind)).done:
            pass

    async def admin(self) -> None:
        wanted = lists.Wanted("ada", True)
        await self.ports.documents.get("syncs/none")
        for what in ("cold", "warm"):
            await self.measure(f"search page, {what}", lambda: lists.people(self.ports, wanted))
        self.ports.forget()
        await self.measure("rooms of a member from the cache, cold", self._where)

    async def _where(self) -> None:
        found = await cache.memberships(self.ports)
        assert found is not None
        assert found.rooms_of(self.joining[0])

    async def write_accounts(self) -> None:
        """Through Authentik's own API."""
        directory = await self.ports.directory()
        total = (await directory.accounts(size=1)).total
        for pk in range(total // EDITED, total + 1, max(1, total // EDITED)):
            await directory.update_account(pk, name="Changed")
        for place in range(DELETED):
            await directory.delete_account(total // 7 * (place + 1) + 1)

    async def join_rooms(self) -> None:
        chat = await self.ports.chat()
        rooms = await chat.joined_rooms()
        for user, room in zip(self.joining, itertools.cycle(rooms), strict=False):
            await chat.join_member(room, user)


CHANGES = {"authentik": Bench.write_accounts, "matrix": Bench.join_rooms}


# ------------------------------------------------------------------ the floor: a full sync's calls and nothing else


async def _bare_accounts() -> None:
    """As many at once as a sync has; what comes is looked at by nobody."""
    url, paging = f"{os.environ['AUTHENTIK_URL']}/api/v3/core/users/", {"ordering": "date_joined,pk", "page_size": 100}
    async with Bare(os.environ["AUTHENTIK_API_TOKEN"], sync_accounts.AT_ONCE) as bare:
        first = json.loads(await bare.ask(url, paging | {"page": 1}))
        pages = range(2, first["pagination"]["total_pages"] + 1)
        await asyncio.gather(*(bare.throw(url, paging | {"page": page}) for page in pages))


async def _bare_rooms() -> None:
    url = os.environ["MATRIX_HOMESERVER"]
    async with Bare(os.environ["MATRIX_ACCESS_TOKEN"], room_reading.AT_ONCE) as bare:
        rooms = json.loads(await bare.ask(f"{url}{CLIENT}/joined_rooms", {}))["joined_rooms"]
        await asyncio.gather(*(bare.throw(url + path_of(CLIENT, "rooms", room, "state"), {}) for room in rooms))


FLOORS = {"authentik": _bare_accounts, "matrix": _bare_rooms}


class Bare:
    def __init__(self, token: str, at_once: int) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        self._gate = asyncio.Semaphore(at_once)
        self._client = httpx.AsyncClient(headers=headers, timeout=60, **LOOPBACK)

    async def __aenter__(self) -> Bare:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def ask(self, url: str, query: dict[str, Any]) -> bytes:
        async with self._gate:
            count("bare calls")
            return (await self._client.get(url, params=query)).raise_for_status().content

    async def throw(self, url: str, query: dict[str, Any]) -> None:
        await self.ask(url, query)


async def main() -> None:
    role, asked = sys.argv[1], json.loads(sys.stdin.readline())
    for module in LOADED[role]:
        importlib.import_module(module)
    bench = Bench(**asked)
    await {"floor": bench.floor, "sync": bench.sync, "admin": bench.admin}[role]()
    for chat in (await bench.ports.chat(), await bench.ports.watcher()):
        if chat:
            await chat.close()
    await bench.ports.documents.close()
    print(json.dumps(bench.rows))


if __name__ == "__main__":
    asyncio.run(main())
