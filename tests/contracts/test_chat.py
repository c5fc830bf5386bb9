"""What `Chat` promises, on the homeserver in memory and on a real Synapse."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator

import pytest

from shared.domain.errors import Conflict, Limited, NotFound, Refused, Unreachable
from shared.ports import Entry, Identity, Membership, Power, Room
from tests.contracts.chat_worlds import FakeWorld, SynapseWorld, World, ids
from tests.fakes.chat import FakeChat

pytest_plugins = ("tests.contracts.synapse_server",)
CREATOR = 2**53


@pytest.fixture(params=["fake", "synapse"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """One after the other."""
    made: World = FakeWorld() if request.param == "fake" else SynapseWorld(request.getfixturevalue("homeserver"))
    yield made
    await made.close()


@pytest.fixture
async def synapse(homeserver) -> AsyncIterator[SynapseWorld]:
    """For what only a real homeserver can show."""
    made = SynapseWorld(homeserver)
    yield made
    await made.close()


def fresh(word: str) -> str:
    return f"{word}-{secrets.token_hex(5)}"


def text(body: str, **more: str) -> dict[str, str]:
    return {"msgtype": "m.text", "body": body, **more}


async def refused(awaitable) -> str:
    with pytest.raises(Refused) as caught:
        await awaitable
    return caught.value.code


# ------------------------------------------------------------------ one member, one room


async def test_whoami_names_the_bot_and_its_device(world: World) -> None:
    """A transaction id counts per device, so the device is known."""
    said = await world.chat.whoami()
    assert isinstance(said, Identity)
    assert said.user_id == world.bot
    assert said.device_id
    assert await world.chat.whoami() == said


async def test_a_room_that_the_bot_has_left(world: World) -> None:
    """Its own membership there is "leave", or it may not look: never "join"."""
    room = await world.room()
    await world.leave(world.bot, room)
    try:
        there = await world.chat.membership(room, world.bot)
    except Refused as error:
        said = error.code
    else:
        said = there.state if there else ""
    assert said in ("leave", "M_FORBIDDEN")


async def test_an_alias_leads_to_its_room(world: World) -> None:
    """An alias answers the room behind it, and None when there is none."""
    alias = fresh("hall")
    room = await world.room(alias=alias)
    assert await world.chat.resolve(f"#{alias}:{world.domain}") == room
    assert await world.chat.resolve(f"#{fresh('none')}:{world.domain}") is None


async def test_membership_follows_a_member(world: World) -> None:
    """Never there, invited, joined and left are told apart."""
    room, member = await world.room(public=False), await world.user()
    assert await world.chat.membership(room, member) is None
    await world.chat.invite(room, member)
    invited = await world.chat.membership(room, member)
    await world.join(member, room)
    joined = await world.chat.membership(room, member)
    await world.leave(member, room)
    left = await world.chat.membership(room, member)
    assert [said and said.state for said in (invited, joined, left)] == ["invite", "join", "leave"]
    assert isinstance(joined, Membership)
    assert joined.display_name == member[1:].partition(":")[0]


async def test_inviting_again_is_fine(world: World) -> None:
    """A second invite of somebody who has not answered changes nothing and is no error."""
    room, member = await world.room(public=False), await world.user()
    await world.chat.invite(room, member)
    await world.chat.invite(room, member)
    said = await world.chat.membership(room, member)
    assert said
    assert said.state == "invite"


async def test_inviting_who_has_joined_is_refused(world: World) -> None:
    """The homeserver's M_FORBIDDEN arrives as the code of a `Refused`."""
    room, member = await world.room(), await world.user()
    await world.join(member, room)
    assert await refused(world.chat.invite(room, member)) == "M_FORBIDDEN"
    assert await refused(world.chat.invite_directly(room, member)) == "M_FORBIDDEN"


async def test_a_stranger_to_the_homeserver_can_be_invited_and_has_no_profile(world: World) -> None:
    """Only the profile tells that nobody of that id has ever logged in."""
    room, nobody = await world.room(public=False), f"@{fresh('nobody')}:{world.domain}"
    await world.chat.invite(room, nobody)
    assert not await world.chat.has_profile(nobody)
    assert await world.chat.has_profile(await world.user())


