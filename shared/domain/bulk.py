"""One act on many people: who is in it is decided once, and each of them is a line, as in an import."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, Literal

from msgspec import Struct, field

from shared.domain import ids
from shared.domain.imports import Line
from shared.domain.records import Record
from shared.domain.service_account import ACCOUNT

Deed = Literal["activate", "deactivate", "onboard", "add_group", "remove_group", "invite"]
MOST = 5_000
"""People of one act: as many lines as an import has, in one batch with their job."""
MOST_NAMED = 500
"""Of those named one by one: whom the cache does not have is asked for in Authentik."""
UNASKED = 10
"""So many may be deactivated without their number being typed."""
OWN = (ACCOUNT, "muster-webhook")
"""Without which Muster hears nothing, and can do nothing: see infra/authentik."""
OUTPOST = "ak-outpost-"
"""As Authentik names the accounts of its own outposts."""
BY_HAND = "Do it in Authentik if it is really meant."


class Bulk(Record, frozen=True, kw_only=True):
    """`group`: its name, for a deed with groups, and `group_pk`. `sizes`, `at`, `counts`: as an import's. `id`: its
    job's too."""

    id: str
    deed: Deed
    actor: str
    created_at: datetime
    group: str = ""
    group_pk: str = ""
    rooms: tuple[str, ...] = ()
    sizes: tuple[int, ...] = ()
    at: int = 0
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def lines(self) -> int:
        return sum(self.sizes)

    @property
    def stopped_at(self) -> int:
        return 0

    def stopped(self, line: Line) -> Bulk:  # noqa: ARG002 - one person keeps none of the others waiting
        return self


class Someone(Struct, frozen=True):
    """An account, as the cache or Authentik has it. `groups`: names and pks. `matrix_id`: what it says itself."""

    pk: int
    username: str
    name: str
    active: bool
    superuser: bool
    groups: Collection[str]
    matrix_id: str
    onboarding: str


class Guard(Struct, frozen=True):
    """Whom no act on many may touch. `actor`: "user:ada" for a person, "key:ops" for a key."""

    actor: str
    admin_group: str = ""
    bot: str = ""
    domain: str = ""

    def against(self, one: Someone) -> str:
        """Why this one is left out, or nothing."""
        if one.superuser:
            return "is a superuser of Authentik"
        if self.admin_group and self.admin_group in one.groups:
            return "is an admin"
        if one.username in OWN or one.username.startswith(OUTPOST):
            return "is no person: a system signs in with this account"
        if self.bot and self.bot in (one.matrix_id, f"@{one.username}:{self.domain}"):
            return "is the bot"
        return "is you" if self._is_me(one) else ""

    def _is_me(self, one: Someone) -> bool:
        kind, _, me = self.actor.partition(":")
        return kind == "user" and (me == one.username or ids.onboarding_id(me) == one.onboarding)


def needless(deed: Deed, one: Someone, group_pk: str) -> str:
    """Why there is nothing to be done for this one."""
    if deed == "activate":
        return "is active already" if one.active else ""
    if deed == "deactivate":
        return "" if one.active else "is deactivated already"
    if deed == "add_group":
        return "is in the group already" if group_pk in one.groups else ""
    if deed == "remove_group":
        return "" if group_pk in one.groups else "is not in the group"
    return "" if one.active else "is deactivated"


def words(bulk: Bulk, people: int) -> str:
    """What the job is about, for lists."""
    whom = f"{people} {'person' if people == 1 else 'people'}"
    where = f"{len(bulk.rooms)} {'room' if len(bulk.rooms) == 1 else 'rooms'}"
    return {
        "activate": f"activate {whom}",
        "deactivate": f"deactivate {whom}",
        "onboard": f"bring in {whom}",
        "add_group": f"{whom} into {bulk.group}",
        "remove_group": f"{whom} out of {bulk.group}",
        "invite": f"invite {whom} to {where}",
    }[bulk.deed]


def line_of(number: int, one: Someone, against: str = "", fix: str = "") -> Line:
    line = Line(line=number, id=str(one.pk), username=one.username, label=one.name, onboarding=one.onboarding)
    return line.failed(against, fix, "skipped") if against else line


def out(line: Line) -> dict[str, Any]:
    """What a person's line leads to."""
    return {name: value for name, value in (("onboarding", line.onboarding), ("job", line.job)) if value}
