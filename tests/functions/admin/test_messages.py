"""/api/messages: seen beforehand, sent, followed, halted and tried again."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import httpx
import pytest

from shared.domain.errors import Refused
from tests.functions.served import Service, problem
from tests.world import World

TEXT = "Dear **{display_name}**, the garden party is on Sunday."
NO = Refused("the homeserver refused: they blocked us", "Ask them another way.", "M_FORBIDDEN")


def crowd(world: World, many: int) -> None:
    for number in range(many):
        world.authentik.add_account(f"m{number:02}", f"Member {number}")
        world.homeserver.add_user(f"@m{number:02}:fake.test")


async def sent(service: Service, dry_run: bool = False, key: str = "", **body: Any) -> httpx.Response:
    headers = {"Idempotency-Key": key} if key else {}
    path = f"/api/messages{'?dry_run=true' if dry_run else ''}"
    given = {"to": {"users": {}}} | ({} if "template" in body else {"text": TEXT})
    return await service.api("POST", path, json=given | body, headers=headers)


async def made(service: Service, **body: Any) -> str:
    answer = await sent(service, **body)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["message"]["id"])


async def worked_off(service: Service, world: World) -> None:
    """All tasks, and then the job's next look."""
    for _ in range(2):
        await service.work()
        world.pause(seconds=10)
    await service.work()


async def read(service: Service, name: str, more: str = "") -> dict[str, Any]:
    answer = await service.api("GET", f"/api/messages/{name}{more}")
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_seen_beforehand_then_sent(service: Service, world: World) -> None:
    """The dry run has the shape of the real answer, shows what the first would read, and does nothing."""
    crowd(world, 2)
    world.authentik.add_account("Someone Else", "Nobody knows")
    before = service.acts()
    seen = (await sent(service, dry_run=True)).json()
    assert service.acts() == before
    message = seen["message"]
    assert (message["sends"], message["left_out_total"], message["limited_total"]) == (2, 1, 0)
    assert [one["name"] for one in message["first"]] == ["Member 0", "Member 1"]
    assert "Matrix id" in message["left_out"][0]["cause"]
    assert message["sample"]["plain"] == "Dear Member 0, the garden party is on Sunday."
    assert "<strong>Member 0</strong>" in message["sample"]["html"]
    answer = (await sent(service, expected=2, key="k")).json()
    assert set(answer["message"]) == set(message)
    await worked_off(service, world)
    name = answer["message"]["id"]
    done = await read(service, name)
    assert (done["state"], done["over"], done["counts"]["got"], done["counts"]["skipped"]) == ("done", True, 2, 1)
    job = (await service.api("GET", f"/api/jobs/{answer['job']['id']}")).json()
    assert (job["state"], job["kind"], job["people"]) == ("done", "message", 2)
    again = (await sent(service, expected=2, key="k")).json()
    assert again["message"]["id"] == name
    listed = (await service.api("GET", "/api/messages")).json()
    assert [(one["id"], one["state"], one["counts"]["got"]) for one in listed["items"]] == [(name, "done", 2)]
    [record] = await service.audit("message.send")
    assert (record["target"], record["detail"]["people"], TEXT in json.dumps(record, default=str)) == (name, 2, False)


async def test_the_report(service: Service, world: World) -> None:
    """Who got it, with event and time; who did not, and why: page by page, and as a table."""
    crowd(world, 3)
    world.homeserver.fail_next(NO, method="create_direct_room")
    name = await made(service)
    await worked_off(service, world)
    [failed] = (await read(service, name, "/items?state=failed"))["items"]
    assert (failed["name"], failed["cause"], failed["fix"]) == ("Member 0", NO.cause, NO.fix)
    first = await read(service, name, "/items?state=got&limit=1")
    second = await read(service, name, f"/items?state=got&limit=1&cursor={first['next_cursor']}")
    assert (first["total"], [each["items"][0]["name"] for each in (first, second)]) == (2, ["Member 1", "Member 2"])
    got = first["items"][0]
    assert (got["template"], got["event_id"][:1], got["at"] is not None) == ("written", "$", True)
    table = await service.api("GET", f"/api/messages/{name}/report.csv")
    rows = list(csv.DictReader(io.StringIO(table.text.lstrip("\ufeff"))))
    assert [(row["name"], row["state"]) for row in rows] == [
        ("Member 0", "failed"),
        ("Member 1", "got"),
        ("Member 2", "got"),
    ]
    assert rows[0]["cause"] == NO.cause
    [record] = await service.audit("export")
    assert record["target"] == name


