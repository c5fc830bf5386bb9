"""What an onboarding keeps in the store is what the costs say."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from shared.domain import costs
from shared.services import figures
from tests.world import World


def documents(world: World) -> int:
    return len(world.rows().splitlines()) if world.store._opened else 0


@pytest.mark.parametrize("rooms", [0, 1, 20])
async def test_documents_that_are_kept(rooms: int) -> None:
    """A member brought home by an invite leaves as many documents behind as storage is reckoned with, invite included."""
    world = World()
    world.furnish(rooms=rooms)
    world.authentik.add_group("staff")
    world.policy = replace(world.policy, default_group="staff")
    for name in ("ada", "bee"):  # the first one makes what there is once
        before = documents(world)
        await world.member(name)
        onboarding = (await world.enrolled(name, f"e-{name}")).onboarding
        await world.live(hours=3)
        assert (await world.view(onboarding)).state == "done"
    assert documents(world) - before == costs.onboarding(rooms).documents


async def test_the_rooms_that_members_get() -> None:
    """The mean is of the onboardings that there are; before the first one it is assumed."""
    world = World()
    assert (await figures.costs_of(world, {})).rooms == costs.ASSUMED["rooms"]
    world.furnish(rooms=3)
    await world.member()
    await world.enrolled("ada")
    found = await figures.costs_of(world, {"rooms": 9})
    assert (found.rooms, found.onboardings, found.kept) == (3, 1, 1)
