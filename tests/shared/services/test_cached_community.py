"""Plans of communities that are too large to be read live: as the cache has them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from shared.domain import ids
from shared.domain.bundles import Bundle
from shared.domain.errors import Conflict
from shared.domain.onboarding import Onboarding
from shared.domain.planning import plan
from shared.domain.plans import Line, Rules
from shared.domain.syncs import SOURCES
from shared.ports import Put
from shared.repositories import BUNDLES, ONBOARDINGS
from shared.services import bundles, cached_community, community, matrix_ids, offboarding, plan_apply
from shared.services.cached_community import cached, looked_again
from shared.services.removals import Words
from tests.shared.services.test_plans import ADA, BOB, Club, brief, club
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
        more: dict[str, Any] = {"matrix_id": user, "given_by": "admin"} if what == "named" else {}
        more |= {"hold": ["", "pending", "approved", "rejected"][other % 4]} if what == "hold" else {}
        begun = onboarding_of(world, pk, bundles=(f"b{other}",) if other % 2 else (), **more)
        await world.documents.write(Put(ONBOARDINGS.path(begun.id), begun.data()))


def onboarding_of(world: World, pk: int, **more: Any) -> Onboarding:
    account = world.authentik._accounts[pk]
    known: dict[str, Any] = {
        "account_pk": pk,
        "uid": account.uid,
        "username": account.username,
        "name": "",
        "created_at": world.now(),
    }
    made = {"id": ids.onboarding_id(account.uid), "source": "api", "matrix_id": f"@{account.username}:{DOMAIN}"}
    return Onboarding(**(known | made | more))


async def both(world: World) -> tuple[list[Line], list[Line]]:
    """The plan from what is there, and the one from the cache, which was made just now."""
    held = await bundles.everyone(world)
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


# ------------------------------------------------------------------ used where a community is too large to be read live


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Communities of any size are."""
    monkeypatch.setattr(community, "MOST_PEOPLE", 0)


async def synced(there: Club, kind: Any = "full") -> None:
    for source in SOURCES:
        await ended(there.world, source, kind)


@pytest.mark.usefixtures("large")
async def test_without_a_cache_a_sync_is_asked_for() -> None:
    """What cannot be read at once and is not cached makes no plan; the answer says what to do."""
    there = await club()
    with pytest.raises(Conflict) as caught:
        await there.plan()
    assert "There is no cache yet: POST /api/sync" in caught.value.fix


@pytest.mark.usefixtures("large")
async def test_made_from_the_cache() -> None:
    """The same lines as live, few calls, and a note that says how old it is; applied, the next plan is empty."""
    there = await club()
    live = brief(plan(await bundles.everyone(there.world), await of_now(there), RULES))
    await synced(there)
    calls = len(there.world.homeserver.calls)
    made = await there.plan()
    assert brief(await there.lines(made)) == live
    assert not {name for name, _ in there.world.homeserver.calls[calls:]} & {"members", "levels", "entry", "room"}
    assert made.notes[0].startswith("Made from the cache: rooms as of ")
    await there.apply(made)
    await synced(there, "light")
    assert (await there.plan()).counts == {}


RULES = Rules(bot=f"@muster:{DOMAIN}")


