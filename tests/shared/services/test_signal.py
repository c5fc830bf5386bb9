"""A chat on Signal through a bridge that answers as mautrix-signal does: on time, late, wrongly, or not at all."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from shared.domain.errors import Conflict, Invalid, Unreachable
from shared.domain.onboarding import Step
from shared.ports import Account
from shared.services import forget, job_retry, messaging, new_users, signal_bridge, signal_jobs
from shared.services.context import whose
from shared.services.jobs import JobView, view
from tests.fakes.signal_bridge import Bridged, bridged
from tests.world import ADMIN, DOMAIN, World

ADA, BOB = "+491701234567", "+4915112345678"
BOTH = {ADA: "Ada on Signal", BOB: "Bob on Signal"}


async def on_signal(world: World, name: str = "Ada", number: str = ADA) -> Account:
    """Somebody with an account and a number in it."""
    made = await new_users.create(world, ADMIN, new_users.Wanted(name, attributes={"signal_number": number}))
    await world.work()
    return made.account


async def asked(world: World, account: Account, key: str = "") -> JobView:
    return await signal_jobs.start(world, ADMIN, account.pk, key, "b")


async def step_of(world: World, job: JobView) -> Step:
    [step] = (await view(world, job.job.id)).steps
    return step


async def some_time(world: World, bridge: Bridged | None = None, seconds: float = 60) -> None:
    """So long, with the bridge at work all the while."""
    for _ in range(int(seconds / 5)):
        await world.work()
        if bridge:
            await bridge.work()
        world.pause(seconds=5)
    await world.work()


@pytest.fixture
def world() -> World:
    made = World()
    made.furnish()
    return made


async def test_a_number_becomes_a_room_and_a_hello(world: World) -> None:
    """Asked once; the bot enters the room that the bridge makes, says hello there once, in plain, and knows it from then
    on as their direct room."""
    bridge = bridged(world, BOTH)
    account = await on_signal(world)
    job = await asked(world, account)
    await some_time(world, bridge)
    step = await step_of(world, job)
    room, puppet = bridge.bridge.rooms[ADA], bridge.bridge.puppet_of(ADA)
    assert (step.state, step.result["room_id"], step.result["matrix_id"]) == ("done", room, puppet)
    [said] = world.homeserver.messages(room)
    assert said["body"].startswith("Hello Ada, ")
    assert bridge.questions == [f"start-chat {ADA}"]
    shown = await signal_jobs.shown(world, account.pk)
    assert (shown.room_id, shown.matrix_id, shown.bridge, shown.state) == (room, puppet, "Signal", "done")
    direct = messaging.DirectRoom.of((await world.documents_in("direct_rooms"))[-1])
    assert (direct.matrix_id, direct.room_id, direct.encrypted) == (puppet, room, False)


async def test_the_same_number_asked_twice_is_one_room(world: World) -> None:
    """A key again is the same job; another job finds the room, and neither asks nor says hello a second time."""
    bridge = bridged(world, BOTH)
    account = await on_signal(world)
    first, again = await asked(world, account, "k1"), await asked(world, account, "k1")
    assert first.job.id == again.job.id
    at_once = await asked(world, account, "k2")
    await some_time(world, bridge, 120)
    later = await asked(world, account, "k3")
    await some_time(world, bridge)
    assert [(await step_of(world, job)).state for job in (first, at_once, later)] == ["done"] * 3
    assert "before" in (await step_of(world, later)).result["reason"]
    assert bridge.questions == [f"start-chat {ADA}"]
    assert len(world.homeserver.messages(bridge.bridge.rooms[ADA])) == 1


async def test_an_answer_that_comes_late(world: World) -> None:
    """While the bridge says nothing the step waits, without a task every few seconds; hours later it goes on."""
    bridge = bridged(world, BOTH)
    job = await asked(world, await on_signal(world))
    await some_time(world, None, 300)
    waiting = await step_of(world, job)
    assert (waiting.state, waiting.waits_for) == ("waiting", "bridge")
    for _ in range(20):
        world.pause(minutes=10)
        await world.sweep()
        await world.work()
    assert (await step_of(world, job)).state == "waiting"
    await bridge.work()
    await world.live(hours=1, on=True)
    done = await step_of(world, job)
    assert done.state == "done"
    assert done.attempts < 60
    assert bridge.questions == [f"start-chat {ADA}"]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (f"Identifier {ADA} not found", "NOT_ON_SIGNAL"),
        ("That command requires you to be logged in.", "SIGNED_OUT"),
        ("You're not logged in", "SIGNED_OUT"),
        (f"Failed to resolve identifier: error looking up number on server: {ADA} is odd", "BRIDGE"),
        ("Unknown command, use the help command for help.", "BRIDGE"),
    ],
)
async def test_what_the_bridge_says_becomes_cause_and_fix(world: World, words: str, code: str) -> None:
    """In words that say what to do, without the number, which would be in the logs as well; a retry asks anew."""
    bridge = bridged(world, BOTH)
    job = await asked(world, await on_signal(world))
    await world.work()
    bridge.say("Some status of no concern")
    bridge.say(words)
    bridge.seen += 1
    await some_time(world)
    failed = await step_of(world, job)
    assert (failed.state, failed.code) == ("failed", code)
    assert failed.cause
    assert failed.fix
    assert ADA not in failed.cause + failed.fix
    await job_retry.retry(world, ADMIN, job.job.id, ())
    await some_time(world, bridge, 120)
    assert (await step_of(world, job)).state == "done"
    assert bridge.questions == [f"start-chat {ADA}"] * 2


async def test_a_bridge_that_never_answers_is_given_up(world: World) -> None:
    """After six hours, with what to look at."""
    bridged(world, BOTH)
    job = await asked(world, await on_signal(world))
    await world.live(hours=8, on=True)
    failed = await step_of(world, job)
    assert (failed.state, failed.code) == ("failed", "NO_ANSWER")
    assert "6 hours" in failed.cause
    assert "mautrix-signal" in failed.fix


async def test_two_numbers_take_turns(world: World) -> None:
    """The bridge's answers do not say what they answer: while one question is open no other is asked."""
    bridge = bridged(world, BOTH, topics=False)
    jobs = [await asked(world, await on_signal(world, name, number)) for name, number in (("Ada", ADA), ("Bob", BOB))]
    await world.work()
    assert len(bridge.questions) == 1
    await some_time(world, bridge, 200)
    await world.live(hours=1)
    rooms = [(await step_of(world, job)).result["room_id"] for job in jobs]
    assert rooms == [bridge.bridge.rooms[ADA], bridge.bridge.rooms[BOB]]


