"""Inviting, the farewell and the way out of INDOC: what counts as done, and why something could not be."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from functions.admin.models import step_detail
from shared.domain.errors import Refused, TryLater, Unreachable
from shared.domain.onboarding import Step
from shared.services import onboardings
from shared.services.onboardings import Wanted
from shared.services.resume import presence
from tests.world import ADMIN, World, at_home

MEMBER = "@ada:fake.test"


async def begun(rooms: int = 1, *, there: bool = True, **fields: object) -> tuple[World, str]:
    world = World()
    world.furnish(rooms, **fields)  # type: ignore[arg-type]
    await world.member(there=there)
    return world, (await world.enrolled("ada")).onboarding


async def room_step(world: World, onboarding: str) -> Step:
    return next(step for step in (await world.steps(onboarding)).values() if step.kind == "room")


# ------------------------------------------------------------------ inviting


async def test_already_in_the_room_is_done() -> None:
    """Matrix refuses to invite whoever has joined: for us that is done, and it says "join"."""
    world, onboarding = await begun()
    world.homeserver.join(MEMBER, world.policy.default_rooms[0])
    await world.live()
    step = await room_step(world, onboarding)
    assert (step.state, step.result["membership"]) == ("done", "join")
    assert step_detail(step, None) == "in the room"


@pytest.mark.parametrize("name", ["#ops", "Outdoors"])
async def test_too_little_power(name: str) -> None:
    """The homeserver says only M_FORBIDDEN: we say how much power the bot has in which room, and what it needs."""
    world = World()
    world.furnish(0)
    room = world.homeserver.add_room(name, by="@root:fake.test", version="10", invite=50)
    world.homeserver.join(world.homeserver.user_id, room)
    world.policy = replace(world.policy, default_rooms=(room,))
    await world.member()
    onboarding = (await world.enrolled("ada")).onboarding
    await world.live()
    step = await room_step(world, onboarding)
    assert (step.state, step.code) == ("failed", "M_FORBIDDEN")
    assert step.cause == f"the bot has power 0 in {name}, inviting needs 50"
    assert step.fix == f"In {name}, give the bot power 50, then retry."
    assert (await world.states(onboarding))["indoc_removal"] == "done"


async def test_the_bot_is_not_in_the_room() -> None:
    """A room that the bot has not joined is said to be just that, with what to do."""
    world = World()
    world.furnish(0)
    world.policy = replace(world.policy, default_rooms=(world.homeserver.add_room("Hidden", by="@root:fake.test"),))
    await world.member()
    onboarding = (await world.enrolled("ada")).onboarding
    await world.live()
    step = await room_step(world, onboarding)
    assert step.state == "failed"
    assert "the bot is not in the room" in step.cause
    assert "Invite the bot" in step.fix


async def test_the_bot_is_not_in_indoc() -> None:
    """The same words where the bot cannot look into INDOC; whether they have logged in is looked up all the same."""
    world, onboarding = await begun(there=False)
    world.homeserver.leave(world.homeserver.user_id, world.policy.indoc)
    await world.live()
    for name in ("indoc_farewell", "indoc_removal"):
        step = (await world.steps(onboarding))[name]
        assert (step.state, step.code) == ("failed", "M_FORBIDDEN")
        assert "the bot is not in the room" in step.cause
        assert "Invite the bot" in step.fix
    assert (await world.view(onboarding)).onboarding.seen is False


async def test_banned() -> None:
    """A ban is named, not guessed at."""
    world, onboarding = await begun()
    world.homeserver.homes[world.policy.default_rooms[0]].members[MEMBER] = "ban"
    await world.live()
    step = await room_step(world, onboarding)
    assert (step.state, step.cause) == ("failed", f"{MEMBER} is banned from Room 0")
    assert step.fix == "Lift the ban first."


async def test_an_alias_is_resolved() -> None:
    """Rooms may be named by alias; the step says which room it was."""
    world = World()
    world.furnish(0)
    room = world.homeserver.add_room("Books", alias="books")
    world.policy = replace(world.policy, default_rooms=("#books:fake.test",))
    await world.member()
    onboarding = (await world.enrolled("ada")).onboarding
    await world.live()
    assert (await room_step(world, onboarding)).result["room_id"] == room
    await at_home(world, onboarding, MEMBER)


async def test_an_unknown_alias() -> None:
    """An alias that nobody has is a failed step with its name in the cause."""
    world = World()
    world.furnish(0)
    world.policy = replace(world.policy, default_rooms=("#a/b%:fake.test",))
    await world.member()
    onboarding = (await world.enrolled("ada")).onboarding
    await world.live()
    step = await room_step(world, onboarding)
    assert (step.state, step.cause) == ("failed", "there is no room #a/b%:fake.test")
    assert "Correct the alias" in step.fix


async def test_never_logged_in() -> None:
    """Synapse accepts invites of people who do not exist: we look their profile up, once, and say so."""
    world, onboarding = await begun(3, there=False)
    await world.work()
    seen = (await world.view(onboarding)).onboarding.seen
    assert seen is False
    assert step_detail(await room_step(world, onboarding), seen) == "invited, has never logged in"
    assert len(world.homeserver.called("has_profile")) == 1


async def test_logged_in_later() -> None:
    """Who was invited before their first login is looked at again, more and more rarely, until they have."""
    world, onboarding = await begun(there=False)
    await world.work()
    world.pause(minutes=2)
    assert await presence(world) == 1
    assert await presence(world) == 0
    world.homeserver.add_user(MEMBER)
    world.pause(minutes=6)
    assert await presence(world) == 1
    view = await world.view(onboarding)
    assert (view.onboarding.seen, view.onboarding.look_at) == (True, None)
    assert step_detail(await room_step(world, onboarding), view.onboarding.seen) == "invited"


async def test_nobody_looks_for_ever() -> None:
    """After two weeks nobody asks any more whether they have logged in."""
    world, onboarding = await begun(there=False)
    await world.work()
    world.pause(days=15)
    await presence(world)
    assert (await world.view(onboarding)).onboarding.look_at is None


# ------------------------------------------------------------------ out of INDOC


async def test_the_farewell_mentions_them() -> None:
    """The last message in INDOC is a real mention, under the name they have there."""
    world, _ = await begun()
    await world.live()
    [message] = world.homeserver.messages(world.policy.indoc)
    assert message["m.mentions"] == {"user_ids": [MEMBER]}
    assert f"https://matrix.to/#/{MEMBER}" in message["formatted_body"]
    assert message["body"].startswith("ada, you are all set")


async def test_removal_without_any_room() -> None:
    """No room selected keeps nobody in INDOC."""
    world, onboarding = await begun(0)
    await world.live()
    assert world.indoc.members[MEMBER] == "leave"
    await at_home(world, onboarding, MEMBER)


async def test_removal_though_every_invite_failed() -> None:
    """A failed invite keeps nobody in INDOC either."""
    world, onboarding = await begun(3)
    world.homeserver.fail_next(Refused("no", code="M_ODD"), times=3, method="invite")
    await world.live()
    assert world.indoc.members[MEMBER] == "leave"
    assert (await world.view(onboarding)).state == "failed"


@pytest.mark.parametrize("reason", ["refused", "encrypted", "faults"])
async def test_removal_though_the_farewell_failed(reason: str) -> None:
    """A farewell that cannot be said, for whatever reason, keeps nobody in INDOC."""
    world, onboarding = await begun(0)
    if reason == "encrypted":
        world.indoc.encrypted = True
    elif reason == "refused":
        world.homeserver.fail_next(Refused("no", code="M_ODD"), method="is_encrypted")
    else:
        world.homeserver.fail_next(TryLater("hiccup"), times=10, method="is_encrypted")
    await world.once(world.due("indoc_farewell")) if reason != "faults" else None
    await world.live()
    states = await world.states(onboarding)
    assert (states["indoc_farewell"], states["indoc_removal"]) == ("failed", "done")
    assert world.indoc.members[MEMBER] == "leave"
    assert world.homeserver.messages(world.policy.indoc) == []


async def test_removed_by_us_and_the_answer_lost() -> None:
    """A removal whose answer was lost is found done, also when no farewell tells that they were there."""
    world, onboarding = await begun(0)
    world.indoc.encrypted = True
    world.homeserver.fail_next(Unreachable("matrix", "no answer"), after_effect=True, method="kick")
    await world.live()
    step = (await world.steps(onboarding))["indoc_removal"]
    assert (step.state, step.result["membership"]) == ("done", "leave")
    assert len(world.homeserver.called("kick")) == 1


async def test_left_indoc_by_themselves() -> None:
    """Who was in INDOC and has left is out of it: nobody to say farewell to, nothing to wait for."""
    world, onboarding = await begun()
    world.homeserver.leave(MEMBER, world.policy.indoc)
    await world.live()
    states = await world.states(onboarding)
    assert (states["indoc_farewell"], states["indoc_removal"]) == ("skipped", "done")
    assert (await world.view(onboarding)).onboarding.state == "done"


async def test_auto_remove_is_respected() -> None:
    """With `AUTO_REMOVE_FROM_INDOC` off there is neither farewell nor removal."""
    world = World()
    world.furnish(1)
    world.policy = replace(world.policy, auto_remove=False)
    await world.member()
    onboarding = (await world.enrolled("ada")).onboarding
    await world.live()
    assert world.indoc.members[MEMBER] == "join"
    assert not {"indoc_farewell", "indoc_removal"} & set(await world.states(onboarding))
    assert (await world.view(onboarding)).state == "done"


async def test_skip_indoc_removal_is_respected() -> None:
    """An admin may ask that one member stays in INDOC."""
    world = World()
    world.furnish(1)
    world.arrive("ada")
    account = world.authentik.add_account("ada")
    view = await onboardings.onboard(world, ADMIN, account, Wanted(skip_indoc=True))
    await world.live()
    assert world.indoc.members[MEMBER] == "join"
    assert (await world.view(view.onboarding.id)).state == "done"
    assert view.onboarding.skip_indoc


async def test_not_in_indoc_is_not_done() -> None:
    """If the id is not in INDOC, removal is not called done: it waits, says so, and says how to name who they are."""
    world, onboarding = await begun(there=False)
    await world.work()
    world.pause(seconds=5)
    await world.work()
    view = await world.view(onboarding)
    assert (view.state, view.onboarding.state) == ("waiting", "waiting")
    for name in ("indoc_farewell", "indoc_removal"):
        step = (await world.steps(onboarding))[name]
        assert step.state == "waiting"
        assert f"{MEMBER} is not in INDOC" in step.cause
        assert "POST /api/users/{pk}/onboard with matrix_id" in step.fix
    assert world.homeserver.called("kick") == []


async def test_a_matrix_id_given_later_resumes() -> None:
    """Named later, the other id is invited, said farewell to and removed; nobody else is."""
    world, onboarding = await begun(there=False)
    await world.live(hours=1)
    other = world.homeserver.add_user("@Countess:elsewhere.test")
    world.homeserver.join(other, world.policy.indoc)
    account = await world.authentik.account_named("ada")
    assert account is not None
    view = await onboardings.onboard(world, ADMIN, account, Wanted(matrix_id=other))
    assert view.state == "running"
    assert (view.onboarding.matrix_id, view.onboarding.given_by) == (other, "admin")
    await world.live()
    await at_home(world, onboarding, other)
    assert MEMBER not in world.indoc.members


async def test_they_come_to_indoc_later() -> None:
    """Who enters INDOC hours later is found there, said farewell to first, and removed then."""
    world, onboarding = await begun(there=False)
    await world.live(hours=3, on=True)
    world.arrive("ada")
    await world.live(hours=7, on=True)
    await at_home(world, onboarding, MEMBER)
    order = [
        name
        for name, args in world.homeserver.calls
        if name == "kick" or (name == "send" and args[0] == world.policy.indoc)
    ]
    assert order == ["send", "kick"]


async def test_the_farewell_skipped_frees_the_removal() -> None:
    """A removal that waits for the farewell to find them goes on when an admin skips the farewell."""
    world, onboarding = await begun(there=False)
    await world.work()
    world.arrive("ada")
    await onboardings.skip(world, ADMIN, onboarding, "indoc_farewell", "said by hand")
    await world.live()
    assert (await world.states(onboarding))["indoc_removal"] == "done"
    assert world.indoc.members[MEMBER] == "leave"


async def test_nobody_looks_into_indoc_for_ever() -> None:
    """After two weeks only an admin can go on."""
    world, onboarding = await begun(there=False)
    await world.work()
    world.pause(days=14, minutes=1)
    await world.sweep()
    await world.work()
    steps = await world.steps(onboarding)
    assert {steps[name].state for name in ("indoc_farewell", "indoc_removal")} == {"waiting"}
    assert steps["indoc_farewell"].due_at is None


async def test_looks_become_rare() -> None:
    """A member who is not in INDOC is looked for after 10 minutes, an hour, and every 6 hours."""
    world, onboarding = await begun(there=False)
    pauses = []
    for _ in range(4):
        await world.work()
        due = (await world.steps(onboarding))["indoc_farewell"].due_at
        assert due is not None
        pauses.append(due - world.now())
        world.pause(seconds=pauses[-1].total_seconds() + 1)
        await world.sweep()
    assert pauses == [timedelta(minutes=10), timedelta(hours=1), timedelta(hours=6), timedelta(hours=6)]


async def test_power_too_low_to_remove() -> None:
    """Whoever has as much power as the bot cannot be removed by it: both levels are named."""
    world = World()
    entry = world.homeserver.add_room("INDOC", version="10", powers={MEMBER: 100})
    world.policy = replace(world.policy, indoc=entry)
    await world.member()
    onboarding = (await world.enrolled("ada")).onboarding
    await world.live()
    step = (await world.steps(onboarding))["indoc_removal"]
    assert step.state == "failed"
    assert step.cause == f"{MEMBER} has power 100 in INDOC, the bot 100: it cannot remove them"
    assert step.fix


async def test_the_bot_may_not_remove() -> None:
    """Without the power to remove, it says which power removing needs."""
    world = World()
    entry = world.homeserver.add_room("INDOC", by="@root:fake.test", version="10")
    world.homeserver.join(world.homeserver.user_id, entry)
    world.policy = replace(world.policy, indoc=entry)
    await world.member()
    onboarding = (await world.enrolled("ada")).onboarding
    await world.live()
    step = (await world.steps(onboarding))["indoc_removal"]
    assert (step.state, step.cause) == ("failed", "the bot has power 0 in INDOC, removing needs 50")
