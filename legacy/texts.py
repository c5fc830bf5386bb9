"""The tool's message texts, by their names, as Muster's templates and reasons for removals: a proposal."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct, field, to_builtins

from legacy.names import LANGUAGES, REASONS, TEXT_BEGINNINGS, TEXT_ENDS, TEXTS, UNCLEAR
from legacy.placeholders import Translated, translate
from legacy.report import Entry
from shared.domain.errors import Invalid, NotFound
from shared.domain.ids import digest
from shared.domain.removals import checked
from shared.domain.templates import PURPOSES, Name, named

REMOVAL_REASONS = "removal_reasons"
LONGEST_LABEL, LONGEST_REASON, LONGEST_MESSAGE = 100, 300, 4000
"""Of a removal reason, as the API takes it."""
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class OldText(Struct):
    """`origin`: the file's or setting's name, to be named in reports. `parts`: the names that lead to it, folders and
    keys, the last one its own. `value`: the text; of removal reasons also a list or an object."""

    origin: str
    parts: list[str]
    value: Any


class Draft(Struct):
    """`template`: its id, with the language where there is one."""

    old: OldText
    template: str
    text: Translated


class Reason(Struct):
    origin: str
    id: str
    label: str
    reason: str
    message: str = ""


class Texts(Struct):
    drafts: list[Draft] = field(default_factory=list)
    reasons: list[Reason] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)

    def leave(self, old: OldText, reason: str) -> None:
        self.entries.append(Entry("text", old.origin, "skipped", reason, to_builtins(old)))


def is_text_setting(name: str) -> bool:
    """A name that could be anything, as HELLO, is none."""
    words = _words(name)
    return len(words) > 1 and (_ended(words) or "_".join(words) in REASONS) and bool(_known(_base(words)[0]))


def drafts_of(texts: Iterable[OldText], chosen: Mapping[str, str]) -> Texts:
    """`chosen`: templates by the names of files and settings, as somebody has said. The first text counts."""
    found = Texts()
    for old in texts:
        template = _template(old, chosen, found)
        if template == REMOVAL_REASONS:
            _reasons(old, found)
        elif template:
            _draft(old, template, found)
    return found


def _draft(old: OldText, template: str, found: Texts) -> None:
    if not isinstance(old.value, str):
        return found.leave(old, f"is no text, as {template} would need")
    if not old.value.strip():
        return found.leave(old, "is empty")
    text = translate(_lines(old.value), named(template).purpose)
    if CONTROL.search(text.source):
        return found.leave(old, "has control characters in it, which nobody can read")
    if text.blocks:
        unknown = ", ".join(text.blocks)
        return found.leave(old, f"has conditions about what nobody here knows: {unknown}. Write it without them")
    there = next((draft for draft in found.drafts if draft.template == template), None)
    if there is None:
        found.drafts.append(Draft(old, template, text))
    elif there.text.source != text.source:
        found.leave(old, f"{there.old.origin} gave {template} already")
    return None


def _lines(text: str) -> str:
    """Of a setting on one line, its "\\n" are its lines."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").strip()
    return text if "\n" in text else text.replace("\\n", "\n")


# ------------------------------------------------------------------ which template


def _template(old: OldText, chosen: Mapping[str, str], found: Texts) -> str:
    """ "" where it is left out."""
    by_name = {name.casefold(): template for name, template in chosen.items()}
    for name in (old.origin, old.parts[-1], ".".join(old.parts)):
        if name.casefold() in by_name:
            return by_name[name.casefold()]
    try:
        if named(old.parts[-1]).kind:
            return old.parts[-1]
    except NotFound:
        pass
    base, language = _named(old.parts)
    if base in UNCLEAR:
        found.leave(old, f"may be {' or '.join(UNCLEAR[base])}: say which, {_say(old, UNCLEAR[base][0])}")
    elif not (purpose := _known(base)):
        found.leave(old, f"nobody knows this name here: if it is one of {', '.join(PURPOSES)}, {_say(old, 'welcome')}")
    elif purpose == REMOVAL_REASONS or language in ("", "en"):  # the built-in texts are English where nothing is said
        return purpose
    else:
        return Name(purpose, "language", language).id
    return ""


def _say(old: OldText, template: str) -> str:
    return f"--text {old.origin}={template}"


