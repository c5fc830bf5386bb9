"""What `Keys` promises, on the homeserver in memory and on a real Synapse."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable

import pytest

from shared.adapters.cross_signing import Identity
from shared.adapters.olm import Sealer, make_account
from shared.domain.devices import Device, NewDevice, Sealed
from shared.domain.errors import Refused
from shared.ports import Data
from tests.contracts.keys_worlds import KeysWorld, world_of
from tests.fakes.devices import MemberDevice

pytest_plugins = ("tests.contracts.synapse_server",)
KEY = b"k" * 32


@pytest.fixture(params=["fake", "synapse"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[KeysWorld]:
    """One after the other."""
    made = world_of(request.param, lambda: request.getfixturevalue("homeserver"))
    yield made
    await made.close()


def fresh() -> str:
    return secrets.token_hex(6)


async def enter(world: KeysWorld) -> tuple[Sealer, NewDevice]:
    """The bot's device as set-up makes and publishes it."""
    who = await world.keys.whoami()
    new = make_account(who.user_id, who.device_id, KEY)
    await world.keys.upload_keys({"device_keys": new.device_keys, "fallback_keys": new.fallback_keys})
    return Sealer(who.user_id, who.device_id, new.account, KEY), new


async def keys_of(world: KeysWorld, *users: str) -> dict[Device, str]:
    found, distrusted = Sealer.devices_of(await world.keys.query_keys(users), users)
    wanted: dict[str, list[str]] = {}
    for device in found:
        wanted.setdefault(device.user_id, []).append(device.device_id)
    keys, missing = Sealer.claimed(await world.keys.claim_keys(wanted), found)
    assert not distrusted + missing
    return keys


async def sealed_for(world: KeysWorld, sealer: Sealer, room_id: str, *users: str) -> Sealed:
    sealed = sealer.seal(room_id, "m.room.message", {"body": "hello"}, await keys_of(world, *users))
    await world.keys.send_to_device("m.room.encrypted", sealed.to_device, fresh())
    await world.keys.send_event(room_id, "m.room.encrypted", sealed.event, fresh())
    return sealed


async def read(world: KeysWorld, device: MemberDevice, sealed: Sealed) -> str:
    for event in await world.inbox(device):
        device.receive(event)
    return str(device.read(sealed.event)["content"]["body"])


async def test_members_are_those_who_joined_or_are_invited(world: KeysWorld) -> None:
    """Who left gets no key, who is only invited does."""
    room, joined, invited, left = await world.room(), *[await world.user() for _ in range(3)]
    await world.join(joined, room)
    await world.invite(room, invited)
    await world.join(left, room)
    await world.leave(left, room)
    assert await world.keys.members(room) == {world.bot: "join", joined: "join", invited: "invite"}


async def test_a_room_without_the_bot_tells_no_members(world: KeysWorld) -> None:
    """The homeserver's refusal arrives as `Refused`, for looking as for sending."""
    room = await world.room(by=await world.user(), public=False, bot_inside=False)
    for asked in (world.keys.members(room), world.keys.send_event(room, "m.room.encrypted", {}, fresh())):
        with pytest.raises(Refused) as caught:
            await asked
        assert caught.value.code == "M_FORBIDDEN"


async def test_each_device_reads_what_was_sealed_for_it(world: KeysWorld) -> None:
    """Query, claim, seal, send: two devices of one member and one of another, with its name, can read it."""
    sealer, _ = await enter(world)
    ada, ben = await world.user(), await world.user()
    room = await world.room(encrypted=True)
    devices = [await world.device(ada), await world.device(ada, name="Laptop"), await world.device(ben)]
    found, _ = Sealer.devices_of(await world.keys.query_keys([ada]), [ada])
    assert {"Phone", "Laptop"} <= {device.name for device in found}
    sealed = await sealed_for(world, sealer, room, ada, ben)
    assert [await read(world, device, sealed) for device in devices] == ["hello"] * 3


async def test_each_one_time_key_is_claimed_once_and_then_the_fallback_key(world: KeysWorld) -> None:
    """Six claims of five keys are six keys, and the sixth is a fallback key that comes again."""
    ada = await world.user()
    device = await world.device(ada)
    claims = [await world.keys.claim_keys({ada: [device.device_id]}) for _ in range(7)]
    keys = [next(iter(claim["one_time_keys"][ada][device.device_id].values())) for claim in claims]
    assert len({key["key"] for key in keys}) == 6
    assert [key.get("fallback", False) for key in keys] == [False] * 5 + [True] * 2


