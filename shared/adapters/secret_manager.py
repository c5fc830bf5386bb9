"""`Secrets` on Google Secret Manager, through the real client."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from google.api_core import exceptions as google
from google.api_core.retry import AsyncRetry, if_exception_type
from google.auth.exceptions import DefaultCredentialsError
from google.cloud import secretmanager_v1 as api
from msgspec import Struct, field

from shared.domain.errors import Misconfigured, MusterError, Unreachable

RPC_SECONDS = 5.0
RETRY_SECONDS = 30.0
_NAME = re.compile(r"projects/[^/]+/secrets/([^/]+)/versions/[^/]+")
_log = logging.getLogger(__name__)


class _Entry(Struct):
    """`value`: None until it was read once. `until`: when to read it again."""

    value: str | None = None
    until: float = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class SecretManagerSecrets:
    """Values are remembered for `refresh_seconds`. When reading anew fails, the old value serves on and the next
    try is half a minute later, so that an outage costs neither the secret nor five seconds per request.

    `endpoint`: "host:port" of a plain gRPC server, for tests.
    """

    def __init__(
        self, endpoint: str | None = None, refresh_seconds: float = 300, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._endpoint = endpoint
        self._refresh_seconds = refresh_seconds
        self._clock = clock
        self._entries: dict[str, _Entry] = {}
        # A client belongs to the event loop that made it.
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, Any] = WeakKeyDictionary()

    async def read(self, name: str) -> str:
        """As the port says; a line break at the end (left by `echo`) is not part of the value.

        Raises `Misconfigured` when the secret is missing or refused, `Unreachable` when Secret
        Manager is, and no value is remembered.
        """
        if not _NAME.fullmatch(name):
            raise Misconfigured("the name of a secret is malformed", "projects/PROJECT/secrets/NAME/versions/latest")
        entry = self._entries.setdefault(name, _Entry())
        async with entry.lock:
            if entry.value is None or self._clock() >= entry.until:
                await self._refresh(name, entry)
        assert entry.value is not None  # noqa: S101  _refresh sets it or raises
        return entry.value

    async def close(self) -> None:
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.transport.close()

    async def _refresh(self, name: str, entry: _Entry) -> None:
        try:
            entry.value = await self._fetch(name)
            entry.until = self._clock() + self._refresh_seconds
        except MusterError as error:
            if entry.value is None:
                raise
            _log.warning("serving the remembered value of a secret: %s", error.cause)
            entry.until = self._clock() + min(self._refresh_seconds, RETRY_SECONDS)

    async def _fetch(self, name: str) -> str:
        retry = AsyncRetry(if_exception_type(google.ServiceUnavailable), initial=0.1, maximum=1.0, timeout=RPC_SECONDS)
        request = api.AccessSecretVersionRequest(name=name)
        try:
            answer = await self._client().access_secret_version(request=request, retry=retry, timeout=RPC_SECONDS)
            return str(answer.payload.data.decode()).rstrip("\r\n")
        except (google.GoogleAPIError, DefaultCredentialsError, UnicodeDecodeError) as error:
            raise _translated(error, name) from error

    def _client(self) -> Any:
        loop = asyncio.get_running_loop()
        if loop not in self._clients:
            self._clients[loop] = self._local_client() if self._endpoint else api.SecretManagerServiceAsyncClient()
        return self._clients[loop]

    def _local_client(self) -> Any:
        import grpc

        transport = api.SecretManagerServiceAsyncClient.get_transport_class("grpc_asyncio")
        channel = grpc.aio.insecure_channel(self._endpoint, options=(("grpc.enable_http_proxy", 0),))
        return api.SecretManagerServiceAsyncClient(transport=transport(channel=channel))


_TABLE: tuple[tuple[type[Exception], str, str], ...] = (
    (google.NotFound, "does not exist", "create the secret and a version of it (terraform apply, then its value)"),
    (
        google.PermissionDenied,
        "may not be read",
        "give the function's service account the role Secret Manager Secret Accessor on it",
    ),
    (google.FailedPrecondition, "is disabled or destroyed", "enable the version, or add a new one"),
    (google.InvalidArgument, "has a malformed name", "projects/PROJECT/secrets/NAME/versions/latest"),
    (google.Unauthenticated, "cannot be read without Google credentials", "run as a service account"),
    (DefaultCredentialsError, "cannot be read without Google credentials", "run as a service account"),
    (UnicodeDecodeError, "is not text", "store it as UTF-8"),
)


def _translated(error: Exception, name: str) -> MusterError:
    secret = name.split("/")[3]
    for kind, what, fix in _TABLE:
        if isinstance(error, kind):
            return Misconfigured(f"the secret {secret} {what}", fix)
    return Unreachable("secrets", f"Secret Manager gave no usable answer for {secret} ({type(error).__name__})")
