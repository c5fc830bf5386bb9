"""A fault or a death at every single point of the way: in the end everybody is at home, and nothing came twice."""

from __future__ import annotations

import pytest

from shared.domain.errors import MusterError, Unreachable
from tests.fakes.faulty_documents import Killed
from tests.world import World, at_home

MEMBER = "@ada:fake.test"
WRITES = 28
CHAT_CALLS = (
    "invite",
    "whoami",
    "membership",
    "is_encrypted",
    "send",
    "create_direct_room",
    "kick",
    "set_direct_rooms",
)
DIRECTORY_CALLS = ("account_named", "groups", "add_to_group", "find_invitation", "delete_invitation", "accounts")


async def about_to_come_in() -> World:
    """An invite with a group was used; the webhook is next."""
    world = World()
    world.furnish(2)
    world.authentik.add_group("friends")
    await world.member(groups=("friends",))
    return world


async def comes_in(world: World) -> None:
    """The webhook as Authentik sends it, again and again; then tasks and sweeps until nothing moves."""
    for _ in range(6):
        try:
            await world.enrolled("ada")
            break
        except (MusterError, Killed):
            world.pause(seconds=40)
    await world.live()


async def stands(world: World) -> None:
    """The member is at home, the invite used once, the group given, one direct room listed."""
    [onboarding] = await world.documents_in("onboardings")
    await at_home(world, onboarding["id"], MEMBER)
    [invite] = await world.documents_in("invites")
    assert (invite["uses"], invite["closed"], invite["stale"]) == (1, "redeemed", False)
    account = await world.authentik.account_named("ada")
    assert account is not None
    assert account.groups == ("friends",)
    assert world.authentik.invitations == {}
    assert [len(rooms) for rooms in world.homeserver.direct.values()] == [1]


async def test_nothing_goes_wrong() -> None:
    """The way without a fault costs as many writes as the tests below break, and few calls."""
    world = await about_to_come_in()
    before = world.documents.writes
    await world.enrolled("ada")
    await world.work()
    world.pause(seconds=5)
    await world.work()
    written = world.documents.writes - before
    await world.live()
    await stands(world)
    assert written <= WRITES
    assert len(world.homeserver.called("invite")) == 2
    assert len(world.homeserver.called("send")) == 3
    assert len(world.homeserver.called("create_direct_room")) == 1
    assert len(world.homeserver.called("kick")) == 1


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("death", [False, True], ids=["down", "killed"])
@pytest.mark.parametrize("number", range(1, WRITES + 1))
async def test_a_fault_at_any_write(number: int, death: bool, after: bool) -> None:
    """The store fails, or the process dies, right before or right after any write: all is done once."""
    world = await about_to_come_in()
    error = Killed() if death else Unreachable("firestore", "the store did not answer")
    world.documents.fail_at(number, error, after=after)
    await comes_in(world)
    await stands(world)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("death", [False, True], ids=["down", "killed"])
@pytest.mark.parametrize("call", CHAT_CALLS)
async def test_a_fault_at_any_call_to_matrix(call: str, death: bool, after: bool) -> None:
    """Matrix fails, or the process dies, before or after the homeserver did what was asked: all is done once."""
    world = await about_to_come_in()
    error = Killed() if death else Unreachable("matrix", "the homeserver did not answer")
    world.homeserver.fail_next(error, after_effect=after, method=call)  # type: ignore[arg-type]
    await comes_in(world)
    await stands(world)
    assert not any(planned.times for planned in world.homeserver._planned)


@pytest.mark.parametrize("number", range(1, 4))
@pytest.mark.parametrize("device", ["FAKE", "OTHER"])
async def test_a_lost_answer_to_any_message(number: int, device: str) -> None:
    """Each message whose answer was lost is one event, also when the next try comes from another device."""
    world = await about_to_come_in()
    lost = Unreachable("matrix", "the homeserver did not answer")
    await world.enrolled("ada")
    for _ in range(200):
        tasks = world.queue.take(world.now())
        for task in tasks:
            if len(world.homeserver.called("send")) == number - 1:
                world.homeserver._planned.clear()
                world.homeserver.fail_next(lost, after_effect=True, method="send")
            try:
                await world.once(task)
            except MusterError:
                world.homeserver.device_id = device
                world.pause(seconds=3)
                await world.deliver(task)
        world.pause(seconds=5)
    await world.live()
    await stands(world)


@pytest.mark.parametrize("death", [False, True], ids=["down", "killed"])
@pytest.mark.parametrize("call", DIRECTORY_CALLS)
async def test_a_fault_at_any_call_to_authentik(call: str, death: bool) -> None:
    """Authentik fails, or the process dies, at any call: all is done once."""
    world = await about_to_come_in()
    error = Killed() if death else Unreachable("authentik", "Authentik did not answer")
    world.authentik.fail(call, error)  # type: ignore[arg-type]
    await comes_in(world)
    await stands(world)


async def test_every_task_is_lost() -> None:
    """Not one task arrives: the sweep brings the member home by itself."""
    world = await about_to_come_in()
    world.queue.swallow_next(8)
    await comes_in(world)
    await stands(world)


async def test_no_webhook_at_all() -> None:
    """Authentik has given up: the sweep finds the enrollment, and says so."""
    world = await about_to_come_in()
    world.pause(minutes=8)
    await world.live()
    await stands(world)
    [onboarding] = await world.documents_in("onboardings")
    assert onboarding["source"] == "sweep"


@pytest.mark.parametrize("times", [2, 5])
async def test_every_task_comes_several_times_at_once(times: int) -> None:
    """Each task delivered so often at the same instant, and once more afterwards, acts once."""
    world = await about_to_come_in()
    await world.enrolled("ada")
    for _ in range(3):
        tasks = world.queue.take(world.now())
        for task in tasks:
            answers = await world.twice(task, times)
            assert "done" in answers
            assert set(answers) <= {"done", "Claimed"}
            assert await world.once(task) == "done"
        world.pause(seconds=5)
    await world.live()
    await stands(world)
    assert len(world.homeserver.called("invite")) == 2
    assert len(world.homeserver.called("send")) == 3
    assert len(world.homeserver.called("kick")) == 1
