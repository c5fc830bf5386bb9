"""What the bot has said to a member is on record, whoever dies; an admin answers, and no answer is lost."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from shared.domain.errors import Conflict, Invalid, Refused, Unreachable
from shared.domain.replies import Reply
from shared.domain.sent import REDACTED, Sent, kept_text
from shared.ports import Create, Put
from shared.services import answers, jobs, reader, stopping
from shared.services.conversation import Said, page
from shared.services.conversation_watch import MOVING, STILL, WHOLE, ConversationWatch
from shared.services.forget import forget, traces
from shared.services.job_retry import retry
from shared.services.removals import Words
from tests.fakes.faulty_documents import Killed
from tests.shared.services.test_encryption import ADA, begun, direct, keys, sealing
from tests.shared.services.test_notices import noticing, waited
from tests.shared.services.test_reader import answer as written_back
from tests.shared.services.test_reader import welcomed
from tests.shared.services.test_watching import Billed, read
from tests.world import ADMIN, World

SECRET = "The kitchen is behind the blue door"


async def talk(world: World, member: str = ADA) -> list[Said]:
    return list((await page(world, member)).items)


async def told(world: World) -> list[tuple[str, str, str]]:
    """Kind, state and the first word, the newest first."""
    return [(said.kind, said.state, (said.text or "").split(" ")[0]) for said in await talk(world)]


async def answered(world: World, text: str = SECRET, **more: Any) -> jobs.JobView:
    world.pause(seconds=1)
    return await answers.start(world, ADMIN, answers.Wanted(ADA, text, **more))


def in_the_room(world: World) -> list[str]:
    """What the bot has said there, each as often as it was."""
    return [event["event_id"] for room in world.direct_rooms_of(ADA) for event in room.events]


# ------------------------------------------------------------------ on record


async def test_what_was_said() -> None:
    """Hello, welcome, a reply and an answer: the newest first, each with its text, by whom, and what it was encrypted for."""
    world, phone = await welcomed()
    world.pause(minutes=1)
    written_back(world, phone, "thank you")
    await reader.read(world)
    world.pause(minutes=1)
    await answered(world)
    await world.work()
    assert await told(world) == [
        ("answer", "sent", "The"),
        ("reply", "sent", "thank"),
        ("welcome", "sent", "Welcome,"),
        ("hello", "sent", "Hello"),
    ]
    answer, reply, _, hello = await talk(world)
    assert (answer.direction, answer.by, answer.encrypted, answer.room_id) == ("out", "key:test", True, direct(world))
    assert (reply.direction, reply.by, reply.devices) == ("in", ADA, None)
    assert (hello.by, hello.job) == ("muster", "")
    assert hello.devices is not None
    assert [device.device_id for device in hello.devices] == [phone.device_id]
    assert {said.event_id for said in (answer, hello)} <= set(in_the_room(world))
    seen = keys(world).read(phone, direct(world))[-1]
    assert seen is not None
    assert seen["body"] == SECRET


async def test_devices_that_came_later() -> None:
    """They are named, with since when they can read it."""
    world, phone = await welcomed()
    keys(world).add_device(ADA, name="Tablet")
    world.pause(minutes=40)
    await world.sweep()
    welcome, _ = await talk(world)
    assert welcome.devices is not None
    assert [(each.name, each.since is None) for each in welcome.devices] == [(phone.name, True), ("Tablet", False)]


async def test_nothing_can_be_read_in_the_store() -> None:
    """Of no message the text lies there, sent or still to be sent; with another key they say so."""
    world, _ = await welcomed()
    await answered(world)
    assert (await talk(world))[0].text == SECRET
    assert "blue door" not in world.rows()
    await world.work()
    assert "blue door" not in world.rows()
    assert "Welcome, " not in world.rows()
    world.device = sealing().device
    world.device._pickle_key = b"x" * 32
    assert [(said.text, "does not open" in said.cause) for said in await talk(world)] == [(None, True)] * 3


async def test_without_encryption() -> None:
    """There is no key to lock with: texts are kept as they are, and no device is named."""
    world = World()
    world.furnish(1)
    onboarding = await begun(world)
    await world.live()
    assert await told(world) == [("welcome", "sent", "Welcome,"), ("hello", "sent", "Hello")]
    hello = (await talk(world))[1]
    assert (hello.encrypted, hello.devices) == (False, None)
    assert hello.event_id == (await world.steps(onboarding))["hello"].result["event_id"]


async def test_a_notice_and_words_before_a_removal() -> None:
    """The plain notice and what is said before a removal are there too, by whom it was."""
    world = noticing()
    await waited(world)
    [notice] = await talk(world)
    assert (notice.kind, notice.encrypted, notice.state) == ("notice", False, "sent")
    world = World()
    rooms = world.furnish(1)
    ada = world.arrive()
    world.homeserver.join(ada, rooms[0])
    words = Words("rules", message="Goodbye")
    await jobs.start(world, ADMIN, jobs.Wanted("remove", ada, tuple(rooms), "rules", words=words))
    await world.work()
    [said] = await talk(world)
    assert (said.kind, said.by, said.text, said.state) == ("removal_message", "key:test", "Goodbye", "sent")


async def test_a_template_is_named() -> None:
    """By its version; of an admin's own words that they are that, in Markdown with the variables of all templates."""
    world, phone = await welcomed()
    await answered(world, "Dear {display_name}, *come* in")
    await world.work()
    answer, welcome, hello = await talk(world)
    assert [said.template for said in (answer, welcome, hello)] == ["written", "welcome@0", "hello@0"]
    assert answer.text == "Dear Ada L., come in"
    assert "<em>come</em>" in str(keys(world).read(phone, direct(world))[-1])
    with pytest.raises(Invalid) as caught:
        await answered(world, "Dear {nmae}")
    assert caught.value.errors[0][0] == "text"


