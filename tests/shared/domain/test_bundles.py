"""What bundles give together."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from shared.domain.bundles import Bundle, Way, bundle_id, granted, highest

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
CLUB = {"id": "!club", "name": "Club"}


def bundle(name: str = "Garden", **fields: Any) -> Bundle:
    made = {"created_at": NOW, "created_by": "key:ops", "changed_at": NOW, "changed_by": "key:ops"}
    return Bundle(id=bundle_id(name), name=name, **(made | fields))


@pytest.mark.parametrize(
    ("name", "id_"),
    [("Garden", "garden"), ("  Küche & Co ", "kuche-co"), ("李", "li"), ("!!!", "bundle"), ("a" * 90, "a" * 60)],
)
def test_an_id_comes_from_the_name(name: str, id_: str) -> None:
    """Lower-case letters, digits and dashes, so that it can be written into a URL and said aloud."""
    assert bundle_id(name) == id_


def test_together_each_thing_once() -> None:
    """Two bundles that share a room and a group give each once, in the order of the first."""
    both = granted([bundle(rooms=("!a", "!b"), groups=("g",)), bundle("B", rooms=("!b", "!c"), groups=("g", "h"))])
    assert (both.rooms, both.groups) == (("!a", "!b", "!c"), ("g", "h"))


def test_the_highest_level_counts() -> None:
    """A room's own level goes before that for every room; of two bundles the higher one is given."""
    mods = bundle(rooms=("!a", "!b"), levels={"*": 50, "!b": 25})
    admins = bundle("B", rooms=("!b", "!c"), levels={"!b": 75})
    assert highest([mods, admins]) == {"!a": 50, "!b": 75}
    assert highest([]) == {}


def test_a_space_comes_with_the_rooms_that_are_entered_by_it() -> None:
    """The space is added, before them, once; the rooms stay, each with its way."""
    grant = granted([bundle(rooms=("!a", "!b", "!c"), ways={"!a": CLUB, "!b": CLUB})])
    assert grant.rooms == ("!club", "!a", "!b", "!c")
    assert grant.ways == {"!a": Way("!club", "Club"), "!b": Way("!club", "Club")}


def test_one_bundle_that_invites_is_enough() -> None:
    """Where one of two bundles does not want the space, the room is invited to."""
    grant = granted([bundle(rooms=("!a",), ways={"!a": CLUB}), bundle("B", rooms=("!a",), space_first=False)])
    assert (grant.rooms, grant.ways) == (("!a",), {})
