"""The one reader: whatever happens to it, each reply is there once, and nobody can stop it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from shared.domain import ids
from shared.domain.errors import Outpaced, Refused, Unreachable
from shared.domain.replies import NEVER, NO_KEY
from shared.ports import Create, Data, Delete
from shared.services import reader
from shared.services.direct_lines import note_joined
from shared.services.messaging import DirectRoom
from shared.services.position import POSITION
from shared.services.replies import IN_PLAIN, shown
from tests.fakes.devices import MemberDevice
from tests.fakes.faulty_documents import Killed
from tests.shared.services.test_encryption import ADA, begun, direct, joined, keys, sealing
from tests.world import DOMAIN, World

BEN = f"@ben:{DOMAIN}"


async def welcomed() -> tuple[World, MemberDevice]:
    """A member in their direct room, who has read hello and welcome; the reader knows where it stands."""
    world = sealing(rooms=0)
    await world.sweep()
    phone = keys(world).add_device(ADA)
    await begun(world)
    await world.work()
    await joined(world)
    await world.sweep()
    keys(world).read(phone, direct(world))
    return world, phone


async def stored(world: World, path: str) -> Data:
    document = await world.store.get(path)
    assert document is not None
    return document.data


def text(body: str) -> Data:
    return {"msgtype": "m.text", "body": body}


def answer(world: World, device: MemberDevice, body: str = "thank you") -> str:
    return keys(world).write(device, direct(world), text(body))


def split(world: World, device: MemberDevice, body: str = "thank you", room: str = "") -> tuple[Data, Data]:
    """The room key for the bot, and the event, which a test sends as it likes."""
    bot = keys(world).device_keys[keys(world).user_id][keys(world).device_id]
    return device.write(room or direct(world), text(body), bot)


def to_bot(world: World, sender: Any, content: Any) -> None:
    """A message to the bot's device, of any shape."""
    event = {"type": "m.room.encrypted", "sender": sender, "content": content}
    box = keys(world).inboxes.setdefault((keys(world).user_id, keys(world).device_id), [])
    box.append((keys(world)._tick(), event))


def in_room(world: World, event: Data) -> None:
    keys(world)._append(direct(world), ADA, "m.room.encrypted", event)


async def seen(world: World, member: str = ADA) -> list[tuple[str | None, str]]:
    """What an admin is shown: text and cause, the newest first."""
    return [(one.text, one.cause) for one in await shown(world, member)]


async def test_a_reply_is_read() -> None:
    """Encrypted, over the session that came with the welcome: shown with its text, the newest first, each once."""
    world, phone = await welcomed()
    answer(world, phone, "thank you")
    assert await reader.read(world) > 0
    world.pause(minutes=1)
    answer(world, phone, "where is the kitchen?")
    await reader.read(world)
    assert await reader.read(world) == 0
    assert await seen(world) == [("where is the kitchen?", ""), ("thank you", "")]
    assert await world.documents_in("to_device") == []


async def test_who_writes_first_is_read_too() -> None:
    """A device that never had a message of ours uses the bot's fallback key."""
    world, _ = await welcomed()
    answer(world, keys(world).add_device(ADA))
    await reader.read(world)
    assert await seen(world) == [("thank you", "")]


async def test_only_the_direct_room_counts_as_joined() -> None:
    """Who comes into the room for what is not encrypted has not joined the direct room by that."""
    world, _ = await welcomed()
    path = ids.direct_path(ADA)
    own = DirectRoom.of(await stored(world, path))
    elsewhere = own.but(room_id="!notice:fake.test")
    assert own.joined
    assert not await note_joined(world, elsewhere, False)
    assert DirectRoom.of(await stored(world, path)).joined
    assert await note_joined(world, own, False)


async def test_a_later_device_answers() -> None:
    """Over the session that came with a shared key."""
    world, _ = await welcomed()
    tablet = keys(world).add_device(ADA)
    world.pause(minutes=40)
    await world.sweep()
    keys(world).read(tablet, direct(world))
    assert tablet.olm
    answer(world, tablet)
    await reader.read(world)
    assert await seen(world) == [("thank you", "")]


