"""Welcomes that can be read, on the whole stack: real Synapse, real tasks, the members' own clients."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from local import sample
from local.homeserver_setup import register
from local.loopback import LOOPBACK
from local.stack import Stack
from local.surroundings import given
from shared.domain.members import suggested_username
from tests.conftest import StackData
from tests.end_to_end.conftest import SQLITE
from tests.end_to_end.recipients.nio_client import NioRecipient
from tests.end_to_end.recipients.node_client import NodeAbsent, NodeRecipient, install

pytestmark = pytest.mark.stack
STORE = SQLITE
MEMBERS = int(os.environ.get("MUSTER_ENCRYPTED_MEMBERS", "10"))
"""By hand more: MUSTER_ENCRYPTED_MEMBERS=40 scripts/test tests/end_to_end/test_encrypted_welcome.py"""
Json = dict[str, Any]
Come = Callable[..., Awaitable[Any]]


@pytest.fixture(scope="module")
def sealed(request: pytest.FixtureRequest, stack_data: StackData) -> Iterator[Stack]:
    """A stack of its own, with encryption switched on; on the module's STORE."""
    own = {name: value for name, value in given(os.environ).items() if not name.startswith(("MATRIX_", "AUTHENTIK_"))}
    own |= {"MUSTER_FREE_PORTS": "1", "MATRIX_ENABLE_ENCRYPTION": "true", "WELCOME_DELAY_SECONDS": "1"}
    own |= getattr(request.module, "STORE", {})
    with Stack(stack_data("sealed"), own) as stack:
        yield stack


@pytest.fixture
async def api(sealed: Stack) -> AsyncIterator[httpx.AsyncClient]:
    async with sample.api(sealed.env) as client:
        yield client


def registered(stack: Stack, username: str) -> Json:
    """A Matrix account with one device; the keys of that device are for a client to publish."""
    with httpx.Client(base_url=stack.env["MATRIX_HOMESERVER"], timeout=60, **LOOPBACK) as http:
        secret = stack.env["SYNAPSE_REGISTRATION_SECRET"]
        return dict(register(http, secret, username, secrets.token_urlsafe(12), device_id="PHONE"))


async def enrolled(stack: Stack, api: httpx.AsyncClient, usernames: list[str]) -> None:
    rooms = [json.loads(stack.env["ROOMS"])[0]["room_id"]]
    link = (await sample.invite(api, rooms, max_uses=len(usernames)))["link"]
    for username in usernames:
        await sample.enroll(link, username)


async def of(api: httpx.AsyncClient, username: str) -> Json:
    users = (await api.get("/api/users", params={"q": username})).json()["items"]
    found: Json = (await api.get(f"/api/onboardings/{users[0]['onboarding']}")).json()
    return found


async def until(ask: Callable[[], Awaitable[Any]], holds: Callable[[Any], bool], seconds: float = 90) -> Any:
    answer: Any = None
    for _ in range(int(seconds / 0.5)):
        answer = await ask()
        if holds(answer):
            return answer
        await asyncio.sleep(0.5)
    raise AssertionError(f"still not so: {json.dumps(answer, default=str)[:3000]}")


def step(name: str, state: str) -> Callable[[Json], bool]:
    return lambda found: bool(found.get("steps", {}).get(name, {}).get("state") == state)


async def bodies(client: Any, room: str) -> list[str | None]:
    return [seen.body and seen.body.split(",")[0].split(" ")[0] for seen in await client.seen(room)]


async def test_every_member_reads_hello_and_welcome_once(sealed: Stack, api: httpx.AsyncClient, tmp_path: Path) -> None:
    """So many members at once: each reads both messages with their own client, once."""
    names = [suggested_username("sealed", secrets.randbits(40)) for _ in range(MEMBERS)]
    clients = {}
    for name in names:
        (tmp_path / name).mkdir()
        login = registered(sealed, name)
        clients[name] = await NioRecipient.enter(sealed.env["MATRIX_HOMESERVER"], login, tmp_path / name)
        await clients[name].join(sealed.env["MATRIX_INDOC_ROOM_ID"])
    try:
        await enrolled(sealed, api, names)
        for name in names:
            found = await until(lambda name=name: of(api, name), step("hello", "done"), 150)  # type: ignore[misc]
            assert found["steps"]["hello"]["result"]["encrypted"] is True
            assert found["steps"]["hello"]["result"]["readable"].startswith("readable on 1 device")
            await clients[name].join(found["steps"]["hello"]["result"]["room_id"])
        for name in names:
            found = await until(lambda name=name: of(api, name), step("welcome", "done"), 150)  # type: ignore[misc]
            assert await bodies(clients[name], found["steps"]["hello"]["result"]["room_id"]) == ["Hello", "Welcome"]
    finally:
        for client in clients.values():
            await client.close()


async def test_who_logs_in_later_reads_it_then(sealed: Stack, api: httpx.AsyncClient, tmp_path: Path) -> None:
    """A member without a device gets nothing unreadable: the hello waits, and goes out once they have one."""
    name = suggested_username("late", secrets.randbits(40))
    await enrolled(sealed, api, [name])
    waiting = await until(lambda: of(api, name), step("hello", "waiting"))
    assert "no device yet" in waiting["steps"]["hello"]["cause"]
    client = await NioRecipient.enter(sealed.env["MATRIX_HOMESERVER"], registered(sealed, name), tmp_path)
    try:
        found = await until(lambda: of(api, name), step("hello", "done"), 60)
        room = found["steps"]["hello"]["result"]["room_id"]
        await client.join(room)
        await until(lambda: of(api, name), step("welcome", "done"), 60)
        assert await bodies(client, room) == ["Hello", "Welcome"]
    finally:
        await client.close()


async def test_the_clients_own_crypto_shows_no_shield(sealed: Stack, api: httpx.AsyncClient) -> None:
    """The Rust crypto of the usual clients, excluding devices that their owner has not signed, reads both without a shield."""
    try:
        install()
    except NodeAbsent as absent:
        pytest.skip(str(absent))
    name = suggested_username("rust", secrets.randbits(40))
    client = await NodeRecipient.enter(
        sealed.env["MATRIX_HOMESERVER"], registered(sealed, name), sign=True, only_signed=True
    )
    try:
        await client.join(sealed.env["MATRIX_INDOC_ROOM_ID"])
        await enrolled(sealed, api, [name])
        found = await until(lambda: of(api, name), step("hello", "done"), 60)
        [device] = found["steps"]["hello"]["result"]["devices"]
        assert device["verified"] is True
        room = found["steps"]["hello"]["result"]["room_id"]
        await client.join(room)
        await until(lambda: of(api, name), step("welcome", "done"), 60)
        seen = await client.seen(room)
        assert [one.body.split(",")[0].split(" ")[0] for one in seen if one.body] == ["Hello", "Welcome"]
        assert {one.shield for one in seen} == {"none"}
    finally:
        await client.close()
