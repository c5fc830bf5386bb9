"""What the bot and the mails say: templates in Markdown with variables, their versions, and which one counts for whom.

A template has an id: its purpose, as "welcome", or a variant of it, as "welcome.language.de", "welcome.bundle.hikers"
or "welcome.invite.inv_1". Its versions are numbered from 1 and never changed; version 0 is the built-in text, where
there is one. What is sent names its version: "welcome@3".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Literal
from unicodedata import bidirectional, category

from msgspec import Struct

from shared.domain.errors import Invalid, NotFound
from shared.domain.records import Record

LONGEST = 20_000
"""Characters of a template."""
LARGEST_EVENT = 65_536
"""Bytes of an event, by the Matrix specification."""
ROOM_FOR_SEALING = 0.7
"""Of an event: as base64 in an encrypted one, the content becomes a third larger, and there is more around it."""
REDACTED = "[recovery link, made when it was sent]"
"""What stands for a recovery link wherever a message is kept or shown."""
KINDS = ("language", "bundle", "invite")
_ID = re.compile(r"([a-z_]{1,40})(?:\.(language|bundle|invite)\.([A-Za-z0-9_-]{1,80}))?")

Goes = Literal["member", "room", "mail", "page"]


class Purpose(Struct, frozen=True):
    """What a template is for. `goes`: to the member's direct room, into a room that others read, by mail, or onto the
    page for an admin to pass on. `variables`: what may be named beyond those of every purpose."""

    label: str
    when: str
    goes: Goes
    variables: tuple[str, ...] = ()


VARIABLES: Mapping[str, str] = {
    "display_name": "what they are called",
    "username": "their username",
    "matrix_id": "their Matrix id, as @ada:example.org",
    "mention": "a mention of them that clients show as a pill, with their name in it",
    "community": "the server name of the community",
    "bot": "the bot's Matrix id",
    "date": "today, as 2030-01-31 in UTC",
    "rooms": "the names of their rooms, joined by commas; or each of them in a loop over rooms",
    "sponsor": "who vouched for them",
    "guest": "who has come by an invite of this sponsor",
    "recovery_link": "a link by which they choose a password, made when it is sent and kept nowhere",
    "invite_link": "the link of their invite",
    "expires_at": "until when the link is good",
    "hours": "how many hours are left",
    "reason": "why, in the admin's words",
    "text": "the whole text that an admin has written for this one message",
    "last": "true in the last of several messages",
}
"""Whatever a template may name. A value that is not there is empty, and false in a condition."""
ALWAYS = ("display_name", "username", "matrix_id", "mention", "community", "bot", "date")

PURPOSES: Mapping[str, Purpose] = {
    "hello": Purpose("Hello", "the first message in the direct room, at once", "member", ("rooms", "sponsor")),
    "welcome": Purpose("Welcome", "some seconds after the hello", "member", ("rooms", "sponsor", "recovery_link")),
    "indoc_farewell": Purpose("Farewell in INDOC", "before they are taken out of INDOC", "room", ("rooms", "sponsor")),
    "indoc_nudge": Purpose("Nudge in INDOC", "before the clock of INDOC takes them out", "room", ("hours", "text")),
    "indoc_reminder": Purpose("Reminder in INDOC", "while they have joined no room yet", "room", ("rooms", "last")),
    "notice": Purpose("Unencrypted notice", "after 14 days without a device", "member"),
    "removal_message": Purpose("Before a removal", "before they are taken out", "member", ("text", "reason")),
    "invite_text": Purpose(
        "Invite, to pass on", "beside a new invite's link", "page", ("invite_link", "expires_at", "sponsor", "rooms")
    ),
    "email_invite": Purpose(
        "Invite by mail", "when an invite is sent", "mail", ("invite_link", "expires_at", "sponsor", "rooms")
    ),
    "email_recovery": Purpose(
        "Recovery by mail", "when a recovery link is sent", "mail", ("recovery_link", "expires_at")
    ),
    "sponsor_arrival": Purpose("Your guest has arrived", "to the sponsor of an invite", "member", ("guest", "rooms")),
}


_HIDDEN = {"Cc", "Cs", "Co", "Cn"}
_DIRECTIONS = "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def seen(text: str, *, lines: bool = False) -> str:
    """Without what nobody can see, or what would turn the text around it. In one line, unless `lines`."""
    kept = "".join(
        " " if each.isspace() and not (lines and each == "\n") else each
        for each in text
        if each.isspace() or (category(each) not in _HIDDEN and each not in _DIRECTIONS)
    )
    return kept if lines else " ".join(kept.split())


def tidied(text: str, *, lines: bool = False) -> str:
    """As `seen`; and what is written from the right keeps to itself."""
    shown = seen(text, lines=lines)
    turned = any(bidirectional(each) in ("R", "AL") for each in shown)
    return f"\u2068{shown}\u2069" if turned and "\n" not in shown else shown


class Person(Struct, frozen=True):
    """Whom a message is for. `name` may be empty."""

    matrix_id: str
    name: str = ""
    username: str = ""

    @property
    def called(self) -> str:
        """Never a bare Matrix id, and never empty: their name, else their username, else the id's first part."""
        local = self.matrix_id[1:].partition(":")[0]
        named = seen(self.name)
        return ("" if named == self.matrix_id else named) or seen(self.username) or local or "friend"


