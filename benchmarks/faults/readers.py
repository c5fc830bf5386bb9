"""Members with clients of their own: their keys are published when they come, and used when they read at the end.

In between a client is on the disk only, so that one process has room for hundreds of them. They are opened one after
another; nobody else syncs for their devices, for a sync deletes the room keys that came before it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from local.homeserver_setup import register
from local.loopback import LOOPBACK
from tests.contracts.keys_worlds import PASSWORD, log_in
from tests.end_to_end.recipients.client import Seen
from tests.end_to_end.recipients.nio_client import NioRecipient

AT_ONCE = 4


@dataclass
class Reader:
    """`logins`: of each device, as the homeserver answered them."""

    username: str
    user_id: str
    logins: list[dict[str, Any]] = field(default_factory=list)

    @property
    def devices(self) -> list[str]:
        return sorted(login["device_id"] for login in self.logins)


class Readers:
    """Knows the servers by `env`; keeps the clients in `folder`."""

    def __init__(self, env: Mapping[str, str], folder: Path) -> None:
        self._url, self._env, self._folder = env["MATRIX_HOMESERVER"], env, folder
        self._gate = asyncio.Semaphore(AT_ONCE)

    async def arrive(self, usernames: Sequence[str], two_devices: int = 5) -> list[Reader]:
        """In INDOC, with their keys published; every so many of them on two devices."""
        made = enumerate(usernames)
        return list(await asyncio.gather(*(self._arrives(name, 1 + (n % two_devices == 0)) for n, name in made)))

    async def join(self, reader: Reader, room_id: str) -> None:
        """By plain HTTP, which leaves what came for the device alone."""
        headers = {"Authorization": f"Bearer {reader.logins[0]['access_token']}"}
        async with httpx.AsyncClient(timeout=60, **LOOPBACK) as http:
            url = f"{self._url}/_matrix/client/v3/join/{quote(room_id)}"
            (await http.post(url, json={}, headers=headers)).raise_for_status()

    async def read(self, reader: Reader) -> dict[str, list[Seen]]:
        """What each of their devices shows, in all the rooms that they have joined."""
        return {login["device_id"]: await self._read(login) for login in reader.logins}

    async def _read(self, login: dict[str, Any]) -> list[Seen]:
        client = await NioRecipient.enter(self._url, login, self._store(login))
        try:
            return [seen for room in client.joined() for seen in await client.seen(room)]
        finally:
            await client.close()

    async def _arrives(self, username: str, devices: int) -> Reader:
        async with self._gate:
            first = await asyncio.to_thread(self._registered, username)
            others = [f"DEVICE{number}" for number in range(1, devices)]
            logins = [first, *[await asyncio.to_thread(log_in, self._url, first["user_id"], one) for one in others]]
            for login in logins:
                self._store(login).mkdir(parents=True)
                await (await NioRecipient.enter(self._url, login, self._store(login))).close()
            await self._into_indoc(first["user_id"])
            return Reader(username, first["user_id"], logins)

    def _registered(self, username: str) -> dict[str, Any]:
        with httpx.Client(base_url=self._url, timeout=60, **LOOPBACK) as http:
            secret = self._env["SYNAPSE_REGISTRATION_SECRET"]
            return register(http, secret, username, PASSWORD, device_id="DEVICE0")

    async def _into_indoc(self, user_id: str) -> None:
        """The admin API's join knows no limiter."""
        headers = {"Authorization": f"Bearer {self._env['MATRIX_ACCESS_TOKEN']}"}
        async with httpx.AsyncClient(timeout=60, **LOOPBACK) as http:
            url = f"{self._url}/_synapse/admin/v1/join/{quote(self._env['MATRIX_INDOC_ROOM_ID'])}"
            (await http.post(url, json={"user_id": user_id}, headers=headers)).raise_for_status()

    def _store(self, login: dict[str, Any]) -> Path:
        return self._folder / f"{login['user_id'].partition(':')[0].lstrip('@')}-{login['device_id']}"
