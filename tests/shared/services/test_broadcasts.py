"""Messages to many on fakes: who gets them, how they halt and go on, and that each is said once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from shared.domain.broadcasts import Message
from shared.domain.errors import Conflict, Invalid, Limited, MusterError, NotFound, Refused, Unreachable
from shared.domain.onboarding import Step
from shared.ports import Delete, Query, Task
from shared.repositories import JOBS, MESSAGES
from shared.services import broadcast_report, broadcasts, bundles, job_retry, jobs, lists, offboarding
from shared.services.broadcast_acts import act_on
from shared.services.broadcast_choice import To
from shared.services.broadcasts import Started, Wanted
from shared.services.removals import Words
from tests.fakes.faulty_documents import Killed
from tests.shared.services.test_encryption import keys, sealing
from tests.world import ADMIN, DOMAIN, World

TEXT = "The garden party is on Sunday."


def club(people: int = 3) -> World:
    """So many with an account and a Matrix id, m00 first; the store counts from zero."""
    world = World()
    world.furnish(1)
    world.policy = replace(world.policy, bot=f"@muster:{DOMAIN}")
    for number in range(people):
        world.authentik.add_account(f"m{number:02}")
        world.homeserver.add_user(who(number))
    return world


def who(number: int) -> str:
    return f"@m{number:02}:{DOMAIN}"


EVERYBODY = To("users")


async def sent(world: World, to: To = EVERYBODY, *, dry_run: bool = False, **wanted: Any) -> Started:
    given: dict[str, Any] = {"text": TEXT} | wanted
    if not dry_run and "expected" not in given:
        given["expected"] = (await broadcasts.start(world, ADMIN, Wanted(to, **given), dry_run=True)).sends
    return await broadcasts.start(world, ADMIN, Wanted(to, **given), dry_run=dry_run)


async def message(world: World) -> Message:
    [data] = await world.documents_in("messages")
    return Message.of(data)


async def recipients(world: World) -> dict[str, Step]:
    """By Matrix id, or room, or name."""
    name = (await message(world)).path
    found = [Step.of(item.data) for item in (await world.store.query(Query(f"{name}/steps", limit=500))).items]
    return {step.matrix_id or step.room or str(step.wanted["name"]): step for step in found}


async def states(world: World) -> dict[str, str]:
    return {name: step.state for name, step in (await recipients(world)).items()}


def said_to(world: World, member: str) -> list[str]:
    rooms = [room for room in world.homeserver.homes.values() if member in room.direct]
    return [event["content"]["body"] for room in rooms for event in room.events]


async def driver(world: World) -> Step:
    document = await world.store.get(f"{JOBS.path((await message(world)).job)}/steps/recipients")
    assert document is not None
    return Step.of(document.data)


def tasks(world: World, entry_point: str = "send_message") -> list[Task]:
    """Taken from the queue, in the order of their recipients."""
    found = [task for task in world.queue.tasks.values() if task.entry_point == entry_point]
    for task in found:
        del world.queue.tasks[task.name]
    return sorted(found, key=lambda task: str(task.payload["step"]))


async def made(world: World) -> None:
    """The job has made the recipients' steps; nothing has been sent."""
    [task] = tasks(world, "apply_plan")
    await world.deliver(task)


# ------------------------------------------------------------------ who gets it


async def test_everybody_gets_it_once() -> None:
    """Each in a direct room of their own, as the homeserver confirms; then the message and its job are done."""
    world = club(3)
    started = await sent(world)
    await world.live(hours=1)
    assert [said_to(world, who(n)) for n in range(3)] == [[TEXT]] * 3
    done = await message(world)
    assert (done.id, done.state, done.counts, done.finished_at) == (
        started.message.id,
        "done",
        {"done": 3},
        world.now(),
    )
    view = await jobs.view(world, done.job)
    assert (view.job.state, view.job.people) == ("done", 3)
    for member, step in (await recipients(world)).items():
        [event] = [event for room in world.direct_rooms_of(member) for event in room.events]
        assert step.result["event_id"] == event["event_id"]


