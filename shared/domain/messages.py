"""What the bot says, as the content of an m.room.message: plain text and HTML, with a real mention."""

from __future__ import annotations

from html import escape
from typing import Any
from urllib.parse import quote

MARKER = "org.muster.step"
"""A key in the content that names the step, so that a retry can find what was sent."""
TEMPLATE = "org.muster.template"
"""A key in the content of what a template has made: which, and in which version."""


def mention(user_id: str, name: str) -> str:
    """A link that clients show as a pill; the name in it, never the bare id."""
    return f'<a href="https://matrix.to/#/{quote(user_id, safe="@:")}">{escape(name)}</a>'


def content(plain: str, html: str, marker: str, mentions: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "msgtype": "m.text",
        "body": plain,
        "format": "org.matrix.custom.html",
        "formatted_body": html,
        "m.mentions": {"user_ids": list(mentions)} if mentions else {},
        MARKER: marker,
    }


def plainly(text: str, marker: str) -> dict[str, Any]:
    """An admin's own words: each line a paragraph, nothing in them is markup."""
    lines = [line for line in text.splitlines() if line.strip()]
    return content(text, "".join(f"<p>{escape(line)}</p>" for line in lines), marker)


def nudge(user_id: str, name: str, text: str, marker: str) -> dict[str, Any]:
    return content(f"{name}: {text}", f"{mention(user_id, name)}: {escape(text)}", marker, (user_id,))


def reminder(user_id: str, name: str, marker: str, *, last: bool) -> dict[str, Any]:
    """For whoever stays in INDOC until they are in a room of theirs."""
    rest = ", your rooms are waiting among your invites: accept one that you like, and I will see you out of this one."
    rest += " If you do not find them, ask here: somebody will help." if last else ""
    return content(f"{name}{rest}", f"{mention(user_id, name)}{escape(rest)}", marker, (user_id,))


def farewell(user_id: str, name: str, marker: str) -> dict[str, Any]:
    rest = ", you are all set. Your rooms are waiting among your invites, and I will see you out of this one. Welcome!"
    return content(f"{name}{rest}", f"{mention(user_id, name)}{escape(rest)}", marker, (user_id,))


def hello(name: str, marker: str) -> dict[str, Any]:
    plain = f"Hello {name}, good to have you here. I am the bot that sees newcomers in; more in a moment."
    return content(plain, f"<p>{escape(plain)}</p>", marker)


def notice(name: str, user_id: str, marker: str) -> dict[str, Any]:
    """The only message that is ever plain where it should have been encrypted, and it says so first."""
    server = user_id.partition(":")[2]
    who = f"I am the bot that sees newcomers in at {server}. My hello and my welcome are encrypted, and could"
    how = f"To log in: open a Matrix app such as Element, choose {server} as the server, and sign in as {user_id}."
    lines = [
        "This message is not encrypted: so far you have no device that a message could be encrypted for.",
        f"Hello {name}, {who} not be sent to you in the last 14 days; I do not send them again by myself.",
        f"{how} Then accept the invites that wait for you there.",
        "If anything does not work, write to any admin. They are people, and glad to help.",
    ]
    return content("\n\n".join(lines), "".join(f"<p>{escape(line)}</p>" for line in lines), marker)


def welcome(name: str, rooms: int, marker: str) -> dict[str, Any]:
    lines = [
        f"Welcome, {name}!",
        "Your rooms are waiting among your invites, or will be within minutes: accept those you like."
        if rooms
        else "An admin will invite you to the rooms that suit you.",
        "If anything does not work, write to any admin. They are people, and glad to help.",
    ]
    return content("\n\n".join(lines), "".join(f"<p>{escape(line)}</p>" for line in lines), marker)
