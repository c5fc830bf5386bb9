"""/api/bundles"""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from functions.admin import bundles_models as b
from functions.admin import models as m
from shared.services import bundles
from shared.wiring import wiring

router = APIRouter(tags=["bundles"])


@router.post("/bundles", status_code=201, responses=m.repeated(b.BundleOut))
async def create_bundle(
    request: Request,
    response: Response,
    new: b.NewBundle,
    dry_run: m.DryRun = False,
    idempotency_key: m.IdempotencyKey = "",
) -> b.BundleOut:
    """Its id comes from its name, which no other bundle may have."""
    bundle, made = await bundles.create(
        wiring(), m.actor_of(request), _wanted(new), key=idempotency_key, body=m.body_of(request), dry_run=dry_run
    )
    if dry_run or not made:
        response.status_code = 200
    return b.bundle_out(bundle)


def _wanted(new: b.NewBundle) -> bundles.Wanted:
    return bundles.Wanted(
        new.name,
        tuple(new.rooms),
        tuple(new.groups),
        tuple(new.for_groups),
        new.levels,
        new.removes,
        new.space_first,
    )


@router.get("/bundles")
async def list_bundles(limit: m.Limit = 50, cursor: m.Cursor = None) -> b.Bundles:
    """By name."""
    found = await bundles.listing(wiring(), limit, cursor)
    items = [b.bundle_out(bundle) for bundle in found.items]
    return b.Bundles(items=items, next_cursor=found.next_cursor, total=found.total)


@router.get("/bundles/{bundle_id}")
async def read_bundle(bundle_id: str) -> b.BundleOut:
    return b.bundle_out(await bundles.read(wiring(), bundle_id))


@router.put("/bundles/{bundle_id}")
async def change_bundle(
    request: Request, bundle_id: str, wanted: b.ChangedBundle, dry_run: m.DryRun = False
) -> b.BundleOut:
    """All of it anew. Nobody is moved by it: a plan shows who would be. Invites that name it give the new contents."""
    changed = await bundles.change(
        wiring(), m.actor_of(request), bundle_id, _wanted(wanted), wanted.revision, dry_run=dry_run
    )
    return b.bundle_out(changed)


@router.delete("/bundles/{bundle_id}", status_code=204)
async def delete_bundle(request: Request, bundle_id: str, dry_run: m.DryRun = False) -> None:
    """Nobody loses a room by it."""
    await bundles.delete(wiring(), m.actor_of(request), bundle_id, dry_run=dry_run)
