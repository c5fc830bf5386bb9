"""A homeserver in memory that keeps `Chat`'s promises; held to them by `tests/contracts/test_chat.py`."""

from __future__ import annotations

import asyncio
import copy
import functools
import itertools
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self, TypeVar

from shared.domain.errors import Conflict, Limited, NotFound, Refused
from shared.ports import (
    Changes,
    Data,
    Entry,
    Finding,
    Identity,
    Levels,
    Membership,
    Power,
    Resident,
    Room,
    StateEvent,
)
from tests.fakes.chat_rooms import FakeRoom, Pieces, differences, state_of

_T = TypeVar("_T")


@dataclass
class _Planned:
    error: Exception
    times: int
    after_effect: bool
    method: str


def _port(method: Callable[..., Awaitable[_T]]) -> Callable[..., Coroutine[Any, Any, _T]]:
    """Notes the call, gives other coroutines their turn, and lets a planned failure happen before or after
    the effect (after: it was done, and the answer got lost)."""

    @functools.wraps(method)
    async def wrapped(self: FakeChat, *args: Any, **kwargs: Any) -> _T:
        self.calls.append((method.__name__, (*args, *kwargs.values())))
        await asyncio.sleep(0)
        planned = self._failure(method.__name__)
        if planned and not planned.after_effect:
            raise planned.error
        answer = await method(self, *args, **kwargs)
        if planned:
            raise planned.error
        return answer

    return wrapped


