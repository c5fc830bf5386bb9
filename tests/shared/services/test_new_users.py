"""Users made by an admin: the intent first, one account, a way in that is shown once."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from msgspec.structs import replace

from shared.domain.errors import Conflict, Invalid, Unreachable
from shared.domain.members import suggested_username
from shared.services import new_users, users
from shared.services.new_users import ATTRIBUTE, Wanted
from shared.services.resume import resume
from tests.fakes.faulty_documents import Killed
from tests.world import ADMIN, World, at_home

ADA = Wanted("Ada", "Lovelace", "ada@example.test")


def furnished(rooms: int = 1) -> World:
    world = World()
    world.furnish(rooms)
    for name in ("friends", "muster-admins"):
        world.authentik.add_group(name)
    world.authentik.add_group("root", superuser=True)
    world.authentik.add_group("child", parents=("root",))
    return world


# ------------------------------------------------------------------ making one


async def test_an_account_and_its_onboarding() -> None:
    """Account, groups, attributes, onboarding and a way in; the member gets home like any other."""
    world = furnished()
    extra = world.homeserver.add_room("Extra")
    wanted = replace(ADA, groups=("friends",), rooms=(extra,), attributes={"organization": "Engine Works"})
    made = await new_users.create(world, ADMIN, wanted)
    assert re.fullmatch(r"ada-[a-z]+\d\d", made.account.username)
    assert (made.account.name, made.account.email, made.account.groups) == (
        "Ada Lovelace",
        "ada@example.test",
        ("friends",),
    )
    assert made.account.attributes["organization"] == "Engine Works"
    assert made.recovery_link
    assert made.view.onboarding.source == "api"
    member = world.arrive(made.account.username)
    await world.live()
    await at_home(world, made.view.onboarding.id, member)
    assert world.homeserver.homes[extra].members[member] == "invite"


async def test_not_one_matrix_call() -> None:
    """Making a user asks Authentik a handful of things, one after the other, and Matrix nothing."""
    world = furnished(20)
    await new_users.create(world, ADMIN, replace(ADA, groups=("friends",)))
    assert world.homeserver.calls == []
    assert len(world.authentik.calls) <= 5


@pytest.mark.parametrize(
    ("first", "shape"), [("José", "jose-"), ("李", "li-"), ("Mary Ann", "mary-"), ("!!", "member-"), ("Ægir", "aegir-")]
)
async def test_usernames_that_people_can_say(first: str, shape: str) -> None:
    """The username comes from the first name, folded to ASCII, and is a Matrix localpart as it stands."""
    world = furnished(0)
    made = await new_users.create(world, ADMIN, Wanted(first))
    assert made.account.username.startswith(shape)
    assert made.view.onboarding.matrix_id == f"@{made.account.username}:fake.test"
    assert made.account.name == first


async def test_another_when_taken() -> None:
    """A username that is taken gives way to the next one, and the account is still one."""
    world = furnished(0)
    taken = [suggested_username("Ada", 1_000_003 + 7_919 * number) for number in range(4)]
    for name in taken:
        world.authentik.add_account(name)
    made = await new_users.create(world, ADMIN, ADA)
    assert made.account.username not in taken
    assert world.authentik.calls.count("create_account") > 1
    [request] = await world.documents_in("user_requests")
    assert request["username"] == made.account.username


async def test_every_name_is_taken() -> None:
    """After eight names the admin is asked for one, and nothing is left behind."""
    world = furnished(0)
    world.authentik.fail("create_account", Conflict("taken"), times=99)
    with pytest.raises(Conflict, match="every username"):
        await new_users.create(world, ADMIN, ADA)
    assert world.authentik.calls.count("create_account") == 8
    assert await world.documents_in("user_requests") == []


async def test_a_chosen_name_is_taken() -> None:
    """A username that the admin chose is not changed: a conflict, and the key may be used again."""
    world = furnished(0)
    world.authentik.add_account("ada")
    with pytest.raises(Conflict, match="'ada' is taken"):
        await new_users.create(world, ADMIN, replace(ADA, username="ada", key="k", body="b"))
    assert await world.documents_in("user_requests") == []
    made = await new_users.create(world, ADMIN, replace(ADA, username="ada2", key="k", body="c"))
    assert made.account.username == "ada2"


@pytest.mark.parametrize("name", ["Ada", "a b", "@ada", "-a", "ä", "x" * 65])
async def test_a_malformed_name(name: str) -> None:
    """A username that could not become a Matrix id is refused by the field's name."""
    with pytest.raises(Invalid) as raised:
        await new_users.create(furnished(0), ADMIN, replace(ADA, username=name))
    assert raised.value.errors[0][0] == "username"


