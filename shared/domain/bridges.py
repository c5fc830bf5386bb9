"""Members who come over a bridge: by which one, and what a bridge's bot answers.

A bridge speaks for each of them through an account on our homeserver, a puppet, whose id begins as the bridge's
configuration says (mautrix: `username_template`, "signal_{{.}}" and so on, so that Signal's are @signal_UUID:domain, or
@signal_pni_UUID:domain of somebody who has never answered).

What mautrix-signal (v26.08) answers to `start-chat NUMBER` stands in mautrix-go, bridgev2/commands/startchat.go and
handler.go, and is a notice of the bridge's bot in the room of the command, as Markdown:

    Created chat with `UUID` / [NAME](https://matrix.to/#/PUPPET): [NAME](https://matrix.to/#/ROOM)
    You already have a direct chat with `UUID` / [NAME](https://matrix.to/#/PUPPET) at [NAME](https://matrix.to/#/ROOM)
    Identifier NUMBER not found
    Failed to resolve identifier: WHY
    That command requires you to be logged in.          or: You're not logged in
    Unknown command, use the `help` command for help.

None of them names the command that it answers; the first two do not name the number either, but the room's topic does:
"Signal private chat with NUMBER", unless `number_in_topic` is off (mautrix-signal, pkg/connector/chatinfo.go).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal
from urllib.parse import unquote

from msgspec import Struct

from shared.domain.phones import hidden, within

NETWORKS = {
    "signal": "Signal",
    "whatsapp": "WhatsApp",
    "telegram": "Telegram",
    "discord": "Discord",
    "slack": "Slack",
    "gmessages": "Google Messages",
    "meta": "Messenger",
    "instagram": "Instagram",
    "irc": "IRC",
}
_LINK = re.compile(r"https://matrix\.to/#/([^\s\"'<>()\[\]?]+)")
Kind = Literal["", "room", "unknown", "signed_out", "failed", "not_understood"]


class Answer(Struct, frozen=True):
    """Of the bridge's bot. `kind` "": it is none to our question. `room`: `room_id`, and the `puppet`, "" where it is
    not named. `unknown`: nobody there has the number. `words`: as it says it, without numbers."""

    kind: Kind
    room_id: str = ""
    puppet: str = ""
    words: str = ""
    numbers: frozenset[str] = frozenset()


def bridge_of(matrix_id: str, puppets: Sequence[str]) -> str:
    """What the bridge of this member's is called, "" of everybody who is no puppet. `puppets`: how their ids begin."""
    if not puppets or not matrix_id.startswith(tuple(puppets)):
        return ""
    name = re.split(r"[_:]", matrix_id.removeprefix("@").lstrip("_"), maxsplit=1)[0]
    return NETWORKS.get(name, "a bridge")


def answer_of(content: dict[str, Any]) -> Answer:
    """What a message of the bridge's bot says to us. Never raises: it may say anything."""
    body, html = (str(content.get(key) or "")[:4000] for key in ("body", "formatted_body"))
    text = body.casefold()
    words, numbers = hidden(" ".join(body.split()))[:200], within(body)
    links = [unquote(link) for link in _LINK.findall(f"{html}\n{body}")]
    room = next((link for link in links if link.startswith("!")), "")
    if room and ("chat with" in text or "portal" in text):
        puppet = next((link for link in links if link.startswith("@")), "")
        return Answer("room", room, puppet, words, numbers)
    said: tuple[tuple[Kind, bool], ...] = (
        ("unknown", "identifier" in text and "not found" in text),
        ("signed_out", "to be logged in" in text or "not logged in" in text),
        ("failed", text.startswith("failed to")),
        ("not_understood", text.startswith("unknown command")),
    )
    return Answer(next((kind for kind, holds in said if holds), ""), words=words, numbers=numbers)
