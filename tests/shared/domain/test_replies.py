"""What can be said of a reply."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.domain.replies import LONGEST, NEVER, Reply, sent_at, session_of, words_of

NOW = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("kind", "content", "text", "cause"),
    [
        ("m.room.message", {"msgtype": "m.text", "body": "hi"}, "hi", ""),
        ("m.room.message", {"msgtype": "m.emote", "body": "hi"}, "hi", ""),
        ("m.room.message", {"msgtype": "m.image", "body": "cat.jpg"}, "[m.image] cat.jpg", ""),
        ("m.room.message", {}, None, "taken back"),
        ("m.room.encrypted", {}, None, "taken back"),
        ("m.room.message", {"msgtype": "m.text", "body": 7}, None, "without text"),
        ("m.room.message", {"body": "hi"}, None, "without text"),
        ("m.sticker", {"body": "hi"}, None, "m.sticker"),
        ("m.room.message", {"msgtype": "m.text", "body": "x" * 9000}, "x" * LONGEST, "cut"),
    ],
)
def test_words(kind: str, content: dict[str, Any], text: str | None, cause: str) -> None:
    """The text, or why there is none."""
    said, why = words_of(kind, content)
    assert said == text
    assert cause in why
    assert bool(why) == bool(cause)


@pytest.mark.parametrize("stamp", [None, "1", -1, 0, 1.5, 10**18, [], 4_000_000_000_000])
def test_a_time_that_cannot_be_is_now(stamp: Any) -> None:
    """No homeserver puts its member's reply above all others for ever."""
    assert sent_at({"origin_server_ts": stamp}, NOW) == NOW


def test_the_time_of_the_homeserver_counts() -> None:
    """Milliseconds since 1970."""
    assert sent_at({"origin_server_ts": 1_000_500}, NOW) == datetime(1970, 1, 1, 0, 16, 40, 500_000, UTC)


@pytest.mark.parametrize("named", [None, 7, "", "x" * 256, "\ud800", ["x"]])
def test_a_session_without_a_name_has_none(named: Any) -> None:
    """What may be no id is not asked for as one."""
    assert session_of({"type": "m.room.encrypted", "content": {"session_id": named}}) == ""


def test_a_reply_waits_for_its_key_for_14_days() -> None:
    """Each minute at first, then more seldom; then it says what to do."""
    reply = Reply(
        matrix_id="@a:b", room_id="!r", event_id="$e", session_id="s", at=NOW, event="locked", look_at=NOW,
        created_at=NOW, expire_at=NOW,
    )  # fmt: skip
    pauses = []
    for age in (timedelta(0), timedelta(hours=2), timedelta(days=3)):
        look_at = reply.waiting(NOW + age).look_at
        assert look_at
        pauses.append(look_at - NOW - age)
    assert pauses == [timedelta(minutes=1), timedelta(minutes=30), timedelta(hours=6)]
    over = reply.waiting(NOW + timedelta(days=15))
    assert (over.look_at, over.cause, over.event) == (None, NEVER, "")
