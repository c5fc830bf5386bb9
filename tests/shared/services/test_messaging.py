"""What the bot says: once, in one direct room, and never in plain where it must be encrypted."""

from __future__ import annotations

import asyncio

import pytest

from shared.domain import ids
from shared.domain.errors import Refused, TryLater, Unreachable
from shared.ports import Delete
from shared.repositories import steps_of
from shared.services import onboardings
from shared.services.messaging import SALT, salt
from shared.services.resume import direct_rooms
from tests.fakes.faulty_documents import Killed
from tests.world import ADMIN, World, at_home

MEMBER = "@ada:fake.test"


async def begun(rooms: int = 0, *, there: bool = True) -> tuple[World, str]:
    world = World()
    world.furnish(rooms)
    await world.member(there=there)
    return world, (await world.enrolled("ada")).onboarding


# ------------------------------------------------------------------ encryption


async def test_never_plain_into_an_encrypted_indoc() -> None:
    """A farewell into an encrypted INDOC is a failed step with its cause, never plaintext."""
    world, onboarding = await begun()
    world.indoc.encrypted = True
    await world.live()
    step = (await world.steps(onboarding))["indoc_farewell"]
    assert (step.state, step.code) == ("failed", "ENCRYPTED")
    assert "is encrypted" in step.cause
    assert step.fix
    assert world.homeserver.messages(world.policy.indoc) == []


async def test_never_plain_into_an_encrypted_direct_room() -> None:
    """Where the homeserver encrypts each new room, hello and welcome fail with the cause, and nothing is sent."""
    world, onboarding = await begun()
    make = world.homeserver.add_room
    world.homeserver.add_room = lambda name, **more: make(name, **more | {"encrypted": True})  # type: ignore[method-assign]
    await world.live()
    steps = await world.steps(onboarding)
    assert {(steps[name].state, steps[name].code) for name in ("hello", "welcome")} == {("failed", "ENCRYPTED")}
    [direct] = world.direct_rooms_of(MEMBER)
    assert direct.events == []


async def test_a_direct_room_found_again_is_looked_at() -> None:
    """A direct room that was found by its alias, and is encrypted by now, gets no plaintext."""
    world, onboarding = await begun()
    world.homeserver.fail_next(Unreachable("matrix", "no answer"), after_effect=True, method="create_direct_room")
    task = world.due("hello")
    with pytest.raises(TryLater, match="no answer"):
        await world.once(task)
    [direct] = world.direct_rooms_of(MEMBER)
    direct.encrypted = True
    assert await world.once(task) == "failed"
    assert (await world.steps(onboarding))["hello"].code == "ENCRYPTED"
    assert direct.events == []


# ------------------------------------------------------------------ one direct room


async def test_one_direct_room_for_hello_and_welcome() -> None:
    """Both messages are said in one private room, in which the member is invited by name."""
    world, onboarding = await begun(2)
    await world.live()
    await at_home(world, onboarding, MEMBER)
    [direct] = world.direct_rooms_of(MEMBER)
    hello, welcome = world.homeserver.messages(direct.room_id)
    assert hello["body"].startswith("Hello Ada L.,")
    assert "Your rooms are waiting" in welcome["body"]
    assert "ada" not in direct.alias


@pytest.mark.parametrize("death", [False, True], ids=["down", "killed"])
async def test_made_and_the_answer_lost(death: bool) -> None:
    """A direct room whose creation was never answered is found again by its alias, and not made twice."""
    world, onboarding = await begun()
    error = Killed() if death else Unreachable("matrix", "no answer")
    world.homeserver.fail_next(error, after_effect=True, method="create_direct_room")  # type: ignore[arg-type]
    await world.live()
    assert len(world.direct_rooms_of(MEMBER)) == 1
    await at_home(world, onboarding, MEMBER)


async def test_the_record_is_lost() -> None:
    """Without our record the room is found by the alias: the welcome goes into the same one."""
    world, onboarding = await begun()
    await world.once(world.due("hello"))
    await world.store.write(Delete(ids.direct_path(MEMBER)))
    await world.live()
    await at_home(world, onboarding, MEMBER)
    assert len(world.homeserver.called("create_direct_room")) == 2
    assert len(world.direct_rooms_of(MEMBER)) == 1


async def test_left_the_direct_room_before_the_hello() -> None:
    """A member who is not in the direct room any more is invited to it again when somebody says hello."""
    world, onboarding = await begun()
    world.homeserver.fail_next(Refused("no", code="M_ODD"), method="send")
    await world.once(world.due("hello"))
    [direct] = world.direct_rooms_of(MEMBER)
    world.homeserver.leave(MEMBER, direct.room_id)
    await onboardings.retry(world, ADMIN, onboarding, ["hello"])
    await world.live()
    assert direct.members[MEMBER] == "invite"
    assert len(world.homeserver.called("invite_directly")) == 1