async def test_over_a_session_from_indoc() -> None:
    """A member who is still in an encrypted INDOC has a newer session from somebody else's farewell."""
    world, phone = await welcomed()
    world.indoc.encrypted = True
    world.homeserver.join(ADA, world.policy.indoc)
    keys(world).add_device(BEN)
    await world.member("ben")
    await world.enrolled("ben", "e2")
    await world.work()
    keys(world).read(phone, world.policy.indoc)
    phone.olm = phone.olm[-1:]
    answer(world, phone)
    await reader.read(world)
    assert await seen(world) == [("thank you", "")]


async def test_nothing_can_be_read_in_the_store() -> None:
    """Neither an encrypted reply nor a plain one lies there as text, opened or not."""
    world, phone = await welcomed()
    answer(world, phone, "my secret")
    keys(world).say(ADA, direct(world), "my other secret")
    in_room(world, split(world, phone)[1])
    await reader.read(world)
    assert {"my secret", "my other secret"} <= {one for one, _ in await seen(world)}
    assert "secret" not in world.rows()


async def test_replies_are_kept_for_90_days() -> None:
    """Then they are gone, and so are their keys."""
    world, phone = await welcomed()
    answer(world, phone)
    await reader.read(world)
    world.pause(days=89)
    assert len(await seen(world)) == 1
    world.pause(days=2)
    assert await seen(world) == []
    assert await world.documents_in("room_keys") == []


# ------------------------------------------------------------------ keys and their trust


async def test_a_reply_before_its_key() -> None:
    """It waits, says so, and is opened by the very run that brings its key, however late."""
    world, phone = await welcomed()
    to_device, event = split(world, phone)
    in_room(world, event)
    await reader.read(world)
    assert await seen(world) == [(None, NO_KEY)]
    world.pause(days=3)
    await reader.read(world)
    to_bot(world, ADA, to_device)
    await reader.read(world)
    assert await seen(world) == [("thank you", "")]


async def test_a_key_before_its_reply() -> None:
    """It is kept until something comes that it opens."""
    world, phone = await welcomed()
    to_device, event = split(world, phone)
    to_bot(world, ADA, to_device)
    await reader.read(world)
    in_room(world, event)
    await reader.read(world)
    assert await seen(world) == [("thank you", "")]


async def test_a_key_that_never_comes() -> None:
    """After 14 days the reply says what to do, and nobody looks any more."""
    world, phone = await welcomed()
    in_room(world, split(world, phone)[1])
    for _ in range(16):
        await reader.read(world)
        world.pause(days=1)
    assert await seen(world) == [(None, NEVER)]
    assert [row["look_at"] for row in await world.documents_in("replies")] == [None]


async def test_a_key_of_a_device_that_is_not_signed() -> None:
    """Such a key opens nothing; once its device is listed properly, within a day, it does."""
    world, phone = await welcomed()
    listed = keys(world).device_keys[ADA].pop(phone.device_id)
    answer(world, phone)
    await reader.read(world)
    assert await seen(world) == [(None, NO_KEY)]
    keys(world).device_keys[ADA][phone.device_id] = listed
    world.pause(minutes=2)
    await reader.read(world)
    assert await seen(world) == [("thank you", "")]


async def test_a_key_of_a_device_that_is_never_signed() -> None:
    """After a day it is dropped, and the reply goes on waiting for one that can be trusted."""
    world, phone = await welcomed()
    keys(world).device_keys[ADA].pop(phone.device_id)
    answer(world, phone)
    for _ in range(20):
        await reader.read(world)
        world.pause(hours=2)
    assert await seen(world) == [(None, NO_KEY)]
    assert await world.documents_in("to_device") == []
    assert await world.documents_in("room_keys") == []


