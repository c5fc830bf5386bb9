"""What a message says to one of its recipients: the text, filled in for them, and the footer below it."""

from __future__ import annotations

from html import escape
from typing import Any

from msgspec import Struct

from shared.domain import messages
from shared.domain.broadcasts import Message
from shared.domain.errors import Invalid
from shared.services.context import Ports


class Reader(Struct, frozen=True):
    """For whom it is filled in. A room has no Matrix id, and its own name."""

    matrix_id: str = ""
    name: str = ""
    username: str = ""


class Source(Struct, frozen=True):
    """`template`: the version that the text is of, as "welcome@3"; "" for an admin's own words."""

    text: str
    template: str = ""


async def source_of(ports: Ports, text: str, template: str) -> Source:
    """The text as it is stored with the message, for good. Raises `Invalid` on `template` for one that is not there."""
    if template:
        raise Invalid.field("template", f"there is none called {template!r}")
    return Source(text)


async def content(ports: Ports, message: Message, reader: Reader, marker: str) -> dict[str, Any]:
    """The m.room.message. Raises `Invalid` on `text`."""
    said = messages.plainly(message.text, marker)
    return with_notice(said, message.notice)


def with_notice(content: dict[str, Any], notice: str) -> dict[str, Any]:
    """The same with the footer, in both its forms. It is plain text, and nothing in it is markup."""
    if not notice:
        return content
    lines = "<br>".join(escape(line) for line in notice.splitlines())
    html = f"{content['formatted_body']}<hr><p><em>{lines}</em></p>"
    return content | {"body": f"{content['body']}\n\n--\n{notice}", "formatted_body": html}