@pytest.mark.parametrize("topics", [True, False])
async def test_answers_to_two_questions_at_once_in_the_wrong_order(world: World, topics: bool) -> None:
    """After an outage both are answered: the topic tells whose room it is; without it nothing is said in a room that may
    be somebody else's, and a retry asks alone."""
    bridge = bridged(world, BOTH, topics=topics)
    ada = await asked(world, await on_signal(world))
    await some_time(world, None, 60)
    world.pause(minutes=11)
    bob = await asked(world, await on_signal(world, "Bob", BOB))
    await world.work()
    assert len(bridge.questions) == 2
    await bridge.work(last_first=True)
    await world.live(hours=1)
    steps = [await step_of(world, job) for job in (ada, bob)]
    if not topics:
        assert {(step.state, step.code) for step in steps} == {("failed", "UNCLEAR")}
        assert not any(world.homeserver.messages(room) for room in bridge.bridge.rooms.values())
        for job in (ada, bob):
            await job_retry.retry(world, ADMIN, job.job.id, ())
            await some_time(world, bridge, 240)
            await world.live(hours=1)
        steps = [await step_of(world, job) for job in (ada, bob)]
    assert [step.result["room_id"] for step in steps] == [bridge.bridge.rooms[ADA], bridge.bridge.rooms[BOB]]
    assert [len(world.homeserver.messages(room)) for room in bridge.bridge.rooms.values()] == [1, 1]


async def test_a_room_with_somebody_else_in_it_is_no_direct_room(world: World) -> None:
    """A group that the bridge's bot names is entered by nobody's number, and nothing is said there."""
    bridge = bridged(world, BOTH)
    job = await asked(world, await on_signal(world))
    await world.work()
    await bridge.work()
    group = bridge.bridge.rooms[ADA]
    world.homeserver.join(f"@eve:{DOMAIN}", group)
    await some_time(world)
    assert (await step_of(world, job)).state != "done"
    assert world.homeserver.messages(group) == []


