"""Rooms' state as the homeserver tells it: of a whole room, and of all rooms what changed. Parsed without a detour.

A room of 20,000 members is an answer of some 12 MB. It is decoded by its shape: of each event only what Muster reads
becomes an object, and what says the same ("join") becomes one object for all. Members write their own member
event, so nothing is believed of a content but what is looked at, and one that is unusable spoils no other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

import msgspec
from msgspec import Raw, Struct

from shared.adapters.matrix_errors import nonsense
from shared.adapters.matrix_json import parsed, shallow
from shared.ports import Changes, StateEvent

LEVELS = ("users_default", "invite", "kick", "ban", "state_default", "events_default")
HIGHEST = 2**53
"""Above any level of today's rooms (canonical JSON), and more than fits into what we store."""
UNUSABLE = (msgspec.DecodeError, ValueError, RecursionError)
NOTHING: Mapping[str, Any] = MappingProxyType({})
MEMBERSHIPS = {word: MappingProxyType({"membership": word}) for word in ("join", "invite", "leave", "ban", "knock")}

_T = TypeVar("_T")


class Event(Struct, frozen=True, gc=False):
    """As it comes. `state_key` None: it only looks like state."""

    type: str
    content: Raw = Raw(b"{}")
    state_key: str | None = None
    sender: str = ""
    origin_server_ts: Any = 0


class Events(Struct, frozen=True):
    events: list[Event] = []


class Joined(Struct, frozen=True):
    """Either what was before the timeline and the timeline, or, from homeservers that can, how all of it ended
    (`use_state_after`, specification 1.16; under its draft's name MSC4222)."""

    state: Events = Events()
    timeline: Events = Events()
    state_after: Events | None = None
    draft: Events | None = msgspec.field(name="org.matrix.msc4222.state_after", default=None)

    def events(self) -> list[Event]:
        after = self.state_after or self.draft
        return after.events if after else [*self.state.events, *self.timeline.events]


class Rooms(Struct, frozen=True):
    join: dict[str, Joined] = {}
    leave: dict[str, Raw] = {}


class Synced(Struct, frozen=True):
    next_batch: str
    rooms: Rooms = Rooms()


class Member(Struct, frozen=True, gc=False):
    membership: str = ""


_STATE: msgspec.json.Decoder[list[Event]] = msgspec.json.Decoder(list[Event])
_SYNCED = msgspec.json.Decoder(Synced)
_MEMBER = msgspec.json.Decoder(Member)


def read_state(body: bytes) -> list[StateEvent]:
    """From `GET rooms/{id}/state`. Raises `Unreachable` for what is no such answer."""
    events = _decoded(_STATE, body)
    return _told(events)


def read_changes(body: bytes) -> Changes:
    """From `/sync`. Raises `Unreachable` for what is no such answer."""
    said = _decoded(_SYNCED, body)
    told = {room_id: _told(room.events()) for room_id, room in said.rooms.join.items()}
    rooms = {room_id: events for room_id, events in told.items() if events}
    return Changes(said.next_batch, rooms, frozenset(said.rooms.leave))


def _decoded(decoder: msgspec.json.Decoder[_T], body: bytes) -> _T:
    """By the forgiving parser, if the strict one stumbles over what somebody has written: nesting, half a letter."""
    try:
        return decoder.decode(body)
    except UNUSABLE:
        again = _spelled(parsed(shallow(body.decode("utf-8", "replace")).encode("utf-8", "replace")))
    try:
        return decoder.decode(msgspec.json.encode(again))
    except UNUSABLE as error:
        raise nonsense(200) from error


