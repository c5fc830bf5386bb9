"""E-mails: what of a template is the subject, and to whom none can go."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from shared.domain.templates import Rendered

LINK = re.compile(r"https?://[^\s<>\"]+")
NOWHERE = "https://example.invalid/"
"""In a preview, where a link would be that is made only when the e-mail is sent."""
HEADING = re.compile(r"\s*<h[1-6]>(.*?)</h[1-6]>\s*", re.DOTALL)
UNSURE_CAUSE = "it may have gone out: the connection was lost, or Muster ended, before anybody could say"
UNSURE_FIX = "Ask them to look, also among spam. If it has not come, send it again: retry this one."


class Text(Struct, frozen=True):
    """Of one message, without the address. `kept`: `plain` without a link that opens somebody's account."""

    subject: str
    plain: str
    html: str
    kept: str
    template: str = ""


def objection(address: str) -> str:
    """Why nothing can be sent to it, "" where something can."""
    local, _, domain = address.rpartition("@")
    if not address.isprintable() or re.search(r"[\s<>,;:\"()\\\[\]]", address):
        return "it has characters that no address has"
    if not local or "@" in local or not re.fullmatch(r"[^.@]+(\.[^.@]+)+", domain):
        return "it is no e-mail address such as ada@example.org"
    if local.startswith(".") or local.endswith(".") or ".." in local:
        return "its dots are not where an address may have them"
    return "it is too long for an address" if len(local) > 64 or len(address) > 254 else ""


def text_of(rendered: Rendered, subject: str, template: str = "") -> Text:
    """A heading at the very beginning is the subject; `subject`: that of a template without one."""
    found = HEADING.match(rendered.html)
    if found is None:
        return Text(subject, _ended(rendered.plain), _page(rendered.html), _ended(rendered.kept), template)
    written = on_one_line(unescape(re.sub(r"<[^>]*>", "", found[1])))
    plain, kept = (_below(text) if written else text for text in (rendered.plain, rendered.kept))
    return Text(written or subject, _ended(plain), _page(rendered.html[found.end() :]), _ended(kept), template)


def _below(plain: str) -> str:
    """Without its first line, and what may underline it."""
    return plain.lstrip().partition("\n")[2].lstrip("\n=-")


def _ended(text: str) -> str:
    return f"{text.strip()}\n"


def _page(body: str) -> str:
    return f"<!doctype html>\n<html><body>\n{body.strip()}\n</body></html>\n"


def on_one_line(text: str, most: int = 200) -> str:
    """What a stranger's text is as a part of a header, of a cause or of a log."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())[:most]


def said(answer: str) -> str:
    """A mail server's own words; links are left out, since it may quote the message."""
    return on_one_line(LINK.sub("…", answer))
