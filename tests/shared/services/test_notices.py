"""Nobody waits for ever: after 14 days without a device a plain notice, once and labelled, or a failure in words."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from shared.domain.errors import Unreachable
from shared.domain.onboarding import Onboarding, Step
from shared.ports import Create, Put, Query
from shared.services import late_devices, onboardings
from shared.services.managed import managed, managed_of
from shared.services.notices import NAME
from shared.services.resume import direct_rooms
from tests.fakes.chat_rooms import FakeRoom
from tests.fakes.faulty_documents import FaultyDocuments, Killed
from tests.shared.services.test_encryption import ADA, begun, keys, sealing, texts
from tests.world import ADMIN, DOMAIN, World


def noticing(*, on: bool = True) -> World:
    world = sealing(rooms=0)
    world.policy = replace(world.policy, notice=on)
    return world


async def fortnight(world: World) -> None:
    """The sweep after 14 days, and what it starts."""
    world.pause(days=14, minutes=1)
    for _ in range(3):
        await world.sweep()
        await world.work()
        world.pause(minutes=2)


async def waited(world: World) -> str:
    """Somebody without a device for 14 days."""
    onboarding = await begun(world)
    await world.work()
    world.pause(seconds=6)
    await world.work()
    await fortnight(world)
    return onboarding


def notices(world: World) -> list[FakeRoom]:
    return [room for room in world.direct_rooms_of(ADA) if room.name == NAME]


async def test_one_notice_in_a_room_of_its_own() -> None:
    """After 14 days there is one plain message, labelled, in a room that says so; the encrypted room stays empty."""
    world = noticing()
    onboarding = await waited(world)
    [room] = notices(world)
    assert (room.encrypted, room.members[ADA]) == (False, "invite")
    [message] = world.homeserver.messages(room.room_id)
    assert message["body"].startswith("This message is not encrypted: ")
    assert ADA in message["body"]
    assert [other.events for other in world.direct_rooms_of(ADA) if other is not room] == [[]]
    assert set((await world.states(onboarding)).values()) == {"done"}


async def test_the_admin_reads_that_it_was_a_notice() -> None:
    """Both steps say in words that a plain notice went out instead; the second one, that there is no second notice."""
    world = noticing()
    steps = await world.steps(await waited(world))
    for name in ("hello", "welcome"):
        result = steps[name].result
        assert (result["encrypted"], result["notice"]) == (False, True)
        assert f"the {name} was not sent (no device for 14 days: {ADA} has no device" in result["reason"]
    assert steps["hello"].result["event_id"] == steps["welcome"].result["event_id"]
    assert "one unencrypted notice was sent instead" in steps["hello"].result["reason"]
    assert "there is no second one" in steps["welcome"].result["reason"]
    audited = [row for row in await world.audits() if row["action"] == "step.hello"]
    assert audited[-1]["detail"]["result"]["notice"] is True


async def test_switched_off_it_fails_in_words() -> None:
    """Without the setting nothing plain is ever sent: both steps fail, with the cause and what to do."""
    world = noticing(on=False)
    steps = await world.steps(await waited(world))
    for name in ("hello", "welcome"):
        assert (steps[name].state, steps[name].code) == ("failed", "NO_DEVICE")
        assert steps[name].cause.startswith("no device for 14 days")
        assert "Retry once they have logged in; or write to them another way" in steps[name].fix
    assert notices(world) == []
    assert [room.events for room in world.direct_rooms_of(ADA)] == [[]]


async def test_a_retry_after_they_logged_in_sends_both() -> None:
    """What failed for want of a device is not sent by itself once there is one; the admin's retry sends it, readable."""
    world = noticing(on=False)
    onboarding = await waited(world)
    phone = keys(world).add_device(ADA)
    world.homeserver.join(ADA, world.direct_rooms_of(ADA)[0].room_id)
    await fortnight(world)
    assert texts(world, phone) == []
    await onboardings.retry(world, ADMIN, onboarding, [])
    await world.work()
    assert sorted(filter(None, texts(world, phone))) == ["Hello", "Welcome"]
    assert set((await world.states(onboarding)).values()) == {"done"}


