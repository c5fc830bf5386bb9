"""/api/assistant: its state, and a suggestion as it comes, read from the served entry point."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from shared.adapters.assistant import ChatCompletions
from shared.domain.errors import Misconfigured, Refused
from shared.services import sync
from shared.settings import Settings
from shared.wiring import Wiring
from tests.functions.admin.test_streams import Reader
from tests.functions.served import Service, problem
from tests.world import World

SETTINGS = {
    "ASSISTANT_URL": "https://models.example.test/v1",
    "ASSISTANT_API_KEY": "sk-7f11c0",
    "ASSISTANT_MODEL": "a-model",
}
BODY = {"introduction": "I sing in a choir."}


@pytest.fixture
async def on(service: Service) -> Service:
    service.env |= SETTINGS
    service.shown.append(SETTINGS["ASSISTANT_API_KEY"])
    service.world.homeserver.add_room("Choir", topic="We sing")
    await sync.run(service.world, "matrix")
    return service


def events(text: str) -> list[tuple[str, dict[str, Any]]]:
    rows = [dict(line.split(": ", 1) for line in each.splitlines()) for each in text.split("\n\n") if "data:" in each]
    return [(row["event"], json.loads(row["data"])) for row in rows]


async def test_its_state(on: Service) -> None:
    """On, with who is asked and how much of the month is used; the key is nowhere."""
    state = (await on.api("GET", "/api/assistant")).json()
    expected = {
        "on": True,
        "problem": "",
        "host": "models.example.test",
        "model": "a-model",
        "tokens": 0,
        "requests": 0,
    }
    assert state == expected | {"cap": 200_000, "per_minute": 20}
    await on.api("POST", "/api/assistant/suggest", json=BODY)
    state = (await on.api("GET", "/api/assistant")).json()
    assert (state["tokens"], state["requests"]) == (150, 1)


async def test_it_is_off(service: Service) -> None:
    """Not set, or by half: nobody is asked, the self-check names what is missing, and everything else works."""
    assert (await service.api("GET", "/api/assistant")).json()["on"] is False
    service.env["ASSISTANT_MODEL"] = "a-model"
    refused = await service.api("POST", "/api/assistant/suggest", json=BODY)
    assert problem(refused, 409)["detail"] == "there is no assistant here"
    assert service.world.model.asked == []


async def test_it_is_configured_by_half(service: Service) -> None:
    """What is missing is said by its state and by the self-check; accounts are made as ever."""
    service.env |= {name: value for name, value in SETTINGS.items() if name != "ASSISTANT_API_KEY"}
    state = (await service.api("GET", "/api/assistant")).json()
    assert state["on"] is False
    assert state["problem"].startswith("ASSISTANT_API_KEY is not set, but ASSISTANT_URL and ASSISTANT_MODEL: ")
    found = (await service.api("GET", "/api/self-check")).json()["items"]
    assert [each["detail"] for each in found if each["name"] == "settings"] == [state["problem"]]
    assert (await service.api("POST", "/api/users", json={"first_name": "Ada"})).status_code == 201


async def test_a_suggestion(on: Service) -> None:
    """A stream of events: the line as it comes, rooms, usage, an end."""
    answer = await on.api("POST", "/api/assistant/suggest", json=BODY)
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    told = events(answer.text)
    assert [name for name, _ in told if name != "line"] == ["rooms", "usage", "end"]
    last = [data for name, data in told if name == "line"][-1]
    assert last == {"line": "Good to have you: the choir meets on Mondays.", "done": True, "why": ""}
    assert [room["name"] for room in dict(told)["rooms"]["items"]] == ["Choir"]


async def test_it_fails(on: Service) -> None:
    """What fails once it has begun is an event with a cause and a fix; nothing breaks, and the next one is answered."""
    on.world.model.fails, on.world.model.after = [Refused("the key is refused", "Look at it.")], 2
    told = events((await on.api("POST", "/api/assistant/suggest", json=BODY)).text)
    expected = {"detail": "the key is refused", "fix": "Look at it.", "retry_after": None}
    assert told[-2:] == [("problem", expected), ("end", {})]
    on.world.model.fails, on.world.model.after = [ValueError("a mistake of ours")], 0
    told = events((await on.api("POST", "/api/assistant/suggest", json=BODY)).text)
    assert "mistake" not in str(told)
    assert "line" in dict(events((await on.api("POST", "/api/assistant/suggest", json=BODY)).text))


async def test_the_cap(on: Service) -> None:
    """Beyond the month's tokens it is refused before anybody is asked, with the day from which there are new ones."""
    on.env["ASSISTANT_MONTHLY_TOKENS"] = "100"
    refused = problem(await on.api("POST", "/api/assistant/suggest", json=BODY), 429)
    assert "0 of 100" in refused["detail"]
    assert refused["retry_after"] > 0
    assert on.world.model.asked == []


@pytest.mark.parametrize(
    "body", [{}, {"introduction": ""}, {"introduction": "a\x00b"}, {"introduction": "x" * 10_001}, BODY | {"x": 1}]
)
async def test_what_is_no_introduction(on: Service, body: dict[str, Any]) -> None:
    """Too little, too much or something else is refused by its field."""
    assert problem(await on.api("POST", "/api/assistant/suggest", json=body), 400)["errors"]


async def test_who_leaves_ends_it(on: Service, world: World) -> None:
    """Nobody is asked on for a reader who has gone; what it took is settled, and the place is free again."""
    world.model.held = asyncio.Event()
    reader = Reader(on, "/api/assistant/suggest")
    reader._scope |= {"method": "POST"}
    reader._in.get_nowait()
    reader._in.put_nowait({"type": "http.request", "body": json.dumps(BODY).encode(), "more_body": False})
    await reader.begin()
    while not world.model.asked:
        await reader.part()
    await reader.leave()
    [record] = await on.audit("assistant.suggest")
    assert record["detail"]["cause"] == "it was cancelled"


async def test_the_line_goes_into_the_welcome(service: Service, world: World) -> None:
    """What the admin has made of it is kept with the onboarding, and stands first in the welcome, no markup."""
    world.homeserver.add_room("Ops")
    line = "Good to <b>have</b> you."
    body = {"first_name": "Ada", "username": "ada", "personal_line": line}
    tried = (await service.api("POST", "/api/users?dry_run=true", json=body)).json()
    made = (await service.api("POST", "/api/users", json=body)).json()
    assert tried["onboarding"]["personal_line"] == made["onboarding"]["personal_line"] == line
    world.arrive("ada")
    await service.work()
    world.pause(seconds=6)
    await service.work()
    [direct] = world.direct_rooms_of("@ada:fake.test")
    hello, welcome = [event["content"] for event in direct.events]
    assert welcome["body"].startswith(f"Welcome, Ada!\n\n{line}")
    assert "<p>Good to &lt;b&gt;have&lt;/b&gt; you.</p>" in welcome["formatted_body"]
    assert line not in hello["body"]
    assert problem(await service.api("POST", "/api/users", json=body | {"personal_line": "x" * 301}), 400)


async def test_what_is_wired() -> None:
    """With all of its settings there is the one that they name; without, asking for it says what to set."""
    required = {"MATRIX_DOMAIN": "x.test", "MUSTER_ENV": "local"}
    wired = Wiring(Settings(required | SETTINGS))
    made = await wired.assistant()
    assert isinstance(made, ChatCompletions)
    assert await wired.assistant() is made
    with pytest.raises(Misconfigured, match="no assistant"):
        await Wiring(Settings(required)).assistant()
