"""The bot's own hands during set-up: which rooms it is in or may enter, entering them, and its limits.

The limits are Synapse's own and its admin API's: the bot may see and lift them when it is a server admin, else a
server admin's token does, which is held for this one run.
"""

from __future__ import annotations

import json
from secrets import token_hex
from typing import Any, Literal
from urllib.parse import quote

from shared.adapters.matrix import MatrixChat
from shared.adapters.matrix_check import UNLIMITED, give_power
from shared.adapters.matrix_client import ADMIN, CLIENT, connect, path_of
from shared.domain.errors import NotFound, Refused

Way = Literal["inside", "invited", "public", "closed"]


class BotHands(MatrixChat):
    """`admin_token`: a server admin's, "" when there is none."""

    def __init__(
        self,
        homeserver: str,
        access_token: str,
        user_id: str,
        ca_bundle: str | None = None,
        verify: bool = True,
        timeout: float = 15.0,
        admin_token: str = "",
    ) -> None:
        super().__init__(homeserver, access_token, user_id, ca_bundle, verify, timeout)
        self._homeserver = homeserver.rstrip("/")
        self._admin = connect(homeserver, admin_token, user_id, ca_bundle, verify, timeout) if admin_token else None

    async def close(self) -> None:
        await super().close()
        if self._admin is not None:
            await self._admin.close()

    # ------------------------------------------------------------------ rooms

    async def way_into(self, room_id: str) -> Way:
        if room_id in await self.joined_rooms():
            return "inside"
        if room_id in await self._invited():
            return "invited"
        return "public" if await self._is_public(room_id) else "closed"

    async def _invited(self) -> set[str]:
        """By a sync without a beginning, which takes nothing away from the reader of this device."""
        query = f"?timeout=0&filter={quote(json.dumps(_invites_only()))}"
        said = (await self.client.call("GET", path_of(CLIENT, "sync") + query)).data
        return set((said.get("rooms") or {}).get("invite") or ())

    async def _is_public(self, room_id: str) -> bool:
        try:
            path = path_of("/_matrix/client/v1/room_summary", room_id)
            return (await self.client.call("GET", path)).data.get("join_rule") == "public"
        except (Refused, NotFound):
            return False

    async def join(self, room_id: str) -> None:
        """Again is fine."""
        await self.client.call("POST", path_of(CLIENT, "join", room_id), {})

    def how_to_raise(self, room_id: str, name: str, level: int) -> str:
        """For a person: in the room, or by a server admin. The path is quoted, so it can be pasted into a shell."""
        path, body = path_of(ADMIN, "rooms", room_id, "make_room_admin"), {"user_id": self.user_id}
        return f"{give_power(name, self.user_id, level)} Or a server admin runs: {self._curl(path, body)}"

    # ------------------------------------------------------------------ limits

    async def unlimited(self) -> bool | None:
        """None: neither the bot nor the admin's token may look."""
        try:
            said = (await (self._admin or self.client).call("GET", self._override)).data
        except (Refused, NotFound):
            return None
        return bool(said.get("messages_per_second") == 0)

    async def lift_limits(self) -> None:
        await (self._admin or self.client).call("POST", self._override, UNLIMITED)

    def how_to_lift(self) -> str:
        return f"A server admin runs: {self._curl(self._override, UNLIMITED)}"

    @property
    def _override(self) -> str:
        return path_of(ADMIN, "users", self.user_id, "override_ratelimit")

    def _curl(self, path: str, body: object) -> str:
        """The token is the admin's to put in, by a variable of their shell."""
        head = 'curl -fsS -H "Authorization: Bearer $SERVER_ADMIN_TOKEN"'
        return f"{head} -d '{json.dumps(body)}' '{self._homeserver}{path}'"


def _invites_only() -> dict[str, Any]:
    """Never the same twice: Synapse answers a sync that it has seen from its cache for two minutes."""
    room = {"timeline": {"limit": 0}, "state": {"types": [f"muster.look.{token_hex(8)}"]}, "ephemeral": {"types": []}}
    return {"room": room, "presence": {"types": []}, "account_data": {"types": []}}
