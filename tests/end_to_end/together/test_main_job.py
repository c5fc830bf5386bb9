"""The main job on the real stack, as members and admins live it; every outcome read from the server that knows."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import pytest

from local import sample
from local.loopback import LOOPBACK
from local.stack import Stack
from shared.domain.members import suggested_username
from tests.end_to_end.conftest import Enroll, MakeMember

pytestmark = pytest.mark.stack
Json = dict[str, Any]


async def until(ask: Callable[[], Any], holds: Callable[[Any], bool], seconds: float = 45) -> Any:
    """Asks until it holds; fails with what was answered last."""
    answer: Any = None
    for _ in range(int(seconds / 0.25)):
        answer = await ask()
        if holds(answer):
            return answer
        await asyncio.sleep(0.25)
    steps = answer.get("steps", {}) if isinstance(answer, dict) else {}
    brief = [f"{name}: {step['state']} {step['cause']}" for name, step in steps.items()]
    raise AssertionError("\n".join(["still not so:", *brief]) if brief else f"still not so: {answer}")


async def onboarding(api: httpx.AsyncClient, username: str, state: str) -> Json:
    """That of a member, once it is in this state."""
    mine: list[str] = []

    async def ask() -> Any:
        if not mine:
            users = (await api.get("/api/users", params={"q": username})).json()["items"]
            mine.extend(user["onboarding"] for user in users if user["username"] == username and user["onboarding"])
        return (await api.get(f"/api/onboardings/{mine[0]}")).json() if mine else {}

    found: Json = await until(ask, lambda answer: answer.get("state") == state)
    return found


async def matrix(stack: Stack, method: str, path: str, body: Json | None = None) -> httpx.Response:
    headers = {"Authorization": f"Bearer {stack.env['MATRIX_ACCESS_TOKEN']}"}
    async with httpx.AsyncClient(
        base_url=stack.env["MATRIX_HOMESERVER"], headers=headers, timeout=30, **LOOPBACK
    ) as client:
        return await client.request(method, path, json=body)


async def membership(stack: Stack, room: str, user: str) -> str:
    answer = await matrix(stack, "GET", f"/_matrix/client/v3/rooms/{quote(room)}/state/m.room.member/{quote(user)}")
    return str(answer.json()["membership"]) if answer.is_success else "none"


async def authentik(stack: Stack, method: str, path: str, body: Json | None = None) -> httpx.Response:
    headers = {"Authorization": f"Bearer {stack.env['AUTHENTIK_API_TOKEN']}"}
    async with httpx.AsyncClient(
        base_url=stack.env["AUTHENTIK_URL"], headers=headers, timeout=30, **LOOPBACK
    ) as client:
        return await client.request(method, f"/api/v3/{path}", json=body)


async def test_from_an_invite_to_being_at_home(
    stack: Stack, api: httpx.AsyncClient, rooms: list[str], enroll: Enroll, member: MakeMember
) -> None:
    """A member enrolls at the link and is in the rooms, out of INDOC, and has read hello and welcome, once each."""
    ada = await member()
    username = await enroll()
    done = await onboarding(api, username, "done")
    accepted = await ada.accept_invites(until=rooms[:3], count=4, seconds=30)
    indoc = stack.env["MATRIX_INDOC_ROOM_ID"]
    assert set(rooms[:3]) <= set(await ada.joined_rooms())
    assert await membership(stack, indoc, ada.user_id) == "leave"
    [direct] = [room for room in accepted if room not in rooms]
    said = [message.body for message in await ada.messages(direct) if message.body]
    assert len(said) == 2
    assert said[0].startswith("Hello")
    assert said[1].startswith("Welcome")
    assert {step["state"] for step in done["steps"].values()} == {"done"}
    assert done["source"] == "webhook"
    invite = (await api.get(f"/api/invites/{done['invite']}")).json()
    assert (invite["status"], invite["uses"], invite["used_by"]) == ("redeemed", 1, [done["id"]])
    gone = await authentik(
        stack, "GET", f"stages/invitation/invitations/?name=muster-{done['invite'].replace('_', '-')}"
    )
    assert gone.json()["results"] == []


def story(stack: Stack, onboarding_id: str) -> list[Json]:
    """The query of the README, on the log of the embedded stack."""
    log = Path(stack.env["MUSTER_DATA_DIR"]) / "logs" / "app.log"
    if not log.exists():
        pytest.skip(f"the stack that is given keeps no log at {log}")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    return [line for line in lines if line.get("onboarding") == onboarding_id]


async def test_one_query_shows_a_members_story(
    stack: Stack, api: httpx.AsyncClient, enroll: Enroll, member: MakeMember
) -> None:
    """Filtered by the onboarding's id, Muster's log holds the webhook, the outcome of every step, the answer to every task and
    what an admin did; webhook and tasks have one trace, which the dispatcher carried."""
    username = await enroll(count=2)
    waiting = await onboarding(api, username, "waiting")
    await member()
    await api.post(f"/api/onboardings/{waiting['id']}/retry", json={"steps": ["indoc_farewell"]})
    done = await onboarding(api, username, "done")
    found = story(stack, done["id"])
    hook = next(line for line in found if "/hooks/authentik" in line.get("httpRequest", {}).get("requestUrl", ""))
    assert hook["httpRequest"]["status"] == 202
    assert "webhook: accepted" in [line["message"] for line in found]
    outcomes = {line["step"]: line["state"] for line in found if "state" in line and "step" in line}
    assert outcomes == {name: step["state"] for name, step in done["steps"].items()}
    answered = {line["step"] for line in found if line["message"].startswith("POST /tasks/")}
    assert answered == set(done["steps"])
    trace = hook["logging.googleapis.com/trace"]
    assert {line["step"] for line in found if line["logging.googleapis.com/trace"] == trace and "step" in line}
    assert "onboarding.retry" in [line["message"] for line in found]
    assert not [line for line in found if line["severity"] == "ERROR"]


async def test_figures_of_what_has_happened(api: httpx.AsyncClient, rooms: list[str], enroll: Enroll) -> None:
    """On the real store the figures count who has come and what waits, and the costs are reckoned with their rooms."""
    username = await enroll(count=1)
    await onboarding(api, username, "waiting")
    metrics = (await api.get("/api/metrics")).raise_for_status().json()
    assert metrics["by_state"]["waiting"] >= 1
    assert metrics["waiting_steps"]["indoc"] >= 1
    assert metrics["series"][-1]["begun"] + metrics["series"][-2]["begun"] >= 1
    found = (await api.get("/api/costs")).raise_for_status().json()
    assert found["onboardings"] >= 1
    assert (
        found["rooms"] * found["onboardings"] >= 1
    )  # a mean over all who are there: those of other tests may have none


async def test_the_farewell_mentions_the_member(
    stack: Stack, api: httpx.AsyncClient, enroll: Enroll, member: MakeMember
) -> None:
    """In INDOC the farewell names the member with a real mention, by their display name and not by a bare id."""
    ada = await member()
    await onboarding(api, await enroll(), "done")
    indoc = stack.env["MATRIX_INDOC_ROOM_ID"]
    events = (await matrix(stack, "GET", f"/_matrix/client/v3/rooms/{quote(indoc)}/messages?dir=b&limit=20")).json()[
        "chunk"
    ]
    [farewell] = [e for e in events if ada.user_id in e["content"].get("m.mentions", {}).get("user_ids", [])]
    assert ada.user_id not in farewell["content"]["body"]
    assert f"https://matrix.to/#/{ada.user_id}" in farewell["content"]["formatted_body"]


async def test_a_look_uses_nothing_up(api: httpx.AsyncClient, rooms: list[str], enroll: Enroll) -> None:
    """A link preview and a closed tab leave the invite good for the member who comes back."""
    link = (await sample.invite(api, rooms[:1]))["link"]
    parts = urlsplit(link)
    token = parse_qs(parts.query)["itoken"][0]
    executor = f"{parts.scheme}://{parts.netloc}/api/v3/flows/executor/{parts.path.strip('/').split('/')[-1]}/"
    async with httpx.AsyncClient(follow_redirects=True, **LOOPBACK) as browser:
        for _ in range(3):
            assert (await browser.get(executor, params={"query": f"itoken={token}"})).is_success
    username = await enroll(link=link)
    assert (await onboarding(api, username, "waiting"))["invite"]


async def test_one_use_too_many_is_held_until_an_admin_approves(
    stack: Stack, api: httpx.AsyncClient, rooms: list[str], enroll: Enroll, member: MakeMember
) -> None:
    """Whoever comes in by a used-up invite is deactivated and waits; approved, they go on as anybody."""
    invite = await sample.invite(api, rooms[:1], max_uses=2)
    stranger = suggested_username("stranger", secrets.randbits(40))
    ada = await member(stranger)
    await enroll(link=invite["link"], name=suggested_username("first", secrets.randbits(40)))
    assert (await api.patch(f"/api/invites/{invite['id']}", json={"max_uses": 1})).status_code == 200
    # The upstream invitation is deleted with the last use: what is left is somebody who had the page open already.
    made = await authentik(
        stack,
        "POST",
        "core/users/",
        {"username": stranger, "name": "Stranger", "attributes": {"muster_invite": invite["id"]}},
    )
    held = await onboarding(api, stranger, "held")
    assert "good for 1" in held["hold_reason"]
    pk = made.json()["pk"]
    await until(lambda: _user(stack, pk), lambda user: user["is_active"] is False)
    assert await membership(stack, stack.env["MATRIX_INDOC_ROOM_ID"], ada.user_id) == "join"
    assert (await api.post(f"/api/onboardings/{held['id']}/approve")).status_code == 200
    done = await onboarding(api, stranger, "done")
    assert (await _user(stack, pk))["is_active"] is True
    assert done["hold"] == "approved"
    assert await membership(stack, rooms[0], ada.user_id) == "invite"


async def _user(stack: Stack, pk: int) -> Json:
    user: Json = (await authentik(stack, "GET", f"core/users/{pk}/")).json()
    return user


async def test_another_email_is_held_and_can_be_rejected(
    stack: Stack, api: httpx.AsyncClient, rooms: list[str], username: str
) -> None:
    """An account with another e-mail than the invited one stays deactivated when rejected, and the invite stays good."""
    invite = await sample.invite(api, rooms[:1], email="invited@example.org")
    await sample.enroll(invite["link"], username, email="other@example.org")
    held = await onboarding(api, username, "held")
    assert "another e-mail" in held["hold_reason"]
    await until(lambda: _user(stack, held["member"]["pk"]), lambda user: user["is_active"] is False)
    rejected = (await api.post(f"/api/onboardings/{held['id']}/reject")).json()
    assert rejected["hold"] == "rejected"
    assert {step["state"] for name, step in rejected["steps"].items() if name != "deactivate"} == {"skipped"}
    assert (await api.get(f"/api/invites/{invite['id']}")).json()["status"] == "pending"
    assert await membership(stack, rooms[0], held["member"]["matrix_id"]) == "none"


async def test_somebody_else_in_indoc_is_named_later(
    stack: Stack, api: httpx.AsyncClient, rooms: list[str], enroll: Enroll, member: MakeMember
) -> None:
    """A member who is in INDOC under another id waits, is not called done, and goes on once an admin names the id."""
    other = await member(suggested_username("other", secrets.randbits(40)))
    username = await enroll(count=1)
    waiting = await onboarding(api, username, "waiting")
    removal = waiting["steps"]["indoc_removal"]
    assert removal["state"] == "waiting"
    assert "not in INDOC" in removal["cause"]
    assert "matrix_id" in removal["fix"]
    assert waiting["member"]["has_logged_in"] is False
    assert waiting["steps"][f"room:{rooms[0]}"]["detail"] == "invited, has never logged in"
    answer = await api.post(f"/api/users/{waiting['member']['pk']}/onboard", json={"matrix_id": other.user_id})
    assert answer.status_code == 202
    done = await onboarding(api, username, "done")
    assert done["member"]["matrix_id"] == other.user_id
    assert await membership(stack, stack.env["MATRIX_INDOC_ROOM_ID"], other.user_id) == "leave"
    assert await membership(stack, rooms[0], other.user_id) == "invite"


async def test_a_lost_webhook_is_found_by_the_sweep(
    stack: Stack, api: httpx.AsyncClient, rooms: list[str], username: str, member: MakeMember
) -> None:
    """An account that bears our invite and of which no webhook ever told is onboarded all the same, and its story in the log
    begins with the sweep."""
    await member()
    invite = await sample.invite(api, rooms[:1])
    body = {"username": username, "name": "Lost", "attributes": {"muster_invite": invite["id"]}}
    assert (await authentik(stack, "POST", "core/users/", body)).is_success
    done = await onboarding(api, username, "done")
    assert done["source"] == "sweep"
    lines = story(stack, done["id"])
    [begun] = [line for line in lines if line["message"] == "onboarding begun"]  # a quick task may say its line before
    assert begun["source"] == "sweep"
    assert {line["step"] for line in lines if "step" in line} == set(done["steps"])
    assert len({line["logging.googleapis.com/trace"] for line in lines}) == 1


async def test_a_user_made_by_an_admin(stack: Stack, api: httpx.AsyncClient, rooms: list[str]) -> None:
    """`POST /api/users` answers the account with its way in, once, and the onboarding begins."""
    key = {"Idempotency-Key": secrets.token_hex(8)}
    body = {"first_name": "José", "last_name": "李", "rooms": rooms[:1], "groups": ["community"], "interests": "hiking"}
    first = await api.post("/api/users", json=body, headers=key)
    assert first.status_code == 201
    made = first.json()
    assert made["user"]["username"].startswith("jose-")
    assert "community" in made["user"]["groups"]
    async with httpx.AsyncClient(follow_redirects=True, **LOOPBACK) as browser:
        assert (await browser.get(made["recovery_link"])).is_success
    again = await api.post("/api/users", json=body, headers=key)
    assert again.json()["user"]["pk"] == made["user"]["pk"]
    assert again.json()["secret_shown"] is True
    assert again.json()["recovery_link"] is None
    waiting = await onboarding(api, made["user"]["username"], "waiting")
    assert waiting["steps"][f"room:{rooms[0]}"]["state"] == "done"
    stored = await _user(stack, made["user"]["pk"])
    assert stored["attributes"]["interests"] == "hiking"


async def test_missing_power_is_said_in_words_and_retried(
    stack: Stack, api: httpx.AsyncClient, username: str, member: MakeMember
) -> None:
    """Where the bot may not invite, the step says which power is missing; given it, a retry succeeds."""
    owner = await member(suggested_username("owner", secrets.randbits(40)), indoc=False)
    ada = await member()
    room = await _room_of(stack, owner, invite_level=50)
    invite = await sample.invite(api, [room])
    await sample.enroll(invite["link"], username)
    failed = await onboarding(api, username, "failed")
    step = failed["steps"][f"room:{room}"]
    assert step["cause"] == "the bot has power 0 in Ops, inviting needs 50"
    assert "power 50" in step["fix"]
    assert await membership(stack, stack.env["MATRIX_INDOC_ROOM_ID"], ada.user_id) == "leave"
    await _powers(stack, owner, room, {owner.user_id: 100, stack.env["MATRIX_USER_ID"]: 50}, 50)
    assert (await api.post(f"/api/onboardings/{failed['id']}/retry")).status_code == 200
    await onboarding(api, username, "done")
    assert await membership(stack, room, ada.user_id) == "invite"


async def _room_of(stack: Stack, owner: Any, invite_level: int) -> str:
    """A room of somebody else's, where the bot is an ordinary member."""
    nio = owner._nio
    made = await nio.room_create(
        name="Ops",
        room_version="10",
        invite=[stack.env["MATRIX_USER_ID"]],
        power_level_override={"invite": invite_level},
    )
    answer = await matrix(stack, "POST", f"/_matrix/client/v3/join/{quote(made.room_id)}", {})
    assert answer.is_success
    return str(made.room_id)