class FakeChat:
    """Set it up with `add_room`, `add_user`, `join`, `limit_invites` and `fail_next`; look into `calls`,
    `homes` (rooms by id) and `messages`."""

    def __init__(self, user_id: str = "@muster:fake.test", device_id: str = "FAKE") -> None:
        self.user_id, self.device_id = user_id, device_id
        self.domain = user_id.partition(":")[2]
        self.homes: dict[str, FakeRoom] = {}
        self.users: set[str] = {user_id}
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self.direct: dict[str, list[str]] = {}
        self.clock: Callable[[], float] = time.monotonic
        self._transactions: dict[tuple[str, str, str], str] = {}
        self._planned: list[_Planned] = []
        self.server_admin = True
        self._numbers = itertools.count(1)
        self._burst, self._every = 0, 0.0
        self._buckets: dict[str, tuple[float, float]] = {}
        self._positions: dict[str, dict[str, Pieces]] = {}

    # ------------------------------------------------------------------ setting it up

    def another_device(self, device_id: str = "WATCH") -> Self:
        """The same bot on the same homeserver, seen from another device of its own."""
        other = copy.copy(self)
        other.device_id = device_id
        return other

    def add_user(self, user_id: str) -> str:
        """Somebody who has logged in at least once."""
        self.users.add(user_id)
        return user_id

    def add_room(self, name: str, *, alias: str = "", by: str = "", version: str = "12", **more: Any) -> str:
        """`by`: its creator, the bot unless said otherwise. `more`: fields of `FakeRoom`."""
        creator = by or self.user_id
        room_id = f"!{next(self._numbers)}room:{self.domain}"
        power: dict[str, Any] = (
            {"creators": frozenset({creator})}
            if int(version) >= 12
            else {"powers": {creator: 100, **more.pop("powers", {})}}
        )
        members = {creator: "join", **more.pop("members", {})}
        full = f"#{alias}:{self.domain}" if alias else ""
        made: dict[str, Any] = {"creator": creator, "version": version, "made_at": self._ms()}
        self.homes[room_id] = FakeRoom(room_id, name, alias=full, members=members, **(made | power | more))
        return room_id

    def join(self, user_id: str, room_id: str) -> None:
        self.homes[room_id].put(user_id, "join", self._ms())

    def rename(self, user_id: str, room_id: str) -> None:
        """A new display name: their membership is written anew."""
        room = self.homes[room_id]
        room.moved_at[user_id] = max(self._ms(), room.moved_at.get(user_id, room.made_at) + 1)

    def leave(self, user_id: str, room_id: str) -> None:
        self.homes[room_id].put(user_id, "leave", self._ms())

    def limit_invites(self, burst: int = 5, every: float = 1 / 0.003) -> None:
        """Synapse's default for one invitee: `burst` at once, then one per `every` seconds of `clock`."""
        self._burst, self._every = burst, every

    def fail_next(self, error: Exception, times: int = 1, after_effect: bool = False, method: str = "") -> None:
        """The next calls (of that method, or any) raise `error`; with `after_effect` having done their work."""
        self._planned.append(_Planned(error, times, after_effect, method))

    def messages(self, room_id: str) -> list[Data]:
        return [event["content"] for event in self.homes[room_id].events]

    def called(self, method: str) -> list[tuple[Any, ...]]:
        """The arguments of each call of that method."""
        return [args for name, args in self.calls if name == method]

    # ------------------------------------------------------------------ one member, one room

    @_port
    async def whoami(self) -> Identity:
        return Identity(self.user_id, self.device_id)

    @_port
    async def resolve(self, alias: str) -> str | None:
        return next((room.room_id for room in self.homes.values() if room.alias == alias), None)

    @_port
    async def invite(self, room_id: str, user_id: str) -> None:
        self._invite(room_id, user_id)

    @_port
    async def invite_directly(self, room_id: str, user_id: str) -> None:
        self._invite(room_id, user_id)
        self.homes[room_id].direct.add(user_id)

    @_port
    async def kick(self, room_id: str, user_id: str, reason: str) -> None:
        room = self._inside(room_id)
        if room.members.get(user_id) not in ("join", "invite", "knock"):
            raise _forbidden("The target user is not in the room")
        if room.power_of(self.user_id) < room.kick or room.power_of(self.user_id) <= room.power_of(user_id):
            raise _forbidden(f"You cannot kick user {user_id}.")
        room.put(user_id, "leave", self._ms())

    @_port
    async def membership(self, room_id: str, user_id: str) -> Membership | None:
        state = self._inside(room_id).members.get(user_id)
        return Membership(state, user_id[1:].partition(":")[0]) if state else None

    @_port
    async def has_profile(self, user_id: str) -> bool:
        return user_id in self.users

    @_port
    async def power(self, room_id: str, target: str = "") -> Power:
        room = self._inside(room_id)
        theirs = room.power_of(target) if target else 0
        return Power(room.power_of(self.user_id), room.invite, room.kick, room.events_default, theirs)

    @_port
    async def levels(self, room_id: str) -> Levels:
        room = self._inside(room_id)
        return Levels(dict(room.powers), room.users_default, room.creators, room.invite, room.kick, room.change)

    @_port
    async def set_power(self, room_id: str, user_id: str, level: int) -> int:
        room = self._inside(room_id)
        ours, before = room.power_of(self.user_id), room.power_of(user_id)
        if before == level:
            return before
        if ours < max(room.change, level) or before >= ours:
            raise _forbidden("You don't have permission to change that power level")
        room.powers[user_id] = level
        return before

    @_port
    async def entry(self, room_id: str) -> Entry:
        room = self._inside(room_id)
        return Entry(room.join_rule, room.allow)

    @_port
    async def members(self, room_id: str) -> dict[str, str]:
        there = self._inside(room_id).members.items()
        return {user: state for user, state in there if state in ("join", "invite")}

    @_port
    async def join_member(self, room_id: str, user_id: str) -> None:
        if not self.server_admin:
            raise _forbidden("You are not a server admin")
        room = self._inside(room_id)
        if user_id not in self.users:
            raise NotFound("the homeserver refused: User not found (M_NOT_FOUND)")
        if room.members.get(user_id) == "join":
            return
        if room.members.get(user_id) == "ban" or room.power_of(self.user_id) < room.invite:
            raise _forbidden("You don't have permission to invite users")
        room.put(user_id, "join", self._ms())

    @_port
    async def may_join_members(self) -> bool:
        return self.server_admin

    @_port
    async def unlimited(self) -> bool | None:
        return not self._burst if self.server_admin else None

    @_port
    async def is_encrypted(self, room_id: str) -> bool:
        return self._inside(room_id).encrypted

    # ------------------------------------------------------------------ messages

    @_port
    async def send(self, room_id: str, content: Data, transaction_id: str) -> str:
        room, key = self._inside(room_id), (room_id, self.device_id, transaction_id)
        if key not in self._transactions:
            if room.power_of(self.user_id) < room.events_default:
                raise _forbidden("You don't have permission to post that to the room.")
            self._transactions[key] = f"$event{next(self._numbers)}"
            event = {"event_id": self._transactions[key], "sender": self.user_id, "content": dict(content)}
            room.events.append(event)
        return self._transactions[key]

    @_port
    async def find_sent(self, room_id: str, key: str, value: str) -> str | None:
        for event in reversed(self._inside(room_id).events[-200:]):
            if event["sender"] == self.user_id and event["content"].get(key) == value:
                return str(event["event_id"])
        return None

    @_port
    async def said_after(self, room_id: str, event_id: str, sender: str) -> list[Data]:
        events = self._inside(room_id).events
        places = [at for at, event in enumerate(events) if event["event_id"] == event_id]
        if not places:
            raise NotFound("the homeserver refused: Event not found. (M_NOT_FOUND)")
        theirs = [event["content"] for event in events[places[0] + 1 :] if event["sender"] == sender]
        return [dict(content) for content in theirs[:100]]

    @_port
    async def accept(self, room_id: str) -> None:
        room = self.homes.get(room_id)
        if room is None or (room.members.get(self.user_id) not in ("invite", "join") and room.join_rule != "public"):
            raise _forbidden("You are not invited to this room.")
        room.put(self.user_id, "join", self._ms())

    @_port
    async def create_direct_room(
        self, alias_localpart: str, invitee: str, name: str, *, encrypted: bool = False
    ) -> str:
        full = f"#{alias_localpart}:{self.domain}"
        if any(room.alias == full for room in self.homes.values()):
            raise Conflict("the homeserver refused: Room alias already taken (M_ROOM_IN_USE)")
        self._take_invite(invitee)
        members = {invitee: "invite"}
        return self.add_room(name, alias=alias_localpart, members=members, direct={invitee}, encrypted=encrypted)

    # ------------------------------------------------------------------ many rooms

    @_port
    async def joined_rooms(self) -> list[str]:
        return [room.room_id for room in self._mine()]

    @_port
    async def room(self, room_id: str) -> Room:
        if room_id not in self.homes or self.homes[room_id] not in self._mine():
            raise NotFound(f"the bot is not in the room {room_id}")
        return _shown(self.homes[room_id])

    @_port
    async def rooms(self, limit: int = 1000) -> list[Room]:
        return _sorted(self._mine())[:limit]

    @_port
    async def rooms_of(self, user_id: str) -> list[Room]:
        return _sorted([room for room in self._mine() if user_id in room.joined()])

    @_port
    async def residents(self, room_id: str) -> list[Resident]:
        room = self._inside(room_id)
        found = []
        for user in room.joined():
            at = datetime.fromtimestamp(room.moved_at.get(user, room.made_at) / 1000, UTC)
            found.append(Resident(user, user[1:].partition(":")[0], at, room.power_of(user)))
        return sorted(found, key=lambda resident: (resident.since, resident.user_id))

    @_port
    async def joined_among(self, user_id: str, rooms: Sequence[str]) -> set[str]:
        return {room.room_id for room in self._mine() if room.room_id in rooms and user_id in room.joined()}

    @_port
    async def state(self, room_id: str) -> list[StateEvent]:
        self._inside(room_id)
        return list(self._state_of(room_id).values())

    @_port
    async def changes(self, since: str | None) -> Changes:
        """By comparing: who left and came back in between is not told of, as if nothing had happened."""
        if since is not None and since not in self._positions:
            raise Refused("the homeserver does not know our position in its /sync any more", code="POSITION")
        position = f"p{next(self._numbers)}"
        self._positions[position] = now = {room.room_id: self._state_of(room.room_id) for room in self._mine()}
        if since is None:
            return Changes(position)
        before = self._positions[since]
        return Changes(position, differences(before, now), frozenset(before.keys() - now.keys()))

    @_port
    async def direct_rooms(self) -> dict[str, list[str]]:
        return {user: list(rooms) for user, rooms in self.direct.items()}

    @_port
    async def set_direct_rooms(self, rooms: dict[str, list[str]]) -> None:
        self.direct = {user: list(ids) for user, ids in rooms.items()}

    @_port
    async def check(self, rooms: Sequence[str], indoc: str) -> list[Finding]:
        limited = "limits apply" if self._burst else "lifted for the bot"
        findings = [
            Finding("matrix token", True, f"signed in as {self.user_id}, device {self.device_id}"),
            Finding("matrix clock", True, "agrees with the homeserver's to the minute"),
            Finding("matrix limiter", not self._burst, limited, "lift them" if self._burst else ""),
        ]
        wanted = dict.fromkeys([*([indoc] if indoc else []), *rooms])
        return findings + [self._finding(room_id, room_id == indoc) for room_id in wanted]

    async def close(self) -> None:
        self.calls.append(("close", ()))

    # ------------------------------------------------------------------ parts

    def _failure(self, method: str) -> _Planned | None:
        for planned in self._planned:
            if planned.times > 0 and planned.method in ("", method):
                planned.times -= 1
                return planned
        return None

    def _ms(self) -> int:
        return int(self.clock() * 1000)

    def _state_of(self, room_id: str) -> Pieces:
        return state_of(self.homes[room_id])

    def _mine(self) -> list[FakeRoom]:
        return [room for room in self.homes.values() if room.members.get(self.user_id) == "join"]

    def _inside(self, room_id: str) -> FakeRoom:
        room = self.homes.get(room_id)
        if room is None or room.members.get(self.user_id) != "join":
            raise _forbidden(f"User {self.user_id} not in room {room_id}")
        return room

    def _invite(self, room_id: str, user_id: str) -> None:
        room = self._inside(room_id)
        if room.members.get(user_id) in ("join", "ban"):
            raise _forbidden(f"{user_id} is already in the room.")
        if room.power_of(self.user_id) < room.invite:
            raise _forbidden("You don't have permission to invite users")
        self._take_invite(user_id)
        room.put(user_id, "invite", self._ms())

    def _take_invite(self, invitee: str) -> None:
        """One bucket per invitee, filled anew over time."""
        if not self._burst:
            return
        now = self.clock()
        used, at = self._buckets.get(invitee, (0.0, now))
        used = max(0.0, used - (now - at) / self._every)
        if used + 1 > self._burst + 1e-9:
            wait = (used + 1 - self._burst) * self._every
            raise Limited(f"the homeserver's rate limit: next try in {wait:g} s", wait)
        self._buckets[invitee] = (used + 1, now)

    def _finding(self, room_id: str, is_indoc: bool) -> Finding:
        room = self.homes.get(room_id)
        if room is None or room not in self._mine():
            return Finding(f"matrix room {room_id}", False, "the bot is not in it", "Invite the bot to the room.")
        needed = max(room.invite, room.kick, room.events_default) if is_indoc else room.invite
        ok = room.power_of(self.user_id) >= needed
        fix = "" if ok else f"Give the bot power level {needed} or more in {room.name}."
        return Finding(f"matrix room {room.name}", ok, f"needs {needed}", fix)


def _shown(room: FakeRoom) -> Room:
    return Room(
        room.room_id, room.name, room.topic, room.alias, room.encrypted, len(room.joined()), room.kind, room.join_rule
    )


def _sorted(rooms: Sequence[FakeRoom]) -> list[Room]:
    return sorted(map(_shown, rooms), key=lambda room: (room.name.casefold(), room.room_id))


def _forbidden(words: str) -> Refused:
    return Refused(f"the homeserver refused: {words} (M_FORBIDDEN)", code="M_FORBIDDEN")
