"""One instance of Muster that delivers messages, one after the other, on the real adapters but the queue.

    python -m benchmarks.sender   reads lines of JSON, each a list of [onboarding, step]

Answers each line with one: {"states", "walls", "cpu", "peak MiB", "counts", "out", "in"}. Seconds and bytes.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from typing import Any

from benchmarks.common import peak_mib
from benchmarks.counting import COUNTS, CountingWiring, wire, wired
from benchmarks.world import NoQueue
from shared.ports import TaskQueue
from shared.services.actions import actions_of
from shared.services.steps import run_step
from shared.settings import Settings


class Sender(CountingWiring):
    """`documents` and `chat` are the real ones, counted."""

    def _queue(self) -> TaskQueue:
        return NoQueue()


async def deliver(ports: Sender, steps: list[tuple[str, str]]) -> dict[str, Any]:
    COUNTS.clear()
    states, walls = list[str](), list[float]()
    before, cpu = wire(), time.process_time()
    for onboarding, step in steps:
        began = time.perf_counter()
        states.append(await run_step(ports, f"onboardings/{onboarding}", step, None, actions_of("deliver_welcome")))
        walls.append(time.perf_counter() - began)
    used, (out, into) = time.process_time() - cpu, wired(before)
    counts = COUNTS.get("other", {})
    said = {"states": states, "walls": walls, "cpu": used, "peak MiB": peak_mib([os.getpid()]), "counts": counts}
    return said | {"out": out, "in": into}


async def main() -> None:
    ports = Sender(Settings(os.environ))
    while line := await asyncio.to_thread(sys.stdin.readline):
        print(json.dumps(await deliver(ports, json.loads(line))), flush=True)
    await (await ports.chat()).close()
    await ports.documents.close()


if __name__ == "__main__":
    asyncio.run(main())