async def test_the_text_is_stored_once() -> None:
    """No task and no step holds what is said; nor does the audit. What was said to each is in their conversation."""
    world = club(2)
    await sent(world)
    assert all(
        set(task.payload) <= {"v", "job", "message", "step", "generation"} for task in world.queue.tasks.values()
    )
    await world.live(hours=1)
    held = [row.split("\x01")[0] for row in world.rows().splitlines() if TEXT in row]
    assert sorted(held) == ["messages", "sent", "sent"]
    actions = [record["action"] for record in await world.audits()]
    assert (actions.count("message.send"), actions.count("step.message")) == (1, 2)


async def test_a_dry_run_does_nothing() -> None:
    """It tells to whom it would go, who cannot be written to and why, and what the first of them would read."""
    world = club(2)
    world.authentik.add_account("Not A Matrix Id")
    gone = world.authentik.add_account("gone")
    await world.authentik.update_account(gone.pk, active=False)
    seen = await sent(world, dry_run=True)
    assert (seen.sends, seen.out, [one.username for one in seen.first]) == (2, 2, ["m00", "m01"])
    causes = {one.username: one.cause for one in seen.left_out}
    assert "Matrix id" in causes["Not A Matrix Id"]
    assert "deactivated" in causes["gone"]
    assert seen.sample is not None
    assert (seen.sample.to.matrix_id, seen.sample.plain) == (who(0), TEXT)
    assert [await world.documents_in(each) for each in ("messages", "jobs")] == [[], []]
    assert not world.queue.tasks


async def test_ways_to_choose() -> None:
    """By list, by pk, by bundle, by who is in a room, by Matrix id with guests, and rooms: each once."""
    world = club(4)
    gardeners = world.authentik.add_group("gardeners")
    accounts = {account.username: account for account in (await world.authentik.accounts()).items}
    for name in ("m00", "m01"):
        await world.authentik.add_to_group(gardeners, accounts[name].pk)
    await bundles.create(world, ADMIN, bundles.Wanted("Garden", for_groups=("gardeners",)))
    [room] = world.policy.default_rooms
    world.homeserver.join(who(2), room)
    world.homeserver.join("@guest:elsewhere.test", room)

    async def goes(to: To) -> list[str]:
        return [one.matrix_id or one.room for one in (await sent(world, to, dry_run=True)).first]

    assert await goes(To("users", filter=lists.Wanted(words="m03"))) == [who(3)]
    assert await goes(To("users", filter=lists.Wanted(group="gardeners"))) == [who(0), who(1)]
    assert await goes(To("pks", pks=(accounts["m01"].pk, accounts["m01"].pk))) == [who(1)]
    assert await goes(To("bundle", name="garden")) == [who(0), who(1)]
    assert await goes(To("members_of", name=room)) == ["@guest:elsewhere.test", who(2)]
    assert await goes(To("people", names=(who(1), "@guest:elsewhere.test", who(1)))) == [
        who(1),
        "@guest:elsewhere.test",
    ]
    assert await goes(To("rooms", names=(room, room))) == [room]


async def test_rooms_that_cannot_be_written_to() -> None:
    """Each is named with what stands in the way, and the others get the message."""
    world = club(0)
    open_room = world.homeserver.add_room("Square", alias="square")
    quiet = world.homeserver.add_room(
        "News", by="@ops:fake.test", version="10", events_default=50, members={"@muster:fake.test": "join"}
    )
    sealed = world.homeserver.add_room("Council", encrypted=True)
    space = world.homeserver.add_room("Club", kind="m.space")
    to = To("rooms", names=("#square:fake.test", quiet, sealed, space, "!gone:fake.test"))
    seen = await sent(world, to, dry_run=True)
    assert [one.room for one in seen.first] == [open_room]
    causes = {one.name: one.cause for one in seen.left_out}
    assert "power 50" in causes["News"]
    assert "encrypted" in causes["Council"]
    assert "space" in causes["Club"]
    assert "not in it" in causes["!gone:fake.test"]
    await sent(world, to)
    await world.live(hours=1)
    assert [event["body"] for event in world.homeserver.messages(open_room)] == [TEXT]
    assert sorted((await states(world)).values()) == ["done", "skipped", "skipped", "skipped", "skipped"]


