"""The packed documents of the cache. One sync at a time writes those of a source, and every batch that it writes holds
its own state document too, by compare-and-set: a run whose claim has lapsed can write nothing any more.

`cache/NAME` holds the first part of a shard, `cache/NAME+1` the second, should one not suffice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

from msgspec import Struct

from shared.domain import packing
from shared.domain.errors import Conflict, Outpaced
from shared.domain.syncs import Source, Sync
from shared.ports import Create, Delete, Document, Put, Replace, Write
from shared.repositories import Repository
from shared.services.context import Ports

T = TypeVar("T")
SYNCS: Repository[Sync] = Repository("syncs", Sync, "sync")
CLAIM = timedelta(seconds=90)
"""Longer than a function may run that syncs (60 s): whoever finds a claim lapsed finds nobody at work."""
BATCH = 7 * 1024 * 1024
"""Bytes in one batch; Firestore takes 10 MiB."""
TOGETHER = 4
"""Shards that are read in one round trip: more would only be held in memory at once."""


class Busy(Conflict):
    """This source is being synced just now; a task is tried again, a schedule comes again."""


class Staged(Struct, frozen=True):
    """`data` None: the shard goes."""

    data: bytes | None
    rows: int


class Run:
    """One run of one source's sync, from its claim to its end. Nothing is written before `commit`."""

    def __init__(self, ports: Ports, sync: Sync, version: str, deadline: datetime) -> None:
        self.ports, self.sync = ports, sync
        self.written = 0
        self._version, self._deadline = version, deadline
        self._staged: dict[str, Staged] = {}

    def forget(self) -> None:
        """What is staged and was not written."""
        self._staged.clear()

    def out_of_time(self) -> bool:
        return self.ports.now() >= self._deadline

    async def read(self, name: str) -> bytes | None:
        """As it is staged, else as it is stored: never from memory, so that what another run wrote is there."""
        if name in self._staged:
            return self._staged[name].data
        if name not in self.sync.shards:
            return None
        paths = paths_of(name, self.sync.shards[name])
        return whole(await self.ports.documents.get_many(paths))

    def names(self, prefix: str) -> list[str]:
        kept = {name for name in self.sync.names(prefix) if name not in self._staged}
        staged = {name for name, one in self._staged.items() if one.data is not None and name.startswith(prefix)}
        return sorted(kept | staged)

    def rows(self, prefix: str) -> int:
        """How many, with what is staged."""
        kept = (
            int(shard["rows"])
            for name, shard in self.sync.shards.items()
            if name not in self._staged and name.startswith(prefix)
        )
        return sum(kept) + sum(one.rows for name, one in self._staged.items() if name.startswith(prefix))

    def stage(self, name: str, data: bytes | None, rows: int = 0) -> None:
        self._staged[name] = Staged(data, rows)

    async def commit(self, **changes: Any) -> None:
        """What is staged and is not so already, together with these changes of the state. In one batch, unless it is
        too much for one: then the changes come with the last, and a run that dies before it is repeated."""
        staged = sorted(self._staged.items(), key=lambda item: self._turn(item[0]))
        changed = {name: one for name, one in staged if self._differs(name, one)}
        self._staged.clear()
        room, writes = BATCH, list[Write]()
        for name, one in changed.items():
            entry, new = self._writes(name, one)
            size = sum(len(write.data["packed"]) for write in new if isinstance(write, Put))
            if writes and size > room:
                await self._write(writes)
                room, writes = BATCH, []
            writes += new
            room -= size
            self._list(name, entry)
        self.written += len(changed)
        await self._write(writes, **changes)

    def _turn(self, name: str) -> tuple[bool, bool]:
        """Matrix ids before the memberships that refer to them; what is cut off before what it is cut from."""
        return not name.startswith("ids-"), name in self.sync.shards

    def _differs(self, name: str, staged: Staged) -> bool:
        known = self.sync.shards.get(name)
        if staged.data is None or known is None:
            return (staged.data is None) != (known is None)
        return bool(packing.digest(staged.data) != known["digest"])

    def _writes(self, name: str, staged: Staged) -> tuple[dict[str, Any] | None, list[Write]]:
        before = paths_of(name, self.sync.shards.get(name))
        if staged.data is None:
            return None, [Delete(path) for path in before]
        mark, parts = packing.digest(staged.data), packing.parts(packing.compressed(staged.data))
        entry = {"digest": mark, "parts": len(parts), "rows": staged.rows}
        paths = paths_of(name, entry)
        writes: list[Write] = [
            Put(path, {"v": 1, "digest": mark, "packed": part}) for path, part in zip(paths, parts, strict=True)
        ]
        return entry, writes + [Delete(path) for path in before if path not in paths]

    def _list(self, name: str, entry: dict[str, Any] | None) -> None:
        shards = {known: shard for known, shard in self.sync.shards.items() if known != name}
        self.sync = self.sync.but(shards=shards if entry is None else shards | {name: entry})

    async def _write(self, writes: Sequence[Write], **changes: Any) -> None:
        now = self.ports.now()
        held = {"beat_at": now, "running_until": now + CLAIM}
        self.sync = self.sync.but(**(held | changes))
        replaced = Replace(SYNCS.path(self.sync.source), self.sync.data(), self._version)
        try:
            *_, self._version = await self.ports.documents.write(*writes, replaced)
        except Outpaced as error:
            raise Busy("another run has taken this sync over", "Nothing to do.") from error


