"""Secret storage on the homeserver, as the Matrix specification has it (client-server API, "Secrets", algorithm
m.secret_storage.v1.aes-hmac-sha2): what lies in the account data can be opened with the recovery key alone.

HKDF-SHA-256 with 32 zero bytes as salt and the secret's name as info gives an AES-256-CTR key and an HMAC-SHA-256
key. Bit 63 of the counter block is cleared, since implementations differ in how they count over it.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from msgspec import Struct

from shared.domain.errors import Misconfigured, Refused
from shared.domain.records import unshown

ALGORITHM = "m.secret_storage.v1.aes-hmac-sha2"
KEY_BYTES, BLOCK = 32, 16
_PREFIX = b"\x8b\x01"
_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


class RecoveryKey(Struct, frozen=True):
    """What MATRIX_RECOVERY_KEY says, and what it opens."""

    key: bytes

    __repr__ = unshown

    @classmethod
    def make(cls) -> RecoveryKey:
        return cls(os.urandom(KEY_BYTES))

    @classmethod
    def parse(cls, text: str) -> RecoveryKey:
        """Spaces do not count. Raises `Misconfigured`, which never quotes the key."""
        raw = _from_base58("".join(text.split()))
        if raw is None or len(raw) != len(_PREFIX) + KEY_BYTES + 1 or not raw.startswith(_PREFIX) or _parity(raw):
            fix = "Copy all of it anew: 48 letters and digits, which begin with Es. It is not the account's password."
            raise Misconfigured("MATRIX_RECOVERY_KEY is not a recovery key of Matrix, or has a typing error", fix)
        return cls(raw[len(_PREFIX) : -1])

    @property
    def text(self) -> str:
        """Base58 of two fixed bytes, the key and a byte that makes them all XOR to 0, in groups of four."""
        raw = _PREFIX + self.key
        digits = _to_base58(raw + bytes([_parity(raw)]))
        return " ".join(digits[start : start + 4] for start in range(0, len(digits), 4))

    @property
    def id(self) -> str:
        """Names the key in the account data. Derived, so that set-up, cut short and begun anew, finds its own."""
        return hmac.new(self.key, b"muster secret storage key id", "sha256").hexdigest()[:32]

    def description(self) -> dict[str, Any]:
        """The content of m.secret_storage.key.ID: how to see whether a key is this one."""
        check = self._encrypted("", bytes(KEY_BYTES), _counter())
        return {"algorithm": ALGORITHM, "name": "Muster", "iv": check["iv"], "mac": check["mac"]}

    def opens(self, description: Mapping[str, Any]) -> bool:
        """Whether this is the described key. A description without a check says nothing: the secrets will."""
        if description.get("algorithm") != ALGORITHM:
            raise Refused(
                "the account's secret storage uses an algorithm that Muster does not know",
                f"Set up its secret storage with a Matrix client that uses {ALGORITHM}.",
                "SECRET_STORAGE",
            )
        if not description.get("mac") or not description.get("iv"):
            return True
        try:
            iv, expected = padded_or_not(description["iv"]), padded_or_not(description["mac"])
        except ValueError:
            return False
        return len(iv) == BLOCK and hmac.compare_digest(
            padded_or_not(self._encrypted("", bytes(KEY_BYTES), iv)["mac"]), expected
        )

    def seal(self, name: str, secret: str) -> dict[str, str]:
        """What is stored under `encrypted` and this key's id."""
        return self._encrypted(name, secret.encode(), _counter())

    def unseal(self, name: str, sealed: Mapping[str, Any]) -> str:
        """Raises `Refused` when it was sealed with another key, under another name, or was changed."""
        try:
            iv, ciphertext, mac = (padded_or_not(sealed[part]) for part in ("iv", "ciphertext", "mac"))
            aes, authentication = _keys(self.key, name)
            if not hmac.compare_digest(hmac.digest(authentication, ciphertext, hashlib.sha256), mac):
                raise ValueError("another mac")
            return _counted(aes, iv, ciphertext).decode()
        except (KeyError, ValueError) as error:
            fix = "Give the recovery key it was stored with in MATRIX_RECOVERY_KEY. Nothing was changed."
            raise Refused(f"{name} is in secret storage, but does not open", fix, "SECRET_STORAGE") from error

    def _encrypted(self, name: str, plain: bytes, iv: bytes) -> dict[str, str]:
        aes, authentication = _keys(self.key, name)
        ciphertext = _counted(aes, iv, plain)
        mac = hmac.digest(authentication, ciphertext, hashlib.sha256)
        return {"iv": unpadded(iv), "ciphertext": unpadded(ciphertext), "mac": unpadded(mac)}


def unpadded(raw: bytes) -> str:
    """Base64 as the specification writes it."""
    return b64encode(raw).decode().rstrip("=")


def padded_or_not(text: Any) -> bytes:
    """From base64: other clients pad it. Raises ValueError."""
    bare = str(text).rstrip("=")
    return b64decode(bare + "=" * (-len(bare) % 4), validate=True)


def _keys(key: bytes, name: str) -> tuple[bytes, bytes]:
    derived = HKDF(SHA256(), 2 * KEY_BYTES, salt=bytes(KEY_BYTES), info=name.encode()).derive(key)
    return derived[:KEY_BYTES], derived[KEY_BYTES:]


def _counted(aes: bytes, iv: bytes, text: bytes) -> bytes:
    """AES-CTR: the same in both directions. Raises ValueError for a counter of the wrong size."""
    return Cipher(algorithms.AES(aes), modes.CTR(iv)).encryptor().update(text)


def _counter() -> bytes:
    block = bytearray(os.urandom(BLOCK))
    block[8] &= 0x7F
    return bytes(block)


def _parity(raw: bytes) -> int:
    parity = 0
    for byte in raw:
        parity ^= byte
    return parity


def _to_base58(raw: bytes) -> str:
    """Of bytes that do not begin with a zero."""
    number, digits = int.from_bytes(raw, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        digits = _ALPHABET[digit] + digits
    return digits


def _from_base58(digits: str) -> bytes | None:
    """None for what is no base58 at all, or far too long to be a key."""
    if not digits or len(digits) > 64 or set(digits) - set(_ALPHABET):
        return None
    number = 0
    for digit in digits:
        number = number * 58 + _ALPHABET.index(digit)
    return number.to_bytes((number.bit_length() + 7) // 8, "big")