async def test_words_for_each() -> None:
    """Variables are theirs, as the template of that version has them; the footer stands below, in a room only if asked."""
    world = club(1)
    world.policy = replace(world.policy, message_notice="You get this as a member. <stop> by writing to us.")
    [room] = world.policy.default_rooms
    seen = await sent(world, text="Dear **{display_name}**, come!", dry_run=True)
    assert seen.sample is not None
    assert seen.sample.plain == "Dear m00, come!\n\n--\nYou get this as a member. <stop> by writing to us."
    assert "<strong>m00</strong>" in seen.sample.html
    assert "&lt;stop&gt;" in seen.sample.html
    in_room = await sent(world, To("rooms", names=(room,)), dry_run=True)
    assert in_room.sample is not None
    assert in_room.sample.plain == TEXT
    await sent(world, text="", template="notice")
    await world.live(hours=1)
    assert (await message(world)).template == "notice@0"
    assert (await recipients(world))[who(0)].result["template"] == "notice@0"


@pytest.mark.parametrize(
    ("wanted", "to", "field"),
    [
        ({"text": "Dear {nobody}"}, EVERYBODY, "text"),
        ({"text": "{% if %}"}, EVERYBODY, "text"),
        ({"text": "Dear {display_name}"}, To("rooms", names=("!1room:fake.test",)), "text"),
        ({"text": "", "template": "none"}, EVERYBODY, "template"),
        ({"text": "", "template": "welcome"}, EVERYBODY, "template"),
        ({}, To("users", filter=lists.Wanted(words="nobody")), "to"),
        ({}, To("users", filter=lists.Wanted(group="nobody")), "group"),
        ({}, To("bundle", name="none"), "to.bundle"),
        ({}, To("members_of", name="!none:fake.test"), "to.members_of"),
        ({}, To("people", names=("ada",)), "to.people"),
        ({}, To("people", names=tuple(f"@x{n}:fake.test" for n in range(5001))), "to"),
        ({"expected": None}, EVERYBODY, "expected"),
    ],
)
async def test_what_will_not_do(wanted: dict[str, Any], to: To, field: str) -> None:
    """Named, and nothing begins."""
    world = club(11)
    with pytest.raises(Invalid) as caught:
        await sent(world, to, **wanted)
    assert [name for name, _ in caught.value.errors] == [field]
    assert await world.documents_in("messages") == []


async def test_the_number_that_was_seen() -> None:
    """Where it would go to others than the admin has seen, nobody gets it."""
    world = club(3)
    with pytest.raises(Conflict, match="3 now, not to 2"):
        await sent(world, expected=2)
    assert await world.documents_in("messages") == []


async def test_the_same_request_again() -> None:
    """A repeat finds the first message, also one at the same moment; with another body it is refused."""
    world = club(2)
    first, second = await asyncio.gather(sent(world, key="k", body="b"), sent(world, key="k", body="b"))
    again = await sent(world, key="k", body="b")
    assert first.message.id == second.message.id == again.message.id
    with pytest.raises(Conflict):
        await sent(world, key="k", body="other")
    await world.live(hours=1)
    assert [said_to(world, who(n)) for n in range(2)] == [[TEXT]] * 2


# ------------------------------------------------------------------ it halts, and goes on


async def test_paused_and_resumed() -> None:
    """Whoever has it by then has it; the others get it after the pause, each once."""
    world = club(4)
    await sent(world)
    await made(world)
    first, *others = tasks(world)
    await world.deliver(first)
    name = (await message(world)).id
    assert (await act_on(world, ADMIN, name, "pause")).state == "paused"
    for task in others:
        assert await world.once(task) == "waiting"
    await world.live(hours=5)
    assert (await message(world)).state == "paused"
    assert (await states(world)) == {who(0): "done", **{who(n): "waiting" for n in range(1, 4)}}
    assert {step.waits_for for step in (await recipients(world)).values()} == {"", "paused"}
    view = await jobs.view(world, (await message(world)).job)
    assert view.state == "waiting"
    await act_on(world, ADMIN, name, "resume")
    await world.live(hours=1)
    assert [said_to(world, who(n)) for n in range(4)] == [[TEXT]] * 4
    assert (await message(world)).state == "done"
    assert (await jobs.view(world, view.job.id)).job.state == "done"


