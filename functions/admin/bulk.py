"""/api/users/bulk: one act on everybody whom a filter finds"""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Request

from functions.admin import bulk_models as b
from functions.admin import models as m
from shared.domain.errors import Invalid
from shared.services import bulk, lists
from shared.wiring import wiring

router = APIRouter(tags=["users"])


@router.post("/users/bulk", status_code=202)
async def act_on_many(
    request: Request, wanted: b.Bulk, dry_run: m.DryRun = False, idempotency_key: m.IdempotencyKey = ""
) -> m.JobStarted:
    """Who is meant is decided now, up to 5,000 people; the answer names everybody, and what would become of them.
    Admins, superusers, the bot and whoever asks are left out, with the reason."""
    _check(wanted)
    by = wanted.filter
    asked = bulk.Wanted(
        wanted.act,
        tuple(wanted.pks or ()),
        lists.Wanted(by.q, by.active, by.group) if by else None,
        wanted.group,
        tuple(wanted.rooms),
        wanted.count,
        idempotency_key,
        m.body_of(request),
    )
    return m.JobStarted(job=m.job_out(await bulk.start(wiring(), m.actor_of(request), asked, dry_run=dry_run)))


def _check(wanted: b.Bulk) -> None:
    """A field that this act does not know would be misunderstood by whoever sent it."""
    grouped = wanted.act in ("add_group", "remove_group")
    if grouped != bool(wanted.group):
        raise Invalid.field("group", "expected a group" if grouped else f"means nothing to {wanted.act!r}")
    if wanted.act == "invite" and not wanted.rooms:
        raise Invalid.field("rooms", "expected at least one room")
    if wanted.rooms and wanted.act not in ("invite", "onboard"):
        raise Invalid.field("rooms", f"means nothing to {wanted.act!r}")


@router.api_route("/users/bulk", methods=["GET", "PATCH", "DELETE"], include_in_schema=False)
async def no_user(dry_run: m.DryRun = False) -> None:  # noqa: ARG001 - or it would be a 400
    """ "bulk" is no account's pk; without this, the routes of a single account would answer here."""
    raise HTTPException(405)