async def claimed(ports: Ports, source: Source, seconds: float, begin: Callable[[Sync], Sync]) -> Run:
    """Of several at the same instant one; raises `Busy` for the others. `seconds`: how long it may take before it stops
    at a point from which another run goes on. `begin`: what the claim says besides."""
    now, path = ports.now(), SYNCS.path(source)
    stored = await SYNCS.find(ports.documents, source)
    if stored and stored.record.is_running(now):
        raise Busy(f"{source} is being synced just now", "Nothing to do: wait for its end.")
    sync = begin(stored.record if stored else Sync(source=source)).but(running_until=now + CLAIM, beat_at=now)
    write = Replace(path, sync.data(), stored.version) if stored else Create(path, sync.data())
    try:
        [version] = await ports.documents.write(write)
    except Outpaced as error:
        raise Busy(f"{source} is being synced just now", "Nothing to do: wait for its end.") from error
    return Run(ports, sync, version, now + timedelta(seconds=seconds))


def paths_of(name: str, entry: Mapping[str, Any] | None) -> list[str]:
    count = int(entry["parts"]) if entry else 0
    return [f"cache/{name}" + (f"+{part}" if part else "") for part in range(count)]


def whole(documents: Sequence[Document | None]) -> bytes:
    """Raises `Outpaced` where a part is missing or is of another writing: its writer is at work just now."""
    found = [document for document in documents if document is not None]
    if len(found) != len(documents) or len({document.data["digest"] for document in found}) != 1:
        raise Outpaced(next((document.path for document in found), "cache"))
    return packing.whole([document.data["packed"] for document in found])


async def loaded(
    ports: Ports, sync: Sync, names: Sequence[str], read: Callable[[bytes], T], held: dict[str, tuple[str, Any]]
) -> dict[str, T]:
    """The shards of these names, each as `read` makes it. Those of `held` that are the newest are not read again."""
    missing = [name for name in names if held.get(name, ("",))[0] != sync.shards[name]["digest"]]
    for start in range(0, len(missing), TOGETHER):
        for name, documents in (await _documents(ports, sync, missing[start : start + TOGETHER])).items():
            held[name] = (str(sync.shards[name]["digest"]), read(whole(documents)))
    return {name: held[name][1] for name in names}


async def _documents(ports: Ports, sync: Sync, names: Sequence[str]) -> dict[str, list[Document | None]]:
    paths = {name: paths_of(name, sync.shards[name]) for name in names}
    found = iter(await ports.documents.get_many([path for each in paths.values() for path in each]))
    return {name: [next(found) for _ in each] for name, each in paths.items()}
