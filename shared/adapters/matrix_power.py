"""Who may do what in a room, and joining members: a part of `MatrixChat`.

All levels of a room are one state event, and a homeserver takes whatever was put last; of two that are put at the very
same moment it chooses one. So a change is put on top of what was read, and then looked at: which event it has replaced,
and, after a moment, whether it is still there.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping
from typing import Any

from shared.adapters.matrix_client import ADMIN, CLIENT, StrictClient, path_of
from shared.adapters.matrix_errors import nonsense
from shared.adapters.matrix_rooms import Creation, entry_of, levels_of
from shared.domain.errors import NotFound, Outpaced, Refused
from shared.ports import Data, Entry, Levels

TRIES = 8
"""Of one change. Others who write at every single moment of all of them are nobody."""
SETTLES = 0.25
"""Seconds, at least, until what was put at the same moment has been put, and one of them chosen. A homeserver that
takes long for ours takes long for theirs: twice as long as ours is waited, up to `SLOWEST` seconds."""
SLOWEST = 10.0
_LEVELS = "m.room.power_levels"


class MatrixPower:
    """Needs from whoever it is mixed into: `client`, `user_id`, `_creation`, `_changing`."""

    user_id: str
    _changing: dict[str, asyncio.Lock]

    @property
    def client(self) -> StrictClient:
        raise NotImplementedError

    async def _creation(self, room_id: str) -> Creation:
        raise NotImplementedError

    async def levels(self, room_id: str) -> Levels:
        said, creation = await asyncio.gather(self.client.state(room_id, _LEVELS), self._creation(room_id))
        return levels_of(said, creation)

    async def entry(self, room_id: str) -> Entry:
        return entry_of(await self.client.state(room_id, "m.room.join_rules"))

    async def set_power(self, room_id: str, user_id: str, level: int) -> int:
        """Two calls where nothing is to be done, five else. One after the other within this process. Raises `Outpaced`
        when others never stop writing."""
        async with self._changing.setdefault(room_id, asyncio.Lock()):
            return await self._set_power(room_id, user_id, level)

    async def _set_power(self, room_id: str, user_id: str, level: int) -> int:
        creation, before = await self._creation(room_id), None
        event_id, content = await self._read(room_id, creation)
        for _ in range(TRIES):
            levels = levels_of(content, creation)
            now = levels.of(user_id)
            before = now if before is None else before
            if now == level:
                return before
            self._check(levels, user_id, level)
            began = time.monotonic()
            await self._change(room_id, event_id, content, user_id, level)
            settles = max(SETTLES, min(2 * (time.monotonic() - began), SLOWEST))
            await asyncio.sleep(settles + random.uniform(0, SETTLES))  # noqa: S311 - not for secrets
            event_id, content = await self._read(room_id, creation)
        raise Outpaced(f"the power levels of {room_id}")

    async def _change(self, room_id: str, base: str, content: Data, user_id: str, level: int) -> None:
        """Whoever wrote between our look and our change has been overwritten: what they changed is put again, with ours
        on top. `wanted`: all that is to be there; `shown`: what others saw."""
        wanted, shown = _with(content, user_id, level), content
        for _ in range(TRIES):
            path = path_of(CLIENT, "rooms", room_id, "state", _LEVELS, "")
            put = str((await self.client.call("PUT", path, wanted)).data.get("event_id") or "")
            unsigned = (await self._event(room_id, put)).get("unsigned") or {}
            replaced = str(unsigned.get("replaces_state") or base)
            if base in (replaced, put):  # nobody wrote in between, or it said just that already
                return
            theirs = (await self._event(room_id, replaced)).get("content") or {}
            shown, wanted = wanted, _with(merged(wanted, shown, theirs), user_id, level)
            base = put

    async def _event(self, room_id: str, event_id: str) -> Mapping[str, Any]:
        return (await self.client.call("GET", path_of(CLIENT, "rooms", room_id, "event", event_id))).data

    async def _read(self, room_id: str, creation: Creation) -> tuple[str, Data]:
        """The event's id and its content; of a room that has none, what the specification says it then is."""
        path = path_of(CLIENT, "rooms", room_id, "state", _LEVELS, "")
        try:
            event = (await self.client.call("GET", f"{path}?format=event")).data
        except NotFound:
            return "", {"users": {creation.creator: 100}}
        content = event.get("content", event)
        if not isinstance(content, dict):
            raise nonsense(200)
        return str(event.get("event_id") or ""), content

    def _check(self, levels: Levels, user_id: str, level: int) -> None:
        ours, theirs = levels.of(self.user_id), levels.of(user_id)
        if ours < levels.change or level > ours:
            needed = max(levels.change, level)
            cause = f"the bot has power {ours} in the room, giving power {level} needs {needed}"
            raise Refused(cause, f"Give the bot power {needed} there, then retry.", "M_FORBIDDEN")
        if theirs >= ours:
            cause = f"{user_id} has power {theirs} in the room, the bot {ours}: it cannot change that"
            raise Refused(cause, "Change their power by hand.", "M_FORBIDDEN")

    # ------------------------------------------------------------------ as an admin of the homeserver

    async def join_member(self, room_id: str, user_id: str) -> None:
        await self.client.call("POST", path_of(ADMIN, "join", room_id), {"user_id": user_id})

    async def may_join_members(self) -> bool:
        said = await self._as_admin("users", self.user_id, "admin")
        return bool((said or {}).get("admin"))

    async def unlimited(self) -> bool | None:
        said = await self._as_admin("users", self.user_id, "override_ratelimit")
        return None if said is None else said.get("messages_per_second") == 0

    async def _as_admin(self, *parts: str) -> Mapping[str, Any] | None:
        """None where the admin API is closed to the bot."""
        try:
            return (await self.client.call("GET", path_of(ADMIN, *parts))).data
        except (Refused, NotFound):
            return None


def _with(content: Data, user_id: str, level: int) -> Data:
    return {**content, "users": {**(content.get("users") or {}), user_id: level}}


def merged(ours: Data, base: Data, theirs: Data) -> Data:
    """`ours`, with whatever is different in `theirs` from the `base` that they saw."""
    kept = {key: value for key, value in ours.items() if key not in base or key in theirs}
    for key, value in theirs.items():
        if key in base and base[key] == value:
            continue
        before, now = base.get(key), ours.get(key)
        both = isinstance(value, dict) and isinstance(before, dict) and isinstance(now, dict)
        kept[key] = merged(now, before, value) if both else value  # type: ignore[arg-type]
    return kept
