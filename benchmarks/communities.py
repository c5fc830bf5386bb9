"""Communities of any size for the benchmark of the syncs: accounts and rooms that are computed when they are asked for,
so that what is measured is the memory of the sync and not theirs."""

from __future__ import annotations

import asyncio
import hashlib
import random
from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from msgspec.structs import replace

from shared.domain.errors import NotFound
from shared.ports import Account, Accounts, Changes, Group, Identity, StateEvent

BEGAN = datetime(2020, 1, 1, tzinfo=UTC)
DOMAIN = "example.org"
BOT = f"@muster:{DOMAIN}"
FIRST = "ada bob cleo dave emil fritz gina hugo ines jan kira lena max nora otto paul rosa sven tina vera".split()
HOSTS = "gmail.com proton.me example.org posteo.de".split()
SYLLABLES = "ba de ki lo mu na pe ri so tu va wi".split()
GROUPS = [f"{number:08x}-0000-4000-8000-000000000000" for number in range(20)]
PER_USER = 20
"""Rooms that a member is in, on average."""
LARGE, LARGE_MEMBERS = 10, 20_000


class Counted:
    """`calls`, and `delay` seconds that each takes, as over a network."""

    def __init__(self, delay: float = 0.0) -> None:
        self.calls, self.delay = 0, delay

    async def _call(self) -> None:
        self.calls += 1
        await asyncio.sleep(self.delay)


class Authentik(Counted):
    """So many accounts, an hour apart; some of them deleted or edited since."""

    def __init__(self, users: int, delay: float = 0.0) -> None:
        super().__init__(delay)
        self.pks = list(range(1, users + 1))
        self.edited: dict[int, datetime] = {}

    async def accounts(
        self,
        *,
        joined_after: datetime | None = None,
        updated_after: datetime | None = None,
        page: int = 1,
        size: int = 50,
        **_: Any,
    ) -> Accounts:
        await self._call()
        pks = self.pks
        if updated_after:
            pks = [pk for pk, at in self.edited.items() if at > updated_after]
        if joined_after:
            pks = self.pks[bisect_right(self.pks, joined_after, key=lambda pk: account(pk).joined_at or BEGAN) :]
        shown = [await self._made(pk) for pk in pks[(page - 1) * size : page * size]]
        return Accounts(shown, page + 1 if page * size < len(pks) else None, len(pks))

    async def account(self, pk: int) -> Account:
        await self._call()
        if pk not in self.pks:
            raise NotFound("no such account")
        return await self._made(pk)

    async def groups(self) -> list[Group]:
        await self._call()
        return [Group(pk, f"group {number}", False) for number, pk in enumerate(GROUPS)]

    async def _made(self, pk: int) -> Account:
        changed = self.edited.get(pk)
        return replace(account(pk), name="Changed", updated_at=changed) if changed else account(pk)


def _joined(pk: int) -> datetime:
    return BEGAN + timedelta(minutes=30 * pk)


def account(pk: int) -> Account:
    """As varied as people are: what is packed must not compress better than in life."""
    chance = random.Random(pk)
    first, last = chance.choice(FIRST), "".join(chance.choices(SYLLABLES, k=3))
    return Account(
        pk=pk,
        uid=hashlib.sha256(str(pk).encode()).hexdigest(),
        username=f"{first}{last}{pk}",
        name=f"{first} {last}".title(),
        email=f"{last}.{chance.randrange(1000)}@{chance.choice(HOSTS)}",
        active=pk % 20 != 0,
        group_pks=tuple(chance.sample(GROUPS, chance.randrange(4))),
        joined_at=_joined(pk) + timedelta(seconds=chance.randrange(600)),
        last_login=_joined(pk) + timedelta(seconds=chance.randrange(30_000_000)),
        updated_at=_joined(pk),
    )


class Homeserver(Counted):
    """`joins`: what the next `changes` tells."""

    def __init__(self, rooms: int, users: int, delay: float = 0.0) -> None:
        super().__init__(delay)
        self.rooms, self.users = rooms, users
        self.joins: list[tuple[int, int]] = []
        large = min(LARGE, rooms // 100) if users >= LARGE_MEMBERS else 0
        rest = max(0, users * PER_USER - large * LARGE_MEMBERS) // max(1, rooms - large)
        self.sizes = [LARGE_MEMBERS] * large + [min(users, rest)] * (rooms - large)

    async def whoami(self) -> Identity:
        await self._call()
        return Identity(BOT, "SENDS")

    async def joined_rooms(self) -> list[str]:
        await self._call()
        return [room_id(number) for number in range(self.rooms)]

    async def direct_rooms(self) -> dict[str, list[str]]:
        await self._call()
        return {}

    async def state(self, room: str) -> list[StateEvent]:
        await self._call()
        return list(self._state(number_of(room)))

    async def changes(self, since: str | None) -> Changes:
        await self._call()
        told: dict[str, list[StateEvent]] = {}
        for room, user in self.joins if since else ():
            told.setdefault(room_id(room), []).append(_member(user_id(user)))
        self.joins = [] if since else self.joins
        return Changes(f"p{self.calls}", told)

    def _state(self, number: int) -> Iterator[StateEvent]:
        chance = random.Random(number)
        topic = " ".join("".join(chance.choices(SYLLABLES, k=3)) for _ in range(12))
        yield StateEvent("m.room.create", "", {"creator": BOT, "room_version": "11"})
        yield StateEvent("m.room.name", "", {"name": f"Room {number} {topic[:12]}"})
        yield StateEvent("m.room.topic", "", {"topic": topic})
        yield StateEvent("m.room.join_rules", "", {"join_rule": "invite"})
        yield StateEvent("m.room.power_levels", "", {"users": {BOT: 100, user_id(number): 50}, "kick": 50})
        yield _member(BOT)
        for user in chance.sample(range(1, self.users + 1), self.sizes[number]):
            yield _member(user_id(user))


def _member(user: str) -> StateEvent:
    return StateEvent("m.room.member", user, JOIN)


JOIN = {"membership": "join"}


@lru_cache(maxsize=200_000)
def user_id(number: int) -> str:
    chance = random.Random(number)
    return f"@{chance.choice(FIRST)}{''.join(chance.choices(SYLLABLES, k=3))}{number}:{DOMAIN}"


def room_id(number: int) -> str:
    return f"!{hashlib.sha256(str(number).encode()).hexdigest()[:18]}-{number}:{DOMAIN}"


def number_of(room: str) -> int:
    return int(room.partition(":")[0].rpartition("-")[2])
