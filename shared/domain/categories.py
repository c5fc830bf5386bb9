"""Categories: what an admin says of rooms, so that newcomers find them by other words than the rooms' own."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import field

from shared.domain.records import Record

MOST = 200
"""Of categories. All of them are read together, for every question."""


class Category(Record, frozen=True, kw_only=True):
    """`synonyms`: a word to the words that are looked for as well, in every room. `rooms`: ids or aliases.
    `revision`: counts the changes, so that nobody overwrites what they have not seen."""

    id: str
    name: str
    created_at: datetime
    keywords: tuple[str, ...] = ()
    synonyms: dict[str, Any] = field(default_factory=dict)
    rooms: tuple[str, ...] = ()
    revision: int = 1
    updated_at: datetime | None = None
    request: str = ""
