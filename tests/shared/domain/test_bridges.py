"""Puppets, and what the bridge's bot says, in the words of mautrix-go (bridgev2/commands)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.bridges import Answer, answer_of, bridge_of

PUPPETS = ("@signal_", "@whatsapp_", "@_")
WHO = "[Ada](https://matrix.to/#/@signal_0a1b:example.org)"


@pytest.mark.parametrize(
    ("matrix_id", "bridge"),
    [
        ("@signal_0a1b-2c:example.org", "Signal"),
        ("@signal_pni_0a1b:example.org", "Signal"),
        ("@whatsapp_49170:example.org", "WhatsApp"),
        ("@_discord_42:example.org", "Discord"),
        ("@_xmpp_ada:example.org", "a bridge"),
        ("@ada:example.org", ""),
        ("@signalbot:example.org", ""),
        ("", ""),
    ],
)
def test_by_which_bridge_somebody_comes(matrix_id: str, bridge: str) -> None:
    """By how their id begins; the bridge's own bot is nobody's puppet."""
    assert bridge_of(matrix_id, PUPPETS) == bridge
    assert bridge_of(matrix_id, ()) == ""


def content(body: str, html: str = "") -> dict[str, str]:
    return {"msgtype": "m.notice", "body": body, "formatted_body": html}


@pytest.mark.parametrize(
    "begun", ["Created chat with `0a1b` / {}: {}", "You already have a direct chat with `x` / {} at {}"]
)
@pytest.mark.parametrize("link", ["%21room:example.org", "!room:example.org", "!room:example.org?via=example.org"])
def test_the_room_that_it_names(begun: str, link: str) -> None:
    """Plain or as HTML, with a room id as Go writes it into a link, or with servers behind it."""
    room, puppet = "!room:example.org", "@signal_0a1b:example.org"
    body = begun.format(WHO, f"[Ada](https://matrix.to/#/{link})")
    html = begun.format(
        f'<a href="https://matrix.to/#/{puppet}">Ada</a>', f'<a href="https://matrix.to/#/{link}">Ada</a>'
    )
    for said in (content(body), content("Created chat with Ada" if "Created" in begun else begun, html)):
        found = answer_of(said)
        assert (found.kind, found.room_id, found.puppet) == ("room", room, puppet)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("Identifier +491701234567 not found", "unknown"),
        ("That command requires you to be logged in.", "signed_out"),
        ("You're not logged in", "signed_out"),
        ("Failed to resolve identifier: error looking up number on server: rate limited", "failed"),
        ("Unknown command, use the `help` command for help.", "not_understood"),
        ("Hello, I'm a Signal bridge bot.", ""),
        ("", ""),
    ],
)
def test_what_else_it_says(body: str, kind: str) -> None:
    """Each has its meaning; numbers are in none of the words that are kept."""
    found = answer_of(content(body))
    assert found.kind == kind
    assert "1701234567" not in found.words
    assert found.numbers == ({"+491701234567"} if "+49" in body else set())


@given(st.dictionaries(st.sampled_from(["body", "formatted_body", "x"]), st.text() | st.integers() | st.none()))
def test_no_words_are_a_crash(said: dict[str, object]) -> None:
    """A bot may say anything, in any shape."""
    assert isinstance(answer_of(said), Answer)
