"""Newcomers by the hundred: in INDOC by Synapse's own admin API, enrolled through Authentik's flow."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import httpx

from local import sample
from local.homeserver_setup import registration
from local.loopback import LOOPBACK
from shared.domain.members import suggested_username

PATIENCE = 60
"""Tries of an admin who meets a fault: the next moment may be better."""


def usernames(count: int) -> list[str]:
    """Unlike each other, and unlike those of any other call on the same homeserver."""
    made: dict[str, None] = {}
    while len(made) < count:
        made[suggested_username(f"soak{secrets.token_hex(4)}", secrets.randbits(48))] = None
    return list(made)


class Crowd:
    """Knows the servers by `env`; at most `at_once` of them at a time."""

    def __init__(self, env: Mapping[str, str], at_once: int = 4) -> None:
        self.env, self._gate = env, asyncio.Semaphore(at_once)

    def matrix_id(self, username: str) -> str:
        return f"@{username}:{self.env['MATRIX_DOMAIN']}"

    async def arrive(self, usernames: Sequence[str]) -> None:
        """Everybody has an account on the homeserver and is in INDOC. The admin API's join knows no limiter."""
        headers = {"Authorization": f"Bearer {self.env['MATRIX_ACCESS_TOKEN']}"}
        base = self.env["MATRIX_HOMESERVER"]
        async with httpx.AsyncClient(base_url=base, headers=headers, timeout=60, **LOOPBACK) as http:
            await asyncio.gather(*(self._arrives(http, username) for username in usernames))

    async def _arrives(self, http: httpx.AsyncClient, username: str) -> None:
        indoc = quote(self.env["MATRIX_INDOC_ROOM_ID"])
        async with self._gate:
            path = "/_synapse/admin/v1/register"
            nonce = (await http.get(path)).raise_for_status().json()["nonce"]
            secret, password = self.env["SYNAPSE_REGISTRATION_SECRET"], secrets.token_urlsafe(12)
            (await http.post(path, json=registration(secret, nonce, username, password))).raise_for_status()
            join = {"user_id": self.matrix_id(username)}
            (await http.post(f"/_synapse/admin/v1/join/{indoc}", json=join)).raise_for_status()

    async def invite(self, rooms: list[str], uses: int) -> str:
        """A link that leads to Authentik itself. The key makes trying again safe."""
        key = secrets.token_hex(8)
        body = {"label": "The soak", "rooms": rooms, "expires_in_hours": 24, "max_uses": uses}
        async with sample.api(self.env) as client:
            for _ in range(PATIENCE):
                try:
                    answer = await client.post("/api/invites", json=body, headers={"Idempotency-Key": key})
                    if answer.is_success:
                        return self._direct(answer.json()["link"])
                except httpx.HTTPError:
                    pass  # it is being killed just now
                await asyncio.sleep(0.5)
        raise TimeoutError(f"no invite after {PATIENCE} tries")

    def _direct(self, link: str) -> str:
        """Muster knows Authentik by the proxy's address; members do not."""
        return f"{self.env['AUTHENTIK_URL']}/if/flow/{link.partition('/if/flow/')[2]}"

    async def enroll(self, link: str, usernames: Sequence[str]) -> None:
        async def one(username: str) -> None:
            async with self._gate:
                await sample.enroll(link, username)

        await asyncio.gather(*map(one, usernames))


async def onboardings(env: Mapping[str, str]) -> list[dict[str, Any]]:
    """All of them with their steps, as the admin API has them; `listed`: the state that the list has for them."""
    async with sample.api(env) as client:
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            page = await client.get("/api/onboardings", params={"limit": 200} | ({"cursor": cursor} if cursor else {}))
            said = page.raise_for_status().json()
            for item in said["items"]:
                one = (await client.get(f"/api/onboardings/{item['id']}")).raise_for_status().json()
                found.append(one | {"listed": item["state"]})
            cursor = said["next_cursor"]
            if cursor is None:
                return found
