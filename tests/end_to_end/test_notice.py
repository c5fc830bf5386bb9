"""The end of waiting for a device, on a real homeserver: nothing but the clock is ours."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from benchmarks.world import BENCH, Hands, World
from shared.repositories import steps_of
from shared.services import enroll
from shared.services.actions import actions_of
from shared.services.notices import NAME
from shared.services.resume import due_steps
from shared.services.steps import run_step
from shared.settings import Settings

pytestmark = pytest.mark.stack


class Later(Hands):
    """Muster on the real adapters, so many days later."""

    days = 0

    def now(self) -> datetime:
        return super().now() + timedelta(days=self.days)


async def delivered(hands: Hands, onboarding: str) -> dict[str, Any]:
    for step in ("hello", "welcome"):
        await run_step(hands, f"onboardings/{onboarding}", step, None, actions_of("deliver_welcome"))
    found = await steps_of(hands.documents, f"onboardings/{onboarding}")
    return {stored.record.name: stored.record for stored in found}


async def test_one_plain_notice_after_14_days(tmp_path: Path) -> None:
    """Somebody who never logged in with a device has one plain message, in a room that is not encrypted; the encrypted
    room holds none."""
    with World(NOTICE_WITHOUT_DEVICE="true", MATRIX_ENABLE_ENCRYPTION="true", AUTHENTIK_DEFAULT_GROUP="") as world:
        hands = Later(Settings(world.env | {"AUTHENTIK_DEFAULT_GROUP": ""}))
        person = await world.person(hands, indoc=False)
        verdict = await enroll.begin(hands, person.account, enroll.Start("api", BENCH, skip_indoc=True))
        waiting = await delivered(hands, verdict.onboarding)
        assert (waiting["hello"].waits_for, waiting["welcome"].waits_for) == ("device", "join")
        hands.days = 14
        assert await due_steps(hands) == 2
        ended = await delivered(hands, verdict.onboarding)
        assert {(step.state, step.result["notice"]) for step in ended.values()} == {("done", True)}
        assert len({step.result["event_id"] for step in ended.values()}) == 1
        rooms = await rooms_of(world, person.token)
        [(notice, messages)] = [found for found in rooms.values() if found[0]["m.room.name"] == {"name": NAME}]
        assert "m.room.encryption" not in notice
        assert [message["type"] for message in messages] == ["m.room.message"]
        assert messages[0]["content"]["body"].startswith("This message is not encrypted: ")
        [(_, silent)] = [found for found in rooms.values() if "m.room.encryption" in found[0]]
        assert silent == []
        await (await hands.chat()).close()
        await hands.documents.close()


async def rooms_of(world: World, token: str) -> dict[str, tuple[dict[str, Any], list[dict[str, Any]]]]:
    """What the member sees once they accept every invite: each room's state and messages."""
    found = {}
    async with world.matrix(token) as client:
        invited = (await client.get("/_matrix/client/v3/sync", params={"timeout": 0})).json()["rooms"]["invite"]
        for room in invited:
            at = f"/_matrix/client/v3/rooms/{quote(room)}"
            (await client.post(f"/_matrix/client/v3/join/{quote(room)}", json={})).raise_for_status()
            state = {event["type"]: event["content"] for event in (await client.get(f"{at}/state")).json()}
            page = (await client.get(f"{at}/messages", params={"dir": "b", "limit": 50})).json()["chunk"]
            found[room] = (
                state,
                [event for event in page if event["type"].startswith(("m.room.mess", "m.room.encrypted"))],
            )
    return found
