"""The plain text of a message, from the tokens of its Markdown: what notifications and old clients show."""

from __future__ import annotations

from collections.abc import Sequence

from markdown_it.token import Token


def plain_of(tokens: Sequence[Token]) -> str:
    """Links as "text (url)", items with dashes or numbers, what is quoted behind ">"."""
    text, _ = _blocks(tokens, 0)
    return "\n".join(line.rstrip() for line in text.splitlines()).strip()


def _blocks(tokens: Sequence[Token], at: int, end: str = "", *, tight: bool = False) -> tuple[str, int]:
    """Until the closing token, and the place after it."""
    parts: list[str] = []
    while at < len(tokens) and tokens[at].type != end:
        part, at = _block(tokens, at)
        if part.strip():
            parts.append(part)
    return ("\n" if tight else "\n\n").join(parts), at + 1


def _block(tokens: Sequence[Token], at: int) -> tuple[str, int]:
    token = tokens[at]
    if token.type == "inline":
        return _inline(token.children or ()), at + 1
    if token.type in ("fence", "code_block"):
        return token.content.rstrip("\n"), at + 1
    if token.type == "hr":
        return "---", at + 1
    if token.type in ("bullet_list_open", "ordered_list_open"):
        return _list(tokens, at)
    if token.type == "blockquote_open":
        text, after = _blocks(tokens, at + 1, "blockquote_close")
        return _behind("> ", "> ", text), after
    if token.type == "tr_open":
        return _row(tokens, at)
    if token.nesting == 1:
        close = token.type.replace("_open", "_close")
        return _blocks(tokens, at + 1, close, tight=token.type in ("table_open", "thead_open", "tbody_open"))
    return "", at + 1


def _list(tokens: Sequence[Token], at: int) -> tuple[str, int]:
    opening = tokens[at]
    close = opening.type.replace("_open", "_close")
    number, items, loose = int(opening.attrs.get("start", 1)), list[str](), False
    at += 1
    while at < len(tokens) and tokens[at].type != close:
        hidden = at + 1 < len(tokens) and tokens[at + 1].hidden
        loose = loose or not hidden
        text, at = _blocks(tokens, at + 1, "list_item_close", tight=hidden)
        mark = "- " if opening.type == "bullet_list_open" else f"{number}. "
        items.append(_behind(mark, " " * len(mark), text))
        number += 1
    return "\n".join(items), at + 1


def _row(tokens: Sequence[Token], at: int) -> tuple[str, int]:
    cells: list[str] = []
    while tokens[at].type != "tr_close":
        if tokens[at].type == "inline":
            cells.append(_inline(tokens[at].children or ()))
        at += 1
    return " | ".join(cells), at + 1


def _behind(first: str, others: str, text: str) -> str:
    lines = text.split("\n")
    return "\n".join([first + lines[0], *(others + line if line else line for line in lines[1:])])


def _inline(children: Sequence[Token]) -> str:
    parts: list[str] = []
    links: list[tuple[Token, int]] = []
    for token in children:
        if token.type in ("softbreak", "hardbreak"):
            parts.append("\n")
        elif token.type == "html_inline":
            parts.append("\n" if token.content.lower().startswith("<br") else "")
        elif token.type == "link_open":
            links.append((token, len(parts)))
        elif token.type == "link_close" and links:
            opening, begun = links.pop()
            parts.append(_address(opening, "".join(parts[begun:])))
        else:
            parts.append(token.content)
    return "".join(parts)


def _address(opening: Token, text: str) -> str:
    href = str(opening.attrs.get("href", ""))
    same = text.strip() in (href, href.removeprefix("mailto:"))
    return "" if same or opening.meta.get("mention") else f" ({href})"
