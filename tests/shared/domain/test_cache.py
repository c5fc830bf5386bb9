"""Rows of the cache: what is packed is unpacked, and what a room's state says is what its row says."""

from __future__ import annotations

import hashlib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from shared.domain import cached_users, packing
from shared.domain.cached_rooms import (
    CREATOR,
    NAME,
    TOPIC,
    Members,
    RoomRow,
    folded,
    member_shard,
    members_name,
    rooms_name,
)
from shared.domain.cached_users import Numbers, UserRow
from shared.ports import StateEvent

TEXT = st.text(max_size=12)
ROWS = st.builds(
    UserRow,
    pk=st.integers(1, 2**31),
    username=TEXT,
    name=TEXT,
    email=TEXT,
    active=st.booleans(),
    superuser=st.booleans(),
    groups=st.lists(st.sampled_from(["a", "b", "c"]), unique=True).map(lambda groups: tuple(sorted(groups))),
    matrix_id=TEXT,
    onboarding=st.sampled_from(["", "ob_0123456789abcdef01234567"]),
    joined_at=st.integers(0, 2**33),
    last_login=st.integers(0, 2**33),
)


def event(kind: str, key: str = "", **content: Any) -> StateEvent:
    return StateEvent(kind, key, content)


@given(st.lists(ROWS, max_size=8, unique_by=lambda row: row.pk))
def test_users_come_back(rows: list[UserRow]) -> None:
    """Whatever is packed of accounts is unpacked as it was."""
    ordered = sorted(rows, key=lambda row: row.pk)
    assert cached_users.decoded(cached_users.encoded(ordered)) == ordered


@given(st.sets(st.integers(0, 2**32 - 1), max_size=30))
def test_numbers_come_back(numbers: set[int]) -> None:
    """In order, each once."""
    assert list(packing.numbers_of(packing.numbers_packed(numbers))) == sorted(numbers)


@given(st.sets(st.integers(0, 3000)), st.integers(0, 3000))
def test_who_was_seen(numbers: set[int], other: int) -> None:
    """A bit each, also after being stored."""
    seen = Numbers()
    seen.add(numbers)
    again = Numbers(seen.data())
    assert all(number in again for number in numbers)
    assert (other in again) == (other in numbers)


def noise(bytes_: int) -> str:
    return hashlib.shake_256(f"{bytes_}".encode()).hexdigest(bytes_)


def test_a_shard_is_cut_where_it_is_too_large() -> None:
    """Each piece fits into one document, none is lost, and each account is found in the shard that has it."""
    rows = [UserRow(pk, noise(4000 + pk), "", "") for pk in range(1, 400)]
    shards = cached_users.cut(cached_users.FIRST, rows)
    names = sorted(shards)
    assert len(names) > 1
    assert all(len(packing.compressed(data)) <= packing.PART for data in shards.values())
    unpacked = {name: cached_users.decoded(data) for name, data in shards.items()}
    assert [row for name in names for row in unpacked[name]] == rows
    for name in names:
        assert all(cached_users.shard_of(row.pk, names) == name for row in unpacked[name])
        assert cached_users.within(rows, name, names) == unpacked[name]
    assert cached_users.shard_of(10**9, names) == names[-1]


def test_a_value_of_many_parts() -> None:
    """What is too large for one document is in several, in order."""
    data = hashlib.shake_256(b"").digest(2 * packing.PART)
    parts = packing.parts(packing.compressed(data))
    assert len(parts) == 3
    assert packing.whole(parts) == data
    assert packing.parts(b"") == [b""]


def test_a_room_by_its_state() -> None:
    """Name, topic, kind, encryption, who may join, links and levels."""
    row = folded(
        RoomRow("!a"),
        [
            event("m.room.create", creator="@bot:x", additional_creators=["@ada:x"], room_version="12", type="m.space"),
            event("m.room.name", name="Ops"),
            event("m.room.topic", topic="on call"),
            event("m.room.canonical_alias", alias="#ops:x"),
            event("m.room.encryption", algorithm="m.megolm.v1.aes-sha2"),
            event("m.room.join_rules", join_rule="restricted", allow=[{"type": "m.room_membership", "room_id": "!s"}]),
            event("m.room.power_levels", users={"@bee:x": 50}, users_default=1, kick=60, events={"m.room.message": 5}),
            event("m.space.parent", "!s", via=["x"]),
            event("m.space.child", "!c", via=["x"]),
        ],
    )
    assert (row.name, row.topic, row.alias, row.kind, row.encrypted) == ("Ops", "on call", "#ops:x", "m.space", True)
    assert (row.join_rule, row.allow, row.parents, row.children) == ("restricted", ("!s",), ("!s",), ("!c",))
    assert [row.power_of(user) for user in ("@bot:x", "@ada:x", "@bee:x", "@cleo:x")] == [CREATOR, CREATOR, 50, 1]
    assert [row.level(name) for name in ("invite", "kick", "ban", "message", "state_default")] == [0, 60, 50, 5, 50]


def test_what_is_too_long_is_cut() -> None:
    """A room's name or topic of 64 KB makes neither the cache nor any list large."""
    row = folded(RoomRow("!a"), [event("m.room.name", name="n" * 65_000), event("m.room.topic", topic="t" * 65_000)])
    assert (len(row.name), len(row.topic)) == (NAME, TOPIC)


def test_what_is_taken_back() -> None:
    """Events without content, later ones over earlier ones, links without servers."""
    before = folded(RoomRow("!a"), [event("m.room.name", name="Ops"), event("m.space.parent", "!s", via=["x"])])
    after = folded(
        before,
        [
            event("m.room.name", name="Other"),
            event("m.room.name"),
            event("m.space.parent", "!s"),
            event("m.room.power_levels"),
            event("m.room.tombstone", replacement_room="!b"),
        ],
    )
    assert (after.name, after.parents, after.levels, after.replacement) == ("", (), None, "!b")


def test_a_room_without_levels() -> None:
    """As the specification has it: its creator has 100, and state may be sent by anybody."""
    row = folded(RoomRow("!a"), [event("m.room.create", creator="@bot:x", room_version="10")])
    assert [row.power_of(user) for user in ("@bot:x", "@ada:x")] == [100, 0]
    assert (row.level("kick"), row.level("state_default")) == (50, 0)


def test_members_after_changes() -> None:
    """Each is in one state: invited, then joined, then out."""
    there = Members().after({1: "join", 2: "invite", 3: "join"}).after({2: "join", 3: "ban", 4: "invite", 1: "leave"})
    assert (there.joined, there.invited) == ({2}, {4})


def test_shards_are_stable() -> None:
    """The same room is in the same shard for ever: this release wrote it there, the next one looks for it there."""
    assert [member_shard(f"!{name}:x.test") for name in ("a", "b", "c")] == [14, 13, 3]
    assert (members_name(7), rooms_name(7), rooms_name(15)) == ("members-07", "rooms-1", "rooms-3")
