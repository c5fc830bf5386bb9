"""/api/categories"""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from functions.admin import categories_models as c
from functions.admin import models as m
from shared.services import categories
from shared.wiring import wiring

router = APIRouter(tags=["categories"])


@router.get("/categories")
async def list_categories(limit: m.Limit = 50, cursor: m.Cursor = None) -> c.Categories:
    found = await categories.listing(wiring(), limit, cursor)
    items = [c.category_out(category) for category in found.items]
    return c.Categories(items=items, next_cursor=found.next_cursor, total=found.total)


@router.post("/categories", status_code=201, responses=m.repeated(c.CategoryOut))
async def create_category(
    request: Request,
    response: Response,
    new: c.NewCategory,
    dry_run: m.DryRun = False,
    idempotency_key: m.IdempotencyKey = "",
) -> c.CategoryOut:
    """A name is taken once. Repeated with the same Idempotency-Key it is the same category."""
    wanted = _wanted(new, idempotency_key, m.body_of(request))
    category, made = await categories.create(wiring(), m.actor_of(request), wanted, dry_run=dry_run)
    if dry_run or not made:
        response.status_code = 200
    return c.category_out(category)


@router.get("/categories/{category_id}")
async def read_category(category_id: str) -> c.CategoryOut:
    return c.category_out(await categories.read(wiring(), category_id))


@router.put("/categories/{category_id}")
async def replace_category(
    request: Request, category_id: str, whole: c.CategoryReplaced, dry_run: m.DryRun = False
) -> c.CategoryOut:
    """All of it, what is left out is emptied. 409 when somebody else has changed it since `revision`."""
    changed = await categories.replace(
        wiring(), m.actor_of(request), category_id, _wanted(whole), whole.revision, dry_run=dry_run
    )
    return c.category_out(changed)


@router.delete("/categories/{category_id}", status_code=204)
async def delete_category(
    request: Request, category_id: str, revision: c.RevisionAsked = None, dry_run: m.DryRun = False
) -> None:
    """The category alone; its rooms stay. With `revision`: 409 when somebody else has changed it since."""
    await categories.delete(wiring(), m.actor_of(request), category_id, revision, dry_run=dry_run)


def _wanted(new: c.NewCategory, key: str = "", body: str = "") -> categories.Wanted:
    return categories.Wanted(new.name, tuple(new.keywords), new.synonyms, tuple(new.rooms), key, body)
