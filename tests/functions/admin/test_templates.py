"""/api/templates: an admin's words for what the bot and the mails say."""

from __future__ import annotations

from typing import Any

import pytest

from tests.functions.admin import wrong
from tests.functions.admin.test_invites import wrong_field
from tests.functions.served import Service, names, problem, walk
from tests.world import World

GOOD: dict[str, Any] = {"source": "Hi {display_name}", "version": 0}


async def test_the_life_of_a_template(service: Service, world: World) -> None:
    """Built-in, changed, overtaken, restored, a variant made and taken away: each act in the audit, each text readable."""
    path = "/api/templates/hello"
    before = (await service.api("GET", path)).json()
    assert (before["version"], before["built_in"], before["updated_at"]) == (0, True, None)
    assert {"name", "meaning"} == set(before["variables"][0])
    saved = await service.api("PUT", path, json=GOOD)
    assert saved.status_code == 200, saved.text
    assert (saved.json()["version"], saved.json()["built_in"], saved.json()["updated_by"]) == (1, False, "key:ops")
    answer = problem(await service.api("PUT", path, json=GOOD | {"source": "Other"}), 409)
    assert "another version by now (key:ops" in answer["detail"]
    world.pause(seconds=1)
    restored = (await service.api("POST", f"{path}/restore", json={"number": 0, "version": 1})).json()
    assert (restored["version"], restored["source"]) == (2, before["source"])
    seen = (await service.api("GET", path)).json()
    assert [(each["number"], each["restored"], each["built_in"]) for each in seen["versions"]] == [
        (2, 0, False), (1, None, False), (0, None, True),
    ]  # fmt: skip
    assert (await service.api("GET", f"{path}/versions/1")).json()["source"] == "Hi {display_name}"
    problem(await service.api("GET", f"{path}/versions/9"), 404)
    problem(await service.api("DELETE", path), 409)
    variant = "/api/templates/hello.language.fr"
    problem(await service.api("GET", variant), 404)
    assert (await service.api("PUT", variant, json=GOOD | {"source": "Salut"})).status_code == 200
    problem(await service.api("DELETE", f"{variant}?version=3"), 409)
    assert (await service.api("DELETE", f"{variant}?version=1")).status_code == 204
    problem(await service.api("DELETE", variant), 404)
    assert (await service.api("GET", f"{variant}/versions/1")).json()["source"] == "Salut"
    for action, times in (("put", 2), ("restore", 1), ("delete", 1)):
        assert len(await service.audit(f"template.{action}")) == times


async def test_all_of_them(service: Service) -> None:
    """Every purpose is there from the beginning, with its variants after it, page by page."""
    await service.api("PUT", "/api/templates/hello.bundle.hikers", json=GOOD)
    found = await walk(service, "/api/templates", 3)
    ids = [each["id"] for each in found]
    assert next(each for each in ids if each.startswith("hello")) == "hello"
    assert "hello.bundle.hikers" in ids
    assert {"welcome", "indoc_farewell", "indoc_nudge", "notice", "removal_message", "email_invite"} <= set(ids)


async def test_a_look_before(service: Service) -> None:
    """Findings with their lines, and how it turns out for three sample members; nothing is saved, no link is real."""
    before = service.acts()
    body = {"template": "welcome", "source": "Hi {display_name}\n{nobody}"}
    linted = (await service.api("POST", "/api/templates/lint", json=body)).json()
    assert (linted["ok"], [(each["code"], each["line"]) for each in linted["findings"]]) == (
        False,
        [("unknown_variable", 2)],
    )
    body["source"] = "Hi {mention} {recovery_link}"
    seen = (await service.api("POST", "/api/templates/preview", json=body)).json()
    assert [len(each["mentions"]) for each in seen["items"]] == [1, 1, 1]
    assert all("[recovery link" in each["plain"] for each in seen["items"])
    assert seen["items"][0]["plain"].startswith("Hi newcomer17")
    stored = (await service.api("POST", "/api/templates/preview", json={"template": "welcome"})).json()
    assert "Welcome" in stored["items"][0]["plain"]
    broken = (await service.api("POST", "/api/templates/preview", json=body | {"source": "{% if %}"})).json()
    assert [each["findings"][0]["code"] for each in broken["items"]] == ["syntax"] * 3
    assert service.acts() == before


