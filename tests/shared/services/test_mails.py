"""Invites and recovery links by e-mail: each recipient's outcome is told, and nothing goes out twice by itself."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from shared.domain.errors import Conflict, Forbidden, Invalid, Misconfigured, NotFound, Refused, TryLater, Unreachable
from shared.domain.invites import Invite
from shared.domain.mails import objection, text_of
from shared.domain.onboarding import Step
from shared.domain.templates import REDACTED, Link, Rendered, Value
from shared.ports import UNSURE, Account, Mail
from shared.services import invites, job_retry, jobs, mails
from shared.services.mails import Sending
from shared.services.self_check import self_check
from tests.fakes.faulty_documents import Killed
from tests.fakes.post import FakePost
from tests.world import ADMIN, World

ADA, BEA, CYD = "ada@example.org", "bea@example.org", "cyd@example.org"


def with_mail(**more: Any) -> World:
    return World(letterbox=FakePost(), **more)


def letterbox(world: World) -> FakePost:
    assert world.letterbox is not None
    return world.letterbox


async def to(world: World, invite: Invite, *emails: str, key: str = "", dry_run: bool = False) -> Sending:
    return await mails.mail_invite(world, ADMIN, invite.id, emails, key, f"{emails}", dry_run=dry_run)


async def recovery(world: World, account: Account, key: str = "", *, dry_run: bool = False) -> Sending:
    return await mails.mail_recovery(world, ADMIN, account.pk, key, "", dry_run=dry_run)


async def outcome(world: World, sending: Sending) -> dict[str, Step]:
    view = await jobs.view(world, sending.view.job.id)
    return {step.wanted["to"]: step for step in view.steps}


def addressed(world: World) -> list[str]:
    return sorted(mail.to for mail in letterbox(world).sent)


# ------------------------------------------------------------------ invites


async def test_each_gets_their_own() -> None:
    """One message for each address, with the invite's link; the same address twice is one."""
    world = with_mail()
    invite = await world.invite(max_uses=3)
    sending = await to(world, invite, ADA, BEA, f" {ADA} ", "Ada@Example.org")
    assert sending.view.state == "running"
    await world.work()
    assert addressed(world) == ["Ada@Example.org", BEA]
    assert all(invite.link in mail.plain and invite.link in mail.html for mail in letterbox(world).sent)
    assert len({mail.id for mail in letterbox(world).sent}) == 2
    found = await outcome(world, sending)
    assert {step.state for step in found.values()} == {"done"}
    assert (await jobs.view(world, sending.view.job.id)).job.state == "done"
    assert not [task for task in world.queue.tasks.values() if task.entry_point == "sync_directory"], "it moves nobody"


async def test_to_the_invites_own_address() -> None:
    """Without addresses it goes to the one that the invite is for; where there is none, that is said."""
    world = with_mail()
    await to(world, await world.invite(email=ADA))
    await world.work()
    assert addressed(world) == [ADA]
    with pytest.raises(Invalid, match="at least one address"):
        await to(world, await world.invite("Another"))
    with pytest.raises(Invalid, match="at most 450"):
        await to(world, await world.invite("Too many"), *(f"a{number}@example.org" for number in range(451)))


async def test_each_failure_is_kept() -> None:
    """Who cannot get it is told with cause and fix, beside those who did; a retry sends to them alone."""
    world = with_mail()
    invite = await world.invite(max_uses=9)
    letterbox(world).fail(BEA, Refused("there is no such mailbox", "Ask them.", "550"))
    letterbox(world).fail(CYD, TryLater("greylisted"), times=3)
    sending = await to(world, invite, ADA, BEA, CYD, "nobody")
    await world.work()
    found = await outcome(world, sending)
    assert {
        email: (step.state, step.cause, bool(step.fix)) for email, step in found.items() if step.state != "done"
    } == {
        BEA: ("failed", "there is no such mailbox", True),
        "nobody": ("failed", "nothing can be sent there: it is no e-mail address such as ada@example.org", True),
    }
    assert addressed(world) == [ADA, CYD]
    shown = await mails.recipients(world, invite.id)
    assert [(each.email, each.step.state) for each in shown] == [
        (BEA, "failed"),
        ("nobody", "failed"),
        (ADA, "done"),
        (CYD, "done"),
    ]
    await job_retry.retry(world, ADMIN, sending.view.job.id, [found[BEA].name])
    await world.work()
    assert addressed(world) == [ADA, BEA, CYD]
    ids = [mail.id for mail in letterbox(world).sent]
    assert len(set(ids)) == 3


