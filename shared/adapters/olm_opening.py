"""What members send to the bot, opened: from ciphertext to checked plaintext. Any of it may be a lie."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from vodozemac import InboundGroupSession, MegolmMessage, SessionKey

from shared.adapters.canonical import mapping
from shared.adapters.olm_devices import MEGOLM, OLM
from shared.domain.devices import Opened, RoomKey
from shared.domain.errors import Invalid, Refused
from shared.ports import Data

ROOM_KEY = "m.room_key"


def is_message_for(curve25519: str, event: Data) -> tuple[str, int, bytes]:
    """The sender's Curve25519 key, the kind (0: first of a session) and the bytes. Raises `Invalid`."""
    content = mapping(event.get("content"))
    ours = mapping(mapping(content.get("ciphertext")).get(curve25519))
    sender_key, kind, body = content.get("sender_key"), ours.get("type"), ours.get("body")
    if content.get("algorithm") != OLM or not isinstance(sender_key, str) or kind not in (0, 1):
        raise Invalid.field("event", "no message in Olm to this device")
    try:
        return sender_key, int(kind), base64.b64decode(str(body) + "=" * (-len(str(body)) % 4), validate=True)
    except ValueError as error:
        raise Invalid.field("event", "a ciphertext that is no base64") from error


def opened(
    event: Data, payload: Data, us: tuple[str, str], sender_key: str, olm: tuple[str, str], pickle_key: bytes
) -> Opened:
    """`us`: user id and Ed25519 key. The payload must name its sender and us (spec, m.olm.v1), or somebody passes
    on what was meant for another: `Invalid`."""
    sender, content = event.get("sender"), payload.get("content")
    said = (payload.get("sender"), payload.get("recipient"), mapping(payload.get("recipient_keys")).get("ed25519"))
    if said != (sender, *us):
        raise Invalid.field("event", "a message that names another sender or recipient")
    ed25519, kind = mapping(payload.get("keys")).get("ed25519"), payload.get("type")
    if not isinstance(ed25519, str) or not isinstance(kind, str) or not isinstance(content, dict):
        raise Invalid.field("event", "a message without keys, type or content")
    device = (str(sender), ed25519, sender_key)
    room_key = _room_key(*device, content, pickle_key) if kind == ROOM_KEY else None
    shown = {name: value for name, value in content.items() if name != "session_key"}
    return Opened(*device, kind, shown, olm[0], olm[1], room_key)


def open_event(room_id: str, event: Data, keys: Mapping[str, RoomKey], pickle_key: bytes) -> Data:
    """See `Sealer.open_event`."""
    content = mapping(event.get("content"))
    session_id, ciphertext = content.get("session_id"), content.get("ciphertext")
    if content.get("algorithm") != MEGOLM or not isinstance(session_id, str) or not isinstance(ciphertext, str):
        raise Invalid.field("event", "not encrypted as rooms are")
    key = keys.get(session_id)
    if key is None:
        raise Refused("a message whose key has not come to the bot", code="SESSION")
    if (event.get("sender"), room_id) != (key.user_id, key.room_id):
        raise Invalid.field("event", "encrypted with a key of another sender or room")
    said = as_json(_decrypted(key, ciphertext, pickle_key))
    if said.get("room_id") != room_id or not isinstance(said.get("content"), dict):
        raise Invalid.field("event", "a message of another room, or without content")
    return {"type": str(said.get("type", "")), "content": said["content"]}


def as_json(plaintext: bytes) -> Data:
    """Raises `Invalid` unless it is a JSON object."""
    try:
        said: Any = json.loads(plaintext)
    except (ValueError, RecursionError) as error:
        raise Invalid.field("event", "its plaintext is no JSON") from error
    if not isinstance(said, dict):
        raise Invalid.field("event", "its plaintext is no JSON object")
    return said


def _room_key(user_id: str, ed25519: str, curve25519: str, content: Data, pickle_key: bytes) -> RoomKey:
    """A key names its session by itself; what the message says of it must agree."""
    room_id, session_id, text = (content.get(name) for name in ("room_id", "session_id", "session_key"))
    try:
        if content.get("algorithm") != MEGOLM or not isinstance(room_id, str) or not isinstance(text, str):
            raise ValueError("fields are missing")
        session = InboundGroupSession(SessionKey(text))
        if session.session_id != session_id:
            raise ValueError("another session's key")
    except ValueError as error:
        raise Invalid.field("event", "a room key that is malformed") from error
    return RoomKey(room_id, session.session_id, user_id, ed25519, curve25519, session.pickle(pickle_key))


def _decrypted(key: RoomKey, ciphertext: str, pickle_key: bytes) -> bytes:
    try:
        session = InboundGroupSession.from_pickle(key.session, pickle_key)
        return bytes(session.decrypt(MegolmMessage.from_base64(ciphertext)).plaintext)
    except ValueError as error:
        raise Refused("a message that its key does not open", code="SESSION") from error
