"""Which rooms suit somebody, and why: what is asked of the index, what its answers add up to, and the reasons in words.

The score of a room is from 0 to 100. Each thing that a newcomer is interested in gives rarity x strength x 100. The
rarity is 1 for what only one room says and falls towards 0 for what all say: BM25's inverse document frequency, related
to that of a single room. The strength is how much of the room it is: BM25's other half, 1 would be a room that says
nothing else; a room's name counts most, then its categories, then its topic. A synonym counts for less. Several
interests add up, to at most 100.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import accumulate

from msgspec import Struct

from shared.domain.introductions import Clause, Word, normal

WEIGHTS: Mapping[str, float] = {"name": 4.0, "topic": 1.0, "category": 2.0, "keywords": 2.0}
"""What a word counts for in each column of a passage."""
SMALLEST = 20
"""Rooms. A smaller community counts as one of so many: what two of three rooms say is not common for that."""
SYNONYM = 0.6
NEAR_BEST = 0.6
"""A room counts for an interest only with so much of what the best room has for it: where one is called Film Club,
another that mentions a film is no answer to "films"."""
PHRASE_WORDS = 3
MOST_ASKED = 40
MOST_PASSAGES = 10_000
MOST_PHRASES = 60
"""Of a long text the rarest words decide, and only so many phrases are tried: it is answered as quickly as a short one.
Nobody's introduction is so long."""
MOST_REASONS = 3


class Passage(Struct, frozen=True):
    """What is found of a room. `category` and `keywords`: a line for each of its categories, in the same order."""

    key: str
    name: str
    topic: str = ""
    category: str = ""
    keywords: str = ""


class Asked(Struct, frozen=True):
    """One thing that somebody is interested in, or is not. `words`: as they wrote it. `also`: its synonyms."""

    words: str
    wanted: bool = True
    also: tuple[str, ...] = ()

    @property
    def variants(self) -> list[tuple[str, float]]:
        """What to look for, and what it counts."""
        return [(self.words, 1.0), *((word, SYNONYM) for word in self.also)]


class Match(Struct, frozen=True):
    """Why a room: `asked` was found as `sought`. `points` of the score."""

    asked: str
    sought: str
    points: float


class Ranked(Struct, frozen=True):
    key: str
    score: float
    matches: Sequence[Match]


def passage(key: str, name: str, topic: str, categories: Sequence[tuple[str, Sequence[str]]] = ()) -> Passage:
    """`categories`: name and keywords of each that the room is in."""
    return Passage(
        key,
        normal(name),
        normal(topic),
        "\n".join(_line(category) for category, _ in categories),
        "\n".join(_line(", ".join(keywords)) for _, keywords in categories),
    )


def _line(text: str) -> str:
    return " ".join(normal(text).split())


# ------------------------------------------------------------------ what is asked


def phrases_from(clause: Clause, at: int) -> list[str]:
    """The phrases that begin there and may be one thing, the longest first."""
    found = []
    for end in range(min(len(clause), at + PHRASE_WORDS), at + 1, -1):
        words = clause[at:end]
        if _is_one_thing(words):
            found.append(" ".join(word.text for word in words))
    return found


def _is_one_thing(words: Sequence[Word]) -> bool:
    return (
        not words[0].glue
        and not words[-1].glue
        and not all(word.small for word in words)
        and len({word.wanted for word in words}) == 1
        and not any(word.name for word in words)
    )


def rarest(asked: Iterable[Asked], passages_with: Mapping[str, int]) -> list[Asked]:
    """Those with the fewest passages: at most `MOST_ASKED`, in at most `MOST_PASSAGES`, but the first in any case.
    `passages_with`: of what is sought, at most."""
    costs = [(sum(passages_with[sought] for sought, _ in each.variants), each) for each in asked]
    costs.sort(key=lambda pair: pair[0])
    sums = accumulate(cost for cost, _ in costs)
    chosen = [each for (_, each), passages in zip(costs, sums, strict=True) if passages <= MOST_PASSAGES]
    return (chosen or [each for _, each in costs[:1]])[:MOST_ASKED]


# ------------------------------------------------------------------ what it adds up to


def rarity(passages: int, total: int) -> float:
    """From 1 for one passage of all towards 0 for every one. The logarithm of BM25 as Lucene has it, which stays
    above 0 for what most rooms say."""
    of = max(total, SMALLEST)
    return _idf(passages, of) / _idf(1, of) if passages else 0.0


def _idf(passages: int, total: int) -> float:
    return math.log1p((total - passages + 0.5) / (passages + 0.5))


def ranked(
    asked: Sequence[Asked],
    found: Mapping[str, Mapping[str, float]],
    total: int,
    *,
    without: Collection[str] = (),
    least: float = 0.0,
    most: float = 100.0,
) -> list[Ranked]:
    """The best first; equal ones by key. `found`: what was sought to the strength of each passage that has it."""
    matches: dict[str, list[Match]] = {}
    for each in asked:
        for key, match in _best(each, found, total).items():
            if key not in without:
                matches.setdefault(key, []).append(match)
    scored = [
        Ranked(key, min(round(sum(match.points for match in each), 1), most), sorted(each, key=lambda m: -m.points))
        for key, each in matches.items()
    ]
    return sorted((each for each in scored if each.score >= least), key=lambda each: (-each.score, each.key))


def _best(asked: Asked, found: Mapping[str, Mapping[str, float]], total: int) -> dict[str, Match]:
    """A room has a word or its synonym: the better one counts, not both."""
    best: dict[str, Match] = {}
    for sought, weight in asked.variants:
        passages = found.get(sought, {})
        worth = 100 * weight * rarity(len(passages), total)
        for key, strength in passages.items():
            if key not in best or worth * strength > best[key].points:
                best[key] = Match(asked.words, sought, worth * strength)
    least = NEAR_BEST * max((match.points for match in best.values()), default=0.0)
    return {key: match for key, match in best.items() if match.points >= least}


# ------------------------------------------------------------------ why


def reason(match: Match, shown: Mapping[str, Sequence[tuple[int, str]]], of: Passage) -> str:
    """In words. `shown`: in which columns of the passage it stands, with line and spelling of each place."""
    column = max(shown, key=lambda each: WEIGHTS[each])
    line, there = shown[column][0]
    synonym = f" (a synonym of {match.asked.lower()})" if match.sought != match.asked else ""
    if column in ("category", "keywords"):
        place = f"category {joined(of.category.splitlines()[line])}"
    else:
        place = f"the {column} of {joined(of.name).strip() or of.key}"
    return f'matches "{joined(there).lower()}"{synonym} in {place}'


def joined(text: str) -> str:
    """Without the spaces that `normal` has put around each character that is a word."""
    parts: list[str] = []
    for part in text.split():
        if parts and not (parts[-1][-1:] > "\u3040" and part[:1] > "\u3040"):
            parts.append(" ")
        parts.append(part)
    return "".join(parts)
