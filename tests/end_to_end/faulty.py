"""Fixtures for what goes wrong: a stack of their own, since they break it. Loaded as a plugin by the tests that need it."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks.faults.people import Crowd, onboardings, usernames
from benchmarks.faults.plan import Plan
from benchmarks.faults.stack import FaultyStack
from benchmarks.faults.truth import Inspection, Verdict
from local.surroundings import EXTRAS, given
from shared.settings import BY_NAME
from tests.conftest import StackData

QUICK = Plan(claim=3, overdue=1, lease=5, look=1)
"""Nobody waits for 90 s: a claim, a late task and the sweep's lease are over sooner, and devices that come later are
looked for at once. All else is as in production."""
PATIENCE = 60.0


class Town:
    """Newcomers on a stack that has bad luck, and what became of them."""

    def __init__(self, stack: FaultyStack) -> None:
        self.stack, self.env, self.crowd = stack, stack.env, Crowd(stack.env)
        self.rooms: list[str] = []

    async def newcomers(self, count: int = 1, rooms: int = 2) -> tuple[list[str], str]:
        """In INDOC, and with a link for all of them that leads to so many rooms."""
        import json

        self.rooms, names = [room["room_id"] for room in json.loads(self.env["ROOMS"])][:rooms], usernames(count)
        await self.crowd.arrive(names)
        return names, await self.crowd.invite(self.rooms, count)

    async def enroll(self, link: str, names: Sequence[str]) -> None:
        await self.crowd.enroll(link, names)

    async def onboardings(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """Of these members, with their steps; as many as there are yet."""
        return [found for found in await onboardings(self.env) if found["member"]["username"] in names]

    async def sweep(self) -> dict[str, Any]:
        """Cloud Scheduler's job, now; a run that is under way counts too."""
        return await asyncio.to_thread(self.stack.job)

    async def until(self, names: Sequence[str], holds: Any, seconds: float = PATIENCE, *, sweeping: bool = True) -> Any:
        """Their onboardings, as soon as `holds` of each of them."""
        deadline, found = time.monotonic() + seconds, list[dict[str, Any]]()
        while time.monotonic() < deadline:
            try:
                if sweeping:
                    await self.sweep()
                found = await self.onboardings(names)
            except httpx.HTTPError:
                found = []  # it is down just now
            if len(found) == len(names) and all(map(holds, found)):
                return found
            await asyncio.sleep(0.5)
        raise TimeoutError(f"not within {seconds} s: {[_short(onboarding) for onboarding in found]}")

    async def verdict(self, names: Sequence[str], seconds: float = PATIENCE) -> Verdict:
        """What the servers say of them, once Muster calls all of them done (or the time is over)."""
        try:
            await self.until(names, lambda onboarding: onboarding["state"] == "done", seconds)
        except TimeoutError as error:
            print(error)
        found = await self.onboardings(names)
        return await asyncio.to_thread(lambda: Inspection(self.env, self.rooms).verdict(names, found))


def _short(onboarding: dict[str, Any]) -> str:
    steps = [(name, step["state"], step["cause"]) for name, step in onboarding["steps"].items()]
    return f"{onboarding['member']['username']} {onboarding['state']} {[step for step in steps if step[1] != 'done']}"


def faulty_stack(folder: Path, **settings: str) -> FaultyStack:
    """Nothing given is used: what these tests break is always their own."""
    own = {name: value for name, value in given(os.environ).items() if name not in (*BY_NAME, *EXTRAS)}
    store = {name: os.environ[name] for name in ("MUSTER_STORE",) if os.environ.get(name)}
    return FaultyStack(folder, own | store | {"MUSTER_FREE_PORTS": "1", "WELCOME_DELAY_SECONDS": "1"} | settings, QUICK)


@pytest.fixture(scope="module")
def faulty(request: pytest.FixtureRequest, stack_data: StackData) -> Iterator[FaultyStack]:
    """On the module's STORE."""
    with faulty_stack(stack_data("faulty"), **getattr(request.module, "STORE", {})) as stack:
        yield stack


@pytest.fixture
async def town(faulty: FaultyStack) -> AsyncIterator[Town]:
    """All is well again before and after each test."""
    faulty.be_well()
    yield Town(faulty)
    await asyncio.to_thread(faulty.be_well)
