"""What goes in and out of e-mails."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from functions.admin.models import JobOut, Line, Listed, Out, Strict, Time, job_out
from shared.services.jobs import MAX_STEPS
from shared.services.mails import Recipient, Sending


class InviteEmail(Strict):
    """Without `emails`: to the invite's own address. One that can be no address is a failed item of the job."""

    emails: Annotated[list[Line], Field(max_length=MAX_STEPS)] = []


class MailPreview(Out):
    """What one of the recipients gets; of a recovery link only where it will stand. `via`: "smtp", or "authentik":
    then Authentik words and sends it."""

    via: str
    sender: str
    to: str
    subject: str
    plain: str
    html: str


class MailStarted(Out):
    job: JobOut
    preview: MailPreview


class RecipientOut(Out):
    """The latest e-mail to this address: `job` and `step` name it, for a retry. `via`: who has sent it, if it is."""

    email: str
    state: str
    attempts: int
    next_at: Time | None
    cause: str
    fix: str
    detail: str
    via: str
    at: Time | None
    job: str
    step: str


class Recipients(Listed):
    items: list[RecipientOut]


def started(sending: Sending) -> MailStarted:
    preview = MailPreview.model_validate(sending.preview, from_attributes=True)
    return MailStarted(job=job_out(sending.view), preview=preview)


def recipient_out(recipient: Recipient) -> RecipientOut:
    step = recipient.step
    return RecipientOut(
        email=recipient.email,
        state=step.state,
        attempts=step.attempts,
        next_at=step.due_at,
        cause=step.cause,
        fix=step.fix,
        detail=str(step.result.get("reason", "")),
        via=str(step.result.get("via", "")),
        at=step.updated_at,
        job=recipient.job.id,
        step=step.name,
    )