async def test_paused_before_anybody_is_a_step() -> None:
    """Nobody is written to, and nobody is lost: the steps begin as paused ones."""
    world = club(3)
    name = (await sent(world)).message.id
    await act_on(world, ADMIN, name, "pause")
    await world.live(hours=1)
    assert set((await states(world)).values()) == {"waiting"}
    await act_on(world, ADMIN, name, "resume")
    await world.live(hours=1)
    assert [said_to(world, who(n)) for n in range(3)] == [[TEXT]] * 3


async def test_one_that_saw_the_pause_after_it_was_over() -> None:
    """A task that has read the message as paused, and says so only after it was resumed, is not left behind."""
    world = club(2)
    name = (await sent(world)).message.id
    await made(world)
    first, second = tasks(world)
    await act_on(world, ADMIN, name, "pause")
    late = asyncio.create_task(world.once(first))
    while not world.under_way:  # noqa: ASYNC110 - it says to nobody that it has claimed its step
        await asyncio.sleep(0)
    await act_on(world, ADMIN, name, "resume")
    assert await late == "waiting"
    await world.deliver(second)
    await world.live(hours=1)
    assert [said_to(world, who(n)) for n in range(2)] == [[TEXT]] * 2
    assert (await message(world)).state == "done"


async def test_a_pause_ends_no_wait_of_the_day() -> None:
    """The sweep lets a step go on whose time has come, and it finds the message paused; nothing un-pauses it."""
    world = club(1)
    world.policy = replace(world.policy, proactive_a_day=0)
    name = (await sent(world)).message.id
    await world.live(hours=1)
    step = (await recipients(world))[who(0)]
    assert (step.waits_for, step.due_at is not None) == ("limit", True)
    await act_on(world, ADMIN, name, "pause")
    world.policy = replace(world.policy, proactive_a_day=3)
    world.pause(hours=25)
    await world.live(hours=1)
    assert ((await message(world)).state, said_to(world, who(0))) == ("paused", [])
    await act_on(world, ADMIN, name, "resume")
    await world.live(hours=1)
    assert said_to(world, who(0)) == [TEXT]


async def test_cancelled() -> None:
    """Who has it is told apart from who will not get it; tasks that come afterwards write to nobody."""
    world = club(5)
    name = (await sent(world)).message.id
    await made(world)
    first, second, *others = tasks(world)
    await world.deliver(first)
    await act_on(world, ADMIN, name, "cancel")
    await world.deliver(second)
    await world.live(hours=1)
    for task in others:
        assert await world.once(task) == "skipped"
    assert sorted((await states(world)).values()) == ["done", *["skipped"] * 4]
    done = await message(world)
    assert (done.state, done.counts, done.finished_at is not None) == ("cancelled", {"done": 1, "skipped": 4}, True)
    assert (await jobs.view(world, done.job)).job.state == "done"
    assert [len(said_to(world, who(n))) for n in range(5)] == [1, 0, 0, 0, 0]
    for deed in ("resume", "retry", "pause"):
        with pytest.raises(Conflict):
            await act_on(world, ADMIN, name, deed)  # type: ignore[arg-type]


async def test_cancelled_before_anybody_is_a_step() -> None:
    """Everybody is in the report as somebody who did not get it."""
    world = club(3)
    await act_on(world, ADMIN, (await sent(world)).message.id, "cancel")
    await world.live(hours=1)
    assert list((await states(world)).values()) == ["skipped"] * 3
    assert (await message(world)).counts == {"skipped": 3}


async def test_the_same_again() -> None:
    """Pausing twice is one pause, and a dry run is none; what has ended cannot be paused."""
    world = club(1)
    name = (await sent(world)).message.id
    assert (await act_on(world, ADMIN, name, "pause", dry_run=True)).state == "paused"
    assert (await message(world)).state == "running"
    for _ in range(2):
        await act_on(world, ADMIN, name, "pause")
    for _ in range(2):
        await act_on(world, ADMIN, name, "resume")
    actions = [record["action"] for record in await world.audits()]
    assert [actions.count(f"message.{deed}") for deed in ("pause", "resume")] == [1, 1]
    await world.live(hours=1)
    with pytest.raises(Conflict):
        await act_on(world, ADMIN, name, "pause")
    with pytest.raises(NotFound):
        await act_on(world, ADMIN, "msg_none", "pause")


# ------------------------------------------------------------------ failures


NO = Refused("the homeserver refused: you are not welcome", "Ask its admin.", "M_FORBIDDEN")


