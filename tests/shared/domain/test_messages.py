"""What the bot says: real mentions, nothing that a name could inject, and a mark to find it again."""

from __future__ import annotations

import pytest

from shared.domain import messages

EVIL = '<img src=x onerror="x">&'


def test_the_farewell_is_a_real_mention() -> None:
    """The member is mentioned in both ways that clients know."""
    said = messages.farewell("@ada:fake.test", "Ada", "m")
    assert said["m.mentions"] == {"user_ids": ["@ada:fake.test"]}
    assert '<a href="https://matrix.to/#/@ada:fake.test">Ada</a>' in said["formatted_body"]
    assert said["body"].startswith("Ada, ")
    assert "@ada" not in said["body"]


def test_others_mention_nobody() -> None:
    """In a direct room nobody needs to be mentioned, and nobody is by accident."""
    assert messages.hello("Ada", "m")["m.mentions"] == {}
    assert messages.welcome("@room Ada", 1, "m")["m.mentions"] == {}


@pytest.mark.parametrize(
    "said", [messages.farewell("@a:b", EVIL, "m"), messages.hello(EVIL, "m"), messages.welcome(EVIL, 2, "m")]
)
def test_a_name_is_only_a_name(said: dict[str, str]) -> None:
    """Whatever somebody is called, it is text in the HTML and itself in the plain form."""
    assert "<img" not in said["formatted_body"]
    assert "&lt;img" in said["formatted_body"]
    assert EVIL in said["body"]
    assert said["format"] == "org.matrix.custom.html"


def test_a_member_id_in_a_link() -> None:
    """An id with odd characters makes no other link."""
    assert 'href="https://matrix.to/#/@a%2Fb%22:x"' in messages.mention('@a/b":x', "A")


def test_the_mark() -> None:
    """Each message carries its step's transaction id."""
    assert messages.hello("Ada", "muster.1")[messages.MARKER] == "muster.1"


@pytest.mark.parametrize(
    ("rooms", "words"), [(0, "An admin will invite you"), (7, "Your rooms are waiting among your invites")]
)
def test_the_welcome_fits_the_rooms(rooms: int, words: str) -> None:
    """It promises invites only where there are rooms, and no number: some may come later, or fail."""
    assert words in messages.welcome("Ada", rooms, "m")["body"]
