"""What is kept of the bot's device, as one text: the setting MATRIX_DEVICE_ACCOUNT."""

from __future__ import annotations

import base64
import json
from typing import Any, Self

from shared.domain.errors import Misconfigured
from shared.domain.records import Record, unshown

SET_UP = "Run scripts/setup matrix: it says what is there and what is missing."


class DeviceAccount(Record, frozen=True, kw_only=True):
    """Made once and never changed. `account`: pickled, encrypted with MATRIX_PICKLE_KEY. `ed25519`: its public
    fingerprint. `fallback_keys`: signed, as keys/upload takes them. `access_token`: of a device that set-up has
    logged in itself, so that token and account are kept in one write; empty when the token was given."""

    user_id: str
    device_id: str
    ed25519: str
    account: str
    fallback_keys: dict[str, Any]
    access_token: str = ""

    __repr__ = unshown

    @property
    def text(self) -> str:
        """Base64 of JSON: one word, so that it fits an environment file and a secret alike."""
        return base64.b64encode(json.dumps(self.data(), separators=(",", ":")).encode()).decode()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises `Misconfigured`, which never quotes it."""
        try:
            return cls.of(json.loads(base64.b64decode(text, validate=True)))
        except (ValueError, TypeError, AttributeError) as error:
            raise Misconfigured("MATRIX_DEVICE_ACCOUNT is not what set-up has written", SET_UP) from error


def pickle_key(text: str, name: str = "MATRIX_PICKLE_KEY") -> bytes:
    """Of MATRIX_PICKLE_KEY, or of a key like it: 32 bytes. Raises `Misconfigured`."""
    try:
        key = base64.b64decode(text, validate=True)
    except ValueError:
        key = b""
    if len(key) != 32:
        raise Misconfigured(f"{name} is not 32 bytes in base64", SET_UP)
    return key
