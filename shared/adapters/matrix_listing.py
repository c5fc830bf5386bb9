"""Reading about many rooms: by Synapse's admin API in few calls where the bot may, else room by room."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from shared.adapters.matrix_client import ADMIN, StrictClient, ask, path_of
from shared.adapters.matrix_rooms import by_name, room_of_list, room_of_summary
from shared.bounded import each
from shared.domain.errors import NotFound, Refused
from shared.ports import Room

TOPICS_UP_TO = 100
"""Rooms that `rooms` reads one by one, topic included; above that it takes the admin list, which has no topics."""
_SUMMARIES = ("/_matrix/client/v1/room_summary", "/_matrix/client/unstable/im.nheko.summary/summary")
_BAD_TOKEN = ("M_UNKNOWN_TOKEN", "M_MISSING_TOKEN")
_T = TypeVar("_T")
_R = TypeVar("_R")


class RoomReader:
    """`client`: the one of the running event loop. That the admin API is closed to us is remembered."""

    def __init__(self, client: Callable[[], StrictClient], admin_api: bool) -> None:
        self._client = client
        self._admin = admin_api
        self._summary = _SUMMARIES[0]

    async def joined(self) -> list[str]:
        return list((await ask(self._client().joined_rooms())).rooms)

    async def room(self, room_id: str) -> Room:
        """One call. Raises `NotFound` when there is no such room or the bot is not in it."""
        summary = await self._summarize(room_id)
        if summary.get("membership", "join") != "join":
            raise NotFound(f"the bot is not in the room {room_id}", "Invite the bot to it and let it join.")
        return room_of_summary(summary)

    async def rooms(self, limit: int) -> list[Room]:
        ids = await self.joined()
        listed = await self._listed(limit) if len(ids) > TOPICS_UP_TO else {}
        return (await self._described(ids, listed))[:limit]

    async def rooms_of(self, user_id: str) -> list[Room]:
        """With the admin API three calls at once, without topics; else one membership for each of the bot's rooms."""
        mine, theirs, listed = await asyncio.gather(self.joined(), self._joined_by(user_id), self._listed())
        if theirs is None:
            theirs = await self._members_rooms(mine, user_id)
        return await self._described([room_id for room_id in mine if room_id in theirs], listed)

    async def joined_among(self, user_id: str, rooms: Sequence[str]) -> set[str]:
        theirs = await self._joined_by(user_id)
        return await self._members_rooms(rooms, user_id) if theirs is None else theirs & set(rooms)

    async def _joined_by(self, user_id: str) -> set[str] | None:
        answer = await self._admin_call("users", user_id, "joined_rooms")
        return None if answer is None else set(answer["joined_rooms"])

    async def _members_rooms(self, rooms: Sequence[str], user_id: str) -> set[str]:
        async def state(room_id: str) -> dict[str, Any] | None:
            return await _or_none(self._client().state(room_id, "m.room.member", user_id))

        states = await each(rooms, state)
        return {room for room, said in zip(rooms, states, strict=True) if said and said.get("membership") == "join"}

    async def _described(self, ids: Sequence[str], listed: dict[str, Room]) -> list[Room]:
        """From the list; what the list lacks (it lags behind by moments) is read from the room."""
        missing = await each([i for i in ids if i not in listed], lambda room_id: _or_none(self.room(room_id)))
        return by_name([*(listed[i] for i in ids if i in listed), *missing])

    async def _summarize(self, room_id: str) -> dict[str, Any]:
        """Homeservers from before the summary was in the specification know it by its draft's path."""
        try:
            return (await self._client().call("GET", path_of(self._summary, room_id))).data
        except Refused as error:
            if error.code == "M_UNRECOGNIZED" and self._summary != _SUMMARIES[1]:
                self._summary = _SUMMARIES[1]
                return await self._summarize(room_id)
            if error.code == "M_UNKNOWN":  # Synapse: no room of that id here, and nobody to ask for it
                raise NotFound(f"there is no room {room_id} that the bot can see") from error
            raise

    async def _listed(self, limit: int = 1000) -> dict[str, Room]:
        """Rooms of the homeserver, the bot's or not, in one page; empty where the admin API is closed to us."""
        answer = await self._admin_call("rooms", query=f"?limit={max(limit, 1000)}")
        return {entry["room_id"]: room_of_list(entry) for entry in (answer or {}).get("rooms", ())}

    async def _admin_call(self, *parts: str, query: str = "") -> dict[str, Any] | None:
        if not self._admin:
            return None
        try:
            return (await self._client().call("GET", path_of(ADMIN, *parts) + query)).data
        except (Refused, NotFound) as error:
            if getattr(error, "code", "") in _BAD_TOKEN:
                raise
            self._admin = False
            return None


async def _or_none(reading: Awaitable[_R]) -> _R | None:
    """For rooms that the bot left, or was put out of, between the list and the look."""
    try:
        return await reading
    except (Refused, NotFound):
        return None
