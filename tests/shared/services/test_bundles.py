"""Bundles: kept under one name each, and used by invites and users as they are when they are used."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from shared.domain import ids
from shared.domain.bundles import Bundle
from shared.domain.errors import Conflict, Invalid, NotFound
from shared.services import bundles, invites, new_users, onboardings
from shared.services.bundles import Wanted
from tests.world import ADMIN, DOMAIN, World

ADA = f"@ada:{DOMAIN}"


def furnished(rooms: int = 3, *, default: bool = False) -> World:
    world = World()
    world.furnish(rooms)
    world.authentik.add_group("gardeners")
    if not default:
        world.policy = replace(world.policy, default_rooms=())
    return world


def rooms(world: World) -> tuple[str, ...]:
    return tuple(room.room_id for room in world.homeserver.homes.values() if room.name.startswith("Room"))


async def made(world: World, name: str = "Garden", **wanted: object) -> Bundle:
    return (await bundles.create(world, ADMIN, Wanted(name, **wanted)))[0]  # type: ignore[arg-type]


async def begun(world: World, username: str = "ada") -> str:
    return (await world.enrolled(username)).onboarding


def room_states(world: World, states: dict[str, str]) -> dict[str, str]:
    return {name: state for name, state in states.items() if name.startswith(("Room", "Club"))}


# ------------------------------------------------------------------ kept


async def test_a_bundle_is_found_by_id_and_by_name() -> None:
    """Rooms are kept by id, whatever they were named by; either name leads to it, whatever its case."""
    world = furnished()
    ops = world.homeserver.add_room("Ops", alias="ops")
    garden = await made(world, rooms=(f"#ops:{DOMAIN}", ops), levels={f"#ops:{DOMAIN}": 50})
    assert (garden.id, garden.rooms, garden.levels) == ("garden", (ops,), {ops: 50})
    for ref in ("garden", "Garden", "GARDEN"):
        assert [bundle.id for bundle in await bundles.named(world, [ref])] == ["garden"]
    assert (await world.audits())[-1]["action"] == "bundle.create"


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"rooms": ("!nowhere",)}, "rooms"),
        ({"rooms": ("#nowhere:fake.test",)}, "rooms"),
        ({"groups": ("strangers",)}, "groups"),
        ({"groups": ("muster-admins",)}, "groups"),
        ({"for_groups": ("strangers",)}, "for_groups"),
        ({"levels": {"!other": 50}}, "levels"),
    ],
)
async def test_what_cannot_be_is_refused_by_name(wanted: dict[str, object], field: str) -> None:
    """A room without the bot, a group that is not there or gives power, a level elsewhere: the field is named."""
    world = furnished()
    world.authentik.add_group("muster-admins")
    with pytest.raises(Invalid) as caught:
        await made(world, **wanted)
    assert [name for name, _ in caught.value.errors] == [field]
    assert await world.documents_in("bundles") == []


async def test_one_bundle_of_a_name() -> None:
    """A second one is refused, also while the first is being made, and also for a name that is another's id."""
    world = furnished()
    answers = await asyncio.gather(*(made(world, "Garden") for _ in range(5)), return_exceptions=True)
    assert sorted(type(answer).__name__ for answer in answers) == ["Bundle", *["Conflict"] * 4]
    other = await made(world, "Kitchen")
    with pytest.raises(Conflict):
        await bundles.change(world, ADMIN, other.id, Wanted("garden"), 1)


async def test_the_same_key_makes_it_once() -> None:
    """A repeat with the same key and body finds the first one; another body is refused."""
    world = furnished()
    first = await bundles.create(world, ADMIN, Wanted("Garden"), key="k", body="b")
    again = await bundles.create(world, ADMIN, Wanted("Garden"), key="k", body="b")
    assert (first[1], again) == (True, (first[0], False))
    with pytest.raises(Conflict):
        await bundles.create(world, ADMIN, Wanted("Garden"), key="k", body="other")


async def test_of_two_changes_one_counts() -> None:
    """Who changes what somebody else has changed meanwhile is told, and nothing of theirs is lost."""
    world = furnished()
    garden = await made(world)
    first = await bundles.change(world, ADMIN, garden.id, Wanted("Garden", rooms=rooms(world)), 1)
    assert (first.revision, len(first.rooms)) == (2, 3)
    with pytest.raises(Conflict, match="changed meanwhile"):
        await bundles.change(world, ADMIN, garden.id, Wanted("Garden"), 1)
    assert (await bundles.read(world, garden.id)).rooms == rooms(world)


