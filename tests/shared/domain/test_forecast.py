"""What the homeserver's limits make of a plan, in words."""

from __future__ import annotations

import pytest

from shared.domain.forecast import forecast, per_member, spoken

COMMAND = "scripts/setup bot"


def test_twenty_rooms_for_one_member() -> None:
    """Five at once, then one every five and a half minutes."""
    seen = forecast({"@ada:x": 20})
    assert (seen.now, seen.later) == (5, 15)
    assert seen.words(COMMAND).endswith(f"5 now, 15 more over 83 minutes, or lift the limits: {COMMAND}")


@pytest.mark.parametrize(
    ("invites", "now", "later", "minutes"),
    [
        ({}, 0, 0, 0),
        ({"a": 5}, 5, 0, 0),
        ({"a": 6}, 5, 1, 5.6),
        ({"a": 5, "b": 5}, 10, 0, 0),
        ({str(number): 2 for number in range(40)}, 10, 70, 5.8),
        ({str(number): 1 for number in range(1000)}, 10, 990, 82.5),
        ({"a": 20} | {str(number): 5 for number in range(1000)}, 10, 5010, 417.5),
    ],
)
def test_whichever_limit_binds(invites: dict[str, int], now: int, later: int, minutes: float) -> None:
    """A member with many rooms waits for their own limit, many members for the bot's."""
    seen = forecast(invites)
    assert (seen.now, seen.later) == (now, later)
    assert seen.seconds == pytest.approx(minutes * 60, abs=4)
    assert bool(seen.words(COMMAND)) is bool(later)


def test_counted_by_member() -> None:
    """Each member's own invites."""
    assert per_member(["a", "b", "a"]) == {"a": 2, "b": 1}


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1, "1 minute"),
        (100, "2 minutes"),
        (5000, "83 minutes"),
        (7300, "2 hours"),
        (172_800, "48 hours"),
        (900_000, "10 days"),
    ],
)
def test_spoken(seconds: float, words: str) -> None:
    """As somebody would say it."""
    assert spoken(seconds) == words
