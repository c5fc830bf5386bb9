"""What an admin does with an account: in Authentik, and audited."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from shared.domain.errors import Forbidden, Invalid, NotFound, Unreachable
from shared.services import new_users, offboarding, users
from shared.services.context import Actor
from shared.services.removals import Words
from tests.shared.services.test_new_users import ADA, furnished
from tests.world import ADMIN


async def test_recovery_later() -> None:
    """An existing account gets a new way in, shown once and audited; a dry run makes none."""
    world = furnished(0)
    account = world.authentik.add_account("ada")
    assert (await users.recovery(world, ADMIN, account.pk, dry_run=True)).recovery_link == ""
    assert (await users.recovery(world, ADMIN, account.pk)).recovery_link
    assert [record["action"] for record in await world.audits()] == ["user.recovery"]
    with pytest.raises(NotFound):
        await users.recovery(world, ADMIN, 999)


# ------------------------------------------------------------------ an existing account


async def test_attributes_are_merged() -> None:
    """An edit keeps what it does not name, and a null removes its key."""
    world = furnished(0)
    account = world.authentik.add_account("ada", attributes={"keep": 1, "drop": 2})
    edited = await users.edit(world, ADMIN, account.pk, {"attributes": {"new": 3, "drop": None}, "name": "Countess"})
    assert edited.attributes == {"keep": 1, "new": 3}
    assert edited.name == "Countess"
    [record] = await world.audits()
    assert record["detail"]["fields"] == ["attributes", "name"]


async def test_groups_are_the_whole_list() -> None:
    """Named groups are joined, the others left."""
    world = furnished(0)
    world.authentik.add_group("old")
    account = world.authentik.add_account("ada")
    await users.edit(world, ADMIN, account.pk, {"groups": ["old"]})
    edited = await users.edit(world, ADMIN, account.pk, {"groups": ["friends"]})
    assert edited.groups == ("friends",)


@pytest.mark.parametrize("name", ["muster-admins", "root", "child"])
async def test_no_power_by_an_edit(name: str) -> None:
    """An edit grants no power either; but who is an admin of Muster stays one when the list says so. Whoever may do
    everything is not edited here at all."""
    world = furnished(0)
    account = world.authentik.add_account("ada")
    with pytest.raises(Invalid):
        await users.edit(world, ADMIN, account.pk, {"groups": [name]})
    group = next(group for group in await world.authentik.groups() if group.name == name)
    await world.authentik.add_to_group(group.pk, account.pk)
    if name != "muster-admins":
        with pytest.raises(Forbidden):
            await users.edit(world, ADMIN, account.pk, {"groups": [name, "friends"]})
        return
    edited = await users.edit(world, ADMIN, account.pk, {"groups": [name, "friends"]})
    assert set(edited.groups) == {name, "friends"}


@pytest.mark.parametrize("active", [True, False])
async def test_activate_and_deactivate(active: bool) -> None:
    """In Authentik, and audited; a dry run changes nothing."""
    world = furnished(0)
    account = world.authentik.add_account("ada")
    await world.authentik.update_account(account.pk, active=not active)
    await users.set_active(world, ADMIN, account.pk, active=active, dry_run=True)
    assert (await world.authentik.account(account.pk)).active is not active
    await users.set_active(world, ADMIN, account.pk, active=active)
    assert (await world.authentik.account(account.pk)).active is active
    assert [record["action"] for record in await world.audits()] == ["user.activate" if active else "user.deactivate"]


@pytest.mark.parametrize("dry_run", [True, False])
async def test_superusers_are_left_to_authentik(dry_run: bool) -> None:
    """No way into an administrator's account, no edit, no switch, no deletion: else an admin of Muster could become one."""
    world = furnished(0)
    made = await new_users.create(world, ADMIN, ADA)
    root = next(group for group in await world.authentik.groups() if group.name == "root")
    await world.authentik.add_to_group(root.pk, made.account.pk)
    pk, before = made.account.pk, list(world.authentik.calls)
    for attempt in (
        users.recovery(world, ADMIN, pk, dry_run=dry_run),
        users.edit(world, ADMIN, pk, {"email": "me@example.test"}, dry_run=dry_run),
        users.set_active(world, ADMIN, pk, active=False, dry_run=dry_run),
        users.delete(world, ADMIN, pk, dry_run=dry_run),
    ):
        with pytest.raises(Forbidden, match="is a superuser"):
            await attempt
    asked = world.authentik.calls[len(before) :]
    assert set(asked) == {"account"}


@pytest.mark.parametrize("dry_run", [True, False])
async def test_nobody_shuts_themselves_out(dry_run: bool) -> None:
    """An admin who would close, delete or off-board their own account is told to ask another one."""
    world = furnished(0)
    ada = world.authentik.add_account("ada")
    for name in ("ada", ada.uid):
        me = Actor(f"user:{name}")
        for attempt in (
            users.set_active(world, me, ada.pk, active=False, dry_run=dry_run),
            users.delete(world, me, ada.pk, dry_run=dry_run),
            offboarding.offboard(world, me, ada.pk, offboarding.Wanted(Words("left")), dry_run=dry_run),
        ):
            with pytest.raises(Forbidden, match="your own account"):
                await attempt
    assert (await world.authentik.account(ada.pk)).active
    assert (await users.set_active(world, Actor("user:ada"), ada.pk, active=True)).active


async def test_delete() -> None:
    """In Authentik, never only here; the onboarding's record stays; a superuser is refused."""
    world = furnished(0)
    made = await new_users.create(world, ADMIN, ADA)
    await users.delete(world, ADMIN, made.account.pk, dry_run=True)
    await users.delete(world, ADMIN, made.account.pk)
    with pytest.raises(NotFound):
        await world.authentik.account(made.account.pk)
    assert (await world.view(made.view.onboarding.id)).onboarding.username == made.account.username
    boss = world.authentik.add_account("boss")
    root = next(group for group in await world.authentik.groups() if group.name == "root")
    await world.authentik.add_to_group(root.pk, boss.pk)
    with pytest.raises(Forbidden):
        await users.delete(world, ADMIN, boss.pk)
    assert await world.authentik.account_named("boss")


async def test_done_though_the_audit_failed() -> None:
    """An act that Authentik has done is not hidden from the admin because its record could not be written."""
    world = furnished(0)
    account = world.authentik.add_account("ada")
    world.documents.fail_at(1, Unreachable("firestore", "no answer"))
    assert not (await users.set_active(world, ADMIN, account.pk, active=False)).active


async def test_the_secret_is_shown_though_the_audit_failed() -> None:
    """A way in that was made is shown: it could never be shown again."""
    world = furnished(0)
    world.documents.fail_at(4, Unreachable("firestore", "no answer"))
    assert (await new_users.create(world, ADMIN, replace(ADA, key="k", body="b"))).recovery_link
