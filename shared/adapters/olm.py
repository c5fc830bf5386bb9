"""Sealing without mutable state: an account that never changes, and fresh Olm and Megolm sessions for each
message. Any number of processes may do so at once, for there is nothing that two of them could fork.

What is answered as a pickle is encrypted with the pickle key (32 bytes, a secret). Nothing here does I/O.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from vodozemac import Account, AnyOlmMessage, Curve25519PublicKey, GroupSession, Session

from shared.adapters import locking
from shared.adapters.canonical import canonical_json
from shared.adapters.olm_account import device_keys_of, make_account
from shared.adapters.olm_devices import MEGOLM, OLM, claimed, devices_of
from shared.adapters.olm_opening import as_json, is_message_for, open_event, opened
from shared.domain.devices import Device, Messages, Opened, RoomKey, Sealed
from shared.domain.errors import Invalid, Misconfigured, Refused
from shared.ports import Data

PRE_KEY = 0
_NEW_DEVICE = "Run the set-up command for encryption: it logs in anew and stores the new token and account together."


class Sealer:
    """The bot's device. Raises `Misconfigured` when account and pickle key do not belong together."""

    devices_of = staticmethod(devices_of)
    claimed = staticmethod(claimed)

    def __init__(self, user_id: str, device_id: str, account_pickle: str, pickle_key: bytes) -> None:
        self.user_id, self.device_id = user_id, device_id
        self._pickle_key = pickle_key
        try:
            self._account = Account.from_pickle(account_pickle, pickle_key)
        except ValueError as error:
            raise Misconfigured("the bot's encryption account does not open with its key", _NEW_DEVICE) from error
        self.ed25519 = self._account.ed25519_key.to_base64()
        self.curve25519 = self._account.curve25519_key.to_base64()

    @property
    def device_keys(self) -> Data:
        """Signed, as they were published: the same bytes each time, so that uploading them again changes nothing."""
        return device_keys_of(self._account, self.user_id, self.device_id)

    def seal(self, room_id: str, event_type: str, content: Data, keys: Mapping[Device, str]) -> Sealed:
        """`keys`: claimed ones, each for this one call. The room key is taken before the first encryption, so
        that a later device can be given all of it. Store the answer before sending any of it; a retry sends
        what was stored, or claims and seals anew."""
        group = GroupSession()
        session, key = group.pickle(self._pickle_key), _room_key(room_id, group)
        to_device, olm = self._for_each(keys, key)
        text = _json({"type": event_type, "content": content, "room_id": room_id})
        event = {
            "algorithm": MEGOLM,
            "sender_key": self.curve25519,
            "device_id": self.device_id,
            "session_id": group.session_id,
            "ciphertext": group.encrypt(text).to_base64(),
        }
        if "m.relates_to" in content:  # the homeserver has to see it, for threads and replies
            event["m.relates_to"] = content["m.relates_to"]
        return Sealed(group.session_id, event, to_device, session, olm)

    def share(
        self, room_id: str, session: str, session_id: str, keys: Mapping[Device, str]
    ) -> tuple[Messages, dict[str, str]]:
        """The room key of a stored `Sealed` for devices that came later, and the Olm sessions to keep as
        those in `Sealed.olm`. Raises `Refused` when the stored session is not the one it should be."""
        try:
            group = GroupSession.from_pickle(session, self._pickle_key)
        except ValueError as error:
            raise Refused("the stored room key does not open with the pickle key", code="SESSION") from error
        if group.session_id != session_id or group.message_index:
            raise Refused("the stored room key is not the one of that message", code="SESSION")
        return self._for_each(keys, _room_key(room_id, group))

    def open_to_device(self, event: Data, sessions: Mapping[str, str]) -> Opened:
        """`sessions`: kept Olm sessions (as in `Sealed.olm`) with the sender's devices, under any names. Changes
        nothing: the same event opens again from the same state, and so does a later one without this.
        Whether sender and keys are those of a device that we trust is for the caller to see: `Opened.is_from`.
        Raises `Invalid` when the event is malformed or not for us, `Refused` (code "SESSION") when nothing opens it."""
        sender_key, kind, body = is_message_for(self.curve25519, event)
        name, session, plaintext = (
            self._open_first(sender_key, body) if kind == PRE_KEY else self._open_next(kind, body, sessions)
        )
        payload = as_json(plaintext)
        us = (self.user_id, self.ed25519)
        return opened(event, payload, us, sender_key, (name, session), self._pickle_key)

    def open_event(self, room_id: str, event: Data, keys: Mapping[str, RoomKey]) -> Data:
        """An m.room.encrypted of a room: {"type", "content"}. `keys`: session id to what came by to-device.
        Raises `Refused` (code "SESSION") while the key is not there, `Invalid` for what is malformed, or was
        encrypted by another than its sender, or for another room."""
        return open_event(room_id, event, keys, self._pickle_key)

    def lock(self, text: str, about: str) -> str:
        return locking.lock(locking.derived(self._pickle_key), text, about)

    def unlock(self, locked: str, about: str) -> str:
        return locking.unlock(locking.derived(self._pickle_key), locked, about)

    # ------------------------------------------------------------------ parts

    def _for_each(self, keys: Mapping[Device, str], content: Data) -> tuple[Messages, dict[str, str]]:
        messages: Messages = {}
        olm: dict[str, str] = {}
        for device, key in keys.items():
            session = self._session(device, key)
            message = self._encrypt(session, device, content)
            messages.setdefault(device.user_id, {})[device.device_id] = message
            olm[f"{device.user_id}|{device.device_id}"] = session.pickle(self._pickle_key)
        return messages, olm

    def _session(self, device: Device, key: str) -> Session:
        try:
            identity, one_time = (Curve25519PublicKey.from_base64(text) for text in (device.curve25519, key))
            return self._account.create_outbound_session(identity, one_time)
        except ValueError as error:
            cause = f"the key of device {device.device_id} of {device.user_id} makes no session"
            raise Invalid.field("keys", cause) from error

    def _encrypt(self, session: Session, device: Device, content: Data) -> Data:
        payload = {
            "type": "m.room_key",
            "sender": self.user_id,
            "sender_device": self.device_id,
            "keys": {"ed25519": self.ed25519},
            "recipient": device.user_id,
            "recipient_keys": {"ed25519": device.ed25519},
            "content": content,
        }
        kind, body = session.encrypt(_json(payload)).to_parts()
        ciphertext = {device.curve25519: {"type": kind, "body": base64.b64encode(body).decode().rstrip("=")}}
        return {"algorithm": OLM, "sender_key": self.curve25519, "ciphertext": ciphertext}

    def _open_first(self, sender_key: str, body: bytes) -> tuple[str, str, bytes]:
        """By the account and its fallback key, which are still there the next time."""
        try:
            message = AnyOlmMessage.from_parts(PRE_KEY, body).to_pre_key()
            if message is None:
                raise ValueError("not the first message of a session")
            identity = Curve25519PublicKey.from_base64(sender_key)
            session, plaintext = self._account.create_inbound_session(identity, message)
        except ValueError as error:
            raise Refused("a message to the bot that its account does not open", code="SESSION") from error
        return session.session_id, session.pickle(self._pickle_key), plaintext

    def _open_next(self, kind: int, body: bytes, sessions: Mapping[str, str]) -> tuple[str, str, bytes]:
        """Nothing in such a message names its session, so all are tried, the latest first."""
        for name, pickle in reversed(list(sessions.items())):
            try:
                session = Session.from_pickle(pickle, self._pickle_key)
                plaintext = session.decrypt(AnyOlmMessage.from_parts(kind, body))
            except ValueError:
                continue
            return name, session.pickle(self._pickle_key), plaintext
        raise Refused("a message to the bot that none of the kept sessions opens", code="SESSION")


def _room_key(room_id: str, group: GroupSession) -> Data:
    return {
        "algorithm": MEGOLM,
        "room_id": room_id,
        "session_id": group.session_id,
        "session_key": group.session_key.to_base64(),
    }


def _json(value: Any) -> bytes:
    """Raises `Invalid` for what JSON cannot say; fractions it can."""
    try:
        return json.dumps(value, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise Invalid.field("content", "cannot be written as JSON") from error


__all__ = ["Sealer", "canonical_json", "claimed", "devices_of", "make_account"]