async def test_a_homeserver_that_is_silent_loses_no_key() -> None:
    """Whose devices cannot be asked for just now, their key waits."""
    world, phone = await welcomed()
    keys(world).silent.add(DOMAIN)
    answer(world, phone)
    await reader.read(world)
    assert await seen(world) == [(None, NO_KEY)]
    keys(world).silent.clear()
    world.pause(minutes=2)
    await reader.read(world)
    assert await seen(world) == [("thank you", "")]


async def test_a_message_that_names_another_device() -> None:
    """A key whose sender says to be another device of the same member than the one that sent it, is dropped."""
    world, phone = await welcomed()
    phone.ed25519 = keys(world).add_device(ADA).ed25519
    answer(world, phone)
    await reader.read(world)
    assert await seen(world) == [(None, NO_KEY)]
    assert await world.documents_in("to_device") == []


async def test_a_key_from_somebody_else() -> None:
    """Another member's key for this room is none, even for the same session; and what they say in it is no reply."""
    world, _ = await welcomed()
    ben = keys(world).add_device(BEN)
    room = keys(world).add_room("Ben's", members={BEN: "join"})
    await world.store.write(
        Create(ids.direct_path(BEN), {"v": 1, "matrix_id": BEN, "room_id": room, "encrypted": True})
    )
    bot = keys(world).device_keys[keys(world).user_id][keys(world).device_id]
    claimed = await keys(world).claim_keys({keys(world).user_id: [keys(world).device_id]})
    [key] = claimed["one_time_keys"][keys(world).user_id][keys(world).device_id].values()
    to_device, event = ben.write(direct(world), text("I am Ada"), bot, key["key"])
    to_bot(world, BEN, to_device)
    in_room(world, event)
    keys(world).say(BEN, direct(world), "I am here as well")
    await reader.read(world)
    assert await seen(world) == [(None, NO_KEY)]
    assert await seen(world, BEN) == []
    assert await world.documents_in("room_keys") == []


# ------------------------------------------------------------------ plain messages and odd ones


async def test_a_puppets_plain_reply() -> None:
    """In a room that is not encrypted what is said is read as it is."""
    world = sealing(rooms=0)
    await world.sweep()
    await world.member("signal_4711")
    await world.enrolled("signal_4711")
    await world.live(hours=1, on=True)
    puppet = f"@signal_4711:{DOMAIN}"
    [room] = world.direct_rooms_of(puppet)
    keys(world).say(puppet, room.room_id, "hi")
    await reader.read(world)
    assert await seen(world, puppet) == [("hi", "")]


async def test_plain_text_in_an_encrypted_room_says_so() -> None:
    """A homeserver could have made it up."""
    world, _ = await welcomed()
    keys(world).say(ADA, direct(world), "hi")
    await reader.read(world)
    assert await seen(world) == [("hi", IN_PLAIN)]


ODD: list[Any] = [None, [], {}, "x", 7, {"a": {}}, {"ciphertext": []}, {"session_id": {}, "ciphertext": 1}]
OLM = {"algorithm": "m.olm.v1.curve25519-aes-sha2"}


