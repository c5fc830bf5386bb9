"""From an enrollment to an onboarding: one batch, then the tasks.

The webhook is only a hint: the account is read anew from Authentik, and the onboarding's id derives from
its `uid`, so that webhook, sweep and API can never make two of one person.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable
from typing import Any, Literal

from msgspec import Struct, field
from msgspec.structs import replace

from shared.domain import ids, members
from shared.domain.audit import audit
from shared.domain.bundles import Bundle, Grant, granted
from shared.domain.errors import NotFound, Outpaced
from shared.domain.invites import ATTRIBUTE, Invite, Redemption, redeem
from shared.domain.onboarding import Onboarding, Plan, Step, derived_state, looks_up_presence, steps_of
from shared.logs import about, within
from shared.ports import Account, Create, Put, Write
from shared.repositories import INVITES, ONBOARDINGS, Stored, audit_write
from shared.repositories import steps_of as read_steps
from shared.services.context import Actor, Ports, note
from shared.services.matrix_ids import vouched
from shared.services.stopping import was_offboarded
from shared.services.tasks import again_when_outpaced, enqueue

Kind = Literal["accepted", "known", "ignored"]
MATRIX_ATTRIBUTE = "matrix_id"
LAST_WEBHOOK = "heartbeats/enrollment_webhook"


class Hint(Struct, frozen=True):
    """What a webhook claims: which event, and whom it is about (a pk, or at least a username)."""

    event_id: str
    pk: int | None = None
    username: str = ""


class Verdict(Struct, frozen=True):
    kind: Kind
    onboarding: str = ""
    reason: str = ""


class Start(Struct, frozen=True):
    """How an onboarding begins where no invite says it. `matrix_id`: named by an admin. `bundles`: ids."""

    source: Literal["webhook", "api", "sweep"]
    actor: Actor
    matrix_id: str = ""
    rooms: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    groups_added: tuple[str, ...] = ()
    skip_indoc: bool = False
    send_welcome: bool = True
    event_id: str = ""
    also: tuple[Write, ...] = field(default=())
    bundles: tuple[str, ...] = ()


async def enroll(ports: Ports, hint: Hint, actor: Actor, permit: Awaitable[None] | None = None) -> Verdict:
    """For the webhook. Idempotent by the event's document and by the onboarding's derived id. `permit`: waited for
    beside the first read, and before anything is done; raises what it raises."""
    event, *_ = await asyncio.gather(ports.documents.get(event_path(hint.event_id)), *filter(None, [permit]))
    if event is not None:
        within(onboarding=event.data.get("onboarding", ""))
        return await _known(ports, hint, actor, event.data.get("onboarding", ""))
    account = await _reread(ports, hint)
    if account is None:
        return await ignored(ports, hint, actor, "the account is gone")
    if await was_offboarded(ports, account.pk):
        return await ignored(ports, hint, actor, "they were off-boarded before they had an onboarding")
    within(onboarding=ids.onboarding_id(account.uid))
    verdict = await begin(ports, account, Start("webhook", actor, event_id=hint.event_id))
    return await _known(ports, hint, actor, verdict.onboarding, verdict) if verdict.kind == "known" else verdict


def event_path(event_id: str) -> str:
    return f"events/{ids.digest('event', event_id, length=32)}"


async def ignored(ports: Ports, hint: Hint, actor: Actor, reason: str) -> Verdict:
    """A verdict too: recorded, so that "why did nothing happen" has an answer."""
    await _noted(ports, hint, actor, "webhook.ignored", {"reason": reason})
    return Verdict("ignored", reason=reason)


async def _known(ports: Ports, hint: Hint, actor: Actor, onboarding: str, resumed: Verdict | None = None) -> Verdict:
    await _noted(ports, hint, actor, "webhook.known", {"onboarding": onboarding})
    return resumed or await _resumed(ports, onboarding)


async def _noted(ports: Ports, hint: Hint, actor: Actor, action: str, detail: dict[str, Any]) -> None:
    record = audit(ports.now(), actor.name, action, hint.username or str(hint.pk or ""), hint.event_id)
    with contextlib.suppress(Outpaced):  # delivered twice at the same instant: one record
        await ports.documents.write(audit_write(record.but(detail=detail, source=actor.source)))


async def _reread(ports: Ports, hint: Hint) -> Account | None:
    directory = await ports.directory()
    if hint.pk is None:
        return await directory.account_named(hint.username)
    try:
        return await directory.account(hint.pk)
    except NotFound:
        return None


async def _resumed(ports: Ports, onboarding: str) -> Verdict:
    """A known event: whatever should have a task gets it again; names de-duplicate."""
    if onboarding:
        steps = await read_steps(ports.documents, f"onboardings/{onboarding}")
        await enqueue(ports, [stored.record for stored in steps])
    return Verdict("known", onboarding)


async def begin(ports: Ports, account: Account, start: Start) -> Verdict:
    """Makes the onboarding, unless there is one already: then what is pending is enqueued again."""
    start = await _with_vouched_id(ports, account, start)

    async def attempt() -> Verdict:
        known, invite = await asyncio.gather(
            ONBOARDINGS.find(ports.documents, ids.onboarding_id(account.uid)), _invite_of(ports, account)
        )
        if known:
            return await _resumed(ports, known.record.id)
        onboarding, steps, writes = _begun(ports, account, start, invite, await _bundles(ports, start, invite))
        await ports.documents.write(*writes)
        await enqueue(ports, steps)
        note("onboarding begun", onboarding=onboarding.id, source=start.source, steps=len(steps))
        return Verdict("accepted", onboarding.id)

    with about(onboarding=ids.onboarding_id(account.uid)):
        return await again_when_outpaced(attempt)


async def planned(ports: Ports, account: Account, start: Start) -> tuple[Onboarding, list[Step]]:
    """What `begin` would make, without making it."""
    start = await _with_vouched_id(ports, account, start)
    invite = await _invite_of(ports, account)
    onboarding, steps, _ = _begun(ports, account, start, invite, await _bundles(ports, start, invite))
    return onboarding, steps


async def _with_vouched_id(ports: Ports, account: Account, start: Start) -> Start:
    """Asked only where an admin begins it: who enrolls just now was not here before."""
    if start.source != "api" or start.matrix_id:
        return start
    return replace(start, matrix_id=await vouched(ports, account.uid))


async def _invite_of(ports: Ports, account: Account) -> Stored[Invite] | str | None:
    """None: the account names no invite. A text: the id it names, which is none of ours."""
    named = str(account.attributes.get(ATTRIBUTE, ""))
    if not named:
        return None
    return await INVITES.find(ports.documents, named) or named


async def _bundles(ports: Ports, start: Start, found: Stored[Invite] | str | None) -> list[Bundle]:
    """As they are now: an edit of a bundle counts for invites that went out before. One that is gone gives nothing."""
    invited = found.record.bundles if isinstance(found, Stored) else ()
    named = tuple(dict.fromkeys((*invited, *start.bundles)))
    if not named:
        return []
    from shared.services.bundles import of_ids  # with the whole of bundles, which most invites have none of

    return await of_ids(ports, named)


def _begun(
    ports: Ports, account: Account, start: Start, found: Stored[Invite] | str | None, held: list[Bundle]
) -> tuple[Onboarding, list[Step], list[Write]]:
    now, policy = ports.now(), ports.policy
    stored = found if isinstance(found, Stored) else None
    redemption = _redemption(ports, account, stored)
    hold = redemption.held if redemption else ("it names an invite that we do not know" if found else "")
    invite = redemption.invite if redemption else None
    who = members.identify(
        account.username,
        policy.domain,
        given=start.matrix_id or (invite.matrix_id if invite else ""),
        claimed=str(account.attributes.get(MATRIX_ATTRIBUTE) or ""),
    )
    plan = _plan(ports, start, invite, granted(held))
    onboarding = Onboarding(
        id=ids.onboarding_id(account.uid),
        source=start.source,
        account_pk=account.pk,
        uid=account.uid,
        username=account.username,
        name=account.name,
        created_at=now,
        matrix_id=who.matrix_id,
        given_by=who.given_by,
        groups=plan.groups,
        bundles=tuple(bundle.id for bundle in held),
        invite=invite.id if invite else "",
        sponsor=invite.sponsor if invite else "",
        language=_language(account),
        hold="pending" if hold else "",
        hold_reason=hold,
        send_welcome=plan.send_welcome,
        skip_indoc=start.skip_indoc,
    )
    steps = [_explained(step, who.problem) for step in steps_of(onboarding, plan, now)]
    steps = [_already(step, start.groups_added, plan.groups, now=onboarding.created_at) for step in steps]
    state = derived_state(onboarding.hold, steps)
    finished = now if state == "done" else None
    onboarding = onboarding.but(seen_by=looks_up_presence(steps), state=state, finished_at=finished)
    record = audit(now, start.actor.name, "onboarding.begin", account.username, onboarding.id)
    writes: list[Write] = [
        ONBOARDINGS.create(onboarding, onboarding.id),
        *(Create(step.path, step.data()) for step in steps),
        audit_write(record.but(source=start.actor.source, detail=_detail(onboarding, start))),
        *start.also,
    ]
    if start.event_id:
        event = {"v": 1, "at": now, "event_id": start.event_id, "onboarding": onboarding.id}
        writes += [Create(event_path(start.event_id), event), Put(LAST_WEBHOOK, {"v": 1, "at": now})]
    if stored and invite and invite != stored.record:
        writes.append(stored.replaced(invite))
    return onboarding, steps, writes


def _redemption(ports: Ports, account: Account, stored: Stored[Invite] | None) -> Redemption | None:
    if stored is None:
        return None
    now = ports.now()
    return redeem(
        stored.record,
        email=account.email,
        enrolled_at=account.joined_at or now,
        onboarding=ids.onboarding_id(account.uid),
        now=now,
    )


def _plan(ports: Ports, start: Start, invite: Invite | None, grant: Grant) -> Plan:
    policy = ports.policy
    default_group = (policy.default_group,) if policy.default_group else ()
    return Plan(
        rooms=tuple(
            dict.fromkeys((*(invite.rooms if invite else ()), *start.rooms, *grant.rooms, *policy.default_rooms))
        ),
        groups=tuple(dict.fromkeys((*(invite.groups if invite else ()), *start.groups, *grant.groups, *default_group))),
        indoc=policy.indoc,
        remove_from_indoc=policy.auto_remove and not start.skip_indoc,
        send_welcome=start.send_welcome,
        closes_invite=invite is not None and invite.stale and invite.closed == "redeemed",
        levels=grant.levels,
        ways=grant.ways,
    )


def _explained(step: Step, problem: str) -> Step:
    """Why nobody knows their Matrix id, where that is what the step waits for."""
    return step.but(cause=f"{step.cause}: {problem}") if problem and step.waits_for == "person" else step


def _already(step: Step, added: tuple[str, ...], wanted: tuple[str, ...], *, now: Any) -> Step:
    """The groups, where `create_user` has added every one of them already."""
    if step.kind == "groups" and step.state == "scheduled" and set(wanted) <= set(added):
        return step.ended("done", now, attempts=1, result={"groups": list(added)})
    return step


def _detail(onboarding: Onboarding, start: Start) -> dict[str, Any]:
    detail = {"onboarding": onboarding.id, "source": start.source, "invite": onboarding.invite}
    detail |= {"held": onboarding.hold_reason}
    return {key: value for key, value in detail.items() if value}


def _language(account: Account) -> str:
    """As they have chosen in Authentik's own settings (attributes.settings.locale)."""
    settings = account.attributes.get("settings")
    chosen = settings.get("locale") if isinstance(settings, dict) else ""
    return chosen[:20].replace("_", "-") if isinstance(chosen, str) else ""
