"""mautrix-signal's bot on a real homeserver, with puppets: it answers what the bot of Muster asks it in its management room."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import httpx

from local.homeserver_setup import register
from local.loopback import LOOPBACK
from local.stack import DOMAIN, Stack
from tests.fakes.signal_bridge import SignalBridge

ALIAS = f"#signal-bridge:{DOMAIN}"
Json = dict[str, Any]


class SignalBot:
    """`open`: cleared, it reads nothing, as a bridge that is down; set again it answers what was asked meanwhile."""

    def __init__(self, stack: Stack, numbers: dict[str, str]) -> None:
        self.bridge = SignalBridge(DOMAIN, numbers)
        self.open = asyncio.Event()
        self.open.set()
        self._stack, self._done = stack, set[str]()
        self._http = httpx.AsyncClient(base_url=stack.env["MATRIX_HOMESERVER"], timeout=60, **LOOPBACK)
        self._tokens = {stack.env["MATRIX_USER_ID"]: stack.env["MATRIX_ACCESS_TOKEN"]}
        self.user_id, self.room = f"@signalbot:{DOMAIN}", ""

    async def enter(self) -> None:
        """As an admin sets it up: the bot makes the room, invites the bridge's, which joins."""
        self._register(self.user_id)
        body = {"preset": "private_chat", "room_alias_name": ALIAS[1:].partition(":")[0], "invite": [self.user_id]}
        made = await self.call(self._stack.env["MATRIX_USER_ID"], "POST", "createRoom", body=body)
        self.room = made["room_id"]
        await self.call(self.user_id, "POST", f"join/{quote(self.room)}", body={})

    async def serve(self) -> None:
        while True:
            await self.open.wait()
            for event in await self.said(self.user_id, self.room):
                if event["sender"] == self._stack.env["MATRIX_USER_ID"] and event["event_id"] not in self._done:
                    self._done.add(event["event_id"])
                    await self._answer(event["content"]["body"])
            await asyncio.sleep(0.2)

    async def said(self, reader: str, room: str) -> list[Json]:
        """Messages in a room, oldest first, as this user of ours reads them."""
        only = quote(json.dumps({"types": ["m.room.message"]}))
        path = f"rooms/{quote(room)}/messages?dir=b&limit=50&filter={only}"
        return list(reversed((await self.call(reader, "GET", path))["chunk"]))

    async def _answer(self, body: str) -> None:
        plain, html = await self.bridge.answer(body, self._make)
        content = {"msgtype": "m.notice", "body": plain, "format": "org.matrix.custom.html", "formatted_body": html}
        path = f"rooms/{quote(self.room)}/send/m.room.message/{secrets.token_hex(8)}"
        await self.call(self.user_id, "PUT", path, body=content)

    async def _make(self, puppet: str, topic: str) -> str:
        """By the bridge's bot, as a direct chat; the puppet is in it, the bot of Muster is invited last."""
        self._register(puppet)
        body = {"preset": "private_chat", "is_direct": True, "topic": topic, "invite": [puppet]}
        room = str((await self.call(self.user_id, "POST", "createRoom", body=body))["room_id"])
        await self.call(puppet, "POST", f"join/{quote(room)}", body={})
        ours = {"user_id": self._stack.env["MATRIX_USER_ID"]}
        await self.call(self.user_id, "POST", f"rooms/{quote(room)}/invite", body=ours)
        return room

    def _register(self, user_id: str) -> None:
        name, secret = user_id[1:].partition(":")[0], self._stack.env["SYNAPSE_REGISTRATION_SECRET"]
        with httpx.Client(base_url=self._stack.env["MATRIX_HOMESERVER"], timeout=60, **LOOPBACK) as http:
            made = register(http, secret, name, secrets.token_urlsafe(12), device_id="BRIDGE")
        self._tokens[user_id] = made["access_token"]

    async def call(self, who: str, method: str, path: str, body: Json | None = None) -> Json:
        headers = {"Authorization": f"Bearer {self._tokens[who]}"}
        answer = await self._http.request(method, f"/_matrix/client/v3/{path}", headers=headers, json=body)
        while answer.status_code == 429:
            await asyncio.sleep(answer.json().get("retry_after_ms", 500) / 1000)
            answer = await self._http.request(method, f"/_matrix/client/v3/{path}", headers=headers, json=body)
        said: Json = answer.raise_for_status().json()
        return said

    async def close(self) -> None:
        await self._http.aclose()


@contextlib.asynccontextmanager
async def signal_bot(stack: Stack, numbers: dict[str, str]) -> AsyncIterator[SignalBot]:
    bot = SignalBot(stack, numbers)
    await bot.enter()
    serving = asyncio.create_task(bot.serve())
    try:
        yield bot
    finally:
        serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await serving
        await bot.close()
