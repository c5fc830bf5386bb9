"""What a homeserver says of rooms, in our own words. Pure: no call, no clock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

from shared.ports import Entry, Levels, Power, Resident, Room

EPOCH = datetime.fromtimestamp(0, UTC)
LATEST = 4_102_444_800_000
"""Milliseconds until 2100: another homeserver's clock may say anything."""


class Creation(Struct, frozen=True):
    """From m.room.create, which never changes. `creators` have infinite power, from version 12 on;
    before that `creator` has 100 in a room that has no power levels."""

    creator: str
    creators: frozenset[str]


def creation_of(event: Mapping[str, Any]) -> Creation:
    """`event`: the whole m.room.create event; its sender is the creator (spec, room version 11)."""
    content = event.get("content") or event  # a homeserver that ignores `format=event` answers the content
    creator = str(event.get("sender") or content.get("creator") or "")
    version = str(content.get("room_version") or "1")
    if not (version.isdigit() and int(version) >= 12):
        return Creation(creator, frozenset())
    return Creation(creator, frozenset({creator, *content.get("additional_creators", ())}))


def levels_of(said: Mapping[str, Any] | None, creation: Creation) -> Levels:
    """`said`: m.room.power_levels, None when the room has none; absent keys have the spec's defaults."""
    given = {"users": {creation.creator: 100}} if said is None else said
    return Levels(
        users={user: _level(level) for user, level in (given.get("users") or {}).items()},
        default=_level(given.get("users_default", 0)),
        creators=creation.creators,
        invite=_level(given.get("invite", 0)),
        kick=_level(given.get("kick", 50)),
        change=_level((given.get("events") or {}).get("m.room.power_levels", given.get("state_default", 50))),
    )


def power_of(said: Mapping[str, Any] | None, creation: Creation, user: str, target: str) -> Power:
    """`events_default` is what an m.room.message needs."""
    levels, given = levels_of(said, creation), said or {}
    return Power(
        ours=levels.of(user),
        invite=levels.invite,
        kick=levels.kick,
        events_default=_level(given.get("events", {}).get("m.room.message", given.get("events_default", 0))),
        target=levels.of(target) if target else 0,
    )


def entry_of(said: Mapping[str, Any] | None) -> Entry:
    """From m.room.join_rules; a room without is entered by invite."""
    allow = (said or {}).get("allow")
    conditions = [each for each in allow if isinstance(each, dict)] if isinstance(allow, list) else []
    rooms = [each.get("room_id") for each in conditions if each.get("type") == "m.room_membership"]
    return Entry(str((said or {}).get("join_rule") or "invite"), tuple(room for room in rooms if isinstance(room, str)))


def residents_of(
    members: Iterable[Mapping[str, Any]], levels: Mapping[str, Any] | None, creation: Creation
) -> list[Resident]:
    """From the m.room.member events of those who have joined; what is malformed is left out."""
    known, found = levels_of(levels, creation), []
    for event in (each for each in members if isinstance(each, Mapping)):
        user, content, at = event.get("state_key"), event.get("content"), event.get("origin_server_ts")
        if not isinstance(user, str) or not isinstance(content, Mapping) or content.get("membership") != "join":
            continue
        name = content.get("displayname")
        since = datetime.fromtimestamp(min(max(at, 0), LATEST) / 1000, UTC) if type(at) is int else EPOCH
        shown = name if isinstance(name, str) and name.strip() else _local(user)
        found.append(Resident(user, shown, since, known.of(user)))
    return sorted(found, key=lambda resident: (resident.since, resident.user_id))


def _local(user_id: str) -> str:
    return user_id[1:].partition(":")[0]


def room_of_summary(summary: Mapping[str, Any]) -> Room:
    """From `GET /_matrix/client/v1/room_summary/{room}`."""
    return Room(
        room_id=summary["room_id"],
        name=summary.get("name") or "",
        topic=summary.get("topic") or "",
        alias=summary.get("canonical_alias") or "",
        encrypted=bool(summary.get("encryption") or summary.get("im.nheko.summary.encryption")),
        members=int(summary.get("num_joined_members") or 0),
        kind=summary.get("room_type") or "",
        join_rule=summary.get("join_rule") or "",
    )


def room_of_list(entry: Mapping[str, Any]) -> Room:
    """From Synapse's admin list of rooms, which has no topics."""
    return Room(
        room_id=entry["room_id"],
        name=entry.get("name") or "",
        alias=entry.get("canonical_alias") or "",
        encrypted=bool(entry.get("encryption")),
        members=int(entry.get("joined_members") or 0),
        kind=entry.get("room_type") or "",
        join_rule=entry.get("join_rules") or "",
    )


def by_name(rooms: Iterable[Room | None]) -> list[Room]:
    return sorted((room for room in rooms if room), key=lambda room: (room.name.casefold(), room.room_id))


def event_with(events: Iterable[Mapping[str, Any]], sender: str, key: str, value: str) -> str | None:
    """The id of the first event of that sender whose content has `key` = `value`."""
    for event in events:
        if event.get("sender") == sender and (event.get("content") or {}).get(key) == value:
            return str(event["event_id"])
    return None


def contents_of(chunk: Iterable[Any], sender: str) -> list[dict[str, Any]]:
    """Of that sender's messages, as they come; what was taken back, and what is malformed, is none."""
    theirs = [event for event in chunk if isinstance(event, Mapping) and event.get("sender") == sender]
    contents = [event.get("content") for event in theirs]
    return [dict(content) for content in contents if isinstance(content, Mapping) and content]


def _level(value: Any) -> int:
    """Rooms before version 10 may hold levels as text."""
    try:
        return int(value)
    except (TypeError, ValueError):
        return 0
