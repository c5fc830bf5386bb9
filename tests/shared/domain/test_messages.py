"""What is sent: the content of a message."""

from __future__ import annotations

from shared.domain import messages


def test_a_mention_leads_to_the_person() -> None:
    """The link of a mention names the whole Matrix id, whatever stands in it."""
    assert messages.address("@ada:fake.test") == "https://matrix.to/#/@ada:fake.test"
    assert messages.address('@a/b":x') == "https://matrix.to/#/@a%2Fb%22:x"


def test_a_content_names_its_step_and_its_template() -> None:
    """By its content alone a message tells which step has sent it, by which version of which template, and whom it mentions."""
    said = messages.content("Hi", "<b>Hi</b>", "muster.1", ("@ada:fake.test",), template="hello@3")
    assert (said[messages.MARKER], said[messages.TEMPLATE]) == ("muster.1", "hello@3")
    assert said["m.mentions"] == {"user_ids": ["@ada:fake.test"]}
    assert messages.content("Hi", "Hi", "m")["m.mentions"] == {}
