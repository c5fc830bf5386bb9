"""The tool's settings and tables about rooms and interests, as categories. Their shapes are not documented: JSON and
the plausible lists are understood, anything else is named with what is expected."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct, field

from legacy.names import CATEGORY_PREFIX, EXPANSIONS, ROOM_FIELDS, ROOM_LISTS, ROOM_PREFIX
from legacy.report import Entry
from shared.domain.introductions import normal, words_of
from shared.settings import room_or_alias

SYNONYMS = "Synonyms"
"""The category of expansions that belong to no other one."""
LONGEST, MOST_WORDS, MOST_SYNONYMS = 100, 200, 12
EXPECTED_WORDS = (
    'keywords and rooms: hiking, climbing, or ["hiking", "climbing"], or {"keywords": [...], "rooms": [...]}'
)
EXPECTED_ROOMS = (
    'rooms with a category: [{"id": "!a:x.org", "name": "Hiking", "category": "Sports"}], or !a:x.org|Hiking|Sports'
)
EXPECTED_EXPANSIONS = 'words with others: {"hike": ["walk", "trek"]}, or hike: walk, trek; bike: cycling'


class Draft(Struct):
    """A category as it will be; `synonyms`: a word to words."""

    name: str
    keywords: list[str] = field(default_factory=list)
    synonyms: dict[str, list[str]] = field(default_factory=dict)
    rooms: list[str] = field(default_factory=list)


class Drafts(Struct):
    """`entries`: what was left out and why."""

    by_name: dict[str, Draft] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)

    def of(self, name: str) -> Draft:
        return self.by_name.setdefault(name.casefold(), Draft(name))

    def leave(self, key: str, reason: str) -> None:
        self.entries.append(Entry("categories", key, "skipped", reason))


def drafts_of(settings: Mapping[str, Any], tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> Drafts:
    """`settings`: as `Proposal.rooms` has them; `tables`: those that hold rooms, by name."""
    found = Drafts()
    for name, value in sorted(settings.items()):
        if name.startswith(CATEGORY_PREFIX):
            _category(found, name, value)
        elif name in ROOM_LISTS or name.startswith(ROOM_PREFIX):
            _rooms(found, name, value)
    for table, rows in tables.items():
        _rooms(found, table, list(rows))
    if EXPANSIONS in settings:  # the last: they go to the categories that know their words
        _expansions(found, settings[EXPANSIONS])
    return found


# ------------------------------------------------------------------ CATEGORY_*


def _category(found: Drafts, setting: str, value: Any) -> None:
    given = value if isinstance(value, dict) else {"keywords": value}
    name = given.get("name") or setting.removeprefix(CATEGORY_PREFIX).replace("_", " ").strip().title()
    keywords, rooms = _texts(given.get("keywords", [])), _texts(given.get("rooms", []))
    if keywords is None or rooms is None or not _is_word(name):
        found.leave(setting, f"expected {EXPECTED_WORDS}")
        return
    draft = found.of(name)
    for word in [*keywords, *rooms]:
        if word[0] in "!#":
            _add_room(found, draft, setting, word)
        else:
            _add_word(found, draft.keywords, setting, word)


def _texts(value: Any) -> list[str] | None:
    """Of a list, or of one text with commas, semicolons, bars or lines between."""
    if isinstance(value, str):
        return [part.strip() for part in re.split(r"[,;|\n]", value) if part.strip()]
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return [each.strip() for each in value if each.strip()]
    return None


def _add_word(found: Drafts, to: list[str], where: str, word: str) -> None:
    if not _is_word(word):
        found.leave(where, f"{word[:40]!r} is no word of at most {LONGEST} characters")
    elif len(to) >= MOST_WORDS:
        found.leave(where, f"{word!r} is one more than {MOST_WORDS}")
    elif word.casefold() not in map(str.casefold, to):
        to.append(word)


def _is_word(word: Any) -> bool:
    return isinstance(word, str) and bool(words_of(normal(word))) and word.isprintable() and len(word) <= LONGEST


def _add_room(found: Drafts, draft: Draft, where: str, room: str) -> None:
    try:
        room_or_alias(room)
    except ValueError as error:
        found.leave(where, f"{room[:60]!r} is no room: expected {error}")
        return
    if room not in draft.rooms:
        draft.rooms.append(room)


# ------------------------------------------------------------------ rooms with their categories


def _rooms(found: Drafts, where: str, value: Any) -> None:
    rooms = list(_listed(value))
    if not rooms:
        found.leave(where, f"expected {EXPECTED_ROOMS}")
    for room, category in rooms:
        if not room:
            found.leave(where, f"an entry has no room's id: expected {EXPECTED_ROOMS}")
        elif not _is_word(category):
            found.leave(where, f"{room[:60]} has no category")
        else:
            _add_room(found, found.of(category), where, room)


def _listed(value: Any) -> Iterator[tuple[str, str]]:
    """Room and category; what is missing is ""."""
    if isinstance(value, str):
        yield from (_of_parts(entry.split("|")) for entry in re.split(r"[,;\n]", value) if entry.strip())
    elif isinstance(value, dict) and any(name in value for names in ROOM_FIELDS.values() for name in names):
        yield from _of_object(value)
    elif isinstance(value, dict):
        for room, about in value.items():
            yield from _about(room, about)
    elif isinstance(value, list) and value and all(isinstance(each, str) for each in value) and "|" not in value[0]:
        yield _of_parts(value)
    elif isinstance(value, list):
        for each in value:
            yield from _listed(each)


def _of_parts(parts: Sequence[str]) -> tuple[str, str]:
    """!id|Name|Category or !id|Category, in any order but that the category is the last of the others."""
    bare = [part.strip() for part in parts if part.strip()]
    room = next((part for part in bare if part[0] in "!#"), "")
    others = [part for part in bare if part != room]
    return room, others[-1] if others else ""


def _about(room: str, about: Any) -> Iterator[tuple[str, str]]:
    """{"!id": "Category"}, {"!id": ["Name", "Category"]}, {"!id": {"name", "category"}}; {"Category": ["!id"]}."""
    if isinstance(about, dict):
        yield from _of_object({"id": room} | about)
    elif room[:1] in ("!", "#"):
        yield _of_parts([room, *(_texts(about) or [])])
    else:
        yield from ((each, room) for each in _texts(about) or [""])


def _of_object(given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    found = {name: next((given[each] for each in names if given.get(each)), "") for name, names in ROOM_FIELDS.items()}
    for category in _texts(found["category"]) or [""]:
        yield str(found["room"]).strip(), category


# ------------------------------------------------------------------ expansions


def _expansions(found: Drafts, value: Any) -> None:
    given = _as_map(value) if isinstance(value, str) else value
    if not isinstance(given, dict) or not given:
        found.leave(EXPANSIONS, f"expected {EXPECTED_EXPANSIONS}")
        return
    for word, others in given.items():
        also = _texts(others)
        if not also or not _is_word(word):
            found.leave(EXPANSIONS, f"{word[:40]!r}: expected {EXPECTED_EXPANSIONS}")
            continue
        home = _home(found, [word, *also])
        if len(home.synonyms) >= MOST_WORDS:
            found.leave(EXPANSIONS, f"{word!r} is one more than {MOST_WORDS}")
            continue
        to = home.synonyms.setdefault(word, [])
        for each in also:
            _add_word(found, to, EXPANSIONS, each)
        if len(to) > MOST_SYNONYMS:
            found.leave(EXPANSIONS, f"{word!r} has more than {MOST_SYNONYMS} others: {', '.join(to[MOST_SYNONYMS:])}")
            del to[MOST_SYNONYMS:]
        if not to:
            del home.synonyms[word]


def _as_map(value: str) -> dict[str, str]:
    pairs = [re.split(r"[:=]", entry, maxsplit=1) for entry in re.split(r"[;\n]", value) if entry.strip()]
    return {pair[0].strip(): pair[1] for pair in pairs} if all(len(pair) == 2 for pair in pairs) else {}


def _home(found: Drafts, words: Sequence[str]) -> Draft:
    """The category that has the first of these words that any has; it matters to readers alone."""
    for word in words:
        for draft in found.by_name.values():
            if word.casefold() in (draft.name.casefold(), *map(str.casefold, draft.keywords)):
                return draft
    return found.of(SYNONYMS)
