"""The bot's cross-signing identity: three Ed25519 keys, of which the master key signs the other two and the
self-signing key the bot's devices. A member's client that knows the master key then takes the device for the bot's.

Whether a device of anybody is cross-signed, `olm_devices.devices_of` says.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct

from shared.adapters.canonical import mapping, signed_bytes, verify_signature
from shared.adapters.secret_storage import KEY_BYTES, padded_or_not, unpadded
from shared.domain.errors import Refused
from shared.domain.records import unshown
from shared.ports import Data

ROLES = ("master", "self_signing", "user_signing")


class SigningKey(Struct, frozen=True):
    """`seed`: 32 bytes; what secret storage keeps of a key."""

    seed: bytes

    __repr__ = unshown

    @classmethod
    def make(cls) -> SigningKey:
        return cls(os.urandom(KEY_BYTES))

    @classmethod
    def parse(cls, secret: str) -> SigningKey:
        """Raises ValueError."""
        seed = padded_or_not(secret)
        if len(seed) != KEY_BYTES:
            raise ValueError("not the seed of an Ed25519 key")
        return cls(seed)

    @property
    def secret(self) -> str:
        return unpadded(self.seed)

    @property
    def public(self) -> str:
        return unpadded(self._private.public_key().public_bytes_raw())

    def sign(self, user_id: str, body: Data) -> Data:
        """`body` with this signature beside those it has."""
        signatures = {user: dict(by) for user, by in body.get("signatures", {}).items()}
        signatures.setdefault(user_id, {})[f"ed25519:{self.public}"] = unpadded(self._private.sign(signed_bytes(body)))
        return {**body, "signatures": signatures}

    @property
    def _private(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.seed)


class Identity(Struct, frozen=True):
    """All three keys of one user."""

    user_id: str
    master: SigningKey
    self_signing: SigningKey
    user_signing: SigningKey

    __repr__ = unshown

    @classmethod
    def make(cls, user_id: str) -> Identity:
        return cls(user_id, *(SigningKey.make() for _ in ROLES))

    @classmethod
    def parse(cls, user_id: str, secrets: Mapping[str, str]) -> Identity:
        """From what `secrets` gave. Raises `Refused` for what are no keys."""
        try:
            return cls(user_id, *(SigningKey.parse(secrets[secret_name(role)]) for role in ROLES))
        except (KeyError, ValueError) as error:
            fix = "Look at the account with the Matrix client that set it up. Nothing was changed."
            raise Refused("the keys in secret storage are no cross-signing keys", fix, "SECRET_STORAGE") from error

    def secrets(self) -> dict[str, str]:
        """By the name under which secret storage keeps each."""
        return {secret_name(role): self._key(role).secret for role in ROLES}

    def upload(self) -> Data:
        """The body of keys/device_signing/upload."""
        bodies = {f"{role}_key": self._public(role) for role in ROLES}
        return {name: body if name == "master_key" else self._by_master(body) for name, body in bodies.items()}

    def is_published(self, answer: Data) -> bool:
        """Whether a key query of the account itself shows just these keys, the others signed by the master key."""
        shown = {role: mapping(mapping(answer.get(f"{role}_keys")).get(self.user_id)) for role in ROLES}
        same = all(mapping(shown[role].get("keys")) == self._public(role)["keys"] for role in ROLES)
        master = self.master.public
        return same and verify_signature(shown["self_signing"], self.user_id, f"ed25519:{master}", master)

    def sign_device(self, device_keys: Data) -> Data:
        """The body of keys/signatures/upload."""
        bare = {name: value for name, value in device_keys.items() if name not in ("signatures", "unsigned")}
        return {self.user_id: {str(bare["device_id"]): self.self_signing.sign(self.user_id, bare)}}

    def _key(self, role: str) -> SigningKey:
        key: SigningKey = getattr(self, role)
        return key

    def _by_master(self, body: Data) -> Data:
        return self.master.sign(self.user_id, body)

    def _public(self, role: str) -> Data:
        public = self._key(role).public
        return {"user_id": self.user_id, "usage": [role], "keys": {f"ed25519:{public}": public}}


def secret_name(role: str) -> str:
    return f"m.cross_signing.{role}"
