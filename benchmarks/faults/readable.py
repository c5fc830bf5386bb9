"""Encrypted welcomes to many members from many processes that are killed; then each member's own client reads.

    python -m benchmarks.faults.readable --members 200 --senders 8 --kills 0.05 --seed 1

Exit 0 only if on every device hello and welcome are there once, decrypted, and each step is done with a receipt that
names just these devices.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from benchmarks.faults.people import Crowd, usernames
from benchmarks.faults.plan import Plan
from benchmarks.faults.readers import Reader, Readers
from benchmarks.faults.senders import SenderStack
from local import sample
from local.surroundings import EXTRAS, given
from shared.settings import BY_NAME

MESSAGES = {"hello": "Hello", "welcome": "Welcome"}
"""Steps, and the word with which each one's message begins."""
SHORT = {"claim": 15.0, "overdue": 15.0, "lease": 30.0}
"""Seconds. What a killed process held is free again sooner than in production; all else is the same."""
Json = dict[str, Any]
Say = Callable[[str], None]


@dataclass
class Outcome:
    """`problems`: sentences, each about one member."""

    members: int
    devices: int
    sent: float
    read: int = 0
    unreadable: int = 0
    doubled: int = 0
    deaths: Counter[str] = field(default_factory=Counter)
    kills: int = 0
    tries: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        wanted = self.devices * len(MESSAGES)
        return (self.read, self.unreadable, self.doubled, self.problems) == (wanted, 0, 0, [])

    def table(self) -> str:
        rows: list[tuple[str, object]] = [("members", self.members), ("devices", self.devices)]
        rows += [("messages read", f"{self.read} of {self.devices * len(MESSAGES)}")]
        rows += [("unreadable", self.unreadable), ("doubled", self.doubled), ("problems", len(self.problems))]
        rows += [("tries of tasks", self.tries.total())]
        rows += [(f"  {outcome}", count) for outcome, count in sorted(self.tries.items())]
        rows += [("kills", self.kills)]
        rows += [(f"  {point}", count) for point, count in sorted(self.deaths.items())]
        rows += [("seconds until all were sent", f"{self.sent:.0f}"), ("seconds", f"{self.seconds:.0f}")]
        return "\n".join(f"{name:<44}{value!s:>14}" for name, value in rows)


