"""Leaving, on a real homeserver and a real store: told and removed, off-boarded, nudged and removed by the clock. And
coming by Signal, which needs such a stack too."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.stack import Stack
from local.surroundings import given
from tests.conftest import StackData
from tests.end_to_end.conftest import SQLITE, Enroll, MakeMember
from tests.end_to_end.signal_bot import ALIAS, signal_bot
from tests.end_to_end.together.test_main_job import authentik, matrix, membership, onboarding, until

pytestmark = pytest.mark.stack
Json = dict[str, Any]
SECONDS = {"INDOC_NUDGE_HOURS": "0.004", "INDOC_REMOVE_HOURS": "0.008"}
"""Of a day, some seconds: 14 until the nudge, 29 until the removal at the earliest."""


@pytest.fixture(scope="module")
def stack(stack_data: StackData) -> Iterator[Stack]:
    """One whose clock of INDOC runs, fast."""
    if os.environ.get("ADMIN_API_KEY") and os.environ.get("PUBLIC_URL"):
        pytest.skip("the stack that is given has a clock of its own")
    settings = {"MUSTER_FREE_PORTS": "1", "INDOC_CLOCK": "on", **SECONDS, **SQLITE}
    settings["MATRIX_SIGNAL_BRIDGE_ROOM_ID"] = ALIAS
    with Stack(stack_data("clock"), given(os.environ) | settings) as started:
        yield started


async def ended(api: httpx.AsyncClient, answer: httpx.Response) -> Json:
    """The job, once it has come to its end."""
    assert answer.status_code == 202, answer.text
    path = f"/api/jobs/{answer.json()['job']['id']}"

    async def ask() -> Any:
        return (await api.get(path)).json()

    found: Json = await until(ask, lambda job: job["state"] in ("done", "failed"))
    return found


async def test_told_and_removed(
    stack: Stack, api: httpx.AsyncClient, rooms: list[str], username: str, member: MakeMember
) -> None:
    """The member has the message in a direct room, is out of the rooms, and the room shows the reason."""
    ada = await member(indoc=False)
    await invited_to(stack, ada.user_id, rooms[:2])
    await ada.accept_invites(until=rooms[:2], count=2)
    reason = {"label": "Rules", "reason": "{username} broke rule 3", "message": "Dear {name}, goodbye."}
    assert (await api.put("/api/removal_reasons/rules", json=reason)).status_code == 200
    body = {"matrix_id": ada.user_id, "template": "rules"}
    dry = (await api.post("/api/rooms/remove?dry_run=true", json=body)).json()["job"]
    assert {item["room"] for item in dry["items"] if item["kind"] == "removal"} == set(rooms[:2])
    job = await ended(api, await api.post("/api/rooms/remove", json=body))
    assert {item["state"] for item in job["items"]} == {"done"}
    [direct] = await ada.accept_invites(count=1)
    assert [message.body for message in await ada.messages(direct) if message.body] == [f"Dear {username}, goodbye."]
    for room in rooms[:2]:
        said = await matrix(stack, "GET", f"/_matrix/client/v3/rooms/{room}/state/m.room.member/{ada.user_id}")
        assert (said.json()["membership"], said.json()["reason"]) == ("leave", f"{username} broke rule 3")
    assert [room["room_id"] for room in (await api.get(f"/api/members/{ada.user_id}/rooms")).json()["items"]] == []


async def invited_to(stack: Stack, user_id: str, rooms: list[str]) -> None:
    for room in rooms:
        invited = await matrix(stack, "POST", f"/_matrix/client/v3/rooms/{room}/invite", {"user_id": user_id})
        assert invited.status_code == 200, invited.text


async def test_off_boarded(
    stack: Stack, api: httpx.AsyncClient, rooms: list[str], enroll: Enroll, member: MakeMember
) -> None:
    """Deactivated in Authentik, out of the rooms, out of the invites; nothing of the onboarding comes afterwards."""
    ada = await member()
    username = await enroll(count=3)
    done = await onboarding(api, username, "done")
    await ada.join(rooms[0])
    pk = done["member"]["pk"]
    job = await ended(api, await api.post(f"/api/users/{pk}/offboard", json={"reason": "left"}))
    assert (job["state"], job["items"][0]["kind"], job["items"][0]["result"]) == (
        "done",
        "deactivate",
        {"active": False},
    )
    assert (await authentik(stack, "GET", f"core/users/{pk}/")).json()["is_active"] is False
    assert {await membership(stack, room, ada.user_id) for room in rooms[:3]} == {"leave"}


async def test_nudged_then_removed(stack: Stack, api: httpx.AsyncClient, member: MakeMember) -> None:
    """Whoever stays in INDOC is mentioned there once and removed later, once; who is paused stays."""
    ada, bob = await member(), await member("bob-who-waits")
    assert (await api.post(f"/api/indoc/{bob.user_id}/pause", json={})).json()["paused"] is True
    indoc = stack.env["MATRIX_INDOC_ROOM_ID"]

    async def there() -> Any:
        return await membership(stack, indoc, ada.user_id)

    assert await there() == "join"
    listed = (await api.get("/api/indoc")).json()
    states = {item["matrix_id"]: item["state"] for item in listed["items"]}
    assert (listed["clock"], states[bob.user_id], states[stack.env["MATRIX_USER_ID"]]) == ("on", "paused", "exempt")
    await until(there, lambda state: state == "leave", seconds=120)
    events = (await matrix(stack, "GET", f"/_matrix/client/v3/rooms/{indoc}/messages?dir=b&limit=50")).json()["chunk"]
    mentions = [user for event in events for user in event["content"].get("m.mentions", {}).get("user_ids", [])]
    kicks = [
        event["origin_server_ts"]
        for event in events
        if event.get("state_key") == ada.user_id and event["content"].get("membership") == "leave"
    ]
    [nudged] = [
        e["origin_server_ts"] for e in events if ada.user_id in e["content"].get("m.mentions", {}).get("user_ids", [])
    ]
    assert (mentions.count(ada.user_id), mentions.count(bob.user_id), len(kicks)) == (1, 0, 1)
    assert kicks[0] - nudged >= 0.004 * 3_600_000 * 0.9
    assert await membership(stack, indoc, bob.user_id) == "join"


ADA, BOB, CLEO = "+491701234567", "+4915112345678", "+442079460958"


async def signal_checks(api: httpx.AsyncClient) -> list[Json]:
    return [item for item in (await api.get("/api/self-check")).json()["items"] if item["name"] == "signal bridge"]


async def test_written_to_on_signal(stack: Stack, api: httpx.AsyncClient) -> None:
    """By number, through a bridge's bot that answers as mautrix-signal does: a room with the puppet and one hello; who is
    not on Signal is said so; an answer that comes late is waited for; asked again there is one room and one hello."""

    async def asked(name: str, number: str) -> tuple[int, str]:
        made = await api.post("/api/users", json={"first_name": name, "signal_number": number, "send_welcome": False})
        pk = made.json()["user"]["pk"]
        return pk, (await api.post(f"/api/users/{pk}/signal")).json()["job"]["id"]

    async def job(name: str) -> Json:
        found: Json = (await api.get(f"/api/jobs/{name}")).json()
        return found

    async def job_ended(name: str) -> Json:
        found: Json = await until(lambda: job(name), lambda it: it["state"] in ("done", "failed"), 90)
        return found["items"][0]  # type: ignore[no-any-return]

    assert [check["ok"] for check in await signal_checks(api)] == [False]
    async with signal_bot(stack, {ADA: "Ada L.", CLEO: "Cleo"}) as bot:
        [check] = await signal_checks(api)
        assert check["ok"], check
        (ada, first), (_, unknown) = await asked("Ada", "0049 170 1234567"), await asked("Bob", BOB)
        done, refused = await job_ended(first), await job_ended(unknown)
        puppet, room = bot.bridge.puppet_of(ADA), bot.bridge.rooms[ADA]
        assert (done["state"], done["result"]["room_id"], done["result"]["matrix_id"]) == ("done", room, puppet)
        [hello] = await bot.said(puppet, room)
        assert (hello["sender"], hello["content"]["body"][:9]) == (stack.env["MATRIX_USER_ID"], "Hello Ada")
        assert (refused["state"], "nobody on Signal" in refused["cause"]) == ("failed", True)
        assert refused["fix"]
        again = await job_ended((await api.post(f"/api/users/{ada}/signal")).json()["job"]["id"])
        assert (again["state"], again["result"]["room_id"]) == ("done", room)
        assert len(await bot.said(puppet, room)) == 1
        bot.open.clear()
        _, late = await asked("Cleo", CLEO)
        await until(lambda: job(late), lambda it: it["items"][0]["attempts"] > 2)
        assert CLEO not in bot.bridge.rooms
        bot.open.set()
        assert (await job_ended(late))["result"]["room_id"] == bot.bridge.rooms[CLEO]
        assert bot.bridge.asked == [ADA, BOB, CLEO]
    shown = (await api.get(f"/api/users/{ada}/signal")).json()
    assert (shown["number"], shown["bridge"], shown["room_id"], shown["state"]) == (ADA, "Signal", room, "done")
    log = (Path(stack.env["MUSTER_DATA_DIR"]) / "logs" / "app.log").read_text()
    assert not [number for number in (ADA, BOB, CLEO) if number[1:] in log]
