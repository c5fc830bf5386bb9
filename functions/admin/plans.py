"""/api/plans"""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Request, Response

from functions.admin import models as m
from functions.admin import plans_models as p
from shared.domain.errors import Invalid
from shared.services import plan_apply, plans
from shared.wiring import wiring

router = APIRouter(tags=["plans"])


@router.post("/plans", status_code=201, responses=m.repeated(p.PlanOut))
async def create_plan(
    request: Request,
    response: Response,
    new: p.NewPlan | None = None,
    dry_run: m.DryRun = False,
    idempotency_key: m.IdempotencyKey = "",
) -> p.PlanOut:
    """What would change so that everybody is where their bundles say. Nothing is changed by it."""
    ports, asked = wiring(), new or p.NewPlan()
    wanted = plans.Wanted(
        tuple(asked.bundles),
        tuple(asked.groups),
        tuple(asked.matrix_ids),
        idempotency_key,
        m.body_of(request),
    )
    plan, made = await plans.create(ports, m.actor_of(request), wanted, dry_run=dry_run)
    if dry_run or not made:
        response.status_code = 200
    return p.plan_out(plan, ports.now())


@router.get("/plans")
async def list_plans(limit: m.Limit = 50, cursor: m.Cursor = None) -> p.Plans:
    """The newest first, for a month."""
    ports = wiring()
    found = await plans.listing(ports, limit, cursor)
    items = [p.plan_out(plan, ports.now()) for plan in found.items]
    return p.Plans(items=items, next_cursor=found.next_cursor, total=found.total)


@router.get("/plans/{plan_id}")
async def read_plan(plan_id: str) -> p.PlanOut:
    ports = wiring()
    return p.plan_out(await plans.read(ports, plan_id), ports.now())


@router.get("/plans/{plan_id}/lines")
async def list_lines(
    plan_id: str,
    action: Literal["", "invite", "join", "remove", "level", "keep"] = "",
    limit: m.Limit = 50,
    cursor: m.Cursor = None,
) -> p.PlanLines:
    """Member by member. Of one action a page may hold fewer than `limit`, and still have a next one."""
    page = await plans.page(wiring(), plan_id, action, limit, cursor)
    return p.PlanLines(items=[p.line_out(line) for line in page.items], next_cursor=page.next_cursor, total=page.total)


@router.post("/plans/{plan_id}/apply", status_code=202)
async def apply_plan(request: Request, plan_id: str, wanted: p.Apply, dry_run: m.DryRun = False) -> m.JobStarted:
    """The ticked lines, each looked at once more before it acts. More than ten removals need their number typed."""
    if wanted.lines is None and not wanted.all_of:
        raise Invalid.field("lines", p.EXPECTED)
    ticked = None if wanted.lines == "all" else tuple(wanted.lines or ())
    of, without = tuple(wanted.all_of), frozenset(wanted.without)
    asked = plan_apply.Wanted(ticked, wanted.removals, m.body_of(request), of, without)
    view = await plan_apply.apply(wiring(), m.actor_of(request), plan_id, asked, dry_run=dry_run)
    return m.JobStarted(job=m.job_out(view))


@router.post("/plans/{plan_id}/undo", status_code=202)
async def undo_plan(
    request: Request, plan_id: str, wanted: p.Undo | None = None, dry_run: m.DryRun = False
) -> m.JobStarted:
    """For seven days: who was removed is invited again, who was invited is not any more, levels are restored."""
    removals = wanted.removals if wanted else None
    view = await plan_apply.undo(wiring(), m.actor_of(request), plan_id, removals, dry_run=dry_run)
    return m.JobStarted(job=m.job_out(view))