async def test_a_room_without_the_bot_is_closed_to_it(world: World) -> None:
    """Looking into, writing to and inviting to a room where the bot is not is refused."""
    other = await world.user()
    room = await world.room(by=other, public=False, bot_inside=False)
    asked = (
        world.chat.membership(room, other),
        world.chat.power(room),
        world.chat.is_encrypted(room),
        world.chat.invite(room, await world.user()),
        world.chat.kick(room, other, "test"),
        world.chat.send(room, text("hello"), fresh("t")),
    )
    assert {await refused(one) for one in asked} == {"M_FORBIDDEN"}


async def test_a_kicked_member_has_left(world: World) -> None:
    """Removing works on members and on open invites, and says so when there is nobody to remove."""
    room, member, invited = await world.room(), await world.user(), await world.user()
    await world.join(member, room)
    await world.chat.invite(room, invited)
    for user in (member, invited):
        await world.chat.kick(room, user, "welcome inside")
        said = await world.chat.membership(room, user)
        assert said
        assert said.state == "leave"
    assert await refused(world.chat.kick(room, member, "again")) == "M_FORBIDDEN"


async def test_kicking_needs_power(world: World) -> None:
    """Without the level the room asks for, a kick is refused and the member stays."""
    other, member = await world.user(), await world.user()
    room = await world.room(by=other)
    await world.join(member, room)
    assert await refused(world.chat.kick(room, member, "test")) == "M_FORBIDDEN"
    said = await world.chat.membership(room, member)
    assert said
    assert said.state == "join"


@pytest.mark.parametrize(("version", "creator"), [("12", CREATOR), ("10", 100)])
async def test_power_of_the_creator(world: World, version: str, creator: int) -> None:
    """A creator is above every level in version 12, and has 100 before that."""
    other = await world.user()
    ours = await world.chat.power(await world.room(version=version, public=False), other)
    assert ours == Power(ours=creator, invite=0, kick=50, events_default=0, target=0)
    theirs = await world.chat.power(await world.room(by=other, version=version), other)
    assert theirs == Power(ours=0, invite=50, kick=50, events_default=0, target=creator)


async def test_everybodys_level(world: World) -> None:
    """Who was given a level has it, everybody else the room's default, and a creator of version 12 is above all."""
    member = await world.user()
    for version, creator in (("12", CREATOR), ("10", 100)):
        room = await world.room(version=version, public=False)
        await world.chat.set_power(room, member, 50)
        levels = await world.chat.levels(room)
        said = (levels.of(world.bot), levels.of(member), levels.of("@nobody:x.test"), levels.invite, levels.kick)
        assert said == (creator, 50, 0, 0, 50)


async def test_a_level_is_given_and_taken(world: World) -> None:
    """The answer is the level before; the same again changes nothing; nobody else's level moves."""
    room, member, other = await world.room(version="10"), await world.user(), await world.user()
    assert [await world.chat.set_power(room, member, level) for level in (50, 50, 0)] == [0, 50, 50]
    await world.chat.set_power(room, other, 25)
    levels = await world.chat.levels(room)
    assert [levels.of(user) for user in (world.bot, member, other)] == [100, 0, 25]


async def test_many_levels_at_once(world: World) -> None:
    """Eight changes of one room at the same time: not one of them is lost."""
    room, members = await world.room(public=False), [await world.user() for _ in range(8)]
    await asyncio.gather(*(world.chat.set_power(room, member, 50) for member in members))
    levels = await world.chat.levels(room)
    assert [levels.of(member) for member in members] == [50] * 8


async def test_two_processes_that_change_levels(synapse: SynapseWorld) -> None:
    """Of changes that two instances make at the very same moment the homeserver keeps one: the other is made again."""
    room, members = await synapse.room(public=False), [await synapse.user() for _ in range(6)]
    other = synapse.another_chat()
    chats = [synapse.chat, other] * 3
    await asyncio.gather(*(chat.set_power(room, who, 50) for chat, who in zip(chats, members, strict=True)))
    levels = await synapse.chat.levels(room)
    await other.close()
    assert [levels.of(member) for member in members] == [50] * 6


