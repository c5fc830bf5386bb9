"""Devices of members, what became of a key sent to them, and what a sealed message is made of."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field

Messages = dict[str, dict[str, dict[str, Any]]]
"""User to device to content: the shape of a to-device request."""


class Device(Struct, frozen=True):
    """One whose own signature over its keys holds. `verified`: cross-signed by its owner."""

    user_id: str
    device_id: str
    name: str
    ed25519: str
    curve25519: str
    verified: bool = False


class Distrusted(Struct, frozen=True):
    """A device that gets no key, and why, in words. `silent`: because its homeserver did not answer just now."""

    user_id: str
    device_id: str
    reason: str
    silent: bool = False


class Sealed(Struct, frozen=True):
    """Everything that is stored before anything is sent. `event`: the content of m.room.encrypted.
    `to_device`: the room key for each device, Olm-encrypted. `session`: the Megolm session as it was at index
    0, for later devices and replies. `olm`: "user|device" to the pickled Olm session, for replies."""

    session_id: str
    event: dict[str, Any]
    to_device: Messages
    session: str
    olm: dict[str, str] = field(default_factory=dict)


class NewDevice(Struct, frozen=True):
    """`account`: pickled, encrypted. `device_keys` and `fallback_keys`: signed, as keys/upload takes them."""

    account: str
    device_keys: dict[str, Any]
    fallback_keys: dict[str, Any]


class RoomKey(Struct, frozen=True):
    """A member's Megolm session, as it came by to-device from the device with these keys. `session`: pickled,
    encrypted."""

    room_id: str
    session_id: str
    user_id: str
    ed25519: str
    curve25519: str
    session: str


class Opened(Struct, frozen=True):
    """A message to the bot's device. `olm_name`, `olm`: the Olm session that opened it, by the name it was given
    by (a new one: its id), and its state now, pickled. `content` lacks the `session_key`, which is in `room_key`."""

    user_id: str
    ed25519: str
    curve25519: str
    event_type: str
    content: dict[str, Any]
    olm_name: str
    olm: str
    room_key: RoomKey | None = None

    def is_from(self, device: Device) -> bool:
        """Whether that device has sent it. The keys must come from a signed list of devices."""
        theirs = (device.user_id, device.ed25519, device.curve25519)
        return (self.user_id, self.ed25519, self.curve25519) == theirs
