"""When an invite is good, what a use does to it, and why somebody is held."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from shared.domain.invites import ATTRIBUTE, Invite, redeem, used

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def invite(**fields: object) -> Invite:
    given: dict[str, object] = {"id": "inv_1", "label": "Spring", "created_at": NOW, "created_by": "key:a"}
    return Invite(**(given | {"expires_at": NOW + timedelta(days=1)} | fields))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, "pending"),
        ({"expires_at": NOW}, "expired"),
        ({"uses": 1}, "redeemed"),
        ({"uses": 1, "max_uses": 2}, "pending"),
        ({"uses": 1, "expires_at": NOW}, "redeemed"),
        ({"closed": "revoked", "uses": 1}, "revoked"),
    ],
)
def test_status(fields: dict[str, object], status: str) -> None:
    """Revoked before used up, used up before expired."""
    assert invite(**fields).status(NOW) == status


def test_the_name_upstream() -> None:
    """Slug characters only, since Authentik takes no others, and unique with our id."""
    assert invite(id="inv_0a_b").upstream_name == "muster-inv-0a-b"


def test_what_travels() -> None:
    """Our id in the attributes; an e-mail only where one was named; never a group, which Authentik discards."""
    assert invite().fixed_data() == {"attributes": {ATTRIBUTE: "inv_1"}}
    assert invite(email="a@b.test").fixed_data()["email"] == "a@b.test"


def test_a_masked_word_is_not_in_the_attribute() -> None:
    """Authentik masks event keys with such words: ours must arrive readable."""
    assert not any(word in ATTRIBUTE.upper() for word in ("API", "AUTH", "TOKEN", "KEY", "SECRET", "PASS", "SIGNATURE"))


def test_a_use() -> None:
    """Counts one, names the onboarding, and closes with the last one."""
    once = used(invite(max_uses=2, stale=False), "ob_1", NOW)
    assert (once.uses, once.used_by, once.closed, once.stale) == (1, ("ob_1",), "", False)
    twice = used(once, "ob_2", NOW)
    assert (twice.uses, twice.closed, twice.closed_at, twice.stale) == (2, "redeemed", NOW, True)


def test_the_same_onboarding_counts_once() -> None:
    """A repeat changes nothing."""
    once = used(invite(max_uses=2), "ob_1", NOW)
    assert used(once, "ob_1", NOW) == once


@pytest.mark.parametrize(
    ("fields", "email", "words"),
    [
        ({"closed": "revoked"}, "", "revoked"),
        ({"uses": 1}, "", "good for 1"),
        ({"expires_at": NOW - timedelta(seconds=1)}, "", "expired"),
        ({"email": "ada@example.test"}, "eve@example.test", "another e-mail"),
        ({"email": "ada@example.test"}, "", "another e-mail"),
    ],
)
def test_held(fields: dict[str, object], email: str, words: str) -> None:
    """Whoever is held counts no use: a stranger with the link must not lock the invited person out."""
    before = invite(**fields)
    found = redeem(before, email=email, enrolled_at=NOW, onboarding="ob_1", now=NOW)
    assert words in found.held
    assert found.invite == before


def test_welcome() -> None:
    """The right e-mail in any letters, in time: the use is counted."""
    found = redeem(
        invite(email="Ada@Example.test "), email="ADA@example.test", enrolled_at=NOW, onboarding="o", now=NOW
    )
    assert (found.held, found.invite.uses) == ("", 1)


def test_enrolled_in_time() -> None:
    """What counts is when they enrolled, not when we hear of it."""
    late = NOW + timedelta(days=3)
    assert redeem(invite(), email="", enrolled_at=NOW, onboarding="o", now=late).held == ""
