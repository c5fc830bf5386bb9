"""What the cache says, in memory: users to search in, rooms, and who is in which. `shared.services.cache` loads it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, ItemsView, Iterator, Mapping, Sequence
from functools import cached_property

from shared.domain.cached_rooms import RoomRow, member_shard
from shared.domain.cached_users import UserRow, within
from shared.domain.syncs import Sync


class UserShard:
    """`texts`: what a search looks at, beside each row; made by the first search."""

    def __init__(self, rows: list[UserRow]) -> None:
        self.rows = rows

    @cached_property
    def texts(self) -> list[str]:
        return [row.text for row in self.rows]

    def only(self, name: str, names: Sequence[str]) -> UserShard:
        """Without rows that are in the next shard now."""
        rows = within(self.rows, name, names)
        return self if rows is self.rows else UserShard(rows)


class Users:
    """Everybody, in the order of their pks. `groups`: pk to name and whether its members are superusers."""

    def __init__(self, sync: Sync, shards: Mapping[str, UserShard], groups: Mapping[str, tuple[str, bool]]) -> None:
        self.sync, self.groups = sync, groups
        names = sorted(shards)
        self._shards = [shards[name].only(name, names) for name in names]

    def __iter__(self) -> Iterator[UserRow]:
        for shard in self._shards:
            yield from shard.rows

    def group_names(self, row: UserRow) -> list[str]:
        """As Authentik has them now; one that is gone is left out."""
        return [self.groups[pk][0] for pk in row.groups if pk in self.groups]

    def group_named(self, group: str) -> str | None:
        """The pk, by name."""
        return next((pk for pk, (name, _) in self.groups.items() if name == group), None)

    def found(self, words: str = "", active: bool | None = None, group_pk: str = "") -> Iterator[UserRow]:
        """Each word is somewhere in username, name, e-mail or Matrix id."""
        wanted = words.casefold().split()
        for shard in self._shards:
            for row, text in zip(shard.rows, shard.texts if wanted else shard.rows, strict=True):
                if (
                    active in (None, row.active)
                    and (not group_pk or group_pk in row.groups)
                    and all(word in text for word in wanted)  # type: ignore[operator]  # rows only without a word
                ):
                    yield row


class Rooms:
    """Every room but the direct ones, by id."""

    def __init__(self, sync: Sync, shards: Sequence[Mapping[str, RoomRow]]) -> None:
        self.sync = sync
        self.rooms = {room_id: row for shard in shards for room_id, row in shard.items()}

    def by_name(self) -> list[RoomRow]:
        return sorted(self.rooms.values(), key=lambda row: (row.name.casefold(), row.room_id))


Pair = tuple[Sequence[int], Sequence[int]]
Numbered = Mapping[str, Pair]
STATES = ("join", "invite")
"""Whose numbers a pair has, in its order."""


class Memberships:
    """Who is where, as the last sync saw it."""

    def __init__(
        self, sync: Sync, rooms: Mapping[str, RoomRow], shards: Mapping[int, Numbered], ids: list[str]
    ) -> None:
        self.sync, self.rooms = sync, rooms
        self._shards, self._ids = shards, ids

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {user: number for number, user in enumerate(self._ids) if user}

    def members_of(self, room_id: str) -> Collection[str]:
        """Who has joined."""
        return self._named(self._pair(room_id)[0])

    def invited_to(self, room_id: str) -> Collection[str]:
        return self._named(self._pair(room_id)[1])

    def states_of(self, room_id: str) -> Mapping[str, str]:
        """Who has joined or is invited, with "join" or "invite"."""
        return States(self._pair(room_id), self._ids, self._numbers)

    def is_in(self, room_id: str, matrix_id: str) -> bool:
        return _has(self._pair(room_id)[0], self._numbers.get(matrix_id, -1))

    def rooms_of(self, matrix_id: str) -> list[RoomRow]:
        """Those that they have joined, in no order."""
        number = self._numbers.get(matrix_id, -1)
        pairs = (item for shard in self._shards.values() for item in shard.items())
        return [self.rooms[room] for room, (joined, _) in pairs if room in self.rooms and _has(joined, number)]

    def _pair(self, room_id: str) -> Pair:
        return self._shards.get(member_shard(room_id), {}).get(room_id, ((), ()))

    def _named(self, numbers: Sequence[int]) -> set[str]:
        """A number that an older table does not have is left out."""
        return {self._ids[number] for number in numbers if number < len(self._ids) and self._ids[number]}


class States(Mapping[str, str]):
    """One room's members, as they lie in the cache: of two million memberships no dictionary is made. A number that an
    older table does not have is nobody's."""

    def __init__(self, states: Pair, ids: Sequence[str], numbers: Mapping[str, int]) -> None:
        self._states, self._ids, self._by_id = states, ids, numbers

    def __getitem__(self, matrix_id: str) -> str:
        number = self._by_id[matrix_id]
        for state, numbers in zip(STATES, self._states, strict=True):
            if _has(numbers, number):
                return state
        raise KeyError(matrix_id)

    def __iter__(self) -> Iterator[str]:
        return (matrix_id for matrix_id, _ in self.pairs())

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def items(self) -> ItemsView[str, str]:
        return _Items(self)

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Without looking each of them up again."""
        for state, numbers in zip(STATES, self._states, strict=True):
            yield from ((self._ids[each], state) for each in numbers if each < len(self._ids) and self._ids[each])


class _Items(ItemsView[str, str]):
    _mapping: States

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return self._mapping.pairs()


def _has(numbers: Sequence[int], number: int) -> bool:
    place = bisect_left(numbers, number)
    return place < len(numbers) and numbers[place] == number
