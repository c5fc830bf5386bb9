"""From steps to tasks, and the one place where a parent of steps is read and settled."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from shared import logs
from shared.domain import ids
from shared.domain.broadcasts import Message
from shared.domain.errors import MusterError, NotFound, Outpaced
from shared.domain.indoc import Stay
from shared.domain.jobs import Job
from shared.domain.onboarding import OPEN, Onboarding, Step, derived_state
from shared.ports import Document, Query, Task
from shared.repositories import Stored, steps_of
from shared.services.context import Ports, log

T = TypeVar("T")
Parent = Onboarding | Job | Stay | Message
PARENTS: dict[str, tuple[str, type[Onboarding] | type[Job] | type[Stay] | type[Message]]] = {
    "onboardings": ("onboarding", Onboarding),
    "jobs": ("job", Job),
    "indoc": ("indoc", Stay),
    "messages": ("message", Message),
}
SETTLED = ("onboardings", "jobs", "indoc")
"""Whose state is what their steps add up to. A message has thousands of steps, and its job says how it stands."""


def task_for(step: Step) -> Task:
    collection, _, parent_id = step.parent.partition("/")
    payload = {"v": 1, PARENTS[collection][0]: parent_id, "step": step.name, "generation": step.generation}
    name = ids.task_name(step.parent, step.name, step.generation)
    return Task(step.entry_point, name, payload, step.due_at, logs.traceparent())


async def enqueue(ports: Ports, steps: Iterable[Step]) -> int:
    """The tasks of those steps that are scheduled. A failure is logged and no more: the steps are
    committed, and `resume_onboardings` enqueues what is overdue."""
    tasks = [task_for(step) for step in steps if step.state == "scheduled"]
    if not tasks:
        return 0
    try:
        return await ports.queue.enqueue(*tasks)
    except MusterError as error:
        log.warning("tasks not enqueued; the sweep will", extra={"fields": {"cause": error.cause, "tasks": len(tasks)}})
        return 0


def parent_of(document: Document | None, path: str) -> Stored[Parent]:
    if document is None:
        raise NotFound(f"there is no {path}")
    record_type = PARENTS[path.partition("/")[0]][1]
    return Stored(record_type.of(document.data), document.path, document.version)


async def again_when_outpaced(attempt: Callable[[], Awaitable[T]], tries: int = 12) -> T:
    """Reads, decides and writes anew whenever another writer was faster. The pauses are jittered, so
    that those who collided once do not collide again."""
    for count in range(tries):
        try:
            return await attempt()
        except Outpaced:
            await asyncio.sleep(random.uniform(0, 0.02 * 2 ** min(count, 5)))  # noqa: S311 - not for secrets
    return await attempt()


async def change_parent(ports: Ports, path: str, change: Callable[[Parent], Parent]) -> Parent:
    """Compare-and-set until it holds; writes nothing when nothing changes."""

    async def attempt() -> Parent:
        stored = parent_of(await ports.documents.get(path), path)
        changed = change(stored.record)
        if changed != stored.record:
            await ports.documents.write(stored.replaced(changed))
        return changed

    return await again_when_outpaced(attempt)


async def settle(ports: Ports, path: str) -> None:
    """Once no step is open any more, writes what they add up to. Whoever commits the last step
    sees all the others, so one of several that end at once always does it. A step that this process
    is doing just now is open, and settles in its turn: then there is no need to look."""
    if any(step.startswith(f"{path}/") for step in ports.under_way) or not _is_settled(path):
        return
    still_open = await ports.documents.query(Query(f"{path}/steps", [("state", "in", list(OPEN))], limit=1))
    if not still_open.items:
        await restate(ports, path)


def _is_settled(path: str) -> bool:
    return path.partition("/")[0] in SETTLED


def going_on(parent: Parent) -> Parent:
    """As it is once one of its steps begins anew."""
    if isinstance(parent, Message):
        return parent
    held = getattr(parent, "hold", "") == "pending"
    return parent.but(state="held" if held else "running", finished_at=None)


async def restate(ports: Ports, path: str) -> None:
    """The parent is read before its steps: whoever changes both meanwhile makes this one begin anew."""
    if not _is_settled(path):
        return

    async def attempt() -> None:
        stored = parent_of(await ports.documents.get(path), path)
        if stored.record.state == "done":
            return  # somebody who ended at the same moment has said so; whoever opens a step again says that first
        steps = [step.record for step in await steps_of(ports.documents, path)]
        state = derived_state(getattr(stored.record, "hold", ""), steps)
        finished = (stored.record.finished_at or ports.now()) if state == "done" else None
        changed = stored.record.but(state=state, finished_at=finished)
        if changed != stored.record:
            await ports.documents.write(stored.replaced(changed))
            if isinstance(changed, Job) and changed.kind != "email":  # which moves nobody
                from shared.services.sync_requests import nudge  # with the cache behind it, which no other step needs

                await nudge(ports, "matrix")

    await again_when_outpaced(attempt)
