"""How much an assistant may be asked: the tokens of a month and the requests of a minute, in one document a month.

A request reserves what it may take before it goes out, together with its turn, by compare-and-set: so that no number
of callers at once gets beyond the cap, nor two the same turn. What it really took is settled afterwards. One that
dies in between stays counted as it was reserved: never too little.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from msgspec import Struct

from shared.domain.errors import Outpaced, TooMany
from shared.domain.suggestions import Month
from shared.ports import Create, Increment, Replace, Write
from shared.services.context import Ports, Terms
from shared.services.tasks import again_when_outpaced

LONGEST_WAIT = 20.0
"""Seconds that somebody waits for their turn: longer is no help to who sits before the page."""
TRIES = 30


class Reserved(Struct, frozen=True):
    """`wait`: seconds until it is this one's turn."""

    path: str
    tokens: int
    wait: float


async def month(ports: Ports) -> Month:
    document = await ports.documents.get(_path(ports.now()))
    return Month.of(document.data) if document else Month()


async def reserve(ports: Ports, terms: Terms, tokens: int) -> Reserved:
    """Raises `TooMany`: the month's tokens are used up, or so many ask that the turn would come too late."""

    async def attempt() -> Reserved:
        now = ports.now()
        path = _path(now)
        document = await ports.documents.get(path)
        before = Month.of(document.data) if document else Month()
        _check_cap(before, terms, tokens, now)
        turn = max(before.free_at or now, now)
        _check_turn((turn - now).total_seconds())
        after = before.but(
            tokens=before.tokens + tokens,
            requests=before.requests + 1,
            free_at=turn + timedelta(seconds=60 / terms.per_minute),
        ).data()
        await ports.documents.write(Replace(path, after, document.version) if document else Create(path, after))
        return Reserved(path, tokens, (turn - now).total_seconds())

    try:
        return await again_when_outpaced(attempt, TRIES)
    except Outpaced as error:
        raise _busy(5.0) from error


async def settle(ports: Ports, reserved: Reserved, used: int, writes: Sequence[Write]) -> None:
    """With the other writes, in one batch."""
    await ports.documents.write(Increment(reserved.path, "tokens", used - reserved.tokens), *writes)


async def slow_down(ports: Ports, terms: Terms, reserved: Reserved, seconds: float) -> None:
    """Who provides it has said that nobody is to ask before; then it is the turn of who was told so."""

    async def attempt() -> None:
        document = await ports.documents.get(reserved.path)
        until = ports.now() + timedelta(seconds=seconds + 60 / terms.per_minute)
        if document and (document.data["free_at"] or until) < until:
            later = Month.of(document.data).but(free_at=until).data()
            await ports.documents.write(Replace(document.path, later, document.version))

    await again_when_outpaced(attempt, TRIES)


def _path(now: datetime) -> str:
    return f"assistant_months/{now.astimezone(UTC):%Y-%m}"


def _check_cap(before: Month, terms: Terms, tokens: int, now: datetime) -> None:
    if before.tokens + tokens <= terms.monthly_tokens:
        return
    following = (now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0) + timedelta(32)).replace(
        day=1
    )
    raise TooMany(
        f"the assistant's tokens of this month are used up: {before.tokens:,} of {terms.monthly_tokens:,}",
        (following - now).total_seconds(),
        f"A new month begins on {following:%Y-%m-%d} (UTC); ASSISTANT_MONTHLY_TOKENS sets how many there are.",
    )


def _check_turn(wait: float) -> None:
    if wait > LONGEST_WAIT:
        raise _busy(wait - LONGEST_WAIT / 2)


def _busy(after: float) -> TooMany:
    return TooMany("the assistant is busy: others have asked just before", after, "Ask again in a moment.")