async def test_who_did_not_get_it_and_is_tried_again() -> None:
    """The failed ones as a set: by the message's own retry, or by that of its job; who has it does not get it again."""
    world = club(4)
    name = (await sent(world)).message.id
    world.homeserver.fail_next(NO, times=2, method="create_direct_room")
    await world.live(hours=1)
    failed = await message(world)
    assert (failed.state, failed.counts) == ("failed", {"done": 2, "failed": 2})
    step = next(step for step in (await recipients(world)).values() if step.state == "failed")
    assert (step.cause, step.fix) == (NO.cause, NO.fix)
    world.pause(minutes=1)
    world.homeserver.fail_next(NO, method="create_direct_room")
    await act_on(world, ADMIN, name, "retry")
    assert (await message(world)).state == "running"
    await world.live(hours=1)
    assert (await message(world)).counts == {"done": 3, "failed": 1}
    world.pause(minutes=1)
    await job_retry.retry(world, ADMIN, failed.job, ())
    await world.live(hours=1)
    assert (await message(world)).state == "done"
    assert [said_to(world, who(n)) for n in range(4)] == [[TEXT]] * 4
    assert (await jobs.view(world, failed.job)).job.state == "done"


async def test_it_stops_by_itself() -> None:
    """When more than half of at least 20 tries have failed nobody else is tried; resumed, it counts anew."""
    world = club(40)
    name = (await sent(world)).message.id
    await made(world)
    world.homeserver.fail_next(NO, times=30, method="create_direct_room")
    await world.live(hours=1)
    stopped = await message(world)
    assert (stopped.state, stopped.counts) == ("stopped", {"failed": 20, "waiting": 20})
    assert "20 of 20 tries failed" in stopped.stopped_why
    assert NO.cause in stopped.stopped_why
    assert [record["outcome"] for record in await world.audits() if record["action"] == "message.stop"] == ["done"]
    world.pause(minutes=1)
    await act_on(world, ADMIN, name, "resume")
    await world.live(hours=1)
    ended = await message(world)
    assert (ended.state, ended.stopped_why, ended.counts) == ("failed", "", {"failed": 30, "done": 10})
    world.pause(minutes=1)
    await act_on(world, ADMIN, name, "retry")
    await world.live(hours=1)
    assert (await message(world)).counts == {"done": 40}
    assert [len(said_to(world, who(n))) for n in range(40)] == [1] * 40


@pytest.mark.parametrize(("failures", "state"), [(10, "done"), (11, "stopped")])
async def test_half_is_not_more_than_half(failures: int, state: str) -> None:
    """10 of 20 are not too many; 11 of 21 are."""
    world = club(22)
    name = (await sent(world)).message.id
    await made(world)
    found = tasks(world)
    for task in found[:10]:
        await world.deliver(task)
    world.homeserver.fail_next(NO, times=failures, method="create_direct_room")
    for task in found[10:21]:
        await world.deliver(task)
    [last] = found[21:]
    await world.deliver(last)
    assert (await states(world))[who(21)] == ("done" if state == "done" else "waiting")
    assert (await MESSAGES.get(world.store, name)).record.state == ("running" if state == "done" else "stopped")


async def test_an_outage_is_no_failure() -> None:
    """While the homeserver is down everybody waits, and then gets it; it has not stopped by itself."""
    world = club(30)
    await sent(world)
    await made(world)
    world.homeserver.fail_next(Unreachable("matrix", "the homeserver did not answer"), times=12)
    await world.live(hours=0.5, on=True)
    assert ((await message(world)).state, (await message(world)).counts) == ("done", {"done": 30})


async def test_a_limit_on_messages_sets_one_pace() -> None:
    """After a 429 the others take their turns one after the other, without asking: far fewer refusals than recipients."""
    world = club(20)
    await sent(world)
    await made(world)
    world.homeserver.fail_next(Limited("the homeserver limits us", 5.0), times=3, method="create_direct_room")
    await world.live(hours=1)
    assert (await message(world)).counts == {"done": 20}
    assert len(world.homeserver.called("create_direct_room")) == 23
    assert {step.attempts for step in (await recipients(world)).values()} <= {1, 2, 3}


# ------------------------------------------------------------------ killed


WRITES = 21


