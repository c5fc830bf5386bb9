"""E-mails: what they say, and to whom none can go. Names and labels are escaped where there is HTML."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from html import escape

from msgspec import Struct

from shared.domain.invites import Invite

LINK = re.compile(r"https?://[^\s<>\"]+")
NOT_YET = "https://… (the link is made when the e-mail is sent)"
"""In a preview, where the real link would be: whoever has it can take the account over."""
UNSURE_CAUSE = "it may have gone out: the connection was lost, or Muster ended, before anybody could say"
UNSURE_FIX = "Ask them to look, also among spam. If it has not come, send it again: retry this one."


class Text(Struct, frozen=True):
    """Of one message: without the address, and with the same words twice."""

    subject: str
    plain: str
    html: str


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


def invite_text(community: str, invite: Invite) -> Text:
    left = invite.max_uses - invite.uses
    uses = f"It works for {left} people" if left > 1 else "It works once"
    return _text(
        f"You are invited to {community}",
        [
            "Hello,",
            f"you are invited to join {community}. Open this link and make your account:",
            invite.link,
            f"{uses}, until {_day(invite.expires_at)}. Please pass it on to nobody else.",
            "If you did not expect this, you need not do anything.",
        ],
    )


def recovery_text(community: str, name: str, username: str, link: str = NOT_YET) -> Text:
    """`link`: valid for a day, see `Directory.recovery_link`."""
    return _text(
        f"Your way back into {community}",
        [
            f"Hello {name or username},",
            f"open this link within a day, and choose a new password for your account. Your username is {username}.",
            link,
            "Whoever has this link can take your account over: please keep it to yourself.",
            f"If you did not ask for it, tell the admins of {community}. Your password stays what it is until then.",
        ],
    )


def _day(at: datetime) -> str:
    return f"{at:%A}, {at.day} {at:%B %Y}, {at:%H:%M} UTC"


def _text(subject: str, paragraphs: Sequence[str]) -> Text:
    body = "".join(f"<p>{_linked(paragraph)}</p>\n" for paragraph in paragraphs)
    return Text(subject, "\n\n".join(paragraphs) + "\n", f"<!doctype html>\n<html><body>\n{body}</body></html>\n")


def _linked(paragraph: str) -> str:
    """A paragraph that is a link, and nothing else, can be pressed."""
    safe = escape(paragraph)
    return f'<a href="{safe}">{safe}</a>' if LINK.fullmatch(paragraph) else safe


def on_one_line(text: str, most: int = 200) -> str:
    """What a stranger's text is as a part of a header, of a cause or of a log."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())[:most]


def said(answer: str) -> str:
    """A mail server's own words; links are left out, since it may quote the message."""
    return on_one_line(LINK.sub("…", answer))
