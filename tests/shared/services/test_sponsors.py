"""Sponsors: told once that their guest is there, within their own limit; and their invites paused without a loss."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from shared.domain.errors import Unreachable
from shared.services import invites, onboardings, sponsors
from shared.services.context import Actor
from tests.world import ADMIN, World, at_home

BOB, ADA = "@bob:fake.test", "@ada:fake.test"


async def guest_of(sponsor: str, username: str = "ada", world: World | None = None) -> tuple[World, str]:
    if world is None:
        world = World()
        world.furnish(1)
        world.arrive("bob")
    world.arrive(username)
    await world.member(username, sponsor=sponsor)
    verdict = await world.enrolled(username, f"event {username}")
    return world, verdict.onboarding


async def note_of(world: World, onboarding: str) -> tuple[str, str]:
    step = (await world.steps(onboarding))["sponsor_note"]
    return step.state, str(step.result.get("reason", ""))


async def test_the_sponsor_hears_of_it_once() -> None:
    """By a direct message that names the guest as a mention, once, however often the task is delivered."""
    world, onboarding = await guest_of(BOB)
    await world.twice(world.due("sponsor_note"))
    await world.live()
    await at_home(world, onboarding, ADA)
    [room] = world.direct_rooms_of(BOB)
    [event] = room.events
    assert event["content"]["m.mentions"] == {"user_ids": [ADA]}
    assert event["content"]["body"].startswith("Ada L., whom you vouched for, has just arrived")


async def test_a_sponsor_by_username() -> None:
    """The username of an account is enough: its Matrix id is looked up."""
    world = World()
    world.furnish(1)
    await world.member("bob")
    world.arrive("bob")
    world, onboarding = await guest_of("bob", world=world)
    await world.live()
    assert (await note_of(world, onboarding))[0] == "done"
    assert world.direct_rooms_of(BOB)


@pytest.mark.parametrize("sponsor", ["Anna from the choir", "@nonsense", "nobody"])
async def test_a_sponsor_who_cannot_be_told(sponsor: str) -> None:
    """A sponsor that nobody knows a Matrix id of keeps nobody waiting: the note is skipped, and says why."""
    world, onboarding = await guest_of(sponsor)
    await world.live()
    state, reason = await note_of(world, onboarding)
    assert (state, f"{sponsor} is neither" in reason) == ("skipped", True)
    assert (await world.view(onboarding)).state == "done"


async def test_who_vouches_for_themselves() -> None:
    """Nobody is told of their own arrival."""
    world, onboarding = await guest_of(ADA)
    await world.live()
    assert await note_of(world, onboarding) == ("skipped", "they vouch for themselves")


async def test_an_invite_without_a_sponsor() -> None:
    """Without one there is no such step; who made the invite as a person is the sponsor by default, a key is not."""
    world = World()
    world.furnish(1)
    assert (await world.invite()).sponsor == ""
    await world.member()
    verdict = await world.enrolled("ada")
    assert "sponsor_note" not in await world.steps(verdict.onboarding)
    made, _ = await invites.create(world, Actor("user:bob"), invites.Wanted("Tea"))
    assert made.sponsor == "bob"


async def test_within_their_own_limit() -> None:
    """The fourth guest of a day is told of on the next one; the guests themselves wait for nothing."""
    world = World()
    world.policy = replace(world.policy, proactive_a_day=3)
    world.furnish(1)
    world.arrive("bob")
    begun = [(await guest_of(BOB, f"guest{n}", world))[1] for n in range(4)]
    await world.work()
    assert sorted([(await note_of(world, each))[0] for each in begun]) == ["done", "done", "done", "waiting"]
    await world.live(25, on=True)
    assert [(await note_of(world, each))[0] for each in begun] == ["done"] * 4
    assert len(world.said(world.direct_rooms_of(BOB))) == 4


async def test_a_paused_sponsor() -> None:
    """Who comes while their sponsor is paused is held, uses nothing up, and is let in when an admin approves; a resumed
    sponsor's next guest comes in at once."""
    world = World()
    world.furnish(1)
    paused = await sponsors.pause(world, ADMIN, BOB, "too many at once")
    assert paused.pause is not None
    again = await sponsors.pause(world, Actor("key:other"), f" {BOB.upper()}", "")
    assert again.pause == paused.pause
    world, held = await guest_of(BOB, world=world)
    view = await world.view(held)
    assert (view.onboarding.state, view.onboarding.hold_reason) == (
        "held",
        f"the invites of {BOB} are paused: too many at once",
    )
    assert [invite["uses"] for invite in await world.documents_in("invites")] == [0]
    assert (await sponsors.resume(world, ADMIN, BOB)).pause is None
    world, free = await guest_of(BOB, "eve", world)
    assert (await world.view(free)).onboarding.hold == ""
    await onboardings.approve(world, ADMIN, held)
    await world.live()
    await at_home(world, held, ADA)
    assert {(await note_of(world, each))[0] for each in (held, free)} == {"done"}


async def test_a_dry_run_pauses_nobody() -> None:
    """It shows what would be, and stores nothing."""
    world = World()
    await world.invite(sponsor=BOB)
    shown = await sponsors.pause(world, ADMIN, BOB, "", dry_run=True)
    assert (shown.pause is not None, [invite.sponsor for invite in shown.invites]) == (True, [BOB])
    assert (await sponsors.standing(world, BOB)).pause is None
    assert await world.documents_in("sponsor_pauses") == []


async def test_authentik_is_down() -> None:
    """A sponsor by username cannot be looked up: nothing is begun, and the webhook comes again."""
    world = World()
    world.furnish(1)
    await world.member("bob")
    await world.member(sponsor="bob")
    world.authentik.fail("account_named", Unreachable("authentik", "down"))
    with pytest.raises(Unreachable):
        await world.enrolled("ada")
    assert await world.documents_in("onboardings") == []
    assert (await world.enrolled("ada")).kind == "accepted"
