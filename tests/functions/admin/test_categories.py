"""/api/categories and /api/rooms/recommend: an admin's words for rooms, and rooms for a newcomer's words."""

from __future__ import annotations

from typing import Any

import pytest

from shared.domain.errors import Unreachable
from tests.functions.admin import wrong
from tests.functions.admin.test_invites import wrong_field
from tests.functions.served import OTHER_API_KEY, Service, names, problem, walk
from tests.world import World

GOOD: dict[str, Any] = {
    "name": "Outdoors",
    "keywords": ["nature", "camping"],
    "synonyms": {"hiking": ["trail", "trek"], "d&d": ["dungeons dragons"], "a.b": ["c"]},
    "rooms": ["!a:fake.test", "#ops:fake.test"],
}


async def made(service: Service, **fields: Any) -> dict[str, Any]:
    answer = await service.api("POST", "/api/categories", json=GOOD | fields)
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_made_read_replaced_deleted(service: Service, world: World) -> None:
    """A category's whole life, each act with its audit record and none for a look."""
    category = await made(service)
    path = f"/api/categories/{category['id']}"
    assert {name: category[name] for name in GOOD} == GOOD
    assert category["revision"] == 1
    assert (await service.api("GET", path)).json() == category
    world.pause(seconds=1)
    answer = await service.api("PUT", path, json={"name": "Nature", "revision": 1})
    assert answer.status_code == 200, answer.text
    replaced = answer.json()
    assert (replaced["name"], replaced["keywords"], replaced["synonyms"], replaced["rooms"]) == ("Nature", [], {}, [])
    assert replaced["revision"] == 2
    problem(await service.api("PUT", path, json={"name": "Hills", "revision": 1}), 409)
    problem(await service.api("DELETE", f"{path}?revision=1"), 409)
    assert (await service.api("DELETE", f"{path}?revision=2")).status_code == 204
    problem(await service.api("GET", path), 404)
    for action in ("create", "edit", "delete"):
        [record] = await service.audit(f"category.{action}")
        assert (record["actor"], record["target"], record["source"]) == ("key:ops", category["id"], "192.0.2.7")


@pytest.mark.parametrize("limit", [1, 3, 200])
async def test_page_by_page_by_name(service: Service, limit: int) -> None:
    """Every category exactly once, by name."""
    for name in ("Sports", "Arts", "Games", "Outdoors"):
        await made(service, name=name)
    found = [each["name"] for each in await walk(service, "/api/categories", limit)]
    assert found == ["Arts", "Games", "Outdoors", "Sports"]


async def test_the_same_key_is_the_same_category(service: Service) -> None:
    """A repeat with its Idempotency-Key is answered with the first; another body is a 409; the name is taken for others."""
    headers = {"Idempotency-Key": "k"}
    first = await service.api("POST", "/api/categories", json=GOOD, headers=headers)
    again = await service.api("POST", "/api/categories", json=GOOD, headers=headers)
    assert (first.status_code, again.status_code, again.json()) == (201, 200, first.json())
    problem(await service.api("POST", "/api/categories", json=GOOD | {"name": "Other"}, headers=headers), 409)
    problem(await service.api("POST", "/api/categories", json=GOOD, headers=headers, token=OTHER_API_KEY), 409)


async def test_trying_it_does_nothing(service: Service) -> None:
    """`dry_run` answers as the act would, and nothing is written."""
    category = await made(service)
    path, before = f"/api/categories/{category['id']}", service.acts()
    new = await service.api("POST", "/api/categories?dry_run=true", json={"name": "Sports"})
    changed = await service.api("PUT", f"{path}?dry_run=true", json={"name": "Hills", "revision": 1})
    gone = await service.api("DELETE", f"{path}?dry_run=true")
    assert [answer.status_code for answer in (new, changed, gone)] == [200, 200, 204]
    assert changed.json()["revision"] == 2
    assert service.acts() == before


