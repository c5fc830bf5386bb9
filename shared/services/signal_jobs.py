"""An admin writes to a member on Signal: by the number of their account, as a job."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from shared.domain import ids, phones
from shared.domain.bridges import bridge_of as network_of
from shared.domain.errors import Invalid
from shared.domain.jobs import Job
from shared.domain.onboarding import Step, derived_state
from shared.domain.signal_chats import SignalChat
from shared.ports import Account
from shared.rarer_repositories import SIGNAL_CHATS
from shared.repositories import JOBS, ONBOARDINGS
from shared.services import signal_bridge
from shared.services.context import Actor, Ports
from shared.services.jobs import JobView, begun, job_id, repeated
from shared.services.tasks import again_when_outpaced

ATTRIBUTE = "signal_number"
"""Of the account, in Authentik."""


class Shown(Struct, frozen=True):
    """`set_up`: whether there is a bridge at all. `number`: in E.164, "" where they have none, or `problem` says what
    is wrong with it. `name`: of their puppet. `job`: the latest that was asked for, with its `state`."""

    set_up: bool
    number: str
    problem: str = ""
    room_id: str = ""
    matrix_id: str = ""
    bridge: str = ""
    name: str = ""
    opened_at: datetime | None = None
    job: str = ""
    state: str = ""


async def start(
    ports: Ports, actor: Actor, pk: int, key: str = "", body: str = "", *, dry_run: bool = False
) -> JobView:
    """Raises `NotFound`, `Conflict` where no bridge is set up, `Invalid` on the field `signal_number` where their
    account has none, or one that is none."""
    name = job_id(ports, actor, f"users/{pk}/signal", key)
    known = await repeated(ports, name, key, body)
    if known:
        return known
    signal_bridge.the_bridge(ports.policy)
    account = await (await ports.directory()).account(pk)
    number = number_of(ports, account)
    if not number:
        raise Invalid.field(ATTRIBUTE, "their account has none: enter it first, as +49 170 1234567")
    found = await ONBOARDINGS.find(ports.documents, ids.onboarding_id(account.uid))
    job = Job(
        id=name,
        kind="signal",
        matrix_id=found.record.matrix_id if found else "",
        actor=actor.name,
        created_at=ports.now(),
        reason=f"Write to {account.name or account.username} on Signal"[:200],
        request=body,
        account_pk=pk,
    )
    wanted = {"number": number, "name": account.name or account.username, "pk": pk}
    steps = [_step(job, wanted)]
    if dry_run:
        return JobView(job.but(state=derived_state("", steps)), steps)
    await _claimed(ports, number, job)
    return await begun(ports, actor, job, steps, "user.signal", pk=pk, username=account.username)


def _step(job: Job, wanted: dict[str, object]) -> Step:
    at = job.created_at
    return Step(
        parent=f"jobs/{job.id}", name="signal_room", kind="signal_room", wanted=wanted, due_at=at, updated_at=at
    )


def number_of(ports: Ports, account: Account) -> str:
    """In E.164, "" where there is none. Raises `Invalid`."""
    return phones.e164(str(account.attributes.get(ATTRIBUTE) or ""), ports.policy.phone_region, ATTRIBUTE)


async def _claimed(ports: Ports, number: str, job: Job) -> None:
    """The record names the job before there is one: who looks sees it as soon as it is."""
    digest = await signal_bridge.chat_id(ports, number)

    async def attempt() -> None:
        known = await SIGNAL_CHATS.find(ports.documents, digest)
        if known:
            await ports.documents.write(known.replaced(known.record.but(job=job.id, account_pk=job.account_pk)))
        else:
            made = SignalChat(id=digest, account_pk=job.account_pk, job=job.id)
            await ports.documents.write(SIGNAL_CHATS.create(made, digest))

    await again_when_outpaced(attempt)


async def shown(ports: Ports, pk: int) -> Shown:
    """What is known of them on Signal, without asking the bridge. Raises `NotFound`."""
    account = await (await ports.directory()).account(pk)
    set_up = signal_bridge.bridge_of(ports.policy) is not None
    try:
        number = number_of(ports, account)
    except Invalid as error:
        return Shown(set_up, "", error.errors[0][1])
    stored = await signal_bridge.find(ports, number) if number else None
    if stored is None:
        return Shown(set_up, number)
    chat = stored.record
    job = await JOBS.find(ports.documents, chat.job) if chat.job else None
    return Shown(
        set_up,
        number,
        "",
        chat.room_id,
        chat.puppet,
        network_of(chat.puppet, ports.policy.puppets),
        chat.name,
        chat.opened_at,
        chat.job if job else "",
        job.record.state if job else "",
    )