async def test_hostile_events_stop_nobody() -> None:
    """Of any shape, to the device and in the room: the reply beside them is read, and the position goes on."""
    world, phone = await welcomed()
    room, bot = direct(world), keys(world).device_keys[keys(world).user_id][keys(world).device_id]
    curve = next(key for name, key in bot["keys"].items() if name.startswith("curve"))
    deep: Data = {}
    for _ in range(400):
        deep = {"a": [deep]}
    ciphertexts: list[Any] = [*ODD, {"type": 0, "body": "%"}, {"type": 1, "body": "AAAA"}, {"type": 0, "body": "AAAA"}]
    contents = [
        *ODD,
        deep,
        *({**OLM, "sender_key": phone.curve25519, "ciphertext": {curve: one}} for one in ciphertexts),
    ]
    for content in contents:
        for sender in (ADA, None, "", [], "\ud800", "@" + "x" * 999, "nobody"):
            to_bot(world, sender, content)
    megolm = {"algorithm": "m.megolm.v1.aes-sha2", "session_id": "s" * 43}
    for content in [*ODD, deep, *({**megolm, "ciphertext": one} for one in (*ODD, "x", "x" * 200_000))]:
        for kind in ("m.room.encrypted", "m.room.message", "m.room.member"):
            for sender in (ADA, "\ud800", f"@eve:{DOMAIN}"):
                keys(world).forge(room, sender, kind, content)
    keys(world).forge(room, ADA, "m.room.message", text("no id"), event_id=["x"])
    keys(world).forge(room, ADA, "m.room.message", text("late"), origin_server_ts="never")
    keys(world).forge(room, ADA, "m.room.message", {"msgtype": "m.text", "body": {"a": 1}})
    answer(world, phone)
    before = await world.store.get(POSITION)
    await reader.read(world)
    after = await world.store.get(POSITION)
    assert before
    assert after
    assert before.data["since"] != after.data["since"]
    assert "thank you" in {row["text"] and await opened(world, row) for row in await world.documents_in("replies")}
    assert all(row["text"] or row["cause"] for row in await world.documents_in("replies"))


async def opened(world: World, row: Data) -> str:
    return str(world.device.unlock(row["text"], row["event_id"]))


async def test_a_flood_keeps_nobody_away() -> None:
    """More messages to the device than one sync tells and than one run works off: all come to their turn."""
    world, phone = await welcomed()
    for number in range(650):
        content = {**OLM, "sender_key": "nobody", "ciphertext": {}, "number": number}
        to_bot(world, f"@eve:{DOMAIN}", content)
    answer(world, phone)
    for _ in range(4):
        await reader.read(world)
        world.pause(minutes=1)
    assert await seen(world) == [("thank you", "")]


async def test_what_was_taken_back_is_not_shown() -> None:
    """A redacted event has no content: the reply says so."""
    world, _ = await welcomed()
    keys(world).forge(direct(world), ADA, "m.room.encrypted", {})
    await reader.read(world)
    [(said, cause)] = await seen(world)
    assert said is None
    assert "taken back" in cause


class Broken:
    """The bot's device with a mistake in what opens events of one sender."""

    def __init__(self, device: Any, sender: str) -> None:
        self._device, self._sender = device, sender

    def __getattr__(self, name: str) -> Any:
        return getattr(self._device, name)

    def open_to_device(self, event: Data, sessions: Any) -> Any:
        return self._device.open_to_device(event, sessions) if event["sender"] != self._sender else {}["bug"]

    def open_event(self, room_id: str, event: Data, known: Any) -> Any:
        return self._device.open_event(room_id, event, known) if event["sender"] != self._sender else {}["bug"]


@pytest.mark.parametrize("when", ["key", "event"])
async def test_a_mistake_of_ours_loses_nothing(when: str) -> None:
    """What crashes us waits, and says so; once mended it is read, and nobody else has waited for it."""
    world, phone = await welcomed()
    device = world.device
    to_device, event = split(world, phone)
    to_bot(world, ADA, to_device)
    if when == "event":
        await reader.read(world)
    in_room(world, event)
    keys(world).say(ADA, direct(world), "hi")
    world.device = Broken(device, ADA)
    await reader.read(world)
    assert ("hi", IN_PLAIN) in await seen(world)
    assert any(said is None and cause for said, cause in await seen(world))
    world.device = device
    world.pause(minutes=2)
    await reader.read(world)
    assert ("thank you", "") in await seen(world)


# ------------------------------------------------------------------ one reader, whatever happens to it


async def test_one_reader_at_a_time() -> None:
    """Of four at the same instant one asks the homeserver, and the reply is there once."""
    world, phone = await welcomed()
    answer(world, phone)
    before = len(keys(world).called("sync"))
    done = await asyncio.gather(*(reader.read(world) for _ in range(4)))
    assert [count > 0 for count in done].count(True) == 1
    assert len(keys(world).called("sync")) == before + 2  # the second sees that nothing is left
    assert await seen(world) == [("thank you", "")]
    assert await world.store.get(reader.LEASE) is None


