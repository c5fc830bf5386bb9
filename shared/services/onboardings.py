"""What an admin does with an onboarding: look, retry, skip, approve, reject, name the Matrix id."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from shared.domain import ids, members
from shared.domain.audit import audit
from shared.domain.bundles import Grant, granted
from shared.domain.errors import Conflict, NotFound
from shared.domain.invites import used
from shared.domain.onboarding import (
    ENDED,
    FOLLOWER,
    ON_MATRIX,
    Onboarding,
    OnboardingState,
    Plan,
    Step,
    again,
    derived_state,
    looks_up_presence,
    start_of,
    steps_of,
)
from shared.ports import Account, Create, Write
from shared.repositories import INVITES, ONBOARDINGS, Listing, Stored, audit_write
from shared.repositories import steps_of as read_steps
from shared.services import bundles
from shared.services.context import Actor, Ports, note
from shared.services.enroll import Start, begin, planned
from shared.services.replies import Shown, shown
from shared.services.tasks import again_when_outpaced, enqueue

Change = Callable[[Step], Step]


class View(Struct, frozen=True):
    """An onboarding with its steps, as they stand. `replies`: the member's latest, for `view_with_replies` alone."""

    onboarding: Onboarding
    steps: Sequence[Step]
    replies: Sequence[Shown] = ()

    @property
    def state(self) -> OnboardingState:
        return derived_state(self.onboarding.hold, self.steps)


async def view(ports: Ports, onboarding_id: str) -> View:
    stored = await ONBOARDINGS.get(ports.documents, onboarding_id)
    return View(stored.record, [step.record for step in await read_steps(ports.documents, stored.path)])


async def view_with_replies(ports: Ports, onboarding_id: str) -> View:
    seen = await view(ports, onboarding_id)
    return replace(seen, replies=await shown(ports, seen.onboarding.matrix_id))


async def listing(ports: Ports, state: str, limit: int, cursor: str | None) -> Listing[Onboarding]:
    where = [("state", "==", state)] if state else []
    return await ONBOARDINGS.list(ports.documents, where, "-created_at", limit, cursor)  # type: ignore[arg-type]


async def retry(ports: Ports, actor: Actor, onboarding_id: str, names: Sequence[str], *, dry_run: bool = False) -> View:
    """Failed steps again, all of them or those named (then also waiting ones). What is done stays done."""
    now = ports.now()

    def change(step: Step) -> Step:
        return again(step, names, now)

    return await _change(ports, actor, "onboarding.retry", onboarding_id, change, names, dry_run=dry_run)


async def skip(
    ports: Ports, actor: Actor, onboarding_id: str, name: str, reason: str, *, dry_run: bool = False
) -> View:
    now = ports.now()

    def skipped(step: Step) -> Step:
        if step.name != name:
            return step
        if step.state == "done":
            raise Conflict(f"the step {name!r} is done already", "There is nothing to skip.")
        return step.ended("skipped", now, result={"reason": reason, "by": actor.name})

    return await _change(ports, actor, "onboarding.skip", onboarding_id, skipped, [name], dry_run=dry_run)


async def approve(ports: Ports, actor: Actor, onboarding_id: str, *, dry_run: bool = False) -> View:
    """A held one goes on: the use is counted, the account activated again, everything started."""
    now = ports.now()

    async def attempt() -> View:
        stored, steps = await _held(ports, onboarding_id)
        onboarding = stored.record.but(hold="approved", hold_by=actor.name, state="running")
        changed = [(step, _freed(step.record, onboarding, now)) for step in steps]
        added = [Step(parent=stored.path, name="activate", kind="activate", due_at=now, updated_at=now)]
        writes: list[Write] = []
        invite = await INVITES.find(ports.documents, onboarding.invite) if onboarding.invite else None
        if invite:
            counted = used(invite.record, onboarding.id, now)
            if counted.closed != invite.record.closed:
                closing = Step(parent=stored.path, name="invitation", kind="invitation", due_at=now, updated_at=now)
                if closing.name in {step.record.name for step in steps}:
                    changed = [(s, r.scheduled(now) if r.name == closing.name else r) for s, r in changed]
                else:
                    added.append(closing)
            if counted != invite.record:
                writes.append(invite.replaced(counted))
        writes += [Create(step.path, step.data()) for step in added]
        return await _commit(ports, actor, "onboarding.approve", stored, onboarding, changed, writes, added, dry_run)

    return await again_when_outpaced(attempt)


async def reject(ports: Ports, actor: Actor, onboarding_id: str, *, dry_run: bool = False) -> View:
    """A held one ends: the account stays deactivated, every step that was waiting is skipped."""
    now = ports.now()
    reason = {"reason": "rejected", "by": actor.name}

    async def attempt() -> View:
        stored, steps = await _held(ports, onboarding_id)
        onboarding = stored.record.but(hold="rejected", hold_by=actor.name)
        changed = [
            (step, step.record.ended("skipped", now, result=reason) if step.record.state == "pending" else step.record)
            for step in steps
        ]
        return await _commit(ports, actor, "onboarding.reject", stored, onboarding, changed, [], [], dry_run)

    return await again_when_outpaced(attempt)