async def test_a_level_that_the_bot_may_not_give(world: World) -> None:
    """Nobody at or above the bot is changed, nobody is raised above it, and without power it changes nobody."""
    member, admin = await world.user(), await world.user()
    ours = await world.room(version="10")
    await world.chat.set_power(ours, admin, 100)
    theirs = await world.room(by=admin)
    asked = (
        world.chat.set_power(ours, admin, 50),
        world.chat.set_power(ours, world.bot, 50),
        world.chat.set_power(ours, member, 101),
        world.chat.set_power(theirs, member, 50),
        world.chat.set_power(theirs, admin, 50),
    )
    assert {await refused(one) for one in asked} == {"M_FORBIDDEN"}
    assert (await world.chat.levels(ours)).of(admin) == 100


async def test_who_may_enter(world: World) -> None:
    """By invite, by anybody, or by the members of a space."""
    space, room = await world.room("Club"), await world.room(public=False)
    assert await world.chat.entry(room) == Entry("invite")
    assert await world.chat.entry(space) == Entry("public")
    await world.restrict(room, space)
    entry = await world.chat.entry(room)
    assert (entry.rule, entry.rooms, entry.by(space), entry.by(room)) == ("restricted", (space,), True, False)


async def test_a_member_is_joined_at_once(world: World) -> None:
    """An admin of the homeserver joins its users without an invite to accept, into a restricted room too; another bot
    may not, and says so beforehand."""
    space, room, member = await world.room("Club"), await world.room(public=False), await world.user()
    inner = await world.room("Inner", public=False)
    await world.restrict(inner, space)
    for one in (room, inner):
        await world.chat.join_member(one, member)
        said = await world.chat.membership(one, member)
        assert said
        assert said.state == "join"
    assert await world.chat.may_join_members()


async def test_a_member_who_cannot_be_joined(world: World) -> None:
    """Nobody of that id here, or a bot that is no admin of the homeserver: refused, and nobody is in the room."""
    room = await world.room(public=False)
    with pytest.raises((Refused, NotFound)):
        await world.chat.join_member(room, f"@{fresh('nobody')}:{world.domain}")
    plain, member = await world.plain(), await world.user()
    if isinstance(plain, FakeWorld):
        plain.fake.server_admin = False
    theirs = await plain.room(public=False)
    assert await refused(plain.chat.join_member(theirs, member)) == "M_FORBIDDEN"
    assert await plain.chat.membership(theirs, member) is None
    assert (await plain.chat.may_join_members(), await plain.chat.unlimited()) == (False, None)


async def test_whether_the_limits_are_lifted(world: World) -> None:
    """An admin of the homeserver sees its own override."""
    assert await world.chat.unlimited() is True


async def test_encryption_is_seen(world: World) -> None:
    """A room says whether it is encrypted."""
    assert await world.chat.is_encrypted(await world.room(encrypted=True))
    assert not await world.chat.is_encrypted(await world.room())


# ------------------------------------------------------------------ messages


async def test_a_transaction_id_is_one_message(world: World) -> None:
    """The same transaction id again, even at the same time, is the same event; another is another."""
    room, first = await world.room(), fresh("t")
    events = [await world.chat.send(room, text("hello"), first)]
    events += await asyncio.gather(*(world.chat.send(room, text("hello"), first) for _ in range(3)))
    assert len(set(events)) == 1
    assert await world.chat.send(room, text("hello"), fresh("t")) != events[0]
    assert [said["body"] for said in await world.messages(room)] == ["hello", "hello"]


async def test_a_sent_message_is_found_by_its_mark(world: World) -> None:
    """Ours with that mark is found; another mark, or somebody else's message with it, is not."""
    room, member, mark = await world.room(), await world.user(), fresh("step")
    await world.join(member, room)
    await world.say(member, room, {"x.step": mark})
    assert await world.chat.find_sent(room, "x.step", mark) is None
    event = await world.chat.send(room, text("hello", **{"x.step": mark}), fresh("t"))
    assert await world.chat.find_sent(room, "x.step", mark) == event
    assert await world.chat.find_sent(room, "x.step", fresh("step")) is None


async def test_a_sent_message_is_found_behind_a_hundred_others(world: World) -> None:
    """A retry after a busy hour still finds what was sent."""
    room, mark = await world.room(), fresh("step")
    event = await world.chat.send(room, text("first", **{"x.step": mark}), fresh("t"))
    for _ in range(11):
        await asyncio.gather(*(world.chat.send(room, text("noise"), fresh("t")) for _ in range(10)))
    assert await world.chat.find_sent(room, "x.step", mark) == event


