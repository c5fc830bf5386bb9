"""Bundles and plans on the real stack: what is said of the rooms is read from the homeserver."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from local.stack import Stack
from tests.end_to_end.conftest import Enroll, MakeMember
from tests.end_to_end.together.test_main_job import matrix, membership, onboarding, until

pytestmark = pytest.mark.stack
Json = dict[str, Any]


async def answered(call: Any) -> Json:
    answer: httpx.Response = await call
    assert answer.is_success, answer.text
    body: Json = answer.json()
    return body


async def planned(api: httpx.AsyncClient, member: str) -> tuple[Json, list[tuple[str, str]]]:
    """A plan for one member, and what each line that changes something would do where."""
    plan = await answered(api.post("/api/plans", json={"matrix_ids": [member]}))
    lines = (await answered(api.get(f"/api/plans/{plan['id']}/lines")))["items"]
    return plan, sorted((line["action"], line["room_id"]) for line in lines if line["action"] != "keep")


async def finished(api: httpx.AsyncClient, job: str) -> Json:
    async def ask() -> Any:
        return (await api.get(f"/api/jobs/{job}")).json()

    ended: Json = await until(ask, lambda answer: answer.get("state") in ("done", "failed"), seconds=120)
    return ended


async def said_yes(api: httpx.AsyncClient, plan: Json, act: str = "apply") -> None:
    body = {"lines": "all"} if act == "apply" else {}
    job = (await answered(api.post(f"/api/plans/{plan['id']}/{act}", json=body)))["job"]
    ended = await finished(api, job["id"])
    assert ended["state"] == "done", ended


@pytest.mark.timeout(400)
async def test_moved_by_a_plan_and_back(
    stack: Stack, api: httpx.AsyncClient, rooms: list[str], enroll: Enroll, member: MakeMember, username: str
) -> None:
    """A member came in by a bundle that is changed later: a plan invites, removes and gives power; the second one is
    empty; undone, they are where they were."""
    first, second, third = rooms[:3]
    mine = f"Mine {username}"
    bundle = await answered(api.post("/api/bundles", json={"name": mine, "rooms": [first]}))
    ada = await member()
    await enroll(count=0, bundles=[mine])
    await onboarding(api, username, "done")
    await ada.accept_invites(until=[first], seconds=30)
    changed = {"name": mine, "rooms": [second, third], "levels": {second: 50}, "revision": 1}
    await answered(api.put(f"/api/bundles/{bundle['id']}", json=changed))
    await answered(api.post("/api/bundles", json={"name": f"Old {username}", "rooms": [first], "removes": True}))

    plan, lines = await planned(api, ada.user_id)
    assert lines == sorted([("invite", second), ("invite", third), ("remove", first)])
    await said_yes(api, plan)
    assert [await membership(stack, room, ada.user_id) for room in rooms[:3]] == ["leave", "invite", "invite"]

    await ada.accept_invites(until=[second, third], seconds=30)
    leveling, lines = await planned(api, ada.user_id)
    assert lines == [("level", second)]
    await said_yes(api, leveling)
    levels = await matrix(stack, "GET", f"/_matrix/client/v3/rooms/{second}/state/m.room.power_levels/")
    assert levels.json()["users"][ada.user_id] == 50
    assert (await planned(api, ada.user_id))[1] == []

    await said_yes(api, leveling, "undo")
    await said_yes(api, plan, "undo")
    assert [await membership(stack, room, ada.user_id) for room in rooms[:3]] == ["invite", "leave", "leave"]
    for name in (bundle["id"], f"old-{bundle['id'].removeprefix('mine-')}"):
        assert (await api.delete(f"/api/bundles/{name}")).status_code == 204
