"""/api/sync"""

from __future__ import annotations

from fastapi import APIRouter, Request

from functions.admin import models as m
from functions.admin import sync_models as s
from shared.domain.syncs import SOURCES
from shared.services import cache, sync_requests
from shared.wiring import wiring

router = APIRouter(tags=["sync"])


@router.get("/sync")
async def read_sync() -> s.SyncList:
    """Per source: how old the cache is, what is under way, what went wrong."""
    ports, items = wiring(), []
    for source in SOURCES:
        sync, now = await cache.state(ports, source), ports.now()
        more = {"running": sync.is_running(now), "age_seconds": sync.age(now), "synced_at": sync.synced_at}
        items.append(s.SyncOut.model_validate(sync.data() | more | {"progress": sync.part_done()}))
    return s.SyncList(items=items, next_cursor=None, total=len(items))


@router.post("/sync", status_code=202)
async def start_sync(request: Request, wanted: s.SyncAsk | None = None, dry_run: m.DryRun = False) -> s.SyncList:
    """Answers before it is done: `GET /api/sync` says how far it is."""
    asked = wanted or s.SyncAsk()
    sources = [asked.source] if asked.source else list(SOURCES)
    await sync_requests.ask(wiring(), m.actor_of(request), sources, asked.kind, dry_run=dry_run)
    return await read_sync()