class Link(Struct, frozen=True):
    """An address among the values, which becomes a link. `kept`: what stands for it wherever the message is kept."""

    url: str
    kept: str = ""

    def __bool__(self) -> bool:
        return bool(self.url)

    def __str__(self) -> str:
        return self.kept or self.url


class Mention(Struct, frozen=True):
    """Of somebody, as a pill with their name."""

    person: Person

    def __str__(self) -> str:
        return self.person.called


Value = str | int | float | bool | Link | Mention | Sequence[str] | None


class Rendered(Struct, frozen=True):
    """`kept`: the plain text as it may be stored and shown, without a recovery link. `mentions`: Matrix ids that are
    really mentioned in it. `dropped`: tags and attributes of the source that no client shows."""

    plain: str
    html: str
    mentions: tuple[str, ...] = ()
    kept: str = ""
    dropped: tuple[str, ...] = ()


class Template(Record, frozen=True, kw_only=True):
    """`current`: the version in force, 0 where that is the built-in text (or none: a variant that was removed).
    `source`: of that version. `latest`: the highest number ever given. What has been sent keeps naming its version."""

    id: str
    purpose: str
    current: int = 0
    latest: int = 0
    source: str = ""
    updated_at: datetime | None = None
    updated_by: str = ""


class Version(Record, frozen=True, kw_only=True):
    """Never changed once it is there. `restored`: the version whose text this is again, None where it is new."""

    template: str
    number: int
    source: str
    created_at: datetime | None = None
    created_by: str = ""
    restored: int | None = None


class Name(Struct, frozen=True):
    """An id, taken apart. `kind` and `of` are empty for the default."""

    purpose: str
    kind: str = ""
    of: str = ""

    @property
    def id(self) -> str:
        return f"{self.purpose}.{self.kind}.{self.of}" if self.kind else self.purpose

    def version(self, number: int) -> str:
        return f"{self.id}@{number}"


def named(text: str) -> Name:
    """Raises `NotFound` for an id that no template can have."""
    found = _ID.fullmatch(text)
    if found is None or found[1] not in PURPOSES:
        known = ", ".join(PURPOSES)
        raise NotFound(
            f"there is no template {text[:100]!r}",
            f"Name one of {known}; or a variant of it, as welcome.language.de. List them: GET /api/templates.",
        )
    return Name(found[1], found[2] or "", found[3] or "")


def candidates(purpose: str, *, invite: str = "", bundles: Iterable[str] = (), language: str = "") -> list[str]:
    """Ids of the templates that could count, the first of those that exist does: that of the invite, of a bundle (in
    their order), of the language ("de-AT", then "de"), the default."""
    languages = [tag for tag in dict.fromkeys((language, language.partition("-")[0])) if tag]
    names = [Name(purpose, "invite", invite)] if invite else []
    names += [Name(purpose, "bundle", bundle) for bundle in bundles]
    names += [Name(purpose, "language", tag.lower()) for tag in languages]
    return [name.id for name in names if _ID.fullmatch(name.id)] + [purpose]


def variables_of(purpose: str) -> tuple[str, ...]:
    return ALWAYS + PURPOSES[purpose].variables


def unknown_variable(name: str, known: Iterable[str]) -> Invalid:
    listed = ", ".join(f"{{{each}}}" for each in known)
    meant = f"{{{name}}} is for other messages" if name in VARIABLES else f"{{{name}}} is not known"
    return Invalid.field("source", f"{meant}; expected one of {listed}")


def values_for(person: Person, community: str, bot: str, now: datetime) -> dict[str, Value]:
    """Those of every purpose."""
    return {
        "display_name": person.called,
        "username": person.username or person.matrix_id[1:].partition(":")[0],
        "matrix_id": person.matrix_id,
        "mention": Mention(person),
        "community": community,
        "bot": bot,
        "date": f"{now:%Y-%m-%d}",
    }
