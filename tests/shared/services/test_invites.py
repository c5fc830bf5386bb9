"""Invites: counted by us, closed upstream, and looked at by a person where something is odd."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.errors import Conflict, Invalid, NotFound, Refused, Unreachable
from shared.domain.invites import ATTRIBUTE
from shared.services import invites, onboardings
from shared.services.context import Actor
from shared.services.invites import Wanted
from shared.services.resume import resume
from tests.fakes.faulty_documents import Killed
from tests.world import ADMIN, World, at_home

MEMBER = "@ada:fake.test"


def world_with_rooms(rooms: int = 1) -> World:
    world = World()
    world.furnish(rooms)
    return world


# ------------------------------------------------------------------ making one


async def test_an_invite_and_its_link() -> None:
    """An invite is Authentik's invitation and our record of it; our id travels in the attributes."""
    world = World()
    wanted = Wanted("Spring", email="ada@example.test", note="from the fair", sponsor="bob", max_uses=3)
    invite, made = await invites.create(world, ADMIN, wanted)
    [(invitation, fixed_data)] = world.authentik.invitations.values()
    assert made
    assert (invite.code, invite.link, invite.stale) == (invitation.pk, invitation.link, False)
    assert fixed_data == {"attributes": {ATTRIBUTE: invite.id}, "email": "ada@example.test"}
    assert invitation.expires_at == invite.expires_at == world.now() + timedelta(days=7)
    assert invite.status(world.now()) == "pending"
    assert (await invites.read(world, invite.id)) == invite
    [audit] = await world.audits()
    assert (audit["actor"], audit["action"], audit["target"], audit["source"]) == (
        ADMIN.name,
        "invite.create",
        invite.id,
        ADMIN.source,
    )


async def test_dry_run_makes_nothing() -> None:
    """A dry run answers what would be, and leaves no trace here or there."""
    world = World()
    invite, _ = await invites.create(world, ADMIN, Wanted("Spring"), dry_run=True)
    assert invite.label == "Spring"
    assert world.authentik.invitations == {}
    assert await world.documents_in("invites") == []
    assert await world.audits() == []


@pytest.mark.parametrize("days", [-1, 0, 367])
async def test_the_expiry_lies_ahead(days: int) -> None:
    """An expiry in the past, or beyond a year, is refused by name of the field."""
    world = World()
    with pytest.raises(Invalid) as raised:
        await invites.create(world, ADMIN, Wanted("x", expires_at=world.now() + timedelta(days=days)))
    assert raised.value.errors[0][0] == "expires_at"


@pytest.mark.parametrize("name", ["muster-admins", "root", "child", "nobody-knows"])
async def test_groups_that_give_power_are_refused(name: str) -> None:
    """The admin group, superusers, and superusers by a parent cannot be granted by an invite, nor can unknown ones."""
    world = World()
    world.authentik.add_group("muster-admins")
    world.authentik.add_group("root", superuser=True)
    world.authentik.add_group("child", parents=("root",))
    with pytest.raises(Invalid) as raised:
        await world.invite(groups=(name,))
    assert raised.value.errors[0][0] == "groups"
    assert world.authentik.invitations == {}
    assert await world.documents_in("invites") == []


async def test_half_made_is_found_again() -> None:
    """Authentik made the invitation and its answer was lost: it is found by its name, and there is one."""
    world = World()
    create = world.authentik.create_invitation

    async def lost(*args: Any, **more: Any) -> Any:
        await create(*args, **more)
        raise Unreachable("authentik", "no answer")

    world.authentik.create_invitation = lost  # type: ignore[method-assign]
    with pytest.raises(Unreachable):
        await world.invite()
    world.authentik.create_invitation = create  # type: ignore[method-assign]
    await resume(world)
    [row] = await world.documents_in("invites")
    assert list(world.authentik.invitations) == [row["code"]]
    assert not row["stale"]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("number", [1, 2])
async def test_died_while_making_one(number: int, after: bool) -> None:
    """A death at either write is mended by the repeat with the same key, and one invitation is left."""
    world = World()
    world.documents.fail_at(number, Killed(), after=after)
    with pytest.raises(Killed):
        await world.invite(key="k", body="b")
    invite = await world.invite(key="k", body="b")
    assert list(world.authentik.invitations) == [invite.code]
    assert len(await world.documents_in("invites")) == 1