async def test_a_lease_held_by_another() -> None:
    """Nothing is asked and nothing moved while it lasts; a holder that died holds it for four minutes."""
    world, phone = await welcomed()
    lease = {"v": 1, "holder": "another", "expire_at": world.now() + reader.LEASE_FOR}
    await world.store.write(Create(reader.LEASE, lease))
    answer(world, phone)
    before = len(keys(world).called("sync"))
    assert await reader.read(world) == 0
    assert len(keys(world).called("sync")) == before
    world.pause(minutes=4, seconds=1)
    await reader.read(world)
    assert await seen(world) == [("thank you", "")]


async def test_a_reader_that_lost_its_lease_moves_nothing() -> None:
    """It took too long, another has read meanwhile: the other's position stays, and each reply is there once."""
    world, phone = await welcomed()
    answer(world, phone)
    sync = keys(world).sync

    async def slow(*how: Any) -> Any:
        keys(world).sync = sync  # type: ignore[method-assign]
        said = await sync(*how)
        world.pause(minutes=5)
        answer(world, phone, "one more")
        await reader.read(world)
        return said

    keys(world).sync = slow  # type: ignore[method-assign]
    with pytest.raises(Outpaced):
        await reader.read(world)
    position = await world.store.get(POSITION)
    await reader.read(world)
    after = await world.store.get(POSITION)
    assert position
    assert after
    assert sorted(await seen(world)) == [("one more", ""), ("thank you", "")]


async def test_without_the_lease_the_position_stays() -> None:
    """Even when nobody else has read: who has lost the lease cannot move the position."""
    world, phone = await welcomed()
    answer(world, phone)
    sync, before = keys(world).sync, await world.store.get(POSITION)

    async def lost(*how: Any) -> Any:
        said = await sync(*how)
        await world.store.write(Delete(reader.LEASE))
        return said

    keys(world).sync = lost  # type: ignore[method-assign]
    with pytest.raises(Outpaced):
        await reader.read(world)
    assert await world.store.get(POSITION) == before
    keys(world).sync = sync  # type: ignore[method-assign]
    await reader.read(world)
    assert await seen(world) == [("thank you", "")]


@pytest.mark.parametrize("write", range(1, 12))
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("error", [Killed(), Unreachable("firestore", "no answer")], ids=["killed", "refused"])
async def test_a_crash_at_any_write(write: int, after: bool, error: BaseException) -> None:
    """Killed, or refused by the store, before or after any of its writes: the next run has the replies, each once."""
    world, phone = await welcomed()
    in_room(world, (late := split(world, phone, "late"))[1])
    await reader.read(world)
    to_bot(world, ADA, late[0])
    answer(world, phone)
    world.documents.fail_at(write, error, after=after)
    try:
        await reader.read(world)
    except (Killed, Unreachable):
        world.pause(minutes=5)
    world.documents.mend()
    await reader.read(world)
    world.pause(minutes=1)
    await reader.read(world)
    assert sorted(await seen(world)) == [("late", ""), ("thank you", "")]
    assert await world.documents_in("to_device") == []
    assert len(await world.documents_in("room_keys")) == 2


@pytest.mark.parametrize("method", ["sync", "query_keys", "page_back"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "answer lost"])
async def test_a_homeserver_that_fails(method: str, after: bool) -> None:
    """Whatever call fails, the run says so, gives its lease back, and the next one reads everything."""
    world, phone = await welcomed()
    keys(world).timeline_limit = 1
    for body in ("one", "two"):
        answer(world, phone, body)
    world.homeserver.fail_next(Unreachable("matrix", "no answer"), 1, after, method=method)
    with pytest.raises(Unreachable):
        await reader.read(world)
    await reader.read(world)
    assert {said for said, _ in await seen(world)} == {"one", "two"}


# ------------------------------------------------------------------ where to begin, and how far back


