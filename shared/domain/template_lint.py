"""What is wrong with a template, or may be: looked at beforehand, so that nobody gets a message with a hole in it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal
from urllib.parse import unquote

from msgspec import Struct

from shared.domain.templates import (
    LARGEST_EVENT,
    PURPOSES,
    REDACTED,
    ROOM_FOR_SEALING,
    VARIABLES,
    Link,
    Person,
    Purpose,
    Rendered,
    Value,
    variables_of,
)


class Finding(Struct, frozen=True):
    """An error is not saved; a warning is, and shown. `line`: of the source, 0 where it has none."""

    level: Literal["error", "warning"]
    code: str
    text: str
    line: int = 0


class Sample(Struct, frozen=True):
    """Somebody to try a template on. `known`: whether anything is known beyond what is always there."""

    label: str
    person: Person
    known: bool = True


WORDS = {"room": "others read it", "mail": "a mail has no mentions", "page": "it is passed on by hand"}
OPTIONAL = frozenset(("rooms", "sponsor", "guest", "expires_at", "reason", "last"))
_ROOM = re.compile(r"(?<![\w/#!.@])([#!][\w.=+-]+:[\w.-]+(?::[0-9]+)?)")
_LINKED = re.compile(r"matrix\.to/#/([^\s)\"'<>?/;,]+)")
_DOUBLE = re.compile(r"@\s?\{\s*(matrix_id|mention|bot)\s*\}|@@")
_BARE = re.compile(r"\{\s*matrix_id\s*\}")
_BRACED = re.compile(r"\{[^{}\n]{0,200}\}")


def samples(domain: str) -> list[Sample]:
    """No name, a very long one, and one that is written from the right."""
    return [
        Sample("No name, and nothing else is known", Person(f"@newcomer17:{domain}", "", "newcomer17"), known=False),
        Sample("A very long name", Person(f"@{'long' * 12}:{domain}", "Anna-Katharina Maximiliane " * 9, "long" * 12)),
        Sample(
            "A name from right to left", Person(f"@ada:{domain}", "\u05e2\u05d3\u05d4 \u05dc\u05d0\u05d1\u05dc", "ada")
        ),
    ]


def sample_values(sample: Sample, community: str) -> dict[str, Value]:
    names = ["Hiking", "Board games", "Help and questions"]
    longest = [f"A room with quite a long name, number {number}" for number in range(40)]
    values: dict[str, Value] = {
        "rooms": longest if len(sample.person.name) > 100 else names,
        "sponsor": "Robin",
        "guest": sample.person.called,
        "recovery_link": Link(f"https://{community}/a-sample-and-no-real-link", REDACTED),
        "invite_link": Link(f"https://{community}/a-sample-and-no-real-link"),
        "expires_at": "2030-01-31 18:00 UTC",
        "hours": "4",
        "reason": "They had not been here for a year.",
        "text": "What an admin has written for this one message.",
        "last": True,
    }
    return values if sample.known else {name: value for name, value in values.items() if name not in OPTIONAL}


def about_names(source: str, names: Iterable[str], purpose: str) -> Iterator[Finding]:
    """Variables that the message will not have."""
    about, known = PURPOSES[purpose], variables_of(purpose)
    for name in sorted(set(names) - set(known)):
        yield Finding("error", *_why_not(name, about, known), line=line_of(source, name))
    if about.goes == "room" and (found := _BARE.search(source)):
        text = "{matrix_id} shows a bare Matrix id to the room; {mention} is their name, and they are told"
        yield Finding("warning", "bare_id", text, _line(source, found.start()))


def _why_not(name: str, about: Purpose, known: Sequence[str]) -> tuple[str, str]:
    listed = ", ".join(f"{{{each}}}" for each in known)
    if name == "recovery_link":
        why = WORDS.get(about.goes, "this message is kept, and has none")
        return "recovery_link", f"a recovery link opens their account, and cannot stand here: {why}. Take it out"
    if name in VARIABLES:
        return "unknown_variable", f"{{{name}}} is for other messages; expected one of {listed}"
    return "unknown_variable", f"{{{name}}} is not known; expected one of {listed}"


def about_source(source: str) -> Iterator[Finding]:
    for found in _DOUBLE.finditer(source):
        text = "a double @: what stands in the braces brings its own. Take the @ before it away"
        yield Finding("error", "double_at", text, _line(source, found.start()))


def about_html(source: str, rendered: Iterable[Rendered]) -> Iterator[Finding]:
    for name in dict.fromkeys(name for each in rendered for name in each.dropped):
        text = f"{name} is not shown by Matrix clients, and is left out; use Markdown instead"
        yield Finding("warning", "dropped_html", text, line_of(source, name.rpartition("<")[2].rstrip(">")))


def about_size(sizes: Mapping[str, int]) -> Iterator[Finding]:
    """`sizes`: bytes of the event's content, by sample."""
    most = int(LARGEST_EVENT * ROOM_FOR_SEALING)
    for label, size in sizes.items():
        if size > most:
            text = (
                f"becomes {size:,} bytes ({label.lower()}); with encryption an event holds about {most:,}. Shorten it"
            )
            yield Finding("error", "too_large", text)
            return


def about_plain(rendered: Mapping[str, Rendered]) -> Iterator[Finding]:
    empty = [label for label, each in rendered.items() if not each.plain]
    if len(empty) == len(rendered) and empty:
        yield Finding("error", "no_text", "has no text: nothing would be sent. Write something that is always there")
    elif empty:
        text = f"is empty for some ({empty[0].lower()}); the built-in text would be sent to them instead"
        yield Finding("warning", "no_text", text)


def rooms_named(source: str) -> dict[str, int]:
    """Ids and aliases of rooms that the text names, with their lines."""
    found = {
        match[1].rstrip("."): _line(source, match.start()) for match in _ROOM.finditer(_BRACED.sub(_blank, source))
    }
    for match in _LINKED.finditer(source):
        room = unquote(match[1]).rstrip(".:!")
        if room[:1] in ("#", "!") and "{" not in room:
            found.setdefault(room, _line(source, match.start()))
    return found


def _blank(found: re.Match[str]) -> str:
    return " " * len(found[0])


def line_of(source: str, word: str) -> int:
    return _line(source, at) if word and (at := source.find(word)) >= 0 else 0


def _line(source: str, at: int) -> int:
    return source.count("\n", 0, at) + 1
