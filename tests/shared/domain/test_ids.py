"""Ids: the same from webhook, sweep and API; different for different things; usable where they go."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from shared.domain import ids

PARTS = st.lists(st.text(st.characters(codec="utf-8")), max_size=4)


@given(PARTS, PARTS)
def test_no_two_lists_meet(one: list[str], other: list[str]) -> None:
    """Parts cannot be shifted into each other: "ab", "c" is not "a", "bc"."""
    assert (ids.digest(*one) == ids.digest(*other)) == (one == other)


def test_an_accounts_onboarding() -> None:
    """Derived from the uid and from nothing else; written down, because it must never change."""
    assert ids.onboarding_id("u") == ids.onboarding_id("u") == "ob_6e1d2375d7bb684ac4237fee"
    assert ids.onboarding_id("u") != ids.onboarding_id("v")


def test_a_key_is_the_callers_and_the_routes() -> None:
    """The same Idempotency-Key of another caller or for another route is another resource."""
    known = {
        ids.keyed_id("inv", *parts) for parts in (("a", "r", "k"), ("b", "r", "k"), ("a", "s", "k"), ("a", "r", "l"))
    }
    assert len(known) == 4
    assert all(re.fullmatch(r"inv_[0-9a-f]{24}", name) for name in known)


@given(st.text(), st.text())
def test_a_rooms_step_is_a_documents_id(one: str, other: str) -> None:
    """No slash in it, and two rooms never share one."""
    assert "/" not in ids.room_step(one)
    assert (ids.room_step(one) == ids.room_step(other)) == (one == other)


def test_task_names() -> None:
    """Letters, digits and dashes; each generation another."""
    names = {ids.task_name("onboardings/a", "room:!x", n) for n in range(3)}
    assert len(names) == 3
    assert all(re.fullmatch(r"[0-9a-f]{32}-\d+", name) for name in names)


def test_transactions() -> None:
    """One for each message to each member."""
    made = {
        ids.transaction_id(*parts)
        for parts in (("p", "hello", "@a:x"), ("p", "welcome", "@a:x"), ("p", "hello", "@b:x"))
    }
    assert len(made) == 3


def test_the_direct_rooms_alias() -> None:
    """Keyed: without the salt nobody can compute whom the bot has written to; lower case, as an alias must be."""
    alias = ids.direct_alias("salt", "@ada:fake.test")
    assert re.fullmatch(r"muster-direct-[0-9a-f]{24}", alias)
    assert alias != ids.direct_alias("other", "@ada:fake.test")
    assert alias != ids.direct_alias("salt", "@bob:fake.test")
