"""/api/status"""

from __future__ import annotations

from fastapi import APIRouter

from functions.admin.status_models import DownOut, StatusOut, WrongSetting
from shared.services import status
from shared.settings_told import told
from shared.wiring import wiring

router = APIRouter(tags=["operation"])


@router.get("/status")
async def read_status() -> StatusOut:
    """What is down, since when and why; how old what runs by itself is; which settings are wrong. One read, and none
    where the store itself is not set: the self-check looks closer, and takes seconds."""
    ports = wiring()
    wrong = [each for each in told(ports.settings) if each.problem]
    found = status.Status() if ports.settings.problems("store") else await status.status(ports)
    return StatusOut(
        at=ports.now(),
        settings=[WrongSetting(name=each.setting.name, problem=each.problem, fix=each.fix) for each in wrong],
        down=[DownOut.model_validate(breaker, from_attributes=True) for breaker in found.down],
        sweep_at=found.sweep_at,
        sweep_failed=dict(found.sweep_failed),
        webhook_at=found.webhook_at,
    )
