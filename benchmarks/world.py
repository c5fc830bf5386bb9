"""The embedded stack as a benchmark needs it: rooms and members by the hundred, and no Muster but the one measured."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import hashlib
import hmac
import json
import secrets
import tempfile
import time
from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx

from benchmarks.common import Ask, environment
from local.homeserver_setup import register
from local.loopback import LOOPBACK
from local.stack import Stack
from shared.domain.invites import ATTRIBUTE
from shared.ports import Account, Finding, Task
from shared.services import invites
from shared.services.context import Actor
from shared.settings import Settings
from shared.wiring import Wiring

T = TypeVar("T")
BENCH = Actor("benchmark")
SIDE_BY_SIDE = 8


class NoQueue:
    """Takes tasks and starts nothing: the benchmark runs the steps itself."""

    async def enqueue(self, *tasks: Task) -> int:
        return len(tasks)

    async def check(self) -> list[Finding]:
        return []

    async def close(self) -> None: ...


class Hands(Wiring):
    """The benchmark's own hands on the running stack: everything real but the queue."""

    queue = NoQueue()


@dataclass(frozen=True)
class Person:
    """Somebody with an account in Authentik and one on the homeserver. `token`: of their own Matrix client."""

    account: Account
    matrix_id: str
    token: str


class World:
    """The stack without its app, which the benchmark replaces by what it measures.

    `more`: settings that differ from the stack's. Use it within one event loop."""

    def __init__(self, **more: str) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="muster-bench-")
        self.path = Path(self._folder.name)
        self.stack = Stack(self.path / "stack", {"MUSTER_FREE_PORTS": "1", **more})

    def __enter__(self) -> Self:
        try:
            self.stack.start()
        except BaseException:
            self._folder.cleanup()
            raise
        self.stack.kill("app")
        self.env = self.stack.env
        self.indoc = self.env["MATRIX_INDOC_ROOM_ID"]
        self.sample_rooms = [str(room["room_id"]) for room in json.loads(self.env["ROOMS"])]
        self.made_rooms: list[str] = []
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.stop()
        self._folder.cleanup()

    def but(self, **more: str) -> World:
        """The same stack and rooms, with these settings for what is started from now on."""
        other = copy.copy(self)
        other.env = self.env | more
        return other

    def settings(self, **more: str) -> dict[str, str]:
        return environment(self.env | more)

    def hands(self, **more: str) -> Hands:
        return Hands(Settings(self.env | more))

    # ------------------------------------------------------------------ Matrix

    def matrix(self, token: str = "", **options: Any) -> httpx.AsyncClient:
        """The homeserver's client API, as the bot or as whoever holds the token."""
        headers = {"Authorization": f"Bearer {token or self.env['MATRIX_ACCESS_TOKEN']}"}
        at = self.env["MATRIX_HOMESERVER"]
        return httpx.AsyncClient(base_url=at, headers=headers, timeout=60, **LOOPBACK, **options)

    async def rooms(self, count: int) -> list[str]:
        """That many rooms of the bot, made where there are too few."""
        missing = count - len(self.sample_rooms) - len(self.made_rooms)
        async with self.matrix() as client:

            async def make(number: int) -> str:
                name = f"Room {len(self.made_rooms)}-{number}"
                answer = await client.post("/_matrix/client/v3/createRoom", json={"name": name})
                return str(answer.raise_for_status().json()["room_id"])

            self.made_rooms += await side_by_side([partial(make, number) for number in range(missing)])
        return [*self.sample_rooms, *self.made_rooms][:count]

    async def joined(self) -> int:
        async with self.matrix() as client:
            return len((await client.get("/_matrix/client/v3/joined_rooms")).raise_for_status().json()["joined_rooms"])

    # ------------------------------------------------------------------ people

    async def invited(self, hands: Hands, rooms: Sequence[str]) -> str:
        """A new invite for one person; answers its id."""
        wanted = invites.Wanted(label="A benchmark", rooms=tuple(rooms))
        return (await invites.create(hands, BENCH, wanted))[0].id

    async def person(self, hands: Hands, invite: str = "", *, indoc: bool = True) -> Person:
        """Somebody new who has come in by this invite and stands in INDOC; no webhook tells of it."""
        username = f"bench-{secrets.token_hex(5)}"
        matrix_id, token = await asyncio.to_thread(self._registered, username)
        if indoc:
            async with self.matrix(token) as client:
                (await client.post(f"/_matrix/client/v3/join/{quote(self.indoc)}", json={})).raise_for_status()
        account = await (await hands.directory()).create_account(
            username=username, name="A Benchmark", email="", attributes={ATTRIBUTE: invite} if invite else {}
        )
        return Person(account, matrix_id, token)

    def _registered(self, username: str) -> tuple[str, str]:
        with httpx.Client(base_url=self.env["MATRIX_HOMESERVER"], timeout=60, **LOOPBACK) as http:
            said = register(http, self.env["SYNAPSE_REGISTRATION_SECRET"], username, secrets.token_urlsafe(12))
        return said["user_id"], said["access_token"]

    def webhook(self, account: Account, event_id: str = "") -> Ask:
        """As our mapping in Authentik sends it, signed now."""
        user = {"pk": account.pk, "username": account.username}
        body = {"event_id": event_id or secrets.token_hex(16), "action": "user_write", "app": "", "user": user}
        body |= {"context": {"created": True, "username": account.username}}
        raw = json.dumps(body).encode()
        return Ask("POST", "/hooks/authentik", self._signed(str(body["event_id"]), raw), raw)

    def _signed(self, event_id: str, raw: bytes) -> dict[str, str]:
        """Standard Webhooks; the stack's secret is base64 behind its prefix."""
        key = b64decode(self.env["AUTHENTIK_WEBHOOK_SECRETS"].split(",")[0].removeprefix("whsec_"))
        stamp = str(int(time.time()))
        signature = b64encode(hmac.new(key, f"{event_id}.{stamp}.".encode() + raw, hashlib.sha256).digest()).decode()
        said = {"webhook-id": event_id, "webhook-timestamp": stamp, "Content-Type": "application/json"}
        return said | {"webhook-signature": f"v1,{signature}"}

    # ------------------------------------------------------------------ tasks

    async def invoker_token(self, audience: str, email: str = "") -> str:
        """An OIDC token as Cloud Tasks has them, from the local dispatcher."""
        body = {"audience": audience, "email": email or self.env["TASKS_SERVICE_ACCOUNT"]}
        async with httpx.AsyncClient(timeout=30, **LOOPBACK) as client:
            answer = await client.post(f"{self.env['TASKS_OIDC_ISSUER']}/token", json=body)
        return str(answer.raise_for_status().json()["token"])

    async def task(self, entry_point: str, payload: dict[str, Any]) -> Ask:
        """A step's task, as the dispatcher sends it."""
        audience = self.env["TASKS_URL_TEMPLATE"].format(entry_point=entry_point)
        headers = {"Authorization": f"Bearer {await self.invoker_token(audience)}", "Content-Type": "application/json"}
        return Ask("POST", "/", headers, json.dumps(payload).encode())


async def side_by_side(makers: Iterable[Callable[[], Awaitable[T]]], at_once: int = SIDE_BY_SIDE) -> list[T]:
    gate = asyncio.Semaphore(at_once)

    async def one(make: Callable[[], Awaitable[T]]) -> T:
        async with gate:
            return await make()

    return list(await asyncio.gather(*map(one, makers)))


@contextlib.contextmanager
def standing(world: World | None, **more: str) -> Iterator[World]:
    """A world with these settings: on the stack of one that stands already, or with a stack of its own."""
    if world:
        yield world.but(**more)
        return
    with World(**more) as own:
        yield own