async def test_deleted_in_authentik_it_is_made_anew() -> None:
    """An invitation that somebody deleted over there comes back with the next edit, with its new link."""
    world = World()
    invite = await world.invite()
    world.authentik.invitations.clear()
    edited = await invites.edit(world, ADMIN, invite.id, {"label": "Again"})
    assert list(world.authentik.invitations) == [edited.code]
    assert edited.code != invite.code
    assert edited.link.endswith(edited.code)


# ------------------------------------------------------------------ Idempotency-Key


async def test_a_repeat_is_the_same_invite() -> None:
    """The same key and body answer the same invite; it was not made anew."""
    world = World()
    first, made = await invites.create(world, ADMIN, Wanted("x", key="k", body="b"))
    again, made_again = await invites.create(world, ADMIN, Wanted("x", key="k", body="b"))
    assert (made, made_again) == (True, False)
    assert first == again
    assert len(world.authentik.invitations) == 1


async def test_the_same_key_with_another_body() -> None:
    """The same key with another body is a conflict, and makes nothing."""
    world = World()
    await invites.create(world, ADMIN, Wanted("x", key="k", body="b"))
    with pytest.raises(Conflict):
        await invites.create(world, ADMIN, Wanted("y", key="k", body="c"))
    assert len(world.authentik.invitations) == 1


async def test_the_same_key_at_the_same_moment() -> None:
    """Eight identical requests at once make one record and leave one invitation upstream."""
    world = World()
    enter = world.authentik.create_invitation

    async def slow(*args: Any, **more: Any) -> Any:
        await asyncio.sleep(0.001)
        return await enter(*args, **more)

    world.authentik.create_invitation = slow  # type: ignore[method-assign]
    found = await asyncio.gather(
        *(invites.create(world, ADMIN, Wanted("x", key="k", body="b")) for _ in range(8)), return_exceptions=True
    )
    assert {answer[0].code for answer in found if isinstance(answer, tuple)} == set(world.authentik.invitations)
    assert len(world.authentik.invitations) == 1
    assert len(await world.documents_in("invites")) == 1


async def test_a_key_is_the_callers_own() -> None:
    """Two admins may use the same key for two invites."""
    world = World()
    await invites.create(world, ADMIN, Wanted("x", key="k", body="b"))
    await invites.create(world, Actor("user:bob"), Wanted("y", key="k", body="c"))
    assert len(world.authentik.invitations) == 2


# ------------------------------------------------------------------ use


async def test_the_last_use_closes_it() -> None:
    """Used as often as it may be, it is redeemed, and the invitation is deleted in Authentik."""
    world = world_with_rooms()
    invite = await world.invite(max_uses=2)
    for number, name in enumerate(("ada", "bob")):
        world.arrive(name)
        world.pause(seconds=10)
        world.authentik.enroll(invite.code, name)
        assert invite.code in world.authentik.invitations
        await world.enrolled(name, f"e{number}")
        await world.work()
        read = await invites.read(world, invite.id)
        assert (read.uses, read.status(world.now())) == (number + 1, ("pending", "redeemed")[number])
    assert world.authentik.invitations == {}
    assert len(read.used_by) == 2
    assert read.code == ""


async def test_a_look_uses_nothing_up() -> None:
    """The invitation in Authentik is not `single_use`, so a closed tab or a link preview costs no use."""
    world = world_with_rooms()
    invite = await world.invite()
    await world.live()
    assert (await invites.read(world, invite.id)).uses == 0
    assert invite.code in world.authentik.invitations


async def test_one_use_too_many_is_held() -> None:
    """The second member of a single invite is deactivated and waits for an admin; not one room is opened to them."""
    world = world_with_rooms()
    invite = await world.invite()
    for name in ("ada", "mallory"):
        world.arrive(name)
        world.authentik.enroll(invite.code, name)
    await world.enrolled("ada", "e1")
    second = (await world.enrolled("mallory", "e2")).onboarding
    await world.live()
    view = await world.view(second)
    assert (view.state, view.onboarding.state) == ("held", "held")
    assert view.onboarding.hold_reason == "the invite 'Open evening' is good for 1, and was used 1 times before"
    account = await world.authentik.account_named("mallory")
    assert account is not None
    assert not account.active
    assert "@mallory:fake.test" not in world.homeserver.homes[world.policy.default_rooms[0]].members
    assert world.indoc.members["@mallory:fake.test"] == "join"
    assert (await invites.read(world, invite.id)).uses == 1


