"""What the bot has said to one member in their direct room, as it is kept: for the conversation, and for the question
which text a member got."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from shared.domain import ids
from shared.domain.records import Record

KEPT = timedelta(days=90)
LONGEST = 16_000
"""Characters of a text that are kept."""
REDACTED = "[a recovery link, which is not kept]"
_RECOVERY = re.compile(r"https?://[^\s<>\"')]*(?:flow_token=|/recovery/use-token/)[^\s<>\"')]*")
"""Authentik's recovery links: `/if/flow/<slug>/?flow_token=...`, and `/recovery/use-token/...` of its command line."""


class Sent(Record, frozen=True, kw_only=True):
    """One message. There before the message is; `event_id` is "" until the homeserver has confirmed it, and `step` (a
    path) says meanwhile what becomes of it. `at`: when it was sent; until then when it was to be. `kind`: of that step,
    or "notice". `by`: an admin, or "muster". `template`: with its version, "" for what is no template's. `text`: what
    they see, without recovery links; `locked` where there are keys to lock it with (`shared.services.sent`). `unsent`:
    an admin's words as they were written, until they are sent. `letter`: of an encrypted one."""

    matrix_id: str
    kind: str
    step: str
    by: str
    at: datetime
    created_at: datetime
    expire_at: datetime
    text: str
    locked: bool
    room_id: str = ""
    encrypted: bool = False
    letter: str = ""
    template: str = ""
    event_id: str = ""
    unsent: str = ""

    def confirmed(self, event_id: str, now: datetime) -> Sent:
        return self.but(event_id=event_id, at=now, expire_at=now + KEPT, unsent="")


def sent_path(transaction: str) -> str:
    return f"sent/{ids.digest('sent', transaction)}"


def kept_text(text: str) -> str:
    """As it is kept: a recovery link lets whoever has it into the account, and so is in no record."""
    text = _RECOVERY.sub(REDACTED, text)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
