"""What many onboardings add up to: how long they took, and why steps failed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from shared.domain.onboarding import Onboarding, Step

_TRIES = re.compile(r"^given up after \d+ tries: ")
_NAMES = re.compile(r"""[@!#$][^\s:,;'"()]+(:[^\s,;'"()]+)?|'[^']*'|"[^"]*"|\b[0-9a-f]{8,}\b|\d+""")


class Took(Struct, frozen=True):
    """Seconds from beginning to being at home, over `count` members; None over nobody."""

    count: int
    p50: float | None
    p95: float | None


class Failure(Struct, frozen=True):
    """Steps that failed for one cause. `cause` and `fix` are those of the latest, `example` the onboarding it is of."""

    kind: str
    cause: str
    fix: str
    count: int
    example: str
    step: str
    latest: datetime | None


def took(onboardings: Iterable[Onboarding]) -> Took:
    seconds = sorted((done.finished_at - done.created_at).total_seconds() for done in onboardings if done.finished_at)
    return Took(len(seconds), _quantile(seconds, 0.5), _quantile(seconds, 0.95))


def _quantile(ordered: Sequence[float], share: float) -> float | None:
    """The nearest rank: one that somebody really took."""
    return ordered[max(0, -(-len(ordered) * round(share * 100) // 100) - 1)] if ordered else None


def alike(cause: str) -> str:
    """A cause without the names and numbers in it, by which two of one kind differ."""
    return _NAMES.sub("…", _TRIES.sub("", cause))


def failures(steps: Iterable[Step]) -> list[Failure]:
    """Grouped by kind, code and cause; the most frequent first."""
    groups: dict[tuple[str, str, str], list[Step]] = {}
    for step in steps:
        groups.setdefault((step.kind, step.code, alike(step.cause)), []).append(step)
    found = [_failure(group) for group in groups.values()]
    return sorted(found, key=lambda failure: (-failure.count, failure.kind, failure.cause))


def _failure(group: Sequence[Step]) -> Failure:
    latest = max(group, key=lambda step: (step.updated_at.timestamp() if step.updated_at else 0.0, step.path))
    example = latest.parent.partition("/")[2]
    return Failure(latest.kind, latest.cause, latest.fix, len(group), example, latest.name, latest.updated_at)


def days(now: datetime, count: int) -> list[datetime]:
    """The beginnings of the latest days (UTC), today's the last."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return [today - timedelta(days=back) for back in range(count - 1, -1, -1)]