async def test_paused_resumed_cancelled_retried(service: Service, world: World) -> None:
    """Each is a word of an admin's, with a record of its own, and answers how the message stands."""
    crowd(world, 2)
    name = await made(service)

    async def asked(deed: str, more: str = "") -> httpx.Response:
        return await service.api("POST", f"/api/messages/{name}/{deed}{more}")

    answer = await asked("pause")
    assert (answer.status_code, answer.json()["message"]["state"]) == (202, "paused")
    await worked_off(service, world)
    assert (await read(service, name))["counts"]["waiting"] == 2
    world.homeserver.fail_next(NO, method="create_direct_room")
    assert (await asked("resume")).json()["message"]["state"] == "running"
    await worked_off(service, world)
    assert (await read(service, name))["state"] == "failed"
    world.pause(seconds=10)
    assert (await asked("retry", "?dry_run=true")).json()["message"]["state"] == "running"
    assert (await read(service, name))["state"] == "failed"
    assert (await asked("retry")).json()["message"]["state"] == "running"
    await worked_off(service, world)
    assert (await read(service, name))["state"] == "done"
    problem(await asked("cancel"), 409)
    assert [len(await service.audit(f"message.{deed}")) for deed in ("pause", "resume", "retry")] == [1, 1, 1]
    other = await made(service)
    cancelled = (await service.api("POST", f"/api/messages/{other}/cancel")).json()["message"]
    assert (cancelled["state"], cancelled["counts"]["got"]) == ("cancelled", 0)


async def test_followed(service: Service, world: World) -> None:
    """The stream tells of it at once, with its counts, and ends with it."""
    crowd(world, 1)
    name = await made(service)
    await worked_off(service, world)
    answer = await service.api("GET", f"/api/messages/{name}/events")
    first, end = [part for part in answer.text.split("\n\n") if "event:" in part]
    data = json.loads(first.partition("data: ")[2])
    assert ("event: message" in first, data["counts"]["got"], end.splitlines()[0]) == (True, 1, "event: end")


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"text": ""}, 400, "body"),
        ({"template": "welcome", "text": "both"}, 400, "body"),
        ({"to": {}}, 400, "to"),
        ({"to": {"users": {}, "rooms": ["!a:fake.test"]}}, 400, "to"),
        ({"to": {"people": ["ada"]}}, 400, "to.people.0"),
        ({"to": {"bundle": "none"}}, 400, "to.bundle"),
        ({"text": "Dear {you}"}, 400, "text"),
        ({"expected": 3}, 409, ""),
        ({"to": {"users": {"q": "m"}}}, 400, "expected"),
    ],
)
async def test_what_will_not_do(service: Service, world: World, body: dict[str, Any], status: int, field: str) -> None:
    """Each mistake is named at its field, and nobody is written to."""
    crowd(world, 11)
    answer = await sent(service, **body)
    said = problem(answer, status)
    assert field in ("", *(each["field"] for each in said.get("errors", []))), said
    assert await world.documents_in("messages") == []


async def test_nothing_of_that_name(service: Service) -> None:
    """A message that is not there is a 404, whatever is asked of it."""
    for more in ("", "/items", "/report.csv", "/events"):
        problem(await service.api("GET", f"/api/messages/msg_none{more}"), 404)
    for deed in ("pause", "resume", "cancel", "retry"):
        problem(await service.api("POST", f"/api/messages/msg_none/{deed}"), 404)
