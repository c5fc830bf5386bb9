"""Plans: computed, kept for a month, listed, read page by page.

The lines are packed, so many to a document, the lines of one member in the same one.
"""

from __future__ import annotations

import asyncio
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import timedelta
from itertools import groupby
from typing import Any

import msgspec
from msgspec import Struct

from shared.domain import ids, members
from shared.domain.audit import audit
from shared.domain.bundles import Bundle
from shared.domain.errors import Conflict, Invalid, NotFound, Outpaced
from shared.domain.forecast import forecast, per_member
from shared.domain.planning import plan
from shared.domain.plans import Line, Plan, Rules, Scope
from shared.ports import Document, Put
from shared.rarer_repositories import PLANS
from shared.repositories import Listing, audit_write
from shared.services import bundles
from shared.services.cached_community import CachedCommunity, cached, looked_again
from shared.services.community import LiveCommunity, TooLarge, live
from shared.services.context import Actor, Ports
from shared.services.managed import room_id_of

KEPT = timedelta(days=30)
PART = 1_000
"""Lines in one document, about: so many that a task can make their jobs well within its time."""
MOST_PARTS = 400
"""An apply is one batch, with a step a part."""
TOGETHER = 20
SCANNED = 10
"""Parts that one page of lines reads, at most."""
LIFT = "scripts/setup bot"
NAMED = 10
"""Matrix ids that one note names."""


class Wanted(Struct, frozen=True):
    """What a plan is limited to; empty: everybody, and all bundles. `bundles`: ids or names."""

    bundles: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    matrix_ids: tuple[str, ...] = ()
    key: str = ""
    body: str = ""


async def create(ports: Ports, actor: Actor, wanted: Wanted, *, dry_run: bool = False) -> tuple[Plan, bool]:
    """The plan, and whether it was made just now. Reads and computes; changes nothing in the world. Raises `Invalid`,
    `Conflict` for a key used with another body."""
    name = ids.keyed_id("plan", actor.name, "plans", wanted.key or f"{ports.chance():032x}")
    known = await PLANS.find(ports.documents, name) if wanted.key else None
    if known:
        return _repeated(known.record, wanted), False
    held = await bundles.everyone(ports)
    scope = await _scope(ports, wanted)
    community, lines = await _computed(ports, held, scope)
    parts = list(_parts(lines))
    if len(parts) > MOST_PARTS:
        raise Conflict(f"the plan has {len(lines)} lines, too many to be kept", "Limit it to bundles or groups.")
    now = ports.now()
    made = Plan(
        id=name,
        actor=actor.name,
        created_at=now,
        expire_at=now + KEPT,
        bundles=tuple(sorted(scope.bundles)),
        groups=wanted.groups,
        matrix_ids=wanted.matrix_ids,
        revisions={bundle.id: bundle.revision for bundle in held},
        people=len(community.people),
        counts=dict(Counter(line.action for line in lines)),
        notes=(*_unknown(scope, community), *await _notes(ports, community, lines)),
        sizes=tuple(len(part) for part in parts),
        request=wanted.body,
    )
    if dry_run:
        return made, True
    return await _keep(ports, actor, made, parts, wanted)


async def _computed(
    ports: Ports, held: Sequence[Bundle], scope: Scope
) -> tuple[LiveCommunity | CachedCommunity, list[Line]]:
    """Live where the community can be read within a request: that is the truth, and needs no cache. Of a larger one as
    the cache has it, with whoever the lines would touch read again."""
    rules = await _rules(ports)
    try:
        community: LiveCommunity | CachedCommunity = await live(ports, held)
    except TooLarge as error:
        found = await cached(ports, held)
        if found is None:
            fix = "There is no cache yet: POST /api/sync, wait for its end (GET /api/sync), then plan anew."
            raise Conflict(error.cause, fix) from error
        first = await asyncio.to_thread(plan, held, found, rules, scope)
        community = await looked_again(ports, found, first, scope.matrix_ids)
        if community is found:
            return found, first
    return community, await asyncio.to_thread(plan, held, community, rules, scope)


async def _keep(
    ports: Ports, actor: Actor, made: Plan, parts: Sequence[Sequence[Line]], wanted: Wanted
) -> tuple[Plan, bool]:
    """The parts first: a plan that is there has all of its lines."""
    writes = [Put(part_path(made.id, number), _packed(made, part)) for number, part in enumerate(parts)]
    for at in range(0, len(writes), TOGETHER):
        await ports.documents.write(*writes[at : at + TOGETHER])
    detail = {"counts": made.counts, "bundles": list(made.bundles), "groups": list(made.groups)}
    record = audit(made.created_at, actor.name, "plan.create", made.id, source=actor.source, detail=detail)
    try:
        await ports.documents.write(PLANS.create(made, made.id), audit_write(record))
    except Outpaced:  # the same key at the same moment
        return _repeated((await PLANS.get(ports.documents, made.id)).record, wanted), False
    return made, True


