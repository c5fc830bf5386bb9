"""/api/members/{matrix_id}/conversation: read, followed, answered."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from shared.adapters.device_crafts import DeviceCrafts
from tests.functions.admin.test_onboardings import KEY, answered, onboarded
from tests.functions.admin.test_streams import reading
from tests.functions.served import Service, names, problem
from tests.world import World

ADA = "@ada:fake.test"
PATH = f"/api/members/{quote(ADA, safe='')}/conversation"


async def at_home(service: Service, world: World) -> None:
    world.homeserver.add_room("Ops", alias="ops")
    await onboarded(service, world)
    for _ in range(2):
        await service.work()
        world.pause(seconds=6)


async def talk(service: Service, query: str = "") -> dict[str, Any]:
    answer = await service.api("GET", PATH + query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def say(service: Service, text: str = "See you at eight", query: str = "", key: str = "k") -> Any:
    return await service.api("POST", PATH + query, json={"text": text}, headers={"Idempotency-Key": key})


async def test_a_conversation(service: Service, world: World) -> None:
    """The newest first, page by page, each message with whose it is; of somebody unknown it is empty."""
    assert await talk(service) == {"items": [], "next_cursor": None, "total": 0}
    await at_home(service, world)
    first = await talk(service, "?limit=1")
    [welcome] = first["items"]
    assert (welcome["kind"], welcome["by"], welcome["direction"], welcome["state"]) == (
        "welcome", "muster", "out", "sent",
    )  # fmt: skip
    assert (first["total"], welcome["devices"], welcome["at"][-1]) == (2, None, "Z")
    [hello] = (await talk(service, f"?limit=1&cursor={first['next_cursor']}"))["items"]
    assert hello["text"].startswith("Hello ")
    assert names(problem(await service.api("GET", f"{PATH}?cursor=x"), 400)) == ["cursor"]
    problem(await service.api("GET", "/api/members/ada/conversation"), 400)


async def test_an_answer(service: Service, world: World) -> None:
    """Tried out nothing is done; then it is one job however often it is sent, said by the bot, with the admin in the audit,
    whose text is in neither; and it is in the conversation before it is sent, and after."""
    await at_home(service, world)
    before = service.acts()
    tried = (await say(service, query="?dry_run=true")).json()["job"]
    assert (tried["kind"], [item["step"] for item in tried["items"]]) == ("answer", ["answer"])
    assert service.acts() == before
    answer = await say(service)
    assert answer.status_code == 202
    job = answer.json()["job"]["id"]
    waiting = (await talk(service))["items"][0]
    assert (waiting["state"], waiting["job"], waiting["text"]) == ("scheduled", job, "See you at eight")
    await service.work()
    assert (await say(service)).json()["job"]["id"] == job
    problem(await say(service, "other words"), 409)
    said = (await talk(service))["items"][0]
    assert (said["state"], said["by"], said["event_id"][:1]) == ("sent", "key:ops", "$")
    bodies = [content["body"] for content in world.homeserver.messages(said["room_id"])]
    assert bodies.count("See you at eight") == 1
    [record] = await service.audit("member.answer")
    assert (record["actor"], record["target"], record["source"]) == ("key:ops", ADA, "192.0.2.7")
    assert (
        "eight"
        not in (await service.api("GET", f"/api/jobs/{job}")).text + (await service.api("GET", "/api/audit")).text
    )
    for wrong in ("", "  ", "x" * 4001):
        assert names(problem(await say(service, wrong, key="other"), 400)) == ["text"]


async def test_answers_are_locked_by_the_page(service: Service, world: World) -> None:
    """With the key that derives from the pickle key, which is all that the page's function has; without it nothing is taken."""
    await answered(service, world)
    service.env["MATRIX_PICKLE_KEY"] = service.env["MATRIX_DEVICE_ACCOUNT"] = ""
    service.env["MATRIX_ENABLE_ENCRYPTION"] = "true"
    refused = problem(await say(service), 503)
    assert "MATRIX_PICKLE_KEY" in refused["detail"]
    assert await service.stored("sent") == []
    service.env["MATRIX_REPLIES_KEY"] = DeviceCrafts().replies_key(KEY)
    assert (await say(service)).status_code == 202
    [record] = await service.stored("sent")
    assert "eight" not in str(record.data)
    assert "See you at eight" in [said["text"] for said in (await talk(service))["items"]]


async def test_following(service: Service, world: World) -> None:
    """The first event is what GET answers, the next comes with the next message; it never ends by itself."""
    await at_home(service, world)
    async with reading(service, f"/api/members/{ADA}/conversation/events") as reader:
        name, version, data = await reader.event()
        assert (name, data) == ("conversation", await talk(service))
        reader.beat()
        await say(service)
        reader.beat()
        name, newest, data = await reader.event()
        assert (name, newest != version, data["items"][0]["state"]) == ("conversation", True, "scheduled")
        await service.work()
        while data["items"][0]["state"] != "sent":
            reader.beat()
            _, newest, data = await reader.event()
    async with reading(service, f"/api/members/{ADA}/conversation/events", last_event_id=newest) as reader:
        assert (await reader.part()).startswith(":")