@pytest.mark.parametrize("field", wrong.CATEGORY)
async def test_a_wrong_field(service: Service, field: str) -> None:
    """Every wrong value of every field is a 400 that names the field, for a new category and a replaced one."""
    category = await made(service)
    for value in wrong.CATEGORY[field]:
        await wrong_field(service, "POST", "/api/categories", {"name": "Sports", field: value}, field)
        body = {"name": "Sports", "revision": 1, field: value}
        await wrong_field(service, "PUT", f"/api/categories/{category['id']}", body, field)


async def test_a_wrong_revision(service: Service) -> None:
    """Without the revision that was read, nothing is replaced."""
    path = f"/api/categories/{(await made(service))['id']}"
    for value in wrong.REVISIONS:
        await wrong_field(service, "PUT", path, {"name": "Sports", "revision": value}, "revision")
    assert names(problem(await service.api("PUT", path, json={"name": "Sports"}), 400)) == ["revision"]
    for text in ("0", "x", "-1"):
        assert names(problem(await service.api("DELETE", f"{path}?revision={text}"), 400)) == ["revision"]


@pytest.mark.parametrize("name", ["cat_unknown", "x" * 300, "%00", "__name__"])
async def test_an_unknown_category(service: Service, name: str) -> None:
    """An id that is none of ours is a 404 for each act."""
    for method, more in (("GET", {}), ("PUT", {"json": {"name": "Sports", "revision": 1}}), ("DELETE", {})):
        problem(await service.api(method, f"/api/categories/{name}", **more), 404)


# ------------------------------------------------------------------ recommendations


async def test_rooms_for_what_somebody_writes(service: Service, world: World) -> None:
    """Rooms with score and reason, the best first, and what was understood; nothing is done to the world."""
    hiking = world.homeserver.add_room("Hiking", topic="Every Sunday")
    outdoors = world.homeserver.add_room("Outdoors", topic="Tents and camping")
    world.homeserver.add_room("Politics")
    await made(service, name="Sports", rooms=[hiking])
    before = service.acts()
    text = "Hi, I'm Ana!\r\nI love hikes and camping, no politics please"
    answer = await service.api("POST", "/api/rooms/recommend", json={"interests": text, "limit": 2})
    assert answer.status_code == 200, answer.text
    first, second = answer.json()["items"]
    assert {first["room_id"], second["room_id"]} == {hiking, outdoors}
    assert 100 >= first["score"] >= second["score"] >= 20
    camping = next(item for item in (first, second) if item["room_id"] == outdoors)
    assert camping["because"] == 'matches "camping" in the topic of Outdoors'
    assert answer.json()["wanted"] == ["hikes", "camping"]
    assert answer.json()["unwanted"] == ["politics"]
    assert service.acts() == before


async def test_nothing_to_recommend(service: Service) -> None:
    """Who writes nothing, or nothing that any room knows, gets an empty list."""
    for text in ("", "hi", "🎲", '" OR NEAR(', "x" * 10_000):
        answer = await service.api("POST", "/api/rooms/recommend", json={"interests": text})
        assert (answer.status_code, answer.json()) == (200, {"items": [], "wanted": [], "unwanted": []})


@pytest.mark.parametrize("field", wrong.INTERESTED)
async def test_a_wrong_question(service: Service, field: str) -> None:
    """Every wrong value of every field is a 400 that names the field."""
    for value in wrong.INTERESTED[field]:
        await wrong_field(service, "POST", "/api/rooms/recommend", {"interests": "x", field: value}, field)


async def test_too_long_a_text(service: Service) -> None:
    """The limit is told in characters."""
    answer = await service.api("POST", "/api/rooms/recommend", json={"interests": "x" * 10_001})
    assert "at most 10000 characters" in problem(answer, 400)["detail"]


async def test_matrix_is_down(service: Service, world: World) -> None:
    """Without the rooms there is a 503, not an empty list."""
    world.homeserver.fail_next(Unreachable("matrix", "no answer within 10 s"), times=9)
    problem(await service.api("POST", "/api/rooms/recommend", json={"interests": "hiking"}), 503)