async def whole_story(world: World) -> None:
    """Sent to three, paused after the first, resumed; one refused, and tried again. Whoever dies is asked again."""

    async def insist(act: Any) -> None:
        for _ in range(4):
            try:
                await act()
                return
            except (Killed, MusterError):
                world.pause(seconds=100)
        raise AssertionError("never done")

    await insist(lambda: sent(world, key="k", body="b", expected=3))
    await made_somehow(world)
    name = (await message(world)).id
    await world.deliver(tasks(world)[0])
    await insist(lambda: act_on(world, ADMIN, name, "pause"))
    await world.live(hours=1)
    world.homeserver.fail_next(NO, method="create_direct_room")
    await insist(lambda: act_on(world, ADMIN, name, "resume"))
    await world.live(hours=2)
    world.pause(minutes=1)
    await insist(lambda: act_on(world, ADMIN, name, "retry"))
    await world.live(hours=2)


async def made_somehow(world: World) -> None:
    """The sweep finds a job whose task was lost; a recipient's task that is lost comes by it as well."""
    for _ in range(10):
        for task in tasks(world, "apply_plan"):
            await world.deliver(task)
        if world.queue.tasks:
            found = tasks(world)
            for task in found:
                world.queue.tasks[task.name] = task
            if found:
                return
        world.pause(minutes=3)
        await world.sweep()
    raise AssertionError("never made")


async def test_the_story_without_a_fault() -> None:
    """It costs as many writes as the tests below break, or more."""
    world = club(3)
    before = world.documents.writes
    await whole_story(world)
    assert world.documents.writes - before >= WRITES
    await all_have_it(world)


async def all_have_it(world: World) -> None:
    ended = await message(world)
    assert (ended.state, ended.counts) == ("done", {"done": 3})
    assert [said_to(world, who(n)) for n in range(3)] == [[TEXT]] * 3
    assert (await jobs.view(world, ended.job)).job.state == "done"


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", range(1, WRITES + 1))
async def test_killed_at_any_write(number: int, after: bool) -> None:
    """The process dies before or after any write: everybody gets it, and nobody twice."""
    world = club(3)
    world.documents.fail_at(number, Killed(), after=after)
    await whole_story(world)
    await all_have_it(world)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("call", ["create_direct_room", "is_encrypted", "send", "whoami"])
async def test_killed_at_any_call_to_matrix(call: str, after: bool) -> None:
    """Also where the homeserver has done what was asked, and nobody lived to say so."""
    world = club(3)
    world.homeserver.fail_next(Killed(), after_effect=after, method=call)  # type: ignore[arg-type]
    await sent(world, expected=3)
    await world.live(hours=2)
    await all_have_it(world)


async def test_every_task_is_lost() -> None:
    """The sweep sends it by itself."""
    world = club(3)
    world.queue.swallow_next(4)
    await sent(world)
    await world.live(hours=2)
    await all_have_it(world)


async def test_every_task_comes_twice_at_once() -> None:
    """It is said once, and counted once."""
    world = club(3)
    await sent(world)
    await made(world)
    for task in tasks(world):
        assert set(await world.twice(task, 3)) <= {"done", "Claimed"}
    await world.live(hours=1)
    await all_have_it(world)
    assert len(world.homeserver.called("send")) == 3


# ------------------------------------------------------------------ who has to be waited for


async def test_sealed_for_who_is_there() -> None:
    """In an encrypted room it waits for them to join, then for a device; then it is readable on it, and says so."""
    world = sealing()
    account = world.authentik.add_account("ada")
    ada = world.homeserver.add_user(f"@ada:{DOMAIN}")
    await sent(world, To("pks", pks=(account.pk,)))
    await world.live(hours=1)
    assert (await recipients(world))[ada].waits_for == "join"
    [room] = world.direct_rooms_of(ada)
    world.homeserver.join(ada, room.room_id)
    await world.live(hours=2)
    assert (await recipients(world))[ada].waits_for == "device"
    phone = keys(world).add_device(ada, "PHONE", name="Phone")
    await world.sweep()
    await world.work()
    step = (await recipients(world))[ada]
    assert (step.state, step.result["readable"][:20]) == ("done", "readable on 1 device")
    assert [seen and seen["body"] for seen in keys(world).read(phone, room.room_id)] == [TEXT]
    await world.live(hours=1)
    assert (await message(world)).state == "done"


