"""An onboarding or a job, looked at again and again while somebody follows it, for as little as it can.

A look that finds nothing new costs two reads: the record itself, and the step that was changed last. What has changed
is read by its time, the whole of it once a minute. While something moves there are 30 looks a minute, else 12: whoever
follows an onboarding of 9 steps costs about 70 reads a minute while it moves and 35 at rest; a job of 450 steps 512,
and what moved. (Firestore's own listeners cost a thread and a stream each.)
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Generic, Protocol, TypeVar

from msgspec import Struct

from shared.domain import ids
from shared.domain.jobs import Job
from shared.domain.onboarding import ENDED, Onboarding, Step
from shared.domain.records import Record
from shared.ports import Query
from shared.repositories import JOBS, ONBOARDINGS, Repository, Stored, every
from shared.repositories import steps_of as read_steps
from shared.services import bulk_lines
from shared.services.context import Ports
from shared.services.jobs import JobView
from shared.services.onboardings import View
from shared.services.replies import Shown, shown

R = TypeVar("R", bound=Record)

MOVING, STILL = 2.0, 5.0
"""Seconds from one look to the next: while a step runs or is about to, and else."""
WHOLE = timedelta(seconds=60)
"""How old what was read may be: a step whose writer's clock was wrong shows up after that at the latest."""
OVERLAP = timedelta(seconds=5)
"""Clocks of two writers differ by less."""
HEARTBEAT = timedelta(seconds=15)
LONGEST = timedelta(seconds=240)
"""Somebody who follows holds a place on an instance: less than the function's own time limit."""

Pause = Callable[[float], Awaitable[bool]]
"""Waits for so many seconds; False when there is nobody left to wait for."""


class News(Struct, frozen=True):
    """`text`: the thing as it is now; None: there is nothing new, and this says that somebody still looks. `version`:
    of the text, the same wherever it is made. `over`: nothing more will come."""

    text: str | None = None
    version: str = ""
    over: bool = False


class Followed(Protocol):
    """What `news` can tell of."""

    async def look(self) -> bool: ...
    @property
    def over(self) -> bool: ...
    @property
    def pace(self) -> float: ...


class Watch(Generic[R]):
    """One of a collection, with its steps."""

    def __init__(self, ports: Ports, repository: Repository[R], id: str) -> None:  # noqa: A002 - it is the id
        self._ports, self._repository, self._id = ports, repository, id
        self._steps: dict[str, Stored[Step]] = {}
        self._whole_at: datetime | None = None

    async def look(self) -> bool:
        """Whether the whole of it was read. Raises `NotFound`."""
        stored = await self._repository.get(self._ports.documents, self._id)
        self.record, now = stored.record, self._ports.now()
        whole = self._whole_at is None or now - self._whole_at >= WHOLE
        if whole:
            self._steps, self._whole_at = {}, now
        found = await (read_steps(self._ports.documents, stored.path) if whole else self._changed(stored.path))
        self._steps |= {step.record.name: step for step in found}
        return whole

    async def _changed(self, path: str) -> list[Stored[Step]]:
        documents, collection = self._ports.documents, f"{path}/steps"
        latest = (await documents.query(Query(collection, order="-updated_at", limit=1))).items
        known = {step.path: step for step in self._steps.values()}
        if not latest or (latest[0].path in known and known[latest[0].path].version == latest[0].version):
            return []
        times = [step.record.updated_at for step in known.values() if step.record.updated_at]
        if not times:
            return await read_steps(documents, path)
        found = await every(documents, Query(collection, [("updated_at", ">=", max(times) - OVERLAP)], "updated_at"))
        return [Stored(Step.of(item.data), item.path, item.version) for item in found]

    @property
    def steps(self) -> list[Step]:
        """In the order of their names."""
        return [self._steps[name].record for name in sorted(self._steps)]

    @property
    def pace(self) -> float:
        soon = self._ports.now() + timedelta(seconds=STILL)
        moves = any(step.state == "running" or _is_due(step, soon) for step in self.steps)
        return MOVING if moves else STILL


class OnboardingWatch(Watch[Onboarding]):
    """The member's replies are looked for with the whole of it: once a minute."""

    def __init__(self, ports: Ports, id: str) -> None:  # noqa: A002 - it is the id
        super().__init__(ports, ONBOARDINGS, id)
        self._replies: Sequence[Shown] = ()

    async def look(self) -> bool:
        whole = await super().look()
        if whole:
            self._replies = await shown(self._ports, self.record.matrix_id)
        return whole

    @property
    def view(self) -> View:
        return View(self.record, self.steps, self._replies)

    @property
    def over(self) -> bool:
        return self.view.state == "done"


class JobWatch(Watch[Job]):
    """Over once each of its steps has ended: one that failed is tried again only by somebody. Of an act on many a look
    reads the first hundred people as well."""

    def __init__(self, ports: Ports, id: str) -> None:  # noqa: A002 - it is the id
        super().__init__(ports, JOBS, id)

    async def look(self) -> bool:
        whole = await super().look()
        self.view = await bulk_lines.shown(self._ports, JobView(self.record, self.steps))
        return whole

    @property
    def over(self) -> bool:
        return all(step.state in ENDED for step in self.steps)


def _is_due(step: Step, soon: datetime) -> bool:
    return step.state == "scheduled" and step.due_at is not None and step.due_at <= soon


async def news(
    ports: Ports,
    watch: Followed,
    text: Callable[[], str],
    known: str,
    pause: Pause,
    allowed: Callable[[], Awaitable[object]],
    seconds: float,
) -> AsyncIterator[News]:
    """From the look that was taken already until it is over, nobody listens, or so many `seconds` have passed.
    `known`: the version that the reader has. `allowed` is asked before each look, and raises when the reader may no
    longer see it."""
    until = ports.now() + min(LONGEST, timedelta(seconds=max(0.0, seconds)))
    said = ports.now()
    while True:
        content, now = text(), ports.now()
        version = ids.digest("news", content)
        if version != known:
            known, said = version, now
            yield News(content, version)
        elif now - said >= HEARTBEAT:
            said = now
            yield News()
        if watch.over:
            yield News(over=True)
            return
        left = (until - ports.now()).total_seconds()
        if left <= 0 or not await pause(min(watch.pace, left)) or ports.now() >= until:
            return
        await allowed()
        await watch.look()
