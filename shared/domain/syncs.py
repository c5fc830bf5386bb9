"""What is known of one source's sync: how far it is, what the cache holds of it, when it was last whole."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Literal

from msgspec import field

from shared.domain.records import Record

Source = Literal["authentik", "matrix"]
Kind = Literal["light", "full"]
SOURCES: tuple[Source, ...] = ("authentik", "matrix")


class Sync(Record, frozen=True, kw_only=True):
    """`running_until`: until when somebody has claimed it. `begun_at`: when the one that is under way began, over all
    of its runs; `kind` says which. `progress`: where a full one goes on. `light_at`, `full_at`: when the last one that
    came to its end began: the cache is at least as new. `position`: behind which changes are to be asked for. `direct`:
    a digest of the bot's direct rooms, which are left out. `bot`: of whose power the rooms' rows speak. `runs`: of the
    one that is under way.
    `shards`: each packed document, with its digest, its parts and how many rows are in it. `failed_at`, `cause`, `fix`:
    of the last run, where it failed."""

    source: Source
    running_until: datetime | None = None
    begun_at: datetime | None = None
    kind: Kind | None = None
    beat_at: datetime | None = None
    light_at: datetime | None = None
    full_at: datetime | None = None
    position: str = ""
    direct: str = ""
    bot: str = ""
    progress: dict[str, Any] = field(default_factory=dict)
    runs: int = 0
    shards: dict[str, dict[str, Any]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    failed_at: datetime | None = None
    cause: str = ""
    fix: str = ""

    @property
    def synced_at(self) -> datetime | None:
        """The cache is at least as new as this; None: there is none, or only a part of one."""
        if self.full_at is None:
            return None
        return max(self.full_at, self.light_at or self.full_at)

    def age(self, now: datetime) -> float | None:
        """Seconds."""
        return max(0.0, (now - self.synced_at).total_seconds()) if self.synced_at else None

    def is_running(self, now: datetime) -> bool:
        return self.running_until is not None and self.running_until > now

    def part_done(self) -> float | None:
        """Of a full sync that is under way, from 0 to 1."""
        of = self.progress.get("of")
        return min(1.0, self.progress["done"] / of) if of else None

    def names(self, prefix: str) -> list[str]:
        return sorted(name for name in self.shards if name.startswith(prefix))

    def next_kind(self, asked: Kind | None, now: datetime, full_every: float) -> Kind:
        """A full one that was begun goes on first; the first one ever is full."""
        if self.progress or self.full_at is None or asked == "full":
            return "full"
        return asked or ("full" if now - self.full_at >= timedelta(seconds=full_every) else "light")

    def is_due(self, now: datetime, every: float) -> bool:
        """Whether the schedule should run it: a little early rather than a whole interval late."""
        slack = timedelta(seconds=min(30.0, every / 10))
        return bool(self.progress) or self.synced_at is None or now - self.synced_at >= timedelta(seconds=every) - slack
