"""What newcomers do on a stack, for whatever `stack` a test has."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest

from local import sample
from local.member import Member
from local.stack import Stack
from shared.domain.members import suggested_username

SQLITE = {"MUSTER_STORE": "sqlite"}
"""For stacks whose tests are not about the store: the emulator costs more than everything else together. The main job,
faults at every call, readability and plans have the emulator; both stores pass the same tests (tests/contracts/test_documents.py)."""

Enroll = Callable[..., Awaitable[str]]
MakeMember = Callable[..., Awaitable[Member]]


@pytest.fixture
async def api(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    """The admin API with a key that works."""
    async with sample.api(stack.env) as client:
        yield client


@pytest.fixture
def rooms(stack: Stack) -> list[str]:
    """The ids of the sample rooms."""
    return [room["room_id"] for room in json.loads(stack.env["ROOMS"])]


@pytest.fixture
def username() -> str:
    """A new one for each test."""
    return suggested_username("test", secrets.randbits(40))


@pytest.fixture
def enroll(api: httpx.AsyncClient, rooms: list[str], username: str) -> Enroll:
    """`await enroll(count=3, link="", name="", **fields)`: invites, unless a link is given, and enrolls there
    as a member does in a browser; `fields` are those of the invite. Answers the username."""

    async def enrolled(count: int = 3, link: str = "", name: str = "", **fields: Any) -> str:
        at = link or (await sample.invite(api, rooms[:count], **fields))["link"]
        await sample.enroll(at, name or username)
        return name or username

    return enrolled


@pytest.fixture
async def member(stack: Stack, username: str) -> AsyncIterator[MakeMember]:
    """`await member(name="", indoc=True)`: their own Matrix client, in INDOC if wanted; closed after the test."""
    made: list[Member] = []

    async def entered(name: str = "", *, indoc: bool = True) -> Member:
        at, secret = stack.env["MATRIX_HOMESERVER"], stack.env["SYNAPSE_REGISTRATION_SECRET"]
        client = Member.enter(at, secret, name or username, "not-a-secret")
        made.append(client)
        if indoc:
            await client.join(stack.env["MATRIX_INDOC_ROOM_ID"])
        return client

    yield entered
    for client in made:
        await client.close()