async def test_the_first_run_reads_no_history() -> None:
    """It asks for no room at all; keys that came before it are kept, and from then on everything is read."""
    world, phone = await welcomed()
    await world.store.write(Delete(POSITION))
    answer(world, phone, "before")
    before = len(keys(world).called("sync"))
    await reader.read(world)
    assert keys(world).called("sync")[before][:2] == (None, False)
    assert len(await world.documents_in("room_keys")) == 1
    assert await seen(world) == []
    answer(world, phone, "after")
    await reader.read(world)
    assert await seen(world) == [("after", "")]


@pytest.mark.parametrize("write", range(1, 5))
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_first_run_that_dies_loses_no_key(write: int, after: bool) -> None:
    """Keys that came before it began are kept, wherever it dies."""
    world, phone = await welcomed()
    to_device, event = split(world, phone)
    await world.store.write(Delete(POSITION))
    to_bot(world, ADA, to_device)
    world.documents.fail_at(write, Killed(), after=after)
    with pytest.raises(Killed):
        await reader.read(world)
    world.pause(minutes=5)
    await reader.read(world)
    in_room(world, event)
    await reader.read(world)
    assert await seen(world) == [("thank you", "")]


async def test_the_reader_begins_before_the_first_message() -> None:
    """An answer that comes before any sweep is read by the first one."""
    world = sealing(rooms=0)
    phone = keys(world).add_device(ADA)
    await begun(world)
    await world.work()
    world.homeserver.join(ADA, direct(world))
    keys(world).read(phone, direct(world))
    answer(world, phone)
    await reader.read(world)
    assert await seen(world) == [("thank you", "")]


async def test_a_reader_that_may_not_begin_keeps_no_message_back() -> None:
    """The hello is sent, whatever the homeserver says to a sync."""
    world = sealing(rooms=0)
    keys(world).add_device(ADA)
    world.homeserver.fail_next(Refused("no sync for you"), 1000, method="sync")
    onboarding = await begun(world)
    await world.work()
    assert (await world.steps(onboarding))["hello"].state == "done"


async def test_a_limited_timeline_is_read_back() -> None:
    """More was said than one sync tells: all of it is there, joins among it too."""
    world, phone = await welcomed()
    keys(world).timeline_limit, keys(world).page_size = 2, 3
    world.homeserver.leave(ADA, direct(world))
    for number in range(12):
        answer(world, phone, str(number))
    await reader.read(world)
    assert {said for said, _ in await seen(world)} == {str(number) for number in range(12)}
    document = await world.store.get(ids.direct_path(ADA))
    assert document
    assert document.data["joined"] is False


