"""Canonical JSON and Ed25519 signatures over it, as Matrix signs keys (spec, appendices: "Signing JSON").

Everything here is said by homeservers and members, who may say anything: nothing is taken on trust, and
whatever is malformed is simply not signed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from vodozemac import Ed25519PublicKey, Ed25519Signature

from shared.domain.errors import Invalid

LARGEST = 2**53 - 1
"""Of the integers that canonical JSON knows; it knows no fractions at all."""


def canonical_json(value: Any) -> bytes:
    """The one way to write a value, so that all who sign and verify it see the same bytes.
    Raises `Invalid` for what canonical JSON cannot say."""
    try:
        _check(value)
        return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    except (ValueError, RecursionError) as error:  # half a surrogate pair; nested without end
        raise Invalid.field("json", "cannot be written as canonical JSON") from error


def signed_bytes(value: Mapping[str, Any]) -> bytes:
    """What a signature in `value` covers: all of it but `signatures` and `unsigned`. Raises `Invalid`."""
    return canonical_json({key: part for key, part in value.items() if key not in ("signatures", "unsigned")})


def verify_signature(signed: Mapping[str, Any], user: str, key_id: str, ed25519_b64: str) -> bool:
    """Whether `signed` carries that user's signature of that key id ("ed25519:DEVICE") by that public key.
    Strict: of the keys for which a signature of anything can be made up, none is accepted."""
    signature = mapping(mapping(signed.get("signatures")).get(user)).get(key_id)
    if not isinstance(signature, str):
        return False
    try:
        key = Ed25519PublicKey.from_base64(ed25519_b64)
        key.verify_signature(signed_bytes(signed), Ed25519Signature.from_base64(signature))
    except (ValueError, Invalid):
        return False
    return True


def mapping(value: Any) -> Mapping[str, Any]:
    """The value if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def _check(value: Any) -> None:
    if isinstance(value, dict):
        for key, part in value.items():
            if not isinstance(key, str):
                raise Invalid.field("json", "a key that is no text")
            _check(part)
    elif isinstance(value, list | tuple):
        for part in value:
            _check(part)
    elif isinstance(value, int):  # of which a bool is one
        if abs(value) > LARGEST:
            raise Invalid.field("json", "an integer beyond 2**53 - 1")
    elif not (value is None or isinstance(value, str)):
        raise Invalid.field("json", f"a {type(value).__name__}, which canonical JSON does not know")
