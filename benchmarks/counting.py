"""What Muster asks of its neighbours, counted: by the kind of entry point that asks, then by neighbour."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import struct
import time
from collections import Counter
from collections.abc import Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.ports import Chat, Delete, Directory, Document, Documents, Page, Query, Task, TaskQueue, Write
from shared.wiring import Wiring

if TYPE_CHECKING:
    from shared.adapters.matrix import MatrixChat

SOURCE: ContextVar[str] = ContextVar("benchmark_source", default="other")
COUNTS: dict[str, Counter[str]] = {}
MOMENTS: dict[str, float] = {}
"""By the clock: when a neighbour was first asked, and when it last answered."""
IDS = re.compile(
    r"/(rooms|user|users|room|profile|invite_to|groups|send/m\.room\.(?:message|encrypted)"
    r"|sendToDevice/m\.room\.encrypted|m\.room\.member)/[^/?]+"
)


def count(what: str, amount: int = 1) -> None:
    COUNTS.setdefault(SOURCE.get(), Counter())[what] += amount


class CountingDocuments:
    """Each method is one call of Firestore's client."""

    def __init__(self, inner: Documents) -> None:
        self._inner = inner

    async def get(self, path: str) -> Document | None:
        return (await self.get_many([path]))[0]

    async def get_many(self, paths: Sequence[str]) -> list[Document | None]:
        count("firestore calls")
        count("documents read", len(paths))
        return await self._inner.get_many(paths)

    async def write(self, *writes: Write) -> list[str]:
        count("firestore calls")
        deleted = sum(isinstance(write, Delete) for write in writes)
        count("documents written", len(writes) - deleted)
        count("documents deleted", deleted)
        count("packed bytes", sum(len(getattr(write, "data", {}).get("packed", b"")) for write in writes))
        return await self._inner.write(*writes)

    async def query(self, query: Query) -> Page:
        page = await self._inner.query(query)
        count("firestore calls")
        count("documents read", max(1, len(page.items)))  # one that finds nothing is billed as one
        return page

    async def count(self, query: Query) -> int:
        found = await self._inner.count(query)
        count("firestore calls")
        count("documents read", max(1, -(-found // 1000)))  # one for each thousand counted
        return found

    async def close(self) -> None:
        await self._inner.close()


class CountingQueue:
    def __init__(self, inner: TaskQueue) -> None:
        self._inner = inner

    async def enqueue(self, *tasks: Task) -> int:
        count("tasks enqueued", len(tasks))
        return await self._inner.enqueue(*tasks)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class CountingWiring(Wiring):
    """The real adapters, each watched where it sends."""

    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        self.__dict__["documents"] = CountingDocuments(super().documents)
        self.__dict__["queue"] = CountingQueue(self._queue())

    def _queue(self) -> TaskQueue:
        return super().queue

    async def _matrix(self) -> MatrixChat:
        chat: Any = await super()._matrix()
        if "send" not in vars(chat.client):  # nio's own client, at the place where it hands a request to aiohttp
            chat.client.send = counting(chat.client.send, "matrix")
        return chat  # type: ignore[no-any-return]

    async def watcher(self) -> Chat | None:
        chat: Any = await super().watcher()
        if chat and "send" not in vars(chat.client):
            chat.client.send = counting(chat.client.send, "matrix")
        return chat  # type: ignore[no-any-return]

    async def directory(self) -> Directory:
        directory: Any = await super().directory()
        if "send" not in vars(directory._api):
            directory._api.send = counting(directory._api.send, "authentik")
        return directory  # type: ignore[no-any-return]


def counting(send: Any, neighbour: str) -> Any:
    async def counted(method: str, path: str, *rest: Any, **options: Any) -> Any:
        kind = IDS.sub(r"/\1/_", path.partition("?")[0])
        count(f"{neighbour} calls")
        count(f"{neighbour}: {method} {kind}")
        MOMENTS.setdefault(f"{neighbour} first asked", time.time())
        try:
            return await send(method, path, *rest, **options)
        finally:
            MOMENTS[f"{neighbour} last answered"] = time.time()

    return counted


# ------------------------------------------------------------------ the wire

ACKED_AND_RECEIVED = 120
"""Where Linux keeps both in its `tcp_info`, eight bytes each."""


def wire() -> dict[tuple[int, int], tuple[int, int]]:
    """Of this process's TCP connections, by their two ports: bytes that have arrived over there, and bytes received."""
    found = {}
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError, ValueError):
            if entry.readlink().name.startswith("socket:"):
                with socket.socket(fileno=os.dup(int(entry.name))) as copy:
                    said = copy.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, ACKED_AND_RECEIVED + 16)
                    sent, received = struct.unpack_from("=QQ", said, ACKED_AND_RECEIVED)
                    found[copy.getsockname()[1], copy.getpeername()[1]] = (sent, received)
    return found


def wired(before: dict[tuple[int, int], tuple[int, int]]) -> tuple[int, int]:
    """Bytes out and in since then, over connections that are still open."""
    out = into = 0
    for ports, (sent, received) in wire().items():
        then = before.get(ports, (0, 0))
        out, into = out + sent - then[0], into + received - then[1]
    return out, into
