"""What `Chat` promises of rooms' state and of what changed in it, on the homeserver in memory, on a real Synapse
and on the one of the benchmarks."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import pytest

from benchmarks.homes import BOT, DOMAIN
from benchmarks.neighbours import running
from shared.adapters.matrix import MatrixChat
from shared.adapters.matrix_watch import TIMELINE
from shared.domain.errors import Refused
from shared.ports import Changes, StateEvent
from tests.contracts.chat_worlds import ComputedWorld, FakeWorld, SynapseWorld, World
from tests.contracts.keys_worlds import log_in
from tests.contracts.synapse_server import Homeserver

pytest_plugins = ("tests.contracts.synapse_server",)
Known = Mapping[tuple[str, str], Mapping[str, Any]]


@pytest.fixture(scope="module")
def computed() -> Iterator[Homeserver]:
    with running(users=30, rooms=3) as settings:
        yield Homeserver(settings["MATRIX_HOMESERVER"], BOT, BOT, DOMAIN, "")


@pytest.fixture(params=["fake", "synapse", "computed"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    made: World
    if request.param == "fake":
        made = FakeWorld()
    elif request.param == "synapse":
        made = SynapseWorld(request.getfixturevalue("homeserver"))
    else:
        made = ComputedWorld(request.getfixturevalue("computed"))
    yield made
    await made.close()


def folded(events: Sequence[StateEvent]) -> Known:
    """What holds: of each piece the last one told."""
    return {(event.type, event.state_key): event.content for event in events}


def members(known: Known) -> dict[str, str]:
    return {key: content["membership"] for (kind, key), content in known.items() if kind == "m.room.member"}


async def told(world: World, since: str, room_id: str) -> tuple[str, Known]:
    """The next position, and what the room has become since."""
    said = await world.chat.changes(since)
    return said.position, folded(said.rooms.get(room_id, ()))


async def begun(world: World) -> str:
    return (await world.chat.changes(None)).position


# ------------------------------------------------------------------ one room


async def test_a_rooms_state_is_what_is_there(world: World) -> None:
    """One call tells who a room is, what it asks for, and everybody in it, with the time of each."""
    alias = f"hall-{secrets.token_hex(5)}"
    room = await world.room("Hall", alias=alias, topic="Of many", encrypted=True, version="11")
    here, gone = await world.user(), await world.user()
    for user in (here, gone):
        await world.join(user, room)
    await world.leave(gone, room)
    state = await world.chat.state(room)
    known = folded(state)
    assert members(known) == {world.bot: "join", here: "join", gone: "leave"}
    assert known["m.room.name", ""] == {"name": "Hall"}
    assert known["m.room.topic", ""] == {"topic": "Of many"}
    assert known["m.room.canonical_alias", ""] == {"alias": f"#{alias}:{world.domain}"}
    assert known["m.room.encryption", ""] == {"algorithm": "m.megolm.v1.aes-sha2"}
    assert known["m.room.join_rules", ""] == {"join_rule": "public", "allow": []}
    made = known["m.room.create", ""]
    assert (made["creator"], made["room_version"]) == (world.bot, "11")
    assert known["m.room.power_levels", ""]["users"] == {world.bot: 100}
    assert all(event.at > 0 for event in state)


async def test_a_room_without_the_bot_shows_no_state(world: World) -> None:
    """Neither one that it never was in nor one that it has left."""
    never, left = await world.room(by=await world.user(), bot_inside=False), await world.room()
    await world.leave(world.bot, left)
    for room in (never, left):
        with pytest.raises(Refused) as caught:
            await world.chat.state(room)
        assert caught.value.code == "M_FORBIDDEN"


# ------------------------------------------------------------------ what changed


async def test_the_first_position_comes_without_rooms(world: World) -> None:
    """However many rooms there are; and from there on, as long as nothing happens, nothing is told."""
    await world.room()
    first = await world.chat.changes(None)
    assert (first.rooms, first.left) == ({}, frozenset())
    again = await world.chat.changes(first.position)
    assert again == Changes(again.position)


async def test_what_was_said_is_no_change(world: World) -> None:
    """A room full of messages costs nothing in the answer."""
    room, member = await world.room(), await world.user()
    await world.join(member, room)
    since = await begun(world)
    for _ in range(3):
        await world.say(member, room, {"body": "hello"})
    assert (await world.chat.changes(since)).rooms == {}


async def test_who_comes_and_goes_is_told(world: World) -> None:
    """A swap of one member for another is seen, though the room has as many as before."""
    room, old, new, invited = await world.room(public=True), *[await world.user() for _ in range(3)]
    await world.join(old, room)
    since = await begun(world)
    await world.leave(old, room)
    await world.say(world.bot, room, {"body": "in between"})
    await world.join(new, room)
    await world.chat.invite(room, invited)
    since, known = await told(world, since, room)
    assert members(known) == {old: "leave", new: "join", invited: "invite"}
    await world.chat.kick(room, new, "test")
    assert members((await told(world, since, room))[1]) == {new: "leave"}


async def test_a_room_that_becomes_another_is_told(world: World) -> None:
    """Name, topic, levels and the rooms of a space, each as it is now."""
    room, child = await world.room("Before", topic="Old"), await world.room()
    since = await begun(world)
    await world.put(room, "m.room.name", {"name": "Between"})
    await world.put(room, "m.room.name", {"name": "After"})
    await world.put(room, "m.room.topic", {"topic": "New"})
    levels = {"users": {}, "users_default": 10, "invite": 20, "kick": 30, "events_default": 5}
    await world.put(room, "m.room.power_levels", levels)
    await world.put(room, "m.space.child", {"via": [world.domain]}, child)
    since, known = await told(world, since, room)
    assert known["m.room.name", ""] == {"name": "After"}
    assert known["m.room.topic", ""] == {"topic": "New"}
    assert levels.items() <= known["m.room.power_levels", ""].items()
    assert known["m.space.child", child] == {"via": [world.domain]}
    await world.put(room, "m.space.child", {}, child)
    assert (await told(world, since, room))[1] == {("m.space.child", child): {}}


async def test_a_room_that_the_bot_enters_comes_whole(world: World) -> None:
    """With all of its state and everybody who was there before."""
    host, guest = await world.user(), await world.user()
    room = await world.room("New", by=host, topic="Whole", bot_inside=False)
    await world.join(guest, room)
    since = await begun(world)
    await world.join(world.bot, room)
    _, known = await told(world, since, room)
    assert known == folded(await world.chat.state(room))
    assert members(known) == {host: "join", guest: "join", world.bot: "join"}


async def test_a_room_that_the_bot_leaves_is_told(world: World) -> None:
    """Once, and no longer among those that changed; coming back, it is whole again."""
    room = await world.room(by=await world.user())
    since = await begun(world)
    await world.leave(world.bot, room)
    said = await world.chat.changes(since)
    assert (dict(said.rooms), said.left) == ({}, {room})
    assert (await world.chat.changes(said.position)).left == frozenset()
    await world.join(world.bot, room)
    _, known = await told(world, said.position, room)
    assert known == folded(await world.chat.state(room))


async def test_an_upgraded_room_names_the_next(world: World) -> None:
    """And the new room names the one before it."""
    room = await world.room("Old", version="11")
    since = await begun(world)
    new = await world.upgrade(room)
    said = await world.chat.changes(since)
    assert folded(said.rooms[room])["m.room.tombstone", ""] == {"replacement_room": new}
    assert folded(said.rooms[new])["m.room.create", ""]["predecessor"] == {"room_id": room}


async def test_more_changes_than_are_told_one_by_one(world: World) -> None:
    """However many there were: what came first is told as well, each piece as it is now."""
    room, old, new = await world.room("Before"), await world.user(), await world.user()
    await world.join(old, room)
    since = await begun(world)
    await world.leave(old, room)
    await world.join(new, room)
    await world.put(room, "m.room.name", {"name": "After"})
    for number in range(TIMELINE + 10):
        await world.put(room, "m.room.topic", {"topic": f"{number}"})
    _, known = await told(world, since, room)
    assert members(known) == {old: "leave", new: "join"}
    assert known["m.room.name", ""] == {"name": "After"}
    assert known["m.room.topic", ""] == {"topic": f"{TIMELINE + 9}"}


async def test_a_change_behind_many_messages(world: World) -> None:
    """Who came before the room talked for hours is told of: no filter hides them behind what was said."""
    room, new = await world.room(), await world.user()
    since = await begun(world)
    await world.join(new, room)
    for _ in range(30):
        await asyncio.gather(*(world.say(world.bot, room, {"body": "and so on"}) for _ in range(12 * TIMELINE // 30)))
    assert members((await told(world, since, room))[1]) == {new: "join"}


async def test_how_it_ended_where_the_homeserver_tells(homeserver) -> None:
    """With the newer way of telling, which a server admin may switch on, the same is told."""
    world = SynapseWorld(homeserver)
    plain = await world.plain()
    path = f"/_synapse/admin/v1/experimental_features/{quote(plain.bot)}"
    await world.admin_makes("PUT", path + ' {"features": {"msc4222": true}}')
    room, old, new = await plain.room("Before"), await plain.user(), await plain.user()
    await plain.join(old, room)
    since = await begun(plain)
    await plain.leave(old, room)
    await plain.join(new, room)
    for number in range(TIMELINE + 5):
        await plain.put(room, "m.room.name", {"name": f"{number}"})
    since, known = await told(plain, since, room)
    assert members(known) == {old: "leave", new: "join"}
    assert known["m.room.name", ""] == {"name": f"{TIMELINE + 4}"}
    entered = await world.room("Whole")
    await plain.join(plain.bot, entered)
    _, known = await told(plain, since, entered)
    assert known == folded(await plain.chat.state(entered))
    await world.close()


async def test_a_position_that_nobody_knows_is_refused(world: World) -> None:
    """By a code of its own, so that the caller can begin anew."""
    with pytest.raises(Refused) as caught:
        await world.chat.changes("what-is-this")
    assert caught.value.code == "POSITION"


# ------------------------------------------------------------------ a device of its own


async def test_watching_takes_nothing_from_the_device_that_sends(homeserver) -> None:
    """However often the watching device asks what changed, a message to the sending device is still there for its reader,
    until that reader has gone on."""
    world = SynapseWorld(homeserver)
    plain = await world.plain()
    token = (await asyncio.to_thread(log_in, homeserver.url, plain.bot))["access_token"]
    watcher = MatrixChat(homeserver.url, token, plain.bot)
    sends = await plain.chat.whoami()
    assert (await watcher.whoami()).user_id == sends.user_id
    assert (await watcher.whoami()).device_id != sends.device_id
    keys = plain.another_chat()
    start = (await keys.sync(None, False))["next_batch"]
    since = (await watcher.changes(None)).position
    await world.chat.send_to_device("m.test", {sends.user_id: {sends.device_id: {"n": 1}}}, secrets.token_hex(8))
    for _ in range(3):
        await plain.room()
        since = (await watcher.changes(since)).position
    said = await keys.sync(start, False)
    assert [event["content"] for event in said["to_device"]["events"]] == [{"n": 1}]
    for chat in (watcher, keys):
        await chat.close()
    await world.close()
