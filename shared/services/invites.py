"""Invites: our record first, then Authentik's invitation brought to what the record says."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct

from shared.domain import ids
from shared.domain.audit import audit
from shared.domain.errors import Conflict, Invalid, MusterError, NotFound, Outpaced
from shared.domain.invites import Invite
from shared.domain.sponsors import sponsor_by_default
from shared.ports import Invitation, Op
from shared.repositories import INVITES, Listing, Stored, audit_write
from shared.services import bundles
from shared.services.context import Actor, Ports, log
from shared.services.groups import check_grantable
from shared.services.tasks import again_when_outpaced

DEFAULT_HOURS = 7 * 24
MAX_DAYS = 366


class Wanted(Struct, frozen=True):
    """What an admin asks for. `key`: the Idempotency-Key; `body`: a digest of the request."""

    label: str
    expires_at: datetime | None = None
    rooms: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    bundles: tuple[str, ...] = ()
    email: str = ""
    matrix_id: str = ""
    max_uses: int = 1
    note: str = ""
    sponsor: str = ""
    key: str = ""
    body: str = ""


async def create(ports: Ports, actor: Actor, wanted: Wanted, *, dry_run: bool = False) -> tuple[Invite, bool]:
    """The invite, and whether it was made just now. A repeat of the key continues a half-made one.
    Raises `Conflict` for the same key with another body."""
    now = ports.now()
    name = ids.keyed_id("inv", actor.name, "invites", wanted.key or f"{ports.chance():032x}")
    known = await INVITES.find(ports.documents, name) if wanted.key else None
    if known:
        return await _repeated(ports, known, wanted, dry_run=dry_run), False
    expires_at = check_expiry(wanted.expires_at or now + timedelta(hours=DEFAULT_HOURS), now)
    await check_grantable(ports, wanted.groups)
    given = await bundles.granting(ports, wanted.bundles)
    invite = Invite(
        id=name,
        label=wanted.label,
        created_at=now,
        created_by=actor.name,
        expires_at=expires_at,
        rooms=wanted.rooms,
        groups=wanted.groups,
        bundles=given,
        email=wanted.email,
        matrix_id=wanted.matrix_id,
        note=wanted.note,
        sponsor=wanted.sponsor.strip() or sponsor_by_default(actor.name),
        max_uses=wanted.max_uses,
        request=wanted.body,
    )
    if dry_run:
        return invite, True
    record = audit(now, actor.name, "invite.create", name, source=actor.source, detail={"label": wanted.label})
    try:
        await ports.documents.write(INVITES.create(invite, name), audit_write(record))
    except Outpaced:  # the same key at the same moment
        return await _repeated(ports, await INVITES.get(ports.documents, name), wanted), False
    return await reconcile(ports, name), True


async def _repeated(ports: Ports, known: Stored[Invite], wanted: Wanted, *, dry_run: bool = False) -> Invite:
    if known.record.request != wanted.body:
        raise Conflict("this Idempotency-Key was used with another body", "Use a new key for a new invite.")
    return await reconcile(ports, known.record.id) if known.record.stale and not dry_run else known.record


def check_expiry(at: datetime, now: datetime) -> datetime:
    if not now < at <= now + timedelta(days=MAX_DAYS):
        raise Invalid.field("expires_at", f"expected a time between now and {MAX_DAYS} days from now")
    return at


async def listing(ports: Ports, status: str, limit: int, cursor: str | None) -> Listing[Invite]:
    now = ports.now()
    by_status: dict[str, tuple[list[tuple[str, Op, Any]], str]] = {
        "": ([], "-created_at"),
        "pending": ([("closed", "==", ""), ("expires_at", ">", now)], "expires_at"),
        "expired": ([("closed", "==", ""), ("expires_at", "<=", now)], "-expires_at"),
        "redeemed": ([("closed", "==", "redeemed")], "-created_at"),
        "revoked": ([("closed", "==", "revoked")], "-created_at"),
    }
    where, order = by_status[status]
    return await INVITES.list(ports.documents, where, order, limit, cursor)


async def read(ports: Ports, invite_id: str) -> Invite:
    """Raises `NotFound`."""
    return (await INVITES.get(ports.documents, invite_id)).record


async def edit(ports: Ports, actor: Actor, invite_id: str, changes: dict[str, Any], *, dry_run: bool = False) -> Invite:
    """More uses open a redeemed invite again; a revoked one stays revoked. Raises `Conflict`, `Invalid`."""
    await check_grantable(ports, changes.get("groups", ()))
    if "bundles" in changes:
        changes = changes | {"bundles": await bundles.granting(ports, changes["bundles"])}
    if not changes:
        return await read(ports, invite_id)

    async def attempt() -> Invite:
        stored = await INVITES.get(ports.documents, invite_id)
        changed = _edited(stored.record, changes, ports.now())
        if not dry_run:
            record = audit(ports.now(), actor.name, "invite.edit", invite_id, source=actor.source)
            await ports.documents.write(
                stored.replaced(changed), audit_write(record.but(detail={"fields": sorted(changes)}))
            )
        return changed

    changed = await again_when_outpaced(attempt)
    return changed if dry_run else await reconcile(ports, invite_id)


def _edited(invite: Invite, changes: dict[str, Any], now: datetime) -> Invite:
    if invite.closed == "revoked":
        raise Conflict("this invite was revoked", "Make a new one.")
    if "expires_at" in changes:
        check_expiry(changes["expires_at"], now)
    changed = invite.but(**changes, stale=True)
    if changed.max_uses < changed.uses:
        raise Invalid.field("max_uses", f"expected at least {changed.uses}: it was used so often already")
    used_up = changed.uses >= changed.max_uses
    return changed.but(closed="redeemed" if used_up else "", closed_at=(invite.closed_at or now) if used_up else None)


async def revoke(ports: Ports, actor: Actor, invite_id: str, *, dry_run: bool = False) -> Invite:
    """Once is enough; again changes nothing."""

    async def attempt() -> Invite:
        stored = await INVITES.get(ports.documents, invite_id)
        if stored.record.closed == "revoked":
            return stored.record
        closed = stored.record.but(closed="revoked", closed_at=ports.now(), stale=True)
        if not dry_run:
            record = audit(ports.now(), actor.name, "invite.revoke", invite_id, source=actor.source)
            await ports.documents.write(stored.replaced(closed), audit_write(record))
        return closed

    closed = await again_when_outpaced(attempt)
    return await reconcile(ports, invite_id) if closed.stale and not dry_run else closed


async def reconcile(ports: Ports, invite_id: str) -> Invite:
    """Makes, changes or deletes Authentik's invitation, whatever the record asks for, and records that
    it is so. Safe to repeat: one that was made and whose answer was lost is found by its name."""

    async def attempt() -> Invite:
        stored = await INVITES.get(ports.documents, invite_id)
        invite = stored.record
        if not invite.stale:
            return invite
        code, link = await _upstream(ports, invite)
        settled = invite.but(code=code, link=link, stale=False)
        try:
            await ports.documents.write(stored.replaced(settled))
        except Outpaced:
            await _remove_double(ports, invite_id, code)
            raise
        return settled

    return await again_when_outpaced(attempt)


async def _remove_double(ports: Ports, invite_id: str, code: str) -> None:
    """Two have made the invitation at the same moment: the one that the record does not name goes again."""
    recorded = (await INVITES.get(ports.documents, invite_id)).record.code
    if code and recorded and code != recorded:
        await (await ports.directory()).delete_invitation(code)


async def _upstream(ports: Ports, invite: Invite) -> tuple[str, str]:
    directory = await ports.directory()
    code = invite.code
    if not code:
        found = await directory.find_invitation(invite.upstream_name)
        code = found.pk if found else ""
    if invite.status(ports.now()) in ("redeemed", "revoked"):
        if code:
            await directory.delete_invitation(code)
        return "", invite.link
    made: Invitation | None = None
    if code:
        try:
            made = await directory.update_invitation(code, invite.expires_at, invite.fixed_data())
        except NotFound:
            log.warning("an invitation was deleted in Authentik; made anew", extra={"fields": {"invite": invite.id}})
    if made is None:
        made = await directory.create_invitation(invite.upstream_name, invite.expires_at, invite.fixed_data())
    return made.pk, made.link


async def reconcile_all(ports: Ports, limit: int = 100) -> int:
    """For the sweep: those whose invitation is not yet what the record says."""
    found = await INVITES.list(ports.documents, [("stale", "==", True)], "", limit)
    done = 0
    for invite in found.items:
        try:
            await reconcile(ports, invite.id)
            done += 1
        except MusterError as error:
            log.warning("invite not settled", extra={"fields": {"invite": invite.id, "cause": error.cause}})
    return done
