"""The services on fakes: a clock that stands still until told, a queue that is worked off by hand."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from msgspec.structs import replace

from shared.adapters.fts5 import Fts5Index
from shared.adapters.sqlite import SqliteDocuments
from shared.adapters.templating import JinjaRenderer
from shared.domain import ids
from shared.domain.errors import MusterError, NotFound, TryLater
from shared.domain.invites import Invite
from shared.domain.messages import MARKER
from shared.domain.onboarding import Step
from shared.domain.recommending import Passage
from shared.ports import Account, Data, Finding, Query, Task
from shared.repositories import steps_of
from shared.services import invites, sync
from shared.services.actions import actions_of
from shared.services.context import Actor, Policy
from shared.services.enroll import Hint, Verdict, enroll
from shared.services.onboardings import View, view
from shared.services.resume import Report, resume
from shared.services.steps import run_step
from shared.services.tasks import PARENTS
from tests.fakes.chat import FakeChat
from tests.fakes.chat_rooms import FakeRoom
from tests.fakes.directory import FakeDirectory
from tests.fakes.faulty_documents import FaultyDocuments, Killed
from tests.fakes.task_queue import FakeTaskQueue

T = TypeVar("T")
DOMAIN = "fake.test"
ADMIN = Actor("key:test", "192.0.2.1")
RENDERER = JinjaRenderer()
"""The real one: it needs no neighbour, and keeps nothing but what it has compiled."""


@dataclass
class World:
    """`Ports`, and the hands that move it. `pause(...)` lets time pass; `work()` delivers what is due."""

    policy: Policy = field(
        default_factory=lambda: Policy(domain=DOMAIN, welcome_delay=5.0, admin_group="muster-admins")
    )
    homeserver: FakeChat = field(default_factory=lambda: FakeChat(f"@muster:{DOMAIN}"))
    authentik: FakeDirectory = field(default_factory=FakeDirectory)
    queue: FakeTaskQueue = field(default_factory=FakeTaskQueue)
    renderer: JinjaRenderer = RENDERER
    failures: dict[str, int] = field(default_factory=dict)
    under_way: set[str] = field(default_factory=set)
    log: list[tuple[str, str]] = field(default_factory=list)
    watched: bool = True
    device: Any = None
    device_findings: list[Finding] = field(default_factory=list)
    _now: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))
    _rolls: Any = field(default_factory=lambda: itertools.count(1_000_003, 7_919))

    def __post_init__(self) -> None:
        self.store = SqliteDocuments(":memory:", now=self.now)
        self.documents = FaultyDocuments(self.store)
        self.authentik.clock = self.now
        self.homeserver.clock = lambda: self._now.timestamp()

    # -- ports

    def now(self) -> datetime:
        return self._now

    def chance(self) -> int:
        return int(next(self._rolls))

    async def remember(self, key: str, seconds: float, find: Callable[[], Awaitable[T]]) -> T:
        return await find()

    async def directory(self) -> FakeDirectory:
        return self.authentik

    async def chat(self) -> FakeChat:
        return self.homeserver

    async def watcher(self) -> FakeChat | None:
        """None where a test has taken its device away by `watched = False`."""
        return self.homeserver.another_device() if self.watched else None

    async def keys(self) -> Any:
        return self.homeserver

    async def sealer(self) -> Any:
        """The bot's device, where a test has made one."""
        return self.device

    async def opener(self) -> Any:
        return self.device

    def index(self, passages: Sequence[Passage], weights: Mapping[str, float]) -> Fts5Index:
        return Fts5Index(passages, weights)

    async def check_device(self) -> list[Finding]:
        """What a test has put there."""
        return list(self.device_findings)

    # -- what is there

    def furnish(self, rooms: int = 2, *, indoc: bool = True, **fields: Any) -> list[str]:
        """INDOC and so many rooms, which every member is invited to; `fields` of each `FakeRoom`."""
        made = [self.homeserver.add_room(f"Room {number}", **fields) for number in range(rooms)]
        entry = self.homeserver.add_room("INDOC", alias="indoc") if indoc else ""
        self.policy = replace(self.policy, indoc=entry, default_rooms=tuple(made))
        return made

    @property
    def indoc(self) -> FakeRoom:
        return self.homeserver.homes[self.policy.indoc]

    async def invite(self, label: str = "Open evening", **wanted: Any) -> Invite:
        return (await invites.create(self, ADMIN, invites.Wanted(label, **wanted)))[0]

    def arrive(self, username: str = "ada") -> str:
        """They have logged in to Matrix and wait in INDOC."""
        member = self.homeserver.add_user(f"@{username}:{DOMAIN}")
        if self.policy.indoc:
            self.homeserver.join(member, self.policy.indoc)
        return member

    async def member(
        self, username: str = "ada", *, there: bool = True, email: str = "ada@example.test", **w: Any
    ) -> Account:
        """Somebody who has enrolled by a fresh invite; the webhook has not come yet."""
        invite = await self.invite(**w)
        if there:
            self.arrive(username)
        self.pause(seconds=30)
        return self.authentik.enroll(invite.code, username, email=email)

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

    async def deliver(self, task: Task, tries: int = 40) -> None:
        """Until it is answered 2xx. After a death the instance is another one, and comes when the claim has lapsed."""
        for _ in range(tries):
            try:
                self.log.append((_name(task), await self.once(task)))
            except Killed:
                self.pause(seconds=91)
            except MusterError as error:
                self.log.append((_name(task), error.cause))
                self.pause(seconds=(error.after if isinstance(error, TryLater) else None) or 10)
            else:
                return
        raise AssertionError(f"{_name(task)} never ended: {self.log[-3:]}")

    async def once(self, task: Task) -> str:
        """One delivery of a task, answered by the step's state or by an exception."""
        payload = task.payload
        if task.entry_point == "sync_directory":
            return (await sync.run(self, payload["source"], payload.get("kind"))).kind
        [parent] = [f"{name}/{payload[kind]}" for name, (kind, _) in PARENTS.items() if kind in payload]
        try:
            return await run_step(self, parent, payload["step"], payload["generation"], actions_of(task.entry_point))
        except NotFound:
            return "gone"

    async def twice(self, task: Task, times: int = 2) -> list[str]:
        """The same task so often at the same instant: what each delivery was answered."""
        answers = await asyncio.gather(*(self.once(task) for _ in range(times)), return_exceptions=True)
        return [answer if isinstance(answer, str) else type(answer).__name__ for answer in answers]

    def due(self, step: str) -> Task:
        """The task of that step, taken from the queue whatever its time."""
        task = next(task for task in self.queue.tasks.values() if _name(task) == step)
        return self.queue.tasks.pop(task.name)

    async def sweep(self) -> Report | None:
        """One run of `resume_onboardings`; one that dies gives its lease back by time alone."""
        try:
            return await resume(self)
        except Killed:
            self.pause(minutes=5)
        except MusterError as error:
            self.log.append(("sweep", error.cause))
        return None

    async def live(self, hours: float = 12, *, on: bool = False) -> None:
        """Time passes: tasks at their times, a sweep every two minutes; until nothing is under way any more,
        or with `on` for all of the time."""
        end = self._now + timedelta(hours=hours)
        while self._now < end:
            await self.work()
            report = await self.sweep()
            await self.work()
            quiet = report is not None and not report.failed and not any(report.done.values())
            moving = await self.store.count(Query("steps", [("state", "in", ["scheduled", "running"])], group=True))
            coming = min((task.at for task in self.queue.tasks.values() if task.at), default=self._now)
            if quiet and not moving and not on:
                return
            self._now = max(self._now + timedelta(minutes=2), min(coming, end))

    # -- what has become

    async def view(self, onboarding: str) -> View:
        return await view(self, onboarding)

    async def steps(self, onboarding: str) -> dict[str, Step]:
        found = await steps_of(self.store, f"onboardings/{onboarding}")
        return {stored.record.name: stored.record for stored in found}

    async def states(self, onboarding: str) -> dict[str, str]:
        """Each step's state; rooms by their names."""
        names = {ids.room_step(room.room_id): room.name for room in self.homeserver.homes.values()}
        return {names.get(name, name): step.state for name, step in (await self.steps(onboarding)).items()}

    def direct_rooms_of(self, member: str) -> list[FakeRoom]:
        return [room for room in self.homeserver.homes.values() if member in room.direct]

    def said(self, rooms: Iterable[FakeRoom]) -> list[str]:
        """Which step's message each of the bot's events is, oldest first."""
        return [event["content"][MARKER] for room in rooms for event in room.events]

    def rows(self) -> str:
        """Everything that the store holds, as one text."""
        opened = self.store._opened
        assert opened is not None
        return "\n".join(f"{path} {data}" for path, data in opened.execute("SELECT path, data FROM documents"))

    async def documents_in(self, collection: str, *, group: bool = False) -> list[Data]:
        return [item.data for item in (await self.store.query(Query(collection, limit=500, group=group))).items]

    async def audits(self) -> list[Data]:
        page = await self.store.query(Query("audit", order="at", limit=500))
        return [item.data for item in page.items]