def _named(parts: list[str]) -> tuple[str, str]:
    """The base and the language: of the last name, or of it and those before it (`invite: {message: ...}`)."""
    language = next((part.lower() for part in parts if part.lower() in LANGUAGES), "")
    own = [part for part in parts if part.lower() not in LANGUAGES]
    for taken in range(1, min(len(own), 3) + 1):
        base, of = _base([word for part in own[-taken:] for word in _words(part)])
        if base in UNCLEAR or _known(base):
            return base, language or of
    return "_".join(_words(parts[-1])), language


def _base(words: list[str]) -> tuple[str, str]:
    """Without language, beginnings and ends, as long as something is left."""
    language = words[-1] if len(words) > 1 and words[-1] in LANGUAGES else ""
    words = words[:-1] if language else list(words)
    while len(words) > 1 and words[-1] in TEXT_ENDS:
        words.pop()
    while len(words) > 1 and words[0] in TEXT_BEGINNINGS:
        words.pop(0)
    return "_".join(words), language


def _ended(words: list[str]) -> bool:
    return words[-1] in TEXT_ENDS or (words[-1] in LANGUAGES and words[-2] in TEXT_ENDS)


def _words(name: str) -> list[str]:
    return [word for word in re.split(r"[^a-z0-9]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()) if word] or [""]


def _known(base: str) -> str:
    """The template, or `REMOVAL_REASONS`; "" for what is in no table."""
    if base in REASONS:
        return REMOVAL_REASONS
    for purpose, names in TEXTS.items():
        own = _base(_words(purpose))[0]
        if base in (purpose, own, *names):
            return purpose
    return base if base in UNCLEAR else ""


# ------------------------------------------------------------------ reasons for removals


def _reasons(old: OldText, found: Texts) -> None:
    """{"id": "text"}, {"id": {"label", "reason", "message"}}, ["text"], or a text of one on each line."""
    value = _listed(old.value) if isinstance(old.value, str) else old.value
    pairs = list(value.items()) if isinstance(value, dict) else [("", each) for each in value or ()]
    if not pairs:
        found.leave(old, 'has no reasons in it: expected {"rules": "Did not keep to our rules"}, or one on each line')
    for key, about in pairs:
        _reason(OldText(f"{old.origin} {key}".strip(), ["removal_reasons"], {key: about}), key, about, found)


def _listed(text: str) -> Any:
    if text.strip()[:1] in ("[", "{"):
        try:
            return json.loads(text)
        except ValueError:
            return None
    return [line.strip() for line in _lines(text).split("\n") if line.strip()]


def _reason(old: OldText, key: str, about: Any, found: Texts) -> None:
    given = about if isinstance(about, dict) else {"reason": about}
    words = {name: given.get(name) or "" for name in ("label", "reason", "message")}
    words["reason"] = words["reason"] or given.get("text") or ""
    if not all(isinstance(word, str) for word in words.values()) or not words["reason"].strip():
        return found.leave(old, "is no text")
    reason, message = (_in_braces(words[name].strip()) for name in ("reason", "message"))
    label = words["label"].strip() or (key.replace("_", " ").strip().capitalize() if key else reason)[:LONGEST_LABEL]
    name = re.sub(r"[^a-z0-9]+", "-", (key or label).lower()).strip("-")[:48] or digest("reason", reason, length=16)
    try:
        checked(reason, "reason", name)
        checked(message, "message", name)
    except Invalid as error:
        return found.leave(old, error.cause)
    if len(label) > LONGEST_LABEL or len(reason) > LONGEST_REASON or len(message) > LONGEST_MESSAGE:
        return found.leave(old, f"is too long: a label has {LONGEST_LABEL} characters, a reason {LONGEST_REASON}")
    if CONTROL.search(label + reason + message):
        return found.leave(old, "has control characters in it, which nobody can read")
    if any(each.id == name for each in found.reasons):
        return found.leave(old, f"there is another reason {name!r} in this import")
    found.reasons.append(Reason(old.origin, name, label, reason, message))
    return None


def _in_braces(text: str) -> str:
    """`{{name}}` is `{name}` there."""
    return re.sub(r"\{\{\s*(\w+)\s*\}\}", r"{\1}", text)
