"""The task dispatcher as a process, and a small handler on loopback for it to call."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Self

from aiohttp import web

PROJECT, LOCATION = "muster-test", "europe-west1"
PARENT = f"projects/{PROJECT}/locations/{LOCATION}"
ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 30.0


class DispatcherProcess:
    """`python -m local.tasks` on free ports; `grpc` and `http` are where it answers."""

    def __init__(self, folder: Path, queues: dict[str, Any] | None = None, **config: Any) -> None:
        self._log = folder / "tasks.log"
        self._config = {"project": PROJECT, "location": LOCATION, "queues": queues or {}, **config}
        self._data = folder / "tasks.sqlite"
        self.grpc = self.http = ""

    def start(self) -> Self:
        already = len(self.log())
        arguments = ["--port", "0", "--http-port", "0", "--data", str(self._data), "--config", json.dumps(self._config)]
        with self._log.open("a") as log:
            command = [sys.executable, "-m", "local.tasks", *arguments]
            self._process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)  # noqa: S603
        deadline = time.monotonic() + PATIENCE
        while not (ready := [line for line in self.log()[already:] if line["message"] == "ready"]):
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, "the dispatcher does not start"
            time.sleep(0.02)
        self.grpc = f"127.0.0.1:{ready[0]['grpc']}"
        self.http = f"http://127.0.0.1:{ready[0]['http']}"
        return self

    def log(self) -> list[dict[str, Any]]:
        """Every line so far; all of them must be JSON objects."""
        text = self._log.read_text() if self._log.exists() else ""
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]

    def kill(self) -> None:
        """As a power cut would."""
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def stop(self) -> int:
        if self._process.poll() is None:
            self._process.terminate()
        return self._process.wait(PATIENCE)


class Request:
    def __init__(self, path: str, headers: dict[str, str], body: bytes) -> None:
        self.path, self.headers, self.body = path, headers, body

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def fact(self, name: str) -> str | None:
        """One of the X-CloudTasks-* headers."""
        return self.headers.get(f"X-CloudTasks-{name}")


Reply = int | tuple[int, dict[str, str]]


class Handler:
    """Records what it gets and answers with `replies` one after the other, then 200. `hook` may
    hold an answer back."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.replies: list[Reply] = []
        self.hook: Callable[[Request], Awaitable[None]] | None = None
        self.busy = self.most_busy = 0

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def received(self, count: int) -> list[Request]:
        """Waits until so many requests have come in."""
        await eventually(lambda: len(self.requests) >= count)
        return self.requests

    async def _answer(self, incoming: web.Request) -> web.Response:
        request = Request(incoming.path, dict(incoming.headers), await incoming.read())
        self.requests.append(request)
        reply = self.replies.pop(0) if self.replies else 200
        self.busy += 1
        self.most_busy = max(self.most_busy, self.busy)
        try:
            if self.hook is not None:
                await self.hook(request)
        finally:
            self.busy -= 1
        status, headers = reply if isinstance(reply, tuple) else (reply, {})
        return web.Response(status=status, headers=headers)


async def eventually(holds: Callable[[], Any]) -> Any:
    """Waits for what must come to pass in another process, and answers it; the limit is only for a broken test."""
    async with asyncio.timeout(PATIENCE):
        while True:
            found = holds()
            found = await found if inspect.isawaitable(found) else found
            if found:
                return found
            await asyncio.sleep(0.01)
