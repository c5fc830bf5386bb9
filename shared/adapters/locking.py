"""Texts that are private and have to be kept, locked with a key that derives from the pickle key: AES-256-GCM, and
HKDF-SHA-256, so that no other use of the pickle key can open or make one. Nor does the derived key lead back to it:
whoever shows the texts is given that one alone (MATRIX_REPLIES_KEY).

The version byte is authenticated too. `cryptography` loads at the first use: who only sends does not need it.
"""

from __future__ import annotations

import os
from base64 import b64decode, b64encode
from typing import Any

from shared.domain.errors import Refused

VERSION = b"\x01"
NONCE = 12
_INFO = b"muster locked text"


class Opener:
    """`key`: a derived one."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def lock(self, text: str, about: str) -> str:
        return lock(self._key, text, about)

    def unlock(self, locked: str, about: str) -> str:
        return unlock(self._key, locked, about)


def derived(pickle_key: bytes) -> bytes:
    """The key of `lock` and `unlock`."""
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), 32, None, _INFO).derive(pickle_key)


def lock(key: bytes, text: str, about: str) -> str:
    """Base64. `about`: what the text belongs to, so that it opens nowhere else. Halves of characters are replaced."""
    nonce = os.urandom(NONCE)
    sealed = _cipher(key).encrypt(nonce, text.encode("utf-8", "replace"), VERSION + about.encode())
    return b64encode(VERSION + nonce + sealed).decode()


def unlock(key: bytes, locked: str, about: str) -> str:
    """Raises `Refused` with the code "LOCKED"."""
    from cryptography.exceptions import InvalidTag

    try:
        raw = b64decode(locked, validate=True)
        if raw[:1] != VERSION:
            raise ValueError("made by another release")
        plain: bytes = _cipher(key).decrypt(raw[1 : 1 + NONCE], raw[1 + NONCE :], VERSION + about.encode())
    except (ValueError, InvalidTag) as error:
        fix = "MATRIX_PICKLE_KEY is another one than when it was kept: put the old one back."
        raise Refused("a kept text does not open with the pickle key", fix, "LOCKED") from error
    return plain.decode()


def _cipher(key: bytes) -> Any:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key)
