"""/api/settings"""

from __future__ import annotations

from fastapi import APIRouter

from functions.admin.settings_models import SettingList, setting_out
from shared.settings_told import told
from shared.wiring import wiring

router = APIRouter(tags=["operation"])


@router.get("/settings")
async def read_settings() -> SettingList:
    """Every setting as this function has it: what it is for, where it comes from, whether it is valid, what to do. Of a
    secret only whether it is set: no value, no length, no digest. Reads nothing but the environment."""
    items = [setting_out(each) for each in told(wiring().settings)]
    return SettingList(ok=all(item.ok for item in items), items=items, next_cursor=None, total=len(items))
