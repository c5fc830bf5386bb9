"""What goes to an assistant, and what is taken of its answer."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain import suggestions as s
from shared.domain.suggestions import EMPTY, LONGEST_LINE, SPOILED, Suggestion, line_so_far, understood

GOOD = {"line": "Good to have you.", "interests": ["hiking", "board games"]}


def said(**fields: object) -> str:
    return json.dumps(GOOD | fields)


@pytest.mark.parametrize("around", ["{}", "```json\n{}\n```", "Sure! Here you are: {} Shall I go on?", "\n\n{}"])
def test_an_answer(around: str) -> None:
    """The line and the interests, whatever a model writes around them."""
    expected = Suggestion("Good to have you.", ("hiking", "board games"))
    assert understood(around.replace("{}", said())) == expected


@pytest.mark.parametrize(
    "line",
    [
        "See https://evil.test/x",
        "Go to www.evil.test",
        "Look at evil.example/now",
        "Write to ada@example.org",
        "Hello @room",
        "Join #club:example.org",
        "javascript:alert(1)",
        "Click evil.com.",
    ],
)
def test_no_links_and_no_mentions(line: str) -> None:
    """A line with anything that a client may make a link or a mention of is not used, nor shown while it comes."""
    assert understood(said(line=line)) == Suggestion("", ("hiking", "board games"), SPOILED)
    assert line_so_far(said(line=line)) == ""


@pytest.mark.parametrize(
    "line", ["Tea at 5.30 p.m. is a habit. Good!", "We are number #1, e.g. at chess.", "你好。很高兴认识你！"]
)
def test_lines_that_are_fine(line: str) -> None:
    """What merely has dots and signs in it is no link."""
    assert understood(said(line=line)).line == line


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "I cannot help with that.",
        "{",
        "[]",
        "{]",
        '{"line": 3}',
        '{"line": ""}',
        "{" * 9000,
        '{"line": null, "interests": {}}',
    ],
)
def test_what_is_no_answer(answer: str) -> None:
    """Anything else is nothing, and says so."""
    assert understood(answer) == Suggestion("", (), EMPTY)


def test_it_is_made_plain() -> None:
    """On one line, without what nobody sees and what turns the text around."""
    assert understood(said(line="Good\n\tto\u202e have\u200b \x00you.\ufeff ")).line == "Good to have you."


def test_it_is_bounded() -> None:
    """A long line ends with its last sentence that fits; interests are few, short, and each once."""
    long = "A sentence of some length. " * 30
    line = understood(said(line=long)).line
    assert line.endswith("length.")
    assert LONGEST_LINE - 30 < len(line) <= LONGEST_LINE
    assert understood(said(line="x" * 400)) == Suggestion("", ("hiking", "board games"), EMPTY)
    many = ["a", "a", "b" * 61, 7, "see evil.com", *(f"topic {number}" for number in range(99))]
    found = understood(said(interests=many)).interests
    assert (found[:2], len(found)) == (("a", "topic 0"), s.MOST_INTERESTS)


def test_it_grows() -> None:
    """While the answer comes, each beginning of the line is one of the whole line; what broke off within it is not used."""
    answer = said(line='Good "people" \u2728 é')
    shown = [line_so_far(answer[:end]) for end in range(len(answer) + 1)]
    assert all('Good "people" \u2728 é'.startswith(each) for each in shown)
    assert [len(each) for each in shown] == sorted(len(each) for each in shown)
    assert understood(answer[:20]) == Suggestion("", (), EMPTY)
    assert understood(answer[: answer.index("board")]).line == 'Good "people" \u2728 é'


@given(st.text(), st.booleans())
def test_it_never_raises(text: str, quoted: bool) -> None:
    """Whatever comes, the line is short, and has neither link nor line break."""
    answer = json.dumps({"line": text}) if quoted else text
    found = understood(answer)
    line_so_far(answer)
    assert len(found.line) <= LONGEST_LINE
    assert not any(sign in found.line for sign in ("\n", "\r", "://"))


def test_what_is_sent() -> None:
    """E-mail addresses, Matrix ids and telephone numbers stay here; the words go."""
    text = (
        "Ada Lovelace\nada@example.org\n@ada:muster.test\nhiking, 3 cats, since 1999\n+44 (0)20 7946 0958\n0664/1234567"
    )
    sent = s.sendable(text)
    assert sent == "Ada Lovelace\n[address]\n[address]\nhiking, 3 cats, since 1999\n[number]\n[number]"
    assert s.estimate("x" * 300) == s.estimate("") + 100
