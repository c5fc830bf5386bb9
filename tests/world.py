"""The services on fakes: a clock that stands still until told, a queue that is worked off by hand."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from shared.adapters.sqlite import SqliteDocuments
from shared.domain.errors import MusterError
from shared.domain.onboarding import Step
from shared.repositories import steps_of
from shared.services.actions import actions_of
from shared.services.context import Actor, Policy
from shared.services.enroll import Hint, Verdict, enroll
from shared.services.onboardings import View, view
from shared.services.steps import run_step
from tests.fakes.chat import FakeChat
from tests.fakes.directory import FakeDirectory
from tests.fakes.task_queue import FakeTaskQueue

T = TypeVar("T")
DOMAIN = "fake.test"
ADMIN = Actor("key:test", "192.0.2.1")


@dataclass
class World:
    """`Ports`, and the hands that move it. `pause(...)` lets time pass; `work()` delivers what is due."""

    policy: Policy = field(default_factory=lambda: Policy(domain=DOMAIN, welcome_delay=5.0, admin_group="muster-admins"))
    homeserver: FakeChat = field(default_factory=lambda: FakeChat(f"@muster:{DOMAIN}"))
    authentik: FakeDirectory = field(default_factory=FakeDirectory)
    queue: FakeTaskQueue = field(default_factory=FakeTaskQueue)
    failures: dict[str, int] = field(default_factory=dict)
    log: list[tuple[str, str]] = field(default_factory=list)
    _now: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))
    _rolls: Any = field(default_factory=lambda: itertools.count(1_000_003, 7_919))

    def __post_init__(self) -> None:
        self.documents = SqliteDocuments(":memory:", now=self.now)

    # -- ports

    def now(self) -> datetime:
        return self._now

    def chance(self) -> int:
        return next(self._rolls)

    async def remember(self, key: str, seconds: float, find: Callable[[], Awaitable[T]]) -> T:
        return await find()

    async def directory(self) -> FakeDirectory:
        return self.authentik

    async def chat(self) -> FakeChat:
        return self.homeserver

    # -- hands

    def pause(self, **lapse: float) -> None:
        self._now += timedelta(**lapse)

    async def enrolled(self, username: str, event: str = "e1") -> Verdict:
        """The webhook's hint about an account that is there."""
        return await enroll(self, Hint(event, None, username), Actor("authentik"))

    async def work(self, rounds: int = 100) -> None:
        """Delivers due tasks until none is left; a passing fault is delivered again, as Cloud Tasks does."""
        for _ in range(rounds):
            tasks = self.queue.take(self._now)
            if not tasks:
                return
            for task in tasks:
                await self.deliver(task)
        raise AssertionError("the queue never came to rest")

    async def deliver(self, task: Any, tries: int = 20) -> None:
        parent = f"onboardings/{task.payload['onboarding']}" if "onboarding" in task.payload else f"jobs/{task.payload['job']}"
        for _ in range(tries):
            try:
                step, generation = task.payload["step"], task.payload["generation"]
                state = await run_step(self, parent, step, generation, actions_of(task.entry_point))
            except MusterError as error:
                self.log.append((task.payload["step"], error.cause))
                self.pause(seconds=1)
                continue
            self.log.append((task.payload["step"], state))
            return
        raise AssertionError(f"{task.payload['step']} never ended: {self.log[-3:]}")

    async def view(self, onboarding: str) -> View:
        return await view(self, onboarding)

    async def steps(self, onboarding: str) -> dict[str, Step]:
        found = await steps_of(self.documents, f"onboardings/{onboarding}")
        return {stored.record.name: stored.record for stored in found}
