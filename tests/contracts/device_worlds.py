"""Homeservers with a bot to set up, in memory and real, and hands that kill set-up after any of its calls."""

from __future__ import annotations

import asyncio
import copy
import itertools
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from shared.adapters.device_crafts import DeviceCrafts
from shared.adapters.matrix import MatrixChat
from shared.adapters.matrix_login import log_in
from shared.domain.errors import Misconfigured
from shared.ports import Data, Identity, Keys
from shared.services.device_ports import Bench
from shared.services.device_setup import SENDS
from tests.contracts.keys_worlds import PASSWORD
from tests.contracts.keys_worlds import log_in as log_in_from_anywhere
from tests.fakes.keys import FakeKeys

if TYPE_CHECKING:
    from tests.contracts.synapse_server import Homeserver

WRITING = {"upload_keys", "upload_signing_keys", "upload_signatures", "set_account_data", "keep"}


class Killed(BaseException):
    """No error that any of our code may catch."""


class Trace:
    """The calls of a run, by name; after the one of number `last`, which is still carried out, it dies."""

    def __init__(self, last: int | None = None) -> None:
        self.calls: list[str] = []
        self._last = last

    def watch(self, port: Any) -> Any:
        return _Watched(self, port)

    def note(self, name: str) -> None:
        self.calls.append(name)
        if len(self.calls) == self._last:
            raise Killed

    @property
    def writes(self) -> list[str]:
        return [name for name in self.calls if name in WRITING]


class _Watched:
    def __init__(self, trace: Trace, port: Any) -> None:
        self._trace, self._port = trace, port

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def call(*arguments: Any) -> Any:
            answer = await getattr(self._port, name)(*arguments)
            self._trace.note(name)
            return answer

        return call


class MemoryVault:
    """What is kept in one call is there together."""

    def __init__(self, **values: str) -> None:
        self.values = values

    async def read(self, name: str) -> str:
        return self.values.get(name, "")

    async def keep(self, values: Mapping[str, str]) -> None:
        self.values |= values


class BotWorld(Protocol):
    """A new bot (`user_id`) whose device of `token` has published nothing."""

    user_id: str
    token: str

    def connect(self, token: str) -> Keys: ...
    async def log_in(self, password: str, name: str = "") -> tuple[Identity, str]: ...
    async def stranger_sees(self) -> Data:
        """A key query of the bot by another member's client."""
        ...

    async def close(self) -> None: ...


def bench(world: BotWorld, vault: MemoryVault, trace: Trace | None = None) -> Bench:
    trace = trace or Trace()
    return Bench(
        world.user_id,
        trace.watch(vault),
        DeviceCrafts(),
        lambda token: trace.watch(world.connect(token)),
        world.log_in,
    )


class FakeBotWorld:
    _devices: ClassVar[dict[str, FakeKeys]] = {}
    _numbers = itertools.count(1)

    def __init__(self) -> None:
        fake = FakeKeys(f"@bot{next(self._numbers)}:fake.test")
        self.user_id, self.token = fake.user_id, secrets.token_hex(4)
        self._devices[self.token] = fake

    def connect(self, token: str) -> FakeKeys:
        return self._devices[token]

    async def log_in(self, password: str, name: str = "") -> tuple[Identity, str]:
        if password != PASSWORD:
            raise Misconfigured("the homeserver does not take MATRIX_PASSWORD for the bot")
        other = copy.copy(self._devices[self.token])  # what is on the homeserver is on it for both
        other.device_id, token = f"NEW{next(self._numbers)}", secrets.token_hex(4)
        self._devices[token] = other
        return Identity(self.user_id, other.device_id), token

    async def stranger_sees(self) -> Data:
        shown = await self.connect(self.token).query_keys([self.user_id])
        return {name: value for name, value in shown.items() if name != "user_signing_keys"}

    async def close(self) -> None:
        for token in [token for token, fake in self._devices.items() if fake.user_id == self.user_id]:
            del self._devices[token]


class SynapseBotWorld:
    def __init__(self, homeserver: Homeserver) -> None:
        self._homeserver = homeserver
        made = homeserver.register(f"bot{secrets.token_hex(5)}", device_id="BOT")
        self.user_id, self.token = made["user_id"], made["access_token"]
        self._clients: dict[str, MatrixChat] = {}

    def connect(self, token: str) -> MatrixChat:
        if token not in self._clients:
            self._clients[token] = MatrixChat(self._homeserver.url, token, self.user_id)
        return self._clients[token]

    async def log_in(self, password: str, name: str = "") -> tuple[Identity, str]:
        """The right password from an address of its own each time: a homeserver takes few from one."""
        if password != PASSWORD:
            return await self.really_log_in(password, name)
        said = await asyncio.to_thread(log_in_from_anywhere, self._homeserver.url, self.user_id, "", name)
        return Identity(self.user_id, said["device_id"]), said["access_token"]

    async def really_log_in(self, password: str, name: str = SENDS) -> tuple[Identity, str]:
        return await log_in(self._homeserver.url, self.user_id, password, None, verify=True, device_name=name)

    async def stranger_sees(self) -> Data:
        who = self._homeserver.register(f"stranger{secrets.token_hex(5)}")
        stranger = MatrixChat(self._homeserver.url, who["access_token"], who["user_id"])
        try:
            return await stranger.query_keys([self.user_id])
        finally:
            await stranger.close()

    async def close(self) -> None:
        for client in self._clients.values():
            await client.close()


def bot_world(kind: str, homeserver: Callable[[], Homeserver]) -> BotWorld:
    return FakeBotWorld() if kind == "fake" else SynapseBotWorld(homeserver())
