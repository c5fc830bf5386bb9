"""A network between two programs on one machine: loopback TCP with a delay."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Self

from benchmarks.common import HOST


class DelayingProxy:
    """Everything takes `seconds` longer there and back together, half of it each way; so does connecting.
    As much as wanted is under way at once: it delays, it does not slow down."""

    def __init__(self, port: int, seconds: float) -> None:
        self._port, self._half = port, seconds / 2
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, HOST, 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server:
            self._server.close()

    @property
    def url(self) -> str:
        assert self._server
        return f"http://{HOST}:{self._server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(self._half * 2)  # the handshake
        far_reader, far_writer = await asyncio.open_connection(HOST, self._port)
        with contextlib.suppress(asyncio.CancelledError):  # the benchmark is over
            await asyncio.gather(self._carry(reader, far_writer), self._carry(far_reader, writer))

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Each chunk is handed on when its own time has come, in order."""
        loop = asyncio.get_running_loop()

        def hand_on(data: bytes) -> None:
            with contextlib.suppress(OSError, RuntimeError):
                writer.write(data) if data else writer.close()

        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                loop.call_later(self._half, hand_on, data)
        loop.call_later(self._half, hand_on, b"")