async def test_a_preview_does_nothing() -> None:
    """A dry run shows what one of them gets, who cannot get it and what to know; nothing is stored or sent."""
    world = with_mail()
    invite = await world.invite(email=ADA)
    before = world.rows()
    sending = await to(world, invite, "nobody", BEA, dry_run=True)
    assert (sending.preview.to, sending.preview.via) == (BEA, "smtp")
    assert invite.link in sending.preview.plain
    assert [step.state for step in sending.view.steps] == ["failed", "scheduled"]
    assert len(sending.view.job.notes) == 2
    assert (world.rows(), world.queue.tasks, letterbox(world).sent) == (before, {}, [])


async def test_a_repeat_is_the_same_job() -> None:
    """The same key sends nothing twice, with another body it is refused; a new key sends again."""
    world = with_mail()
    invite = await world.invite(max_uses=2)
    first, again = await to(world, invite, ADA, key="k"), await to(world, invite, ADA, key="k")
    await world.work()
    assert (first.view.job.id, addressed(world)) == (again.view.job.id, [ADA])
    with pytest.raises(Conflict):
        await to(world, invite, BEA, key="k")
    await to(world, invite, ADA, key="k2")
    await world.work()
    assert addressed(world) == [ADA, ADA]
    [shown] = await mails.recipients(world, invite.id)
    assert shown.step.state == "done"


@pytest.mark.parametrize("kind", ["revoked", "expired", "used up"])
async def test_only_what_lets_somebody_in(kind: str) -> None:
    """An invite that lets nobody in is not sent, nor one that ends while it waits for its turn."""
    world = with_mail()
    invite = await world.invite()
    sending = await to(world, invite, ADA)
    if kind == "revoked":
        await invites.revoke(world, ADMIN, invite.id)
    if kind == "expired":
        world.pause(days=8)
    if kind == "used up":
        world.authentik.enroll(invite.code, "ada")
        world.pause(seconds=30)
        await world.enrolled("ada")
    with pytest.raises(Conflict, match=kind):
        await to(world, invite, BEA)
    await world.work()
    step = (await outcome(world, sending))[ADA]
    assert (step.state, step.result, letterbox(world).sent) == ("skipped", {"reason": f"the invite is {kind}"}, [])


# ------------------------------------------------------------------ nothing twice


async def test_nobody_knows_whether_it_went_out() -> None:
    """An instance that dies after the server took it leaves a step that says so; by itself nothing is sent again, by a
    person it is, as the same message."""
    world = with_mail()
    invite = await world.invite()
    letterbox(world).fatal = Killed()
    sending = await to(world, invite, ADA)
    await world.live(hours=1)
    step = (await outcome(world, sending))[ADA]
    assert (step.state, step.code, addressed(world)) == ("failed", UNSURE, [ADA])
    assert "may have gone out" in step.cause
    assert "send it again" in step.fix
    await job_retry.retry(world, ADMIN, sending.view.job.id, [])
    await world.work()
    assert (await outcome(world, sending))[ADA].state == "done"
    first, second = letterbox(world).sent
    assert first.id == second.id


async def test_the_task_twice_at_once() -> None:
    """Two deliveries of one task send one message."""
    world = with_mail()
    await to(world, await world.invite(), ADA)
    [task] = world.queue.take(world.now())
    answers = await world.twice(task, 4)
    assert (max(answers), addressed(world)) == ("done", [ADA])


@pytest.mark.parametrize("known", [True, False])
async def test_a_fault_that_is_known_is_tried_again(known: bool) -> None:
    """Where it surely was not sent, it is tried again; where that is not sure, a person decides."""
    world = with_mail()
    fault = Unreachable("mail", "no answer") if known else Refused("it may have gone out", "Look.", UNSURE)
    letterbox(world).fail("", fault, times=2 if known else 1)
    sending = await to(world, await world.invite(), ADA)
    await world.work()
    step = (await outcome(world, sending))[ADA]
    assert (step.state, addressed(world)) == (("done", [ADA]) if known else ("failed", []))


