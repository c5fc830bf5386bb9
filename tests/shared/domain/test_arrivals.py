"""What a sync has brought, whatever shape it has."""

from __future__ import annotations

from typing import Any

import pytest

from shared.domain.arrivals import LONGEST, arrivals, is_usable, membership

ADA = "@ada:a.test"


def event(**more: Any) -> dict[str, Any]:
    return {"event_id": "$1", "type": "m.room.message", "sender": ADA, "content": {"body": "x"}} | more


def deep() -> dict[str, Any]:
    made: dict[str, Any] = {}
    for _ in range(5000):
        made = {"a": [made]}
    return made


@pytest.mark.parametrize(
    "odd",
    [
        None,
        [],
        "x",
        event(sender=None),
        event(sender=["@ada"]),
        event(sender=""),
        event(sender="@a\n"),
        event(sender="\ud800"),
        event(type={}),
        event(content=[]),
        event(content=None),
        event(sender="@" + "a" * 300),
        event(content={"body": "x" * LONGEST}),
        event(content=deep()),
    ],
    ids=range(14),
)
def test_what_has_no_shape_is_counted(odd: Any) -> None:
    """Anywhere in the answer, it is left out, counted, and keeps nothing else away."""
    assert not is_usable(odd)
    timeline = {"events": [odd, event()]}
    encrypted = event(type="m.room.encrypted")
    said = {
        "next_batch": "s",
        "to_device": {"events": [odd, encrypted]},
        "rooms": {"join": {"!r": {"timeline": timeline}}},
    }
    came = arrivals(said)
    assert (came.position, came.to_device, came.received, came.unusable) == ("s", (encrypted,), 2, 2)
    assert came.rooms["!r"].events == (event(),)


@pytest.mark.parametrize("odd", [None, [], "x", 7, {"events": 1}, {"events": {}}, {"join": []}, {"join": {"!r": []}}])
def test_an_answer_of_another_shape_brings_nothing(odd: Any) -> None:
    """No part of it has to be there but the position."""
    came = arrivals({"next_batch": "s", "to_device": odd, "rooms": odd})
    assert (came.to_device, came.received, came.rooms) == ((), 0, {})


def test_a_limited_room_says_where_to_read_on() -> None:
    """Even when it tells no event at all; one that is complete says nothing."""
    full = {"timeline": {"events": [event()], "limited": False, "prev_batch": "t"}}
    cut = {"timeline": {"events": [], "limited": True, "prev_batch": "t"}}
    came = arrivals({"next_batch": "s", "rooms": {"join": {"!full": full, "!cut": cut}}})
    assert (came.rooms["!full"].before, came.rooms["!cut"].before) == ("", "t")


def test_the_last_word_on_a_membership_counts() -> None:
    """Of that member alone; whoever else comes and goes says nothing of them."""
    moves = [("join", ADA), ("leave", ADA), ("join", "@ben:a.test")]
    events = [event(type="m.room.member", state_key=who, content={"membership": what}) for what, who in moves]
    assert membership(events, ADA) == "leave"
    assert membership(events[:1], ADA) == "join"
    assert membership(events[2:], ADA) is None
