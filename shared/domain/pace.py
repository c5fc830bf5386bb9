"""How fast a member's rooms are entered once the homeserver has said 429.

Synapse lets a new member be invited five times at once and then every 5.5 minutes; each refusal
costs an attempt, and several refusals name the same instant (see docs/decisions). So the first
refusal sets a pace for the member, and every further room takes the next place in the row without asking.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol, Self, TypeVar


class Paced(Protocol):
    """An onboarding, or a job that concerns one member."""

    @property
    def pace_interval(self) -> float: ...
    @property
    def pace_until(self) -> datetime | None: ...
    def but(self, **changes: object) -> Self: ...


P = TypeVar("P", bound=Paced)


MARGIN = 1.02
"""A limiter counts in its own clock: a touch later is one refusal less."""


def is_paced(row: Paced, now: datetime) -> bool:
    """Whether the row is still long: a room that was not tried yet should queue up."""
    return row.pace_until is not None and row.pace_until > now


def next_place(row: P, now: datetime, retry_after: float = 0.0) -> tuple[P, datetime]:
    """The row with one more place, and that place. `retry_after` in seconds: what
    the homeserver has just said, 0 for a room that queues up without having asked."""
    interval = max(row.pace_interval, retry_after * MARGIN)
    last = row.pace_until if is_paced(row, now) else now
    place = max(last or now, now) + timedelta(seconds=interval)
    return row.but(pace_interval=interval, pace_until=place), place
