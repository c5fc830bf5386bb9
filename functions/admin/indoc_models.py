"""What goes in and out of the clock of INDOC."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from functions.admin import models as m
from shared.domain.indoc import Pause
from shared.services.indoc import Row


class PauseIn(m.Strict):
    """Neither: until somebody lets it run again."""

    until: m.Expiry | None = None
    hours: Annotated[float, Field(ge=0.01, le=8784)] | None = None


class PauseOut(m.Out):
    """`until` null: until somebody lets it run again."""

    matrix_id: str
    paused: bool
    until: m.Time | None
    by: str
    at: m.Time


class IndocItem(m.Out):
    """`since`: when they came; `hours`: ago. `nudge_at`: when they are to be nudged, or were. `remove_at`: not before.
    Both null where that will not be. `why`: why the clock leaves them alone, or what hinders it; then `fix` says what
    to do."""

    matrix_id: str
    name: str
    since: m.Time
    hours: float
    onboarding: str | None
    state: Literal["waiting", "nudged", "paused", "leaving", "exempt"]
    nudge_at: m.Time | None
    remove_at: m.Time | None
    paused_until: m.Time | None
    why: str
    fix: str


class IndocList(m.Listed):
    """`clock`: whether anybody is nudged and removed at all."""

    clock: Literal["on", "off"]
    nudge_hours: float
    remove_hours: float
    items: list[IndocItem]


def item(row: Row, now: datetime) -> IndocItem:
    person, fate = row.person, row.fate
    return IndocItem(
        matrix_id=person.matrix_id,
        name=person.resident.name,
        since=person.since,
        hours=round(max(0.0, (now - person.since).total_seconds()) / 3600, 2),
        onboarding=person.onboarding.id if person.onboarding else None,
        state=fate.state,
        nudge_at=fate.nudge_at,
        remove_at=fate.remove_at,
        paused_until=row.pause.until if row.pause and row.pause.holds(now) else None,
        why=fate.why,
        fix=fate.fix,
    )


def pause_out(pause: Pause, now: datetime) -> PauseOut:
    return PauseOut(matrix_id=pause.matrix_id, paused=pause.holds(now), until=pause.until, by=pause.by, at=pause.at)
