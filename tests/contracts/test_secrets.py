"""What `Secrets` promises: the real client against a loopback server built on its own message types."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Self

import grpc
import pytest
from google.cloud import secretmanager_v1 as api

from shared.adapters.secret_manager import SecretManagerSecrets
from shared.domain.errors import Misconfigured, Unreachable

NAME = "projects/muster-test/secrets/webhook/versions/latest"


class SecretServer:
    """Answers AccessSecretVersion from `values`, or with `code`, and counts."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {NAME: b"s3cret-value"}
        self.code: grpc.StatusCode | None = None
        self.reads = 0
        self.asked = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._server = grpc.aio.server()
        method = grpc.unary_unary_rpc_method_handler(
            self._access,
            request_deserializer=api.AccessSecretVersionRequest.deserialize,
            response_serializer=api.AccessSecretVersionResponse.serialize,
        )
        service = "google.cloud.secretmanager.v1.SecretManagerService"
        methods = {"AccessSecretVersion": method}
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, methods),))
        self.endpoint = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        await self._server.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.stop(0)

    async def _access(self, request: Any, context: Any) -> Any:
        self.reads += 1
        self.asked.set()
        if self.code is not None:
            await context.abort(self.code, "no")
        if request.name not in self.values:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such secret")
        return api.AccessSecretVersionResponse(name=request.name, payload={"data": self.values[request.name]})


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def server() -> AsyncIterator[SecretServer]:
    async with SecretServer() as running:
        yield running


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def secrets(server: SecretServer, clock: Clock) -> AsyncIterator[SecretManagerSecrets]:
    adapter = SecretManagerSecrets(server.endpoint, refresh_seconds=300, clock=clock)
    yield adapter
    await adapter.close()


async def test_remembers_a_value(secrets: SecretManagerSecrets, server: SecretServer, clock: Clock) -> None:
    """A secret is read once per refresh interval, and a new value is seen after it."""
    assert await secrets.read(NAME) == "s3cret-value"
    server.values[NAME] = b"rotated"
    clock.now = 299
    assert await secrets.read(NAME) == "s3cret-value"
    clock.now = 300
    assert await secrets.read(NAME) == "rotated"
    assert server.reads == 2


async def test_many_readers_at_once(secrets: SecretManagerSecrets, server: SecretServer) -> None:
    """Readers who come at the same instant share one call."""
    assert await asyncio.gather(*(secrets.read(NAME) for _ in range(20))) == ["s3cret-value"] * 20
    assert server.reads == 1


@pytest.mark.parametrize("code", [grpc.StatusCode.INTERNAL, grpc.StatusCode.PERMISSION_DENIED])
async def test_the_old_value_serves_on(
    secrets: SecretManagerSecrets, server: SecretServer, clock: Clock, code: grpc.StatusCode
) -> None:
    """When reading anew fails, the old value serves on, the next try is a while later, and then the new one counts."""
    await secrets.read(NAME)
    server.code, clock.now = code, 1000
    for _ in range(3):
        assert await secrets.read(NAME) == "s3cret-value"
    assert server.reads == 2
    server.code, server.values[NAME], clock.now = None, b"rotated", 1031
    assert await secrets.read(NAME) == "rotated"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (grpc.StatusCode.NOT_FOUND, "does not exist"),
        (grpc.StatusCode.PERMISSION_DENIED, "may not be read"),
        (grpc.StatusCode.FAILED_PRECONDITION, "disabled or destroyed"),
        (grpc.StatusCode.UNAUTHENTICATED, "credentials"),
    ],
)
async def test_what_a_person_must_mend(
    secrets: SecretManagerSecrets, server: SecretServer, code: grpc.StatusCode, words: str
) -> None:
    """A secret that is missing or refused is a fault of the settings, with its name and a fix."""
    server.code = code
    with pytest.raises(Misconfigured, match=f"webhook .*{words}") as caught:
        await secrets.read(NAME)
    assert caught.value.fix


async def test_an_outage_passes(secrets: SecretManagerSecrets, server: SecretServer) -> None:
    """Without a remembered value an outage is unreachable, and the next read tries again."""
    server.code = grpc.StatusCode.INTERNAL
    with pytest.raises(Unreachable):
        await secrets.read(NAME)
    server.code = None
    assert await secrets.read(NAME) == "s3cret-value"


async def test_a_short_outage_is_not_noticed(secrets: SecretManagerSecrets, server: SecretServer) -> None:
    """A call that meets an unavailable server is tried again."""
    server.code = grpc.StatusCode.UNAVAILABLE
    reading = asyncio.create_task(secrets.read(NAME))
    await server.asked.wait()
    server.code = None
    assert await reading == "s3cret-value"


async def test_a_line_break_at_the_end(secrets: SecretManagerSecrets, server: SecretServer) -> None:
    """The line break that `echo` leaves is not part of a secret, blanks are."""
    server.values[NAME] = b" pass word \r\n"
    assert await secrets.read(NAME) == " pass word "


@pytest.mark.parametrize("name", ["", "webhook", "projects/p/secrets/s", "projects/p/secrets/s/versions/1/more"])
async def test_a_malformed_name(secrets: SecretManagerSecrets, server: SecretServer, name: str) -> None:
    """A name of another shape never leaves the process."""
    with pytest.raises(Misconfigured):
        await secrets.read(name)
    assert server.reads == 0


async def test_bytes_that_are_no_text(secrets: SecretManagerSecrets, server: SecretServer) -> None:
    """A binary secret is refused in words, without its value."""
    server.values[NAME] = b"\xff\xfe"
    with pytest.raises(Misconfigured, match="is not text"):
        await secrets.read(NAME)
