"""Documents' data as JSON that both stores take: which values are allowed, and how times and bytes are told
from texts. The limits are Firestore's.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from shared.domain.errors import Invalid
from shared.ports import Data

MAX_DEPTH: Final = 20
MAX_NAME_BYTES: Final = 1500
MISSING: Final = object()

_TIME, _TEXT, _HIGHEST = "\x01", "\x02", "\U0010ffff"
_HIGH_TEXT, BYTES = _HIGHEST + "\x02", _HIGHEST + "\x03"
"""How a text begins whose first letter is the last one of all, and how bytes do: above every text."""
_SORTED = b"-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_SPELT, _READ = bytes.maketrans(_BASE64, _SORTED), bytes.maketrans(_SORTED, _BASE64)
"""Base64 in letters that sort as what they stand for."""
_RESERVED = re.compile(r"__.*__", re.DOTALL)
_JSON = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))


class _Unkept(Exception):
    """`where`: below the value that was given, put together on the way up; `why`: as a person reads it."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.where, self.why = "", why


def tagged(value: Any, name: str = "data") -> Any:
    """JSON for data: datetimes become strings that sort by time and before every other string, bytes such that sort
    after every other. Raises `Invalid` naming what no store could keep."""
    try:
        return _tagged(value, 0)
    except _Unkept as error:
        raise Invalid.field(f"{name}{error.where}", error.why) from None


def _tagged(value: Any, depth: int) -> Any:
    if type(value) is str and value.isascii() and value[:1] > _TEXT:  # nearly all are
        return value
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _tagged_text(value)
    if isinstance(value, datetime):
        return _tagged_time(value)
    if isinstance(value, dict):
        return _tagged_map(value, depth + 1)
    if isinstance(value, list | tuple):
        return _tagged_list(value, depth + 1)
    if isinstance(value, bytes):
        return BYTES + base64.b64encode(value).rstrip(b"=").translate(_SPELT).decode()
    if isinstance(value, int | float):
        return _tagged_number(value)
    raise _Unkept(f"a {type(value).__name__} cannot be stored; use JSON values, datetimes and bytes")


def _tagged_time(value: datetime) -> str:
    if value.utcoffset() is None:
        raise _Unkept("a time needs its zone")
    return _TIME + value.astimezone(UTC).isoformat(timespec="microseconds")


def _tagged_text(value: str) -> str:
    if not is_unicode(value):
        raise _Unkept("is not valid Unicode")
    if value.startswith(_HIGHEST):
        return _HIGH_TEXT + value
    return value if value > _TEXT and value[0] > _TEXT else _TEXT + value


def _tagged_number(value: float) -> float:
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise _Unkept("a whole number must fit into 64 bits")
    if not math.isfinite(value):
        raise _Unkept("must be a finite number")
    return value


def _tagged_map(value: dict[Any, Any], depth: int) -> dict[str, Any]:
    _check_depth(depth)
    found = {}
    for key, item in value.items():
        _check_key(key)
        try:
            found[key] = _tagged(item, depth)
        except _Unkept as error:
            error.where = f".{key}{error.where}"
            raise
    return found


def _tagged_list(value: Sequence[Any], depth: int) -> list[Any]:
    _check_depth(depth)
    if any(isinstance(item, list | tuple) for item in value):
        raise _Unkept("a list directly inside a list cannot be stored")
    found = []
    for item in value:
        try:
            found.append(_tagged(item, depth))
        except _Unkept as error:
            error.where = f"[{len(found)}]{error.where}"
            raise
    return found


@lru_cache(4096)
def _check_key(key: Any) -> None:
    """Remembered: the same keys come in every document."""
    if not isinstance(key, str) or not key or _RESERVED.fullmatch(key):
        raise _Unkept(f"{key!r} cannot be a key: keys are text, not empty, not __like_this__")
    if not is_unicode(key) or len(key.encode()) > MAX_NAME_BYTES:
        raise _Unkept(f"a key must be valid Unicode of at most {MAX_NAME_BYTES} bytes")


def _check_depth(depth: int) -> None:
    if depth > MAX_DEPTH:
        raise _Unkept(f"is nested deeper than {MAX_DEPTH} levels")


def is_unicode(text: str) -> bool:
    """False for a lone surrogate, which JSON can spell and UTF-8 cannot."""
    return text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text)


def untagged(value: Any) -> Any:
    """The opposite of `tagged`."""
    if isinstance(value, str):
        if _TEXT < value[:1] < _HIGHEST:  # nearly all are
            return value
        if value.startswith(_TIME):
            return datetime.fromisoformat(value[1:])
        if value.startswith(BYTES):
            return base64.b64decode(value[2:].encode().translate(_READ) + b"=" * (-len(value[2:]) % 4))
        return value.removeprefix(_HIGH_TEXT).removeprefix(_TEXT)
    if isinstance(value, dict):
        return {key: untagged(item) for key, item in value.items()}
    if isinstance(value, list):
        return [untagged(item) for item in value]
    return value


def dumps(tagged_value: Any) -> str:
    """One spelling per value, so that equal data are equal text."""
    return _JSON.encode(tagged_value)


def surplus(tagged_value: Any) -> int:
    """By how much the JSON is longer than what the store of production counts: bytes are longer as text."""
    if isinstance(tagged_value, str):
        return len(tagged_value) - len(BYTES) - len(tagged_value[2:]) * 3 // 4 if tagged_value.startswith(BYTES) else 0
    if isinstance(tagged_value, dict):
        return sum(map(surplus, tagged_value.values()))
    return sum(map(surplus, tagged_value)) if isinstance(tagged_value, list) else 0


def lookup(data: Data, field: str) -> Any:
    """The value behind a dotted name, or `MISSING`."""
    value: Any = data
    for part in field.split("."):
        if not isinstance(value, dict) or part not in value:
            return MISSING
        value = value[part]
    return value


def is_expired(data: Data, now: datetime) -> bool:
    expiry = data.get("expire_at")
    return isinstance(expiry, datetime) and expiry <= now
