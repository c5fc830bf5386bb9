"""Adding versions of secrets: the real client against a loopback server built on its own message types."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from google.cloud import secretmanager_v1 as api

from shared.adapters.secret_versions import SecretVersions
from shared.domain.errors import Misconfigured, Unreachable

NAME = "projects/p/secrets/device/versions/3"
SECRET, LATEST = "projects/p/secrets/device", "projects/p/secrets/device/versions/latest"
SERVICE = "google.cloud.secretmanager.v1.SecretManagerService"


class Server:
    """Secrets without versions are there with an empty list; `code`: what every call is answered with."""

    def __init__(self) -> None:
        self.versions: dict[str, list[bytes]] = {SECRET: []}
        self.code: grpc.StatusCode | None = None

    async def start(self) -> str:
        self._server = grpc.aio.server()
        kinds = {
            "AccessSecretVersion": (self._access, api.AccessSecretVersionRequest, api.AccessSecretVersionResponse),
            "AddSecretVersion": (self._add, api.AddSecretVersionRequest, api.SecretVersion),
        }
        methods = {
            name: grpc.unary_unary_rpc_method_handler(
                call, request_deserializer=asked.deserialize, response_serializer=answer.serialize
            )
            for name, (call, asked, answer) in kinds.items()
        }
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, methods),))
        port = self._server.add_insecure_port("127.0.0.1:0")
        await self._server.start()
        return f"127.0.0.1:{port}"

    async def stop(self) -> None:
        await self._server.stop(0)

    async def _access(self, request: Any, context: Any) -> Any:
        versions = await self._of(request.name.partition("/versions/")[0], context)
        if not versions or request.name != LATEST:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no version")
        return api.AccessSecretVersionResponse(name=request.name, payload={"data": versions[-1]})

    async def _add(self, request: Any, context: Any) -> Any:
        versions = await self._of(request.parent, context)
        versions.append(request.payload.data)
        return api.SecretVersion(name=f"{request.parent}/versions/{len(versions)}")

    async def _of(self, secret: str, context: Any) -> list[bytes]:
        if self.code is not None:
            await context.abort(self.code, "no")
        if secret not in self.versions:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such secret")
        return self.versions[secret]


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    running = Server()
    running.endpoint = await running.start()  # type: ignore[attr-defined]
    yield running
    await running.stop()


@pytest.fixture
async def versions(server: Server) -> AsyncIterator[SecretVersions]:
    adapter = SecretVersions(server.endpoint)  # type: ignore[attr-defined]
    yield adapter
    await adapter.close()


async def test_the_newest_version_is_read_at_once(versions: SecretVersions) -> None:
    """What was added is what is read next, though the setting names an older version; before that there is nothing."""
    assert await versions.newest(NAME) == ""
    await versions.add(NAME, "one")
    await versions.add(NAME, "two")
    assert await versions.newest(NAME) == "two"


async def test_a_secret_must_be_there_to_be_added_to(versions: SecretVersions, server: Server) -> None:
    """Adding to a secret that does not exist says so by its name, and never quotes the value."""
    server.versions.clear()
    assert await versions.newest(NAME) == ""
    with pytest.raises(Misconfigured, match="device does not exist") as refused:
        await versions.add(NAME, "s3cret-value")
    assert "s3cret-value" not in f"{refused.value.cause} {refused.value.fix}"


async def test_who_may_not_add_is_told_the_role(versions: SecretVersions, server: Server) -> None:
    """Without the right, the role to give is named; an outage is one."""
    server.code = grpc.StatusCode.PERMISSION_DENIED
    with pytest.raises(Misconfigured) as refused:
        await versions.add(NAME, "one")
    assert "Secret Version Adder" in refused.value.fix
    with pytest.raises(Misconfigured, match="may not be read"):
        await versions.newest(NAME)
    server.code = grpc.StatusCode.UNAVAILABLE
    with pytest.raises(Unreachable):
        await versions.add(NAME, "one")
