"""Bundles: named sets of rooms, groups and power levels, and what somebody who has some of them is to have."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime

from anyascii import anyascii
from msgspec import Struct, field

from shared.domain.records import Record

EVERY_ROOM = "*"
"""In `levels`: for each room of the bundle that is not named itself."""


class Way(Struct, frozen=True):
    """A space whose members enter a room by themselves."""

    space: str
    name: str


class Bundle(Record, frozen=True, kw_only=True):
    """`rooms`: ids. `groups`: Authentik's, given with the bundle. `for_groups`: whose members are to have it.
    `levels`: a room, or `EVERY_ROOM`, to the power level there. `removes`: whether a plan may take somebody who is not
    to have it out of its rooms, and take its power back. `ways`: of rooms that are entered by a space, its id and name,
    as seen when the bundle was saved. `revision` goes up with every change. `made_by`: a digest of who asked for it,
    and how, to tell a repeat from a second one."""

    id: str
    name: str
    created_at: datetime
    created_by: str
    changed_at: datetime
    changed_by: str
    rooms: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    for_groups: tuple[str, ...] = ()
    levels: dict[str, int] = field(default_factory=dict)
    removes: bool = False
    space_first: bool = True
    ways: dict[str, dict[str, str]] = field(default_factory=dict)
    revision: int = 1
    made_by: str = ""

    def level_in(self, room: str) -> int | None:
        return self.levels.get(room, self.levels.get(EVERY_ROOM))


class Grant(Struct, frozen=True):
    """What some bundles give together: each room once, the highest level of each. `ways`: rooms that need no invite."""

    rooms: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    levels: Mapping[str, int] = {}
    ways: Mapping[str, Way] = {}


def granted(bundles: Iterable[Bundle]) -> Grant:
    """A space comes before the rooms that are entered by it. A room counts as entered by a space only if every bundle
    that names it says so."""
    held = list(bundles)
    ways = {room: Way(way["id"], way["name"]) for bundle in held for room, way in _ways(bundle).items()}
    invited = {room for bundle in held for room in bundle.rooms if room not in _ways(bundle)}
    ways = {room: way for room, way in ways.items() if room not in invited}
    rooms = (*(way.space for way in ways.values()), *(room for bundle in held for room in bundle.rooms))
    return Grant(
        rooms=tuple(dict.fromkeys(rooms)),
        groups=tuple(dict.fromkeys(group for bundle in held for group in bundle.groups)),
        levels=highest(held),
        ways=ways,
    )


def _ways(bundle: Bundle) -> Mapping[str, dict[str, str]]:
    return bundle.ways if bundle.space_first else {}


def highest(bundles: Iterable[Bundle]) -> dict[str, int]:
    """Of each room for which any of them names a level."""
    found: dict[str, int] = {}
    for bundle in bundles:
        for room in bundle.rooms:
            level = bundle.level_in(room)
            if level is not None:
                found[room] = max(level, found.get(room, level))
    return found


def bundle_id(name: str) -> str:
    """From its name, so that no two are made under one: "Küche & Co" is kuche-co."""
    return re.sub(r"[^a-z0-9]+", "-", anyascii(name).lower()).strip("-")[:60] or "bundle"
