"""The audit: one immutable record for every admin act, webhook verdict and act on Matrix."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import field

from shared.domain import ids
from shared.domain.records import Record


class Audit(Record, frozen=True, kw_only=True):
    """Who (`actor`) did what (`action`) to whom (`target`), when, from where. `id` sorts by time."""

    id: str
    at: datetime
    actor: str
    action: str
    target: str
    outcome: str = "done"
    detail: dict[str, Any] = field(default_factory=dict)
    source: str = ""


def audit(at: datetime, actor: str, action: str, target: str, *distinct: str, **fields: Any) -> Audit:
    """The id derives from the act (`distinct` tells repeats apart), so writing it twice is one record."""
    name = ids.digest(at.isoformat(), actor, action, target, *distinct, length=12)
    return Audit(id=f"{at:%Y%m%dT%H%M%S%f}-{name}", at=at, actor=actor, action=action, target=target, **fields)