async def test_what_somebody_has_said_behind_an_event(world: World) -> None:
    """What the bridge's bot answers is read from our question on: its own words alone, oldest first, and no others'."""
    room, other, third = await world.room(), await world.user(), await world.user()
    for user in (other, third):
        await world.join(user, room)
    await world.say(other, room, {"body": "before"})
    asked = await world.chat.send(room, text("start-chat"), fresh("t"))
    assert await world.chat.said_after(room, asked, other) == []
    for user, body in ((other, "one"), (third, "not this"), (other, "two")):
        await world.say(user, room, {"body": body})
    await world.chat.send(room, text("nor this"), fresh("t"))
    assert [content["body"] for content in await world.chat.said_after(room, asked, other)] == ["one", "two"]
    with pytest.raises(NotFound):
        await world.chat.said_after(room, "$nothing", other)


async def test_the_bot_enters_a_room_that_it_is_invited_to(world: World) -> None:
    """The room of a chat on Signal is made by the bridge, which invites the bot: it accepts, and again is fine."""
    other = await world.user()
    room = await world.room(by=other, public=False, bot_inside=False)
    assert await refused(world.chat.accept(room)) == "M_FORBIDDEN"
    await world.invite(other, room)
    for _ in range(2):
        await world.chat.accept(room)
    said = await world.chat.membership(room, world.bot)
    assert said
    assert said.state == "join"


# ------------------------------------------------------------------ direct rooms


async def test_a_direct_room_has_its_invitee(world: World) -> None:
    """Made in one go: under its alias, the member invited as to a direct chat and without power."""
    member, alias = await world.user(), fresh("direct")
    room = await world.chat.create_direct_room(alias, member, "Hello")
    assert await world.chat.resolve(f"#{alias}:{world.domain}") == room
    said = await world.chat.membership(room, member)
    assert said
    assert said.state == "invite"
    assert await world.marked_direct(room, member)
    assert (await world.chat.power(room, member)).target == 0


async def test_a_direct_room_is_made_once(world: World) -> None:
    """Of eight at the same time, and of any later one, exactly one makes the room."""
    member, alias = await world.user(), fresh("direct")
    before = set(await world.chat.joined_rooms())
    eight = (world.chat.create_direct_room(alias, member, "Hello") for _ in range(8))
    made = await asyncio.gather(*eight, return_exceptions=True)
    with pytest.raises(Conflict):
        await world.chat.create_direct_room(alias, member, "Hello")
    rooms = [one for one in made if isinstance(one, str)]
    assert len(rooms) == 1
    assert [type(one) for one in made if not isinstance(one, str)] == [Conflict] * 7
    assert set(await world.chat.joined_rooms()) - before == set(rooms)


async def test_a_direct_invite_is_marked(world: World) -> None:
    """A later invite to a direct room shows up under people as well; a plain one does not."""
    room, member, other = await world.room(public=False), await world.user(), await world.user()
    await world.chat.invite_directly(room, member)
    await world.chat.invite(room, other)
    assert await world.marked_direct(room, member)
    assert not await world.marked_direct(room, other)


async def test_direct_rooms_come_back_as_they_were_set(world: World) -> None:
    """m.direct is empty at first, then what was written, replaced as a whole."""
    plain = await world.plain()
    assert await plain.chat.direct_rooms() == {}
    for wanted in ({"@a:x.test": ["!1", "!2"], "@b:x.test": ["!3"]}, {"@b:x.test": ["!4"]}):
        await plain.chat.set_direct_rooms(wanted)
        assert await plain.chat.direct_rooms() == wanted


# ------------------------------------------------------------------ limits


async def test_the_limiter_says_how_long(world: World) -> None:
    """The sixth room of one member is `Limited` at once, with the homeserver's own waiting time."""
    plain, member = await world.plain(), await world.user()
    rooms = [await plain.room(public=False) for _ in range(6)]
    await plain.limit()
    for room in rooms[:5]:
        await plain.chat.invite(room, member)
    with pytest.raises(Limited) as caught:
        await plain.chat.invite(rooms[5], member)
    assert 300 < caught.value.after <= 334


async def test_a_lifted_limiter_does_not_limit(world: World) -> None:
    """The bot whose limits were lifted invites one member to many rooms at once."""
    member = await world.user()
    rooms = [await world.room(public=False) for _ in range(7)]
    await asyncio.gather(*(world.chat.invite(room, member) for room in rooms))


