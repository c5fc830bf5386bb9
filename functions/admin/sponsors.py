"""/api/sponsors: who vouches for newcomers, and whether their invites are paused"""

from __future__ import annotations

from fastapi import APIRouter, Request

from functions.admin import models as m
from functions.admin import sponsors_models as sm
from shared.services import sponsors
from shared.wiring import wiring

router = APIRouter(tags=["invites"])


@router.get("/sponsors")
async def read_sponsor(sponsor: sm.Asked) -> sm.SponsorOut:
    """Their open invites. Somebody whom no invite names has none."""
    ports = wiring()
    return sm.sponsor_out(await sponsors.standing(ports, sponsor), ports.now())


@router.post("/sponsors/pause")
async def pause_sponsor(request: Request, wanted: sm.PauseIn, dry_run: m.DryRun = False) -> sm.SponsorOut:
    """All of their invites at once, and those that are made later: whoever comes by one is held until an admin decides.
    No link is lost. Paused already: the pause stays as it is."""
    ports = wiring()
    found = await sponsors.pause(ports, m.actor_of(request), wanted.sponsor, wanted.note, dry_run=dry_run)
    return sm.sponsor_out(found, ports.now())


@router.post("/sponsors/resume")
async def resume_sponsor(request: Request, wanted: sm.SponsorIn, dry_run: m.DryRun = False) -> sm.SponsorOut:
    """Their links work again as before. Who was held meanwhile stays held until an admin decides."""
    ports = wiring()
    found = await sponsors.resume(ports, m.actor_of(request), wanted.sponsor, dry_run=dry_run)
    return sm.sponsor_out(found, ports.now())
