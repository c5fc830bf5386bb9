"""Scores that an admin understands, and reasons in words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.recommending import (
    MOST_ASKED,
    MOST_PASSAGES,
    Asked,
    Match,
    passage,
    ranked,
    rarest,
    rarity,
    reason,
)

STRENGTHS = st.dictionaries(st.sampled_from("abcdef"), st.floats(0.001, 1), max_size=6)


@pytest.mark.parametrize("total", [1, 2, 40, 5000])
def test_rarity(total: int) -> None:
    """What one room says counts fully, what more say counts less, and what all say still counts a little."""
    falling = [rarity(passages, total) for passages in range(1, total + 1)]
    assert falling[0] == 1
    assert falling == sorted(falling, reverse=True)
    assert falling[-1] > 0
    assert rarity(0, total) == 0


def test_interests_add_up_and_synonyms_do_not() -> None:
    """Two interests in one room are more than one; a word and its synonym in one room are one."""
    hiking, chess = Asked("hiking", also=("trail",)), Asked("chess")
    found = {"hiking": {"a": 0.5}, "trail": {"a": 0.5, "b": 0.5}, "chess": {"a": 0.3}}
    [best] = ranked([hiking, chess], found, 40)
    assert (best.key, best.score) == ("a", 80.0)
    assert [match.sought for match in best.matches] == ["hiking", "chess"]
    [alone] = ranked([hiking], found | {"hiking": {}}, 40, without={"a"})
    assert (alone.key, alone.matches[0].sought) == ("b", "trail")
    assert alone.score < 30


def test_least_and_most() -> None:
    """Below the least score nothing is shown, above the most nothing is scored; who is refused is not there at all."""
    found = {"x": {"a": 0.9, "b": 0.7, "c": 0.6}}
    scored = {each.key: each.score for each in ranked([Asked("x")], found, 3, least=0, most=45)}
    assert scored == {"a": 45.0, "b": 45.0, "c": 40.7}
    assert [each.key for each in ranked([Asked("x")], found, 3, least=45, without={"a"})] == ["b"]


def test_a_mention_is_no_answer_where_a_room_is_called_so() -> None:
    """A room that has far less of a word than the best one is left out."""
    found = {"film": {"club": 0.75, "photo": 0.3}}
    assert [each.key for each in ranked([Asked("film")], found, 40)] == ["club"]


@given(st.dictionaries(st.sampled_from(["x", "y", "z"]), STRENGTHS), st.floats(0, 100), st.floats(0, 100))
def test_always_in_order(found: dict[str, dict[str, float]], least: float, most: float) -> None:
    """The best first, each between the bounds, each once, each with a reason."""
    rows = ranked([Asked("x", also=("y",)), Asked("z")], found, 6, least=least, most=most)
    assert [row.score for row in rows] == sorted((row.score for row in rows), reverse=True)
    assert all(least <= row.score <= most and row.matches for row in rows)
    assert len({row.key for row in rows}) == len(rows)


def test_the_rarest_of_many() -> None:
    """Of a hundred words the forty rarest are asked for, of common ones only so many; one in any case."""
    many = [Asked(f"w{n}") for n in range(100)]
    assert [each.words for each in rarest(many, {f"w{n}": n for n in range(100)})] == [
        f"w{n}" for n in range(MOST_ASKED)
    ]
    everywhere = {f"w{n}": MOST_PASSAGES // 3 for n in range(100)}
    assert len(rarest(many, everywhere)) == 3
    assert rarest([Asked("x")], {"x": MOST_PASSAGES * 2}) == [Asked("x")]


@pytest.mark.parametrize(
    ("match", "shown", "expected"),
    [
        (Match("hiking", "hiking", 1), {"topic": [(0, "hiking")]}, 'matches "hiking" in the topic of Outdoors'),
        (
            Match("Hike", "Hike", 1),
            {"topic": [(0, "x")], "name": [(0, "Hiking")]},
            'matches "hiking" in the name of Outdoors',
        ),
        (
            Match("Hiking", "trail", 1),
            {"keywords": [(1, "trail")]},
            'matches "trail" (a synonym of hiking) in category Sports',
        ),
        (Match("徒 步", "徒 步", 1), {"topic": [(0, "徒 步")]}, 'matches "徒步" in the topic of Outdoors'),
    ],
)
def test_reasons(match: Match, shown: dict[str, list[tuple[int, str]]], expected: str) -> None:
    """The word as it stands there, what it is a synonym of, and where."""
    of = passage("!a", "Outdoors", "any", [("Nature", ["birds"]), ("Sports", ["trail", "run"])])
    assert reason(match, shown, of) == expected


def test_a_room_without_a_name_is_called_by_its_id() -> None:
    """A reason always says of which room."""
    assert reason(Match("x", "x", 1), {"topic": [(0, "x")]}, passage("!a", "", "x")) == 'matches "x" in the topic of !a'