async def test_an_outage_of_the_store_after_it_was_sent() -> None:
    """What the store could not be told is not sent once more when the claim has lapsed."""
    world = with_mail()
    sending = await to(world, await world.invite(), ADA)
    post = letterbox(world)

    class Sent(FakePost):
        async def send(self, mail: Mail) -> str:
            world.documents.fail_at(1, Unreachable("firestore", "gone"))
            return await post.send(mail)

    world.letterbox = Sent()
    await world.live(hours=1)
    assert (len(post.sent), (await outcome(world, sending))[ADA].code) == (1, UNSURE)


async def test_a_refused_login_is_not_repeated() -> None:
    """A matter of the settings fails the step at once, with its fix: tries would lock the account."""
    world = with_mail()
    letterbox(world).fail("", Misconfigured("does not let us log in", "Check SMTP_PASSWORD."))
    sending = await to(world, await world.invite(), ADA)
    await world.work()
    step = (await outcome(world, sending))[ADA]
    assert (step.state, step.attempts, step.fix) == ("failed", 1, "Check SMTP_PASSWORD.")


# ------------------------------------------------------------------ off, and by Authentik


async def test_off_says_what_to_set() -> None:
    """Where nobody can send e-mail, it says so before anything is begun."""
    world = World()
    invite, account = await world.invite(), world.authentik.add_account("ada", email=ADA)
    for attempt in (to(world, invite, ADA), recovery(world, account)):
        with pytest.raises(Misconfigured, match="e-mail is off") as refused:
            await attempt
        assert "SMTP_HOST" in refused.value.fix
    [finding] = [each for each in await self_check(world, []) if each.name == "mail server"]
    assert (finding.ok, finding.detail) == (True, "e-mail is off")


async def test_authentik_sends_invites_where_it_can() -> None:
    """With our own e-mail off, an Authentik that mails invitations is asked to, one for each recipient."""
    world = World()
    world.authentik.mails = True
    invite = await world.invite(max_uses=2)
    sending = await to(world, invite, ADA, BEA)
    assert (sending.preview.via, sending.preview.plain) == ("authentik", "")
    await world.work()
    assert sorted(world.authentik.mailed) == sorted([(invite.code, ADA), (invite.code, BEA)])
    assert {step.result["via"] for step in (await outcome(world, sending)).values()} == {"authentik"}
    world.letterbox = FakePost()
    await to(world, invite, CYD)
    await world.work()
    assert (addressed(world), len(world.authentik.mailed)) == ([CYD], 2)


# ------------------------------------------------------------------ recovery links


async def test_a_recovery_link_is_seen_by_nobody_else() -> None:
    """It is made as it is sent, to their own address; no record, no preview and no log has it."""
    world = with_mail()
    account = world.authentik.add_account("ada", name="Ada <b>", email=ADA)
    shown = await recovery(world, account, dry_run=True)
    assert "recovery_link" not in world.authentik.calls
    sending = await recovery(world, account)
    await world.work()
    [mail] = letterbox(world).sent
    assert (mail.to, mail.name) == (ADA, "Ada <b>")
    assert "flow_token=" in mail.plain
    assert "<b>" not in mail.html
    token = mail.plain.partition("flow_token=")[2].split()[0]
    assert token not in world.rows()
    assert token not in repr(world.log)
    assert REDACTED in shown.preview.plain
    assert (await outcome(world, sending))[ADA].state == "done"
    targets = {(record["action"], record["target"]) for record in await world.audits()}
    assert targets == {("user.recovery.email", "ada"), ("step.email", "ada")}


