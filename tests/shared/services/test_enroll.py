"""From a webhook to an onboarding: once per account, whatever comes how often."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from shared.domain.errors import Unreachable
from shared.services import onboardings
from shared.services.context import Actor
from shared.services.enroll import Hint, Start, begin, enroll, ignored
from shared.services.onboardings import Wanted
from tests.world import ADMIN, World, at_home

MEMBER = "@ada:fake.test"


async def enrolled_member(rooms: int = 1, **wanted: object) -> World:
    world = World()
    world.furnish(rooms)
    await world.member(**wanted)  # type: ignore[arg-type]
    return world


async def test_accepted_then_known() -> None:
    """The first webhook begins an onboarding, each further one of the same event finds it."""
    world = await enrolled_member()
    first = await world.enrolled("ada")
    again = await world.enrolled("ada")
    assert (first.kind, again.kind) == ("accepted", "known")
    assert first.onboarding == again.onboarding


async def test_sixteen_webhooks_at_once() -> None:
    """Sixteen identical webhooks at the same instant make one onboarding and one use."""
    world = await enrolled_member()
    verdicts = await asyncio.gather(*(world.enrolled("ada") for _ in range(16)))
    assert sorted(verdict.kind for verdict in verdicts) == ["accepted"] + ["known"] * 15
    assert len({verdict.onboarding for verdict in verdicts}) == 1
    assert len(await world.documents_in("onboardings")) == 1
    [invite] = await world.documents_in("invites")
    assert invite["uses"] == 1
    await world.live()
    await at_home(world, verdicts[0].onboarding, MEMBER)


async def test_webhook_sweep_and_admin_at_once() -> None:
    """Webhook, sweep and API at the same instant make one onboarding of one account."""
    world = await enrolled_member()
    account = await world.authentik.account_named("ada")
    assert account is not None
    await asyncio.gather(
        world.enrolled("ada", "e1"),
        world.enrolled("ada", "e2"),
        begin(world, account, Start("sweep", Actor("muster"))),
        onboardings.onboard(world, ADMIN, account, Wanted()),
    )
    [onboarding] = await world.documents_in("onboardings")
    await world.live()
    await at_home(world, onboarding["id"], MEMBER)


async def test_a_known_event_enqueues_what_is_pending() -> None:
    """Tasks that could not be handed over are handed over when the webhook comes again."""
    world = await enrolled_member()
    world.queue.fail_next(20)
    first = await world.enrolled("ada")
    assert first.kind == "accepted"
    assert world.queue.tasks == {}
    world.queue._failures = 0
    await world.enrolled("ada")
    steps = await world.steps(first.onboarding)
    assert len(world.queue.tasks) == sum(step.state == "scheduled" for step in steps.values())


async def test_the_account_is_read_anew() -> None:
    """The webhook is only a hint: what counts is what Authentik says of the account."""
    world = World()
    world.furnish(0)
    account = world.authentik.add_account("ada", "Ada the Real", "ada@example.test")
    verdict = await enroll(world, Hint("e1", account.pk, "somebody-else"), Actor("authentik"))
    onboarding = (await world.view(verdict.onboarding)).onboarding
    assert (onboarding.username, onboarding.name, onboarding.uid) == ("ada", "Ada the Real", account.uid)


@pytest.mark.parametrize("hint", [Hint("e1", 99, "ada"), Hint("e1", None, "ada")])
async def test_deleted_meanwhile(hint: Hint) -> None:
    """An account that is gone again is no error: the webhook is answered, and the audit says why nothing happened."""
    world = World()
    verdict = await enroll(world, hint, Actor("authentik", "192.0.2.7"))
    assert (verdict.kind, verdict.reason) == ("ignored", "the account is gone")
    [audit] = await world.audits()
    assert (audit["action"], audit["detail"]["reason"], audit["source"]) == (
        "webhook.ignored",
        "the account is gone",
        "192.0.2.7",
    )
    assert await world.documents_in("onboardings") == []


async def test_ignored_twice_at_the_same_instant() -> None:
    """The same verdict at the same instant is one record, and no error."""
    world = World()
    for _ in range(2):
        await ignored(world, Hint("e1", None, "ada"), Actor("authentik"), "login is not an enrollment")
    assert len(await world.audits()) == 1


async def test_authentik_is_down() -> None:
    """A webhook that cannot be checked is answered by "try again", and leaves nothing half done."""
    world = await enrolled_member()
    world.authentik.fail("account_named", Unreachable("authentik", "no answer"))
    with pytest.raises(Unreachable):
        await world.enrolled("ada")
    assert await world.documents_in("onboardings") == []
    assert (await world.enrolled("ada")).kind == "accepted"


async def test_one_batch() -> None:
    """Event, onboarding, steps, the invite's use and the audit are one commit: all or nothing."""
    world = await enrolled_member(3)
    before = world.documents.writes
    await world.enrolled("ada")
    assert world.documents.writes == before + 1


