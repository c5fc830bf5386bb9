"""Many onboardings with a fault at one outside call in twenty and random kills; then the servers are asked.

    python -m benchmarks.faults.soak --onboardings 1000 --rate 0.05 --kills 20

Exit 0 only if all are complete, nothing is lost, nothing is there twice, and what Muster says of each step is what
Synapse and Authentik say. One webhook in ten is swallowed, so that the sweep must find who it was about.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from benchmarks.faults.people import Crowd, onboardings, usernames
from benchmarks.faults.plan import Plan
from benchmarks.faults.stack import FaultyStack
from benchmarks.faults.truth import Inspection, Verdict
from local import sample
from local.surroundings import given

PER_INVITE = 25
Say = Callable[[str], None]


@dataclass(frozen=True)
class Course:
    """What to go through. `rate`: faults per outside call; `drop`: the share of webhooks that are swallowed."""

    onboardings: int
    rate: float
    kills: int
    rooms: int = 3
    seed: int = 0
    minutes: float = 20.0
    drop: float = 0.1


@dataclass
class Outcome:
    verdict: Verdict
    faults: Counter[str]
    kills: int
    minutes: float
    errors: list[str] = field(default_factory=list)
    """Lines of Muster's log for a person to act on, a step given up above all."""

    @property
    def holds(self) -> bool:
        return self.verdict.holds

    def table(self) -> str:
        verdict = self.verdict
        rows: list[tuple[str, object]] = [("complete", f"{verdict.complete} of {verdict.expected}")]
        rows += [("lost", len(verdict.lost)), ("twice", len(verdict.twice))]
        rows += [("disagreements", len(verdict.disagreements)), ("faults injected", self.faults.total())]
        rows += [(f"  {name}", count) for name, count in sorted(self.faults.items())]
        rows += [("kills", self.kills), ("errors in the log", len(self.errors)), ("minutes", f"{self.minutes:.1f}")]
        return "\n".join(f"{name:<44}{value!s:>14}" for name, value in rows)


class Soak:
    def __init__(self, stack: FaultyStack, course: Course, say: Say = lambda _: None) -> None:
        self._stack, self._course, self._say = stack, course, say
        self._chance = random.Random(course.seed)
        self._done = self._before = 0

    async def run(self) -> Outcome:
        """On a stack that is up, and is well again afterwards."""
        stack, course, began = self._stack, self._course, time.monotonic()
        crowd, names = Crowd(stack.env), usernames(course.onboardings)
        rooms = [room["room_id"] for room in sample_rooms(stack)][: course.rooms]
        self._before = await self._count()
        await crowd.arrive(names)
        self._say(f"{len(names)} members are in INDOC")
        stack.proxy.routes["webhook"].drops = lambda body: (
            b'"user_write"' in body and self._chance.random() < course.drop
        )
        stack.faults(course.rate)
        enrolling = asyncio.create_task(self._enroll(crowd, names, rooms))
        kills = asyncio.create_task(self._kill())
        await enrolling
        await kills
        ended = await self._until_done(names, began + course.minutes * 60)
        stack.proxy.routes["webhook"].drops = lambda _: False
        stack.faults(0.0)
        self._say("all are done: asking the servers" if ended else "the time is over: asking the servers")
        minutes = (time.monotonic() - began) / 60
        verdict = await asyncio.to_thread(lambda: Inspection(stack.env, rooms))
        said = await onboardings(stack.env)
        found = await asyncio.to_thread(verdict.verdict, names, said)
        errors = [f"{line['message']}: {line.get('step', '')} {line.get('cause', '')}" for line in self._error_lines()]
        return Outcome(found, stack.injected(), stack.kills, minutes, errors)

    async def _enroll(self, crowd: Crowd, names: list[str], rooms: list[str]) -> None:
        for first in range(0, len(names), PER_INVITE):
            some = names[first : first + PER_INVITE]
            await crowd.enroll(await crowd.invite(rooms, len(some)), some)
            self._say(f"{first + len(some)} have enrolled, {await self._count() - self._before} are done")

    async def _kill(self) -> None:
        """At random moments: while they enroll, and while what they have set off is worked through."""
        for _ in range(self._course.kills):
            await asyncio.sleep(self._chance.uniform(0.3, 2 * self._pause()))
            await asyncio.to_thread(self._stack.kill_app)

    def _pause(self) -> float:
        """Seconds, so that the kills take about as long as most of the work does."""
        return max(1.0, self._course.onboardings * 0.4 / max(1, self._course.kills))

    async def _until_done(self, names: list[str], deadline: float) -> bool:
        shown = 0.0
        while time.monotonic() < deadline:
            done = await self._count() - self._before
            if done >= len(names):
                return True
            if time.monotonic() - shown > 10:
                self._say(f"{done} of {len(names)} are done")
                shown = time.monotonic()
            await asyncio.sleep(1)
        return False

    async def _count(self) -> int:
        """Those that Muster calls done; when it does not answer, as many as before."""
        try:
            async with sample.api(self._stack.env) as client:
                said = await client.get("/api/onboardings", params={"state": "done", "limit": 1})
                self._done = int(said.raise_for_status().json()["total"])
        except (httpx.HTTPError, ValueError):
            pass
        return self._done

    def _error_lines(self) -> list[dict[str, object]]:
        return [line for line in self._stack.log_lines() if line.get("severity") in ("ERROR", "CRITICAL")]


def sample_rooms(stack: FaultyStack) -> list[dict[str, str]]:
    rooms: list[dict[str, str]] = json.loads(stack.env["ROOMS"])
    return rooms


def course_of(arguments: list[str]) -> tuple[Course, Path | None, Plan]:
    parser = argparse.ArgumentParser(prog="benchmarks.faults.soak", description=__doc__)
    parser.add_argument("--onboardings", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=0.05, help="faults per outside call")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--rooms", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=20.0, help="the deadline")
    parser.add_argument("--data", type=Path, help="keep everything here (default: a folder that goes afterwards)")
    parser.add_argument("--claim", type=float, help="seconds that a claim lasts (default: as in production)")
    said = parser.parse_args(arguments)
    course = Course(said.onboardings, said.rate, said.kills, said.rooms, said.seed, said.minutes)
    # a sweep that is killed keeps its lease; the next one should not have to wait for four minutes each time
    return course, said.data, Plan(seed=said.seed, claim=said.claim, lease=30)


def main() -> int:
    course, data, plan = course_of(sys.argv[1:])
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:7.0f} s  {text}", flush=True)

    with tempfile.TemporaryDirectory(prefix="muster-soak-") as folder:
        settings = given(os.environ) | {"MUSTER_FREE_PORTS": "1"}
        with FaultyStack(data or Path(folder), settings, plan) as stack:
            say("the stack is up")
            outcome = asyncio.run(Soak(stack, course, say).run())
    print(f"\n{outcome.table()}\n")
    for line in (*outcome.errors[:20], *str(outcome.verdict).splitlines()[:40]):
        print(line)
    return 0 if outcome.holds else 1


if __name__ == "__main__":
    sys.exit(main())