@pytest.mark.parametrize("kind", ["hello", "welcome"])
async def test_a_direct_room_that_the_bot_is_no_longer_in(kind: str) -> None:
    """It is given up for another one, once, whichever message finds it out, and whoever dies over it."""
    world, onboarding = await begun()
    step = f"{kind}"
    world.homeserver.fail_next(Refused("no", code="M_ODD"), method="send")
    if kind == "welcome":
        assert await world.once(world.due("hello")) == "failed"
        await onboardings.retry(world, ADMIN, onboarding, ["hello"])
        assert await world.once(world.due("hello")) == "done"
        world.homeserver.fail_next(Refused("no", code="M_ODD"), method="send")
        world.pause(seconds=10)
    assert await world.once(world.due(step)) == "failed"
    [lost] = world.direct_rooms_of(MEMBER)
    world.homeserver.leave(world.homeserver.user_id, lost.room_id)
    await onboardings.retry(world, ADMIN, onboarding, [step])
    world.documents.fail_at(2, Killed())  # the claim, then the record of the new room
    with pytest.raises(Killed):
        await world.once(world.due(step))
    world.pause(minutes=3)
    await world.live()
    assert (await world.steps(onboarding))[step].state == "done"
    [_, found] = world.direct_rooms_of(MEMBER)
    assert found.alias != lost.alias
    said = [message["body"].split(",")[0].split(" ")[0] for message in world.homeserver.messages(found.room_id)]
    assert sorted(said) == (["Hello", "Welcome"] if kind == "hello" else ["Welcome"])


async def test_the_salt_is_made_once() -> None:
    """Eight that need the installation's salt at the same instant all get the one that is stored."""
    world = World()
    found = await asyncio.gather(*(salt(world) for _ in range(8)))
    document = await world.store.get(SALT)
    assert document is not None
    assert set(found) == {document.data["value"]}


# ------------------------------------------------------------------ each message once


async def test_the_device_has_changed() -> None:
    """A transaction id counts per device: from another one the room is looked into before anything is sent again."""
    world, onboarding = await begun()
    world.homeserver.fail_next(Unreachable("matrix", "no answer"), after_effect=True, method="send")
    task = world.due("hello")
    with pytest.raises(TryLater, match="no answer"):
        await world.once(task)
    world.homeserver.device_id = "ANOTHER"
    assert await world.once(task) == "done"
    [direct] = world.direct_rooms_of(MEMBER)
    assert len(direct.events) == 1
    assert len(world.homeserver.called("find_sent")) == 1
    assert (await world.steps(onboarding))["hello"].result["event_id"] == direct.events[0]["event_id"]


async def test_the_device_has_changed_and_nothing_was_sent() -> None:
    """If the look into the room finds nothing, the message is sent from the new device."""
    world, _ = await begun()
    world.homeserver.fail_next(Unreachable("matrix", "no answer"), method="send")
    task = world.due("hello")
    with pytest.raises(TryLater, match="no answer"):
        await world.once(task)
    world.homeserver.device_id = "ANOTHER"
    assert await world.once(task) == "done"
    [direct] = world.direct_rooms_of(MEMBER)
    assert len(direct.events) == 1


@pytest.mark.parametrize(("hours", "looks"), [(11, 0), (13, 1)])
async def test_the_transaction_is_old(hours: int, looks: int) -> None:
    """After 12 hours the homeserver may have forgotten the transaction id: the room is looked into first."""
    world, _ = await begun()
    world.homeserver.fail_next(Unreachable("matrix", "no answer"), after_effect=True, method="send")
    task = world.due("hello")
    with pytest.raises(TryLater, match="no answer"):
        await world.once(task)
    world.pause(hours=hours)
    if looks:
        world.homeserver._transactions.clear()
    assert await world.once(task) == "done"
    [direct] = world.direct_rooms_of(MEMBER)
    assert len(direct.events) == 1
    assert len(world.homeserver.called("find_sent")) == looks


async def test_the_first_try_is_what_counts() -> None:
    """The 12 hours are counted from the first try under that transaction id, however many came between."""
    world, _ = await begun()
    world.homeserver.fail_next(Unreachable("matrix", "no answer"), times=2, after_effect=True, method="send")
    task = world.due("hello")
    for _ in range(2):
        with pytest.raises(TryLater, match="no answer"):
            await world.once(task)
        world.pause(hours=8)
    world.homeserver._transactions.clear()
    assert await world.once(task) == "done"
    [direct] = world.direct_rooms_of(MEMBER)
    assert len(direct.events) == 1


async def test_the_first_try_looks_nowhere() -> None:
    """A message that was never tried is sent without a look."""
    world, onboarding = await begun()
    await world.live()
    assert world.homeserver.called("find_sent") == []
    assert all(
        stored.record.sent_device in ("", "FAKE") for stored in await steps_of(world.store, f"onboardings/{onboarding}")
    )


# ------------------------------------------------------------------ m.direct


async def test_m_direct_keeps_what_was_there() -> None:
    """The sweep adds new rooms to m.direct, and keeps every entry that somebody else has made."""
    world, _ = await begun()
    world.homeserver.direct = {"@friend:fake.test": ["!old:fake.test"], MEMBER: ["!older:fake.test"]}
    await world.live()
    [direct] = world.direct_rooms_of(MEMBER)
    assert world.homeserver.direct == {
        "@friend:fake.test": ["!old:fake.test"],
        MEMBER: ["!older:fake.test", direct.room_id],
    }


async def test_m_direct_is_written_once() -> None:
    """All new rooms in one write; without a new one, none."""
    world, _ = await begun()
    for number in range(3):
        await world.member(f"m{number}")
        await world.enrolled(f"m{number}", f"e{number + 2}")
    await world.work()
    assert await direct_rooms(world) == 4
    assert await direct_rooms(world) == 0
    assert len(world.homeserver.called("set_direct_rooms")) == 1
    assert len(world.homeserver.direct) == 4


async def test_m_direct_written_and_not_recorded() -> None:
    """A writer that died after writing adds nothing twice the next time."""
    world, _ = await begun()
    await world.work()
    world.documents.fail_at(1, Killed())
    with pytest.raises(Killed):
        await direct_rooms(world)
    assert await direct_rooms(world) == 1
    assert [len(rooms) for rooms in world.homeserver.direct.values()] == [1]
