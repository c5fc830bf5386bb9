"""/api/audit: who did what to whom, when, from where."""

from __future__ import annotations

from tests.functions.served import Service, names, problem, walk
from tests.world import World


async def test_every_act_of_an_admin_is_there(service: Service, world: World) -> None:
    """Each act that changed something is one record with actor, target, time and source; reads and tries are none."""
    pk = world.authentik.add_account("ada").pk
    await service.api("POST", "/api/invites", json={"label": "x"})
    await service.api("POST", "/api/invites?dry_run=true", json={"label": "y"})
    await service.api("PATCH", f"/api/users/{pk}", json={"name": "Ada"})
    await service.api("POST", f"/api/users/{pk}/deactivate")
    await service.api("POST", f"/api/users/{pk}/onboard")
    await service.api("POST", "/api/rooms/invite", json={"matrix_id": "@ada:fake.test", "rooms": ["!a:fake.test"]})
    await service.api("GET", "/api/users")
    items = (await service.api("GET", "/api/audit")).json()["items"]
    acts = {"invite.create", "user.edit", "user.deactivate", "onboarding.begin", "rooms.invite"}
    assert {item["action"] for item in items} == acts
    assert len(items) == len(acts)
    assert {(item["actor"], item["source"]) for item in items} == {("key:ops", "192.0.2.7")}
    assert all(item["at"] and item["target"] and item["outcome"] for item in items)


async def test_page_by_page_the_newest_first(service: Service, world: World) -> None:
    """Every record exactly once, the newest first, whole and of one target."""
    pks = [world.authentik.add_account(f"ada{count}").pk for count in range(3)]
    for count in range(7):
        world.pause(seconds=1)
        act = "activate" if count % 2 else "deactivate"
        await service.api("POST", f"/api/users/{pks[count % 3]}/{act}")
    items = await walk(service, "/api/audit", 2)
    assert len({item["id"] for item in items}) == len(items) == 7
    assert [item["at"] for item in items] == sorted((item["at"] for item in items), reverse=True)
    assert len(await walk(service, "/api/audit", 1, target="ada0")) == 3
    assert (await service.api("GET", "/api/audit?target=ada0")).json()["total"] == 3


async def test_a_target_that_cannot_be(service: Service) -> None:
    """A target with control characters, or one too long, is a 400 on `target`."""
    for target in ("%00", "a%1Bb", "x" * 301):
        assert names(problem(await service.api("GET", f"/api/audit?target={target}"), 400)) == ["target"]
