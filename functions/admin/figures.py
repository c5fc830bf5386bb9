"""/api/metrics and /api/costs: numbers that a page can plot as they are."""

from __future__ import annotations

from fastapi import APIRouter
from msgspec.structs import asdict

from functions.admin import models as m
from shared.domain import costs
from shared.services import figures
from shared.wiring import wiring

router = APIRouter(tags=["operation"])


@router.get("/metrics")
async def read_metrics() -> m.MetricsOut:
    """How everybody is doing. A bounded number of reads; up to a minute old."""
    found = await figures.metrics(wiring())
    return m.MetricsOut.model_validate(found, from_attributes=True)


@router.get("/costs")
async def read_costs() -> m.CostsOut:
    """Operations, and an estimate in money, for one onboarding and for 30 days, against the free tier."""
    ports = wiring()
    found = await figures.costs_of(ports, ports.settings["COST_PRICES"])
    lines = [m.CostLine(**asdict(line)) for line in found.month.lines]
    return m.CostsOut(
        at=found.at,
        currency=costs.CURRENCY,
        prices_of=costs.AS_OF,
        source=costs.SOURCE,
        onboardings=found.onboardings,
        rooms=round(found.rooms, 1),
        kept=found.kept,
        per_onboarding=m.CostOut(**costs.as_data(found.each)),
        per_month=m.CostOut(**costs.as_data(found.month)),
        lines=lines,
        assumed=dict(found.assumed),
        not_counted=list(costs.NOT_COUNTED),
    )
