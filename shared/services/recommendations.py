"""Rooms for what somebody writes of themselves. Nothing is stored and nobody is invited: it is an answer to look at.

The index is built from the rooms and categories and kept by the instance until one of them changes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from msgspec import Struct

from shared.domain import introductions, recommending
from shared.domain.categories import Category
from shared.domain.errors import NotFound, Refused
from shared.domain.introductions import Clause, Word
from shared.domain.recommending import Asked, Passage, Ranked
from shared.ports import Room, TextIndex
from shared.services.categories import everything
from shared.services.context import Ports
from shared.services.lists import rooms as listed
from shared.services.managed import room_id_of

KEPT = 30 * 86_400.0
"""Seconds, at most: it is built anew whenever rooms or categories have changed."""
MOST_SYNONYMS = 12
"""Of one word, that are looked for."""
NAMED = ("name", "category")
"""What is refused leaves out the rooms that are called so, not those that only mention it."""

Stems = tuple[str, ...]


class Recommendation(Struct, frozen=True):
    """`because`: in words. `score`: from 0 to 100, see `shared.domain.recommending`."""

    room_id: str
    name: str
    score: float
    because: str


class Recommended(Struct, frozen=True):
    """`wanted`, `unwanted`: what was understood of the text, as far as any room or category has it."""

    items: Sequence[Recommendation]
    wanted: Sequence[str]
    unwanted: Sequence[str]


class Shelf(Struct, frozen=True):
    """What is ready for questions. `synonyms`: by stems. `own`: words that an admin has named: they are never small."""

    passages: Mapping[str, Passage]
    index: TextIndex
    synonyms: Mapping[Stems, tuple[str, ...]]
    own: frozenset[str]


class _Kept(Struct):
    """`said` and `categories`: what `shelf` was made of. That somebody has joined a room makes no new one."""

    lock: asyncio.Lock
    said: Sequence[tuple[str, ...]] = ()
    categories: Sequence[Category] = ()
    shelf: Shelf | None = None


async def recommend(ports: Ports, interests: str, limit: int) -> Recommended:
    """At most `limit`, the best first, none below the settings' least score."""
    policy = ports.policy
    ready = await shelf(ports)
    return await asyncio.to_thread(answer, ready, interests, limit, policy.recommend_least, policy.recommend_most)


async def shelf(ports: Ports) -> Shelf:
    rooms, categories = await asyncio.gather(_suitable(ports), everything(ports))
    kept = await ports.remember("recommendations", KEPT, _new)
    async with kept.lock:
        said = [(room.room_id, room.name, room.topic, room.alias) for room in rooms]
        if kept.shelf is None or kept.said != said or kept.categories != categories:
            made = await asyncio.to_thread(furnish, ports, rooms, categories)
            kept.said, kept.categories, kept.shelf = said, categories, made
        return kept.shelf


async def _new() -> _Kept:
    return _Kept(asyncio.Lock())


async def _suitable(ports: Ports) -> list[Room]:
    """No spaces, no direct rooms, no room that was replaced, and not INDOC."""
    found, indoc = await asyncio.gather(listed(ports), _indoc(ports))
    return [
        room
        for room in found.rooms
        if not room.kind and not room.replaced_by and not {room.room_id, room.alias} & indoc
    ]


async def _indoc(ports: Ports) -> set[str]:
    """By every name that we know of it."""
    indoc = ports.policy.indoc
    if not indoc:
        return set()
    try:
        return {indoc, await room_id_of(ports, indoc)}
    except (Refused, NotFound):
        return {indoc}


def furnish(ports: Ports, rooms: Sequence[Room], categories: Sequence[Category]) -> Shelf:
    passages = {room.room_id: _passage(room, categories) for room in rooms}
    index = ports.index(list(passages.values()), recommending.WEIGHTS)
    named = [word for category in categories for word in (category.name, *category.keywords, *category.synonyms)]
    return Shelf(passages, index, _synonyms(index, categories), frozenset(_normal(word).lower() for word in named))


def _passage(room: Room, categories: Sequence[Category]) -> Passage:
    of_it = [each for each in categories if {room.room_id, room.alias} & set(each.rooms)]
    return recommending.passage(room.room_id, room.name, room.topic, [(each.name, each.keywords) for each in of_it])


