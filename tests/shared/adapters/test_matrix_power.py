"""Two who change a room's power levels at the same time: what each has changed is kept."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from shared.adapters.matrix_client import StrictClient
from shared.adapters.matrix_power import MatrixPower, merged
from shared.adapters.matrix_rooms import Creation

BASE: dict[str, Any] = {"users": {"@a:x": 50, "@b:x": 25}, "invite": 0, "events": {"m.room.name": 50}}


@pytest.mark.parametrize(
    ("ours", "theirs", "both"),
    [
        (BASE, BASE, BASE),
        (BASE | {"invite": 50}, BASE | {"kick": 75}, BASE | {"invite": 50, "kick": 75}),
        (
            BASE | {"users": {"@a:x": 50, "@b:x": 25, "@c:x": 50}},
            BASE | {"users": {"@a:x": 100}},
            BASE | {"users": {"@a:x": 100, "@c:x": 50}},
        ),
        (BASE, {"users": BASE["users"]}, {"users": BASE["users"]}),
        (BASE | {"users": {"@c:x": 1}}, BASE | {"users": None}, BASE | {"users": None}),
    ],
)
def test_both_changes_are_kept(ours: dict[str, Any], theirs: dict[str, Any], both: dict[str, Any]) -> None:
    """Added, changed and taken away, at any depth; where both changed the same, theirs is the later one."""
    assert merged(ours, BASE, theirs) == both


class SlowRoom(MatrixPower):
    """A room of a busy homeserver, which takes 0.3 s for a change. What somebody else put at the same moment as the first
    of ours is through 0.5 s after ours, and is the one that the homeserver chooses."""

    user_id = "@bot:x"

    def __init__(self) -> None:
        self._changing = {}
        self.events: dict[str, dict[str, Any]] = {"$0": {"content": {"users": {"@bot:x": 100}}}}
        self.current = "$0"

    @property
    def client(self) -> StrictClient:
        return self  # type: ignore[return-value]

    async def _creation(self, room_id: str) -> Creation:
        return Creation("@bot:x", frozenset())

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        if method == "PUT":
            await asyncio.sleep(0.3)
            return SimpleNamespace(data={"event_id": self.put(body)})
        event_id = path.rpartition("/")[2].replace("%24", "$") if "/event/" in path else self.current
        return SimpleNamespace(data={"event_id": event_id, **self.events[event_id]})

    def put(self, content: Any) -> str:
        event_id = f"${len(self.events)}"
        self.events[event_id] = {"content": content, "unsigned": {"replaces_state": self.current}}
        self.current = event_id
        if event_id == "$1":
            asyncio.get_running_loop().call_later(0.5, self.choose, {"users": {"@bot:x": 100, "@b:x": 50}})
        return event_id

    def choose(self, content: Any) -> None:
        self.events["$theirs"] = {"content": content, "unsigned": {"replaces_state": "$0"}}
        self.current = "$theirs"


async def test_a_slow_homeserver_is_given_time_to_choose() -> None:
    """A change is looked at when what was put with it is through too: it is made again on top of what was chosen."""
    room = SlowRoom()
    assert await room.set_power("!r:x", "@a:x", 50) == 0
    assert room.events[room.current]["content"]["users"] == {"@bot:x": 100, "@a:x": 50, "@b:x": 50}
