"""How much is too much: the bot's own messages to one member in a day, and one caller's requests in a minute.

Pure: `now` is an argument. Days and minutes are those of UTC, and each has documents of its own, so that nothing has
to be reset: an old one is not looked at any more, and swept away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from math import ceil

from msgspec import Struct

from shared.domain import ids
from shared.domain.records import Record

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
SAME_TRY = timedelta(hours=1)
"""For so long after midnight what was counted the day before counts for a retry: it is not counted once more."""
BLOCKS = 10
"""Into so many parts a caller's permits of a minute are cut. Instances beyond that may find none left in a minute in
which few were used, so there are no more of them (`max` in infra/terraform/locals.tf)."""


# ------------------------------------------------------------------ messages to a member


class Proactive(Record, frozen=True, kw_only=True):
    """The messages of one member's day. `taken`: for which keys (their digests), and when."""

    taken: Mapping[str, datetime]
    expire_at: datetime


def day_of(now: datetime) -> datetime:
    """Its beginning."""
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def proactive_path(matrix_id: str, day: datetime) -> str:
    return f"proactive/{ids.digest('proactive', matrix_id, f'{day:%Y-%m-%d}')}"


def latest_days(now: datetime) -> list[datetime]:
    """Those of which anything is kept: today and the day before."""
    return [day_of(now), day_of(now) - DAY]


def days_to_read(now: datetime) -> list[datetime]:
    """Today; shortly after midnight the day before as well."""
    days = latest_days(now)
    return days[:1] if now - days[0] > SAME_TRY else days


def taken(days: Sequence[Proactive | None], key: str, most: int, now: datetime) -> Proactive | datetime | None:
    """`days`: as `days_to_read` has them. None: it was counted already. A record: today's, with this one counted. A
    time: there is no more today, and then there is again."""
    name = ids.digest("proactive", key)
    today, *before = days
    if today and name in today.taken:
        return None
    if any(day and name in day.taken and now - day.taken[name] <= SAME_TRY for day in before):
        return None
    known = today.taken if today else {}
    if len(known) >= most:
        return day_of(now) + DAY
    return Proactive(taken={**known, name: now}, expire_at=day_of(now) + 2 * DAY)


# ------------------------------------------------------------------ requests of a caller


class Window(Struct, frozen=True):
    """A minute. `id`: how many there were since 1970."""

    id: int

    @classmethod
    def of(cls, now: datetime) -> Window:
        return cls((now - EPOCH) // timedelta(minutes=1))

    def seconds_left(self, now: datetime) -> int:
        """Never 0: whoever is told to wait for so long is in the next one then."""
        return max(1, ceil((EPOCH + timedelta(minutes=self.id + 1) - now).total_seconds()))

    @property
    def expires(self) -> datetime:
        """When no clock that is nearly right can mean this minute any more."""
        return EPOCH + timedelta(minutes=self.id + 60)


def blocks(limit: int) -> list[int]:
    """How many permits there are in each block: `limit` in all of them, and none is empty."""
    count = min(BLOCKS, limit)
    return [limit // count + (number < limit % count) for number in range(count)]


def block_path(what: str, caller: str, window: Window, number: int) -> str:
    return f"permits/{ids.digest(what, caller)}-{window.id}-{number}"
