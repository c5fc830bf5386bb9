"""Encrypted messages on fakes whose devices hold real keys: what is done can be read, and is said once."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from shared.adapters.olm import Sealer, make_account
from shared.domain.errors import Unreachable
from shared.services.breakers import trip
from shared.services.position import begin
from tests.fakes.faulty_documents import FaultyDocuments, Killed
from tests.fakes.keys import FakeKeys
from tests.world import DOMAIN, World

ADA = f"@ada:{DOMAIN}"
PICKLE_KEY = b"p" * 32


def sealing(rooms: int = 1) -> World:
    """A world with encryption switched on and the bot's device published."""
    homeserver = FakeKeys(f"@muster:{DOMAIN}")
    world = World(homeserver=homeserver)
    world.furnish(rooms)
    world.policy = replace(world.policy, encrypt=True, puppets=("@signal_",))
    made = make_account(homeserver.user_id, homeserver.device_id, PICKLE_KEY)
    homeserver.publish(
        homeserver.user_id,
        homeserver.device_id,
        {"device_keys": made.device_keys, "fallback_keys": made.fallback_keys},
    )
    world.device = Sealer(homeserver.user_id, homeserver.device_id, made.account, PICKLE_KEY)
    return world


def keys(world: World) -> FakeKeys:
    assert isinstance(world.homeserver, FakeKeys)
    return world.homeserver


def direct(world: World) -> str:
    [room] = world.direct_rooms_of(ADA)
    return room.room_id


def texts(world: World, device: Any) -> list[str | None]:
    """What a device reads in the direct room; None for what it cannot."""
    return [
        seen and seen.get("body", "").split(",")[0].split(" ")[0] for seen in keys(world).read(device, direct(world))
    ]


async def begun(world: World) -> str:
    await world.member()
    return (await world.enrolled("ada")).onboarding


async def joined(world: World) -> None:
    """They accept the direct room's invite, and the sweep sees it."""
    world.homeserver.join(ADA, direct(world))
    await world.sweep()
    world.pause(seconds=6)
    await world.work()


async def test_hello_and_welcome_can_be_read() -> None:
    """A member with two devices reads hello and welcome on both, and the steps say on which."""
    world = sealing()
    phone = keys(world).add_device(ADA, name="Phone")
    laptop = keys(world).add_device(ADA, name="Laptop")
    onboarding = await begun(world)
    await world.work()
    await joined(world)
    assert texts(world, phone) == ["Hello", "Welcome"]
    assert texts(world, laptop) == ["Hello", "Welcome"]
    hello = (await world.steps(onboarding))["hello"].result
    assert hello["readable"].startswith("readable on 2 devices, ")
    assert {device["name"] for device in hello["devices"]} == {"Phone", "Laptop"}
    assert set((await world.states(onboarding)).values()) == {"done"}


async def test_who_has_no_device_is_waited_for() -> None:
    """Without a device nothing is sent; with the first one the message goes out at the next sweep, readable."""
    world = sealing()
    onboarding = await begun(world)
    await world.work()
    hello = (await world.steps(onboarding))["hello"]
    assert (hello.state, hello.waits_for) == ("waiting", "device")
    assert "no device yet" in hello.cause
    assert keys(world).called("send_event") == []
    await world.sweep()
    assert (await world.steps(onboarding))["hello"].state == "waiting"
    phone = keys(world).add_device(ADA)
    await world.sweep()
    await world.work()
    await joined(world)
    assert texts(world, phone) == ["Hello", "Welcome"]


async def test_a_device_without_a_key_is_tried_by_the_slow_schedule() -> None:
    """A sweep a minute does not try it a thousand times a day; another device, or the schedule, does."""
    world = sealing(rooms=0)
    phone = keys(world).add_device(ADA, "PHONE", one_time_keys=0, fallback=False)
    onboarding = await begun(world)
    await world.live(hours=1, on=True)
    hello = (await world.steps(onboarding))["hello"]
    assert (hello.state, hello.attempts) == ("waiting", 4)
    assert "PHONE: has no key to claim" in hello.cause
    laptop = keys(world).add_device(ADA, "LAPTOP")
    await world.sweep()
    await world.work()
    assert (texts(world, phone), texts(world, laptop)) == ([None], ["Hello"])


async def test_the_welcome_waits_for_the_join() -> None:
    """Whoever has only been invited gets hello, and the welcome some seconds after they have joined."""
    world = sealing()
    phone = keys(world).add_device(ADA)
    onboarding = await begun(world)
    await world.work()
    world.pause(seconds=6)
    await world.work()
    welcome = (await world.steps(onboarding))["welcome"]
    assert (welcome.state, welcome.waits_for) == ("waiting", "join")
    assert texts(world, phone) == ["Hello"]
    await joined(world)
    assert texts(world, phone) == ["Hello", "Welcome"]


