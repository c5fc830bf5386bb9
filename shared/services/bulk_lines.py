"""The people of an act on many, as they are stored: looked at page by page, and opened again for another try."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from shared.domain.bulk import Bulk
from shared.domain.errors import Conflict, Invalid
from shared.domain.imports import Line, LineState, Part, recounted
from shared.domain.jobs import Job
from shared.domain.onboarding import Step
from shared.ports import Write
from shared.rarer_repositories import BULKS
from shared.repositories import Stored
from shared.services.context import Ports
from shared.services.jobs import JobView
from shared.services.lines import TOGETHER, part_path, read_lines

SHOWN = 100
"""People in the view of a job; all of them come page by page."""
STATES: dict[str, tuple[LineState, ...]] = {
    "open": ("pending", "begun", "left"),
    "done": ("done",),
    "skipped": ("skipped",),
    "failed": ("failed",),
}
PARTLY = "PARTLY"
"""The code of a step that has come to its end, with people for whom something failed."""


class People(Struct, frozen=True):
    """A page of them; `following`: where the next one begins. `bulk`: what is done to them."""

    bulk: Bulk
    lines: Sequence[Line]
    following: int | None
    total: int


async def shown(ports: Ports, view: JobView, limit: int = SHOWN) -> JobView:
    """With people, where the job is an act on many."""
    if view.job.kind != "bulk":
        return view
    bulk = (await BULKS.get(ports.documents, view.job.id)).record
    lines = await read_lines(ports, BULKS.path(bulk.id), bulk.sizes, 0, limit)
    return replace(view, lines=_as_they_stand(view, lines), counts=_counts(view, bulk))


def _stopped(view: JobView) -> Step | None:
    """The step, where it has failed as a whole: then whoever was to come has been left."""
    step = next(iter(view.steps), None)
    return step if step and step.state == "failed" and step.code != PARTLY else None


def _as_they_stand(view: JobView, lines: Sequence[Line]) -> list[Line]:
    step = _stopped(view)
    if step is None:
        return list(lines)
    return [line.failed(step.cause, step.fix, "left") if line.state == "pending" else line for line in lines]


def _counts(view: JobView, bulk: Bulk) -> dict[str, int]:
    return {("left" if _stopped(view) and state == "pending" else state): n for state, n in bulk.counts.items()}


async def page(ports: Ports, view: JobView, state: str, limit: int, start: int) -> People:
    """The people in this state ("" for all), from the line of that number on. Raises `Invalid` on `cursor`."""
    bulk = (await BULKS.get(ports.documents, view.job.id)).record
    if start and start >= bulk.lines:
        raise Invalid.field("cursor", "expected the next_cursor of the page before")
    wanted = STATES.get(state)
    found: list[Line] = []
    while start < bulk.lines and len(found) <= limit:
        some = await read_lines(ports, BULKS.path(bulk.id), bulk.sizes, start, TOGETHER)
        found += [line for line in some if wanted is None or line.state in wanted]
        start += TOGETHER
    more = found[limit].line - 1 if len(found) > limit else None
    total = sum(count for each, count in bulk.counts.items() if wanted is None or each in wanted)
    return People(bulk, _as_they_stand(view, found[:limit]), more, total)


async def every_part(ports: Ports, bulk: Bulk) -> list[Stored[Part]]:
    """All parts, with their versions. Raises `Conflict` once they are gone."""
    parts: list[Stored[Part]] = []
    paths = [part_path(BULKS.path(bulk.id), at) for at in range(len(bulk.sizes))]
    for at in range(0, len(paths), TOGETHER):
        documents = await ports.documents.get_many(paths[at : at + TOGETHER])
        parts += [Stored(Part.of(each.data), each.path, each.version) for each in documents if each]
    if len(parts) < len(paths):
        raise Conflict("who it was about is kept for 30 days, and gone by now", "Choose the people anew.")
    return parts


async def reopened(ports: Ports, job: Job, only: str = "") -> list[Write]:
    """The writes by which those who failed are to be done once more: all, or the one whose own job is `only`."""
    if job.kind != "bulk":
        return []

    def anew(line: Line) -> Line:
        if line.state != "failed" or (only and line.job != only):
            return line
        return line.but(state="pending", cause="", fix="")

    head = await BULKS.get(ports.documents, job.id)
    return rewritten(head, await every_part(ports, head.record), anew)


def rewritten(head: Stored[Bulk], parts: Sequence[Stored[Part]], change: Callable[[Line], Line]) -> list[Write]:
    """The head and those parts whose lines become others by `change`; it begins anew with the first of them."""
    writes: list[Write] = []
    bulk, first = head.record, len(parts)
    for at, part in enumerate(parts):
        before = part.record.read()
        after = [change(line) for line in before]
        if after != before:
            first = min(first, at)
            bulk = bulk.but(counts=recounted(bulk.counts, before, after))
            writes.append(part.replaced(Part.of_lines(after, part.record.expire_at)))
    if not writes:
        return []
    return [head.replaced(bulk.but(at=min(first, bulk.at))), *writes]
