"""Rooms as the cache keeps them, and the one function that makes them: a full sync folds all of a room's state over an
empty row, a light one folds what has changed over the row that is there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol
from zlib import crc32

from msgspec import Struct
from msgspec.structs import replace

CREATOR = 2**53
"""A creator's power in rooms of version 12 and later: above any level that can be written down."""
MEMBER_SHARDS, ROOM_SHARDS = 16, 4
NAME, TOPIC = 255, 4_000
"""Characters that are kept. An event holds 64 KB of them, and every list would carry them."""
IDS = 32_768
"""Matrix ids in one document of their table."""


class Event(Protocol):
    """A piece of a room's state (`shared.ports.StateEvent`)."""

    @property
    def type(self) -> str: ...
    @property
    def state_key(self) -> str: ...
    @property
    def content(self) -> Mapping[str, Any]: ...


class RoomRow(Struct, frozen=True, omit_defaults=True):
    """What a room's state says. `levels`: of m.room.power_levels, where they are not the default; None: there is no
    such event. `allow`: spaces whose members may join a restricted room, in the event's order. `replacement`: where a
    tombstone leads. `joined`, `invited`: how many."""

    room_id: str
    name: str = ""
    topic: str = ""
    alias: str = ""
    kind: str = ""
    version: str = "1"
    encrypted: bool = False
    join_rule: str = "invite"
    allow: tuple[str, ...] = ()
    creators: tuple[str, ...] = ()
    levels: dict[str, int] | None = None
    users: dict[str, int] = {}
    replacement: str = ""
    parents: tuple[str, ...] = ()
    children: tuple[str, ...] = ()
    joined: int = 0
    invited: int = 0

    def level(self, name: str) -> int:
        """What the room asks for: "invite", "kick", "ban", "message", "state_default"; "change": of power levels."""
        if name == "change":
            return (self.levels or {}).get(name, self.level("state_default"))
        return (self.levels or {}).get(
            name, DEFAULTS[name] if self.levels is not None or name != "state_default" else 0
        )

    @property
    def rules_all(self) -> bool:
        """Whether creators are above every level: from version 12 on."""
        return self.version.isdigit() and int(self.version) >= 12

    def power_of(self, user_id: str) -> int:
        if user_id in self.creators and self.rules_all:
            return CREATOR
        if self.levels is None:
            return 100 if user_id in self.creators else 0
        return self.users.get(user_id, self.levels.get("users_default", 0))


DEFAULTS = {"invite": 0, "kick": 50, "ban": 50, "message": 0, "state_default": 50, "users_default": 0}
LEVELS = ("invite", "kick", "ban", "state_default", "users_default")


def folded(row: RoomRow, events: Iterable[Event]) -> RoomRow:
    """The row after these events, of which the later ones count. Members are not in the row: see `memberships`."""
    changes: dict[str, Any] = {}
    parents, children = set(row.parents), set(row.children)
    for event in events:
        if event.type in READERS:
            changes |= READERS[event.type](event.content)
        elif event.type == "m.space.parent":
            _link(parents, event)
        elif event.type == "m.space.child":
            _link(children, event)
    links = {"parents": tuple(sorted(parents)), "children": tuple(sorted(children))}
    return replace(row, **(changes | links))


def _link(links: set[str], event: Event) -> None:
    """A link without servers has been taken back (the specification's words)."""
    (links.add if event.content.get("via") else links.discard)(event.state_key)


def _create(content: Mapping[str, Any]) -> dict[str, Any]:
    creators = (str(content.get("creator") or ""), *map(str, content.get("additional_creators") or ()))
    return {
        "kind": str(content.get("type") or ""),
        "version": str(content.get("room_version") or "1"),
        "creators": tuple(sorted({creator for creator in creators if creator})),
    }


def _power(content: Mapping[str, Any]) -> dict[str, Any]:
    if not content:
        return {"levels": None, "users": {}}
    levels = {name: int(content[name]) for name in LEVELS if name in content and content[name] != DEFAULTS[name]}
    message = int((content.get("events") or {}).get("m.room.message", content.get("events_default", 0)))
    change = int((content.get("events") or {}).get("m.room.power_levels", content.get("state_default", 50)))
    levels |= {"message": message} if message else {}
    levels |= {"change": change} if change != int(content.get("state_default", 50)) else {}
    return {"levels": levels, "users": dict(content.get("users") or {})}


def _join_rules(content: Mapping[str, Any]) -> dict[str, Any]:
    rules = [rule for rule in content.get("allow") or () if rule.get("type") == "m.room_membership"]
    allowed = dict.fromkeys(str(rule["room_id"]) for rule in rules if rule.get("room_id"))
    return {"join_rule": str(content.get("join_rule") or "invite"), "allow": tuple(allowed)}


READERS: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "m.room.create": _create,
    "m.room.name": lambda content: {"name": str(content.get("name") or "")[:NAME]},
    "m.room.topic": lambda content: {"topic": str(content.get("topic") or "")[:TOPIC]},
    "m.room.canonical_alias": lambda content: {"alias": str(content.get("alias") or "")},
    "m.room.encryption": lambda content: {"encrypted": bool(content.get("algorithm"))},
    "m.room.join_rules": _join_rules,
    "m.room.power_levels": _power,
    "m.room.tombstone": lambda content: {"replacement": str(content.get("replacement_room") or "")},
}


def memberships(events: Iterable[Event]) -> dict[str, str]:
    """Who these events concern, and what each is afterwards."""
    members = (event for event in events if event.type == "m.room.member")
    return {event.state_key: str(event.content.get("membership") or "leave") for event in members}


class Members(Struct, frozen=True):
    """Numbers in the table of Matrix ids."""

    joined: frozenset[int] = frozenset()
    invited: frozenset[int] = frozenset()

    def after(self, changed: Mapping[int, str]) -> Members:
        def then(before: frozenset[int], state: str) -> frozenset[int]:
            return before.difference(changed).union(one for one, now in changed.items() if now == state)

        return Members(then(self.joined, "join"), then(self.invited, "invite"))


def member_shard(room_id: str) -> int:
    """From 0; stable, whoever asks."""
    return crc32(room_id.encode()) % MEMBER_SHARDS


def members_name(shard: int) -> str:
    return f"members-{shard:02d}"


def rooms_name(shard: int) -> str:
    """Of the rooms whose members are in that shard: a few of those share one."""
    return f"rooms-{shard * ROOM_SHARDS // MEMBER_SHARDS}"


def ids_name(chunk: int) -> str:
    return f"ids-{chunk:04d}"