async def test_a_retry_without_a_device_fails_again() -> None:
    """Retried too early, the step says the same again, and does not begin another 14 days."""
    world = noticing(on=False)
    onboarding = await waited(world)
    await onboardings.retry(world, ADMIN, onboarding, [])
    await world.work()
    assert {(await world.steps(onboarding))[name].code for name in ("hello", "welcome")} == {"NO_DEVICE"}


async def test_a_login_after_the_notice_sends_nothing() -> None:
    """Whoever logs in after the notice is not written to by surprise: the steps have ended."""
    world = noticing()
    await waited(world)
    keys(world).add_device(ADA)
    for room in world.direct_rooms_of(ADA):
        world.homeserver.join(ADA, room.room_id)
    await fortnight(world)
    assert keys(world).called("send_event") == []
    assert len(notices(world)[0].events) == 1


async def test_a_login_on_the_thirteenth_day_is_in_time() -> None:
    """A device that comes before the 14 days are over gets the messages encrypted, and nobody a notice."""
    world = noticing()
    await begun(world)
    await world.work()
    world.pause(days=13)
    await world.sweep()
    await world.work()
    phone = keys(world).add_device(ADA)
    await world.sweep()
    await world.work()
    world.homeserver.join(ADA, world.direct_rooms_of(ADA)[0].room_id)
    await fortnight(world)
    assert texts(world, phone) == ["Hello", "Welcome"]
    assert notices(world) == []


async def test_who_has_a_device_and_does_not_join_is_waited_for() -> None:
    """14 days without accepting the invite are no 14 days without a device: the welcome waits on."""
    world = noticing()
    keys(world).add_device(ADA)
    onboarding = await waited(world)
    welcome = (await world.steps(onboarding))["welcome"]
    assert (welcome.state, welcome.waits_for) == ("waiting", "join")
    assert notices(world) == []


async def test_a_silent_homeserver_is_no_missing_device() -> None:
    """While the member's homeserver does not answer for them, nobody says that they have no device: both wait on."""
    world = noticing()
    onboarding = await begun(world)
    await world.work()
    world.pause(seconds=6)
    await world.work()
    keys(world).silent.add(DOMAIN)
    await fortnight(world)
    assert {(await world.states(onboarding))[name] for name in ("hello", "welcome")} == {"waiting"}
    assert "did not answer" in (await world.steps(onboarding))["hello"].cause
    keys(world).silent.clear()
    world.pause(hours=6, minutes=1)
    await world.sweep()
    await world.work()
    assert len(notices(world)) == 1


async def test_another_matrix_id_has_fourteen_days_of_its_own() -> None:
    """An id that is named after the 14 days is waited for anew."""
    world = noticing(on=False)
    onboarding = await waited(world)
    account = await world.authentik.account_named("ada")
    assert account is not None
    await onboardings.onboard(world, ADMIN, account, onboardings.Wanted(matrix_id=f"@lovelace:{DOMAIN}"))
    await world.work()
    assert (await world.steps(onboarding))["hello"].waits_for == "device"


async def test_a_homeserver_that_encrypts_each_room() -> None:
    """Where no room can be plain, nothing is sent and the steps fail with that cause."""
    world = noticing()
    make = world.homeserver.add_room
    world.homeserver.add_room = lambda name, **more: make(name, **more | {"encrypted": True})  # type: ignore[method-assign]
    steps = await world.steps(await waited(world))
    assert {steps[name].state for name in ("hello", "welcome")} == {"failed"}
    assert "the homeserver encrypts each new room" in steps["hello"].cause
    assert [room.events for room in notices(world)] == [[]]


@pytest.mark.parametrize("method", ["create_direct_room", "is_encrypted", "send", "query_keys"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "answer lost"])
async def test_a_fault_anywhere_makes_one_notice(method: str, after: bool) -> None:
    """Whatever call fails, before or after it took effect, there is one room with one notice."""
    world = noticing()
    await begun(world)
    await world.work()
    world.homeserver.fail_next(Unreachable("matrix", "no answer"), 1, after, method=method)
    await fortnight(world)
    [room] = notices(world)
    assert len(room.events) == 1