async def of_now(there: Club) -> Any:
    """Read live, whatever its size."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(community, "MOST_PEOPLE", 1000)
        return await community.live(there.world, await bundles.everyone(there.world))


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("source", SOURCES)
async def test_an_old_cache_makes_no_plan(source: Any) -> None:
    """Of either source; the age is said."""
    there = await club()
    await synced(there)
    there.world.pause(minutes=16)
    await ended(there.world, next(other for other in SOURCES if other != source), "light")
    with pytest.raises(Conflict, match=f"the cache knows of {source} is 16 minutes old"):
        await there.plan()


@pytest.mark.usefixtures("large")
async def test_whoever_it_would_touch_is_read_again() -> None:
    """Groups that were changed by hand since leave no trace in the cache: nobody is invited, or removed, by mistake."""
    there = await club()
    await synced(there)
    accounts = {account.username: account.pk for account in there.world.authentik._accounts.values()}
    await there.world.authentik.remove_from_group(there.group, accounts["bob"])
    await there.world.authentik.add_to_group(there.group, accounts["dora"])
    assert brief(await there.lines(await there.plan())) == [("invite", "ada", "Shed")]


@pytest.mark.usefixtures("large")
async def test_many_need_a_young_full_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    """Too many to be read again one by one: refused until a full sync is of the last hour; then they are all there."""
    monkeypatch.setattr(cached_community, "LOOKED_AT", 2)
    there = await club()
    await synced(there)
    there.world.pause(minutes=61)
    await synced(there, "light")
    with pytest.raises(Conflict, match="3 people are concerned"):
        await there.plan()
    await synced(there)
    assert (await there.plan()).counts == {"invite": 3, "remove": 2}


@pytest.mark.usefixtures("large")
async def test_nothing_for_who_is_another_by_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """An account renamed to somebody else's name gets nothing under that name, even where nobody was read again."""
    monkeypatch.setattr(cached_community, "LOOKED_AT", 0)
    there = await club()
    bob = next(account for account in there.world.authentik._accounts.values() if account.username == "bob")
    await known_of(there.world, "onboard", bob.pk, 0)
    there.world.authentik._accounts[bob.pk] = replace(bob, username="eve", groups=("gardeners",))
    await synced(there)
    made = await there.plan()
    assert {line.matrix_id for line in await there.lines(made) if line.username == "eve"} == {f"@eve:{DOMAIN}"}
    await there.apply(made)
    assert {member for _, member in there.world.homeserver.called("invite")} == {ADA}
    reasons = {step["result"].get("reason") for step in await there.world.documents_in("steps", group=True)}
    assert f"their Matrix id is {BOB}: the account was renamed" in reasons


@pytest.mark.usefixtures("large")
async def test_a_renamed_member_is_found_in_their_rooms() -> None:
    """Under the name that they had: they are no stranger, and what they are to lose they lose."""
    there = await club()
    dora = next(account for account in there.world.authentik._accounts.values() if account.username == "dora")
    await known_of(there.world, "onboard", dora.pk, 0)
    there.world.authentik._accounts[dora.pk] = replace(dora, username="dolores")
    await synced(there)
    lines = [line for line in await there.lines(await there.plan()) if line.username == "dolores"]
    assert {(line.action, line.matrix_id) for line in lines} == {("remove", f"@dora:{DOMAIN}")}


# ------------------------------------------------------------------ who leaves meanwhile


async def offboarded(there: Club, name: str) -> None:
    account = next(each for each in there.world.authentik._accounts.values() if each.username == name)
    await offboarding.offboard(there.world, ADMIN, account.pk, offboarding.Wanted(Words("left")))


async def test_a_plan_applied_after_somebody_left() -> None:
    """Who was off-boarded between the plan and its being applied is invited nowhere; the others are."""
    there = await club()
    made = await there.plan()
    await offboarded(there, "bob")
    await there.apply(made)
    assert there.where(BOB) == ["", ""]
    assert there.where(ADA) == ["join", "invite"]
    page = await there.world.documents_in("jobs")
    assert {job["state"] for job in page} == {"done"}


async def test_leaving_stops_what_a_plan_was_still_to_bring() -> None:
    """Their part of a plan that is being applied ends with the off-boarding, and what it has invited them to is taken
    back."""
    there = await club()
    there.world.homeserver.limit_invites(burst=1)
    made = await there.plan()
    await plan_apply.apply(there.world, ADMIN, made.id, plan_apply.Wanted())
    await there.world.work()
    invited = [member for _, member in there.world.homeserver.called("invite")].count(BOB)
    await offboarded(there, "bob")
    await there.world.live(hours=3, on=True)
    assert [member for _, member in there.world.homeserver.called("invite")].count(BOB) == invited > 0
    assert not {"join", "invite"} & set(there.where(BOB))


async def test_nobody_off_boarded_is_planned_back_in() -> None:
    """A bundle that was given to them directly counts no more: the account is deactivated."""
    there = await club()
    account = there.world.authentik.add_account("gil")
    gil = there.world.homeserver.add_user(f"@gil:{DOMAIN}")
    begun = onboarding_of(there.world, account.pk, bundles=("garden",))
    await there.world.documents.write(Put(ONBOARDINGS.path(begun.id), begun.data()))
    planned = [line for line in await there.lines(await there.plan()) if line.matrix_id == gil]
    assert [line.action for line in planned] == ["invite", "invite"]
    await offboarded(there, "gil")
    await there.world.live(hours=1, on=True)
    assert [line for line in await there.lines(await there.plan()) if line.matrix_id == gil] == []