def test_a_recovery_link_is_not_kept() -> None:
    """Both forms of Authentik's are taken out, whatever stands around them; other links stay."""
    link = "https://auth.example.org/if/flow/recovery-flow/?flow_token=abc-DEF_1&next=%2F"
    assert kept_text(f"Here: {link}.\nBye") == f"Here: {REDACTED}\nBye"
    assert kept_text(f"({link}) <{link}>") == f"({REDACTED}) <{REDACTED}>"
    assert kept_text("http://a.test/recovery/use-token/Zm9v/ and https://a.test/if/flow/x/?itoken=1") == (
        f"{REDACTED} and https://a.test/if/flow/x/?itoken=1"
    )
    assert len(kept_text("x" * 99_000)) == 16_001


# ------------------------------------------------------------------ whoever dies


@pytest.mark.parametrize("sealed", [True, False], ids=["sealed", "plain"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_record_for_each_message(sealed: bool, after: bool) -> None:
    """Killed at any write: whenever a message is in the room it is on record; in the end each is there once, with the
    event that is really in the room."""
    for number in range(1, 40):
        world = sealing(rooms=0) if sealed else World()
        world.furnish(0)
        if sealed:
            keys(world).add_device(ADA)
        await begun(world)
        world.documents.fail_at(number, Killed(), after=after)
        task = world.due("hello")
        try:
            await world.once(task)
        except Killed:
            assert len(in_the_room(world)) <= len(await talk(world))
        else:
            assert number > 3
            world.documents.mend()
            break
        world.pause(seconds=91)
        await world.once(task)
        [said] = await talk(world)
        assert (said.state, [said.event_id]) == ("sent", in_the_room(world))


@pytest.mark.parametrize("lost", [True, False], ids=["sent", "not-sent"])
async def test_a_text_that_changed_between_two_tries(lost: bool) -> None:
    """What is kept is what the member got: the first text where that was sent after all, else the second."""
    world = World()
    world.furnish(0)
    onboarding = await begun(world)
    world.homeserver.fail_next(Unreachable("matrix", "no answer"), method="send", after_effect=lost)
    task = world.due("hello")
    with pytest.raises(Exception, match="no answer"):
        await world.once(task)
    record = await world.store.get(f"onboardings/{onboarding}")
    assert record is not None
    await world.store.write(Put(record.path, record.data | {"name": "Countess"}))
    world.pause(minutes=2)
    await world.once(task)
    [said] = await talk(world)
    [room] = world.direct_rooms_of(ADA)
    assert [event["content"]["body"] for event in room.events] == [said.text]
    assert ("Countess" in (said.text or "")) is not lost


# ------------------------------------------------------------------ answers


async def test_an_answer_waits_until_it_can_be_read() -> None:
    """For somebody who was never here: a room is made, the answer waits for their device, then for them to accept, says
    so, and is sent."""
    world = sealing(rooms=0)
    await answered(world)
    assert await told(world) == [("answer", "scheduled", "The")]
    await world.work()
    [said] = await talk(world)
    assert (said.state, "not accepted" in said.cause, said.job != "") == ("waiting", True, True)
    world.homeserver.join(ADA, direct(world))
    await world.sweep()
    world.pause(seconds=6)
    await world.work()
    [said] = await talk(world)
    assert (said.state, "no device" in said.cause, said.fix != "") == ("waiting", True, True)
    phone = keys(world).add_device(ADA)
    world.pause(minutes=2)
    await world.sweep()
    await world.work()
    assert await told(world) == [("answer", "sent", "The")]
    assert [each and each["body"] for each in keys(world).read(phone, direct(world))] == [SECRET]


async def test_an_answer_that_fails_says_why() -> None:
    """With its fix; tried again it is sent, once, in the admin's own words."""
    world, phone = await welcomed()
    world.homeserver.fail_next(Refused("no (M_FORBIDDEN)", "Ask them.", "M_FORBIDDEN"), method="send_event")
    job = (await answered(world)).job
    await world.work()
    said = (await talk(world))[0]
    assert (said.state, said.cause, said.fix, said.text) == ("failed", "no (M_FORBIDDEN)", "Ask them.", SECRET)
    await retry(world, ADMIN, job.id, ())
    await world.work()
    assert (await told(world))[0] == ("answer", "sent", "The")
    assert [each and each["body"] for each in keys(world).read(phone, direct(world))][2:] == [SECRET]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_an_answer_and_death(after: bool) -> None:
    """Killed at any write of its way it is sent once, and recorded as that."""
    for number in range(1, 9):
        world, phone = await welcomed()
        await answered(world)
        world.documents.fail_at(number, Killed(), after=after)
        await world.work()
        world.documents.mend()
        assert [each and each["body"] for each in keys(world).read(phone, direct(world))][2:] == [SECRET]
        said = (await talk(world))[0]
        assert (said.state, said.event_id) == ("sent", in_the_room(world)[-1])


async def test_an_answer_is_given_once() -> None:
    """The same key and words are one answer; other words under it are refused; a dry run and empty words leave nothing."""
    world, _ = await welcomed()
    before = world.rows()
    await answers.start(world, ADMIN, answers.Wanted(ADA, SECRET, "k", "b"), dry_run=True)
    assert world.rows() == before
    first = await answered(world, key="k", body="b")
    assert (await answered(world, key="k", body="b")).job.id == first.job.id
    with pytest.raises(Conflict):
        await answered(world, "another", key="k", body="c")
    with pytest.raises(Invalid):
        await answered(world, "  ")
    with pytest.raises(Invalid, match="bot itself"):
        await answers.start(world, ADMIN, answers.Wanted(world.homeserver.user_id, "Hi me"))
    await world.work()
    assert len(await talk(world)) == 3
    [audit] = [each for each in await world.audits() if each["action"] == "member.answer"]
    assert (audit["actor"], audit["target"]) == ("key:test", ADA)
    assert SECRET not in str(await world.audits())


async def test_who_leaves_is_not_written_to_any_more() -> None:
    """An answer that still waits is stopped by the off-boarding, and shown as that."""
    world = sealing(rooms=0)
    await answered(world)
    await world.work()
    await stopping.stop_invites(world, [ADA])
    [said] = await talk(world)
    assert (said.state, said.cause) == ("skipped", "off-boarded")


async def test_who_is_forgotten() -> None:
    """Nothing of what was said to them is kept, nor of the jobs that said it."""
    world, _ = await welcomed()
    await answered(world)
    await world.work()
    [onboarding] = await world.documents_in("onboardings")
    await world.authentik.delete_account(onboarding["account_pk"])
    await forget(world, ADMIN, await traces(world, onboarding["id"]))
    assert await talk(world) == []
    assert ADA not in "".join(line for line in world.rows().splitlines() if line.startswith(("sent", "jobs")))


# ------------------------------------------------------------------ page by page


async def talked(world: World, many: int) -> None:
    """So many messages of each side; some at the very same time."""
    now = world.now() - timedelta(hours=2)
    for number in range(many):
        at = now + timedelta(seconds=number // 3)
        said = Sent(
            matrix_id=ADA, kind="hello", step="onboardings/o/steps/hello", by="muster", at=at, created_at=at,
            expire_at=at + timedelta(days=90), text=f"out {number}", locked=False, event_id=f"$o{number}",
        )  # fmt: skip
        reply = Reply(
            matrix_id=ADA, room_id="!r", event_id=f"$i{number}", session_id="", at=at, event="", look_at=None,
            created_at=at, expire_at=at + timedelta(days=90), cause="no text",
        )  # fmt: skip
        await world.store.write(Create(f"sent/{number}", said.data()), Create(f"replies/{number}", reply.data()))


async def test_a_page_costs_the_same() -> None:
    """However long they have talked: as many documents, and as many questions."""
    costs = []
    for many in (10, 1000):
        world = World()
        await talked(world, many)
        world.documents = Billed(world.store)
        await page(world, ADA, 10)
        costs.append((read(world), world.documents.queries))
    assert costs == [(2 * 11 - 2, 2), (2 * 11, 2)]


async def test_page_by_page() -> None:
    """Each message once, in one order, though many are of the same time and new ones come meanwhile."""
    world = World()
    await talked(world, 31)
    found: list[str] = []
    cursor, pages = None, 0
    while pages == 0 or cursor:
        seen = await page(world, ADA, 7, cursor)
        assert seen.total == 62 + pages
        found += [said.event_id for said in seen.items]
        cursor, pages = seen.next_cursor, pages + 1
        late = world.now() + timedelta(seconds=pages)
        record = (await world.store.get("sent/0")).data  # type: ignore[union-attr]
        await world.store.write(Create(f"sent/new{pages}", record | {"at": late}))
    assert (len(found), len(set(found)), pages) == (62, 62, 9)
    assert [int(each[2:]) // 3 for each in found] == sorted((int(each[2:]) // 3 for each in found), reverse=True)


@pytest.mark.parametrize("cursor", ["x", "W10", "WyIiXQ", "WyIyMDI2LTExLTIxIl0", "bnVsbA", "é" * 9])
async def test_a_cursor_of_something_else(cursor: str) -> None:
    """It is named as what is wrong."""
    with pytest.raises(Invalid) as caught:
        await page(World(), ADA, 7, cursor)
    assert caught.value.errors[0][0] == "cursor"


# ------------------------------------------------------------------ followed


async def test_a_look_reads_little() -> None:
    """At rest two reads, 12 times a minute; the whole page once a minute; whatever is new is seen by the next look."""
    world, phone = await welcomed()
    world.documents = Billed(world.store)
    watch = ConversationWatch(world, ADA)
    assert await watch.look()
    whole = read(world)
    assert (whole, watch.pace) == (2 + 1 + 2, STILL)  # two of ours, none of theirs, two letters
    assert not await watch.look()
    assert read(world) == 2
    world.pause(seconds=WHOLE.total_seconds())
    assert await watch.look()
    written_back(world, phone)
    await reader.read(world)
    assert await watch.look()
    assert watch.talk.items[0].text == "thank you"


async def test_an_answer_on_its_way_is_followed() -> None:
    """Each change of its step is seen, more often while it is about to be sent."""
    world = sealing(rooms=0)
    await answered(world)
    watch = ConversationWatch(world, ADA)
    await watch.look()
    assert (watch.talk.items[0].state, watch.pace) == ("scheduled", MOVING)
    await world.work()
    assert await watch.look()
    assert (watch.talk.items[0].state, watch.pace) == ("waiting", STILL)
    assert not await watch.look()