def _repeated(known: Plan, wanted: Wanted) -> Plan:
    if known.request != wanted.body:
        raise Conflict("this Idempotency-Key was used with another body", "Use a new key for a new plan.")
    return known


async def _scope(ports: Ports, wanted: Wanted) -> Scope:
    named = await bundles.named(ports, wanted.bundles)
    await bundles.check_there(ports, wanted.groups, "groups")
    people = frozenset(str(members.member_id(each, "matrix_ids")) for each in wanted.matrix_ids)
    return Scope(frozenset(bundle.id for bundle in named), frozenset(wanted.groups), people)


async def _rules(ports: Ports) -> Rules:
    policy, chat = ports.policy, await ports.chat()
    joins = policy.membership == "join" and await chat.may_join_members()
    everybodys = [*policy.default_rooms, *([policy.indoc] if policy.indoc else [])]
    return Rules(
        bot=(await chat.whoami()).user_id,
        membership="join" if joins else "invite",
        everybodys=frozenset([await room_id_of(ports, room) for room in everybodys]),
        protected=frozenset(policy.protected),
        protected_groups=frozenset({policy.admin_group} - {""}),
    )


def _unknown(scope: Scope, community: LiveCommunity | CachedCommunity) -> list[str]:
    """Asked for by their Matrix ids, and nothing is planned for them."""
    unknown = sorted(scope.matrix_ids - {person.matrix_id for person in community.people})
    more = f" and {len(unknown) - NAMED} more" if len(unknown) > NAMED else ""
    known = "is known as no account's Matrix id: nothing is planned for them. POST /api/users/{pk}/onboard names it."
    return [f"{', '.join(unknown[:NAMED])}{more} {known}"] if unknown else []


async def _notes(ports: Ports, community: LiveCommunity | CachedCommunity, lines: Sequence[Line]) -> list[str]:
    """What whoever reads the plan should know beforehand."""
    notes = [*community.notes]
    notes += [f"The bot is not in the room {room}: nothing is planned there." for room in community.missing]
    seen = forecast(per_member(line.matrix_id for line in lines if line.action == "invite"))
    if seen.later and not await (await ports.chat()).unlimited():
        notes.append(seen.words(LIFT))
    return notes


# ------------------------------------------------------------------ lines


def part_path(plan_id: str, number: int) -> str:
    return f"plans/{plan_id}/lines/{number:04d}"


def _parts(lines: Iterable[Line]) -> Iterable[list[Line]]:
    part: list[Line] = []
    for _, own in groupby(lines, lambda line: line.matrix_id):
        part += own
        if len(part) >= PART:
            yield part
            part = []
    if part:
        yield part


def _packed(made: Plan, lines: Sequence[Line]) -> dict[str, Any]:
    return {"v": 1, "expire_at": made.expire_at, "packed": zlib.compress(msgspec.json.encode(lines))}


def _unpacked(document: Document | None) -> list[Line]:
    if document is None:
        raise NotFound("the lines of this plan are gone", "Make a new plan.")
    return msgspec.json.decode(zlib.decompress(document.data["packed"]), type=list[Line])


async def lines_of(ports: Ports, plan_id: str, *parts: int) -> list[Line]:
    found = await ports.documents.get_many([part_path(plan_id, number) for number in parts])
    return [line for document in found for line in _unpacked(document)]


class Page(Struct, frozen=True):
    items: Sequence[Line]
    next_cursor: str | None
    total: int


async def page(ports: Ports, plan_id: str, action: str, limit: int, cursor: str | None) -> Page:
    """Of one action, or of all; a page of one action may be short, and the next one goes on."""
    made = await read(ports, plan_id)
    part, at = _position(made, cursor)
    items: list[Line] = []
    for number in range(part, min(part + SCANNED, len(made.sizes))):
        lines = await lines_of(ports, plan_id, number)
        for offset in range(at if number == part else 0, len(lines)):
            if action and lines[offset].action != action:
                continue
            if len(items) == limit:
                return Page(items, f"{number}-{offset}", _total(made, action))
            items.append(lines[offset])
    following = part + SCANNED
    return Page(items, f"{following}-0" if following < len(made.sizes) else None, _total(made, action))


def _total(made: Plan, action: str) -> int:
    return made.counts.get(action, 0) if action else made.total


def _position(made: Plan, cursor: str | None) -> tuple[int, int]:
    part, _, offset = (cursor or "0-0").partition("-")
    if all(text.isascii() and text.isdigit() and len(text) < 6 for text in (part, offset)):
        number, at = int(part), int(offset)
        if not cursor or (number < len(made.sizes) and at < max(made.sizes[number], 1)):
            return number, at
    raise Invalid.field("cursor", "expected the next_cursor of the page before")


# ------------------------------------------------------------------ read


async def read(ports: Ports, plan_id: str) -> Plan:
    """Raises `NotFound`."""
    return (await PLANS.get(ports.documents, plan_id)).record


async def listing(ports: Ports, limit: int, cursor: str | None) -> Listing[Plan]:
    return await PLANS.list(ports.documents, (), "-created_at", limit, cursor)
