"""Two who change a room's power levels at the same time: what each has changed is kept."""

from __future__ import annotations

from typing import Any

import pytest

from shared.adapters.matrix_power import merged

BASE: dict[str, Any] = {"users": {"@a:x": 50, "@b:x": 25}, "invite": 0, "events": {"m.room.name": 50}}


@pytest.mark.parametrize(
    ("ours", "theirs", "both"),
    [
        (BASE, BASE, BASE),
        (BASE | {"invite": 50}, BASE | {"kick": 75}, BASE | {"invite": 50, "kick": 75}),
        (
            BASE | {"users": {"@a:x": 50, "@b:x": 25, "@c:x": 50}},
            BASE | {"users": {"@a:x": 100}},
            BASE | {"users": {"@a:x": 100, "@c:x": 50}},
        ),
        (BASE, {"users": BASE["users"]}, {"users": BASE["users"]}),
        (BASE | {"users": {"@c:x": 1}}, BASE | {"users": None}, BASE | {"users": None}),
    ],
)
def test_both_changes_are_kept(ours: dict[str, Any], theirs: dict[str, Any], both: dict[str, Any]) -> None:
    """Added, changed and taken away, at any depth; where both changed the same, theirs is the later one."""
    assert merged(ours, BASE, theirs) == both
