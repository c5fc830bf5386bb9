"""What somebody writes of themselves, taken apart: words in clauses, each wanted or not; names and addresses left out.

No grammar, only what is seldom wrong: "no politics, religion or crypto", "not interested in", "Politik bitte nicht",
"can't live without". Where it is not clear a word counts as wanted: a room too many is only an offer.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence

from msgspec import Struct

from shared.domain.small_words import (
    CONTRACTIONS,
    GLUE,
    JOINING_REFUSED,
    NAMING,
    NEUTRAL,
    REFUSED,
    REFUSING,
    SMALL,
    TURNING,
    WISHING,
)

LONGEST = 10_000
"""Characters that are read; what comes after is left aside."""
LIST_WORDS = 4
"""A clause of so many words may be one more of a list."""

_ADDRESS = re.compile(r"https?://\S+|www\.\S+|[@#!][^\s:]+:[\w.-]+|[\w.+-]+@[\w-]+\.[\w.-]+")
_SENTENCE = re.compile(r"[.!?;\n\r…。！？；¡¿]+")
_CLAUSE = re.compile(r"[,:()\[\]{}–—、，：/|\"“”„«»•*\\]+|\s-+\s")
_ENDINGS = re.compile(r"(?<=\w)'(m|re|ve|ll|d|s)\b", re.IGNORECASE)
_NOT = re.compile(r"n't\b", re.IGNORECASE)
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
"""Characters of scripts that put no space between words: each is a word, and words of several are phrases."""


class Word(Struct, frozen=True):
    """`small`: says nothing by itself; `glue`: not at the edge of a phrase either. `name`: of a person."""

    text: str
    wanted: bool = True
    small: bool = False
    glue: bool = False
    name: bool = False

    @property
    def folded(self) -> str:
        return self.text.lower()


Clause = Sequence[Word]


def read(text: str) -> list[Clause]:
    """Never raises, whatever the text holds."""
    found: list[Clause] = []
    for sentence in _SENTENCE.split(_cleaned(text)):
        clauses = [words for part in _CLAUSE.split(sentence) if (words := words_of(part))]
        found += _judged(clauses)
    return found


def normal(text: str) -> str:
    """One spelling for what looks the same, and a space around each character that is a word."""
    whole = text.encode("utf-8", "ignore").decode().replace("\0", " ")
    return _UNSPACED.sub(r" \g<0> ", unicodedata.normalize("NFKC", whole))


def words_of(text: str) -> list[str]:
    """Runs of letters, marks and digits; what stands between them is none. As the index takes a text apart."""
    runs = "".join(char if unicodedata.category(char)[0] in "LMN" else " " for char in text).split()
    return [run for run in runs if any(map(str.isalnum, run))]


def _cleaned(text: str) -> str:
    plain = _ADDRESS.sub(" ", text[:LONGEST]).replace("’", "'")
    plain = re.sub(r"[\w']+", lambda word: CONTRACTIONS.get(word[0].lower(), word[0]), plain)
    return normal(_ENDINGS.sub(_spelled, _NOT.sub(" not", plain)))


def _spelled(ending: re.Match[str]) -> str:
    return {"m": " am", "re": " are", "ve": " have", "ll": " will", "d": " would"}.get(ending[1].lower(), " is")


# ------------------------------------------------------------------ wanted or not


Phrases = Mapping[str, Sequence[tuple[str, ...]]]


def _phrases(between_slashes: str) -> Phrases:
    """By their first words, the longest first."""
    found: dict[str, list[tuple[str, ...]]] = {}
    for phrase in sorted((tuple(each.split()) for each in between_slashes.split("/")), key=len, reverse=True):
        found.setdefault(phrase[0], []).append(phrase)
    return found


_NEUTRAL, _REFUSING, _REFUSED, _NAMING = map(_phrases, (NEUTRAL, REFUSING, REFUSED, NAMING))


def _at(folded: Sequence[str], at: int, phrases: Phrases) -> int:
    """How many words the phrase that begins here has; 0: none does."""
    begun = phrases.get(folded[at], ())
    return next((len(phrase) for phrase in begun if tuple(folded[at : at + len(phrase)]) == phrase), 0)


def _judged(clauses: Sequence[list[str]]) -> list[Clause]:
    """Of one sentence: a refusal goes on over a list whose last word is joined by "or", or follows what it refuses."""
    refused = [_refused(clause) for clause in clauses]
    for at, words in enumerate(clauses):
        if at and _at([word.lower() for word in words], 0, _REFUSED) == len(words):  # "football, no thanks"
            refused[at - 1 : at + 1] = [[True] * len(clauses[each]) for each in (at - 1, at)]
    for at, clause in enumerate(refused):
        if clause and clause[-1]:
            last = _end_of_list(clauses, at)
            refused[at + 1 : last + 1] = [[True] * len(clauses[each]) for each in range(at + 1, last + 1)]
    return [_words(clause, unwanted) for clause, unwanted in zip(clauses, refused, strict=True)]


def _end_of_list(clauses: Sequence[list[str]], at: int) -> int:
    for following in range(at + 1, len(clauses)):
        folded = {word.lower() for word in clauses[following]}
        if len(clauses[following]) > LIST_WORDS or folded & (WISHING | TURNING):
            return at
        if folded & JOINING_REFUSED:
            return following
    return at


def _refused(clause: Sequence[str]) -> list[bool]:
    """For each word whether it is refused."""
    folded = [word.lower() for word in clause]
    refused, refusing, at = [False] * len(folded), False, 0
    while at < len(folded):
        neutral, refusal = _at(folded, at, _NEUTRAL), _at(folded, at, _REFUSING) or (at == 0 and folded[0] == "not")
        ending = _at(folded, at, _REFUSED)
        if ending and at + ending == len(folded) and at:
            begun = max((n for n in range(at) if folded[n] in TURNING), default=-1)
            return [*refused[: begun + 1], *([True] * (len(folded) - begun - 1))]
        if neutral and neutral >= refusal:
            refusing = False
        elif refusal:
            refusing = True
        elif folded[at] in TURNING or (
            folded[at] in WISHING and at and folded[at - 1] in ("and", "und", "y", "et", "e")
        ):
            refusing = False
        step = max(neutral, refusal, 1)
        refused[at : at + step] = [refusing] * step
        at += step
    return refused


# ------------------------------------------------------------------ names


def _words(clause: Sequence[str], refused: Sequence[bool]) -> list[Word]:
    names = _names(clause)
    return [
        Word(text, not unwanted, text.lower() in SMALL, text.lower() in GLUE, at in names)
        for at, (text, unwanted) in enumerate(zip(clause, refused, strict=True))
    ]


def _names(clause: Sequence[str]) -> set[int]:
    """Capitalized words after "my name is", or before "here" at the beginning; "I'm German" is a name to us as well,
    "I'm Python developer" is none."""
    folded = [word.lower() for word in clause]
    found = set[int]()
    for at in range(len(clause)):
        if begun := _at(folded, at, _NAMING):
            found |= _run(clause, folded, at + begun)
    opening = _run(clause, folded, 0)
    after = max(opening, default=-1) + 1
    if opening and folded[after : after + 1] in (["here"], ["hier"]):
        found |= opening
    return found


def _run(clause: Sequence[str], folded: Sequence[str], start: int) -> set[int]:
    """The capitalized words from there, if what follows them goes on with something else."""
    end = start
    while end < len(clause) and clause[end][:1].isupper() and folded[end] not in SMALL:
        end += 1
    return set(range(start, end)) if end == len(clause) or folded[end] in SMALL else set()