async def _powers(stack: Stack, owner: Any, room: str, users: dict[str, int], invite: int) -> None:
    answer = await owner._nio.room_put_state(room, "m.room.power_levels", {"users": users, "invite": invite})
    assert answer.event_id


async def test_jobs_invite_and_remove(
    stack: Stack, api: httpx.AsyncClient, rooms: list[str], member: MakeMember
) -> None:
    """Invites and removals of an admin end as a job whose every item says what the homeserver says."""
    ada = await member(indoc=False)
    answer = await api.post("/api/rooms/invite", json={"matrix_id": ada.user_id, "rooms": [*rooms[:2], "!nowhere"]})
    assert answer.status_code == 202
    job = answer.json()["job"]["id"]
    ended = await until(lambda: _job(api, job), lambda found: found["state"] == "failed")
    outcome = {item["room"]: item for item in ended["items"]}
    assert [outcome[room]["state"] for room in rooms[:2]] == ["done", "done"]
    assert "not in the room" in outcome["!nowhere"]["cause"]
    await ada.accept_invites(until=rooms[:2], seconds=20)
    there = (await api.get(f"/api/members/{ada.user_id}/rooms")).json()
    assert {room["room_id"] for room in there["items"]} == set(rooms[:2])
    answer = await api.post("/api/rooms/remove", json={"matrix_id": ada.user_id, "reason": "asked to leave"})
    await until(lambda: _job(api, answer.json()["job"]["id"]), lambda found: found["state"] == "done")
    assert [await membership(stack, room, ada.user_id) for room in rooms[:2]] == ["leave", "leave"]


