"""What every `TextIndex` promises."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters import fts5
from shared.adapters.fts5 import Fts5Index
from shared.domain.errors import Misconfigured
from shared.domain.recommending import WEIGHTS, Passage
from shared.ports import TextIndex

PASSAGES = (
    Passage("hike", "Hiking", "Day walks in the hills", "Outdoors\nSports", "nature, camping\nexercise"),
    Passage("cats", "Cats", "Pictures, mostly; no dogs"),
    Passage("film", "Film Club", "Cinéma d'auteur"),
    Passage("photo", "Photography", "Analog film and walks"),
    Passage("empty", "", ""),
)


def index(passages: Sequence[Passage] = PASSAGES) -> TextIndex:
    return Fts5Index(passages, WEIGHTS)


@pytest.mark.parametrize(
    ("phrase", "keys"),
    [
        ("hiking", {"hike"}),
        ("hike", {"hike"}),
        ("HIKES", {"hike"}),
        ("cat", {"cats"}),
        ("cinema", {"film"}),
        ("Cinéma", {"film"}),
        ("film", {"film", "photo"}),
        ("analog film", {"photo"}),
        ("film analog", set()),
        ("at", set()),
        ("hik", set()),
        ("concatenate", set()),
        ("", set()),
        ("?!", set()),
    ],
)
def test_words_not_parts_of_words(phrase: str, keys: set[str]) -> None:
    """Whole words are found, whatever their case, accents and English endings; parts of words are not."""
    made = index()
    assert set(made.find(phrase)) == keys
    assert made.has(phrase) is bool(keys)


def test_strength() -> None:
    """Between 0 and 1: a name is stronger than a topic, also where most passages have the word."""
    found = index().find("film")
    assert 0 < found["photo"] < found["film"] < 1
    few = index([Passage("a", "Film Club", "on Wednesdays"), Passage("b", "Photography", "analog film")]).find("film")
    assert 0 < few["b"] < few["a"] < 1


def test_in_columns() -> None:
    """Only where it is asked for."""
    assert set(index().find("film", ["name", "category"])) == {"film"}
    assert set(index().find("sports", ["name", "category"])) == {"hike"}
    assert index().find("nature", ["name", "category"]) == {}


def test_where_it_stands() -> None:
    """Columns, lines and spelling of each place."""
    made = index()
    assert made.shown("hike", "sport") == {"category": [(1, "Sports")]}
    assert made.shown("hike", "walking") == {"topic": [(0, "walks")]}
    assert made.shown("photo", "analog film") == {"topic": [(0, "Analog film")]}
    assert made.shown("cats", "hiking") == {}


def test_stems() -> None:
    """Forms of a word have the same, other words have others, and what is no word has none; nothing is kept of the question."""
    made = index()
    hike, hiking, cats, none, accent = made.stems(["hike", "Hiking", "cats and dogs", "?!", "cinéma"])
    assert hike == hiking
    assert len(cats) == 3
    assert none == ()
    assert accent == made.stems(["cinema"])[0]
    assert made.stems([]) == []
    assert (made.known(hike[0]), made.known(made.stems(["dog"])[0][0]), made.known("xylophone")) == (1, 1, 0)
    assert made.total == len(PASSAGES)


@pytest.mark.parametrize(
    "syntax",
    ['"', '""', "*", "hik*", "name:hiking", "NEAR(a b)", "cats AND dogs", "cats OR", "NOT cats", "^cats", "-cats", "{name}: x",
     "a\x00b", "\ud800", "(", "'; DROP TABLE passages; --", "cats\" OR \"hiking"],
)  # fmt: skip
def test_nothing_is_syntax(syntax: str) -> None:
    """What would be a query elsewhere is words here, and harmless."""
    made = index()
    assert set(made.find(syntax)) <= {"cats"}
    made.has(syntax)
    made.shown("cats", syntax)
    assert len(made.stems([syntax])) == 1
    assert set(made.find("hiking")) == {"hike"}


@given(st.text(max_size=60), st.text(max_size=60))
def test_it_never_raises(phrase: str, text: str) -> None:
    """Any text can be indexed and asked for; what is found is shown."""
    made = index([Passage("a", phrase, text), Passage("b", text, phrase, phrase, text)])
    for key, strength in made.find(phrase).items():
        assert 0 < strength <= 1
        assert made.shown(key, phrase)


def test_without_passages() -> None:
    """An index of nothing finds nothing."""
    assert (index([]).find("x"), index([]).total, index([]).has("x")) == ({}, 0, False)


def test_a_python_without_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where SQLite has no full-text search, that is said, and what to do about it."""
    monkeypatch.setattr(fts5, "_TABLES", "CREATE VIRTUAL TABLE passages USING fts6(name)")
    with pytest.raises(Misconfigured, match="FTS5") as caught:
        index()
    assert caught.value.fix
    assert isinstance(caught.value.__cause__, sqlite3.OperationalError)