@pytest.mark.parametrize("write", range(1, 12))
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_killed_at_any_write_makes_one_notice(write: int, after: bool) -> None:
    """A process that dies at any of its writes on the last day leaves one notice behind, and both steps ended."""
    world = noticing()
    onboarding = await begun(world)
    await world.work()
    world.pause(seconds=6)
    await world.work()
    assert isinstance(world.documents, FaultyDocuments)
    world.documents.fail_at(write, Killed(), after=after)
    await fortnight(world)
    await world.live(hours=1, on=True)
    [room] = notices(world)
    assert len(room.events) == 1
    assert {(await world.states(onboarding))[name] for name in ("hello", "welcome")} == {"done"}


async def test_hello_and_welcome_at_the_same_instant() -> None:
    """Both steps find no device at once: they send the one notice between them, and one of them says so."""
    world = noticing()
    onboarding = await begun(world)
    await world.work()
    world.pause(seconds=6)
    await world.work()
    world.pause(days=14, minutes=1)
    await world.sweep()
    tasks = [world.due("hello"), world.due("welcome")]
    await asyncio.gather(*(world.once(task) for task in tasks), return_exceptions=True)
    for task in tasks:
        await world.deliver(task)
    [room] = notices(world)
    assert len(room.events) == 1
    steps = await world.steps(onboarding)
    said = ["there is no second one" in steps[name].result["reason"] for name in ("hello", "welcome")]
    assert sorted(said) == [False, True]


async def test_the_notices_room_is_a_direct_one() -> None:
    """It is listed in m.direct beside the other one, and is nobody's managed room before and after."""
    world = noticing()
    await waited(world)
    [room] = notices(world)
    world.homeserver.join(ADA, room.room_id)
    world.homeserver.direct.clear()
    assert room.room_id not in [found.room_id for found in await managed_of(world, ADA)]
    for item in (await world.store.query(Query("direct_rooms"))).items:
        await world.store.write(Put(item.path, item.data | {"listed": False}))
    await direct_rooms(world)
    assert len(world.homeserver.direct[ADA]) == 2
    assert room.room_id not in [found.room_id for found in await managed(world)]


# ------------------------------------------------------------------ many who wait


async def crowd(world: World, size: int, *, due: bool = True) -> list[str]:
    """So many onboardings whose hello waits for a device; their members."""
    now, members = world.now(), []
    for number in range(size):
        member = f"@m{number:05}:{DOMAIN}"
        parent = Onboarding(
            id=f"ob{number:05}",
            source="api",
            account_pk=number,
            uid="",
            username="",
            name="",
            created_at=now,
            matrix_id=member,
        )
        step = Step(parent=f"onboardings/{parent.id}", name="hello", kind="hello")
        step = step.waiting(
            now, on="device", cause="none", fix="", until=now.replace(year=now.year + 1) if due else None
        )
        await world.store.write(Create(step.parent, parent.data()), Create(step.path, step.data()))
        members.append(member)
    return members


async def test_all_who_wait_are_asked_for() -> None:
    """However many wait, the last of them is found, by key queries of at most 500 users each."""
    world = sealing(rooms=0)
    members = await crowd(world, 1201)
    for member in (members[0], members[700], members[-1]):
        keys(world).add_device(member)
    assert await late_devices.first_devices(world) == 3
    assert [len(asked) for [asked] in keys(world).called("query_keys")] == [500, 500, 201]
    assert sorted(task.payload["onboarding"] for task in world.queue.tasks.values()) == [
        "ob00000",
        "ob00700",
        "ob01200",
    ]


async def test_a_wait_without_a_next_look_is_ended() -> None:
    """A step that a release before has left waiting without a next look gets one, device or not."""
    world = sealing(rooms=0)
    await crowd(world, 1, due=False)
    assert await late_devices.first_devices(world) == 1
