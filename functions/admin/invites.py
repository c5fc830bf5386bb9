"""/api/invites"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from msgspec.structs import replace

from functions.admin import invite_text_models as it
from functions.admin import models as m
from shared.domain.errors import Invalid
from shared.services import invites
from shared.services.invite_texts import invite_text
from shared.wiring import wiring

router = APIRouter(tags=["invites"])


@router.post("/invites", status_code=201, responses=m.repeated(m.InviteOut))
async def create_invite(
    request: Request,
    response: Response,
    new: m.NewInvite,
    dry_run: m.DryRun = False,
    idempotency_key: m.IdempotencyKey = "",
) -> m.InviteOut:
    """An invite and its link. Repeated with the same Idempotency-Key it is the same invite."""
    ports = wiring()
    wanted = replace(wanted_of(new, ports.now()), key=idempotency_key, body=m.body_of(request))
    invite, made = await invites.create(ports, m.actor_of(request), wanted, dry_run=dry_run)
    if dry_run or not made:
        response.status_code = 200
    return m.invite_out(invite, ports.now())


def wanted_of(new: m.NewInvite, now: datetime) -> invites.Wanted:
    fields = new.model_dump(exclude={"expires_in_hours", "expires_at", "rooms", "groups", "bundles"})
    rooms, groups, bundles = tuple(new.rooms), tuple(new.groups), tuple(new.bundles)
    return invites.Wanted(**fields, rooms=rooms, groups=groups, bundles=bundles, expires_at=_expiry(now, new))


def _expiry(now: Any, given: m.NewInvite | m.InviteChanges) -> Any:
    if given.expires_in_hours is not None and given.expires_at is not None:
        raise Invalid.field("expires_at", "expected either this or expires_in_hours")
    return now + timedelta(hours=given.expires_in_hours) if given.expires_in_hours is not None else given.expires_at


@router.get("/invites")
async def list_invites(
    status: Literal["", "pending", "redeemed", "expired", "revoked"] = "", limit: m.Limit = 50, cursor: m.Cursor = None
) -> m.Invites:
    ports = wiring()
    found = await invites.listing(ports, status, limit, cursor)
    items = [m.invite_out(invite, ports.now()) for invite in found.items]
    return m.Invites(items=items, next_cursor=found.next_cursor, total=found.total)


@router.get("/invites/{invite_id}")
async def read_invite(invite_id: str) -> m.InviteOut:
    ports = wiring()
    return m.invite_out(await invites.read(ports, invite_id), ports.now())


@router.get("/invites/{invite_id}/text")
async def read_invite_text(invite_id: str, language: it.Language = "") -> it.InviteText:
    """What to hand over with the link, by the template `invite_text` that counts for it. 409 where the link lets nobody
    in."""
    found = await invite_text(wiring(), invite_id, language)
    return it.InviteText(text=found.text, template=found.template)


@router.patch("/invites/{invite_id}")
async def edit_invite(
    request: Request, invite_id: str, changes: m.InviteChanges, dry_run: m.DryRun = False
) -> m.InviteOut:
    """Only the fields that are there. More uses or a later expiry open a used-up or expired invite again."""
    ports = wiring()
    given: dict[str, Any] = changes.model_dump(exclude_unset=True, exclude={"expires_in_hours", "expires_at"})
    _no_nulls(given)
    expires_at = _expiry(ports.now(), changes)
    if expires_at is not None:
        given["expires_at"] = expires_at
    fields = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
    invite = await invites.edit(ports, m.actor_of(request), invite_id, fields, dry_run=dry_run)
    return m.invite_out(invite, ports.now())


def _no_nulls(given: dict[str, Any]) -> None:
    for name, value in given.items():
        if value is None:
            raise Invalid.field(name, "expected a value; leave the field out to keep what is there")


@router.post("/invites/{invite_id}/revoke")
async def revoke_invite(request: Request, invite_id: str, dry_run: m.DryRun = False) -> m.InviteOut:
    """The link ends at once. Who has come in by it stays."""
    ports = wiring()
    invite = await invites.revoke(ports, m.actor_of(request), invite_id, dry_run=dry_run)
    return m.invite_out(invite, ports.now())
