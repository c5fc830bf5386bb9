"""What is done to each person of an act on many. How they are worked off: `shared.services.line_work`.

Idempotent: each deed may be done again without harm, and a job that a person gets has its id from this one's and their
line. Everybody is looked at once more in Authentik before anything is done to them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from shared.domain.bulk import BY_HAND, Bulk, Deed, Guard
from shared.domain.errors import MusterError, NotFound, Refused, Rejected
from shared.domain.imports import Line
from shared.ports import Account, Group, Op, Query
from shared.rarer_repositories import BULKS
from shared.repositories import JOBS, ONBOARDINGS, every
from shared.services import bulk_lines, community, job_retry, jobs, onboardings, users
from shared.services.bulk import someone
from shared.services.context import Actor, Ports, log
from shared.services.line_work import Fault, Work, told, work_off
from shared.services.plan_jobs import LOOK_MOST
from shared.services.steps import Act, Continues, Done, Ending
from shared.services.tasks import again_when_outpaced
from shared.services.user_shards import row_of

AT_ONCE = 8


async def do_people(act: Act) -> Ending:
    """Raises `Refused`, for a person to look, once all have had their turn and something failed for some."""
    ending = await work_off(act, WORK)
    if isinstance(ending, Continues):
        return ending
    counts = dict(ending.result)
    if counts.get("begun"):
        waiting = await _look(act)
        if waiting:
            return waiting
        counts = told((await BULKS.get(act.ports.documents, _own(act))).record)
    if counts.get("failed"):
        cause = f"for {counts['failed']} of {counts['lines']} people something failed"
        fix = "Each says why. Mend that, then retry the job: what is done stays done."
        raise Refused(cause, fix, bulk_lines.PARTLY)
    return Done(counts)


def _own(act: Act) -> str:
    return act.step.parent.partition("/")[2]


async def _person(act: Act, bulk: Bulk, line: Line) -> Line | Fault:
    try:
        account = await (await act.ports.directory()).account(int(line.id))
    except NotFound:
        return line.failed("the account is gone from Authentik", "", "skipped")
    except MusterError as error:
        return Fault(line, error)
    one, policy = someone(row_of(account), account.groups), act.ports.policy
    against = Guard(bulk.actor, policy.admin_group, policy.bot, policy.domain).against(one)
    if against:
        return line.failed(against, BY_HAND, "skipped")
    try:
        return await DEEDS[bulk.deed](act.ports, bulk, line, account)
    except Rejected as error:
        return line.failed(error.cause, error.fix or "Do it on their own page.")
    except MusterError as error:
        return Fault(line, error)
    except Exception as error:
        log.exception("a person's turn crashed", extra={"fields": {"job": bulk.id, "line": line.line}})
        return Fault(line, error)


# ------------------------------------------------------------------ the deeds


async def _activate(ports: Ports, bulk: Bulk, line: Line, account: Account) -> Line:
    found = await ONBOARDINGS.find(ports.documents, line.onboarding)
    if found and found.record.hold in community.OUT:
        return line.failed("is held until an admin decides, or was rejected", "Decide on their onboarding.", "skipped")
    return _done(line, (await users.set_active(ports, Actor(bulk.actor), account.pk, active=True)).active)


async def _deactivate(ports: Ports, bulk: Bulk, line: Line, account: Account) -> Line:
    return _done(line, not (await users.set_active(ports, Actor(bulk.actor), account.pk, active=False)).active)


def _done(line: Line, confirmed: bool) -> Line:
    """Only what Authentik says."""
    if confirmed:
        return line.but(state="done", cause="", fix="")
    return line.failed("Authentik took it, and says that it is not so", "Look at them in Authentik, then retry.")


async def _into(ports: Ports, bulk: Bulk, line: Line, account: Account) -> Line:
    await users.regroup(ports, Actor(bulk.actor), account, _group(bulk), member=True)
    return line.but(state="done", cause="", fix="")


async def _out_of(ports: Ports, bulk: Bulk, line: Line, account: Account) -> Line:
    await users.regroup(ports, Actor(bulk.actor), account, _group(bulk), member=False)
    return line.but(state="done", cause="", fix="")


def _group(bulk: Bulk) -> Group:
    return Group(bulk.group_pk, bulk.group, superuser=False)


async def _onboard(ports: Ports, bulk: Bulk, line: Line, account: Account) -> Line:
    """Begun, or gone on with: how far it is, it says itself."""
    if not account.active:
        return line.failed("is deactivated", "Activate them first.", "skipped")
    wanted = onboardings.Wanted(rooms=bulk.rooms)
    view = await onboardings.onboard(ports, Actor(bulk.actor), account, wanted)
    return line.but(state="done", cause="", fix="", onboarding=view.onboarding.id)


async def _invite(ports: Ports, bulk: Bulk, line: Line, account: Account) -> Line:
    """A job of their own, so that each has a pace of their own under the homeserver's limits. One that failed before is
    begun again."""
    person = next(iter(await community.known(ports, [account])), None)
    if person is None:
        return line.failed("nobody has said which Matrix id is theirs", "Name it on their page, then retry.")
    if not person.active:
        return line.failed("is deactivated, or held until an admin decides", "Decide on that first.", "skipped")
    actor, key = Actor(bulk.actor), f"{bulk.id}:{line.line}"
    asked = jobs.Wanted("invite", person.matrix_id, bulk.rooms, key=key, body=bulk.id, part_of=bulk.id)
    view = await jobs.start(ports, actor, asked)
    if view.state == "failed":
        await job_retry.anew(ports, actor, view.job.id)
    return line.but(state="begun", cause="", fix="", job=view.job.id)


DEEDS: Mapping[Deed, Callable[[Ports, Bulk, Line, Account], Awaitable[Line]]] = {
    "activate": _activate,
    "deactivate": _deactivate,
    "onboard": _onboard,
    "add_group": _into,
    "remove_group": _out_of,
    "invite": _invite,
}
WORK = Work(BULKS, _person, lambda _: AT_ONCE, ("done", "begun", "skipped"), "Retry the job later.")


# ------------------------------------------------------------------ people with a job of their own


async def _look(act: Act) -> Continues | None:
    """Whose jobs have ended is done, or has failed; once all have, nobody is waited for any more."""
    where: list[tuple[str, Op, Any]] = [("part_of", "==", _own(act))]
    ended = {"done": "done", "failed": "failed"}
    found = await every(act.ports.documents, Query("jobs", [*where, ("state", "in", list(ended))]))
    states = {job.id: job.state for job in (JOBS.stored(item).record for item in found)}

    def change(line: Line) -> Line:
        if line.state != "begun" or line.job not in states:
            return line
        if states[line.job] == "done":
            return line.but(state="done")
        return line.failed("not invited to every room", "Their own job says which, and why.")

    async def attempt() -> Bulk:
        head = await BULKS.get(act.ports.documents, _own(act))
        writes = bulk_lines.rewritten(head, await bulk_lines.every_part(act.ports, head.record), change)
        if writes:
            await act.ports.documents.write(*writes)
        return (await BULKS.get(act.ports.documents, _own(act))).record

    bulk = await again_when_outpaced(attempt)
    if not bulk.counts.get("begun"):
        return None
    return Continues(told(bulk), min(2.0 ** min(act.step.attempts, 10), LOOK_MOST))
