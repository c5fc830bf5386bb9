"""How accounts might be kept in Firestore, on the emulator: packed, or a document each. See docs/decisions/0012.

.venv/bin/python -m benchmarks.layouts [--users 1300 10000] [--packed 100000]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from msgspec.structs import asdict

from benchmarks.common import ROOT, Figures, Report
from benchmarks.communities import computed, whole
from benchmarks.sync import store as emulator
from shared.adapters.authentik_rows import read_account
from shared.adapters.firestore import FirestoreDocuments
from shared.domain import cached_users, packing
from shared.domain.cached_users import UserRow
from shared.ports import Document, Op, Page, Put, Query, Write
from shared.repositories import every
from shared.services.user_shards import row_of

BATCH = 400
PAGE = 50


async def packed(store: Any, rows: list[UserRow]) -> dict[str, Callable[[], Awaitable[object]]]:
    shards = cached_users.cut(cached_users.FIRST, rows)

    async def write() -> None:
        for name, data in cached_users.cut(cached_users.FIRST, rows).items():
            await store.write(Put(f"cache/{name}", {"v": 1, "packed": packing.compressed(data)}))

    async def load() -> list[UserRow]:
        found = await store.get_many([f"cache/{name}" for name in shards])
        return [row for each in found for row in cached_users.decoded(packing.whole([each.data["packed"]]))]

    async def search() -> list[UserRow]:
        return [row for row in await load() if "ada" in row.text][:PAGE]

    return {"write": write, "load": load, "search page": search}


async def single(store: Any, rows: list[UserRow]) -> dict[str, Callable[[], Awaitable[object]]]:
    """With a prefix search on one field, which is all that Firestore can do."""

    async def write() -> None:
        for start in range(0, len(rows), BATCH):
            batch = rows[start : start + BATCH]
            await store.write(*(Put(f"users/{row.pk}", asdict(row) | {"groups": list(row.groups)}) for row in batch))

    async def load() -> object:
        found = await every(store, Query("users"))
        store.reads += len(found)
        return found

    async def search() -> object:
        where: list[tuple[str, Op, str]] = [("username", ">=", "ada"), ("username", "<", "adb")]
        found = await store.inner.query(Query("users", where, "username", PAGE))
        store.reads += len(found.items)
        return found

    return {"write": write, "load": load, "prefix page": search}


class Store:
    """Counts documents, each one of a batch, and the bytes of what is packed."""

    def __init__(self, inner: FirestoreDocuments) -> None:
        self.inner, self.reads, self.writes, self.bytes = inner, 0, 0, 0

    async def get_many(self, paths: Sequence[str]) -> list[Document | None]:
        self.reads += len(paths)
        return await self.inner.get_many(paths)

    async def write(self, *writes: Write) -> list[str]:
        self.writes += len(writes)
        self.bytes += sum(len(getattr(write, "data", {}).get("packed", b"")) for write in writes)
        return await self.inner.write(*writes)

    async def query(self, query: Query) -> Page:
        return await self.inner.query(query)


async def one(layout: str, users: int) -> list[Figures]:
    rows = [row_of(read_account(whole(computed(pk)))) for pk in range(1, users + 1)]
    measured: list[Figures] = []
    with emulator(sqlite=False) as found:
        store = Store(FirestoreDocuments(found["GOOGLE_CLOUD_PROJECT"], emulator_host=found["FIRESTORE_EMULATOR_HOST"]))
        await store.get_many(["users/0"])  # the client is made, and connected
        for what, work in (await (packed if layout == "packed" else single)(store, rows)).items():
            reads, writes, began, cpu = store.reads, store.writes, time.perf_counter(), time.process_time()
            await work()
            figures: Figures = {"reads": store.reads - reads, "writes": store.writes - writes}
            figures |= {"ms": (time.perf_counter() - began) * 1000, "CPU ms": (time.process_time() - cpu) * 1000}
            figures |= {"KB": store.bytes / 1024 or None}
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            measured.append({"name": f"{users} {layout}: {what}"} | figures | {"peak MB": peak})
        await store.inner.close()
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.layouts", description=__doc__)
    parser.add_argument("--users", type=int, nargs="*", default=[1300, 10_000])
    parser.add_argument("--packed", type=int, nargs="*", default=[100_000], help="sizes for the packed layout alone")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one:
        print(json.dumps(asyncio.run(one(chosen.one[0], int(chosen.one[1])))))
        return
    made = Report("layouts", "accounts in Firestore's emulator, by layout")
    cases = [(layout, users) for users in chosen.users for layout in ("packed", "single")]
    for layout, users in cases + [("packed", users) for users in chosen.packed]:
        command = [sys.executable, "-m", "benchmarks.layouts", "--one", layout, str(users)]
        answer = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
        made.rows += json.loads(answer.stdout)
    print(made.as_text())


if __name__ == "__main__":
    main()