async def test_sealed_for_a_room() -> None:
    """Everybody who is in it reads it; a room in which nobody has a device is a failure, and no letter without readers."""
    world = sealing()
    ada, ben = (world.homeserver.add_user(f"@{name}:{DOMAIN}") for name in ("ada", "ben"))
    council = world.homeserver.add_room("Council", encrypted=True, members={ada: "join", ben: "join"})
    await sent(world, To("rooms", names=(council,)))
    await world.live(hours=1)
    assert (await recipients(world))[council].code == "NO_DEVICE"
    phones = [keys(world).add_device(each, "PHONE", name="Phone") for each in (ada, ben)]
    world.pause(minutes=1)
    await act_on(world, ADMIN, (await message(world)).id, "retry")
    await world.live(hours=1)
    step = (await recipients(world))[council]
    assert (step.state, step.result["readable"][:31]) == ("done", "readable on 2 devices of 2 peop")
    for phone in phones:
        assert [seen and seen["body"] for seen in keys(world).read(phone, council)] == [TEXT]


async def test_no_more_than_a_day_takes() -> None:
    """The fourth message of a day waits until tomorrow; the dry run says for whom it would."""
    world = club(2)
    for number in range(3):
        await broadcasts.start(world, ADMIN, Wanted(To("people", names=(who(0),)), f"Note {number}"))
        await world.live(hours=1)
    seen = await sent(world, dry_run=True)
    assert (seen.sends, seen.later, [one.matrix_id for one in seen.limited]) == (2, 1, [who(0)])
    started = await sent(world)
    await world.live(hours=1)
    steps = [Step.of(each) for each in await world.documents_in("steps", group=True)]
    waiting = {step.matrix_id: step.waits_for for step in steps if step.parent == started.message.path}
    assert waiting == {who(0): "limit", who(1): ""}
    world.pause(hours=25)
    await world.live(hours=1)
    assert said_to(world, who(0)) == ["Note 0", "Note 1", "Note 2", TEXT]
    assert (await MESSAGES.get(world.store, started.message.id)).record.state == "done"


async def test_who_has_left_since() -> None:
    """Whoever is off-boarded while it waits for them does not get it."""
    world = club(2)
    world.policy = replace(world.policy, proactive_a_day=0)
    await sent(world)
    await world.live(hours=1)
    [account] = [each for each in (await world.authentik.accounts()).items if each.username == "m00"]
    await offboarding.offboard(world, ADMIN, account.pk, offboarding.Wanted(Words("left")))
    world.policy = replace(world.policy, proactive_a_day=3)
    world.pause(hours=25)
    await world.live(hours=2)
    assert await states(world) == {who(0): "skipped", who(1): "done"}
    assert ((await message(world)).state, said_to(world, who(0))) == ("done", [])


async def test_thousands() -> None:
    """Made in parts, each recipient once; the whole of it in some twenty writes of the job's own."""
    world = World()
    world.policy = replace(world.policy, proactive_a_day=3)
    names = tuple(f"@x{number}:elsewhere.test" for number in range(600))
    await sent(world, To("people", names=names))
    before = world.documents.writes
    await made(world)
    assert world.documents.writes - before < 20
    assert len([task for task in world.queue.tasks.values() if task.entry_point == "send_message"]) == 600
    path = (await message(world)).path
    assert await world.store.count(Query(f"{path}/steps", [("state", "==", "scheduled")])) == 600
    await act_on(world, ADMIN, (await message(world)).id, "cancel")
    await world.live(hours=1)
    assert (await message(world)).counts == {"skipped": 600}


async def test_who_asks_to_be_forgotten() -> None:
    """Nothing of them is left in the report, and the message is over, and can be tried again, without them."""
    world = club(2)
    world.homeserver.fail_next(NO, method="create_direct_room")
    name = (await sent(world)).message.id
    await world.live(hours=1)
    assert (await states(world))[who(0)] == "failed"
    step = (await recipients(world))[who(1)]
    await world.store.write(Delete(step.path))
    assert (await broadcast_report.standing(world, name)).over
    world.pause(minutes=1)
    await act_on(world, ADMIN, name, "retry")
    await world.live(hours=1)
    assert ((await message(world)).state, await states(world)) == ("done", {who(0): "done"})
