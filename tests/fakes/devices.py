"""Devices of members that really hold keys, so that a test can see whether what was sent can be read."""

from __future__ import annotations

import base64
import itertools
import json
from typing import Any

from vodozemac import (
    Account,
    AnyOlmMessage,
    Curve25519PublicKey,
    GroupSession,
    InboundGroupSession,
    MegolmMessage,
    Session,
    SessionKey,
)

from shared.adapters.canonical import signed_bytes
from shared.adapters.cross_signing import Identity
from shared.adapters.olm_devices import MEGOLM, OLM
from shared.ports import Data

_numbers = itertools.count(1)


class Unreadable(Exception):
    """What a client shows as "unable to decrypt"."""


class MemberDevice:
    """A client in small: keeps Olm and room sessions, reads and writes. `upload` is its body for keys/upload."""

    def __init__(
        self,
        user_id: str,
        device_id: str = "",
        *,
        name: str = "Phone",
        one_time_keys: int = 5,
        fallback: bool = True,
        identity: Identity | None = None,
    ) -> None:
        """`identity`: of its owner, who has signed this device with it."""
        self.user_id, self.device_id, self.name = user_id, device_id or f"DEVICE{next(_numbers)}", name
        self._account = Account()
        self.olm: list[Session] = []
        self._rooms: dict[str, InboundGroupSession] = {}
        self.ed25519 = self._account.ed25519_key.to_base64()
        self.curve25519 = self._account.curve25519_key.to_base64()
        self.identity = identity
        self.upload = self._upload(one_time_keys, fallback)

    def receive(self, event: Data) -> Data | None:
        """A to-device event. Answers the plaintext's payload; None for one that is not for this device."""
        content = event["content"]
        ours = content.get("ciphertext", {}).get(self.curve25519)
        if not ours:
            return None
        message = AnyOlmMessage.from_parts(ours["type"], _decoded(ours["body"]))
        payload: Data = json.loads(self._decrypt(content["sender_key"], message))
        assert payload["sender"] == event["sender"]
        assert payload["recipient"] == self.user_id
        assert payload["recipient_keys"]["ed25519"] == self.ed25519
        if payload["type"] == "m.room_key":
            key = payload["content"]
            self._rooms.setdefault(key["session_id"], InboundGroupSession(SessionKey(key["session_key"])))
        return payload

    def read(self, content: Data) -> Data:
        """The plaintext of an m.room.encrypted event's content. Raises `Unreadable`."""
        if content["session_id"] not in self._rooms:
            raise Unreadable(f"{self.user_id} {self.device_id} has no key of that session")
        try:
            said = self._rooms[content["session_id"]].decrypt(MegolmMessage.from_base64(content["ciphertext"]))
        except ValueError as error:
            raise Unreadable(str(error)) from error
        return dict(json.loads(said.plaintext))

    def write(self, room_id: str, content: Data, bot: Data, key: str = "") -> tuple[Data, Data]:
        """To-device content for the bot and the room event's content. `bot`: its device keys. `key`: a claimed
        one of the bot; without it over the newest Olm session, as clients do."""
        group = GroupSession()
        ids = {"room_id": room_id, "session_id": group.session_id}
        room_key = {"algorithm": MEGOLM, **ids, "session_key": group.session_key.to_base64()}
        to_device = self.to_bot("m.room_key", room_key, bot, key)
        text = json.dumps({"type": "m.room.message", "content": content, "room_id": room_id}).encode()
        ciphertext = group.encrypt(text).to_base64()
        return to_device, {"algorithm": MEGOLM, "session_id": group.session_id, "ciphertext": ciphertext}

    def to_bot(self, event_type: str, content: Data, bot: Data, key: str = "") -> Data:
        curve25519, ed25519 = (bot["keys"][f"{kind}:{bot['device_id']}"] for kind in ("curve25519", "ed25519"))
        if key:
            keys = (Curve25519PublicKey.from_base64(text) for text in (curve25519, key))
            self.olm.append(self._account.create_outbound_session(*keys))
        payload = {
            "type": event_type,
            "sender": self.user_id,
            "keys": {"ed25519": self.ed25519},
            "recipient": bot["user_id"],
            "recipient_keys": {"ed25519": ed25519},
            "content": content,
        }
        kind, body = self.olm[-1].encrypt(json.dumps(payload).encode()).to_parts()
        ciphertext = {curve25519: {"type": kind, "body": base64.b64encode(body).decode()}}
        return {"algorithm": OLM, "sender_key": self.curve25519, "ciphertext": ciphertext}

    def signed(self, value: Data) -> Data:
        signature = self._account.sign(signed_bytes(value)).to_base64()
        return {**value, "signatures": {self.user_id: {f"ed25519:{self.device_id}": signature}}}

    # ------------------------------------------------------------------ parts

    def _decrypt(self, sender_key: str, message: AnyOlmMessage) -> bytes:
        first = message.to_pre_key()
        for session in reversed(self.olm):
            if first is None or session.session_matches(first):
                try:
                    return bytes(session.decrypt(message))
                except ValueError:
                    continue
        if first is None:
            raise Unreadable("no Olm session opens it")
        try:
            made, plaintext = self._account.create_inbound_session(Curve25519PublicKey.from_base64(sender_key), first)
        except ValueError as error:
            raise Unreadable(str(error)) from error
        self.olm.append(made)
        return bytes(plaintext)

    def _upload(self, one_time_keys: int, fallback: bool) -> Data:
        account: Any = self._account  # its stubs lack the fallback key
        account.generate_one_time_keys(one_time_keys)
        if fallback:
            account.generate_fallback_key()
        once = {f"signed_curve25519:{name}": {"key": key.to_base64()} for name, key in account.one_time_keys.items()}
        last = {
            f"signed_curve25519:{name}": {"key": key.to_base64(), "fallback": True}
            for name, key in account.fallback_key.items()
        }
        account.mark_keys_as_published()
        return {
            "device_keys": self._device_keys(),
            "one_time_keys": {name: self.signed(key) for name, key in once.items()},
            "fallback_keys": {name: self.signed(key) for name, key in last.items()},
        }

    def _device_keys(self) -> Data:
        keys = {f"curve25519:{self.device_id}": self.curve25519, f"ed25519:{self.device_id}": self.ed25519}
        body = {"algorithms": [OLM, MEGOLM], "user_id": self.user_id, "device_id": self.device_id, "keys": keys}
        signed = self.signed(body)
        return self.identity.self_signing.sign(self.user_id, signed) if self.identity else signed


def _decoded(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4))