async def other_email(world: World) -> tuple[str, str]:
    invite = await world.invite(email="Ada@Example.test")
    world.arrive("ada")
    world.authentik.enroll(invite.code, "ada", email="eve@example.test")
    onboarding = (await world.enrolled("ada")).onboarding
    await world.live()
    return onboarding, invite.id


async def test_another_email_is_held() -> None:
    """An e-mail other than the invited one is held, deactivated, and counts no use."""
    world = world_with_rooms()
    onboarding, invite = await other_email(world)
    view = await world.view(onboarding)
    assert view.state == "held"
    assert "another e-mail address" in view.onboarding.hold_reason
    assert (await invites.read(world, invite)).uses == 0
    account = await world.authentik.account_named("ada")
    assert account is not None
    assert not account.active


async def test_the_same_email_in_other_letters_is_fine() -> None:
    """Capitals and blanks make no other e-mail."""
    world = world_with_rooms()
    invite = await world.invite(email=" Ada@Example.TEST ")
    world.arrive("ada")
    world.authentik.enroll(invite.code, "ada", email="ada@example.test")
    assert (await world.view((await world.enrolled("ada")).onboarding)).state == "running"


async def test_approve() -> None:
    """Approved: the use is counted, the invitation closed, the account activated, and everything starts."""
    world = world_with_rooms(2)
    onboarding, invite = await other_email(world)
    view = await onboardings.approve(world, ADMIN, onboarding)
    assert view.state == "running"
    await world.live()
    states = await world.states(onboarding)
    assert {name: state for name, state in states.items() if state != "done"} == {}
    account = await world.authentik.account_named("ada")
    assert account is not None
    assert account.active
    assert world.authentik.invitations == {}
    read = await invites.read(world, invite)
    assert (read.uses, read.status(world.now())) == (1, "redeemed")
    await at_home(world, onboarding, MEMBER)


async def test_approved_before_it_was_deactivated() -> None:
    """An approval that is faster than the deactivation leaves the account active."""
    world = world_with_rooms()
    invite = await world.invite(email="other@example.test")
    world.arrive("ada")
    world.authentik.enroll(invite.code, "ada")
    onboarding = (await world.enrolled("ada")).onboarding
    await onboardings.approve(world, ADMIN, onboarding)
    await world.live()
    account = await world.authentik.account_named("ada")
    assert account is not None
    assert account.active
    assert (await world.view(onboarding)).state == "done"


async def test_approved_while_it_is_being_deactivated() -> None:
    """A deactivation that is on its way when the approval comes is not the last word."""
    world = world_with_rooms()
    invite = await world.invite(email="other@example.test")
    world.arrive("ada")
    world.authentik.enroll(invite.code, "ada")
    onboarding = (await world.enrolled("ada")).onboarding
    update = world.authentik.update_account

    async def slow(pk: int, **changes: Any) -> Any:
        world.authentik.update_account = update  # type: ignore[method-assign]
        await onboardings.approve(world, ADMIN, onboarding)
        await asyncio.gather(*(world.once(task) for task in world.queue.take(world.now())), return_exceptions=True)
        return await update(pk, **changes)

    world.authentik.update_account = slow  # type: ignore[method-assign]
    await world.live()
    account = await world.authentik.account_named("ada")
    assert account is not None
    assert account.active
    assert (await world.view(onboarding)).state == "done"


async def test_more_uses_then_approve() -> None:
    """An invite that was closed, reopened by an edit, and closed again by an approval, loses its invitation again."""
    world = world_with_rooms()
    invite = await world.invite()
    for name in ("ada", "bob"):
        world.arrive(name)
        world.authentik.enroll(invite.code, name)
    await world.enrolled("ada", "e1")
    second = (await world.enrolled("bob", "e2")).onboarding
    await invites.edit(world, ADMIN, invite.id, {"max_uses": 2})
    await onboardings.approve(world, ADMIN, second)
    await world.live()
    await at_home(world, second, "@bob:fake.test")
    read = await invites.read(world, invite.id)
    assert (read.uses, read.closed) == (2, "redeemed")
    assert world.authentik.invitations == {}