async def test_a_message_asks_no_more_than_it_must() -> None:
    """Who is in a room made just now is known, and who has a device has logged in; the welcome looks once for both who
    is there and whether they have joined. No stored letter is asked for by a first try."""
    world = sealing(rooms=0)
    world.policy = replace(world.policy, indoc="")
    keys(world).add_device(ADA)
    onboarding = await begun(world)
    await begin(world)  # once in an installation's life
    world.homeserver.calls.clear()
    await world.work()
    sealed = ["query_keys", "claim_keys", "send_to_device", "send_event"]
    assert asked(world) == ["create_direct_room", *sealed]
    assert (await world.view(onboarding)).onboarding.seen is True
    world.homeserver.join(ADA, direct(world))
    world.homeserver.calls.clear()
    world.pause(seconds=6)
    await world.work()
    assert asked(world) == ["members", *sealed]


def asked(world: World) -> list[str]:
    return [name for name, _ in world.homeserver.calls if name != "whoami"]


async def test_who_has_no_device_is_looked_up() -> None:
    """Whether somebody without a device has ever logged in is asked of the homeserver, as before."""
    world = sealing(rooms=0)
    world.policy = replace(world.policy, indoc="")
    onboarding = await begun(world)
    await world.work()
    assert len(keys(world).called("has_profile")) == 1
    assert (await world.view(onboarding)).onboarding.seen is True


@pytest.mark.parametrize("method", ["query_keys", "claim_keys", "send_to_device", "send_event", "is_encrypted"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "answer lost"])
async def test_a_fault_anywhere_sends_once_and_readably(method: str, after: bool) -> None:
    """Whatever call fails, before or after it took effect, there is one hello and it can be read."""
    world = sealing()
    phone = keys(world).add_device(ADA)
    onboarding = await begun(world)
    world.homeserver.fail_next(Unreachable("matrix", "no answer"), 1, after, method=method)
    await world.work()
    await joined(world)
    assert texts(world, phone) == ["Hello", "Welcome"]
    assert set((await world.states(onboarding)).values()) == {"done"}


@pytest.mark.parametrize("write", range(1, 12))
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_killed_at_any_write(write: int, after: bool) -> None:
    """A process that dies before or after any of its writes leaves one readable hello behind, never two."""
    world = sealing(rooms=0)
    phone = keys(world).add_device(ADA)
    await begun(world)
    assert isinstance(world.documents, FaultyDocuments)
    world.documents.fail_at(write, Killed(), after=after)
    await world.live(hours=1, on=True)
    await joined(world)
    await world.live(hours=1, on=True)
    assert texts(world, phone) == ["Hello", "Welcome"]


async def test_one_claimed_key_makes_one_message() -> None:
    """A retry sends the stored bytes: however often the answer is lost, a device's keys are claimed once per message."""
    world = sealing(rooms=0)
    phone = keys(world).add_device(ADA, one_time_keys=5)
    await begun(world)
    world.homeserver.fail_next(Unreachable("matrix", "no answer"), 3, True, method="send_event")
    await world.work()
    await joined(world)
    farewell_hello_welcome = [args for name, args in world.homeserver.calls if name == "claim_keys"]
    assert len(farewell_hello_welcome) == 2
    assert texts(world, phone) == ["Hello", "Welcome"]


async def test_a_later_device_gets_the_key() -> None:
    """A device that appears within seven days reads what was said before it came, and is counted."""
    world = sealing()
    keys(world).add_device(ADA)
    await begun(world)
    await world.work()
    await joined(world)
    tablet = keys(world).add_device(ADA, name="Tablet")
    assert texts(world, tablet) == [None, None]
    world.pause(minutes=40)
    await world.sweep()
    assert texts(world, tablet) == ["Hello", "Welcome"]
    world.pause(minutes=40)
    before = len(keys(world).called("claim_keys"))
    await world.sweep()
    assert len(keys(world).called("claim_keys")) == before


async def test_the_step_names_who_was_given_the_key_later() -> None:
    """A receipt grows with the devices: whoever was named as having no key is named among the readers then."""
    world = sealing(rooms=0)
    keys(world).add_device(ADA, "PHONE")
    tablet = keys(world).add_device(ADA, "TABLET", one_time_keys=0, fallback=False)
    onboarding = await begun(world)
    await world.work()
    hello = (await world.steps(onboarding))["hello"].result
    assert [one["device_id"] for one in hello["devices"]] == ["PHONE"]
    assert [one["device_id"] for one in hello["missed"]] == ["TABLET"]
    keys(world).remove_device(tablet)
    keys(world).add_device(ADA, "TABLET")
    world.pause(minutes=2)
    await world.sweep()
    hello = (await world.steps(onboarding))["hello"].result
    assert [one["device_id"] for one in hello["devices"]] == ["PHONE", "TABLET"]
    assert hello["missed"] == []
    assert hello["readable"].startswith("readable on 2 devices")


