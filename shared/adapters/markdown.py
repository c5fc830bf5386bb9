"""Markdown to what Matrix clients show: plain text, and HTML with the tags of the specification alone.

The text has slots where values belong. They are filled in after the Markdown has been read and before it is written as
HTML, as text tokens: so a value can neither be Markdown nor HTML. HTML that the template itself has goes through a
sanitizer; within a tag there can be no slot.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from urllib.parse import quote

import nh3
from markdown_it import MarkdownIt
from markdown_it.token import Token

from shared.adapters.plain_text import plain_of
from shared.domain.errors import Invalid
from shared.domain.messages import address
from shared.domain.templates import Link, Mention, Rendered, tidied

OPEN, CLOSE = "\ue000", "\ue001"
SLOT = re.compile(f"{OPEN}([0-9]+){CLOSE}")
MOST = 60_000
"""Characters of what is rendered."""

TAGS = frozenset(
    "del h1 h2 h3 h4 h5 h6 blockquote p a ul ol sup sub li b i u strong em s code hr br div table thead tbody tr th td "
    "caption pre span img details summary".split()
)
ATTRIBUTES = {
    "a": {"href", "target"},
    "code": {"class"},
    "div": {"data-mx-maths"},
    "img": {"alt", "height", "src", "title", "width"},
    "ol": {"start"},
    "span": {"data-mx-bg-color", "data-mx-color", "data-mx-maths", "data-mx-spoiler"},
}
"""Of the Matrix specification, client-server API 1.17, "m.room.message msgtypes"."""
SCHEMES = {"https", "http", "ftp", "mailto", "magnet", "mxc"}
_BEFORE_A_VALUE = re.compile(r"https?://[^/?#]+[/?#]", re.IGNORECASE)
_TAG = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9-]*)((?:[^<>\"']|\"[^\"]*\"|'[^']*')*)>")
_ATTRIBUTE = re.compile(r"([A-Za-z_:][\w.:-]*)\s*=\s*(\"[^\"]*\"|'[^']*'|[^\s\"'=<>`]+)")

Slot = str | Link | Mention


class _Markdown(MarkdownIt):
    """CommonMark with tables and struck out text. Addresses stay as they stand until their slots are filled in."""

    def normalizeLink(self, url: str) -> str:  # noqa: N802 - markdown-it's name
        return url

    def normalizeLinkText(self, link: str) -> str:  # noqa: N802 - markdown-it's name
        return link


_MARKDOWN = _Markdown("commonmark", {"html": True, "breaks": True}).enable(["table", "strikethrough"])
_MARKDOWN.disable(["html_block", "image"])


def rendered(text: str, slots: Sequence[Slot]) -> Rendered:
    """Raises `Invalid` for what becomes too long, and for a value within an HTML tag."""
    if len(text) + sum(len(str(slot)) for slot in slots) > MOST:
        raise Invalid.field("source", f"becomes longer than {MOST:,} characters")
    tokens = _MARKDOWN.parse(text)
    dropped = _dropped(tokens)
    shown, mentions = _filled(tokens, slots, kept=False)
    html = nh3.clean(
        _MARKDOWN.renderer.render(shown, _MARKDOWN.options, {}),
        tags=set(TAGS),
        attributes=ATTRIBUTES,
        attribute_filter=_allowed,
        url_schemes=SCHEMES,
        link_rel=None,
    ).strip()
    plain = plain_of(shown)
    secret = any(isinstance(slot, Link) and slot.kept for slot in slots)
    kept = plain_of(_filled(tokens, slots, kept=True)[0]) if secret else plain
    return Rendered(plain, _alone(html), tuple(dict.fromkeys(mentions)), kept, dropped)


def _alone(html: str) -> str:
    """One paragraph needs no tag of its own: clients show it on the line of the name, as what people write."""
    inner = html.removeprefix("<p>").removesuffix("</p>")
    return inner if html == f"<p>{inner}</p>" and "<p>" not in inner else html


def _allowed(tag: str, name: str, value: str) -> str | None:
    if tag == "img" and name == "src":
        return value if value.startswith("mxc://") else None
    if tag == "a" and name == "href" and value.startswith("mxc:"):
        return None
    if tag == "code":
        return value if value.startswith("language-") else None
    return value


# ------------------------------------------------------------------ slots


def _filled(tokens: Sequence[Token], slots: Sequence[Slot], *, kept: bool) -> tuple[list[Token], list[str]]:
    mentions: list[str] = []
    filled = []
    for token in tokens:
        children = list(_inline(token.children, slots, mentions, kept=kept)) if token.children is not None else None
        content = _told(token.content, slots) if token.type in ("fence", "code_block") else token.content
        info = "" if SLOT.search(token.info) else token.info
        filled.append(token.copy(children=children, content=content, info=info))
    return filled, mentions


def _inline(children: Sequence[Token], slots: Sequence[Slot], mentions: list[str], *, kept: bool) -> Iterator[Token]:
    opened: list[bool] = []
    """Of each link that is open, whether it is written: one that leads nowhere keeps its text alone."""
    for token in children:
        if token.type == "link_open":
            href = _href(str(token.attrs.get("href", "")), slots, kept=kept)
            opened.append(bool(href))
            if href:
                yield token.copy(attrs={"href": href}, info="")
        elif token.type == "link_close":
            if opened.pop():
                yield token
        elif token.type == "text":
            yield from _texts(token, slots, mentions, kept=kept, linked=any(opened))
        elif token.type == "html_inline" and SLOT.search(token.content):
            raise Invalid.field("source", "a variable cannot stand within an HTML tag; write the link as Markdown")
        else:
            yield token.copy(content=_told(token.content, slots))


def _texts(token: Token, slots: Sequence[Slot], mentions: list[str], *, kept: bool, linked: bool) -> Iterator[Token]:
    parts = SLOT.split(token.content)
    for number, part in enumerate(parts):
        if number % 2 == 0:
            if number + 1 < len(parts) and part.endswith("@") and _begins_with_at(slots, parts[number + 1]):
                part = part[:-1]
            if part:
                yield token.copy(content=part)
            continue
        slot = _slot(slots, part)
        if isinstance(slot, Mention) and not linked:
            mentions.append(slot.person.matrix_id)
            yield from _link(address(slot.person.matrix_id), tidied(slot.person.called))
        elif isinstance(slot, Link) and not linked and not (kept and slot.kept):
            yield from _link(_normal(slot.url), slot.url)
        else:
            yield from _lines(token, tidied(str(slot), lines=True))


def _begins_with_at(slots: Sequence[Slot], number: str) -> bool:
    slot = _slot(slots, number)
    return isinstance(slot, Mention) or str(slot).startswith("@")


def _slot(slots: Sequence[Slot], number: str) -> Slot:
    return slots[int(number)] if int(number) < len(slots) else ""


def _told(content: str, slots: Sequence[Slot]) -> str:
    return SLOT.sub(lambda found: tidied(str(_slot(slots, found[1])), lines=True), content)


def _lines(token: Token, text: str) -> Iterator[Token]:
    for number, line in enumerate(text.split("\n")):
        if number:
            yield Token("hardbreak", "br", 0)
        yield token.copy(content=line)


def _link(url: str, text: str) -> Iterator[Token]:
    yield Token("link_open", "a", 1, attrs={"href": url}, meta={"mention": url.startswith("https://matrix.to/#/@")})
    yield Token("text", "", 0, content=text)
    yield Token("link_close", "a", -1)


def _href(href: str, slots: Sequence[Slot], *, kept: bool) -> str:
    """ "" where the value would say what the link leads to, and is no link itself."""
    found = list(SLOT.finditer(href))
    for each in reversed(found):
        slot = _slot(slots, each[1])
        if isinstance(slot, Link) and each.start() == 0:
            value = slot.kept if kept and slot.kept else slot.url
        elif _BEFORE_A_VALUE.match(href[: each.start()]):
            value = quote(str(slot.person.matrix_id if isinstance(slot, Mention) else slot), safe="@:")
        else:
            return ""
        href = href[: each.start()] + value + href[each.end() :]
    if kept and found:
        return href
    return _normal(href) if _MARKDOWN.validateLink(href) else ""


def _normal(url: str) -> str:
    return MarkdownIt.normalizeLink(_MARKDOWN, url)


# ------------------------------------------------------------------ what clients drop


def _dropped(tokens: Sequence[Token]) -> tuple[str, ...]:
    found: list[str] = []
    for token in tokens:
        for child in token.children or ():
            if child.type == "html_inline":
                found += _lost(child.content)
    return tuple(dict.fromkeys(found))


def _lost(html: str) -> list[str]:
    tag = _TAG.fullmatch(html)
    if tag is None:
        return [html[:40]]
    name = tag[2].lower()
    if name not in TAGS:
        return [f"<{name}>"]
    pairs: list[tuple[str, str]] = _ATTRIBUTE.findall(tag[3])
    return [f"{key} of <{name}>" for key, value in pairs if not _stays(name, key.lower(), value.strip("\"'"))]


def _stays(tag: str, name: str, value: str) -> bool:
    if name not in ATTRIBUTES.get(tag, ()) or _allowed(tag, name, value) is None:
        return False
    return name not in ("href", "src") or value.partition(":")[0].lower() in SCHEMES
