"""An introduction taken apart: what is wanted, what is refused, what is nobody's interest at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.introductions import LONGEST, normal, read, words_of


def wanted(text: str) -> list[str]:
    return [word.text for clause in read(text) for word in clause if word.wanted and not word.small and not word.name]


def refused(text: str) -> list[str]:
    return [word.text for clause in read(text) for word in clause if not word.wanted and not word.small]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I love hiking, no politics please", (["hiking"], ["politics"])),
        ("Not interested in football.", ([], ["football"])),
        ("I'm not into chess but love poker", (["poker"], ["chess"])),
        ("I don’t like cooking", ([], ["cooking"])),
        ("please not cats", ([], ["cats"])),
        ("no politics, religion or crypto, hiking", (["hiking"], ["politics", "religion", "crypto"])),
        ("no politics, hiking and chess", (["hiking", "chess"], ["politics"])),
        ("I hate running and love swimming", (["swimming"], ["hate", "running"])),
        ("Politics isn't for me. Birds are!", (["Birds"], ["Politics"])),
        ("Schach, Fußball, nein danke", (["Schach"], ["Fußball", "nein", "danke"])),
        ("Politik bitte nicht", ([], ["Politik"])),
        ("mag keine Politik, aber Schach", (["Schach"], ["Politik"])),
        ("No me gusta el fútbol", ([], ["fútbol"])),
        ("pas de football pour moi", ([], ["football"])),
        ("senza carne", ([], ["carne"])),
        ("I have no idea about chess", (["idea", "chess"], [])),
        ("I can't live without coffee", (["coffee"], [])),
        ("not only chess", (["chess"], [])),
        ("I am not very good at chess", (["chess"], [])),
        ("I do not speak German yet", (["speak", "German"], [])),
    ],
)  # fmt: skip
def test_what_is_refused(text: str, expected: tuple[list[str], list[str]]) -> None:
    """A refusal takes in what it refuses and no more; what only looks like one refuses nothing."""
    assert (wanted(text), refused(text)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hi, I'm Rose", []),
        ("My name is Ana Coffee and I like tea", ["tea"]),
        ("Ich heiße Jonas", []),
        ("Me llamo Sol.", []),
        ("Priya here", []),
        ("I'm Python developer", ["Python", "developer"]),
        ("i'm into roses", ["roses"]),
    ],
)
def test_names_are_left_out(text: str, expected: list[str]) -> None:
    """A member's name is no interest of theirs, even where a room is called so."""
    assert wanted(text) == expected


def test_addresses_are_left_out() -> None:
    """Matrix ids, room aliases, e-mail addresses and links say nothing of interests."""
    text = "I am @chess:example.org, chess@example.org, see https://chess.example/chess and #chess:example.org"
    assert wanted(text) == []


def test_scripts_without_spaces_are_words() -> None:
    """Each Chinese or Japanese character is a word, so that a word of two is a phrase of two."""
    assert words_of(normal("我喜欢徒步")) == list("我喜欢徒步")
    assert words_of(normal("ｈｉｋｉｎｇ カフェ")) == ["hiking", *"カフェ"]
    assert words_of(normal("हिन्दी 🎲 ❤️")) == ["हिन्दी"]


def test_only_so_much_is_read() -> None:
    """What comes after ten thousand characters is left aside."""
    assert wanted("x " * LONGEST + "chess").count("chess") == 0


@given(st.text(alphabet=st.characters(), max_size=400) | st.text(alphabet="no ta,I'mdikelwhu.\n-\"*()", max_size=200))
def test_it_never_raises(text: str) -> None:
    """Whatever is written is read, and each word is one that the index can take."""
    for clause in read(text):
        assert clause
        for word in clause:
            assert word.text
            assert not set(word.text) & set(' "\n\0')
