"""Accounts as the cache keeps them: what a list shows and a search looks at, no more."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from msgspec import Struct

from shared.domain import packing

FIRST = "users-0000000000"
ACTIVE, SUPERUSER = 1, 2
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class UserRow(Struct, frozen=True):
    """`groups`: pks. `joined_at`, `last_login`: whole seconds since 1970, 0: unknown or never. `matrix_id`: the
    account's attribute of that name."""

    pk: int
    username: str
    name: str
    email: str
    active: bool = True
    superuser: bool = False
    groups: tuple[str, ...] = ()
    matrix_id: str = ""
    onboarding: str = ""
    joined_at: int = 0
    last_login: int = 0

    @property
    def text(self) -> str:
        """What a word is looked for in."""
        return f"{self.username}\n{self.name}\n{self.email}\n{self.matrix_id}".casefold()


class _Row(Struct, frozen=True, array_like=True):
    """As packed: pk and time of joining as the difference to the row before, groups as places in the shard's list."""

    pk: int
    username: str
    name: str
    email: str
    flags: int
    groups: tuple[int, ...]
    matrix_id: str
    onboarding: bytes
    joined_at: int
    last_login: int


class _Shard(Struct, frozen=True, array_like=True):
    groups: tuple[str, ...]
    rows: list[_Row]


def seconds(at: datetime | None) -> int:
    return int(at.timestamp()) if at else 0


def instant(at: int) -> datetime | None:
    return EPOCH + timedelta(seconds=at) if at else None


def encoded(rows: Iterable[UserRow]) -> bytes:
    """Of rows in the order of their pks."""
    ordered = list(rows)
    groups = sorted({group for row in ordered for group in row.groups})
    places = {group: place for place, group in enumerate(groups)}
    packed, pk, joined = [], 0, 0
    for row in ordered:
        packed.append(_packed(row, pk, joined, places))
        pk, joined = row.pk, row.joined_at
    return packing.encoded(_Shard(tuple(groups), packed))


def _packed(row: UserRow, pk: int, joined: int, places: Mapping[str, int]) -> _Row:
    return _Row(
        row.pk - pk,
        row.username,
        row.name,
        row.email,
        ACTIVE * row.active + SUPERUSER * row.superuser,
        tuple(sorted(places[group] for group in row.groups)),
        row.matrix_id,
        bytes.fromhex(row.onboarding.removeprefix("ob_")),
        row.joined_at - joined,
        row.last_login,
    )


def decoded(data: bytes) -> list[UserRow]:
    shard = packing.decoded(data, _Shard)
    rows, pk, joined = [], 0, 0
    known: dict[tuple[int, ...], tuple[str, ...]] = {}
    for row in shard.rows:
        pk, joined = pk + row.pk, joined + row.joined_at
        if row.groups not in known:  # thousands share the same few sets
            known[row.groups] = tuple(shard.groups[place] for place in row.groups)
        rows.append(_row(row, pk, joined, known[row.groups]))
    return rows


def _row(row: _Row, pk: int, joined: int, groups: tuple[str, ...]) -> UserRow:
    return UserRow(
        pk,
        row.username,
        row.name,
        row.email,
        bool(row.flags & ACTIVE),
        bool(row.flags & SUPERUSER),
        groups,
        row.matrix_id,
        f"ob_{row.onboarding.hex()}" if row.onboarding else "",
        joined,
        row.last_login,
    )


def shard_of(pk: int, names: Sequence[str]) -> str:
    """`names`: of the shards there are, sorted. Each holds the pks from its own number up to the next one's."""
    place = bisect_right(names, name_of(pk)) - 1
    return names[place] if names and place >= 0 else FIRST


def within(rows: list[UserRow], name: str, names: Sequence[str]) -> list[UserRow]:
    """Those that belong into this one of the shards: one that is being cut in two may be read before it is. `rows` are
    in order, and the very same list is answered where all of them do."""
    first, last = first_of(name), min((first_of(other) for other in names if other > name), default=2**63)
    if not rows or (rows[0].pk >= first and rows[-1].pk < last):
        return rows
    return [row for row in rows if first <= row.pk < last]


def first_of(name: str) -> int:
    return int(name.removeprefix("users-"))


def name_of(first: int) -> str:
    return f"users-{first:010d}"


def cut(name: str, rows: Sequence[UserRow]) -> dict[str, bytes]:
    """One shard, or as many as it takes: each fits into one document, and all but the last are nearly full, since new
    accounts come behind all others."""
    data = encoded(rows)
    size = len(packing.compressed(data)) if len(data) > packing.PART else 0
    if size <= packing.PART or len(rows) < 2:
        return {name: data}
    first = max(1, int(len(rows) * packing.PART * 0.9 / size))
    return {**cut(name, rows[:first]), **cut(name_of(rows[first].pk), rows[first:])}


class Numbers:
    """A set of small whole numbers, a bit each: which accounts a sync has seen."""

    def __init__(self, data: bytes = b"") -> None:
        self._bits = bytearray(data)

    def add(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            place = number >> 3
            if place >= len(self._bits):
                self._bits.extend(bytes(place + 1 - len(self._bits)))
            self._bits[place] |= 1 << (number & 7)

    def __contains__(self, number: int) -> bool:
        place = number >> 3
        return place < len(self._bits) and bool(self._bits[place] >> (number & 7) & 1)

    def data(self) -> bytes:
        return bytes(self._bits)
