"""Somebody leaves the community: deactivated in Authentik, then out of every room, in one job.

Idempotent by the job's id under an `Idempotency-Key`, and by each step's document. What was still to be done for them
is stopped before the job is made: were that cut short, asking again stops nothing twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from msgspec import Struct

from shared.bounded import each
from shared.domain import ids, members
from shared.domain.errors import NotFound, Refused
from shared.domain.jobs import Job, fitting, leaving_steps
from shared.domain.members import MemberId
from shared.domain.onboarding import ON_MATRIX, Onboarding, Step, derived_state
from shared.ports import Account
from shared.repositories import ONBOARDINGS
from shared.repositories import steps_of as read_steps
from shared.services.context import Actor, Ports
from shared.services.enroll import MATRIX_ATTRIBUTE
from shared.services.jobs import JobView, begun, job_id, repeated
from shared.services.managed import managed_of, room_id_of
from shared.services.matrix_ids import vouched
from shared.services.removals import Words, all_foreseen, refuse_the_bot, worded
from shared.services.stopping import inviting_steps, open_steps, stop_invites, stop_letters, stop_onboarding
from shared.services.users import no_superuser, not_oneself
from shared.services.where import seen_invited

STILL_RUNNING = timedelta(seconds=60)
"""A step that is being done cannot be called back; it ends within 50 seconds. Removals come after it."""


class Wanted(Struct, frozen=True):
    """`keep_rooms`: ids or aliases of rooms that they stay in. `matrix_ids`: further ids that the admin vouches for."""

    words: Words
    keep_rooms: tuple[str, ...] = ()
    matrix_ids: tuple[str, ...] = ()
    key: str = ""
    body: str = ""


class _Leaver(Struct, frozen=True):
    """`steps`: of their onboarding, as they stand. `people`: their Matrix ids, the first the one that is written to.
    `invited_by`: for each of them the steps that have invited them, or still may: of the onboarding, and of jobs."""

    account: Account
    onboarding: Onboarding | None
    steps: Sequence[Step]
    people: Sequence[MemberId]
    invited_by: Mapping[str, Sequence[Step]]
    notes: Sequence[str]


async def offboard(ports: Ports, actor: Actor, pk: int, wanted: Wanted, *, dry_run: bool = False) -> JobView:
    """Raises `NotFound`, `Forbidden` for a superuser and for oneself, `Invalid`, and `TryLater` where Matrix does
    not say which rooms they are in: then nothing at all is done."""
    name = job_id(ports, actor, f"users/{pk}/offboard", wanted.key)
    known = await repeated(ports, name, wanted.key, wanted.body)
    if known:
        return known
    leaver = await _leaver(ports, pk, wanted)
    not_oneself(actor, leaver.account)
    account, main = leaver.account, (leaver.people[0] if leaver.people else "")
    reason, message = await worded(ports, wanted.words, main, account.username, account.name)
    where, more = fitting(await _where(ports, leaver, wanted.keep_rooms))
    now, inviting = ports.now(), [step for steps in leaver.invited_by.values() for step in steps]
    running = [s for s in open_steps([*leaver.steps, *inviting]) if s.state == "running" and s.kind in ON_MATRIX]
    job = Job(
        id=name,
        kind="offboard",
        matrix_id=main,
        actor=actor.name,
        created_at=now,
        reason=reason,
        request=wanted.body,
        account_pk=pk,
        message=message,
        message_required=wanted.words.required,
        not_before=now + STILL_RUNNING if running else None,
        notes=(*leaver.notes, *more),
    )
    steps = leaving_steps(job, where)
    if dry_run:
        steps = await all_foreseen(ports, job, steps)
        return JobView(job.but(state=derived_state("", steps)), steps)
    if leaver.onboarding:
        await stop_onboarding(ports, actor, leaver.onboarding)
    await stop_invites(ports, leaver.people)
    await stop_letters(ports, leaver.people)
    return await begun(ports, actor, job, steps, "user.offboard", pk=pk, username=account.username)


async def _leaver(ports: Ports, pk: int, wanted: Wanted) -> _Leaver:
    account = no_superuser(await (await ports.directory()).account(pk))
    found = await ONBOARDINGS.find(ports.documents, ids.onboarding_id(account.uid))
    onboarding = found.record if found else None
    steps = [each.record for each in await read_steps(ports.documents, found.path)] if found else []
    people, notes = await _people(ports, account, onboarding, wanted.matrix_ids)
    for person in people:
        await refuse_the_bot(ports, person)
    stopping = [step.name for step in open_steps(steps)]
    if stopping:
        notes.append(f"what was open of their onboarding stops: {', '.join(stopping)}")
    invited_by: dict[str, list[Step]] = {person: await inviting_steps(ports, person) for person in people}
    if onboarding and onboarding.matrix_id in invited_by:
        invited_by[onboarding.matrix_id] += [step for step in steps if step.kind == "room"]
    return _Leaver(account, onboarding, steps, people, invited_by, notes)


async def _people(
    ports: Ports, account: Account, onboarding: Onboarding | None, further: Sequence[str]
) -> tuple[list[MemberId], list[str]]:
    """Which Matrix ids are theirs: what was trusted to bring them in is trusted here. An attribute alone is not: a
    member may have written a stranger's id there, who would be shown out in their place."""
    claimed = str(account.attributes.get(MATRIX_ATTRIBUTE) or "")
    given = onboarding.matrix_id if onboarding else await vouched(ports, account.uid)
    who = members.identify(account.username, ports.policy.domain, given=given, claimed=claimed)
    known = dict.fromkeys(member for member in (who.matrix_id, *further) if member)
    people = [members.member_id(member, "matrix_ids") for member in known]
    notes = []
    if claimed and claimed not in known:
        notes.append(
            f"the account itself names {claimed} as its Matrix id, and nobody has vouched for that: it stays in its "
            "rooms; if it is theirs, name it in matrix_ids"
        )
    if not people:
        notes.append("no Matrix id of theirs is known: nobody is taken out of rooms; name theirs in matrix_ids")
    return people, notes


async def _where(ports: Ports, leaver: _Leaver, keep: Sequence[str]) -> Mapping[str, list[str]]:
    """For each of their ids the rooms: those that they have joined, live, and those that they are invited to, or may be
    by a step that is running: by their onboarding, by a job, or as the last sync has seen."""
    kept = {await room_id_of(ports, room) for room in keep}
    where: dict[str, list[str]] = {}
    for person in leaver.people:
        rooms = [room.room_id for room in await managed_of(ports, person)]
        seen = await seen_invited(ports, person)
        rooms += await _invited(ports, person, leaver.invited_by[person], seen, set(rooms))
        where[person] = [room for room in dict.fromkeys(rooms) if room not in kept]
    return where


async def _invited(ports: Ports, person: str, steps: Sequence[Step], seen: Sequence[str], known: set[str]) -> list[str]:
    """Each looked at live, unless an invite may be on its way."""
    rooms = {str(step.result.get("room_id") or step.room): False for step in steps if step.kind == "room"}
    rooms |= dict.fromkeys(seen, False)
    rooms |= {step.room: True for step in steps if step.kind == "room" and step.state == "running"}

    async def one(room: str) -> str | None:
        try:
            room_id = await room_id_of(ports, room)
            if rooms[room] or room_id in known:
                return room_id
            there = await (await ports.chat()).membership(room_id, person)
        except (Refused, NotFound):
            return None  # the bot is not in it, and has invited nobody to it
        return room_id if there and there.state in ("invite", "knock", "join") else None

    return [room for room in await each(rooms, one) if room and room not in known]
