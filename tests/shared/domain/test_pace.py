"""A member's row: after the first 429 every further room takes the next place without asking."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from shared.domain.jobs import Job
from shared.domain.pace import MARGIN, is_paced, next_place

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
ROW = Job(id="job_1", kind="invite", matrix_id="@ada:fake.test", actor="key:a", created_at=NOW)


def test_no_row_without_a_refusal() -> None:
    """As long as nobody was refused, nobody queues up."""
    assert not is_paced(ROW, NOW)


def test_the_first_refusal_sets_the_pace() -> None:
    """The first place is `retry_after` from now, and a touch; the k-th is k times that."""
    row, first = next_place(ROW, NOW, 100)
    assert first == NOW + timedelta(seconds=100 * MARGIN)
    assert is_paced(row, NOW)
    for k in range(2, 6):
        row, place = next_place(row, NOW)
        assert place == NOW + timedelta(seconds=100 * MARGIN) * k


def test_the_row_ends_by_itself() -> None:
    """When the last place's time has come, the next room may ask at once."""
    row, place = next_place(ROW, NOW, 100)
    assert not is_paced(row, place)
    assert is_paced(row, place - timedelta(seconds=1))


def test_a_later_refusal_joins_the_row() -> None:
    """Who is refused while there is a row takes its end; a slower pace is kept for those to come."""
    row, _ = next_place(ROW, NOW, 100)
    row, place = next_place(row, NOW, 300)
    assert place == NOW + timedelta(seconds=100 * MARGIN) + timedelta(seconds=300 * MARGIN)
    assert row.pace_interval == 300 * MARGIN


@given(st.lists(st.tuples(st.floats(0, 600), st.floats(0, 600)), min_size=2, max_size=30))
def test_places_never_meet(events: list[tuple[float, float]]) -> None:
    """Whatever comes when, two rooms never get the same place, and none lies in the past."""
    row, now, places = ROW, NOW, []
    for pause, retry_after in events:
        now += timedelta(seconds=pause)
        row, place = next_place(row, now, 1 + retry_after)
        assert place > now
        places.append(place)
    assert places == sorted(set(places))