async def test_a_room_that_the_bot_has_lost_is_asked_for_again(world: World) -> None:
    """The record is no proof: the bot looks whether it is in there."""
    bridge = bridged(world, BOTH)
    account = await on_signal(world)
    await asked(world, account)
    await some_time(world, bridge)
    old = bridge.bridge.rooms.pop(ADA)
    world.homeserver.leave(world.homeserver.user_id, old)
    job = await asked(world, account, "again")
    await some_time(world, bridge)
    step = await step_of(world, job)
    assert (step.state, step.result["room_id"]) == ("done", bridge.bridge.rooms[ADA])
    assert old != step.result["room_id"]


async def test_never_in_plain_where_the_bridge_encrypts(world: World) -> None:
    """Neither the number in the management room, nor the hello."""
    bridge = bridged(world, BOTH)
    job = await asked(world, await on_signal(world))
    await world.work()
    await bridge.work()
    world.homeserver.homes[bridge.bridge.rooms[ADA]].encrypted = True
    await some_time(world)
    assert (await step_of(world, job)).code == "ENCRYPTED"
    assert world.homeserver.messages(bridge.bridge.rooms[ADA]) == []
    world.homeserver.homes[bridge.room].encrypted = True
    other = await asked(world, await on_signal(world, "Bob", BOB))
    await some_time(world)
    assert (await step_of(world, other)).code == "ENCRYPTED"
    assert len(bridge.questions) == 1


async def test_a_lost_answer_of_the_homeserver_asks_once(world: World) -> None:
    """The question was sent, and nobody was told: the next try finds it under its own transaction id."""
    bridge = bridged(world, BOTH)
    account = await on_signal(world)
    world.homeserver.fail_next(Unreachable("matrix", "it timed out"), after_effect=True, method="send")
    job = await asked(world, account)
    await some_time(world, bridge, 120)
    assert (await step_of(world, job)).state == "done"
    assert bridge.questions == [f"start-chat {ADA}"]


async def test_nothing_is_begun_without_a_number_or_a_bridge(world: World) -> None:
    """Each is said with what to do; a dry run shows the one step and does nothing."""
    account = await on_signal(world)
    with pytest.raises(Conflict):
        await asked(world, account)
    bridged(world, BOTH)
    with pytest.raises(Invalid) as none:
        await asked(world, await on_signal(world, "Cleo", ""))
    assert none.value.errors[0][0] == "signal_number"
    with pytest.raises(Invalid):
        await asked(world, await on_signal(world, "Dora", "ask her"))
    dry = await signal_jobs.start(world, ADMIN, account.pk, dry_run=True)
    assert [step.kind for step in dry.steps] == ["signal_room"]
    assert await world.documents_in("signal") == []


async def test_half_a_bridge_is_off_and_named(world: World) -> None:
    """In the self-check: a bot without a room, a room without the bot or the bridge's bot, an encrypted one."""
    assert await signal_bridge.check(world) == []
    world.policy = replace(world.policy, signal_bot=f"@signalbot:{DOMAIN}")
    [half] = await signal_bridge.check(world)
    assert not half.ok
    assert "MATRIX_SIGNAL_BRIDGE_ROOM_ID is not" in half.detail
    world.policy = replace(world.policy, signal_bot="")
    bridge = bridged(world, BOTH)
    [whole] = await signal_bridge.check(world)
    assert whole.ok
    world.homeserver.leave(bridge.bot, bridge.room)
    assert bridge.bot in (await signal_bridge.check(world))[0].detail
    world.homeserver.join(bridge.bot, bridge.room)
    world.homeserver.homes[bridge.room].encrypted = True
    assert "encrypted" in (await signal_bridge.check(world))[0].detail
    world.homeserver.leave(world.homeserver.user_id, bridge.room)
    assert "the bot is not in" in (await signal_bridge.check(world))[0].detail


async def test_the_number_is_in_no_record_but_the_step_and_forgotten_with_the_member(world: World) -> None:
    """The chat's record has a keyed digest, the audit nothing of it; who is forgotten leaves neither."""
    bridge = bridged(world, BOTH)
    account = await on_signal(world)
    job = await asked(world, account)
    await some_time(world, bridge)
    assert ADA not in str(await world.documents_in("signal")) + str(await world.audits())
    onboarding = account.uid and (await world.documents_in("onboardings"))[0]["id"]
    found = await forget.traces(world, onboarding)
    await world.authentik.delete_account(account.pk)
    await forget.forget(world, ADMIN, found)
    assert ADA not in world.rows()
    assert bridge.bridge.puppet_of(ADA) not in world.rows()
    assert whose(f"jobs/{job.job.id}") == {"job": job.job.id}
