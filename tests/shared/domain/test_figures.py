"""Quantiles are of somebody, causes that differ in names alone are one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from shared.domain.figures import Took, alike, days, failures, took
from shared.domain.onboarding import Onboarding, Step

NOW = datetime(2030, 3, 1, 12, tzinfo=UTC)


def onboarding(seconds: float | None) -> Onboarding:
    finished = None if seconds is None else NOW + timedelta(seconds=seconds)
    return Onboarding(
        id="ob", source="api", account_pk=1, uid="u", username="a", name="A", created_at=NOW, finished_at=finished
    )


def failed(step: str, cause: str, *, kind: str = "room", code: str = "", minute: int = 0, owner: str = "ob_1") -> Step:
    at = NOW + timedelta(minutes=minute)
    return Step(parent=f"onboardings/{owner}", name=step, kind=kind, state="failed", cause=cause, fix="f", code=code, updated_at=at)  # fmt: skip


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ([], Took(0, None, None)),
        ([None], Took(0, None, None)),
        ([7], Took(1, 7, 7)),
        ([1, 2], Took(2, 1, 2)),
        ([*range(1, 101)], Took(100, 50, 95)),
        ([*range(1, 21)], Took(20, 10, 19)),
        ([3, 1, None, 2], Took(3, 2, 3)),
    ],
)
def test_took(seconds: list[float | None], expected: Took) -> None:
    """The nearest rank: a time that somebody really took; who is not at home yet counts for nothing."""
    assert took(map(onboarding, seconds)) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("@ada:x.test is banned", "@bee:y.test is banned"),
        ("given up after 12 tries: no answer within 10 s", "given up after 10 tries: no answer within 7 s"),
        (
            "the power to invite is missing in 'Ops': 50 is needed",
            "the power to invite is missing in 'Tea': 100 is needed",
        ),
        ("!abc:x.test is no room", "#ops:x.test is no room"),
        ("no such group 0af7651916cd43dd", "no such group 8448eb211c80319c"),
    ],
)
def test_alike(one: str, other: str) -> None:
    """Names of people and rooms, quotes, numbers and ids make no other cause."""
    assert alike(one) == alike(other)
    assert alike(one) != alike("something else")


def test_failures() -> None:
    """Grouped by kind, code and cause, the most frequent first, each with the latest as its example."""
    found = failures(
        [
            failed("a", "@ada:x.test is banned", minute=1),
            failed("b", "@bee:x.test is banned", minute=5, owner="ob_2"),
            failed("c", "@cyd:x.test is banned", minute=3, owner="ob_3"),
            failed("c", "@cyd:x.test is banned", kind="removal"),
            failed("c", "@cyd:x.test is banned", code="M_BANNED"),
        ]
    )
    assert [(each.kind, each.count) for each in found] == [("room", 3), ("removal", 1), ("room", 1)]
    assert (found[0].example, found[0].step, found[0].cause) == ("ob_2", "b", "@bee:x.test is banned")
    assert failures([]) == []


def test_days() -> None:
    """Whole days in UTC, one after the other, today's the last."""
    found = days(NOW, 30)
    assert (len(found), found[-1], found[0]) == (
        30,
        datetime(2030, 3, 1, tzinfo=UTC),
        datetime(2030, 1, 31, tzinfo=UTC),
    )