async def test_the_invite_says_what_they_get() -> None:
    """Rooms and groups of the invite, then the defaults, each once."""
    world = World()
    [first, second] = world.furnish(2)
    third = world.homeserver.add_room("Third")
    for name in ("friends", "everybody"):
        world.authentik.add_group(name)
    world.policy = replace(world.policy, default_group="everybody")
    await world.member(rooms=(third, first), groups=("friends",))
    verdict = await world.enrolled("ada")
    await world.live()
    await at_home(world, verdict.onboarding, MEMBER)
    assert {home for home in (first, second, third) if MEMBER in world.homeserver.homes[home].members} == {
        first,
        second,
        third,
    }
    account = await world.authentik.account_named("ada")
    assert account is not None
    assert set(account.groups) == {"friends", "everybody"}


async def test_a_privileged_default_group_is_not_given() -> None:
    """Nor does a group become grantable by the detour of an older invite: it is refused when it would be added."""
    world = World()
    world.furnish(0)
    world.authentik.add_group("friends")
    await world.member(groups=("friends",))
    world.policy = replace(world.policy, admin_group="friends")
    verdict = await world.enrolled("ada")
    await world.live()
    step = (await world.steps(verdict.onboarding))["groups"]
    assert step.state == "failed"
    assert step.cause == "not granted: 'friends' gives administrative power"
    account = await world.authentik.account_named("ada")
    assert account is not None
    assert account.groups == ()


async def test_a_group_that_is_gone_stops_no_other() -> None:
    """Of two groups the one that is there is given; the other is named."""
    world = World()
    world.furnish(0)
    gone = world.authentik.add_group("gone")
    world.authentik.add_group("friends")
    await world.member(groups=("gone", "friends"))
    del world.authentik._groups[gone]
    verdict = await world.enrolled("ada")
    await world.live()
    step = (await world.steps(verdict.onboarding))["groups"]
    assert (step.state, step.cause) == ("failed", "not granted: 'gone' does not exist")
    account = await world.authentik.account_named("ada")
    assert account is not None
    assert account.groups == ("friends",)


# ------------------------------------------------------------------ who they are on Matrix


async def test_an_id_written_by_the_member_waits() -> None:
    """A Matrix id in the account's attributes that a member could have written waits for an admin: nobody is invited."""
    world = World()
    world.furnish(2)
    world.authentik.add_account("ada", attributes={"matrix_id": "@stranger:elsewhere.test"})
    verdict = await world.enrolled("ada")
    await world.live()
    view = await world.view(verdict.onboarding)
    assert (view.state, view.onboarding.matrix_id, view.onboarding.given_by) == ("waiting", "", "nobody")
    assert all("@stranger:elsewhere.test" in step.cause for step in view.steps)
    assert world.homeserver.called("invite") == []


async def test_their_own_id_may_be_written() -> None:
    """The id that the username gives anyway is no claim."""
    world = World()
    world.furnish(1)
    world.arrive("ada")
    world.authentik.add_account("ada", attributes={"matrix_id": MEMBER})
    verdict = await world.enrolled("ada")
    await world.live()
    await at_home(world, verdict.onboarding, MEMBER)


async def test_an_id_on_the_invite_is_trusted() -> None:
    """An admin who named the Matrix id in the invite is believed."""
    world = World()
    world.furnish(1)
    world.arrive("countess")
    await world.member(there=False, matrix_id="@countess:fake.test")
    verdict = await world.enrolled("ada")
    await world.live()
    await at_home(world, verdict.onboarding, "@countess:fake.test")


async def test_a_username_that_is_no_matrix_id_waits() -> None:
    """Capitals or blanks in a username would be guessed at: an admin is asked instead."""
    world = World()
    world.furnish(1)
    world.authentik.add_account("Ada Lovelace")
    verdict = await world.enrolled("Ada Lovelace")
    view = await world.view(verdict.onboarding)
    assert view.state == "waiting"
    assert {step.waits_for for step in view.steps} == {"person"}
