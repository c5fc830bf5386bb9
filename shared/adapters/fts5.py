"""`TextIndex` on SQLite's full-text search, in memory: words by Porter's stems, accents aside, ranked by BM25."""

from __future__ import annotations

import math
import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar

from shared.domain.errors import Misconfigured
from shared.domain.recommending import Passage

T = TypeVar("T")
COLUMNS: Final = ("name", "topic", "category", "keywords")
K1: Final = 1.2
"""FTS5's own, which cannot be changed: a strength is below K1 + 1 before it is divided by that."""
BEGIN, END = "\x02", "\x03"
_TOKENIZE = "tokenize = 'porter unicode61 remove_diacritics 2'"
_TABLES = f"""
CREATE VIRTUAL TABLE passages USING fts5({", ".join(COLUMNS)}, {_TOKENIZE});
CREATE VIRTUAL TABLE vocabulary USING fts5vocab(passages, row);
CREATE VIRTUAL TABLE given USING fts5(text, {_TOKENIZE});
CREATE VIRTUAL TABLE stems USING fts5vocab(given, instance);
"""
_FIND = f"SELECT rowid, bm25(passages, {', '.join('?' * len(COLUMNS))}) FROM passages WHERE passages MATCH ?"  # noqa: S608
_PLACES = ", ".join(f"highlight(passages, {at}, '{BEGIN}', '{END}')" for at in range(len(COLUMNS)))
_SHOWN = f"SELECT {_PLACES} FROM passages WHERE passages MATCH ? AND rowid = ?"  # noqa: S608 - our own names
_STEMS = "SELECT doc, term FROM stems ORDER BY doc, offset"


class Fts5Index:
    """Made of `passages` once and never changed; used by any thread, one at a time. Raises `Misconfigured` where
    Python's SQLite was built without FTS5."""

    def __init__(self, passages: Sequence[Passage], weights: Mapping[str, float]) -> None:
        self._lock = threading.Lock()
        self._db = _opened()
        self._weights = [weights[column] for column in COLUMNS]
        self._keys = [passage.key for passage in passages]
        self._rows = {key: row for row, key in enumerate(self._keys)}
        rows = ((row, each.name, each.topic, each.category, each.keywords) for row, each in enumerate(passages))
        with self._db:
            marks = ", ".join("?" * (len(COLUMNS) + 1))
            names = ", ".join(COLUMNS)
            self._db.executemany(f"INSERT INTO passages(rowid, {names}) VALUES ({marks})", rows)  # noqa: S608
        self._known = dict(self._db.execute("SELECT term, doc FROM vocabulary").fetchall())

    @property
    def total(self) -> int:
        return len(self._keys)

    def stems(self, texts: Sequence[str]) -> list[tuple[str, ...]]:
        """The tokenizer itself is asked: what it makes of a text is read back, then forgotten."""
        return self._locked(lambda: self._stems(texts)) if texts else []

    def _stems(self, texts: Sequence[str]) -> list[tuple[str, ...]]:
        found: list[list[str]] = [[] for _ in texts]
        self._db.execute("BEGIN")
        try:
            self._db.executemany("INSERT INTO given(rowid, text) VALUES (?, ?)", enumerate(map(_plain, texts)))
            for row, stem in self._db.execute(_STEMS):
                found[row].append(stem)
        finally:
            self._db.execute("ROLLBACK")
        return [tuple(stems) for stems in found]

    def known(self, stem: str) -> int:
        return int(self._known.get(stem, 0))

    def has(self, phrase: str) -> bool:
        query = "SELECT 1 FROM passages WHERE passages MATCH ? LIMIT 1"
        return self._locked(lambda: self._db.execute(query, (_quoted(phrase),)).fetchone()) is not None

    def find(self, phrase: str, columns: Sequence[str] = ()) -> dict[str, float]:
        asked = f"{{{' '.join(columns)}}} : {_quoted(phrase)}" if columns else _quoted(phrase)
        rows = self._locked(lambda: self._db.execute(_FIND, (*self._weights, asked)).fetchall())
        # What FTS5 multiplies by: it is taken out again, because it falls to nothing where few rooms are many of all.
        n, total = len(rows), self.total
        idf = max(math.log((total - n + 0.5) / (n + 0.5)), 0.0) or 1e-6
        return {self._keys[row]: min(-score / idf / (K1 + 1), 1.0) for row, score in rows}

    def shown(self, key: str, phrase: str) -> dict[str, list[tuple[int, str]]]:
        asked = (_quoted(phrase), self._rows[key])
        row = self._locked(lambda: self._db.execute(_SHOWN, asked).fetchone())
        places = {column: list(_places(text)) for column, text in zip(COLUMNS, row or (), strict=bool(row))}
        return {column: found for column, found in places.items() if found}

    def _locked(self, call: Callable[[], T]) -> T:
        with self._lock:
            return call()


def _opened() -> sqlite3.Connection:
    db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    try:
        db.executescript(_TABLES)
    except sqlite3.OperationalError as error:
        fix = "Use a Python whose SQLite has it, such as that of python.org's images or of Debian."
        raise Misconfigured(
            "Python's SQLite has no full-text search (FTS5), which recommendations need", fix
        ) from error
    return db


def _plain(text: str) -> str:
    """What SQLite can take: no halves of characters, no NUL."""
    return text.encode("utf-8", "ignore").decode().replace("\0", " ")


def _quoted(phrase: str) -> str:
    """Between quotes nothing is syntax."""
    return '"' + _plain(phrase).replace('"', " ") + '"'


def _places(text: str) -> list[tuple[int, str]]:
    """Line and spelling of whatever is marked."""
    found = []
    for line, written in enumerate(text.splitlines()):
        found += [(line, part.partition(END)[0]) for part in written.split(BEGIN)[1:]]
    return found