# ------------------------------------------------------------------ many rooms


async def test_a_room_describes_itself(world: World) -> None:
    """Name, topic, alias, encryption, members and who may join."""
    alias = fresh("garden")
    room = await world.room("Garden", alias=alias, topic="Beds and bees", encrypted=True)
    await world.join(await world.user(), room)
    wanted = Room(room, "Garden", "Beds and bees", f"#{alias}:{world.domain}", True, 2, "", "public")
    assert await world.chat.room(room) == wanted


async def test_a_room_without_the_bot_is_not_found(world: World) -> None:
    """Unknown, private and public rooms where the bot is not are all `NotFound`."""
    other = await world.user()
    rooms = [await world.room(by=other, public=public, bot_inside=False) for public in (True, False)]
    for room in (*rooms, f"!{fresh('none')}:{world.domain}", "!short"):
        with pytest.raises(NotFound):
            await world.chat.room(room)


async def test_all_rooms_of_the_bot(world: World) -> None:
    """Every room the bot is in and no other, ordered by name, with topics."""
    plain = await world.plain()
    other = await plain.user()
    second = await plain.room("bees", topic="Hives")
    first = await plain.room("Apples", public=False)
    await plain.room("Closed", by=other, bot_inside=False)
    found = await plain.chat.rooms()
    assert [room.room_id for room in found] == [first, second]
    assert found[1].topic == "Hives"
    assert set(await plain.chat.joined_rooms()) == {first, second}
    assert len(await plain.chat.rooms(limit=1)) == 1


async def test_the_rooms_of_a_member(world: World) -> None:
    """Those of the bot's rooms that the member has joined: no invites, no rooms without the bot."""
    member = await world.user()
    room, invited = await world.room("Joined"), await world.room("Invited", public=False)
    await world.room("Alone", by=member, bot_inside=False)
    await world.join(member, room)
    await world.chat.invite(invited, member)
    assert [(one.room_id, one.name) for one in await world.chat.rooms_of(member)] == [(room, "Joined")]
    assert await world.chat.rooms_of(f"@{fresh('nobody')}:{world.domain}") == []


async def test_who_lives_in_a_room(world: World) -> None:
    """Everybody who has joined, in the order in which they did, with their power; nobody who left or is only invited."""
    room, other = await world.room("Hall", version="10"), await world.room("Other")
    first, second, gone, invited = [await world.user() for _ in range(4)]
    for member in (first, second, gone):
        await world.join(member, room)
        await world.join(member, other)
    await world.leave(gone, room)
    await world.chat.invite(room, invited)
    found = await world.chat.residents(room)
    assert [(each.user_id, each.power) for each in found] == [(world.bot, 100), (first, 0), (second, 0)]
    assert found[1].name == first[1:].partition(":")[0]
    assert found[0].since <= found[1].since <= found[2].since
    assert {each.user_id: each.power for each in await world.chat.residents(other)}[world.bot] == CREATOR


async def test_a_new_display_name_writes_the_membership_anew(world: World) -> None:
    """That is why `since` alone does not say when somebody came."""
    room, member = await world.room(), await world.user()
    await world.join(member, room)
    [before] = [each for each in await world.chat.residents(room) if each.user_id == member]
    await world.rename(member, room)
    [after] = [each for each in await world.chat.residents(room) if each.user_id == member]
    assert after.since > before.since


async def test_residents_of_a_room_without_the_bot(world: World) -> None:
    """Where the bot is not it may not look."""
    stranger = await world.user()
    room = await world.room(by=stranger, public=False, bot_inside=False)
    assert await refused(world.chat.residents(room)) == "M_FORBIDDEN"


async def test_which_of_some_rooms(world: World) -> None:
    """Those that the member has joined, with the admin API or without it."""
    member = await world.user()
    inside, outside, invited = await world.room(), await world.room(), await world.room(public=False)
    await world.join(member, inside)
    await world.chat.invite(invited, member)
    assert await world.chat.joined_among(member, [inside, outside, invited]) == {inside}
    assert await world.chat.joined_among(member, [outside]) == set()
    plain = await world.plain()
    person, room = await plain.user(), await plain.room()
    await plain.join(person, room)
    assert await plain.chat.joined_among(person, [room]) == {room}