async def test_what_is_over_the_bound_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A flood in a direct room costs so many pages and no more, and the log names the room."""
    world, _ = await welcomed()
    keys(world).timeline_limit, keys(world).page_size = 1, 1
    for number in range(30):
        keys(world).say(ADA, direct(world), str(number))
    caplog.set_level("WARNING", "muster")
    await reader.read(world)
    assert len(keys(world).called("page_back")) == 10
    assert "not read back" in caplog.messages
    assert "29" in {said for said, _ in await seen(world)}


async def test_a_room_that_cannot_be_paged_back_stops_nobody() -> None:
    """The homeserver refuses the pages for good: what it told is read, and the position goes on."""
    world, _ = await welcomed()
    keys(world).timeline_limit = 1
    for body in ("one", "two"):
        keys(world).say(ADA, direct(world), body)
    world.homeserver.fail_next(Refused("not here", code="M_FORBIDDEN"), 1, method="page_back")
    await reader.read(world)
    assert [said for said, _ in await seen(world)] == ["two"]


async def test_ordinary_rooms_are_asked_for_once() -> None:
    """INDOC and default rooms never; any other that turns out to be no direct room, not again."""
    world, _ = await welcomed()
    default, other = (keys(world).add_room(name, members={BEN: "join"}) for name in ("Default", "Other"))
    world.policy = replace(world.policy, default_rooms=(default, "#alias:elsewhere"))
    keys(world).say(BEN, default, "hi")
    keys(world).say(BEN, other, "hi")
    await reader.read(world)
    assert keys(world).called("sync")[-1][2] == sorted([world.policy.indoc, default])
    await reader.read(world)
    assert keys(world).called("sync")[-1][2] == sorted([world.policy.indoc, default, other])
    assert len(keys(world).called("room")) == 1
    assert await world.documents_in("replies") == []


async def test_a_direct_room_without_its_record() -> None:
    """Made a moment ago, its record not written yet: known by its alias, it is no ordinary room."""
    world, phone = await welcomed()
    document = await world.store.get(ids.direct_path(ADA))
    assert document
    await world.store.write(Delete(ids.direct_path(ADA)))
    answer(world, phone)
    await reader.read(world)
    assert await seen(world) == [(None, NO_KEY)]
    await world.store.write(Create(document.path, document.data))
    world.pause(minutes=2)
    await reader.read(world)
    assert await seen(world) == [("thank you", "")]
    position = await world.store.get(POSITION)
    assert position
    assert position.data["ordinary"] == []


# ------------------------------------------------------------------ joins


async def waiting_for_join() -> tuple[World, str]:
    world = sealing(rooms=0)
    await world.sweep()
    world.pause(minutes=1)
    keys(world).add_device(ADA)
    onboarding = await begun(world)
    await world.work()
    world.pause(seconds=6)
    await world.work()
    assert (await world.steps(onboarding))["welcome"].waits_for == "join"
    return world, onboarding


async def test_a_join_that_the_reader_sees_starts_the_welcome() -> None:
    """Seconds after the join, and the homeserver is asked for nobody's membership by the sweep."""
    world, onboarding = await waiting_for_join()
    await world.sweep()
    world.homeserver.join(ADA, direct(world))
    before = len(keys(world).called("membership"))
    await world.sweep()
    assert len(keys(world).called("membership")) == before
    assert (await world.steps(onboarding))["welcome"].state == "scheduled"
    world.pause(seconds=6)
    await world.work()
    assert (await world.steps(onboarding))["welcome"].state == "done"


async def test_who_joined_before_the_reader_began_is_looked_at() -> None:
    """On the first run nothing of before is read: the membership is asked for, and the welcome starts."""
    world, onboarding = await waiting_for_join()
    await world.store.write(Delete(POSITION))
    world.homeserver.join(ADA, direct(world))
    await world.sweep()
    assert (await world.steps(onboarding))["welcome"].state == "scheduled"


async def test_a_reader_that_cannot_read_delays_no_welcome() -> None:
    """While it is refused for good, the sweep asks for each membership again."""
    world, onboarding = await waiting_for_join()
    world.homeserver.fail_next(Refused("no sync for you"), 1000, method="sync")
    world.pause(minutes=11)
    world.homeserver.join(ADA, direct(world))
    report = await world.sweep()
    assert report
    assert report.failed == {"replies": "no sync for you"}
    await world.work()
    world.pause(seconds=6)
    await world.work()
    assert (await world.steps(onboarding))["welcome"].state == "done"


async def test_a_join_that_was_missed_is_found_by_the_step() -> None:
    """Even if the reader never hears of it, the step looks by itself, slowly."""
    world, onboarding = await waiting_for_join()
    await world.sweep()
    world.homeserver.homes[direct(world)].members[ADA] = "join"  # without an event
    await world.live(hours=1, on=True)
    assert (await world.steps(onboarding))["welcome"].state == "done"


async def test_who_left_again_has_not_joined() -> None:
    """The last word counts."""
    world, _ = await waiting_for_join()
    world.homeserver.join(ADA, direct(world))
    world.homeserver.leave(ADA, direct(world))
    await reader.read(world)
    document = await world.store.get(f"direct_rooms/{ids.digest('direct', ADA)}")
    assert document
    assert document.data["joined"] is False


async def test_encryption_switched_off_reads_nothing() -> None:
    """Where there is no device, there is nothing to read with."""
    world = World()
    world.furnish(0)
    await world.sweep()
    assert world.homeserver.called("sync") == []