async def test_a_try_changes_nothing() -> None:
    """Making, changing and deleting can be tried."""
    world = furnished()
    await bundles.create(world, ADMIN, Wanted("Garden"), dry_run=True)
    assert await world.documents_in("bundles") == []
    garden = await made(world)
    tried = await bundles.change(world, ADMIN, garden.id, Wanted("Meadow"), 1, dry_run=True)
    await bundles.delete(world, ADMIN, garden.id, dry_run=True)
    assert tried.name == "Meadow"
    assert (await bundles.read(world, garden.id)) == garden


async def test_deleting_twice_is_fine() -> None:
    """What is gone is gone, and said to be."""
    world = furnished()
    garden = await made(world)
    for _ in range(2):
        await bundles.delete(world, ADMIN, garden.id)
    with pytest.raises(NotFound):
        await bundles.read(world, garden.id)


# ------------------------------------------------------------------ used


async def test_an_invite_gives_what_its_bundle_names_when_it_is_redeemed() -> None:
    """An edit between invite and enrollment counts; rooms and groups come with it, and the onboarding says by which."""
    world = furnished()
    first, second, third = rooms(world)
    garden = await made(world, rooms=(first,))
    account = await world.member(bundles=("Garden",))
    await bundles.change(world, ADMIN, garden.id, Wanted("Garden", rooms=(second, third), groups=("gardeners",)), 1)
    onboarding = await begun(world)
    await world.live()
    assert room_states(world, await world.states(onboarding)) == {"Room 1": "done", "Room 2": "done"}
    assert (await world.authentik.account(account.pk)).groups == ("gardeners",)
    assert (await world.view(onboarding)).onboarding.bundles == ("garden",)


async def test_a_bundle_that_is_gone_keeps_nobody_out() -> None:
    """The invite gives what else it names."""
    world = furnished()
    first, second, _ = rooms(world)
    garden = await made(world, rooms=(first,))
    await world.member(bundles=("garden",), rooms=(second,))
    await bundles.delete(world, ADMIN, garden.id)
    onboarding = await begun(world)
    await world.live()
    assert room_states(world, await world.states(onboarding)) == {"Room 1": "done"}


async def test_a_bundle_that_nobody_has_made() -> None:
    """An invite or a user that names one is refused before anything is made."""
    world = furnished()
    with pytest.raises(Invalid) as caught:
        await invites.create(world, ADMIN, invites.Wanted("Evening", bundles=("nothing",)))
    assert [name for name, _ in caught.value.errors] == ["bundles"]
    with pytest.raises(Invalid):
        await new_users.create(world, ADMIN, new_users.Wanted("Ada", bundles=("nothing",)))
    assert world.authentik.invitations == {}
    assert await world.documents_in("user_requests") == []


async def test_a_group_that_has_become_powerful() -> None:
    """A bundle from before gives nobody a group that no form may grant."""
    world = furnished()
    await made(world, groups=("gardeners",))
    world.policy = replace(world.policy, admin_group="gardeners")
    with pytest.raises(Invalid) as caught:
        await invites.create(world, ADMIN, invites.Wanted("Evening", bundles=("garden",)))
    assert [name for name, _ in caught.value.errors] == ["bundles"]


async def test_a_user_with_a_bundle() -> None:
    """Made by an admin, with what the bundle gives."""
    world = furnished()
    await made(world, rooms=rooms(world)[:1], groups=("gardeners",))
    user = await new_users.create(world, ADMIN, new_users.Wanted("Ada", username="ada", bundles=("garden",)))
    await world.live(hours=1)
    assert room_states(world, await world.states(user.view.onboarding.id)) == {"Room 0": "done"}
    assert (await world.authentik.account(user.account.pk)).groups == ("gardeners",)


async def test_a_bundle_given_later() -> None:
    """An onboarding that is done gets the rooms, the groups and the level that the bundle brings."""
    world = furnished()
    world.authentik.add_group("members")
    account = await world.member(groups=("members",))
    onboarding = await begun(world)
    await world.live()
    room = rooms(world)[0]
    await made(world, "Mods", rooms=(room,), groups=("gardeners",), levels={"*": 50})
    await onboardings.onboard(world, ADMIN, account, onboardings.Wanted(bundles=("mods",)))
    await world.work()
    world.homeserver.join(ADA, room)
    await world.live(hours=1, on=True)
    assert world.homeserver.homes[room].powers[ADA] == 50
    assert set((await world.authentik.account(account.pk)).groups) == {"members", "gardeners"}
    steps = await world.steps(onboarding)
    assert {step.state for step in steps.values()} == {"done"}
    await made(world, "Chiefs", rooms=(room,), levels={"*": 75})
    await onboardings.onboard(world, ADMIN, account, onboardings.Wanted(bundles=("chiefs",)))
    await world.live()
    assert world.homeserver.homes[room].powers[ADA] == 75
    assert (await world.view(onboarding)).onboarding.bundles == ("mods", "chiefs")


