"""Working off lines, those of an import or the people of an act on many: a few at once, until all are done or the time
of a task is over.

Each line has a key of its own, under which what it makes is made once: who dies between making and recording finds it
made. Only the holder of the step's claim runs, and what it records is a compare-and-set on the part and its head
together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

from msgspec import Struct

from shared.domain.errors import Abandoned, MusterError, TryLater
from shared.domain.imports import Line, Part, recounted
from shared.domain.onboarding import MAX_FAULTS
from shared.repositories import Repository, Stored
from shared.services.context import Ports
from shared.services.lines import part_path
from shared.services.steps import Act, Continues, Done

FOR = timedelta(seconds=25)
"""After which a task begins no more lines: it has 60 s, and its step 50."""
PER_TASK = 200
PAUSE = 2.0
"""Seconds until the next try, where some lines were made and one met a passing fault."""
TRIES = MAX_FAULTS - 1
"""Of one line, with nothing made in between; then it is given up, so that it does not keep the others waiting."""


class Fault(Struct, frozen=True):
    """That is none of the line's own."""

    line: Line
    error: Exception


class Work(Struct, frozen=True):
    """`heads`: of `Import` or `Bulk`. `make`: what becomes of one line. `at_once`: so many. `good`: how a line ends
    that has become what it should. `later`: what to do about a line that was given up."""

    heads: Repository[Any]
    make: Callable[[Act, Any, Line], Awaitable[Line | Fault]]
    at_once: Callable[[Any], int]
    good: tuple[str, ...]
    later: str


class _Place(Struct, frozen=True):
    """Where a run is: the head and one of its parts, as they were written last."""

    head: Stored[Any]
    part: Stored[Part]
    lines: Sequence[Line]

    @property
    def pending(self) -> list[Line]:
        return [line for line in self.lines if line.state == "pending"]


async def work_off(act: Act, work: Work) -> Done | Continues:
    """Raises a passing fault that has kept all that were tried from being made."""
    ports, began, done = act.ports, act.ports.now(), 0
    stored = await work.heads.get(ports.documents, act.step.parent.removeprefix("jobs/"))
    for at in range(stored.record.at, len(stored.record.sizes)):
        place = await _place(ports, stored, at)
        while place.pending and not place.head.record.stopped_at:
            if done >= PER_TASK or ports.now() - began > FOR:
                return Continues(told(place.head.record))
            place, made, faults = await _wave(act, work, place)
            done += made
            if faults:
                return _after_faults(faults, place.head.record, made)
        stored = place.head
        if stored.record.stopped_at:
            break
    return Done(told(stored.record))


def told(head: Any) -> dict[str, object]:
    return {"lines": head.lines, **head.counts}


async def _place(ports: Ports, stored: Stored[Any], at: int) -> _Place:
    document = await ports.documents.get(part_path(stored.path, at))
    if document is None:  # kept for 30 days: nothing is begun after that
        raise Abandoned("what was to be done is gone: it is kept for 30 days", "Begin anew.")
    part = Stored(Part.of(document.data), document.path, document.version)
    head = Stored(stored.record.but(at=at), stored.path, stored.version)
    return _Place(head, part, part.record.read())


async def _wave(act: Act, work: Work, place: _Place) -> tuple[_Place, int, list[Fault]]:
    """The next lines at once; what became of them is recorded before anything else is begun."""
    wave = place.pending[: work.at_once(place.head.record)]
    results = await asyncio.gather(*(work.make(act, place.head.record, line) for line in wave))
    faults = [result for result in results if isinstance(result, Fault)]
    ended = {result.line: result for result in results if isinstance(result, Line)}
    if faults and not ended and act.step.faults + 1 >= TRIES and not _is_ours(faults[0].error):
        ended, faults = {fault.line.line: _given_up(fault, act.step.attempts, work) for fault in faults}, []
    if ended:
        place = await _recorded(act.ports, work, place, ended)
    return place, len(ended), faults


def _is_ours(error: Exception) -> bool:
    """What no line can help, and a person must mend: then the whole step waits or fails."""
    return isinstance(error, Abandoned)


def _given_up(fault: Fault, attempts: int, work: Work) -> Line:
    cause = fault.error.cause if isinstance(fault.error, MusterError) else "Muster failed"
    return fault.line.failed(f"given up after {attempts} tries: {cause}", work.later)


def _after_faults(faults: Sequence[Fault], head: Any, made: int) -> Continues:
    worst = next((fault.error for fault in faults if _is_ours(fault.error)), faults[0].error)
    if not made or _is_ours(worst):
        raise worst
    wait = worst.after if isinstance(worst, TryLater) and worst.after else PAUSE
    return Continues(told(head), wait)


async def _recorded(ports: Ports, work: Work, place: _Place, ended: dict[int, Line]) -> _Place:
    """Part and head in one write."""
    lines = [ended.get(line.line, line) for line in place.lines]
    head = place.head.record
    head = head.but(counts=recounted(head.counts, place.lines, lines))
    failed = next((line for line in ended.values() if line.state not in work.good), None)
    head = head.stopped(failed) if failed else head
    part = Part.of_lines(lines, place.part.record.expire_at)
    versions = await ports.documents.write(place.part.replaced(part), place.head.replaced(head))
    return _Place(Stored(head, place.head.path, versions[1]), Stored(part, place.part.path, versions[0]), lines)