async def test_a_device_without_keys_is_known_but_has_none_to_claim(world: KeysWorld) -> None:
    """New devices have no fallback key until their first sync: no key, and no error."""
    ada = await world.user()
    device = await world.device(ada, one_time_keys=0, fallback=False)
    found, _ = Sealer.devices_of(await world.keys.query_keys([ada]), [ada])
    answer = await world.keys.claim_keys({ada: [device.device_id]})
    keys, missing = Sealer.claimed(answer, [one for one in found if one.device_id == device.device_id])
    assert not keys
    assert [one.reason for one in missing] == ["has no key to claim"]


async def test_who_never_logged_in_has_no_devices(world: KeysWorld) -> None:
    """Neither an unknown user nor a device that is not there is an error."""
    nobody = f"@nobody{fresh()}:{world.domain}"
    assert Sealer.devices_of(await world.keys.query_keys([nobody]), [nobody]) == ([], [])
    assert (await world.keys.claim_keys({nobody: ["NONE"]}))["one_time_keys"] == {}


async def test_a_device_that_logged_out_is_gone(world: KeysWorld) -> None:
    """The next query does not show it, and sending to it is no error."""
    ada = await world.user()
    device = await world.device(ada)
    await world.log_out(device)
    found, _ = Sealer.devices_of(await world.keys.query_keys([ada]), [ada])
    assert device.device_id not in {one.device_id for one in found}
    await world.keys.send_to_device("m.room.encrypted", {ada: {device.device_id: {}}}, fresh())


async def test_a_device_signed_by_its_owner_shows_as_verified(world: KeysWorld) -> None:
    """Cross-signing keys and signatures come with the query, as the member's client uploaded them."""
    ada = await world.user()
    identity = Identity.make(ada)
    signed = await world.device(ada, identity=identity)
    plain = await world.device(ada)
    found, _ = Sealer.devices_of(await world.keys.query_keys([ada]), [ada])
    verified = {device.device_id: device.verified for device in found}
    assert (verified[signed.device_id], verified[plain.device_id]) == (True, False)


def other_curve(upload: Data) -> None:
    keys = upload["device_keys"]["keys"]
    keys[next(name for name in keys if name.startswith("curve"))] = MemberDevice("@other:a.test").curve25519


def other_one_time_keys(upload: Data) -> None:
    for kind in ("one_time_keys", "fallback_keys"):
        for key in upload[kind].values():
            key["key"] = MemberDevice("@other:a.test").curve25519


@pytest.mark.parametrize("forge", [other_curve, other_one_time_keys])
async def test_forged_keys_get_no_message_and_are_named(world: KeysWorld, forge: Callable[[Data], None]) -> None:
    """The homeserver does not look at signatures: we do, and the member's other device is reached none the less."""
    ada = await world.user()
    forged, honest = await world.device(ada, forge=forge), await world.device(ada)
    mine = {forged.device_id, honest.device_id}  # there may be one more, without keys
    found, distrusted = Sealer.devices_of(await world.keys.query_keys([ada]), [ada])
    answer = await world.keys.claim_keys({ada: sorted(mine)})
    keys, missing = Sealer.claimed(answer, [device for device in found if device.device_id in mine])
    assert [device.device_id for device in keys] == [honest.device_id]
    assert [(one.device_id, "forged" in one.reason) for one in distrusted + missing] == [(forged.device_id, True)]


async def test_what_was_sent_to_a_device_twice_arrives_once(world: KeysWorld) -> None:
    """The same transaction id from the same device is one message, to-device as in rooms."""
    ada = await world.user()
    device, room, transaction = await world.device(ada), await world.room(), fresh()
    await world.inbox(device)
    for _ in range(2):
        await world.keys.send_to_device("m.test", {ada: {device.device_id: {"n": 1}}}, transaction)
    sent = [await world.keys.send_event(room, "m.room.encrypted", {"n": 1}, transaction) for _ in range(2)]
    assert sent[0] == sent[1]
    assert [(event["sender"], event["content"]) for event in await world.inbox(device)] == [(world.bot, {"n": 1})]


