"""An invite: who may come in by which link, how often, and what it grants."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from msgspec import Struct

from shared.domain.records import Record

ATTRIBUTE = "muster_invite"
"""Where our id travels: `fixed_data.attributes` of the invitation, then the account's attributes."""

Status = Literal["pending", "redeemed", "expired", "revoked"]


class Invite(Record, frozen=True, kw_only=True):
    """`closed`: "", "redeemed" or "revoked". `code`: the pk of Authentik's invitation, "" while there
    is none. `stale`: Authentik's invitation is not yet what this record says. `bundles`: ids; what
    they give is looked up when the invite is redeemed."""

    id: str
    label: str
    created_at: datetime
    created_by: str
    expires_at: datetime
    rooms: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    bundles: tuple[str, ...] = ()
    email: str = ""
    matrix_id: str = ""
    note: str = ""
    sponsor: str = ""
    max_uses: int = 1
    uses: int = 0
    used_by: tuple[str, ...] = ()
    closed: str = ""
    closed_at: datetime | None = None
    code: str = ""
    link: str = ""
    stale: bool = True
    request: str = ""

    def status(self, now: datetime) -> Status:
        if self.closed == "revoked":
            return "revoked"
        if self.uses >= self.max_uses:
            return "redeemed"
        return "expired" if self.expires_at <= now else "pending"

    @property
    def upstream_name(self) -> str:
        """Slug characters only; names our record so that a lost answer can be found again."""
        return f"muster-{self.id.replace('_', '-')}"

    def fixed_data(self) -> dict[str, Any]:
        """An e-mail only pre-fills the form: what the member enters is compared at redemption."""
        return {"attributes": {ATTRIBUTE: self.id}} | ({"email": self.email} if self.email else {})


class Redemption(Struct, frozen=True):
    """`held`: why an admin must look at it first; "" when all is well."""

    invite: Invite
    held: str = ""


def redeem(
    invite: Invite, *, email: str, enrolled_at: datetime, onboarding: str, now: datetime, paused: str = ""
) -> Redemption:
    """One more use, or the reason why an admin must look first. What is held counts no use until it is
    approved: a stranger with the link must not lock the invited person out. `paused`: why nobody comes by it now."""
    objection = _objection(invite, email, enrolled_at) or paused
    return Redemption(invite if objection else used(invite, onboarding, now), objection)


def used(invite: Invite, onboarding: str, now: datetime) -> Invite:
    """Counts a use, and closes the invite with its last one. The same onboarding counts once."""
    if onboarding in invite.used_by:
        return invite
    more = invite.but(uses=invite.uses + 1, used_by=(*invite.used_by, onboarding))
    if more.uses >= more.max_uses and not more.closed:
        return more.but(closed="redeemed", closed_at=now, stale=True)
    return more


def _objection(invite: Invite, email: str, enrolled_at: datetime) -> str:
    if invite.closed == "revoked":
        return f"the invite {invite.label!r} had been revoked"
    if invite.uses >= invite.max_uses:
        return f"the invite {invite.label!r} is good for {invite.max_uses}, and was used {invite.uses} times before"
    if enrolled_at > invite.expires_at:
        return f"the invite {invite.label!r} had expired"
    if invite.email and invite.email.strip().casefold() != email.strip().casefold():
        return f"the invite {invite.label!r} was for another e-mail address than the account's"
    return ""
