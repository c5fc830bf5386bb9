"""/api/invites/{id}/email and /api/users/{pk}/recovery/email"""

from __future__ import annotations

from fastapi import APIRouter, Request

from functions.admin import emails_models as e
from functions.admin import models as m
from functions.admin.users import Pk
from shared.services import mails
from shared.wiring import wiring

router = APIRouter(tags=["e-mail"])


@router.post("/invites/{invite_id}/email", status_code=202)
async def email_invite(
    request: Request,
    invite_id: str,
    wanted: e.InviteEmail | None = None,
    dry_run: m.DryRun = False,
    idempotency_key: m.IdempotencyKey = "",
) -> e.MailStarted:
    """The invite's link, to each of them in an e-mail of their own. A dry run shows it, and who cannot get it."""
    emails, body = (wanted.emails if wanted else []), m.body_of(request)
    actor = m.actor_of(request)
    return e.started(
        await mails.mail_invite(wiring(), actor, invite_id, emails, idempotency_key, body, dry_run=dry_run)
    )


@router.get("/invites/{invite_id}/email")
async def list_recipients(invite_id: str) -> e.Recipients:
    """To whom the invite was sent of late, and what became of it: failures first."""
    items = [e.recipient_out(each) for each in await mails.recipients(wiring(), invite_id)]
    return e.Recipients(items=items, next_cursor=None, total=len(items))


@router.post("/users/{pk}/recovery/email", status_code=202)
async def email_recovery(
    request: Request, pk: Pk, dry_run: m.DryRun = False, idempotency_key: m.IdempotencyKey = ""
) -> e.MailStarted:
    """A recovery link to their own address. It is made as the e-mail is sent, and shown to nobody else."""
    actor, body = m.actor_of(request), m.body_of(request)
    return e.started(await mails.mail_recovery(wiring(), actor, pk, idempotency_key, body, dry_run=dry_run))
