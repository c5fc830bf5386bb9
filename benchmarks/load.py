"""A load of one request over and over, from a process of its own so that it does not share the server's core.

    python -m benchmarks.load   reads {"port", "connections", "seconds", "request"} as JSON (the request in base64)

Prints {"answers", "seconds", "statuses"}. It parses as little as it can: it should never be what is measured.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from base64 import b64decode
from collections import Counter
from typing import Any

from benchmarks.common import HOST

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Caller(asyncio.Protocol):
    """One kept connection: asks, and asks again as soon as it is answered."""

    def __init__(self, request: bytes, statuses: Counter[str]) -> None:
        self._request, self._statuses = request, statuses
        self._buffer = b""
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, parted, body = self._buffer.partition(b"\r\n\r\n")
        if not parted:
            return
        length = LENGTH.search(head)
        if length is None:
            raise SystemExit("the server does not say how long its answers are")
        if len(body) >= int(length[1]):
            self._statuses[head[9:12].decode()] += 1
            self._buffer = b""
            self._transport.write(self._request)

    def connection_lost(self, _: Exception | None) -> None:
        self._statuses["connections lost"] += 1


async def load(port: int, request: bytes, connections: int, seconds: float) -> dict[str, Any]:
    loop, statuses = asyncio.get_running_loop(), Counter[str]()
    for _ in range(connections):
        await loop.create_connection(lambda: Caller(request, statuses), HOST, port)
    statuses.clear()
    began = time.perf_counter()
    while not statuses:  # noqa: ASYNC110 - on a busy machine the first answer may take longer
        await asyncio.sleep(seconds)
    taken = time.perf_counter() - began
    return {"answers": sum(statuses.values()), "seconds": taken, "statuses": dict(statuses)}


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    found = asyncio.run(load(asked["port"], b64decode(asked["request"]), asked["connections"], asked["seconds"]))
    print(json.dumps(found))