@pytest.mark.parametrize("name", ["muster-admins", "root", "child", "nobody-knows"])
async def test_groups_that_give_power(name: str) -> None:
    """Refused before anything is made: admin group, superusers, superusers by a parent, unknown ones."""
    world = furnished(0)
    with pytest.raises(Invalid) as raised:
        await new_users.create(world, ADMIN, replace(ADA, groups=(name,)))
    assert raised.value.errors[0][0] == "groups"
    assert "create_account" not in world.authentik.calls
    assert await world.documents_in("user_requests") == []


@pytest.mark.parametrize("name", ["muster-admins", "root", "child"])
async def test_grantable_groups(name: str) -> None:
    """A group that the settings name may be granted, whatever power it gives."""
    world = furnished(0)
    world.policy = replace(world.policy, grantable=("muster-admins", "root", "child"))
    made = await new_users.create(world, ADMIN, replace(ADA, groups=(name,)))
    assert made.account.groups == (name,)


async def test_a_group_that_cannot_be_added_now() -> None:
    """The way in is shown all the same; the onboarding adds the group a little later."""
    world = furnished(0)
    world.authentik.fail("add_to_group", Unreachable("authentik", "no answer"))
    made = await new_users.create(world, ADMIN, replace(ADA, groups=("friends",)))
    assert made.recovery_link
    assert made.account.groups == ()
    await world.live()
    account = await world.authentik.account(made.account.pk)
    assert account.groups == ("friends",)


async def test_dry_run() -> None:
    """A dry run answers the same shape, and leaves no trace."""
    world = furnished(2)
    made = await new_users.create(world, ADMIN, replace(ADA, groups=("friends",)), dry_run=True)
    assert made.account.name == "Ada Lovelace"
    assert len(made.view.steps) == 7
    assert (made.recovery_link, made.temporary_password) == ("", "")
    assert "create_account" not in world.authentik.calls
    assert await world.documents_in("onboardings") == []
    assert await world.audits() == []


# ------------------------------------------------------------------ the way in


async def test_a_password_where_there_is_no_recovery_flow() -> None:
    """Without a recovery flow: a temporary password of at least 64 bits, the very one that Authentik has."""
    world = furnished(0)
    world.authentik.recovery = False
    passwords = []
    for first in ("Ada", "Bob"):
        made = await new_users.create(world, ADMIN, Wanted(first))
        assert made.recovery_link == ""
        assert world.authentik.passwords[made.account.pk] == made.temporary_password
        passwords.append(made.temporary_password)
    assert passwords[0] != passwords[1]
    assert all(len(password.replace("-", "")) * 4 >= 64 for password in passwords)
    assert all(re.fullmatch(r"[0-9a-f-]+", password) for password in passwords)


@pytest.mark.parametrize("recovery", [True, False])
async def test_the_secret_is_kept_nowhere(recovery: bool) -> None:
    """No document of ours holds the link or the password, nor any part of them."""
    world = furnished(0)
    world.authentik.recovery = recovery
    made = await new_users.create(world, ADMIN, replace(ADA, key="k", body="b"))
    again = await users.recovery(world, ADMIN, made.account.pk)
    await world.live()
    rows = world.rows()
    for way in (made, again):
        secret = way.recovery_link.partition("=")[2] or way.temporary_password
        assert len(secret) >= 16
        assert secret not in rows
        assert secret[:8] not in rows


# ------------------------------------------------------------------ repeats, faults, deaths


async def test_a_repeat_answers_without_the_secret() -> None:
    """The same key answers the same account and onboarding; the way in is not shown again."""
    world = furnished()
    first = await new_users.create(world, ADMIN, replace(ADA, key="k", body="b"))
    again = await new_users.create(world, ADMIN, replace(ADA, key="k", body="b"))
    assert again.account.pk == first.account.pk
    assert again.view.onboarding.id == first.view.onboarding.id
    assert (again.recovery_link, again.temporary_password, again.secret_shown) == ("", "", True)
    assert world.authentik.calls.count("create_account") == 1
    with pytest.raises(Conflict):
        await new_users.create(world, ADMIN, replace(ADA, key="k", body="other"))


async def test_the_intent_is_committed_first() -> None:
    """Before Authentik is asked for an account, the username and all that was wanted stand in the store."""
    world = furnished(0)
    world.authentik.fail("create_account", Killed())  # type: ignore[arg-type]
    with pytest.raises(Killed):
        await new_users.create(world, ADMIN, replace(ADA, groups=("friends",)))
    [request] = await world.documents_in("user_requests")
    assert re.fullmatch(r"ada-[a-z]+\d\d", request["username"])
    assert (request["made"], request["groups"]) == (False, ["friends"])


