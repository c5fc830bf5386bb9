"""The clock of INDOC: who has been there how long, and what is due because of it. Pure: `now` is an argument."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Literal

from msgspec import Struct

from shared.domain import ids
from shared.domain.onboarding import OnboardingState, Step
from shared.domain.records import Record

State = Literal["waiting", "nudged", "paused", "leaving", "exempt"]


class Stay(Record, frozen=True, kw_only=True):
    """One stay of one person in INDOC for which something was due; its steps are `nudge` and `removal`. `since`: when
    they came. `state` repeats, for queries, what the steps add up to. `pace_*`: of no use; every parent of steps has
    them."""

    id: str
    matrix_id: str
    room: str
    name: str
    since: datetime
    created_at: datetime
    state: OnboardingState = "running"
    finished_at: datetime | None = None
    pace_interval: float = 0.0
    pace_until: datetime | None = None

    @property
    def path(self) -> str:
        return f"indoc/{self.id}"


class Pause(Record, frozen=True, kw_only=True):
    """An admin has stopped somebody's clock. `until` None: until they let it run again, which sets `until`."""

    matrix_id: str
    by: str
    at: datetime
    until: datetime | None = None

    def holds(self, now: datetime) -> bool:
        return self.until is None or self.until > now


class Clock(Struct, frozen=True):
    """After how long somebody is nudged, and removed, as the settings have it."""

    nudge: timedelta
    remove: timedelta

    @property
    def gap(self) -> timedelta:
        """Nobody is removed sooner after the nudge that they have really had, or after a pause."""
        return max(self.remove - self.nudge, timedelta())

    @property
    def look_every(self) -> timedelta:
        return min(timedelta(minutes=10), self.nudge / 24, max(self.gap, self.nudge / 24) / 24)

    def nudge_at(self, since: datetime) -> datetime:
        return since + self.nudge

    def remove_at(self, since: datetime, nudged: datetime | None, pause: Pause | None, now: datetime) -> datetime:
        """`nudged`: when, None while they were not: then as if it came in time."""
        nudged = nudged or max(self.nudge_at(since), now)
        resumed = [pause.until + self.gap] if pause and pause.until else []
        return max(since + self.remove, nudged + self.gap, *resumed)


def stay_id(room: str, matrix_id: str, since: datetime) -> str:
    return ids.digest("indoc", room, matrix_id, since.isoformat())


def pause_path(matrix_id: str) -> str:
    return f"indoc_pauses/{ids.digest('indoc pause', matrix_id)}"


class Seen(Struct, frozen=True):
    """Who was there at the last look, and since when; `looked_at` None: there was none of this room."""

    looked_at: datetime | None = None
    since: Mapping[str, datetime] = {}

    def came(self, user_id: str, written: datetime, now: datetime, trusted: timedelta) -> datetime:
        """Since when somebody has been there whose membership was last `written` then. A new display name writes it
        anew: whoever was there at a look so short a time ago has stayed, as far as their clock goes."""
        known = self.since.get(user_id)
        if known is None or self.looked_at is None or now - self.looked_at > trusted:
            return written
        return min(known, written)


def nudged_at(nudge: Step | None) -> datetime | None:
    return nudge.updated_at if nudge and nudge.state == "done" else None


class Fate(Struct, frozen=True):
    """What is to come of somebody in INDOC. None: nothing of that kind. `why`: of who is exempt, or of what hinders."""

    state: State
    nudge_at: datetime | None = None
    remove_at: datetime | None = None
    why: str = ""
    fix: str = ""


def fate(
    clock: Clock,
    since: datetime,
    now: datetime,
    *,
    exempt: str = "",
    pause: Pause | None = None,
    nudge: Step | None = None,
    removal: Step | None = None,
) -> Fate:
    if exempt:
        return Fate("exempt", why=exempt)
    nudged = nudged_at(nudge)
    at, leaves = nudged or clock.nudge_at(since), clock.remove_at(since, nudged, pause, now)
    if pause and pause.holds(now):
        begins = nudged or (max(at, pause.until) if pause.until else None)
        return Fate("paused", begins, leaves if pause.until else None, f"paused by {pause.by}")
    if removal and removal.state != "skipped":
        return Fate("leaving", at, leaves, removal.cause, removal.fix)
    if nudged:
        return Fate("nudged", at, leaves)
    if nudge and nudge.state != "skipped":
        return Fate("waiting", at, None if nudge.state == "failed" else leaves, nudge.cause, nudge.fix)
    return Fate("waiting", at, leaves)
