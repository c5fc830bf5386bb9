"""Who vouches for those that come by an invite: an admin's or a member's username, a Matrix id, or just a name."""

from __future__ import annotations

from datetime import datetime

from shared.domain import ids
from shared.domain.errors import Invalid
from shared.domain.members import member_id
from shared.domain.records import Record

SIGNED_IN = "user:"
"""How an actor is named that has signed in with an account, see `shared.services.context.Actor`."""


class SponsorPause(Record, frozen=True, kw_only=True):
    """While it is there, whoever comes by an invite of this sponsor is held until an admin has looked. `id`: derived
    from `sponsor`, in which case and blanks at the ends do not count."""

    id: str
    sponsor: str
    paused_at: datetime
    paused_by: str
    note: str = ""

    @property
    def words(self) -> str:
        """Why somebody is held."""
        return f"the invites of {self.sponsor} are paused{f': {self.note}' if self.note else ''}"


def pause_id(sponsor: str) -> str:
    return ids.digest("sponsor", sponsor.strip().casefold())


def sponsor_by_default(actor: str) -> str:
    """Whoever has made the invite, where a person has: an API key vouches for nobody."""
    return actor.removeprefix(SIGNED_IN) if actor.startswith(SIGNED_IN) else ""


def named_matrix_id(sponsor: str) -> str:
    """The sponsor, where it is a Matrix id; else empty."""
    if not sponsor.startswith("@"):
        return ""
    try:
        return member_id(sponsor)
    except Invalid:
        return ""
