"""Rooms' state out of a homeserver's answers, through which anybody may have sent anything."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shared.adapters.matrix_state import read_changes, read_state
from shared.domain.errors import Unreachable
from shared.ports import Changes, StateEvent

ADA = "@ada:a.test"


def event(kind: str, content: Any, state_key: str | None = "", **more: Any) -> dict[str, Any]:
    key = {} if state_key is None else {"state_key": state_key}
    return {"type": kind, "content": content, "sender": "@bot:a.test", "origin_server_ts": 7, **key, **more}


def member(content: Any, user: str = ADA) -> dict[str, Any]:
    return event("m.room.member", content, user)


def read(*events: dict[str, Any]) -> list[StateEvent]:
    return read_state(json.dumps(events).encode())


def content(kind: str, said: Any, **more: Any) -> Any:
    (found,) = read(event(kind, said, **more))
    return found.content


def test_only_what_muster_reads_is_kept() -> None:
    """Other kinds, what only looks like state, and everything else in a content fall away."""
    found = read(
        event("m.room.avatar", {"url": "mxc://a"}),
        event("m.room.name", {"name": "x"}, None),
        member({"membership": "join", "displayname": "Ada", "avatar_url": "mxc://b"}),
    )
    assert found == [StateEvent("m.room.member", ADA, {"membership": "join"}, 7)]


@pytest.mark.parametrize(
    ("kind", "said", "kept"),
    [
        ("m.room.name", {"name": "Hall", "other": 1}, {"name": "Hall"}),
        ("m.room.name", {}, {}),
        ("m.room.topic", {"topic": ["x"]}, {}),
        ("m.room.tombstone", {"replacement_room": "!n", "body": "gone"}, {"replacement_room": "!n"}),
        ("m.room.join_rules", {"join_rule": "public"}, {"join_rule": "public", "allow": []}),
        (
            "m.room.join_rules",
            {"join_rule": "restricted", "allow": [{"type": "m.room_membership", "room_id": "!s", "x": 1}, 5]},
            {"join_rule": "restricted", "allow": [{"type": "m.room_membership", "room_id": "!s"}]},
        ),
        (
            "m.room.power_levels",
            {"users": {ADA: "50", "@b:b": None}, "invite": "0", "kick": [], "ban": 1e400, "notifications": {}},
            {"users": {ADA: 50}, "events": {}, "invite": 0},
        ),
        (
            "m.room.power_levels",
            {"users": {ADA: 2**64}, "events": {"m.room.message": -(2**60)}, "kick": 2**70, "ban": "9" * 40},
            {"users": {}, "events": {}},
        ),
        ("m.space.child", {"via": ["a.test", 1], "suggested": True}, {"via": ["a.test"], "suggested": True}),
        ("m.space.child", {"order": "a"}, {}),
    ],
)
def test_each_kind_in_its_shape(kind: str, said: dict[str, Any], kept: dict[str, Any]) -> None:
    """Only what has the shape that the specification gives it; what has another is absent."""
    assert content(kind, said) == kept


def test_who_made_a_room() -> None:
    """The sender counts, whatever the content says; further creators and the room before are kept."""
    said = {
        "creator": "@old:b",
        "room_version": "12",
        "additional_creators": ["@c:b"],
        "predecessor": {"room_id": "!o"},
    }
    kept = said | {"creator": "@bot:a.test"}
    assert content("m.room.create", said | {"m.federate": True}) == kept


@pytest.mark.parametrize(
    "bad", [{}, {"membership": "other"}, {"membership": 5}, [], "x", None, {"membership": ["join"]}]
)
def test_an_unusable_member_spoils_no_other(bad: Any) -> None:
    """Who is said to be nothing is left out; the rest is read."""
    assert [found.state_key for found in read(member(bad, "@bad:b"), member({"membership": "join"}))] == [ADA]


@pytest.mark.parametrize("depth", [900, 5_000, 50_000])
def test_what_a_member_nests_spoils_no_other(depth: int) -> None:
    """However deep their own event is, even where it counts."""
    deep = f'{{"a":{"[" * depth}{"]" * depth},"membership":"join"}}'
    name = f'{{"name":{"[" * depth}{"]" * depth}}}'
    body = f"""[{{"type":"m.room.member","state_key":"@bad:b","content":{deep}}},
        {{"type":"m.room.name","state_key":"","content":{name}}},
        {{"type":"m.room.member","state_key":"{ADA}","content":{{"membership":"join"}}}}]"""
    found = {said.state_key: said.content for said in read_state(body.encode())}
    assert found == {"@bad:b": {"membership": "join"}, "": {}, ADA: {"membership": "join"}}


@pytest.mark.parametrize("name", [r'"\ud800"', r'"a\udfffb"', "1e999", "1" + "0" * 400, "NaN"])
def test_what_a_strict_reader_stumbles_over(name: str) -> None:
    """Half a letter, or a number beyond all bounds, in one name: everybody else is read."""
    body = f"""[{{"type":"m.room.name","state_key":"","content":{{"name":{name}}}}},
        {{"type":"m.room.member","state_key":"{ADA}","content":{{"membership":"join"}}}}]"""
    *_, last = read_state(body.encode())
    assert last == StateEvent("m.room.member", ADA, {"membership": "join"})


@pytest.mark.parametrize("at", [-1, 1.5, "7", None, 2**60, [], True])
def test_a_time_that_is_none(at: Any) -> None:
    """Is not known."""
    (found,) = read(event("m.room.name", {"name": "x"}, origin_server_ts=at))
    assert found.at == 0


def test_changes_in_their_order() -> None:
    """What was before the timeline comes before it; rooms without anything for us are not named."""
    rooms = {
        "!a": {"state": {"events": [event("m.room.name", {"name": "1"})]}, "timeline": {"limited": True, "events": []}},
        "!b": {"timeline": {"events": [event("m.room.message", {"body": "x"}, None)]}, "unread_notifications": {}},
    }
    rooms["!a"]["timeline"]["events"] = [event("m.room.name", {"name": "2"})]
    said = {"next_batch": "s2", "rooms": {"join": rooms, "leave": {"!c": {}}, "invite": {"!d": {}}}, "device_lists": {}}
    found = read_changes(json.dumps(said).encode())
    assert list(found.rooms) == ["!a"]
    assert [one.content["name"] for one in found.rooms["!a"]] == ["1", "2"]
    assert (found.position, found.left) == ("s2", {"!c"})
    assert read_changes(b'{"next_batch": "s3"}') == Changes("s3")


@pytest.mark.parametrize("name", ["state_after", "org.matrix.msc4222.state_after"])
def test_how_it_ended_goes_before_the_timeline(name: str) -> None:
    """From homeservers that say how it ended, that alone is believed, even when it is nothing."""
    timeline = {"events": [event("m.room.name", {"name": "lost"})]}
    rooms = {"!a": {"timeline": timeline, name: {"events": [event("m.room.name", {"name": "won"})]}}}
    rooms["!b"] = {"timeline": timeline, name: {"events": []}}
    found = read_changes(json.dumps({"next_batch": "s2", "rooms": {"join": rooms}}).encode())
    assert {room_id: [one.content for one in told] for room_id, told in found.rooms.items()} == {
        "!a": [{"name": "won"}]
    }


def test_an_event_without_content_is_empty() -> None:
    """As a homeserver leaves it out where nothing of it was asked for."""
    (found,) = read({"type": "m.room.name", "state_key": ""})
    assert found == StateEvent("m.room.name", "", {}, 0)


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"{}", b"null", b'{"next_batch": 5}', b'{"next_batch": "s", "rooms": []}', b"[1]"]
)
def test_what_is_no_answer_is_none(body: bytes) -> None:
    """A proxy's page or half an answer is a passing fault, for both calls."""
    for reader in (read_changes, read_state):
        with pytest.raises(Unreachable):
            reader(body)
