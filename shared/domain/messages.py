"""What the bot sends, as the content of an m.room.message: plain text and HTML, with real mentions."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

MARKER = "org.muster.step"
"""A key in the content that names the step, so that a retry can find what was sent."""
TEMPLATE = "org.muster.template"
"""A key in the content that names the template and its version, as "welcome@3"."""


def address(user_id: str) -> str:
    """Which clients show as a pill."""
    return f"https://matrix.to/#/{quote(user_id, safe='@:')}"


def content(
    plain: str, html: str, marker: str, mentions: tuple[str, ...] = (), *, template: str = ""
) -> dict[str, Any]:
    return {
        "msgtype": "m.text",
        "body": plain,
        "format": "org.matrix.custom.html",
        "formatted_body": html,
        "m.mentions": {"user_ids": list(mentions)} if mentions else {},
        MARKER: marker,
    } | ({TEMPLATE: template} if template else {})
