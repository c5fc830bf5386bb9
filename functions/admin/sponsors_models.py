"""What goes in and out of /api/sponsors."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import Query
from pydantic import Field

from functions.admin import models as m
from shared.services.sponsors import Standing

Sponsor = Annotated[m.Line, Field(min_length=1)]
"""As the invites name them: any text at all, so it is in no path."""
Asked = Annotated[str, Query(min_length=1, max_length=200, description="as the invites name them")]


class SponsorIn(m.Strict):
    sponsor: Sponsor


class PauseIn(SponsorIn):
    """`note`: why, for the admins; whoever is held meanwhile is held with it."""

    note: Annotated[m.Line, Field(max_length=200)] = ""


class SponsorOut(m.Out):
    """`invites`: those by which somebody can still come, the next to expire first, at most 200. `came`: by these."""

    sponsor: str
    paused: bool
    paused_at: m.Time | None
    paused_by: str
    note: str
    came: int
    invites: list[m.InviteOut]


def sponsor_out(found: Standing, now: datetime) -> SponsorOut:
    pause = found.pause
    return SponsorOut(
        sponsor=found.sponsor,
        paused=pause is not None,
        paused_at=pause.paused_at if pause else None,
        paused_by=pause.paused_by if pause else "",
        note=pause.note if pause else "",
        came=found.came,
        invites=[m.invite_out(invite, now) for invite in found.invites],
    )
