"""/api/groups and /api/users/{pk}/standing: what the forms of the page, and the page of a member, are made from."""

from __future__ import annotations

from typing import Any

from shared.domain.errors import Unreachable
from shared.domain.ids import onboarding_id
from shared.services.matrix_ids import vouch
from tests.functions.admin.test_sync import scheduled
from tests.functions.served import Service, problem, walk
from tests.world import ADMIN, World

DOWN = Unreachable("authentik", "no answer within 10 s", "Look at Authentik.")


async def groups(service: Service, **query: Any) -> dict[str, dict[str, Any]]:
    """By name, in their order."""
    answer = await service.api("GET", "/api/groups", params=query)
    assert answer.status_code == 200, answer.text
    return {item["name"]: item for item in answer.json()["items"]}


async def furnished(world: World) -> None:
    """Two in staff, one of them among the superusers."""
    staff, gods = world.authentik.add_group("staff"), world.authentik.add_group("gods", superuser=True)
    world.authentik.add_group("Crew")
    world.authentik.add_group("muster-admins")
    for username, held in (("ada", (staff, gods)), ("bee", (staff,))):
        account = world.authentik.add_account(username)
        for group in held:
            await world.authentik.add_to_group(group, account.pk)


async def test_groups_from_the_cache(service: Service, world: World) -> None:
    """By name with how many are in each, without a call of Authentik; those that no form may grant say why."""
    await furnished(world)
    await scheduled(service)
    world.authentik.calls.clear()
    found = await groups(service)
    assert [(name, item["members"], item["grantable"]) for name, item in found.items()] == [
        ("Crew", 0, True),
        ("gods", 1, False),
        ("muster-admins", 0, False),
        ("staff", 2, True),
    ]
    assert (found["gods"]["why"], found["staff"]["why"]) == ("its members are superusers of Authentik", "")
    assert found["muster-admins"]["why"] == "its members are the admins of Muster"
    assert list(await groups(service, q="ST ER")) == ["muster-admins"]
    assert world.authentik.calls == []


async def test_groups_before_the_first_sync(service: Service, world: World) -> None:
    """While there is no cache they are Authentik's own, page by page each once, their members not counted."""
    await furnished(world)
    found = await walk(service, "/api/groups", 1)
    assert [item["name"] for item in found] == ["Crew", "gods", "muster-admins", "staff"]
    assert {item["members"] for item in found} == {None}
    assert not any(item["grantable"] for item in found if item["name"] in ("gods", "muster-admins"))


async def test_a_group_that_is_new(service: Service, world: World) -> None:
    """A name that the cache does not have is looked for in Authentik; when that is down, there is none."""
    await scheduled(service)
    world.authentik.add_group("newcomers")
    world.authentik.fail("groups", DOWN)
    assert await groups(service, q="newc") == {}
    assert (await groups(service, q="newc"))["newcomers"]["members"] is None


async def test_a_group_that_the_settings_name(service: Service, world: World) -> None:
    """GRANTABLE_GROUPS lets forms grant also what gives power."""
    world.authentik.add_group("gods", superuser=True)
    service.env["GRANTABLE_GROUPS"] = "gods"
    assert (await groups(service))["gods"]["grantable"]


# ------------------------------------------------------------------ where somebody stands


async def standing(service: Service, pk: int) -> dict[str, Any]:
    answer = await service.api("GET", f"/api/users/{pk}/standing")
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_somebody_without_an_onboarding(service: Service, world: World) -> None:
    """The Matrix id is the one that would be used: their username's, or the one that an admin has vouched for."""
    ada, bee = world.authentik.add_account("ada", "Ada"), world.authentik.add_account("bee")
    await vouch(world, ADMIN, bee.uid, "@b:elsewhere.test")
    found = await standing(service, ada.pk)
    assert (found["matrix_id"], found["matrix_id_given_by"], found["onboarding"]) == (
        "@ada:fake.test",
        "username",
        None,
    )
    assert (found["live"], found["age_seconds"], found["superuser"]) == (True, None, False)
    found = await standing(service, bee.pk)
    assert (found["matrix_id"], found["matrix_id_given_by"]) == ("@b:elsewhere.test", "admin")


async def test_whose_matrix_id_nobody_knows(service: Service, world: World) -> None:
    """An id that the account itself claims is not used, and the reason is told."""
    account = world.authentik.add_account("ada", attributes={"matrix_id": "@stranger:elsewhere.test"})
    found = await standing(service, account.pk)
    assert (found["matrix_id"], found["matrix_id_given_by"]) == ("", "nobody")
    assert "@stranger:elsewhere.test" in found["matrix_problem"]


async def test_somebody_with_an_onboarding(service: Service, world: World) -> None:
    """What their onboarding has decided counts: its Matrix id, its state, its bundles."""
    account = world.authentik.add_account("ada", "Ada", attributes={"matrix_id": "@stranger:elsewhere.test"})
    body = {"matrix_id": "@lovelace:fake.test"}
    assert (await service.api("POST", f"/api/users/{account.pk}/onboard", json=body)).status_code == 202
    found = await standing(service, account.pk)
    assert (found["matrix_id"], found["matrix_id_given_by"]) == ("@lovelace:fake.test", "admin")
    assert (found["onboarding"]["id"], found["onboarding"]["bundles"]) == (onboarding_id(account.uid), [])


async def test_standing_with_authentik_down(service: Service, world: World) -> None:
    """Who they are is then from the cache, with its age; whom it does not know either is a 503, an unknown one a 404."""
    account = world.authentik.add_account("ada", "Ada")
    await vouch(world, ADMIN, account.uid, "@lovelace:fake.test")
    await service.api("POST", f"/api/users/{account.pk}/onboard")
    await scheduled(service)
    live = await standing(service, account.pk)
    world.pause(seconds=90)
    world.authentik.fail("account", DOWN, times=2)
    cached = await standing(service, account.pk)
    assert (cached["live"], cached["age_seconds"]) == (False, 90.0)
    assert cached | {"live": True, "age_seconds": None} == live
    problem(await service.api("GET", "/api/users/4711/standing"), 503)
    problem(await service.api("GET", "/api/users/4711/standing"), 404)
