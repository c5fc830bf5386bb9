"""What a message says to one of its recipients: the text, filled in for them, and the footer below it."""

from __future__ import annotations

from html import escape
from typing import Any

from msgspec import Struct

from shared.domain import templates as names
from shared.domain.broadcasts import Message
from shared.domain.errors import Invalid, NotFound
from shared.domain.messages import TEMPLATE
from shared.domain.template_defaults import BUILT_IN
from shared.domain.templates import Person
from shared.services import templates
from shared.services.context import Ports
from shared.services.templates import Composed

OF_PEOPLE = frozenset(("display_name", "username", "matrix_id", "mention"))
"""Variables that nothing in a room is meant by: everybody there reads the same."""


class Source(Struct, frozen=True):
    """`template`: the version that the text is of, as "welcome@3"; "" for an admin's own words."""

    text: str
    template: str = ""


async def source_of(ports: Ports, text: str, template: str) -> Source:
    """The text as it is stored with the message, for good. Raises `Invalid` on `template` for one that is not there, or
    that needs what a message to many does not know."""
    if not template:
        return Source(text)
    try:
        name = names.named(template)
    except NotFound as error:
        raise Invalid.field("template", error.cause) from error
    stored = await templates.TEMPLATES.find(ports.documents, name.id)
    chosen = (
        templates.first([name.id], {name.id: stored.record} if stored else {}) if _is_there(name.id, stored) else None
    )
    if chosen is None:
        raise Invalid.field("template", f"there is none called {template!r}")
    unknown = sorted(ports.renderer.variables(chosen.source) - set(names.ALWAYS))
    if unknown:
        listed = ", ".join(f"{{{each}}}" for each in unknown)
        raise Invalid.field(
            "template", f"names {listed}, for which a message to many has no value; write the text here"
        )
    return Source(chosen.source, chosen.template)


def _is_there(name: str, stored: Any) -> bool:
    return name in BUILT_IN or bool(stored and stored.record.current)


async def composed(ports: Ports, message: Message, person: Person, marker: str) -> Composed:
    """The m.room.message. `person` without a Matrix id: a room. Raises `Invalid` on `text`."""
    try:
        if not person.matrix_id:
            _check_for_a_room(ports, message.text)
        made = await templates.written(ports, message.text, person, {}, marker=marker)
    except Invalid as error:
        raise Invalid.field("text", error.cause.removeprefix("source: ")) from error
    if not made.content["body"].strip():
        raise Invalid.field("text", "there is nothing left to read, once it is filled in")
    template = message.template or made.template
    content = with_notice(made.content | {TEMPLATE: template}, message.notice)
    return Composed(content, template, f"{made.kept}{_below(message.notice)}")


def _check_for_a_room(ports: Ports, text: str) -> None:
    named = sorted(ports.renderer.variables(text) & OF_PEOPLE)
    if named:
        raise Invalid.field("source", f"{{{named[0]}}} is somebody's own, and a room is read by many; leave it out")


def with_notice(content: dict[str, Any], notice: str) -> dict[str, Any]:
    """The same with the footer, in both its forms. It is plain text, and nothing in it is markup."""
    if not notice:
        return content
    lines = "<br>".join(escape(line) for line in notice.splitlines())
    html = f"{content['formatted_body']}<hr><p><em>{lines}</em></p>"
    return content | {"body": f"{content['body']}{_below(notice)}", "formatted_body": html}


def _below(notice: str) -> str:
    return f"\n\n--\n{notice}" if notice else ""