# ------------------------------------------------------------------ levels


async def test_power_comes_after_the_join() -> None:
    """An invite gives nobody power: the step waits until they have joined, and then gives exactly that level."""
    world = furnished()
    room = rooms(world)[0]
    await made(world, rooms=(room,), levels={"*": 50})
    await world.member(bundles=("garden",))
    onboarding = await begun(world)
    await world.live(hours=1, on=True)
    step = (await world.steps(onboarding))[ids.level_step(room)]
    assert (step.state, step.waits_for) == ("waiting", "room")
    assert ADA not in world.homeserver.homes[room].powers
    world.homeserver.join(ADA, room)
    await world.live(hours=2, on=True)
    step = (await world.steps(onboarding))[ids.level_step(room)]
    assert (step.state, step.result) == ("done", {"room_id": room, "from": 0, "to": 50})
    assert world.homeserver.homes[room].powers == {ADA: 50}


async def test_nobody_is_lowered_by_an_onboarding() -> None:
    """Who has more already keeps it."""
    world = furnished()
    room = rooms(world)[0]
    world.homeserver.homes[room].powers[ADA] = 75
    world.homeserver.join(ADA, room)
    await made(world, rooms=(room,), levels={"*": 50})
    await world.member(bundles=("garden",))
    onboarding = await begun(world)
    await world.live()
    assert (await world.states(onboarding))[ids.level_step(room)] == "done"
    assert world.homeserver.homes[room].powers == {ADA: 75}


# ------------------------------------------------------------------ spaces


def club(world: World, **fields: object) -> tuple[str, list[str]]:
    """A space, and seven rooms that its members may enter."""
    space = world.homeserver.add_room("Club", kind="m.space", **fields)
    rule = {"join_rule": "restricted", "allow": (space,)}
    return space, [world.homeserver.add_room(f"Room {number}", **rule) for number in range(7)]


async def test_one_invite_for_a_whole_space() -> None:
    """Under the default limits nobody waits: the member is invited to the space, and each room says it is entered by it."""
    world = furnished(0)
    world.homeserver.limit_invites()
    space, inside = club(world)
    garden = await made(world, rooms=tuple(inside))
    assert {way["id"] for way in garden.ways.values()} == {space}
    await world.member(bundles=("garden",))
    onboarding = await begun(world)
    await world.work()
    invited = {room for room, _ in world.homeserver.called("invite")}
    assert invited == {space}
    steps = await world.steps(onboarding)
    said = {step.result.get("reason") for step in steps.values() if step.room in inside}
    assert said == {"by the space Club: its members enter this room by themselves"}


async def test_a_room_that_was_closed_since_is_invited_to() -> None:
    """What the bundle saw when it was saved is looked at again: nobody is left outside."""
    world = furnished(0)
    _, inside = club(world)
    await made(world, rooms=tuple(inside[:2]))
    world.homeserver.homes[inside[0]].join_rule = "invite"
    await world.member(bundles=("garden",))
    await begun(world)
    await world.work()
    invited = {world.homeserver.homes[room].name for room, _ in world.homeserver.called("invite")}
    assert invited == {"Club", "Room 0"}


@pytest.mark.parametrize("why", ["not wanted", "no power", "not in it", "no space"])
async def test_no_way_by_a_space(why: str) -> None:
    """Not asked for, or the bot cannot invite to the space, or it is none: then each room is invited to."""
    world = furnished(0)
    space, inside = club(world)
    if why == "no power":
        world.homeserver.homes[space].creators, world.homeserver.homes[space].invite = frozenset(), 50
    if why == "not in it":
        world.homeserver.leave(world.homeserver.user_id, space)
    if why == "no space":
        world.homeserver.homes[space].kind = ""
    garden = await made(world, rooms=tuple(inside[:2]), space_first=why != "not wanted")
    assert garden.ways == {}


async def test_joined_at_once() -> None:
    """With MATRIX_MEMBERSHIP=join members are in the rooms without an invite to accept, and the step says so; who is of
    another homeserver, or was never there, is invited."""
    world = furnished()
    world.policy = replace(world.policy, membership="join")
    room = rooms(world)[0]
    await made(world, rooms=(room,), levels={"*": 50})
    await world.member(bundles=("garden",))
    onboarding = await begun(world)
    await world.work()
    step = (await world.steps(onboarding))[ids.room_step(room)]
    assert (step.state, step.result) == ("done", {"room_id": room, "membership": "join", "by": "join"})
    world.homeserver.server_admin = False
    await world.member("bob", bundles=("garden",))
    await world.enrolled("bob", "e2")
    await world.work()
    assert world.homeserver.homes[room].members[f"@bob:{DOMAIN}"] == "invite"