async def _job(api: httpx.AsyncClient, job: str) -> Json:
    found: Json = (await api.get(f"/api/jobs/{job}")).json()
    return found


async def test_the_self_check_is_content(api: httpx.AsyncClient) -> None:
    """On the embedded stack everything is as it must be, and every check says what it looked at."""
    found = (await api.get("/api/self-check")).json()
    assert [check for check in found["items"] if not check["ok"]] == []
    assert all(check["detail"] for check in found["items"])


async def test_direct_rooms_come_into_m_direct(
    stack: Stack, api: httpx.AsyncClient, enroll: Enroll, member: MakeMember
) -> None:
    """The sweep enters each direct room in the bot's m.direct, beside what was there."""
    ada = await member()
    done = await onboarding(api, await enroll(count=1), "done")
    room = done["steps"]["hello"]["result"]["room_id"]
    bot = quote(stack.env["MATRIX_USER_ID"])

    async def listed() -> Any:
        answer = await matrix(stack, "GET", f"/_matrix/client/v3/user/{bot}/account_data/m.direct")
        return answer.json()

    await until(listed, lambda direct: room in direct.get(ada.user_id, []))


async def test_the_limiter_sets_a_pace(
    stack: Stack, api: httpx.AsyncClient, enroll: Enroll, member: MakeMember
) -> None:
    """Under Synapse's default limits the rooms beyond the burst get places in a row, cost no further attempts meanwhile,
    and keep nobody in INDOC; with the limiter lifted a retry finishes at once."""
    override = f"/_synapse/admin/v1/users/{quote(stack.env['MATRIX_USER_ID'])}/override_ratelimit"
    ada = await member()
    assert (await matrix(stack, "DELETE", override)).is_success
    try:
        username = await enroll(count=6)

        async def ask() -> Any:
            users = (await api.get("/api/users", params={"q": username})).json()["items"]
            return (await api.get(f"/api/onboardings/{users[0]['onboarding']}")).json()

        def paced(found: Json) -> bool:
            steps = found.get("steps", {}).values()
            waiting = [step for step in steps if step["state"] == "scheduled" and "limits" in step["cause"]]
            return bool(waiting) and all(step["state"] == "done" or step in waiting for step in steps if step["room"])

        found = await until(ask, paced)
        rooms_ = {name: step for name, step in found["steps"].items() if name.startswith("room:")}
        later = sorted(step["next_at"] for step in rooms_.values() if step["state"] == "scheduled")
        assert len(set(later)) == len(later)
        assert sum(step["attempts"] for step in rooms_.values()) <= 2 * len(rooms_)
        assert await membership(stack, stack.env["MATRIX_INDOC_ROOM_ID"], ada.user_id) == "leave"
    finally:
        await matrix(stack, "POST", override, {"messages_per_second": 0, "burst_count": 0})
    names = [name for name, step in found["steps"].items() if step["state"] == "scheduled"]
    assert (await api.post(f"/api/onboardings/{found['id']}/retry", json={"steps": names})).status_code == 200
    done = await onboarding(api, username, "done")
    assert {step["result"]["membership"] for name, step in done["steps"].items() if name in rooms_} <= {
        "invite",
        "join",
    }