class Proof:
    """On a stack that is up; the clients are kept in `folder`."""

    def __init__(self, stack: SenderStack, folder: Path, say: Say = lambda _: None) -> None:
        self._stack, self._say = stack, say
        self._readers, self._crowd = Readers(stack.env, folder), Crowd(stack.env)
        self._listed, self._joined, self._done = dict[str, Json](), set[str](), dict[str, Json]()

    async def run(self, members: int, seconds: float) -> Outcome:
        """`seconds`: how long to wait until all is sent; what is not is a problem then."""
        began = time.monotonic()
        readers = await self._readers.arrive(usernames(members))
        self._say(f"{members} members are in INDOC, their keys are published")
        link = await self._crowd.invite([json.loads(self._stack.env["ROOMS"])[0]["room_id"]], members)
        enrolled = time.monotonic()
        self._stack.mortal(True)
        enrolling = asyncio.create_task(self._crowd.enroll(link, [reader.username for reader in readers]))
        await self._until_sent(readers, enrolled + seconds)
        await enrolling
        self._stack.mortal(False)
        outcome = Outcome(members, sum(len(reader.logins) for reader in readers), time.monotonic() - enrolled)
        self._say("all is sent: everybody reads")
        for reader in readers:
            await self._judge(outcome, reader)
        outcome.problems += self._stack.failed
        outcome.deaths, outcome.kills, outcome.tries = self._stack.deaths(), self._stack.kills, self._stack.tries()
        outcome.seconds = time.monotonic() - began
        return outcome

    async def _until_sent(self, readers: Sequence[Reader], deadline: float) -> None:
        """Meanwhile whoever is invited to a direct room joins it. The sweep runs by its schedule, as anywhere."""
        shown = time.monotonic()
        while len(self._done) < len(readers) and time.monotonic() < deadline:
            await self._look(readers)
            if time.monotonic() - shown > 10:
                shown = time.monotonic()
                self._say(f"{len(self._joined)} have joined, {len(self._done)} are done, {self._stack.kills} kills")
            await asyncio.sleep(2)

    async def _look(self, readers: Sequence[Reader]) -> None:
        """Who is too busy to answer is asked again the next time."""
        async with sample.api(self._stack.env) as client:
            with contextlib.suppress(httpx.HTTPError):
                await self._list(client)
            for reader in readers:
                with contextlib.suppress(httpx.HTTPError):
                    await self._follow(client, reader)

    async def _list(self, client: httpx.AsyncClient) -> None:
        cursor: str | None = ""
        while cursor is not None:
            page = await client.get("/api/onboardings", params={"limit": 50} | ({"cursor": cursor} if cursor else {}))
            said = page.raise_for_status().json()
            self._listed |= {item["member"]["username"]: item for item in said["items"]}
            cursor = said["next_cursor"]

    async def _follow(self, client: httpx.AsyncClient, reader: Reader) -> None:
        name, listed = reader.username, self._listed.get(reader.username)
        if listed is None or name in self._done or (name in self._joined and listed["state"] != "done"):
            return
        found = (await client.get(f"/api/onboardings/{listed['id']}")).raise_for_status().json()
        hello = found["steps"]["hello"]
        if hello["state"] == "done" and name not in self._joined:
            await self._readers.join(reader, hello["result"]["room_id"])
            self._joined.add(name)
        if found["state"] == "done":
            self._done[name] = found

    async def _judge(self, outcome: Outcome, reader: Reader) -> None:
        onboarding = self._done.get(reader.username)
        if onboarding is None:
            outcome.problems.append(f"{reader.username}: not done")
        else:
            wrong = [text for step in MESSAGES for text in faults_of(onboarding["steps"][step], step, reader.devices)]
            outcome.problems += [f"{reader.username}: {text}" for text in wrong]
        for device, seen in (await self._readers.read(reader)).items():
            words = Counter((one.body or "").replace(",", " ").partition(" ")[0] for one in seen)
            outcome.read += sum(words[word] >= 1 for word in MESSAGES.values())
            outcome.unreadable += words[""]
            outcome.doubled += sum(max(0, count - 1) for word, count in words.items() if word)
            if words != dict.fromkeys(MESSAGES.values(), 1):
                outcome.problems.append(f"{reader.username}: {device} shows {dict(words)}")


def faults_of(step: Json, name: str, devices: Sequence[str]) -> list[str]:
    """What is wrong with a step that should be done, readable on just these devices."""
    if step["state"] != "done":
        return [f"{name} is {step['state']}: {step['cause']}"]
    named, missed = sorted(device["device_id"] for device in step["result"]["devices"]), step["result"]["missed"]
    return [f"{name} names {named} and misses {missed}"] if named != list(devices) or missed else []


def settings(environ: dict[str, str]) -> dict[str, str]:
    """Nothing given is used but the store: what is broken here is always our own."""
    own = {name: value for name, value in given(environ).items() if name not in (*BY_NAME, *EXTRAS)}
    own |= {name: environ[name] for name in ("MUSTER_STORE",) if environ.get(name)}
    return own | {"MUSTER_FREE_PORTS": "1", "MATRIX_ENABLE_ENCRYPTION": "true", "WELCOME_DELAY_SECONDS": "1"}


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.faults.readable", description=__doc__)
    parser.add_argument("--members", type=int, default=200)
    parser.add_argument("--senders", type=int, default=8, help="processes")
    parser.add_argument("--kills", type=float, default=0.05, help="the share of tries at a message that are killed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=20.0, help="the deadline")
    said, began = parser.parse_args(), time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:7.0f} s  {text}", flush=True)

    with tempfile.TemporaryDirectory(prefix="muster-readable-") as folder:
        data, plan = Path(folder), Plan(seed=said.seed, **SHORT)
        with SenderStack(data / "stack", settings(dict(os.environ)), plan, said.senders, said.kills) as stack:
            say("the stack is up")
            outcome = asyncio.run(Proof(stack, data / "clients", say).run(said.members, said.minutes * 60))
    print(f"\n{outcome.table()}\n", *outcome.problems[:40], sep="\n")
    return 0 if outcome.holds else 1


if __name__ == "__main__":
    sys.exit(main())
