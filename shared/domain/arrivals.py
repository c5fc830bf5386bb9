"""What one /sync has brought, cut out of whatever was said. Any of it may be a lie, or have another shape than the
specification says: what cannot be used is counted, and never raises."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from msgspec import Struct, field

Event = dict[str, Any]
LONGEST = 100_000
"""Characters of JSON. An honest homeserver takes no event beyond 64 KB."""
LONGEST_ID = 255
DEEPEST = 50


class Timeline(Struct, frozen=True):
    """`events`: oldest first. `before`: where what was left out is paged back from; empty when nothing was."""

    events: tuple[Event, ...]
    before: str = ""


class Arrivals(Struct, frozen=True):
    """`to_device`: encrypted ones alone. `received`: how many of any kind came to the device, so that one sees whether
    there may be more. `unusable`: how many events were of no shape."""

    position: str
    to_device: tuple[Event, ...]
    received: int
    rooms: dict[str, Timeline] = field(default_factory=dict)
    unusable: int = 0


def arrivals(said: Event) -> Arrivals:
    came = _list(_map(said.get("to_device")).get("events"))
    to_device = [event for event in came if is_usable(event)]
    rooms, unusable = {}, len(came) - len(to_device)
    for room_id, joined in _map(_map(said.get("rooms")).get("join")).items():
        timeline = _map(_map(joined).get("timeline"))
        events, odd = room_events(timeline.get("events"))
        before = timeline.get("prev_batch") if timeline.get("limited") is True else ""
        if is_id(room_id) and (events or before):
            rooms[room_id] = Timeline(events, before if isinstance(before, str) else "")
        unusable += odd
    encrypted = tuple(event for event in to_device if event["type"] == "m.room.encrypted")
    return Arrivals(str(said["next_batch"]), encrypted, len(came), rooms, unusable)


def room_events(events: Any) -> tuple[tuple[Event, ...], int]:
    """Those that can be named, and how many cannot."""
    found = _list(events)
    usable = tuple(event for event in found if is_usable(event) and is_id(event.get("event_id")))
    return usable, len(found) - len(usable)


def is_usable(event: Any) -> bool:
    """It says who has sent what; nothing is promised of its content but that it is an object of a sane size."""
    if not isinstance(event, dict) or not isinstance(event.get("content"), dict):
        return False
    return is_id(event.get("sender")) and is_id(event.get("type")) and is_shallow(event) and size_of(event) <= LONGEST


def is_id(value: Any) -> bool:
    """Something that may be an id, and that every store can keep."""
    return isinstance(value, str) and 0 < len(value) <= LONGEST_ID and value.isprintable()


def size_of(event: Event) -> int:
    """Characters of JSON, of one that `is_shallow`."""
    return len(json.dumps(event))


def is_shallow(event: Event) -> bool:
    """Level by level, since a recursion would come to its end before a hostile event does."""
    level: list[Any] = [event]
    for _ in range(DEEPEST):
        inside = [part.values() if isinstance(part, dict) else part for part in level]
        level = [part for parts in inside for part in parts if isinstance(part, dict | list)]
        if not level:
            return True
    return False


def membership(events: Iterable[Event], member: str) -> str | None:
    """What the events, oldest first, say last of that member: "join", "leave", ...; None when they say nothing."""
    said = None
    for event in events:
        if (event["type"], event.get("state_key")) == ("m.room.member", member):
            said = str(event["content"].get("membership"))[:LONGEST_ID]
    return said


def _map(value: Any) -> Event:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
