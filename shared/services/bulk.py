"""One act on many people, begun: who is meant is decided once, and stored in one batch with the job that does it.

Idempotent by the job's id, which derives from caller and `Idempotency-Key`; each person by a line of their own
(`shared.services.bulk_deeds`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from msgspec import Struct

from shared.domain.audit import audit
from shared.domain.bulk import (
    BY_HAND,
    MOST,
    MOST_NAMED,
    UNASKED,
    Bulk,
    Deed,
    Guard,
    Someone,
    line_of,
    needless,
    words,
)
from shared.domain.cached_users import UserRow
from shared.domain.errors import Conflict, Invalid, Outpaced
from shared.domain.imports import Line, counted
from shared.domain.jobs import Job
from shared.domain.onboarding import Onboarding, Step
from shared.ports import Create, Group
from shared.rarer_repositories import BULKS
from shared.repositories import JOBS, ONBOARDINGS, audit_write
from shared.services import lists
from shared.services.bulk_lines import shown
from shared.services.community import OUT
from shared.services.context import Actor, Ports
from shared.services.groups import all_groups, check_grantable, find
from shared.services.import_check import rooms_against
from shared.services.jobs import JobView, job_id, repeated, view
from shared.services.lines import TOGETHER, creations
from shared.services.tasks import enqueue


class Wanted(Struct, frozen=True):
    """`filter`: everybody whom that list shows; else `pks`. `count`: how many the admin knows of."""

    deed: Deed
    pks: tuple[int, ...] = ()
    filter: lists.Wanted | None = None
    group: str = ""
    rooms: tuple[str, ...] = ()
    count: int | None = None
    key: str = ""
    body: str = ""


async def start(ports: Ports, actor: Actor, wanted: Wanted, *, dry_run: bool = False) -> JobView:
    """Everybody, as the job begins them. Raises `Invalid`; `Conflict` where it would be more people than `count`, and
    for a key used with another body."""
    name = job_id(ports, actor, "users/bulk", wanted.key)
    known = await repeated(ports, name, wanted.key, wanted.body)
    if known:
        return await shown(ports, known, MOST)
    group = await _group(ports, wanted)
    await _check_rooms(ports, wanted)
    bulk = Bulk(id=name, deed=wanted.deed, actor=actor.name, created_at=ports.now(), rooms=wanted.rooms)
    bulk = bulk.but(group=group.name, group_pk=group.pk) if group else bulk
    lines = await _lines(ports, bulk, wanted)
    _check_count(wanted, lines, dry_run=dry_run)
    bulk = bulk.but(counts=counted(lines))
    job, steps = _job(bulk, wanted)
    if dry_run:
        return JobView(job, steps, lines, bulk.counts)
    try:
        await _begin(ports, actor, bulk, job, steps, lines, wanted)
    except Outpaced:  # the same key at the same moment
        return await shown(ports, await view(ports, name), MOST)
    return JobView(job, steps, lines, bulk.counts)


async def _begin(
    ports: Ports,
    actor: Actor,
    bulk: Bulk,
    job: Job,
    steps: Sequence[Step],
    lines: Sequence[Line],
    wanted: Wanted,
) -> None:
    """At most 206 writes; then the task."""
    sizes, parts = creations(BULKS.path(bulk.id), lines, bulk.created_at)
    by = wanted.filter
    asked = {"q": by.words, "active": by.active, "group": by.group} if by else {}
    detail = {"job": job.id, "people": len(lines), "counts": bulk.counts, "group": bulk.group}
    record = audit(bulk.created_at, actor.name, f"users.{bulk.deed}", job.id, source=actor.source)
    await ports.documents.write(
        JOBS.create(job, job.id),
        BULKS.create(bulk.but(sizes=sizes), bulk.id),
        *(Create(step.path, step.data()) for step in steps),
        *parts,
        audit_write(record.but(detail={**detail, "rooms": list(bulk.rooms), "filter": asked})),
    )
    await enqueue(ports, steps)


def _job(bulk: Bulk, wanted: Wanted) -> tuple[Job, list[Step]]:
    """One step, which goes on from task to task until all are done; none where there is nothing to do."""
    at, acted = bulk.created_at, bulk.counts.get("pending", 0)
    job = Job(
        id=bulk.id,
        kind="bulk",
        matrix_id="",
        actor=bulk.actor,
        created_at=at,
        reason=words(bulk, acted),
        request=wanted.body,
        state="running" if acted else "done",
        finished_at=None if acted else at,
    )
    step = Step(parent=f"jobs/{job.id}", name="people", kind="people", due_at=at, updated_at=at)
    return job, [step] if acted else []


async def _group(ports: Ports, wanted: Wanted) -> Group | None:
    """Raises `Invalid` on `group`: for one that is not there, or that no form may grant."""
    if wanted.deed not in ("add_group", "remove_group"):
        return None
    try:
        if wanted.deed == "add_group":
            return (await check_grantable(ports, [wanted.group]))[0]
        found = find(await all_groups(ports, fresh=True), wanted.group)
    except Invalid as error:
        raise Invalid.field("group", error.cause.removeprefix("groups: ")) from error
    if found is None:
        raise Invalid.field("group", f"there is no group {wanted.group!r} in Authentik")
    return found


async def _check_rooms(ports: Ports, wanted: Wanted) -> None:
    against = await rooms_against(ports, wanted.rooms)
    if against:
        raise Invalid("; ".join(against.values()), [("rooms", message) for message in against.values()])


# ------------------------------------------------------------------ who


async def _lines(ports: Ports, bulk: Bulk, wanted: Wanted) -> list[Line]:
    guard = Guard(bulk.actor, ports.policy.admin_group, ports.policy.bot, ports.policy.domain)
    people = await _people(ports, wanted)
    out = await _held(ports, bulk, [one for one in people if isinstance(one, Someone)])
    return [_line(number, one, bulk, guard, out) for number, one in enumerate(people, 1)]


def _line(number: int, one: Someone | int, bulk: Bulk, guard: Guard, out: Collection[str]) -> Line:
    if isinstance(one, int):
        gone = Line(line=number, id=str(one), label=f"account {one}")
        return gone.failed("there is no such account in Authentik", "Read the list anew.", "skipped")
    against = guard.against(one)
    if against:
        return line_of(number, one, against, BY_HAND)
    if one.onboarding in out:
        return line_of(number, one, "is held until an admin decides, or was rejected", "Decide on their onboarding.")
    return line_of(number, one, needless(bulk.deed, one, bulk.group_pk))


async def _people(ports: Ports, wanted: Wanted) -> list[Someone | int]:
    """A number alone: nobody has it."""
    if wanted.filter is None:
        if len(wanted.pks) > MOST_NAMED:
            raise Invalid.field("pks", f"expected at most {MOST_NAMED}; use a filter for more")
        found = await lists.named(ports, wanted.pks)
        return [someone(row, names) if row else pk for pk, row, names in found]
    rows = await lists.chosen(ports, wanted.filter, MOST)
    if len(rows) > MOST:
        raise Invalid.field("filter", f"these are more than {MOST} people: narrow it down, and do it in several times")
    if not rows:
        raise Invalid.field("filter", "nobody is found by it")
    return [someone(row, names) for row, names in rows]


def someone(row: UserRow, names: Sequence[str]) -> Someone:
    groups = frozenset((*names, *row.groups))
    return Someone(row.pk, row.username, row.name, row.active, row.superuser, groups, row.matrix_id, row.onboarding)


async def _held(ports: Ports, bulk: Bulk, people: Sequence[Someone]) -> set[str]:
    """Onboardings that keep their accounts from being activated: an admin has to decide on each."""
    if bulk.deed != "activate":
        return set()
    paths = [ONBOARDINGS.path(one.onboarding) for one in people if one.onboarding and not one.active]
    held: set[str] = set()
    for at in range(0, len(paths), TOGETHER):
        for document in await ports.documents.get_many(paths[at : at + TOGETHER]):
            onboarding = Onboarding.of(document.data) if document else None
            if onboarding and onboarding.hold in OUT:
                held.add(onboarding.id)
    return held


# ------------------------------------------------------------------ how many


def _check_count(wanted: Wanted, lines: Sequence[Line], *, dry_run: bool) -> None:
    """Nobody is to do it to 9,000 who has seen 90. Raises `Conflict` with the number that it is now."""
    acted = sum(line.state == "pending" for line in lines)
    fix = f'Look at them again; if that is what you want, send "count": {acted}.'
    many = wanted.deed == "deactivate" and acted > UNASKED
    if wanted.count is None:
        if wanted.filter and not dry_run:
            raise Invalid.field("count", f"expected how many people you mean; they are {acted}")
        if many and not dry_run:
            raise Conflict(f"this deactivates {acted} people", fix)
    elif acted > wanted.count or (many and wanted.count not in (acted, len(lines))):
        raise Conflict(f"these are {acted} people now, not {wanted.count}", fix)
