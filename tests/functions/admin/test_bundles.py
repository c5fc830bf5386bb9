"""/api/bundles: made, read, changed at their revision, deleted; used by invites and users."""

from __future__ import annotations

from typing import Any

import pytest

from tests.functions.admin import wrong
from tests.functions.admin.test_invites import wrong_field
from tests.functions.served import Service, names, problem, walk
from tests.world import World

GOOD: dict[str, Any] = {"name": "Garden", "rooms": ["#ops:fake.test"], "levels": {"#ops:fake.test": 50}}


async def made(service: Service, **more: Any) -> dict[str, Any]:
    if not any(room.alias for room in service.world.homeserver.homes.values() if room.name == "Ops"):
        service.world.homeserver.add_room("Ops", alias="ops")
    answer = await service.api("POST", "/api/bundles", json=GOOD | more)
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_made_read_changed_deleted(service: Service, world: World) -> None:
    """The whole life of a bundle, with an audit record for each act."""
    garden = await made(service)
    ops = garden["rooms"][0]
    assert (garden["id"], garden["revision"], garden["levels"]) == ("garden", 1, {ops: 50})
    assert (await service.api("GET", "/api/bundles/garden")).json() == garden
    body = {"name": "Meadow", "rooms": [ops], "removes": True, "revision": 1}
    changed = (await service.api("PUT", "/api/bundles/garden", json=body)).json()
    assert (changed["name"], changed["revision"], changed["levels"], changed["removes"]) == ("Meadow", 2, {}, True)
    problem(await service.api("PUT", "/api/bundles/garden", json=body), 409)
    assert (await service.api("DELETE", "/api/bundles/garden")).status_code == 204
    problem(await service.api("GET", "/api/bundles/garden"), 404)
    for action in ("create", "change", "delete"):
        [record] = await service.audit(f"bundle.{action}")
        assert (record["actor"], record["source"], record["target"]) == ("key:ops", "192.0.2.7", "garden")


async def test_a_repeat(service: Service) -> None:
    """The same key and body answer with the same bundle; without a key a second one of the name is a 409."""
    service.world.homeserver.add_room("Ops", alias="ops")
    key = {"Idempotency-Key": "k1"}
    answers = [await service.api("POST", "/api/bundles", json=GOOD, headers=key) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 200]
    assert answers[0].json() == answers[1].json()
    problem(await service.api("POST", "/api/bundles", json=GOOD), 409)


async def test_a_try(service: Service) -> None:
    """With `dry_run` the answer is the same, and nothing is kept."""
    service.world.homeserver.add_room("Ops", alias="ops")
    answer = await service.api("POST", "/api/bundles?dry_run=true", json=GOOD)
    assert (answer.status_code, answer.json()["id"]) == (200, "garden")
    assert await service.stored("bundles") == []


@pytest.mark.parametrize("limit", [1, 2, 200])
async def test_listed_by_name(service: Service, limit: int) -> None:
    """Every bundle once, by name."""
    for name in ("Zoo", "Art", "Music"):
        await made(service, name=name)
    assert [bundle["name"] for bundle in await walk(service, "/api/bundles", limit)] == ["Art", "Music", "Zoo"]


@pytest.mark.parametrize("field", wrong.BUNDLE)
async def test_a_wrong_field(service: Service, field: str) -> None:
    """Every wrong value of every field is a 400 that names the field, and nothing is made or changed."""
    garden = await made(service)
    good = GOOD | {"levels": {}}
    for value in wrong.BUNDLE[field]:
        await wrong_field(service, "POST", "/api/bundles", good | {"name": "New", field: value}, field)
        await wrong_field(service, "PUT", "/api/bundles/garden", good | {"revision": 1, field: value}, field)
    for value in (None, 0, -1, "1", 1.5, True):
        await wrong_field(service, "PUT", "/api/bundles/garden", good | {"revision": value}, "revision")
    assert (await service.api("GET", "/api/bundles/garden")).json() == garden


async def test_invites_and_users_name_bundles(service: Service, world: World) -> None:
    """By id or name; shown by id; a change of the invite's bundles is a change; an unknown one is a 400."""
    await made(service)
    await made(service, name="Art")
    invite = (await service.api("POST", "/api/invites", json={"label": "x", "bundles": ["GARDEN"]})).json()
    assert invite["bundles"] == ["garden"]
    changed = await service.api("PATCH", f"/api/invites/{invite['id']}", json={"bundles": ["Art", "art"]})
    assert changed.json()["bundles"] == ["art"]
    user = (await service.api("POST", "/api/users", json={"first_name": "Ada", "bundles": ["garden"]})).json()
    assert user["onboarding"]["bundles"] == ["garden"]
    assert "level:" in " ".join(user["onboarding"]["steps"])
    pk = user["user"]["pk"]
    more = (await service.api("POST", f"/api/users/{pk}/onboard", json={"bundles": ["Art"]})).json()
    assert more["onboarding"]["bundles"] == ["garden", "art"]
    answer = await service.api("POST", f"/api/users/{pk}/onboard", json={"bundles": ["nothing"]})
    assert names(problem(answer, 400)) == ["bundles"]


async def test_a_bundle_is_taken_away(service: Service, world: World) -> None:
    """The next plan takes them out; the power that they were still to get by it does not come; a try keeps all; what
    was never given is a 404 that says what was."""
    garden = await made(service, removes=True)
    art = await made(service, name="Art", levels={})
    user = (await service.api("POST", "/api/users", json={"first_name": "Ada", "bundles": ["garden", "art"]})).json()
    path, onboarding = f"/api/users/{user['user']['pk']}/bundles", f"/api/onboardings/{user['onboarding']['id']}"
    await service.work()
    assert (await service.api("DELETE", f"{path}/garden?dry_run=true")).status_code == 204
    assert (await service.api("GET", onboarding)).json()["bundles"] == ["garden", "art"]
    assert (await service.api("DELETE", f"{path}/garden")).status_code == 204
    seen = (await service.api("GET", onboarding)).json()
    [level] = [step for name, step in seen["steps"].items() if name.startswith("level:")]
    assert (seen["bundles"], level["state"], level["result"]["reason"]) == (
        ["art"],
        "skipped",
        "the bundle garden was taken away",
    )
    assert "Given to them: art" in problem(await service.api("DELETE", f"{path}/garden"), 404)["fix"]
    assert (await service.api("DELETE", f"{path}/art")).status_code == 204
    plan = (await service.api("POST", "/api/plans", json={})).json()
    assert (garden["rooms"], plan["counts"]) == (art["rooms"], {"remove": 1})
    first, second = await service.audit("user.bundle.take")
    assert {first["detail"]["bundle"], second["detail"]["bundle"]} == {"garden", "art"}
    problem(await service.api("DELETE", "/api/users/4711/bundles/garden"), 404)