async def crashes(world: World, point: str) -> None:
    """Dies at that point of making Ada."""
    if point == "account made":
        create = world.authentik.create_account

        async def dies(**fields: Any) -> Any:
            await create(**fields)
            world.authentik.create_account = create  # type: ignore[method-assign]
            raise Killed

        world.authentik.create_account = dies  # type: ignore[method-assign]
    elif point in ("add_to_group", "recovery_link"):
        world.authentik.fail(point, Killed())  # type: ignore[arg-type]
    else:
        number, after = point.split()
        world.documents.fail_at(int(number), Killed(), after=after == "after")


POINTS = ["account made", "recovery_link", "1 after", "2 before", "2 after", "3 before", "3 after", "4 before"]


@pytest.mark.parametrize("point", POINTS)
async def test_the_sweep_finishes_what_died(point: str) -> None:
    """A death after the account was made, wherever: the sweep finds it by our attribute and brings them home."""
    world = furnished()
    await crashes(world, point)
    with pytest.raises(Killed):
        await new_users.create(world, ADMIN, replace(ADA, groups=("friends",)))
    accounts = [account for account in (await world.authentik.accounts()).items if ATTRIBUTE in account.attributes]
    if accounts:
        world.arrive(accounts[0].username)
    world.pause(minutes=3)
    await world.live()
    requests = await world.documents_in("user_requests")
    if not accounts:
        assert requests == []
        assert await world.documents_in("onboardings") == []
        return
    [onboarding] = await world.documents_in("onboardings")
    await at_home(world, onboarding["id"], f"@{accounts[0].username}:fake.test")
    assert (await world.authentik.account(accounts[0].pk)).groups == ("friends",)
    assert [request["made"] for request in requests] == [True]
    assert onboarding["source"] == "api"


@pytest.mark.parametrize("point", POINTS)
async def test_a_repeat_finishes_what_died(point: str) -> None:
    """A repeat with the same key continues where the first one died, with one account and one onboarding."""
    world = furnished()
    await crashes(world, point)
    wanted = replace(ADA, groups=("friends",), key="k", body="b")
    with pytest.raises(Killed):
        await new_users.create(world, ADMIN, wanted)
    world.pause(minutes=2)
    made = await new_users.create(world, ADMIN, wanted)
    assert made.account.groups == ("friends",)
    assert made.secret_shown or made.recovery_link
    assert (await world.authentik.accounts()).total == 1
    assert len(await world.documents_in("onboardings")) == 1
    member = world.arrive(made.account.username)
    await world.live()
    await at_home(world, made.view.onboarding.id, member)


async def test_a_repeat_that_comes_too_early_sets_no_second_password() -> None:
    """While the first request is still at it, its repeat is a `Conflict`: one way in is shown, and it works."""
    world = furnished(0)
    world.authentik.recovery = False
    wanted = replace(ADA, key="k", body="b")
    answers = await asyncio.gather(*(new_users.create(world, ADMIN, wanted) for _ in range(8)), return_exceptions=True)
    [made] = [answer for answer in answers if not isinstance(answer, BaseException)]
    assert made.temporary_password
    assert {type(answer) for answer in answers if isinstance(answer, BaseException)} == {Conflict}
    assert world.authentik.calls.count("set_password") == 1
    world.authentik.fail("set_password", Killed())  # type: ignore[arg-type]
    with pytest.raises(Killed):
        await new_users.create(world, ADMIN, replace(ADA, key="j", body="b"))
    with pytest.raises(Conflict, match="carried out just now"):
        await new_users.create(world, ADMIN, replace(ADA, key="j", body="b"))


async def test_a_refused_request_may_be_repeated_at_once() -> None:
    """One that failed with an error is nobody's any more: the same key goes on without a wait."""
    world = furnished(0)
    world.authentik.fail("recovery_link", Unreachable("authentik", "no answer"))
    wanted = replace(ADA, key="k", body="b")
    with pytest.raises(Unreachable):
        await new_users.create(world, ADMIN, wanted)
    assert (await new_users.create(world, ADMIN, wanted)).recovery_link


async def test_a_request_under_way_is_left_alone() -> None:
    """The sweep touches no request that may still be carried out."""
    world = furnished(0)
    world.authentik.fail("create_account", Killed())  # type: ignore[arg-type]
    with pytest.raises(Killed):
        await new_users.create(world, ADMIN, ADA)
    await resume(world)
    assert len(await world.documents_in("user_requests")) == 1
    world.pause(minutes=3)
    await resume(world)
    assert await world.documents_in("user_requests") == []


async def test_no_enrollment_of_its_own() -> None:
    """An account made here is never taken for one that the webhook lost."""
    world = furnished(0)
    made = await new_users.create(world, ADMIN, ADA)
    world.pause(minutes=10)
    await world.live()
    [onboarding] = await world.documents_in("onboardings")
    assert (onboarding["id"], onboarding["source"]) == (made.view.onboarding.id, "api")
