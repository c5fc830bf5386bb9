"""What goes out of /api/groups."""

from __future__ import annotations

from functions.admin import models as m
from functions.admin import sync_models as s


class GroupOut(m.Out):
    """`members`: how many are in it itself; null: not known before the next sync. `grantable`: whether an invite, a
    bundle or a form may give it; `why` not, in words."""

    id: str
    name: str
    members: int | None
    grantable: bool
    why: str


class Groups(s.Aged):
    items: list[GroupOut]