async def test_a_new_device_under_an_old_name_gets_the_key() -> None:
    """Who logs out and in again may keep the device's name, not its keys: the new one reads what the old one was sent,
    every time it happens, and is counted once."""
    world = sealing(rooms=0)
    phone = keys(world).add_device(ADA, "PHONE")
    onboarding = await begun(world)
    await world.work()
    for _ in range(2):
        keys(world).remove_device(phone)
        phone = keys(world).add_device(ADA, "PHONE")
        assert texts(world, phone) == [None]
        world.pause(minutes=2)
        await world.sweep()
        assert texts(world, phone) == ["Hello"]
    hello = (await world.steps(onboarding))["hello"].result
    assert [one["device_id"] for one in hello["devices"]] == ["PHONE"]


async def test_after_seven_days_nobody_looks() -> None:
    """A device that comes later than that reads nothing old, and the sweep asks no more."""
    world = sealing()
    keys(world).add_device(ADA)
    await begun(world)
    await world.work()
    await joined(world)
    world.pause(days=8)
    await world.sweep()
    late = keys(world).add_device(ADA)
    world.pause(days=1)
    before = len(keys(world).called("query_keys"))
    await world.sweep()
    assert texts(world, late) == [None, None]
    assert len(keys(world).called("query_keys")) == before


async def test_a_forged_device_gets_no_key_and_is_named() -> None:
    """A device whose signature does not hold reads nothing, and the step says so beside the one that can."""
    world = sealing()
    phone = keys(world).add_device(ADA, name="Phone")
    forged = keys(world).add_device(ADA, "FORGED")
    keys(world).device_keys[ADA]["FORGED"]["keys"]["curve25519:FORGED"] = phone.curve25519
    onboarding = await begun(world)
    await world.work()
    hello = (await world.steps(onboarding))["hello"].result
    assert [device["device_id"] for device in hello["devices"]] == [phone.device_id]
    assert [item["device_id"] for item in hello["missed"]] == ["FORGED"]
    assert texts(world, phone) == ["Hello"]
    assert texts(world, forged) == [None]


async def test_the_fallback_key_serves_when_all_are_used_up() -> None:
    """A member whose one-time keys are gone still reads everything."""
    world = sealing()
    phone = keys(world).add_device(ADA, one_time_keys=0)
    await begun(world)
    await world.work()
    await joined(world)
    assert texts(world, phone) == ["Hello", "Welcome"]


async def test_a_puppet_is_written_to_in_plain() -> None:
    """A bridge's puppet never has a device: its room is not encrypted, and nothing waits."""
    world = sealing()
    await world.member("signal_4711")
    onboarding = (await world.enrolled("signal_4711")).onboarding
    await world.live(hours=1, on=True)
    assert set((await world.states(onboarding)).values()) == {"done"}
    assert keys(world).called("send_event") == []


async def test_the_farewell_is_encrypted_where_indoc_is() -> None:
    """In an encrypted INDOC everybody's devices can read the farewell, and it is never plain."""
    world = sealing()
    world.indoc.encrypted = True
    phone = keys(world).add_device(ADA)
    other = keys(world).add_device(f"@other:{DOMAIN}")
    world.homeserver.join(f"@other:{DOMAIN}", world.policy.indoc)
    await begun(world)
    await world.work()
    for device in (phone, other):
        assert "all set" in str(keys(world).read(device, world.policy.indoc)[0])
    assert keys(world).called("send") == []


async def test_no_device_keeps_nobody_in_indoc() -> None:
    """A farewell that nobody could read is left out, and the removal is done all the same."""
    world = sealing()
    world.indoc.encrypted = True
    onboarding = await begun(world)
    await world.work()
    states = await world.states(onboarding)
    assert (states["indoc_farewell"], states["indoc_removal"]) == ("skipped", "done")


async def test_switched_off_it_is_never_plain() -> None:
    """Without encryption a message to an encrypted room fails, with what to do."""
    world = sealing()
    world.policy = replace(world.policy, encrypt=False)
    world.indoc.encrypted = True
    onboarding = await begun(world)
    await world.work()
    farewell = (await world.steps(onboarding))["indoc_farewell"]
    assert (farewell.state, farewell.code) == ("failed", "ENCRYPTED")
    assert "MATRIX_ENABLE_ENCRYPTION" in farewell.fix


async def test_nothing_stored_can_be_read_without_the_key() -> None:
    """No plaintext and no key of a message lies in the store as it is."""
    world = sealing()
    keys(world).add_device(ADA)
    await begun(world)
    await world.work()
    await trip(world, "matrix", "no answer")
    assert "good to have you here" not in world.rows()
