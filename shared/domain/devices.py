"""Devices of members, what became of a key sent to them, and what a sealed message is made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Messages = dict[str, dict[str, dict[str, Any]]]
"""User to device to content: the shape of a to-device request."""


@dataclass(frozen=True, slots=True)
class Device:
    """One whose own signature over its keys holds. `verified`: cross-signed by its owner."""

    user_id: str
    device_id: str
    name: str
    ed25519: str
    curve25519: str
    verified: bool = False


@dataclass(frozen=True, slots=True)
class Distrusted:
    """A device that gets no key, and why, in words."""

    user_id: str
    device_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Sealed:
    """Everything that is stored before anything is sent. `event`: the content of m.room.encrypted.
    `to_device`: the room key for each device, Olm-encrypted. `session`: the Megolm session as it was at index
    0, for later devices and replies. `olm`: "user|device" to the pickled Olm session, for replies."""

    session_id: str
    event: dict[str, Any]
    to_device: Messages
    session: str
    olm: dict[str, str] = field(default_factory=dict)
