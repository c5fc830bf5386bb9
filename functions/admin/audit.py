"""/api/audit"""

from __future__ import annotations

from fastapi import APIRouter

from functions.admin import models as m
from shared.ports import Op
from shared.repositories import AUDIT
from shared.wiring import wiring

router = APIRouter(tags=["audit"])


@router.get("/audit")
async def list_audit(target: m.Search = "", limit: m.Limit = 50, cursor: m.Cursor = None) -> m.AuditList:
    """The newest first: who did what to whom, when, from where."""
    where: list[tuple[str, Op, str]] = [("target", "==", target)] if target else []
    found = await AUDIT.list(wiring().documents, where, "-at", limit, cursor)
    items = [m.AuditOut.model_validate(record.data()) for record in found.items]
    return m.AuditList(items=items, next_cursor=found.next_cursor, total=found.total)