async def test_the_bots_device_is_published_and_signed_by_its_owner(world: KeysWorld) -> None:
    """What set-up uploads is what others are shown, and uploading it again keeps the signature."""
    sealer, new = await enter(world)
    identity = Identity.make(world.bot)
    await world.keys.upload_signing_keys(identity.upload())
    assert await world.keys.upload_signatures(identity.sign_device(sealer.device_keys)) == {}
    await world.keys.upload_keys({"device_keys": sealer.device_keys, "fallback_keys": new.fallback_keys})
    found, distrusted = Sealer.devices_of(await world.keys.query_keys([world.bot]), [world.bot])
    assert [(one.device_id, one.verified) for one in found] == [(sealer.device_id, True)]
    assert not distrusted


async def test_replacing_the_signing_keys_asks_for_the_password(world: KeysWorld) -> None:
    """The first upload and the same again need none; another one is `Refused` with the code UIA."""
    identity = Identity.make(world.bot)
    for _ in range(2):
        await world.keys.upload_signing_keys(identity.upload())
    with pytest.raises(Refused) as caught:
        await world.keys.upload_signing_keys(Identity.make(world.bot).upload())
    assert caught.value.code == "UIA"


async def test_a_signature_that_does_not_hold_is_a_failure(world: KeysWorld) -> None:
    """`upload_signatures` answers what was not taken."""
    sealer, _ = await enter(world)
    identity = Identity.make(world.bot)
    await world.keys.upload_signing_keys(identity.upload())
    forged = Identity.make(world.bot).sign_device(sealer.device_keys)
    failures = await world.keys.upload_signatures(forged)
    assert list(failures[world.bot]) == [sealer.device_id]


async def test_account_data_is_kept(world: KeysWorld) -> None:
    """None at first, then what was last written."""
    kind = f"test.{fresh()}"
    assert await world.keys.account_data(kind) is None
    for content in ({"a": 1}, {"b": [2]}):
        await world.keys.set_account_data(kind, content)
        assert await world.keys.account_data(kind) == content


async def test_a_reply_is_synced_and_opened(world: KeysWorld) -> None:
    """The bot's one reader gets room key and event; the kept session and the key open them."""
    sealer, new = await enter(world)
    ada, room = await world.user(), await world.room(encrypted=True)
    await world.join(ada, room)
    device = await world.device(ada)
    start = (await world.keys.sync(None, True))["next_batch"]
    sealed = await sealed_for(world, sealer, room, ada)
    await read(world, device, sealed)
    to_device, event = device.write(room, {"body": "thank you"}, new.device_keys)
    await world.send(device, to_device)
    await world.say(device, room, event)
    said = await world.keys.sync(start, True)
    (came,) = said["to_device"]["events"]
    key = sealer.open_to_device(came, sealed.olm).room_key
    assert key
    (reply,) = said["rooms"]["join"][room]["timeline"]["events"]
    assert sealer.open_event(room, reply, {key.session_id: key})["content"] == {"body": "thank you"}


async def test_who_writes_first_uses_the_fallback_key(world: KeysWorld) -> None:
    """Claiming from the bot gives its one fallback key to all, and its account opens what they send."""
    sealer, new = await enter(world)
    opened = []
    for _ in range(2):
        device = await world.device(await world.user())
        answer = (await world.keys.claim_keys({world.bot: [sealer.device_id]}))["one_time_keys"]
        (key,) = answer[world.bot][sealer.device_id].values()
        await world.send(device, device.to_bot("m.dummy", {}, new.device_keys, key["key"]))
        opened.append(device.user_id)
    said = await world.keys.sync(None, False)
    assert [sealer.open_to_device(event, {}).user_id for event in said["to_device"]["events"]] == opened


async def test_events_to_the_bot_stay_until_they_were_acknowledged(world: KeysWorld) -> None:
    """The same position gives them again, the next one deletes them; without `timeline` no rooms are told."""
    _, new = await enter(world)
    device = await world.device(await world.user())
    key = next(iter(new.fallback_keys.values()))["key"]
    await world.send(device, device.to_bot("m.dummy", {}, new.device_keys, key))
    first, again = [await world.keys.sync(None, False) for _ in range(2)]
    after = await world.keys.sync(again["next_batch"], False)
    counts = [len(said.get("to_device", {}).get("events", [])) for said in (first, again, after)]
    assert counts == [1, 1, 0]
    assert not any(said.get("rooms", {}).get("join") for said in (first, again, after))