def _synonyms(index: TextIndex, categories: Sequence[Category]) -> dict[Stems, tuple[str, ...]]:
    """Of all categories together; a word's synonyms hold in every room."""
    pairs = [(word, also) for category in categories for word, also in category.synonyms.items()]
    found: dict[Stems, tuple[str, ...]] = {}
    for stems, (_, also) in zip(index.stems([_normal(word) for word, _ in pairs]), pairs, strict=True):
        known = found.get(stems, ())
        found[stems] = tuple(dict.fromkeys((*known, *map(_normal, also))))[:MOST_SYNONYMS]
    return found


def _normal(text: str) -> str:
    return " ".join(introductions.normal(text).split())


# ------------------------------------------------------------------ one question


def answer(ready: Shelf, interests: str, limit: int, least: float = 0.0, most: float = 100.0) -> Recommended:
    """No I/O. Never raises, whatever the text holds."""
    asked = understood(ready, interests)
    wanted = recommending.rarest((each for each in asked if each.wanted), _passages_with(ready, asked))
    unwanted = [each for each in asked if not each.wanted]
    found = {sought: ready.index.find(sought) for each in wanted for sought, _ in each.variants}
    without = {key for each in unwanted for sought, _ in each.variants for key in ready.index.find(sought, NAMED)}
    ranked = recommending.ranked(wanted, found, ready.index.total, without=without, least=least, most=most)
    return Recommended(
        [_shown(ready, each) for each in ranked[:limit]],
        [recommending.joined(each.words) for each in asked if each.wanted],
        [recommending.joined(each.words) for each in unwanted],
    )


def _shown(ready: Shelf, ranked: Ranked) -> Recommendation:
    of = ready.passages[ranked.key]
    reasons = [
        recommending.reason(match, ready.index.shown(ranked.key, match.sought), of)
        for match in ranked.matches[: recommending.MOST_REASONS]
    ]
    name = recommending.joined(of.name) or ranked.key
    return Recommendation(ranked.key, name, ranked.score, "; ".join(dict.fromkeys(reasons)))


def _passages_with(ready: Shelf, asked: Sequence[Asked]) -> dict[str, int]:
    """At most: what is sought can be in no more passages than the rarest of its words."""
    sought = [word for each in asked for word, _ in each.variants]
    return {
        word: min((ready.index.known(stem) for stem in stemmed), default=0)
        for word, stemmed in zip(sought, ready.index.stems(sought), strict=True)
    }


def understood(ready: Shelf, text: str) -> list[Asked]:
    """What a room or a category knows of it, each once. Who wants it somewhere and refuses it elsewhere wants it."""
    clauses = introductions.read(text)
    words = sorted({word.folded for clause in clauses for word in clause})
    reader = _Reader(ready, dict(zip(words, ready.index.stems(words), strict=True)))
    found: dict[Stems, Asked] = {}
    for stemmed, asked in (thing for clause in clauses for thing in reader.things(clause)):
        if stemmed not in found or (asked.wanted and not found[stemmed].wanted):
            found[stemmed] = asked
    return list(found.values())


class _Reader(Struct):
    """Of one text. `stems`: of each of its words. `tries`: phrases that may still be asked of the index."""

    ready: Shelf
    stems: Mapping[str, Stems]
    tries: int = recommending.MOST_PHRASES

    def things(self, clause: Clause) -> list[tuple[Stems, Asked]]:
        """The longest phrases that something is known of, from the left; else single words."""
        found, at = [], 0
        while at < len(clause):
            phrase = next((each for each in recommending.phrases_from(clause, at) if self._has(each)), "")
            words = phrase or (clause[at].text if self._counts(clause[at]) else "")
            if words:
                stemmed = self._stems_of(words)
                found.append((stemmed, Asked(words, clause[at].wanted, self.ready.synonyms.get(stemmed, ()))))
            at += len(phrase.split()) or 1
        return found

    def _stems_of(self, words: str) -> Stems:
        return tuple(stem for word in words.split() for stem in self.stems[word.lower()])

    def _has(self, phrase: str) -> bool:
        stemmed = self._stems_of(phrase)
        if stemmed in self.ready.synonyms:
            return True
        if self.tries <= 0 or not all(map(self.ready.index.known, stemmed)):
            return False
        self.tries -= 1
        return self.ready.index.has(phrase)

    def _counts(self, word: Word) -> bool:
        stemmed = self.stems[word.folded]
        if word.name or len(word.text) < 2 or (word.small and word.folded not in self.ready.own):
            return False
        return stemmed in self.ready.synonyms or any(map(self.ready.index.known, stemmed))
