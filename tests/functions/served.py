"""The real entry points, served by the framework, on the fakes of `tests.world` and real settings."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import httpx
from functions_framework.aio import create_asgi_app
from standardwebhooks.webhooks import Webhook

from shared.adapters.sqlite import SqliteDocuments
from shared.ports import Document, Page, Query, Task, Write
from shared.settings import Settings
from shared.wiring import Wiring
from tests.fakes.chat import FakeChat
from tests.fakes.directory import FakeDirectory
from tests.fakes.task_queue import FakeTaskQueue
from tests.functions.tokens import CLIENT_ID, SCHEDULER_ACCOUNT, TASKS_ACCOUNT, TASKS_URL, Issuer
from tests.world import DOMAIN, World

SOURCE = str(Path(__file__).parents[2] / "main.py")
API_KEY = "mk-0f9d27b3a1c64e58"
OTHER_API_KEY = "mk-77aa01c2e3f44b56"
SIGNING_SECRET = "whsec_" + base64.b64encode(b"a newer secret of the webhook").decode()
PLAIN_SECRET = "an older secret which is no base64!"
PLANTED = {
    "AUTHENTIK_API_TOKEN": "ak-token-5b1f8d",
    "MATRIX_ACCESS_TOKEN": "syt_token_91c2aa",
    "MATRIX_PASSWORD": "matrix-password-c0ffee",
    "MATRIX_RECOVERY_KEY": "EsTc-recovery-key-d00d",
}
"""Secrets that no log, answer or problem may ever show."""

DIRECTORY_READS = set(
    "account account_named account_marked accounts groups find_invitation enrolled_by_flow check".split()
)
CHAT_READS = set(
    "whoami resolve membership has_profile power is_encrypted find_sent joined_rooms room rooms rooms_of direct_rooms "
    "residents joined_among levels entry may_join_members unlimited members check".split()
)


class Watched(SqliteDocuments):
    """Remembers every write but those of callers' permits, so that a test can say that there was none, and what was
    read. `broken`: what every read of one document raises."""

    writes: list[Write]
    broken: Exception | None = None

    @property
    def reads(self) -> list[str]:
        found: list[str] = self.__dict__.setdefault("_reads", [])
        return found

    async def get(self, path: str) -> Document | None:
        self.reads.append(path)
        if self.broken:
            raise self.broken
        return await super().get(path)

    async def query(self, query: Query) -> Page:
        self.reads.append(query.collection)
        return await super().query(query)

    async def write(self, *writes: Write) -> list[str]:
        done = [write for write in writes if not write.path.startswith("permits/")]
        self.__dict__.setdefault("writes", []).extend(done)
        return await super().write(*writes)


class Beats:
    """`held`: a stream goes on only when a test releases `next`."""

    def __init__(self) -> None:
        self.held, self.next = False, asyncio.Semaphore(0)


class ServedWiring(Wiring):
    """The wiring of production with the fakes as its ports; it asks for the settings as the real one does."""

    def __init__(self, settings: Settings, world: World, beats: Beats) -> None:
        super().__init__(settings)
        self.world, self.beats = world, beats

    async def pause(self, seconds: float, unless: asyncio.Future[Any]) -> bool:
        """Takes no time, but lets that of the world pass; where a test holds the beats, it waits for the next."""
        if self.beats.held:
            beat = asyncio.ensure_future(self.beats.next.acquire())
            await asyncio.wait({unless, beat}, return_when=asyncio.FIRST_COMPLETED)
            beat.cancel()
        self.world.pause(seconds=seconds)
        return await super().pause(0, unless)

    def now(self) -> datetime:
        return self.world.now()

    def chance(self) -> int:
        return self.world.chance()

    @property
    def documents(self) -> SqliteDocuments:  # type: ignore[override]
        self.settings.require("store")
        return self._watched("documents", self.world.documents)

    @property
    def queue(self) -> FakeTaskQueue:  # type: ignore[override]
        self.settings.require("tasks")
        return self._watched("tasks", self.world.queue)

    async def directory(self) -> FakeDirectory:  # type: ignore[override]
        self.settings.require("authentik")
        return self._watched("authentik", self.world.authentik)

    async def chat(self) -> FakeChat:  # type: ignore[override]
        self.settings.require("matrix")
        return self._watched("matrix", self.world.homeserver)

    async def watcher(self) -> FakeChat | None:  # type: ignore[override]
        return await self.world.watcher()


def environment(issuer: Issuer, indoc: str = "") -> dict[str, str]:
    """Complete settings."""
    return PLANTED | {
        "MUSTER_ENV": "local",
        "MUSTER_STORE": "sqlite",
        "AUTHENTIK_URL": "https://auth.example.test",
        "AUTHENTIK_WEBHOOK_SECRETS": f"{SIGNING_SECRET},{PLAIN_SECRET}",
        "AUTHENTIK_ISSUER": issuer.authentik,
        "AUTHENTIK_CLIENT_ID": CLIENT_ID,
        "ADMIN_GROUP": "muster-admins",
        "ADMIN_API_KEYS": f"{key_entry('ops', API_KEY)}, {key_entry('script', OTHER_API_KEY)}",
        "MATRIX_HOMESERVER": "https://matrix.example.test",
        "MATRIX_USER_ID": f"@muster:{DOMAIN}",
        "MATRIX_DOMAIN": DOMAIN,
        "MATRIX_INDOC_ROOM_ID": indoc,
        "TASKS_SERVICE_ACCOUNT": TASKS_ACCOUNT,
        "SCHEDULER_SERVICE_ACCOUNT": SCHEDULER_ACCOUNT,
        "TASKS_URL_TEMPLATE": TASKS_URL,
        "TASKS_OIDC_ISSUER": issuer.google,
        "TASKS_OIDC_JWKS": f"{issuer.base}/google/jwks/",
    }


def key_entry(name: str, api_key: str) -> str:
    return f"{name}:{hashlib.sha256(api_key.encode()).hexdigest()}"


@cache
def application(target: str) -> Any:
    """As `functions-framework --target NAME` makes it."""
    return create_asgi_app(target, SOURCE)


class Service:
    """One deployment. `env` may be changed until the first request that reads it."""

    def __init__(self, world: World, issuer: Issuer, indoc: str = "") -> None:
        self.world, self.issuer = world, issuer
        self.env = environment(issuer, indoc)
        self.beats = Beats()
        self.shown: list[str] = []
        """Secrets that were handed out, or that callers came with."""

    def wire(self, _: Settings) -> ServedWiring:
        """For `shared.wiring.factory`."""
        return ServedWiring(Settings(self.env), self.world, self.beats)

    def client(self, target: str, token: str = "") -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        transport = httpx.ASGITransport(application(target), client=("192.0.2.7", 4711))
        return httpx.AsyncClient(transport=transport, base_url="http://muster.test", headers=headers)

    async def send(self, target: str, method: str, path: str, token: str = "", **more: Any) -> httpx.Response:
        """One request; `json` may hold anything that Python writes as JSON, halves of characters and NaN too."""
        if token:
            self.shown.append(token)
        if "json" in more:
            more["content"] = json.dumps(more.pop("json"))
            more["headers"] = {"Content-Type": "application/json"} | dict(more.get("headers", {}))
        async with self.client(target, token) as client:
            answer = await client.request(method, path, **more)
        if answer.content and answer.headers.get("content-type") == "application/json":
            self.shown += _one_time(answer.json())
        return answer

    async def api(self, method: str, path: str, **more: Any) -> httpx.Response:
        """As an admin with an API key."""
        return await self.send("admin", method, path, more.pop("token", API_KEY), **more)

    async def hook(self, body: Any, headers: Mapping[str, str] | None = None) -> httpx.Response:
        """As Authentik, signed unless `headers` say otherwise."""
        raw = body if isinstance(body, bytes) else json.dumps(body, allow_nan=False).encode()
        sent = {"Content-Type": "application/json", **(signed(raw) if headers is None else headers)}
        return await self.send("enrollment_webhook", "POST", "/hooks/authentik", content=raw, headers=sent)

    async def task(self, entry_point: str, payload: Any, token: str | None = None, **more: Any) -> httpx.Response:
        """As Cloud Tasks."""
        bearer = self.issuer.task(entry_point) if token is None else token
        return await self.send(entry_point, "POST", "/", bearer, json=payload, **more)

    async def deliver(self, task: Task) -> httpx.Response:
        headers = {"traceparent": task.traceparent} if task.traceparent else {}
        return await self.task(task.entry_point, dict(task.payload), headers=headers)

    async def work(self, rounds: int = 50) -> None:
        """Delivers due tasks through their entry points until none is left; each must end."""
        for _ in range(rounds):
            due = self.world.queue.take(self.world.now())
            if not due:
                return
            for task in due:
                answer = await self.deliver(task)
                assert answer.status_code == 200, (task, answer.text)
        raise AssertionError("the queue never came to rest")

    def acts(self) -> dict[str, list[Any]]:
        """Whatever was done to the world so far; reads are left out."""
        return {
            "authentik": [name for name in self.world.authentik.calls if name not in DIRECTORY_READS],
            "matrix": [call for call in self.world.homeserver.calls if call[0] not in CHAT_READS],
            "documents": list(getattr(self.world.documents, "writes", [])),
            "tasks": sorted(self.world.queue.used),
        }

    async def audit(self, action: str) -> list[dict[str, Any]]:
        found = await self.world.documents.query(Query("audit", [("action", "==", action)], limit=200))
        return [item.data for item in found.items]

    async def stored(self, collection: str) -> list[Document]:
        return list((await self.world.documents.query(Query(collection, limit=200))).items)

    @property
    def secrets(self) -> set[str]:
        """Everything that must not show in a log."""
        fixed = {API_KEY, OTHER_API_KEY, SIGNING_SECRET, PLAIN_SECRET, *PLANTED.values()}
        return fixed | set(self.shown) | set(self.world.authentik.passwords.values())


def _one_time(answer: Any) -> list[str]:
    fields = ("recovery_link", "temporary_password")
    return [answer[name] for name in fields if isinstance(answer, dict) and answer.get(name)]


def signed(raw: bytes, secret: str | bytes = SIGNING_SECRET, age: timedelta = timedelta(0)) -> dict[str, str]:
    """The headers of Standard Webhooks, by their own library."""
    at = datetime.now(UTC) - age
    signature = Webhook(secret).sign("msg_1", at, raw.decode())
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": signature,
    }


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    """Asserts that the answer is a problem document of that status; answers its content."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["status"] == status
    assert body["type"].startswith("urn:muster:problem:")
    assert body["title"]
    assert body["detail"]
    assert isinstance(body["fix"], str)
    return body


def names(body: Mapping[str, Any]) -> list[str]:
    """The fields that a problem document names."""
    assert all(entry["message"] for entry in body["errors"])
    return [entry["field"] for entry in body["errors"]]


async def walk(service: Service, path: str, limit: int, **params: Any) -> list[dict[str, Any]]:
    """Every item of a list, page by page, while time goes on."""
    items: list[dict[str, Any]] = []
    cursor: str | None = None
    for _ in range(200):
        query = params | {"limit": limit} | ({"cursor": cursor} if cursor else {})
        answer = await service.api("GET", path, params=query)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert len(page["items"]) <= limit
        items += page["items"]
        cursor = page["next_cursor"]
        service.world.pause(milliseconds=10)
        if cursor is None:
            return items
    raise AssertionError("the list has no end")
