"""A sample member's own Matrix client: a person who accepts invitations and reads what was sent to them.

Other than the bot it syncs and waits, as a person's client does.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import httpx
from nio import AsyncClient, AsyncClientConfig, ErrorResponse

from local.homeserver_setup import register
from local.loopback import LOOPBACK

DEVICE = "SAMPLE"
SYNC_MS = 2000


class MemberFailed(RuntimeError):
    """What the homeserver refused, in its own words."""


@dataclass(frozen=True, slots=True)
class Message:
    """`mentions`: the user ids of m.mentions. Texts are None in an event we cannot read."""

    sender: str
    event_id: str
    body: str | None
    formatted_body: str | None = None
    mentions: tuple[str, ...] = ()


class Member:
    """Made by `Member.enter`; close it."""

    def __init__(self, homeserver: str, user_id: str, access_token: str) -> None:
        self.user_id = user_id
        config = AsyncClientConfig(encryption_enabled=False, store_sync_tokens=False, max_timeouts=3)
        self._nio = AsyncClient(homeserver, user_id, config=config)
        self._nio.access_token, self._nio.user_id = access_token, user_id

    @classmethod
    def enter(cls, homeserver: str, registration_secret: str, username: str, password: str) -> Member:
        """Registers; whoever is registered already logs in with the password."""
        with httpx.Client(base_url=homeserver, timeout=60, **LOOPBACK) as http:
            try:
                said = register(http, registration_secret, username, password, device_id=DEVICE)
            except httpx.HTTPStatusError as error:
                if error.response.json().get("errcode") != "M_USER_IN_USE":
                    raise
                said = _login(http, username, password)
        return cls(homeserver, said["user_id"], said["access_token"])

    async def join(self, room: str) -> str:
        """By id or alias; answers the room id."""
        return str(_ok(await self._nio.join(room)).room_id)

    async def leave(self, room_id: str) -> None:
        _ok(await self._nio.room_leave(room_id))

    async def joined_rooms(self) -> list[str]:
        return list(_ok(await self._nio.joined_rooms()).rooms)

    async def accept_invites(self, until: Collection[str] = (), count: int = 0, seconds: float = 60) -> list[str]:
        """Joins whatever it is invited to, until it is in all rooms of `until` and has accepted `count`
        invitations, or the time is over. Answers the rooms it accepted, in order."""
        accepted: list[str] = []
        deadline, since = time.monotonic() + seconds, None
        while time.monotonic() < deadline:
            said = _ok(await self._nio.sync(SYNC_MS, since=since, full_state=False))
            since = said.next_batch
            for room_id in said.rooms.invite:
                await self.join(room_id)
                accepted.append(room_id)
            if len(accepted) >= count and set(until) <= set(await self.joined_rooms()):
                break
        return accepted

    async def messages(self, room_id: str, limit: int = 100) -> list[Message]:
        """The latest ones, oldest first."""
        said = _ok(await self._nio.room_messages(room_id, limit=limit))
        sources = [event.source for event in reversed(said.chunk)]
        return [_message(source) for source in sources if source["type"] in ("m.room.message", "m.room.encrypted")]

    async def close(self) -> None:
        await self._nio.close()


def _message(source: dict[str, Any]) -> Message:
    content = source.get("content", {})
    mentions = tuple(content.get("m.mentions", {}).get("user_ids", ()))
    texts = (content.get("body"), content.get("formatted_body"))
    return Message(source["sender"], source["event_id"], *texts, mentions)


def _login(http: httpx.Client, username: str, password: str) -> dict[str, Any]:
    body = {
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": username},
        "password": password,
        "device_id": DEVICE,
    }
    answer: dict[str, Any] = http.post("/_matrix/client/v3/login", json=body).raise_for_status().json()
    return answer


def _ok(response: Any) -> Any:
    if isinstance(response, ErrorResponse):
        raise MemberFailed(f"{response.status_code}: {response.message}")
    return response
