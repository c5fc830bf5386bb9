"""Called by Authentik when somebody has enrolled. Verified, read, handed to one service."""

from __future__ import annotations

import hmac
import logging
from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from functions import http
from shared import logs
from shared.domain.errors import Unauthenticated
from shared.domain.webhook import parse
from shared.services.context import Actor
from shared.services.enroll import Hint, enroll, ignored
from shared.wiring import wiring

log = logging.getLogger("muster")


async def handle(request: Request) -> Response:
    """202 accepted, 200 known or not an enrollment, 400, 401, 413; 429 and 503 make Authentik try again.

    Idempotent by the event's document and the onboarding's id, for as long as they are kept."""

    async def receive(request: Request) -> Response:
        http.only(request, "POST")
        raw = await http.read_body(request)
        wired = wiring()
        wired.settings.require("webhook", "authentik", "onboarding", "store", "tasks")
        actor, limit = Actor("authentik", http.source(request)), wired.per_minute("WEBHOOK_REQUESTS_PER_MINUTE")
        try:
            verify(request.headers, raw, await wired.secret("AUTHENTIK_WEBHOOK_SECRETS"))
        except Unauthenticated:
            wired.limiter.wrong("webhook", actor.source, limit)
            raise
        wired.limiter.unless_guessing("webhook", actor.source, limit)
        notice = parse(http.read_json(raw), raw)
        hint = Hint(notice.event_id, notice.pk, notice.username)
        logs.within(event=notice.event_id)
        permit = wired.limiter.take("webhook", actor.source, limit, "WEBHOOK_REQUESTS_PER_MINUTE")
        if not notice.enrolled:
            await permit
            verdict = await ignored(wired, hint, actor, f"{notice.action} is not an enrollment")
        else:
            verdict = await enroll(wired, hint, actor, permit)
        log.info("webhook: %s", verdict.kind, extra={"fields": {"reason": verdict.reason, "source": actor.name}})
        body = {"status": verdict.kind, "onboarding": verdict.onboarding or None, "reason": verdict.reason or None}
        return JSONResponse(body, 202 if verdict.kind == "accepted" else 200)

    return await http.answer(receive, request)


def verify(headers: Headers, raw: bytes, secrets: Sequence[str]) -> None:
    """A signature by Standard Webhooks (within 5 minutes), or one of the shared secrets. Raises `Unauthenticated`."""
    if "webhook-signature" in headers:
        if any(_signed(headers, raw, secret) for secret in secrets):
            return
        raise Unauthenticated(
            "the webhook's signature is not valid, or older than 5 minutes",
            "Compare MUSTER_WEBHOOK_SECRET of the Authentik worker with AUTHENTIK_WEBHOOK_SECRETS, and the clocks.",
        )
    bearer = headers.get("authorization", "")
    given = bearer[7:] if bearer[:7].lower() == "bearer " else headers.get("x-muster-secret", "")
    matches = [hmac.compare_digest(given.encode(), secret.encode()) for secret in secrets]
    if not given or not any(matches):
        raise Unauthenticated(
            "the webhook is neither signed nor bears the secret", "See infra/authentik/blueprint.yaml."
        )


def _signed(headers: Headers, raw: bytes, secret: str) -> bool:
    """The key is the secret's base64, as Standard Webhooks has it, or the bytes of a secret that is none."""
    from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook, WebhookVerificationError

    lower = {name.lower(): value for name, value in headers.items()}
    for key in (secret, secret.encode()):
        try:
            Webhook(key).verify(raw, lower, json_parse=False)
        except (WebhookVerificationError, EmptyWebhookSecretError, ValueError, RuntimeError):
            continue
        return True
    return False
