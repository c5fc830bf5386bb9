"""What goes in and out of /api/categories and /api/rooms/recommend."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query
from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from functions.admin import models as m
from shared.domain.categories import Category
from shared.domain.introductions import LONGEST, normal, words_of


def _findable(value: str) -> str:
    if not words_of(normal(value)):
        raise ValueError("expected at least one letter or digit")
    return value


def _storable(value: str) -> str:
    if value.startswith("__") and value.endswith("__"):
        raise ValueError("expected a word, not __...__")
    return value


def _lines(value: Any) -> Any:
    """Of a form or a file from elsewhere."""
    return value.replace("\r\n", "\n") if isinstance(value, str) else value


Interests = Annotated[
    str,
    StringConstraints(strip_whitespace=True, max_length=LONGEST),  # beside the str: else its words speak of items
    BeforeValidator(_lines),
    AfterValidator(m._printable),
]
Keyword = Annotated[m.Label, AfterValidator(_findable)]
Sought = Annotated[Keyword, AfterValidator(_storable)]
Synonyms = Annotated[list[Keyword], Field(min_length=1, max_length=12)]
Revision = Annotated[int, Field(ge=1, le=2**53)]
RevisionAsked = Annotated[int | None, Query(ge=1, le=2**53)]


class NewCategory(m.Strict):
    """`synonyms`: a word to the words that are looked for as well. `rooms`: ids, or the main aliases of rooms."""

    name: Keyword
    keywords: Annotated[list[Keyword], Field(max_length=200, default_factory=list)]
    synonyms: Annotated[dict[Sought, Synonyms], Field(max_length=200, default_factory=dict)]
    rooms: Annotated[list[m.RoomRef], Field(max_length=1000, default_factory=list)]


class CategoryReplaced(NewCategory):
    """The whole category. `revision`: of the one that was read."""

    revision: Revision


class CategoryOut(m.Out):
    id: str
    name: str
    keywords: list[str]
    synonyms: dict[str, list[str]]
    rooms: list[str]
    revision: int
    created_at: m.Time
    updated_at: m.Time | None


class Categories(m.Listed):
    items: list[CategoryOut]


class Interested(m.Strict):
    interests: Interests
    limit: Annotated[int, Field(ge=1, le=50)] = 5


class RecommendationOut(m.Out):
    """`score`: 0 to 100. `because`: what of the text is found where, in words."""

    room_id: str
    name: str
    score: float
    because: str


class RecommendedOut(m.Out):
    """The best first. `wanted`, `unwanted`: what was understood of the text, as far as rooms or categories know it."""

    items: list[RecommendationOut]
    wanted: list[str]
    unwanted: list[str]


def category_out(category: Category) -> CategoryOut:
    return CategoryOut.model_validate(category.data())
