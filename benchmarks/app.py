"""Muster on one port, as the embedded stack serves it, counting what it asks of its neighbours.

    python -m benchmarks.app --port PORT

`GET /benchmark/counts` answers what was counted since the last `DELETE`: by the kind of entry point that asked
("hooks", "tasks", "jobs", "api"), then by neighbour. Matrix and Authentik are counted by HTTP request,
the others at their ports.
"""

from __future__ import annotations

import argparse
import re
import time
from collections import Counter
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse

from benchmarks.common import HOST, ROOT
from local.app import application
from shared import wiring
from shared.ports import Chat, Directory, Document, Documents, Page, Query, Task, TaskQueue, Write

SOURCE: ContextVar[str] = ContextVar("benchmark_source", default="other")
COUNTS: dict[str, Counter[str]] = {}
MOMENTS: dict[str, float] = {}
"""By the clock: when a neighbour was first asked, and when it last answered."""
IDS = re.compile(r"/(rooms|user|users|room|profile|invite_to|groups|send/m\.room\.message|m\.room\.member)/[^/?]+")


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
        count("documents written", len(writes))
        return await self._inner.write(*writes)

    async def query(self, query: Query) -> Page:
        page = await self._inner.query(query)
        count("firestore calls")
        count("documents read", max(1, len(page.items)))  # one that finds nothing is billed as one
        return page

    async def count(self, query: Query) -> int:
        count("firestore calls")
        count("documents read")  # one for each thousand counted
        return await self._inner.count(query)

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


class CountingWiring(wiring.Wiring):
    """The real adapters, each watched where it sends."""

    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        documents, queue = super().documents, super().queue
        self.__dict__["documents"], self.__dict__["queue"] = CountingDocuments(documents), CountingQueue(queue)

    async def chat(self) -> Chat:
        chat: Any = await super().chat()
        if "send" not in vars(chat.client):  # nio's own client, at the place where it hands a request to aiohttp
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


def counted_application() -> Any:
    inner = application(ROOT / "main.py")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/benchmark/counts":
            answer = JSONResponse({"counts": COUNTS, "moments": MOMENTS})
            if Request(scope).method == "DELETE":
                COUNTS.clear()
                MOMENTS.clear()
            await answer(scope, receive, send)
            return
        SOURCE.set(scope["path"].split("/")[1] or "page")
        count("requests")

        async def watched(message: Any) -> None:
            if message["type"] == "http.response.start" and message["status"] >= 300:
                count(f"answered {message['status']}")
            await send(message)

        await inner(scope, receive, watched)

    return app


def main() -> None:
    import uvicorn

    from shared import logs

    parser = argparse.ArgumentParser(prog="benchmarks.app")
    parser.add_argument("--port", type=int, required=True)
    wiring.factory = CountingWiring
    logs.configure()
    quiet: dict[str, Any] = {"log_config": None, "access_log": False, "server_header": False, "lifespan": "off"}
    uvicorn.run(counted_application(), host=HOST, port=parser.parse_args().port, **quiet)


if __name__ == "__main__":
    main()
