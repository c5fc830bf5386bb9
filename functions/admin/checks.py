"""/api/self-check and /api/health"""

from __future__ import annotations

from fastapi import APIRouter
from msgspec.structs import asdict

from functions.admin import models as m
from shared.services.self_check import self_check
from shared.settings import Settings
from shared.wiring import wiring

router = APIRouter(tags=["operation"])


@router.get("/self-check")
async def run_self_check() -> m.Checks:
    """Everything that must be right outside of the code, each with its fix."""
    ports = wiring()
    found = await self_check(ports, ports.settings.problems(), _where(ports.settings))
    items = [m.CheckOut(**asdict(finding)) for finding in found]
    return m.Checks(ok=all(item.ok for item in items), items=items, next_cursor=None, total=len(items))


def _where(settings: Settings) -> str:
    """Of a deployment: in the stack on this machine the schedules are no commands of Google's."""
    if settings.problems("stack", "store", "tasks") or not settings.production:
        return ""
    return f"--location={settings['TASKS_LOCATION']} --project={settings['GOOGLE_CLOUD_PROJECT']}"


@router.get("/health")
async def health() -> dict[str, str]:
    """No login, no outside call. Answered before this application is even loaded; here for the document."""
    return {"status": "ok"}