def _name(task: Task) -> str:
    return str(task.payload.get("step", task.entry_point))


async def at_home(world: World, onboarding: str, member: str) -> None:
    """What we say of each step is what the homeserver says; every message was said once, the hello first."""
    seen = await world.view(onboarding)
    assert {step.name: step.state for step in seen.steps if step.state != "done" and step.kind != "deactivate"} == {}
    assert (seen.state, seen.onboarding.state) == ("done", "done")
    homes = world.homeserver.homes
    steps = {step.name: step for step in seen.steps}
    for step in seen.steps:
        if step.kind == "room":
            assert homes[step.result["room_id"]].members[member] == step.result["membership"]
    parent = f"onboardings/{onboarding}"
    marks = {name: ids.transaction_id(parent, name, member) for name in ("indoc_farewell", "hello", "welcome")}
    if "indoc_removal" in steps:
        assert world.indoc.members[member] == "leave"
        assert world.said([world.indoc]).count(marks["indoc_farewell"]) == 1
    if "hello" in steps:
        [direct] = world.direct_rooms_of(member)
        assert world.said([direct]) == [marks["hello"], marks["welcome"]]
        assert [event["event_id"] for event in direct.events] == [
            steps["hello"].result["event_id"],
            steps["welcome"].result["event_id"],
        ]
