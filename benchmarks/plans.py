"""A plan of a community that is read from the cache: calls, documents read, seconds and memory, by its size.

    .venv/bin/python -m benchmarks.plans --sizes 10000x500 100000x5000

Everybody is in one group of many, each group has a bundle of twenty rooms, and everybody is where their bundle says,
but for whom a row tells of. The cache is filled by one process; each plan is made in another that knows nothing yet.
Authentik and the homeserver are computed in that process, their answers without HTTP; documents are SQLite's.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from benchmarks.common import ROOT, Figures, Report
from shared.adapters.sqlite import SqliteDocuments
from shared.domain import ids
from shared.domain.bundles import Bundle
from shared.domain.onboarding import Onboarding
from shared.domain.syncs import SOURCES, Kind
from shared.ports import Account, Accounts, Changes, Document, Group, Identity, Page, Put, Query, StateEvent, Write
from shared.repositories import BUNDLES, ONBOARDINGS
from shared.services import plans, sync
from shared.services.context import Actor, Policy
from tests.fakes.task_queue import FakeTaskQueue

T = TypeVar("T")
SIZES, SMALL = ("10000x500", "100000x5000"), ("6000x60",)
PER_BUNDLE = 20
MOVED = 60
NAMED = 100
"""Of so many accounts one has a Matrix id that an admin named."""
DOMAIN, BOT, NEW = "example.org", "@muster:example.org", "!new:example.org"
BEGAN = datetime(2020, 1, 1, tzinfo=UTC)
NOTES = (
    "settled: nobody is to go anywhere. moved: 60 people are in another group since. new room: one more room for",
    "everybody, a line each. peak MB: of the process, Python and its libraries included.",
)


class Size:
    def __init__(self, text: str) -> None:
        self.people, self.rooms = map(int, text.split("x"))
        self.groups = self.rooms // PER_BUNDLE


def group_pk(group: int) -> str:
    return f"{group:08x}-0000-4000-8000-000000000000"


class Authentik:
    """`moved`: pk to the group they are in since."""

    def __init__(self, size: Size) -> None:
        self.size, self.calls = size, 0
        self.moved: dict[int, int] = {}

    async def accounts(
        self, *, updated_after: datetime | None = None, page: int = 1, size: int = 50, **_: Any
    ) -> Accounts:
        self.calls += 1
        pks: Sequence[int] = list(self.moved) if updated_after else range(1, self.size.people + 1)
        shown = [self.made(pk) for pk in pks[(page - 1) * size : page * size]]
        return Accounts(shown, page + 1 if page * size < len(pks) else None, len(pks))

    async def account(self, pk: int) -> Account:
        self.calls += 1
        return self.made(pk)

    async def groups(self) -> list[Group]:
        self.calls += 1
        return [Group(group_pk(number), f"group {number}", False) for number in range(self.size.groups)]

    def made(self, pk: int) -> Account:
        group = self.moved.get(pk, pk % self.size.groups)
        return Account(
            pk=pk,
            uid=f"{pk:064x}",
            username=f"member{pk}",
            name=f"Member {pk}",
            email=f"m{pk}@example.org",
            active=True,
            groups=(f"group {group}",),
            group_pks=(group_pk(group),),
            joined_at=BEGAN + timedelta(minutes=pk),
        )


class Homeserver:
    def __init__(self, size: Size) -> None:
        self.size, self.calls = size, 0

    async def joined_rooms(self) -> list[str]:
        self.calls += 1
        return [*(room_id(number) for number in range(self.size.rooms)), NEW]

    async def direct_rooms(self) -> dict[str, list[str]]:
        self.calls += 1
        return {}

    async def state(self, room: str) -> list[StateEvent]:
        self.calls += 1
        powers = StateEvent("m.room.power_levels", "", {"users": {BOT: 100}})
        group = self.size.groups if room == NEW else int(room[2:].partition(":")[0]) // PER_BUNDLE
        there = range(group or self.size.groups, self.size.people + 1, self.size.groups) if room != NEW else ()
        joined = [StateEvent("m.room.member", f"@member{pk}:{DOMAIN}", {"membership": "join"}) for pk in there]
        return [StateEvent("m.room.create", "", {"creator": BOT, "room_version": "11"}), powers, *joined]

    async def changes(self, since: str | None) -> Changes:
        self.calls += 1
        return Changes(since or "p")

    async def whoami(self) -> Identity:
        self.calls += 1
        return Identity(BOT, "SENDS")

    async def may_join_members(self) -> bool:
        return False

    async def unlimited(self) -> bool:
        return True


def room_id(number: int) -> str:
    return f"!r{number}:{DOMAIN}"


class CountedDocuments:
    """Documents read and written; a query that finds none is billed as one."""

    def __init__(self, inner: SqliteDocuments) -> None:
        self.inner, self.reads, self.writes = inner, 0, 0

    async def get(self, path: str) -> Document | None:
        return (await self.get_many([path]))[0]

    async def get_many(self, paths: Sequence[str]) -> list[Document | None]:
        self.reads += len(paths)
        return await self.inner.get_many(paths)

    async def query(self, query: Query) -> Page:
        page = await self.inner.query(query)
        self.reads += max(1, len(page.items))
        return page

    async def write(self, *writes: Write) -> list[str]:
        self.writes += len(writes)
        return await self.inner.write(*writes)


class Ports:
    """What syncs and plans use of `shared.services.context.Ports`."""

    def __init__(self, path: str, size: Size) -> None:
        self.documents = CountedDocuments(SqliteDocuments(path))
        self.authentik, self.homeserver = Authentik(size), Homeserver(size)
        self.queue, self.policy = FakeTaskQueue(), Policy(domain=DOMAIN)
        self.failures: dict[str, int] = {}
        self._kept: dict[str, Any] = {}

    def now(self) -> datetime:
        return datetime.now(UTC)

    def chance(self) -> int:
        return time.perf_counter_ns()

    async def directory(self) -> Any:
        return self.authentik

    async def chat(self) -> Any:
        return self.homeserver

    async def watcher(self) -> Any:
        return None

    async def remember(self, key: str, seconds: float, find: Callable[[], Awaitable[T]]) -> T:  # noqa: ARG002
        if key not in self._kept:
            self._kept[key] = await find()
        found: T = self._kept[key]
        return found

    def counts(self) -> tuple[int, ...]:
        return self.authentik.calls + self.homeserver.calls, self.documents.reads, self.documents.writes


async def synced(ports: Any, source: Any, kind: Kind) -> None:
    while not (await sync.run(ports, source, kind)).done:
        pass


def bundle(number: int, rooms: Sequence[str], groups: Sequence[str]) -> Put:
    now = datetime.now(UTC)
    by: dict[str, Any] = {"created_at": now, "created_by": "bench", "changed_at": now, "changed_by": "bench"}
    name = f"bundle-{number}"
    made = Bundle(id=name, name=name, rooms=tuple(rooms), for_groups=tuple(groups), removes=True, **by)
    return Put(BUNDLES.path(name), made.data())


async def fill(path: str, size: Size) -> None:
    """The cache, the bundles, and the onboardings that say more than their accounts."""
    ports: Any = Ports(path, size)
    for number in range(size.groups):
        rooms = [room_id(number * PER_BUNDLE + each) for each in range(PER_BUNDLE)]
        await ports.documents.write(bundle(number, rooms, [f"group {number}"]))
    for pk in range(NAMED, size.people + 1, NAMED):
        account = ports.authentik.made(pk)
        begun = Onboarding(
            id=ids.onboarding_id(account.uid),
            source="api",
            account_pk=pk,
            uid=account.uid,
            username=account.username,
            name=account.name,
            created_at=ports.now(),
            matrix_id=f"@{account.username}:{DOMAIN}",
            given_by="admin",
        )
        await ports.documents.write(Put(ONBOARDINGS.path(begun.id), begun.data()))
    for source in SOURCES:
        await synced(ports, source, "full")


async def measured(path: str, size: Size, what: str) -> Figures:
    ports: Any = Ports(path, size)
    if what == "moved":
        step = size.people // MOVED
        ports.authentik.moved = {pk: (pk + 1) % size.groups for pk in range(1, step * MOVED, step)}
        await synced(ports, "authentik", "light")
    if what == "new room":
        await ports.documents.write(bundle(size.groups, [NEW], [f"group {number}" for number in range(size.groups)]))
    before, cpu, began = ports.counts(), time.process_time(), time.perf_counter()
    made, _ = await plans.create(ports, Actor("bench"), plans.Wanted())
    seconds, used = time.perf_counter() - began, time.process_time() - cpu
    calls, reads, writes = (now - then for now, then in zip(ports.counts(), before, strict=True))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures: Figures = {"lines": made.total, "calls": calls, "reads": reads, "writes": writes}
    return figures | {"s": seconds, "CPU s": used, "peak MB": peak}


def report(sizes: Sequence[str]) -> Report:
    made = Report("plans", "a plan from the cache, by people x rooms", notes=list(NOTES))
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/documents.sqlite3"
            _process(path, size, "fill")
            for what in ("settled", "moved", "new room"):
                made.rows.append({"name": f"{size} {what}"} | json.loads(_process(path, size, what)))
    return made


def _process(path: str, size: str, what: str) -> str:
    command = [sys.executable, "-m", "benchmarks.plans", "--path", path, "--sizes", size, "--what", what]
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout


def run(small: bool = False, repeat: int = 0) -> Report:  # noqa: ARG001 - the figures do not vary
    return report(SMALL if small else SIZES)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plans", description=__doc__)
    parser.add_argument("--sizes", nargs="+", default=SIZES)
    parser.add_argument("--path", help=argparse.SUPPRESS)
    parser.add_argument("--what", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if not chosen.what:
        print(report(chosen.sizes).as_text())
    elif chosen.what == "fill":
        asyncio.run(fill(chosen.path, Size(chosen.sizes[0])))
    else:
        print(json.dumps(asyncio.run(measured(chosen.path, Size(chosen.sizes[0]), chosen.what))))


if __name__ == "__main__":
    main()