async def _held(ports: Ports, onboarding_id: str) -> tuple[Stored[Onboarding], list[Stored[Step]]]:
    stored = await ONBOARDINGS.get(ports.documents, onboarding_id)
    if stored.record.hold != "pending":
        done = f"it was {stored.record.hold} by {stored.record.hold_by}" if stored.record.hold else "it never was"
        raise Conflict(f"this onboarding is not held: {done}", "Look at its steps.")
    return stored, await read_steps(ports.documents, stored.path)


def _freed(step: Step, onboarding: Onboarding, now: datetime) -> Step:
    """From pending to where a new onboarding's step would start."""
    return start_of(step.but(state="scheduled", due_at=now), onboarding, now) if step.state == "pending" else step


class Wanted(Struct, frozen=True):
    """For an existing account. None: as it was, or as the settings have it."""

    matrix_id: str = ""
    rooms: tuple[str, ...] = ()
    skip_indoc: bool | None = None
    send_welcome: bool | None = None
    bundles: tuple[str, ...] = ()


async def onboard(ports: Ports, actor: Actor, account: Account, wanted: Wanted, *, dry_run: bool = False) -> View:
    """Starts an onboarding, or goes on with the one that there is: a Matrix id given now resumes what
    waited for it, rooms are added, failed steps are tried again."""
    onboarding_id = ids.onboarding_id(account.uid)
    if wanted.matrix_id:
        members.member_id(wanted.matrix_id)
    wanted = replace(wanted, bundles=await bundles.granting(ports, wanted.bundles))
    known = await ONBOARDINGS.find(ports.documents, onboarding_id)
    if known is None:
        start = Start(
            "api",
            actor,
            matrix_id=wanted.matrix_id,
            rooms=wanted.rooms,
            skip_indoc=bool(wanted.skip_indoc),
            send_welcome=wanted.send_welcome is not False,
            bundles=wanted.bundles,
        )
        return await begun(ports, account, start, dry_run=dry_run)
    return await _resume(ports, actor, onboarding_id, wanted, dry_run=dry_run)


async def begun(ports: Ports, account: Account, start: Start, *, dry_run: bool = False) -> View:
    """A new onboarding; with `dry_run`, as it would be."""
    if dry_run:
        onboarding, steps = await planned(ports, account, start)
        return View(onboarding, steps)
    verdict = await begin(ports, account, start)
    return await view(ports, verdict.onboarding)


async def _resume(ports: Ports, actor: Actor, onboarding_id: str, wanted: Wanted, *, dry_run: bool) -> View:
    now = ports.now()

    async def attempt() -> View:
        stored = await ONBOARDINGS.get(ports.documents, onboarding_id)
        if stored.record.hold == "rejected":
            raise Conflict(
                f"{stored.record.hold_by} has rejected this member", "Invite them anew if that was a mistake."
            )
        steps = await read_steps(ports.documents, stored.path)
        onboarding, renamed = _renamed(stored.record, wanted)
        grant = granted(await bundles.of_ids(ports, wanted.bundles))
        onboarding, more_groups = _with_bundles(onboarding, wanted, grant)
        changed = [(step, _resumed(step.record, onboarding, wanted, now, renamed=renamed)) for step in steps]
        if more_groups:
            changed = [(step, _regrouped(record, onboarding, now)) for step, record in changed]
        changed = [(step, _raised(record, onboarding, grant, now)) for step, record in changed]
        added = _added(ports, onboarding, wanted, {step.record.name for step in steps}, grant, more_groups)
        onboarding = _unpaced(onboarding).but(seen_by=onboarding.seen_by or looks_up_presence(added))
        writes: list[Write] = [Create(step.path, step.data()) for step in added]
        return await _commit(ports, actor, "onboarding.resume", stored, onboarding, changed, writes, added, dry_run)

    return await again_when_outpaced(attempt)


def _renamed(onboarding: Onboarding, wanted: Wanted) -> tuple[Onboarding, bool]:
    if not wanted.matrix_id or wanted.matrix_id == onboarding.matrix_id:
        return onboarding, False
    return onboarding.but(matrix_id=wanted.matrix_id, given_by="admin", seen=None, look_at=None), True


def _resumed(step: Step, onboarding: Onboarding, wanted: Wanted, now: datetime, *, renamed: bool) -> Step:
    """With another Matrix id, what was done for the first one, or is being done, is done anew; else only
    what failed or waits."""
    if onboarding.hold == "pending":
        return step
    if step.name in ("indoc_farewell", "indoc_removal") and wanted.skip_indoc and step.state != "done":
        return step.ended("skipped", now, result={"reason": "left in INDOC, as the admin asked"})
    if step.waits_for == "person" and not onboarding.matrix_id:
        return step
    if renamed and step.kind in ON_MATRIX and step.state not in ("pending", "skipped"):
        step = step.but(result={}, sent_at=None, sent_device="", attempts=0)
    elif step.state not in ("failed", "waiting"):
        return step
    fresh = step.scheduled(now).but(faults=0, cause="", fix="", code="")
    return fresh.but(state="pending", due_at=None) if step.kind in FOLLOWER.values() else fresh


