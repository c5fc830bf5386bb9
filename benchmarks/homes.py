"""A homeserver for a community of any size: the state of its rooms is computed when it is asked for; only what happened
since is kept, and told by `/sync`. `benchmarks.neighbours` serves it."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import count
from typing import Any
from zlib import crc32

from benchmarks.communities import FIRST, SYLLABLES, Fault, Row

DOMAIN = "example.org"
BOT = f"@muster:{DOMAIN}"
PER_USER = 20
"""Rooms that a member is in, on average."""
LARGE, LARGE_MEMBERS = 10, 20_000
AGO = 86_400_000
MEMBER, MESSAGE = "m.room.member", "m.room.message"
ROOM, HASH = "=ROOM=", "=HASH="
Key = tuple[str, str]
LEVELS: Row = {
    **dict.fromkeys(("ban", "kick", "redact", "state_default"), 50),
    **dict.fromkeys(("invite", "events_default", "users_default"), 0),
    "events": {f"m.room.{name}": 50 for name in ("avatar", "canonical_alias", "name")},
}
REFUSED = {"errcode": "M_FORBIDDEN", "error": f"User {BOT} not in room, and room previews are disabled"}


@lru_cache(maxsize=200_000)
def user_id(number: int) -> str:
    chance = random.Random(number)
    return f"@{chance.choice(FIRST)}{''.join(chance.choices(SYLLABLES, k=3))}{number}:{DOMAIN}"


def room_id(number: int) -> str:
    return f"!{hashlib.sha256(str(number).encode()).hexdigest()[:18]}-{number}:{DOMAIN}"


class Homeserver:
    """`rooms` of the bot, the first of them large where there are people enough."""

    def __init__(self, rooms: int, users: int) -> None:
        self._users, self._rooms = users, {room_id(number): number for number in range(rooms)}
        large = min(LARGE, rooms // 100) if users >= LARGE_MEMBERS else 0
        rest = max(0, users * PER_USER - large * LARGE_MEMBERS) // max(1, rooms - large)
        self._sizes = [LARGE_MEMBERS] * large + [min(users, rest)] * (rooms - large)
        self._since: dict[str, dict[Key, Row]] = {}
        self._log: list[tuple[str, Row]] = []
        self._numbers, self._now = count(1), 1_700_000_000_000

    # ------------------------------------------------------------------ what is asked

    def joined(self) -> list[str]:
        return [room for room in (*self._rooms, *self._made()) if self._membership(room) == "join"]

    def state(self, room: str) -> bytes:
        """All of it, as JSON."""
        if self._membership(room) != "join":
            raise Fault(403, REFUSED)
        since = self._since.get(room, {})
        events = [_json(event) for event in since.values()]
        if room in self._rooms:
            events += self._computed(self._rooms[room], since)
        return f"[{','.join(events)}]".encode()

    def sync(self, since: str, limit: int, *, rooms: bool) -> bytes:
        """What has happened since that position: a room's last events, and of those before only how they ended."""
        if not (since[:1] == "s" and since[1:].isdigit() and int(since[1:]) <= len(self._log)):
            raise Fault(400, {"errcode": "M_UNKNOWN", "error": "Invalid stream token"})
        start, told = int(since[1:]), dict[str, list[Row]]()
        for room, event in self._log[start:] if rooms else ():
            told.setdefault(room, []).append(event)
        join = {room: self._told(room, start, events, limit) for room, events in told.items() if self._inside(room)}
        leave: Row = {room: {} for room in told if not self._inside(room) and self._was_inside(room, start)}
        shown = ",".join(f"{json.dumps(room)}:{text}" for room, text in join.items())
        found = {"join": "JOIN", "leave": leave}
        text = json.dumps({"next_batch": self.position} | ({"rooms": found} if told else {}))
        return text.replace('"JOIN"', f"{{{shown}}}").encode()

    @property
    def position(self) -> str:
        return f"s{len(self._log)}"

    def _told(self, room: str, start: int, events: list[Row], limit: int) -> str:
        if not self._was_inside(room, start):
            return f'{{"state":{{"events":{self.state(room).decode()}}},"timeline":{{"events":[]}}}}'
        ended = {(event["type"], event["state_key"]): event for event in events[:-limit] if "state_key" in event}
        return _json({"state": {"events": list(ended.values())}, "timeline": {"events": events[-limit:]}})

    def _inside(self, room: str) -> bool:
        return self._membership(room) == "join"

    def _was_inside(self, room: str, start: int) -> bool:
        was = "join" if room in self._rooms else "leave"
        for where, event in self._log[:start]:
            if where == room and event.get("state_key") == BOT and event["type"] == MEMBER:
                was = event["content"]["membership"]
        return was == "join"

    def _membership(self, room: str) -> str:
        default = "join" if room in self._rooms else ""
        event = self._since.get(room, {}).get((MEMBER, BOT))
        return event["content"]["membership"] if event else default

    def _made(self) -> list[str]:
        return [room for room in self._since if room not in self._rooms]

    # ------------------------------------------------------------------ what happens

    def create(self, by: str, body: Mapping[str, Any], predecessor: str = "") -> str:
        room = f"!made{next(self._numbers)}:{DOMAIN}"
        before = {"predecessor": {"room_id": predecessor}} if predecessor else {}
        self.put(room, "m.room.create", "", {"room_version": body.get("room_version", "11")} | before, by)
        self.put(room, MEMBER, by, {"membership": "join"}, by)
        self.put(room, "m.room.power_levels", "", LEVELS | {"users": {by: 100}}, by)
        rule = "public" if body.get("preset") == "public_chat" else "invite"
        self.put(room, "m.room.join_rules", "", {"join_rule": rule}, by)
        for name in ("name", "topic"):
            if body.get(name):
                self.put(room, f"m.room.{name}", "", {name: body[name]}, by)
        if alias := body.get("room_alias_name"):
            self.put(room, "m.room.canonical_alias", "", {"alias": f"#{alias}:{DOMAIN}"}, by)
        for event in body.get("initial_state", ()):
            self.put(room, event["type"], event["state_key"], event["content"], by)
        return room

    def put(self, room: str, kind: str, key: str, content: Row, by: str) -> str:
        event = self._event(room, {"type": kind, "state_key": key, "content": content}, by)
        self._since.setdefault(room, {})[kind, key] = event
        return str(event["event_id"])

    def say(self, room: str, content: Row, by: str) -> str:
        return str(self._event(room, {"type": MESSAGE, "content": content}, by)["event_id"])

    def upgrade(self, room: str, by: str, version: str) -> str:
        new = self.create(by, {"room_version": version, "preset": "private_chat"}, room)
        self.put(room, "m.room.tombstone", "", {"replacement_room": new}, by)
        return new

    def _event(self, room: str, said: Row, by: str) -> Row:
        number = next(self._numbers)
        event = said | {"sender": by, "user_id": by, "room_id": room, "age": 0}
        event |= {"event_id": f"${number:043x}", "origin_server_ts": self._now + number, "unsigned": {"age": 0}}
        self._log.append((room, event))
        return event

    # ------------------------------------------------------------------ what was there

    def _computed(self, number: int, since: Mapping[Key, Row]) -> Iterator[str]:
        """But what has become something else since."""
        chance = random.Random(number)
        topic = " ".join("".join(chance.choices(SYLLABLES, k=3)) for _ in range(12))
        said: dict[str, Row] = {
            "create": {"room_version": "11"},
            "name": {"name": f"Room {number} {topic[:12]}"},
            "topic": {"topic": topic},
            "join_rules": {"join_rule": "invite"},
            "power_levels": LEVELS | {"kick": 50, "users": {BOT: 100, user_id(number): 50}},
        }
        texts = [_text(kind, "", _json(said[kind]), BOT) for kind in said if (f"m.room.{kind}", "") not in since]
        members = chance.sample(range(1, self._users + 1), self._sizes[number])
        gone = {key for kind, key in since if kind == MEMBER}
        texts += [member(user) for user in members if not gone or user_id(user) not in gone]
        texts += [] if BOT in gone else [_joined(BOT)]
        room = room_id(number)
        yield ",".join(texts).replace(ROOM, room).replace(HASH, room[1:20])


@lru_cache(maxsize=200_000)
def member(number: int) -> str:
    """The same in each room but for that room's name: two million of them are made, and made again."""
    return _joined(user_id(number))


def _joined(user: str) -> str:
    return _text("member", user, f'{{"membership":"join","displayname":"{user[1:12]}"}}', user)


def _text(kind: str, key: str, content: str, by: str) -> str:
    event_id = f"${crc32(f'{kind} {key}'.encode()):024d}{HASH}"
    return (
        f'{{"age":{AGO},"content":{content},"event_id":"{event_id}","origin_server_ts":1700000000000,"room_id":"{ROOM}",'
        f'"sender":"{by}","state_key":"{key}","type":"m.room.{kind}","unsigned":{{"age":{AGO}}},"user_id":"{by}"}}'
    )


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
