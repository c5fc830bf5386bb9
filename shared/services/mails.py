"""Invites and recovery links by e-mail: a job, and a step of its own for each recipient.

At most once by itself: that an e-mail is begun is committed with the step's claim. Where nobody recorded what became of
it, the step fails, says that it may have gone out, and only a person sends it again (decision 0024).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta

from msgspec import Struct

from shared.domain import ids
from shared.domain.errors import Conflict, Invalid, Misconfigured, Refused
from shared.domain.invites import Invite
from shared.domain.jobs import Job
from shared.domain.mails import NOWHERE, UNSURE_CAUSE, UNSURE_FIX, Text, objection, text_of
from shared.domain.moments import in_words
from shared.domain.onboarding import Step, derived_state
from shared.domain.templates import REDACTED, Link, Person, Value
from shared.ports import UNSURE, Account, Mail, Post
from shared.repositories import INVITES, JOBS, steps_of
from shared.services import invites, templates
from shared.services.context import Actor, Ports
from shared.services.invite_texts import values_of
from shared.services.jobs import MAX_STEPS, JobView, begun, job_id, repeated
from shared.services.room_names import names_of
from shared.services.steps import Act, Done, Ending, Skipped
from shared.services.users import no_superuser

LINK_HOLDS = timedelta(hours=24)
"""A recovery link, see `Directory.recovery_link`."""
NAMED = 20
"""Rooms that an e-mail may name. Whoever sends it cannot ask the homeserver what they are called."""
WRONG = "Send it to the right address, or hand the link over in another way."
AGAIN = 5
"""Jobs of an invite, the latest ones, whose recipients are shown."""
OFF = (
    "e-mail is off: the mail server is not set up, and this Authentik sends none for us",
    "Set SMTP_HOST, SMTP_USERNAME, SMTP_PASSWORD and SMTP_FROM (docs/setup.md); the self-check says what is missing.",
)
OFF_FOR_LINKS = ("e-mail is off: the mail server is not set up", OFF[1])


class Preview(Struct, frozen=True):
    """What one of them gets. `via`: "smtp", or "authentik": then the words are Authentik's own, and not known here."""

    via: str
    sender: str
    to: str
    subject: str = ""
    plain: str = ""
    html: str = ""


class Sending(Struct, frozen=True):
    view: JobView
    preview: Preview


class Recipient(Struct, frozen=True):
    """The latest e-mail of an invite to this address: a step of a job."""

    job: Job
    step: Step

    @property
    def email(self) -> str:
        return str(self.step.wanted["to"])


# ------------------------------------------------------------------ begin


async def mail_invite(
    ports: Ports, actor: Actor, invite_id: str, emails: Sequence[str], key: str, body: str, *, dry_run: bool = False
) -> Sending:
    """To these addresses, else to the invite's own. An address that can be none is a failed step from the beginning.
    Raises `Conflict` for an invite that lets nobody in, `Misconfigured` where nobody can send e-mail."""
    invite = _open(await invites.read(ports, invite_id), ports)
    wanted = list(dict.fromkeys(email.strip() for email in emails if email.strip())) or [invite.email]
    wanted = list({email.casefold(): email for email in wanted if email}.values())
    if not wanted:
        raise Invalid.field("emails", "expected at least one address, since the invite names none")
    if len(wanted) > MAX_STEPS:
        raise Invalid.field("emails", f"expected at most {MAX_STEPS}")
    post = await _post_for_invites(ports)
    rooms = await names_of(ports, invite.rooms[:NAMED]) if post else []
    to = next((each for each in wanted if not objection(each)), wanted[0])
    preview = await _invite_preview(ports, post, invite, to, rooms)
    job = _job(ports, actor, f"invites/{invite_id}/email", key, body, invite_id, _notes(invite, wanted))
    about = {"purpose": "invite", "invite": invite_id, "rooms": rooms}
    return await _begun(ports, actor, job, [_step(job, each, about) for each in wanted], key, preview, dry_run=dry_run)


