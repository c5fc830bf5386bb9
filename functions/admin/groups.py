"""/api/groups"""

from __future__ import annotations

from fastapi import APIRouter

from functions.admin import groups_models as g
from functions.admin import models as m
from shared.services import group_list
from shared.wiring import wiring

router = APIRouter(tags=["groups"])


@router.get("/groups")
async def list_groups(q: m.Search = "", limit: m.Limit = 50, cursor: m.Cursor = None) -> g.Groups:
    """Authentik's, by name: from the cache, or of Authentik itself while there is none. `q`: each of its words is
    somewhere in the name."""
    ports, start = wiring(), m.offset_of(cursor)
    found = await group_list.groups(ports, q)
    following = str(start + limit) if start + limit < len(found.items) else None
    return g.Groups(
        items=[g.GroupOut.model_validate(each, from_attributes=True) for each in found.items[start : start + limit]],
        next_cursor=following,
        total=len(found.items),
        synced_at=found.synced_at,
        age_seconds=max(0.0, (ports.now() - found.synced_at).total_seconds()),
    )