async def test_the_admin_api_only_saves_calls(synapse: SynapseWorld) -> None:
    """With and without Synapse's admin API the same rooms come out, for a member and for the bot."""
    member, chat = await synapse.user(), synapse.another_chat(admin_api=False)
    for name in ("One", "Two", "Three"):
        await synapse.join(member, await synapse.room(name))
    with_admin, without = await synapse.chat.rooms_of(member), await chat.rooms_of(member)
    assert [(room.room_id, room.name) for room in with_admin] == [(room.room_id, room.name) for room in without]
    assert ids(await synapse.chat.rooms()) == ids(await chat.rooms()) == set(await chat.joined_rooms())
    await chat.close()


async def test_a_plain_bot_does_without_the_admin_api(world: World) -> None:
    """A bot that is no server admin sees the rooms of a member all the same."""
    plain = await world.plain()
    member = await plain.user()
    room = await plain.room("Joined")
    await plain.room("Empty")
    await plain.join(member, room)
    assert ids(await plain.chat.rooms_of(member)) == {room}
    assert ids(await plain.chat.rooms_of(member)) == {room}


# ------------------------------------------------------------------ self-check


async def test_the_self_check_is_content_with_a_good_set_up(world: World) -> None:
    """Token, clock, limiter, INDOC and rooms: every finding is well when all is as it should be."""
    rooms = [await world.room("Alpha"), await world.room("Beta", version="10")]
    findings = await world.chat.check(rooms, await world.room("INDOC"))
    assert [finding for finding in findings if not finding.ok] == []
    assert len(findings) == 6


async def test_the_self_check_names_what_is_missing(world: World) -> None:
    """A limiter, a room without the bot and a lack of power each come with their fix."""
    plain = await world.plain()
    other = await plain.user()
    weak = await plain.room("Weak", by=other)
    absent = await plain.room("Absent", by=other, public=False, bot_inside=False)
    await plain.limit()
    findings = {finding.name: finding for finding in await plain.chat.check([absent], weak)}
    wrong = {name: finding.fix for name, finding in findings.items() if not finding.ok}
    assert set(wrong) == {"matrix limiter", f"matrix room {absent}", "matrix room Weak"}
    assert all(wrong.values())
    assert "50" in wrong["matrix room Weak"]


async def test_the_limiter_fix_is_the_call_itself(synapse: SynapseWorld) -> None:
    """The very call the self-check names, made by a server admin, lifts the limits of a plain bot."""
    plain, member = await synapse.plain(), await synapse.user()
    rooms = [await plain.room(public=False) for _ in range(7)]
    await plain.limit()
    limiter = next(finding for finding in await plain.chat.check([], "") if finding.name == "matrix limiter")
    await synapse.admin_makes("POST", limiter.fix.partition("POST ")[2])
    await asyncio.gather(*(plain.chat.invite(room, member) for room in rooms))


# ------------------------------------------------------------------ the fake itself


async def test_the_fake_can_lose_an_answer() -> None:
    """A failure before the effect leaves nothing behind, one after it leaves the effect; both are noted."""
    fake = FakeChat()
    room = fake.add_room("Room")
    fake.fail_next(Unreachable("matrix", "down"), method="send")
    fake.fail_next(Unreachable("matrix", "lost"), after_effect=True, method="send")
    assert not await fake.is_encrypted(room)
    for cause, sent in (("down", []), ("lost", ["hello"])):
        with pytest.raises(Unreachable, match=cause):
            await fake.send(room, text("hello"), "t")
        assert [said["body"] for said in fake.messages(room)] == sent
    await fake.send(room, text("hello"), "t")
    assert len(fake.messages(room)) == 1
    assert fake.called("send") == [(room, text("hello"), "t")] * 3


async def test_the_fake_lets_in_again_after_its_time() -> None:
    """Waiting exactly `after` is enough for one more invite, and for no second one."""
    fake, now = FakeChat(), [0.0]
    fake.clock = lambda: now[0]
    fake.limit_invites()
    rooms = [fake.add_room(f"Room {n}") for n in range(7)]
    for room in rooms[:5]:
        await fake.invite(room, "@ana:fake.test")
    with pytest.raises(Limited) as caught:
        await fake.invite(rooms[5], "@ana:fake.test")
    now[0] += caught.value.after
    await fake.invite(rooms[5], "@ana:fake.test")
    with pytest.raises(Limited):
        await fake.invite(rooms[6], "@ana:fake.test")