async def mail_recovery(ports: Ports, actor: Actor, pk: int, key: str, body: str, *, dry_run: bool = False) -> Sending:
    """The link is made when the e-mail is sent, and kept nowhere. Raises `Conflict` for who has no address or may not
    sign in, `Forbidden` for a superuser."""
    account = _reachable(no_superuser(await (await ports.directory()).account(pk)))
    post = await ports.post()
    if post is None:
        raise Misconfigured(*OFF_FOR_LINKS)
    text = await _recovery_text(ports, account, NOWHERE)
    preview = Preview("smtp", post.sender, account.email, text.subject, text.kept, text.html)
    job = _job(ports, actor, f"users/{pk}/recovery/email", key, body, account.username, ())
    steps = [_step(job, account.email, {"purpose": "recovery", "pk": pk})]
    return await _begun(ports, actor, job, steps, key, preview, dry_run=dry_run)


def _open(invite: Invite, ports: Ports) -> Invite:
    status = invite.status(ports.now())
    if status != "pending":
        raise Conflict(f"this invite is {STATUS[status]}", "Make a new one, or give this one more time or uses first.")
    return invite


STATUS = {"redeemed": "used up", "expired": "expired", "revoked": "revoked"}


def _reachable(account: Account) -> Account:
    if not account.active:
        raise Conflict(f"{account.username} is deactivated", "Activate the account first.")
    if not account.email:
        raise Conflict(f"{account.username} has no e-mail address", "Add one, or hand a recovery link over yourself.")
    return account


async def _post_for_invites(ports: Ports) -> Post | None:
    """None: Authentik sends it. Raises `Misconfigured` where nobody does."""
    post = await ports.post()
    if post is None and not await _authentik_mails(ports):
        raise Misconfigured(*OFF)
    return post


async def _authentik_mails(ports: Ports) -> bool:
    directory = await ports.directory()
    return await ports.remember("authentik mails invitations", 3600, directory.mails_invitations)


async def _invite_preview(ports: Ports, post: Post | None, invite: Invite, to: str, rooms: Sequence[str]) -> Preview:
    if post is None:
        return Preview("authentik", "", to)
    text = await _invite_text(ports, invite, rooms)
    return Preview("smtp", post.sender, to, text.subject, text.kept, text.html)


async def _invite_text(ports: Ports, invite: Invite, rooms: Sequence[str]) -> Text:
    found = await templates.worded(
        ports,
        "email_invite",
        Person(invite.matrix_id),
        values_of(invite, rooms),
        bundles=invite.bundles,
        invite=invite.id,
    )
    return text_of(found.rendered, f"You are invited to {ports.policy.domain}", found.template)


async def _recovery_text(ports: Ports, account: Account, link: str) -> Text:
    until = in_words(ports.now() + LINK_HOLDS)
    values: dict[str, Value] = {"recovery_link": Link(link, REDACTED), "expires_at": until}
    found = await templates.worded(ports, "email_recovery", Person("", account.name, account.username), values)
    return text_of(found.rendered, f"A new password for {ports.policy.domain}", found.template)


def _notes(invite: Invite, wanted: Sequence[str]) -> tuple[str, ...]:
    notes, left = [], invite.max_uses - invite.uses
    if len(wanted) > left:
        notes.append(f"the link works for {left} more, and it goes to {len(wanted)}: who comes last is held")
    if invite.email and any(each.casefold() != invite.email.strip().casefold() for each in wanted):
        notes.append(f"the invite is for {invite.email}: whoever enrolls with another address is held")
    return tuple(notes)


def _job(ports: Ports, actor: Actor, route: str, key: str, body: str, target: str, notes: tuple[str, ...]) -> Job:
    name = job_id(ports, actor, route, key)
    return Job(
        id=name,
        kind="email",
        matrix_id="",
        actor=actor.name,
        created_at=ports.now(),
        request=body,
        target=target,
        notes=notes,
    )


def _step(job: Job, to: str, about: Mapping[str, object]) -> Step:
    step = Step(
        parent=f"jobs/{job.id}",
        name=ids.mail_step(to),
        kind="email",
        wanted={"to": to, **about},
        due_at=job.created_at,
        updated_at=job.created_at,
    )
    problem = objection(to)
    if not problem:
        return step
    cause = f"nothing can be sent there: {problem}"
    return step.ended("failed", job.created_at, cause=cause, fix=WRONG, code="ADDRESS")


