"""Usernames that people can say, and Matrix ids that can be trusted."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.errors import Invalid
from shared.domain.members import LOCALPART, USERNAME, WORDS, folded, identify, member_id, suggested_username


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("José", "jose"),
        ("李", "li"),
        ("Zoë", "zoe"),
        ("Mary Ann", "mary"),
        ("  Ada  ", "ada"),
        ("O'Neil", "oneil"),
        ("Łukasz", "lukasz"),
        ("", "member"),
        ("!?", "member"),
        ("X" * 99, "x" * 24),
    ],
)
def test_names_are_folded(name: str, plain: str) -> None:
    """The first word of a name, as ASCII letters and digits; of nothing, "member"."""
    assert folded(name) == plain


@given(st.text(), st.integers(0, 2**128))
def test_a_suggested_username_is_always_usable(name: str, roll: int) -> None:
    """Whatever a person is called, the username is one that we accept and a Matrix localpart as it stands."""
    username = suggested_username(name, roll)
    assert USERNAME.fullmatch(username)
    assert LOCALPART.fullmatch(username)
    assert re.fullmatch(r"[a-z0-9]+-[a-z]+[1-9]\d", username)


def test_chance_reaches_every_word_and_number() -> None:
    """Enough different names that a second try is rarely needed."""
    many = {suggested_username("Ada", roll) for roll in range(len(WORDS) * 90)}
    assert len(many) == len(set(WORDS)) * 90
    assert len(set(WORDS)) == len(WORDS)
    assert len(many) > 10_000


@pytest.mark.parametrize("good", ["@ada:example.org", "@a.b_c=d/e+f-g:example.org:8448", "@Countess:192.0.2.1", "@!:x"])
def test_member_ids(good: str) -> None:
    """Historical ids with capitals are ids too."""
    assert member_id(good) == good


LONGER = ["@a:b:c:d", "@ada:example.org\n", "@é:example.org", "@" + "a" * 250 + ":b.test"]


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "ada",
        "@ada",
        "ada:example.org",
        "@:example.org",
        "@ada:",
        "@a b:example.org",
        "@ada:ex ample",
        "#a:b",
        *LONGER,
    ],
)
def test_not_a_member_id(bad: str) -> None:
    """Any other shape is refused, with the field and what is expected."""
    with pytest.raises(Invalid) as raised:
        member_id(bad, "who")
    [(field, message)] = raised.value.errors
    assert field == "who"
    assert "@ada:example.org" in message


def test_derived_from_the_username() -> None:
    """Unless somebody says otherwise they are @username:domain."""
    found = identify("ada", "fake.test")
    assert (found.matrix_id, found.given_by, found.problem) == ("@ada:fake.test", "username", "")


def test_an_admins_word_counts() -> None:
    """An id that an admin gave is trusted, also against what the account says."""
    found = identify("ada", "fake.test", given="@x:else.test", claimed="@y:else.test")
    assert (found.matrix_id, found.given_by) == ("@x:else.test", "admin")


@pytest.mark.parametrize("claimed", ["@stranger:else.test", "@ada:other.test", "nonsense", "@Ada:fake.test"])
def test_a_members_own_word_does_not(claimed: str) -> None:
    """An id that a member could have written names nobody; the problem says what it was."""
    found = identify("ada", "fake.test", claimed=claimed)
    assert (found.matrix_id, found.given_by) == ("", "nobody")
    assert repr(claimed) in found.problem


def test_a_claim_that_is_true() -> None:
    """What the username gives anyway may be claimed."""
    assert identify("ada", "fake.test", claimed="@ada:fake.test").given_by == "username"


@pytest.mark.parametrize("username", ["Ada", "ada lovelace", "ädä", "a@b", "", "x" * 250])
def test_a_username_that_is_no_localpart(username: str) -> None:
    """A homeserver would fold it in its own way: nobody is guessed at."""
    found = identify(username, "fake.test")
    assert (found.matrix_id, found.given_by) == ("", "nobody")
    assert found.problem