def _spelled(value: Any) -> Any:
    """With a question mark for each half of a letter."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_spelled(key): _spelled(item) for key, item in value.items()}
    return [_spelled(item) for item in value] if isinstance(value, list) else value


def _told(events: Iterable[Event]) -> list[StateEvent]:
    read = ((event, _content(event)) for event in events if event.state_key is not None)
    return [StateEvent(event.type, event.state_key or "", said, _at(event)) for event, said in read if said is not None]


def _at(event: Event) -> int:
    at = event.origin_server_ts
    return at if type(at) is int and 0 < at < 2**53 else 0


def _content(event: Event) -> Mapping[str, Any] | None:
    """None for a kind that Muster does not read, and for a member of whom it does not say what they are."""
    if event.type == "m.room.member":
        try:
            return MEMBERSHIPS.get(_MEMBER.decode(event.content).membership)
        except UNUSABLE:
            return None
    reader = READERS.get(event.type)
    if reader is None:
        return None
    try:
        said = msgspec.json.decode(event.content)
    except UNUSABLE:
        said = None
    return reader(said, event) if isinstance(said, dict) else NOTHING


# ------------------------------------------------------------------ each kind of content

Said = dict[str, Any]
Reader = Callable[[Said, Event], Said]


def _texts(*names: str) -> Reader:
    return lambda said, _: {name: said[name] for name in names if isinstance(said.get(name), str)}


def _creation(said: Said, event: Event) -> Said:
    """The sender is the creator (specification, room version 11)."""
    found = _texts("type", "room_version")(said, event)
    found["creator"] = event.sender or str(said.get("creator") or "")
    before = said.get("predecessor")
    if isinstance(before, dict) and isinstance(before.get("room_id"), str):
        found["predecessor"] = {"room_id": before["room_id"]}
    return found | {"additional_creators": _strings(said.get("additional_creators"))}


def _join_rules(said: Said, event: Event) -> Said:
    allowed = said.get("allow")
    rules = [rule for rule in allowed if isinstance(rule, dict)] if isinstance(allowed, list) else []
    kept = [{name: rule[name] for name in ("type", "room_id") if isinstance(rule.get(name), str)} for rule in rules]
    return _texts("join_rule")(said, event) | {"allow": kept}


def _power_levels(said: Said, _: Event) -> Said:
    found: Said = {name: level for name in LEVELS if (level := _level(said.get(name))) is not None}
    for name in ("users", "events"):
        levels = said.get(name)
        listed = levels.items() if isinstance(levels, dict) else ()
        found[name] = {key: level for key, value in listed if (level := _level(value)) is not None}
    return found


def _level(value: Any) -> int | None:
    """Rooms before version 10 may hold levels as text, and those before version 6 numbers of any size."""
    try:
        level = int(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return level if abs(level) < HIGHEST else None


def _link(said: Said, event: Event) -> Said:
    """Of a space. Without `via` there is none (specification)."""
    via = _strings(said.get("via"))
    flags = {name: True for name in ("canonical", "suggested") if said.get(name) is True}
    return {"via": via} | flags | _texts("order")(said, event) if via else {}


def _strings(value: Any) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


READERS: Mapping[str, Reader] = {
    "m.room.create": _creation,
    "m.room.name": _texts("name"),
    "m.room.topic": _texts("topic"),
    "m.room.canonical_alias": _texts("alias"),
    "m.room.encryption": _texts("algorithm"),
    "m.room.join_rules": _join_rules,
    "m.room.power_levels": _power_levels,
    "m.room.tombstone": _texts("replacement_room"),
    "m.space.parent": _link,
    "m.space.child": _link,
}
KINDS = ("m.room.member", *READERS)
"""The kinds of state that Muster reads."""
FIELDS = (
    *("type", "state_key", "sender", "origin_server_ts"),
    *(f"content.{name}" for name in (*LEVELS, "users", "events", "membership", "name", "topic", "alias", "algorithm")),
    *(
        f"content.{name}"
        for name in ("join_rule", "allow", "replacement_room", "via", "canonical", "suggested", "order")
    ),
    *(f"content.{name}" for name in ("type", "room_version", "creator", "additional_creators", "predecessor")),
)
"""All that is looked at of an event: a homeserver that is told so sends nothing else, least of all what people say."""
