"""Rooms of the homeserver in memory, and their state as `Chat` tells it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from shared.ports import Data, StateEvent

CREATOR = 2**53
Pieces = dict[tuple[str, str], StateEvent]
"""By type and state key."""


@dataclass
class FakeRoom:
    """`members`: user to membership state. `powers`: user to level. `events`: oldest first. `allow`: the rooms whose
    members may join, where `join_rule` is "restricted". `replacement`: the room that it was upgraded to. `parents` and
    `children`: of spaces. `change`: what changing powers needs. `moved_at`: when a member's state became what it is, in ms, if not with the room."""

    room_id: str
    name: str
    topic: str = ""
    alias: str = ""
    encrypted: bool = False
    kind: str = ""
    join_rule: str = "invite"
    creators: frozenset[str] = frozenset()
    powers: dict[str, int] = field(default_factory=dict)
    users_default: int = 0
    invite: int = 0
    kick: int = 50
    change: int = 50
    events_default: int = 0
    members: dict[str, str] = field(default_factory=dict)
    direct: set[str] = field(default_factory=set)
    events: list[Data] = field(default_factory=list)
    creator: str = ""
    version: str = "12"
    allow: tuple[str, ...] = ()
    replacement: str = ""
    predecessor: str = ""
    parents: tuple[str, ...] = ()
    children: tuple[str, ...] = ()
    made_at: int = 0
    moved_at: dict[str, int] = field(default_factory=dict)

    def power_of(self, user_id: str) -> int:
        return CREATOR if user_id in self.creators else self.powers.get(user_id, self.users_default)

    def put(self, user_id: str, membership: str, at: int) -> None:
        """The same again changes nothing."""
        if self.members.get(user_id) != membership:
            self.members[user_id], self.moved_at[user_id] = membership, at

    def joined(self) -> list[str]:
        return [user for user, state in self.members.items() if state == "join"]


def state_of(room: FakeRoom) -> Pieces:
    """What of the room is there to be read."""
    pieces = {(kind, key): StateEvent(kind, key, content, room.made_at) for kind, key, content in _pieces(room)}
    for user, membership in room.members.items():
        at = room.moved_at.get(user, room.made_at)
        pieces["m.room.member", user] = StateEvent("m.room.member", user, {"membership": membership}, at)
    return pieces


def _pieces(room: FakeRoom) -> Iterator[tuple[str, str, Data]]:
    more: Data = {"type": room.kind} if room.kind else {}
    more |= {"predecessor": {"room_id": room.predecessor}} if room.predecessor else {}
    made = {"creator": room.creator, "additional_creators": [], "room_version": room.version}
    yield "m.room.create", "", made | more
    allow = [{"type": "m.room_membership", "room_id": allowed} for allowed in room.allow]
    yield "m.room.join_rules", "", {"join_rule": room.join_rule, "allow": allow}
    yield "m.room.power_levels", "", _levels(room)
    texts = {"name": ("name", room.name), "topic": ("topic", room.topic), "canonical_alias": ("alias", room.alias)}
    texts["encryption"] = ("algorithm", "m.megolm.v1.aes-sha2" if room.encrypted else "")
    texts["tombstone"] = ("replacement_room", room.replacement)
    yield from ((f"m.room.{kind}", "", {field: value}) for kind, (field, value) in texts.items() if value)
    via: Data = {"via": [room.room_id.partition(":")[2]]}
    yield from (("m.space.parent", parent, via) for parent in room.parents)
    yield from (("m.space.child", child, via) for child in room.children)


def _levels(room: FakeRoom) -> Data:
    events = {"m.room.power_levels": room.change} if room.change != 50 else {}
    own: Data = {"users": dict(room.powers), "users_default": room.users_default, "events": events, "ban": 50}
    return own | {"invite": room.invite, "kick": room.kick, "events_default": room.events_default, "state_default": 50}


def differences(before: Mapping[str, Pieces], now: Mapping[str, Pieces]) -> dict[str, list[StateEvent]]:
    """By room: what is new, is another, or was taken back."""
    told = {room_id: _changed(before.get(room_id, {}), pieces) for room_id, pieces in now.items()}
    return {room_id: events for room_id, events in told.items() if events}


def _changed(before: Pieces, now: Pieces) -> list[StateEvent]:
    gone = [StateEvent(kind, key, {}) for kind, key in before.keys() - now.keys() if kind != "m.room.member"]
    left = [
        StateEvent(kind, key, {"membership": "leave"})
        for kind, key in before.keys() - now.keys()
        if kind == "m.room.member"
    ]
    return [event for key, event in now.items() if before.get(key) != event] + gone + left
