"""How many rows become few bytes: MessagePack, then zlib. A document of the cache holds thousands of rows, so that
reading a whole community costs a handful of reads.

A digest is of what is packed, before it is compressed: another zlib may compress otherwise, and nothing has changed.
"""

from __future__ import annotations

import hashlib
import operator
import zlib
from array import array
from collections.abc import Collection, Sequence
from itertools import accumulate, chain
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")
PART = 900 * 1024
"""Bytes of one document, at most. Firestore takes 1 MiB, the document's name and its other fields included."""


def encoded(value: Any) -> bytes:
    """The same bytes for the same value: maps are sorted."""
    return msgspec.msgpack.encode(value, order="deterministic")


def decoded(data: bytes, kind: type[T]) -> T:
    return msgspec.msgpack.decode(data, type=kind)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:20]


def compressed(data: bytes) -> bytes:
    return zlib.compress(data, 6)


def parts(packed: bytes) -> list[bytes]:
    """One for each document; never none."""
    return [packed[start : start + PART] for start in range(0, len(packed), PART)] or [b""]


def whole(found: Sequence[bytes]) -> bytes:
    """What was encoded, from all of its parts."""
    return zlib.decompress(b"".join(found))


def numbers_packed(numbers: Collection[int]) -> bytes:
    """Of numbers from 0 to 2**32, each at most once: the gaps between them in order, the low bytes of all first. The
    high ones are nearly all zero, and compress to nothing."""
    ordered = sorted(numbers)
    raw = array("I", map(operator.sub, ordered, chain([0], ordered))).tobytes()
    return b"".join(raw[plane::4] for plane in range(4))


def numbers_of(packed: bytes) -> array[int]:
    """In order: ready for `bisect`."""
    count = len(packed) // 4
    raw = bytearray(len(packed))
    for plane in range(4):
        raw[plane::4] = packed[plane * count : (plane + 1) * count]
    return array("I", accumulate(array("I", bytes(raw))))
