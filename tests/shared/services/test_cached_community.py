"""Plans of communities that are too large to be read live: as the cache has them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from shared.domain import ids
from shared.domain.bundles import Bundle
from shared.domain.onboarding import Onboarding
from shared.domain.planning import plan
from shared.domain.plans import Line, Rules
from shared.domain.syncs import SOURCES
from shared.ports import Put
from shared.repositories import BUNDLES, ONBOARDINGS
from shared.services import community, matrix_ids, plans
from shared.services.cached_community import cached, looked_again
from tests.shared.services.test_sync_histories import USERS, ended
from tests.shared.services.test_sync_histories import act as happens
from tests.world import ADMIN, DOMAIN, World

SPACE = "m.space"
NUMBER = st.integers(0, 5)
ACTS = st.tuples(
    st.sampled_from(
        "join leave invite ban rename level out back room delete add edit deactivate group "
        "bundle onboard named hold vouch call entry kind change".split()
    ),
    NUMBER,
    NUMBER,
)


async def act(world: World, what: str, one: int, other: int) -> None:
    homes, accounts = list(world.homeserver.homes.values()), list(world.authentik._accounts.values())
    if what == "bundle":
        await bundle(world, one, other)
    elif what == "entry":
        home = homes[one % len(homes)]
        home.join_rule, home.allow = "restricted", tuple(room.room_id for room in homes[other % len(homes) :][:2])
    elif what == "kind":
        homes[one % len(homes)].kind = SPACE if other % 2 else ""
    elif what == "change":
        homes[one % len(homes)].change, homes[one % len(homes)].invite = other * 20, 50 * (other % 3)
    elif accounts and what in ("onboard", "named", "hold", "vouch", "call"):
        await known_of(world, what, accounts[one % len(accounts)].pk, other)
    else:
        await happens(world, what, one, other)


async def bundle(world: World, one: int, other: int) -> None:
    """Some rooms for a group, or for whom it is given to."""
    homes, now = list(world.homeserver.homes), world.now()
    groups = [name for name, *_ in world.authentik._groups.values()]
    made = Bundle(
        id=f"b{one}",
        name=f"B{one}",
        created_at=now,
        created_by="x",
        changed_at=now,
        changed_by="x",
        rooms=tuple(homes[other % len(homes) :][:3]),
        for_groups=tuple(groups[: one % 2 + 1]) if other else (),
        levels={"*": other * 10} if one % 2 else {},
        removes=other % 2 == 0,
        space_first=one % 3 > 0,
    )
    await world.documents.write(Put(BUNDLES.path(made.id), made.data()))


async def known_of(world: World, what: str, pk: int, other: int) -> None:
    """What Muster knows of an account beyond what Authentik says."""
    account, user = world.authentik._accounts[pk], USERS[other % len(USERS)]
    if what == "call":
        world.authentik._accounts[pk] = replace(account, username=f"other{other}", updated_at=world.now())
    elif what == "vouch":
        await matrix_ids.vouch(world, ADMIN, account.uid, user)
    else:
        begun = Onboarding(
            id=ids.onboarding_id(account.uid),
            source="api",
            account_pk=pk,
            uid=account.uid,
            username=account.username,
            name="",
            created_at=world.now(),
            matrix_id=user if what == "named" else f"@{account.username}:{DOMAIN}",
            given_by="admin" if what == "named" else "username",
            bundles=(f"b{other}",) if other % 2 else (),
            hold=["", "pending", "approved", "rejected"][other % 4] if what == "hold" else "",
        )
        await world.documents.write(Put(ONBOARDINGS.path(begun.id), begun.data()))


async def both(world: World) -> tuple[list[Line], list[Line]]:
    """The plan from what is there, and the one from the cache, which was made just now."""
    held = await plans.bundles.everyone(world)
    rules = Rules(bot=world.homeserver.user_id)
    for source in SOURCES:
        await ended(world, source, "full")
    found = await cached(world, held)
    assert found is not None
    again = await looked_again(world, found, plan(held, found, rules))
    return plan(held, await community.live(world, held), rules), plan(held, again, rules)


async def lived(history: Sequence[tuple[str, int, int]]) -> None:
    world = World()
    world.furnish(rooms=2)
    for group in ("staff", "others"):
        world.authentik.add_group(group)
    for number in range(4):
        world.authentik.add_account(f"user{number}")
        await happens(world, "group", number, 1)
    for number in range(3):
        await bundle(world, number, number + 1)
    for what, one, other in history:
        await act(world, what, one, other)
    truly, cachedly = await both(world)
    assert cachedly == truly


@settings(max_examples=150, deadline=None)
@given(st.lists(ACTS, max_size=25))
def test_the_cache_gives_the_same_plan(history: list[tuple[str, int, int]]) -> None:
    """After a sync, a plan from the cache is the plan that is read live, line by line."""
    asyncio.run(lived(history))
