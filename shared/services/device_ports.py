"""What setting up the bot's device needs of others, named for that need."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from shared.domain.device_account import DeviceAccount
from shared.domain.devices import Device, Distrusted, NewDevice
from shared.ports import Data, Identity, Keys


class StorageKey(Protocol):
    """The recovery key of secret storage. See `shared.adapters.secret_storage.RecoveryKey`."""

    @property
    def text(self) -> str: ...
    @property
    def id(self) -> str: ...
    def description(self) -> Data: ...
    def opens(self, description: Mapping[str, object]) -> bool: ...
    def seal(self, name: str, secret: str) -> Mapping[str, str]: ...
    def unseal(self, name: str, sealed: Mapping[str, object]) -> str: ...


class SigningIdentity(Protocol):
    """The three cross-signing keys. See `shared.adapters.cross_signing.Identity`."""

    def secrets(self) -> dict[str, str]: ...
    def upload(self) -> Data: ...
    def is_published(self, answer: Data) -> bool: ...
    def sign_device(self, device_keys: Data) -> Data: ...


class OwnDevice(Protocol):
    """The opened account. See `shared.adapters.olm.Sealer`."""

    @property
    def ed25519(self) -> str: ...
    @property
    def device_keys(self) -> Data: ...
    def devices_of(self, answer: Data, users: Sequence[str]) -> tuple[list[Device], list[Distrusted]]: ...
    def claimed(self, answer: Data, devices: Sequence[Device]) -> tuple[dict[Device, str], list[Distrusted]]: ...


class Crafts(Protocol):
    """Everything that is made of chance or of cryptography. Does no I/O."""

    def new_pickle_key(self) -> str: ...
    def replies_key(self, pickle_key: bytes) -> str:
        """What members' replies are opened with: base64. It tells nothing of the pickle key."""
        ...

    def new_storage_key(self) -> StorageKey: ...
    def storage_key(self, text: str) -> StorageKey: ...
    @property
    def secret_names(self) -> Sequence[str]: ...
    def new_identity(self, user_id: str) -> SigningIdentity: ...
    def identity(self, user_id: str, secrets: Mapping[str, str]) -> SigningIdentity: ...
    def new_account(self, user_id: str, device_id: str, pickle_key: bytes) -> NewDevice: ...
    def device(self, kept: DeviceAccount, pickle_key: bytes) -> OwnDevice: ...


class Vault(Protocol):
    """Where secrets live, by the name of their setting."""

    async def read(self, name: str) -> str:
        """Empty when nothing is kept."""
        ...

    async def keep(self, values: Mapping[str, str]) -> None:
        """All of them, in this order, before it answers."""
        ...


class Bench(Struct, frozen=True):
    """`connect`: the homeserver's part, by access token. `log_in`: with the bot's password, as a new device of that
    name; answers who that is, and its access token."""

    user_id: str
    vault: Vault
    crafts: Crafts
    connect: Callable[[str], Keys]
    log_in: Callable[[str, str], Awaitable[tuple[Identity, str]]]