async def test_reject() -> None:
    """Rejected: the account stays deactivated, every step is skipped with who and why, no use is counted."""
    world = world_with_rooms()
    onboarding, invite = await other_email(world)
    await onboardings.reject(world, ADMIN, onboarding)
    await world.live()
    steps = await world.steps(onboarding)
    others = [step for name, step in steps.items() if name != "deactivate"]
    assert {step.state for step in others} == {"skipped"}
    assert {step.result["by"] for step in others} == {ADMIN.name}
    account = await world.authentik.account_named("ada")
    assert account is not None
    assert not account.active
    assert world.homeserver.called("invite") == []
    assert (await invites.read(world, invite)).uses == 0


@pytest.mark.parametrize("second", [onboardings.approve, onboardings.reject])
@pytest.mark.parametrize("first", [onboardings.approve, onboardings.reject])
async def test_decided_once(first: Any, second: Any) -> None:
    """What has been approved or rejected cannot be decided again."""
    world = world_with_rooms()
    onboarding, _ = await other_email(world)
    await first(world, ADMIN, onboarding)
    with pytest.raises(Conflict):
        await second(world, ADMIN, onboarding)


async def test_held_steps_cannot_be_retried() -> None:
    """Neither retry nor skip gets around the decision."""
    world = world_with_rooms()
    onboarding, _ = await other_email(world)
    with pytest.raises(Conflict):
        await onboardings.retry(world, ADMIN, onboarding, [])
    with pytest.raises(Conflict):
        await onboardings.skip(world, ADMIN, onboarding, "hello", "x")


@pytest.mark.parametrize("what", ["revoked", "expired", "unknown", "odd", "reserved"])
async def test_an_invite_that_is_no_good_is_held(what: str) -> None:
    """Revoked, expired or unknown: whoever came by it waits for an admin."""
    world = world_with_rooms()
    invite = await world.invite()
    code = invite.code
    if what == "revoked":
        world.arrive("ada")
        world.authentik.enroll(code, "ada")
        await invites.revoke(world, ADMIN, invite.id)
    elif what == "expired":
        world.pause(days=8)
        world.authentik.enroll(code, "ada")
    else:
        named = {"unknown": "inv_nobody", "odd": "a/b", "reserved": "__x__"}[what]
        world.authentik.add_account("ada", attributes={ATTRIBUTE: named})
    onboarding = (await world.enrolled("ada")).onboarding
    await world.live()
    view = await world.view(onboarding)
    assert view.state == "held"
    assert {"revoked": "had been revoked", "expired": "had expired"}.get(
        what, "do not know"
    ) in view.onboarding.hold_reason
    account = await world.authentik.account_named("ada")
    assert account is not None
    assert not account.active


async def test_a_late_webhook_is_no_late_member() -> None:
    """Who enrolled in time is welcome, though the webhook came after the expiry."""
    world = world_with_rooms()
    await world.member()
    world.pause(days=8)
    assert (await world.view((await world.enrolled("ada")).onboarding)).state == "running"


async def test_two_race_for_the_last_use() -> None:
    """Of two members who come at the same instant exactly one is held."""
    world = world_with_rooms()
    invite = await world.invite()
    for name in ("ada", "bob"):
        world.authentik.enroll(invite.code, name)
    verdicts = await asyncio.gather(world.enrolled("ada", "e1"), world.enrolled("bob", "e2"))
    states = [(await world.view(verdict.onboarding)).state for verdict in verdicts]
    assert sorted(states) == ["held", "running"]
    assert (await invites.read(world, invite.id)).uses == 1


# ------------------------------------------------------------------ listing, editing, revoking


async def test_lists_by_status() -> None:
    """Each status lists its own, newest first; a list without one has all of them."""
    world = world_with_rooms()
    pending = await world.invite("pending")
    world.pause(seconds=1)
    revoked = await world.invite("revoked")
    await invites.revoke(world, ADMIN, revoked.id)
    expired = await world.invite("expired", expires_at=world.now() + timedelta(minutes=1))
    world.pause(minutes=2)
    redeemed = await world.invite("redeemed")
    world.authentik.enroll(redeemed.code, "ada")
    await world.enrolled("ada")
    for status, invite in {"pending": pending, "revoked": revoked, "expired": expired, "redeemed": redeemed}.items():
        found = await invites.listing(world, status, 50, None)
        assert ([item.id for item in found.items], found.total) == ([invite.id], 1)
        assert found.items[0].status(world.now()) == status
    everything = await invites.listing(world, "", 3, None)
    assert (len(everything.items), everything.total) == (3, 4)
    rest = await invites.listing(world, "", 3, everything.next_cursor)
    assert {item.id for item in (*everything.items, *rest.items)} == {pending.id, revoked.id, expired.id, redeemed.id}