def _with_bundles(onboarding: Onboarding, wanted: Wanted, grant: Grant) -> tuple[Onboarding, bool]:
    """And whether they bring groups that it did not have."""
    groups = tuple(dict.fromkeys((*onboarding.groups, *grant.groups)))
    held = tuple(dict.fromkeys((*onboarding.bundles, *wanted.bundles)))
    return onboarding.but(bundles=held, groups=groups), groups != onboarding.groups


def _regrouped(step: Step, onboarding: Onboarding, now: datetime) -> Step:
    """The groups once more, where they have been added before."""
    if step.kind != "groups" or onboarding.hold == "pending":
        return step
    return step.scheduled(now).but(faults=0, cause="", fix="", code="")


def _raised(step: Step, onboarding: Onboarding, grant: Grant, now: datetime) -> Step:
    """A higher level than the one that was, or is, to be given."""
    level = grant.levels.get(step.room, 0)
    if step.kind != "level" or level <= step.wanted.get("level", level):
        return step
    return start_of(step.scheduled(now).but(wanted={"level": level}, faults=0, cause="", fix=""), onboarding, now)


def _added(
    ports: Ports, onboarding: Onboarding, wanted: Wanted, known: set[str], grant: Grant, more_groups: bool
) -> list[Step]:
    """Steps that this onboarding did not have yet."""
    plan = Plan(
        rooms=(*wanted.rooms, *grant.rooms),
        groups=onboarding.groups if more_groups else (),
        levels=grant.levels,
        ways=grant.ways,
        indoc=ports.policy.indoc,
        remove_from_indoc=wanted.skip_indoc is False and ports.policy.auto_remove,
        send_welcome=wanted.send_welcome is True,
    )
    return [
        step for step in steps_of(onboarding, plan, ports.now()) if step.name not in known and step.kind != "deactivate"
    ]


async def _change(
    ports: Ports, actor: Actor, action: str, onboarding_id: str, change: Change, names: Sequence[str], *, dry_run: bool
) -> View:
    async def attempt() -> View:
        stored = await ONBOARDINGS.get(ports.documents, onboarding_id)
        steps = await read_steps(ports.documents, stored.path)
        missing = set(names) - {step.record.name for step in steps}
        if missing:
            raise NotFound(f"this onboarding has no step {min(missing)!r}", "GET it to see its steps.")
        if stored.record.hold == "pending":
            raise Conflict("this onboarding is held", "Approve or reject it first.")
        changed = [(step, change(step.record)) for step in steps]
        return await _commit(ports, actor, action, stored, _unpaced(stored.record), changed, [], [], dry_run)

    return await again_when_outpaced(attempt)


def _unpaced(onboarding: Onboarding) -> Onboarding:
    """An admin who says "again" means now: perhaps the limiter has just been lifted. If not, the next
    refusal sets the pace anew."""
    return onboarding.but(pace_interval=0.0, pace_until=None)


async def _commit(
    ports: Ports,
    actor: Actor,
    action: str,
    stored: Stored[Onboarding],
    onboarding: Onboarding,
    changed: Sequence[tuple[Stored[Step], Step]],
    writes: Sequence[Write],
    added: Sequence[Step],
    dry_run: bool,
) -> View:
    """One batch: the onboarding with its new state, the steps, whatever else, the audit; then the tasks."""
    if onboarding.hold != "pending":
        changed = [(step, _released(record, changed, ports)) for step, record in changed]
    steps = [*(record for _, record in changed), *added]
    state, now = derived_state(onboarding.hold, steps), ports.now()
    onboarding = onboarding.but(state=state, finished_at=(onboarding.finished_at or now) if state == "done" else None)
    moved = [(step, record) for step, record in changed if step.record != record]
    if dry_run or (not moved and not writes and onboarding == stored.record):
        return View(onboarding, steps)
    record = audit(now, actor.name, action, onboarding.username, onboarding.id, source=actor.source)
    detail = {"onboarding": onboarding.id, "steps": [step.name for step in (*(r for _, r in moved), *added)]}
    await ports.documents.write(
        stored.replaced(onboarding),
        *(step.replaced(record) for step, record in moved),
        *writes,
        audit_write(record.but(detail=detail)),
    )
    await enqueue(ports, [*(record for _, record in moved), *added])
    note(action, onboarding=onboarding.id, steps=detail["steps"], state=state)
    return View(onboarding, steps)


def _released(step: Step, changed: Sequence[tuple[Stored[Step], Step]], ports: Ports) -> Step:
    """A follower whose leader has ended has nobody left to start it."""
    leader_name = next((leader for leader, follower in FOLLOWER.items() if follower == step.kind), None)
    leader = next((record for _, record in changed if record.name == leader_name), None)
    if (step.state == "pending" or step.waits_along) and (leader is None or leader.state in ENDED):
        return step.scheduled(ports.now())
    return step