async def _begun(
    ports: Ports, actor: Actor, job: Job, steps: Sequence[Step], key: str, preview: Preview, *, dry_run: bool
) -> Sending:
    known = await repeated(ports, job.id, key, job.request)
    if known:
        return Sending(known, preview)
    if dry_run:
        return Sending(JobView(job.but(state=derived_state("", steps)), steps), preview)
    action = "invite.email" if steps[0].wanted["purpose"] == "invite" else "user.recovery.email"
    return Sending(await begun(ports, actor, job, steps, action, recipients=len(steps)), preview)


# ------------------------------------------------------------------ look


async def recipients(ports: Ports, invite_id: str) -> list[Recipient]:
    """Of the latest e-mails of an invite: each address once, by what became of the last one to it; failures first."""
    await invites.read(ports, invite_id)
    found = await JOBS.list(ports.documents, [("target", "==", invite_id)], "-created_at", AGAIN)
    latest: dict[str, Recipient] = {}
    for job in found.items:
        for stored in await steps_of(ports.documents, JOBS.path(job.id)):
            latest.setdefault(stored.record.name, Recipient(job, stored.record))
    return sorted(latest.values(), key=lambda each: (each.step.state != "failed", each.email.casefold()))


# ------------------------------------------------------------------ send


async def send(act: Act) -> Ending:
    """Idempotent by the step's document: begun before, and nobody knows how it ended: not sent again by itself."""
    if act.look_first:
        raise Refused(UNSURE_CAUSE, UNSURE_FIX, UNSURE)
    if problem := objection(act.step.wanted["to"]):
        raise Refused(f"nothing can be sent there: {problem}", WRONG, "ADDRESS")
    try:
        return await PURPOSES[act.step.wanted["purpose"]](act)
    except Misconfigured as error:  # trying by itself would lock the account at the mail server
        raise Refused(error.cause, error.fix, "MAIL") from error


async def _send_invite(act: Act) -> Ending:
    ports, to = act.ports, str(act.step.wanted["to"])
    stored = await INVITES.get(ports.documents, act.step.wanted["invite"])
    invite = await invites.reconcile(ports, stored.record.id) if stored.record.stale else stored.record
    status = invite.status(ports.now())
    if status != "pending":
        return Skipped(f"the invite is {STATUS[status]}")
    post = await _post_for_invites(ports)
    if post is None:
        await (await ports.directory()).mail_invitation(invite.code, to)
        return Done({"to": to, "via": "authentik"})
    return await _sent(act, post, "", to, await _invite_text(ports, invite, act.step.wanted.get("rooms", ())))


async def _send_recovery(act: Act) -> Ending:
    """For whom the admin saw, at the address that the admin saw."""
    ports, to = act.ports, str(act.step.wanted["to"])
    directory, post = await ports.directory(), await ports.post()
    if post is None:
        raise Misconfigured(*OFF_FOR_LINKS)
    account = _reachable(no_superuser(await directory.account(act.step.wanted["pk"])))
    if account.email != to:
        raise Refused("their e-mail address was changed since", "Look at it, then send a new recovery link.", "CHANGED")
    link = await directory.recovery_link(account.pk)
    if link is None:
        fix = "Set a recovery flow on the brand in Authentik, or give them a temporary password on their page."
        raise Refused("Authentik has no recovery flow", fix, "RECOVERY")
    return await _sent(act, post, account.name, to, await _recovery_text(ports, account, link))


async def _sent(act: Act, post: Post, name: str, to: str, text: Text) -> Ending:
    mail = Mail(ids.mail_id(act.step.parent, act.step.name), to, text.subject, text.plain, text.html, name)
    answer = await post.send(mail)
    return Done({"to": to, "via": "smtp", "answer": answer, "template": text.template})


PURPOSES: Mapping[str, Callable[[Act], Awaitable[Ending]]] = {"invite": _send_invite, "recovery": _send_recovery}