async def test_edit_reaches_authentik() -> None:
    """A new expiry and e-mail are Authentik's too."""
    world = World()
    invite = await world.invite()
    at = world.now() + timedelta(days=30)
    edited = await invites.edit(world, ADMIN, invite.id, {"expires_at": at, "email": "new@example.test"})
    [(invitation, fixed_data)] = world.authentik.invitations.values()
    assert (invitation.expires_at, fixed_data["email"]) == (at, "new@example.test")
    assert (edited.code, edited.stale) == (invite.code, False)


async def test_an_edit_of_nothing_is_none() -> None:
    """No field named: the invite as it is, nothing asked of Authentik, nothing in the audit."""
    world = World()
    invite = await world.invite()
    before, calls = len(await world.audits()), len(world.authentik.calls)
    assert await invites.edit(world, ADMIN, invite.id, {}) == invite
    assert (len(await world.audits()), len(world.authentik.calls)) == (before, calls)


async def test_more_uses_open_it_again() -> None:
    """A used-up invite is pending again after an edit, with an invitation of its own."""
    world = world_with_rooms()
    invite = await world.invite()
    world.authentik.enroll(invite.code, "ada")
    await world.enrolled("ada")
    await world.work()
    edited = await invites.edit(world, ADMIN, invite.id, {"max_uses": 2})
    assert edited.status(world.now()) == "pending"
    assert edited.closed_at is None
    assert list(world.authentik.invitations) == [edited.code]
    assert edited.link.endswith(edited.code)


async def test_fewer_uses_than_were_made() -> None:
    """`max_uses` below what was used is refused; as many as were used closes it."""
    world = world_with_rooms()
    invite = await world.invite(max_uses=3)
    for name in ("ada", "bob"):
        world.authentik.enroll(invite.code, name)
        await world.enrolled(name, name)
    with pytest.raises(Invalid):
        await invites.edit(world, ADMIN, invite.id, {"max_uses": 1})
    edited = await invites.edit(world, ADMIN, invite.id, {"max_uses": 2})
    assert edited.status(world.now()) == "redeemed"
    assert world.authentik.invitations == {}


async def test_revoke() -> None:
    """Revoked, the link ends upstream; once more changes nothing; an edit is refused."""
    world = World()
    invite = await world.invite()
    revoked = await invites.revoke(world, ADMIN, invite.id)
    assert revoked.status(world.now()) == "revoked"
    assert world.authentik.invitations == {}
    world.pause(seconds=1)
    assert await invites.revoke(world, ADMIN, invite.id) == revoked
    with pytest.raises(Conflict):
        await invites.edit(world, ADMIN, invite.id, {"label": "x"})
    assert sorted(record["action"] for record in await world.audits()) == ["invite.create", "invite.revoke"]


async def test_revoked_while_authentik_is_down() -> None:
    """The record is revoked at once, so nobody gets in by it; the sweep deletes the invitation later."""
    world = World()
    invite = await world.invite()
    world.authentik.fail("delete_invitation", Unreachable("authentik", "no answer"))
    with pytest.raises(Unreachable):
        await invites.revoke(world, ADMIN, invite.id)
    assert (await invites.read(world, invite.id)).status(world.now()) == "revoked"
    await resume(world)
    assert world.authentik.invitations == {}


async def test_one_bad_invite_stops_no_other() -> None:
    """The sweep settles every invite it can."""
    world = World()
    for label in ("a", "b", "c"):
        invite = await world.invite(label)
        world.authentik.fail("delete_invitation", Refused("403", "Check the token."))
        with pytest.raises(Refused):
            await invites.revoke(world, ADMIN, invite.id)
    world.authentik.fail("delete_invitation", Refused("403", "Check the token."))
    assert await invites.reconcile_all(world) == 2


async def test_unknown() -> None:
    """An id that nobody has, or that cannot be one, is not found."""
    world = World()
    for name in ("inv_x", "a/b", "..", "__x__", ""):
        with pytest.raises(NotFound):
            await invites.read(world, name)