async def test_a_light_sync_names_members_whose_devices_changed(world: KeysWorld) -> None:
    """So a member's first login is known within one sync, without asking for each of them."""
    ada, room = await world.user(), await world.room(encrypted=True)
    await world.join(ada, room)
    start = (await world.keys.sync(None, False))["next_batch"]
    await world.device(ada)
    said = await world.keys.sync(start, False)
    assert ada in said.get("device_lists", {}).get("changed", [])


async def test_the_reader_hears_plain_messages_and_joins(world: KeysWorld) -> None:
    """One sync tells what was said in plain and who came, but nothing of the bot's own and nothing of rooms left out."""
    ada = await world.user()
    ours, other = await world.room(), await world.room()
    start = (await world.keys.sync(None, False))["next_batch"]
    for room in (ours, other):
        await world.join(ada, room)
        await world.say_plainly(ada, room, "hello")
    await world.keys.send_event(ours, "m.room.encrypted", {"n": 1}, fresh())
    said = await world.keys.sync(start, True, [other])
    assert list(said["rooms"]["join"]) == [ours]
    events = said["rooms"]["join"][ours]["timeline"]["events"]
    assert [(event["type"], event["sender"]) for event in events] == [("m.room.member", ada), ("m.room.message", ada)]
    assert (events[0]["state_key"], events[0]["content"]["membership"]) == (ada, "join")
    assert all(event["event_id"].startswith("$") and event["origin_server_ts"] > 0 for event in events[1:])
    assert (events[1]["content"]["body"]) == "hello"


async def test_many_rooms_can_be_left_out(world: KeysWorld) -> None:
    """However long the list of rooms that are left out, the sync is answered, twice by the same client."""
    ada, room = await world.user(), await world.room()
    start = (await world.keys.sync(None, False))["next_batch"]
    await world.join(ada, room)
    left_out = [f"!{number:043d}" for number in range(200)]
    for _ in range(2):
        assert list((await world.keys.sync(start, True, left_out))["rooms"]["join"]) == [room]
    assert not (await world.keys.sync(start, True, [*left_out, room])).get("rooms", {}).get("join")


async def test_a_limited_timeline_is_paged_back(world: KeysWorld) -> None:
    """What one sync does not tell is read back, all of it and nothing from before the sync's position."""
    ada, room = await world.user(), await world.room()
    await world.join(ada, room)
    await world.say_plainly(ada, room, "before")
    start = (await world.keys.sync(None, False))["next_batch"]
    for number in range(60):
        await world.say_plainly(ada, room, str(number))
    timeline = (await world.keys.sync(start, True))["rooms"]["join"][room]["timeline"]
    assert timeline["limited"] is True
    told = [event["content"]["body"] for event in timeline["events"]]
    position, older = timeline["prev_batch"], list[str]()
    for _ in range(5):
        page = await world.keys.page_back(room, position, start)
        older += [event["content"]["body"] for event in page["chunk"]]
        position = page.get("end")
        if not position or not page["chunk"]:
            break
    assert [*reversed(older), *told] == [str(number) for number in range(60)]


async def test_more_messages_to_the_device_than_one_sync_tells(world: KeysWorld) -> None:
    """The next positions tell the rest, each once, in their order."""
    device = await world.device(await world.user())
    await enter(world)
    for number in range(105):
        await world.send(device, {"n": number})
    position, came = None, list[int]()
    for _ in range(4):
        said = await world.keys.sync(position, False)
        position = said["next_batch"]
        came += [event["content"]["n"] for event in said.get("to_device", {}).get("events", [])]
    assert came == list(range(105))


async def test_what_is_nested_without_end_stops_no_sync(world: KeysWorld) -> None:
    """Whatever the homeserver has taken from somebody, as deep as it bears, what comes after it is read."""
    device = await world.device(await world.user())
    await enter(world)
    for depth in range(900, 1000, 5):
        await world.send_nested(device, depth)
    await world.send(device, {"n": 1})
    said = await world.keys.sync(None, False)
    assert said["to_device"]["events"][-1]["content"] == {"n": 1}