async def test_trying_it_does_nothing(service: Service, world: World) -> None:
    """`dry_run` answers as the act would, and nothing is written or sent."""
    world.homeserver.add_user("@eve:fake.test")
    await service.api("PUT", "/api/templates/hello.language.fr", json=GOOD)
    before = service.acts()
    for method, path, body in (
        ("PUT", "/api/templates/hello", GOOD),
        ("POST", "/api/templates/hello.language.fr/restore", {"number": 1, "version": 1}),
        ("POST", "/api/templates/hello/send", {"matrix_id": "@eve:fake.test"}),
        ("DELETE", "/api/templates/hello.language.fr", None),
    ):
        answer = await service.api(method, f"{path}?dry_run=true", json=body)
        assert answer.status_code in (200, 202, 204), answer.text
    assert service.acts() == before


async def test_send_to_me(service: Service, world: World) -> None:
    """A job of one step, by the bot's normal way; a key must name somebody, and not the bot."""
    world.homeserver.add_user("@eve:fake.test")
    answer = await service.api(
        "POST", "/api/templates/hello/send", json={"matrix_id": "@eve:fake.test", "source": "Draft"}
    )
    assert answer.status_code == 202
    job = answer.json()["job"]
    assert (job["kind"], job["reason"], job["total"]) == ("template_test", "hello@written", 1)
    await world.work()
    [direct] = world.direct_rooms_of("@eve:fake.test")
    assert [event["content"]["body"] for event in direct.events] == ["Draft"]
    assert names(problem(await service.api("POST", "/api/templates/hello/send", json={}), 400)) == ["matrix_id"]
    bot = {"matrix_id": world.homeserver.user_id}
    assert names(problem(await service.api("POST", "/api/templates/hello/send", json=bot), 400)) == ["matrix_id"]


@pytest.mark.parametrize("name", ["nothing", "hello.", "hello.moon.x", "hello.language.", "x" * 141, "hello@1"])
async def test_no_such_template(service: Service, name: str) -> None:
    """An id that no template can have is a 404 (or a 400 where it is too long), and nothing is made of it."""
    for method, path, body in (
        ("GET", "", None),
        ("PUT", "", GOOD),
        ("GET", "/versions/1", None),
        ("DELETE", "", None),
    ):
        answer = await service.api(method, f"/api/templates/{name}{path}", json=body)
        assert answer.status_code in (400, 404)
    assert await service.stored("templates") == []


NUMBERS: list[Any] = [None, "1", 1.5, -1, 2**40, [], {}, True]
SOURCES: list[Any] = [*wrong.label(20_000), "{nobody}", "{% if %}", "\ue0000\ue001"]


@pytest.mark.parametrize(
    ("method", "path", "field", "values", "body"),
    [
        ("PUT", "/api/templates/hello", "source", [each for each in SOURCES if each != "   "], GOOD),
        ("PUT", "/api/templates/hello", "version", NUMBERS, GOOD),
        ("POST", "/api/templates/hello/restore", "number", NUMBERS, {"number": 0, "version": 0}),
        ("POST", "/api/templates/lint", "source", [None, 5, "", "x" * 20_001], {"template": "hello", "source": "x"}),
        ("POST", "/api/templates/hello/send", "matrix_id", wrong.MATRIX_IDS, {"matrix_id": "@eve:fake.test"}),
    ],
)
async def test_wrong_fields(
    service: Service, method: str, path: str, field: str, values: list[Any], body: dict[str, Any]
) -> None:
    """Each wrong value is a 400 that names its field, and nothing is done."""
    for value in values:
        await wrong_field(service, method, path, body | {field: value}, field)
