"""Recommendations: how long a question takes, and making the index, as the community grows.

The floor is one query of the same index by FTS5 alone: all words joined by OR, ordered by its own rank, five rows. What
a question costs beyond it is the reading of the text, the phrases, synonyms, refusals, and the reasons.
"""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from benchmarks.common import Figures, Report, median, ratio
from shared.adapters.fts5 import Fts5Index
from shared.domain.categories import Category
from shared.domain.introductions import read
from shared.ports import Room
from shared.services.recommendations import Shelf, answer, furnish

SIZES = (50, 500, 5_000)
LIMIT, LEAST = 5, 20.0
SEED = 4
THINGS = (
    "hiking climbing cycling running football swimming gardening birds chess cooking baking vegan coffee beer books "
    "writing film music choir photography painting knitting woodworking python linux electronics politics climate "
    "parents dogs cats german spanish housing jobs sailing yoga dancing theatre history astronomy"
).split()
SHORT = "Hi, I'm Ana, I love {} and {}, and {} at the weekend. No {} please."
"""An introduction as they are: one line."""


class _Maker:
    """All that `furnish` asks of the ports."""

    index = staticmethod(Fts5Index)


def run(small: bool = False, repeat: int = 0) -> Report:
    report = Report("recommend", "Recommendations: CPU per question, one thread")
    for size in SIZES[:2] if small else SIZES:
        report.rows.append(_row(size, repeat or (2 if small else 15)))
    report.notes = [
        "CPU ms. short: one line; long: 10,000 characters of words that all are in the index, of which the rarest are",
        "asked; x FTS5: against one OR query of all of them.",
    ]
    return report


def _row(size: int, repeat: int) -> Figures:
    chance = random.Random(SEED)
    words = THINGS + [_word(chance) for _ in range(size)]
    rooms = [_room(number, words, chance) for number in range(size)]
    categories = _categories(rooms, chance)
    made: list[Shelf] = []
    build = median(_spent(lambda: made.append(furnish(_Maker(), rooms, categories))) for _ in range(3))  # type: ignore[arg-type]
    shelf, short, long = made[-1], SHORT.format(*chance.sample(THINGS, 4)), _long(words, chance)
    figures: dict[str, list[float]] = {name: [] for name in ("short", "bare short", "long", "bare long")}
    for _ in range(repeat):  # in turns
        for name, text in (("short", short), ("long", long)):
            figures[name].append(_spent(lambda text=text: answer(shelf, text, LIMIT, LEAST)))  # type: ignore[misc]
            figures[f"bare {name}"].append(_spent(lambda text=text: _bare(shelf, text)))  # type: ignore[misc]
    medians = {name: median(values) for name, values in figures.items()}
    return {
        "name": f"{size:,} rooms",
        "build ms": build,
        "short ms": medians["short"],
        "short x FTS5": ratio(medians["short"], medians["bare short"]),
        "long ms": medians["long"],
        "long x FTS5": ratio(medians["long"], medians["bare long"]),
    }


def _word(chance: random.Random) -> str:
    return "".join(chance.choice("bcdfglmnprst") + chance.choice("aeiou") for _ in range(4))


def _room(number: int, words: Sequence[str], chance: random.Random) -> Room:
    name = " ".join(chance.sample(words, 2)).title()
    return Room(f"!room{number}:bench.test", name, " ".join(chance.choices(words, k=14)))


def _categories(rooms: Sequence[Room], chance: random.Random) -> list[Category]:
    """Twenty, each with a tenth of the rooms, ten keywords and five words with synonyms."""
    at = datetime(2026, 11, 21, tzinfo=UTC)
    return [
        Category(
            id=f"cat_{number}",
            name=f"Category {number}",
            created_at=at,
            keywords=tuple(chance.sample(THINGS, 10)),
            synonyms={word: chance.sample(THINGS, 3) for word in chance.sample(THINGS, 5)},
            rooms=tuple(room.room_id for room in chance.sample(rooms, len(rooms) // 10)),
        )
        for number in range(20)
    ]


def _long(words: Sequence[str], chance: random.Random) -> str:
    return ". ".join(" ".join(chance.choices(words, k=9)) for _ in range(200))[:10_000]


def _bare(shelf: Shelf, text: str) -> list[tuple[int]]:
    words = {word.text for clause in read(text) for word in clause if not word.small}
    query = " OR ".join(f'"{word}"' for word in words)
    assert isinstance(shelf.index, Fts5Index)
    db: sqlite3.Connection = shelf.index._db
    asked = "SELECT rowid FROM passages WHERE passages MATCH ? ORDER BY rank LIMIT 5"
    return db.execute(asked, (query,)).fetchall()


def _spent(call: Callable[[], object]) -> float:
    """Milliseconds of CPU of this process: what others do on the machine is not in it."""
    began = time.process_time()
    call()
    return (time.process_time() - began) * 1000
