"""Leaving where rooms are encrypted: what is said can be read, or is not said at all, and nobody gets a key afterwards."""

from __future__ import annotations

from msgspec.structs import replace

from shared.services import jobs, offboarding
from shared.services.jobs import JobView, Wanted
from shared.services.removals import Words
from tests.shared.services.test_encryption import ADA, begun, joined, keys, sealing
from tests.world import ADMIN, World


async def removed(world: World) -> JobView:
    [room] = world.policy.default_rooms
    world.homeserver.join(ADA, room)
    asked = Wanted("remove", ADA, (room,), "x", words=Words(message="goodbye"))
    job = (await jobs.start(world, ADMIN, asked)).job.id
    await world.live()
    return await jobs.view(world, job)


async def test_the_message_before_is_sealed() -> None:
    """The member reads it on their device; the job says on how many."""
    world = sealing()
    phone = keys(world).add_device(ADA)
    view = await removed(world)
    [direct] = world.direct_rooms_of(ADA)
    assert [seen and seen["body"] for seen in keys(world).read(phone, direct.room_id)] == ["goodbye"]
    message = next(step for step in view.steps if step.kind == "removal_message")
    assert (view.state, message.result["readable"].partition(",")[0]) == ("done", "readable on 1 device")


async def test_who_has_no_device() -> None:
    """Nothing is sent in plain instead, the job says so, and they are removed."""
    world = sealing()
    view = await removed(world)
    message = next(step for step in view.steps if step.kind == "removal_message")
    assert (view.state, message.state) == ("done", "skipped")
    assert "no device yet" in message.result["reason"]
    assert world.homeserver.homes[world.policy.default_rooms[0]].members[ADA] == "leave"
    assert world.said(world.homeserver.homes.values()) == []


async def test_a_nudge_in_an_encrypted_indoc() -> None:
    """Whoever has a device reads it; whoever has none is waited for, and never removed unread."""
    world = sealing(rooms=0)
    world.policy = replace(world.policy, clock=True)
    world.indoc.encrypted = True
    phone = keys(world).add_device(world.arrive("ada"))
    bob = world.arrive("bob")
    for _ in range(26 * 6):
        world.pause(minutes=10)
        await world.sweep()
        await world.work()
    assert [bool(seen and "In 4 hours" in seen["body"]) for seen in keys(world).read(phone, world.policy.indoc)] == [
        True
    ]
    assert (world.indoc.members[ADA], world.indoc.members[bob]) == ("leave", "join")
    keys(world).add_device(bob)
    for _ in range(5 * 6):
        world.pause(minutes=10)
        await world.sweep()
        await world.work()
    assert world.indoc.members[bob] == "leave"


async def test_no_key_for_who_has_left() -> None:
    """A device that comes after the off-boarding gets the key of nothing that was said before."""
    world = sealing()
    keys(world).add_device(ADA)
    await begun(world)
    await world.work()
    await joined(world)
    [account] = [await world.authentik.account(data["account_pk"]) for data in await world.documents_in("onboardings")]
    await offboarding.offboard(world, ADMIN, account.pk, offboarding.Wanted(Words("x")))
    await world.live()
    assert {letter["look_at"] for letter in await world.documents_in("letters")} == {None}
    before = len(keys(world).called("send_to_device"))
    keys(world).add_device(ADA, "LATE")
    await world.live(hours=3, on=True)
    assert len(keys(world).called("send_to_device")) == before