async def test_who_gets_no_recovery_link() -> None:
    """A superuser, who may not sign in, and who has no address; and nobody at an address that was changed since."""
    world = with_mail()
    root = world.authentik.add_account("root", email=ADA)
    await world.authentik.add_to_group(world.authentik.add_group("root", superuser=True), root.pk)
    with pytest.raises(Forbidden):
        await recovery(world, root)
    gone = world.authentik.add_account("gone", email=ADA)
    await world.authentik.update_account(gone.pk, active=False)
    bare, moved = world.authentik.add_account("bare"), world.authentik.add_account("moved", email=ADA)
    for account, words in ((gone, "deactivated"), (bare, "no e-mail address")):
        with pytest.raises(Conflict, match=words):
            await recovery(world, account)
    sending = await recovery(world, moved)
    await world.authentik.update_account(moved.pk, email="eve@example.org")
    await world.work()
    step = (await outcome(world, sending))[ADA]
    assert (step.state, step.cause, letterbox(world).sent) == ("failed", "their e-mail address was changed since", [])
    with pytest.raises(NotFound):
        await mails.mail_recovery(world, ADMIN, 4711, "", "")


async def test_no_recovery_flow() -> None:
    """Where Authentik makes no links, the step says what to do in Authentik."""
    world = with_mail()
    world.authentik.recovery = False
    sending = await recovery(world, world.authentik.add_account("ada", email=ADA))
    await world.work()
    step = (await outcome(world, sending))[ADA]
    assert (step.state, "recovery flow" in step.fix, letterbox(world).sent) == ("failed", True, [])


# ------------------------------------------------------------------ words


async def test_the_words() -> None:
    """The built-in texts have a subject, a link that can be pressed and the same words twice; names are text."""
    world = with_mail()
    invite = await world.invite(sponsor="<i>José</i>", rooms=("!a:fake.test",))
    account = world.authentik.add_account("ada", name='"><script>', email=ADA)
    await to(world, invite, ADA)
    await recovery(world, account)
    await world.work()
    found = {mail.subject: mail for mail in letterbox(world).sent}
    assert set(found) == {"You are invited to fake.test", "A new password for fake.test"}
    for mail in found.values():
        assert "<script>" not in mail.html
        assert "<i>" not in mail.html
        assert '<a href="https://auth.example.test/if/flow/' in mail.html
        assert "https://auth.example.test/if/flow/" in mail.plain
        assert mail.subject not in mail.plain
    assert "<i>José</i> has invited you" in found["You are invited to fake.test"].plain


@pytest.mark.parametrize(
    ("source", "subject"),
    [
        ("# Come in, {display_name}\n\nHello.", "Come in, A <b> & C"),
        ("Come in\n=======\n\nHello.", "Come in"),
        ("Hello.", "otherwise"),
        ("Hello.\n\n# Later", "otherwise"),
        ("# {sponsor}\n\nHello.", "otherwise"),
    ],
)
def test_a_heading_is_the_subject(source: str, subject: str) -> None:
    """The heading at the beginning, as text; without one a subject all the same; it is not said twice."""
    values: dict[str, Value] = {"display_name": "A <b> & C", "sponsor": "", "invite_link": Link("https://x.test/")}
    text = text_of(World().renderer.render(source, values), "otherwise", "email_invite@3")
    assert (text.subject, text.template) == (subject, "email_invite@3")
    assert ("Hello." in text.plain, "Hello." in text.html, "Come in" in text.plain + text.html) == (True, True, False)
    assert text_of(Rendered("", ""), "otherwise").subject == "otherwise"


@pytest.mark.parametrize(
    ("address", "usable"),
    [
        (ADA, True),
        ("zoë@bücher.example", True),
        ("a.b+c@x.example.org", True),
        ("a" * 65 + "@x.org", False),
        ("a..b@x.org", False),
        (".a@x.org", False),
        ("a@x..org", False),
        ("a@@x.org", False),
        ("a\n@x.org", False),
        ("<a@x.org>", False),
        ("", False),
    ],
)
def test_addresses(address: str, usable: bool) -> None:
    """What can be an address, and what cannot; of the latter it says why."""
    assert (objection(address) == "") is usable


async def test_many_at_once() -> None:
    """As many recipients as a job holds, sixteen tasks at a time: one message each."""
    world = with_mail()
    invite = await world.invite(max_uses=450)
    sending = await to(world, invite, *(f"a{number}@example.org" for number in range(450)))
    tasks = world.queue.take(world.now())
    for start in range(0, len(tasks), 16):
        await asyncio.gather(*(world.once(task) for task in tasks[start : start + 16]))
    assert len(set(addressed(world))) == len(letterbox(world).sent) == 450
    assert (await jobs.view(world, sending.view.job.id)).job.state == "done"
