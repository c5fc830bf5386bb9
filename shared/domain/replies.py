"""What members answer the bot in their direct room, and what can be said of an answer that cannot be shown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from shared.domain.arrivals import is_id
from shared.domain.records import Record

ENCRYPTED, MESSAGE = "m.room.encrypted", "m.room.message"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
KEPT = timedelta(days=90)
LONGEST = 8000
"""Characters of a text that are kept."""
KEY_LOOKS = ((timedelta(hours=1), timedelta(minutes=1)), (timedelta(days=1), timedelta(minutes=30)))
KEY_LAST = timedelta(days=14)
NO_KEY = "its key has not come yet; it is shown here once the key is there"
NEVER = "its key has not come within 14 days: ask the member to write again"
_TEXTS = ("m.text", "m.notice", "m.emote")


class Reply(Record, frozen=True, kw_only=True):
    """`at`: when the member's homeserver says it was sent. `text`: locked; None when there is none to show, and then
    `cause` says why. `event`: as it came, locked, until it has been opened. `look_at`: when to try (again)."""

    matrix_id: str
    room_id: str
    event_id: str
    session_id: str
    at: datetime
    event: str
    look_at: datetime | None
    created_at: datetime
    expire_at: datetime
    text: str | None = None
    cause: str = ""

    def opened(self, text: str | None, cause: str) -> Reply:
        return self.but(text=text, cause=cause, event="", look_at=None)

    def waiting(self, now: datetime) -> Reply:
        """For its key: looked for each minute, then each half hour, then each six hours for 14 days."""
        age = now - self.created_at
        if age > KEY_LAST:
            return self.opened(None, NEVER)
        return self.but(cause=NO_KEY, look_at=now + next_look(age))


def next_look(age: timedelta) -> timedelta:
    return next((pause for until, pause in KEY_LOOKS if age < until), timedelta(hours=6))


def session_of(event: dict[str, Any]) -> str:
    """That of the key it was encrypted with; empty when it was not, or does not say."""
    named = event["content"].get("session_id")
    return named if event["type"] == ENCRYPTED and is_id(named) else ""


def sent_at(event: dict[str, Any], now: datetime) -> datetime:
    """Members' homeservers may say any time; none of them is after now."""
    stamp = event.get("origin_server_ts")
    if not isinstance(stamp, int) or not 0 < stamp < now.timestamp() * 1000:
        return now
    return EPOCH + timedelta(milliseconds=stamp)


def words_of(event_type: Any, content: dict[str, Any]) -> tuple[str | None, str]:
    """Text and cause. What is not text is named by its kind and its file."""
    body, kind = content.get("body"), content.get("msgtype")
    if not content:
        return None, "it was taken back by its sender"
    if event_type != MESSAGE:
        return None, f"not a message, but {str(event_type)[:100]}"
    if not isinstance(body, str) or not isinstance(kind, str):
        return None, "a message without text"
    text = body if kind in _TEXTS else f"[{kind[:100]}] {body}"
    return text[:LONGEST], f"cut after {LONGEST} characters" if len(text) > LONGEST else ""
