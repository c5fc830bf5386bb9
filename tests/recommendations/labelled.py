"""Introductions that people might write, with the rooms that a person would show them; and how the engine does on them.

`introductions.json` was looked at while the engine was made, `held_out.json` was not. `wanted`: what should be
recommended. `may`: what is neither a hit nor a mistake. Nothing else should be.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from msgspec import Struct

from shared.adapters.fts5 import Fts5Index
from shared.domain.categories import Category
from shared.ports import Room
from shared.services.recommendations import Shelf, answer, furnish

FOLDER = Path(__file__).parent
SETS = ("introductions", "held_out")
LIMIT, LEAST = 5, 20.0
"""The API's and the settings' defaults."""


class Tally(Struct):
    """`mistakes`: text, what is missing, what is too much."""

    hits: int = 0
    shown: int = 0
    asked: int = 0
    exact: int = 0
    texts: int = 0
    mistakes: list[tuple[str, set[str], set[str]]] = []

    @property
    def precision(self) -> float:
        return self.hits / self.shown

    @property
    def recall(self) -> float:
        return self.hits / self.asked

    def __str__(self) -> str:
        return (
            f"precision {self.precision:.2f} ({self.hits} of {self.shown}), recall {self.recall:.2f} "
            f"({self.hits} of {self.asked}), {self.exact} of {self.texts} without a mistake"
        )


def read(name: str) -> Any:
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def community() -> tuple[list[Room], list[Category]]:
    """Its rooms as `managed` answers them, and its categories."""
    found = read("community")
    rooms = [Room(each["id"], each["name"], each["topic"], kind=each.get("kind", "")) for each in found["rooms"]]
    at = datetime(2026, 11, 21, tzinfo=UTC)
    categories = [
        Category(
            id=f"cat_{number}", created_at=at, **{k: tuple(v) if isinstance(v, list) else v for k, v in each.items()}
        )
        for number, each in enumerate(found["categories"])
    ]
    return rooms, categories


class _Maker:
    """All that `furnish` asks of the ports."""

    index = staticmethod(Fts5Index)


def ready() -> Shelf:
    rooms, categories = community()
    suitable = [room for room in rooms if not room.kind and room.room_id != read("community")["indoc"]]
    return furnish(_Maker(), suitable, categories)  # type: ignore[arg-type]


def short(room_id: str) -> str:
    return room_id[1:].partition(":")[0]


def judged(name: str, limit: int = LIMIT, least: float = LEAST) -> Tally:
    shelf, tally = ready(), Tally()
    for text, wanted, may in labelled(name):
        shown = {short(each.room_id) for each in answer(shelf, text, limit, least).items} - may
        tally.hits += len(shown & wanted)
        tally.shown += len(shown)
        tally.asked += len(wanted)
        tally.texts += 1
        tally.exact += shown == wanted
        if shown != wanted:
            tally.mistakes.append((text, wanted - shown, shown - wanted))
    return tally


def labelled(name: str) -> Iterator[tuple[str, set[str], set[str]]]:
    """Text, `wanted`, `may`."""
    for each in read(name):
        yield each["text"], set(each["wanted"]), set(each.get("may", ()))
