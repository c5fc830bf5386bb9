"""/api/onboardings"""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Request
from starlette.responses import Response

from functions.admin import models as m
from functions.admin.streams import EVENTS, LastEventId, stream
from shared.services import onboardings
from shared.services.watching import OnboardingWatch
from shared.wiring import wiring

router = APIRouter(tags=["onboardings"])


@router.get("/onboardings")
async def list_onboardings(
    state: Literal["", "running", "waiting", "held", "done", "failed"] = "",
    limit: m.Limit = 50,
    cursor: m.Cursor = None,
) -> m.Onboardings:
    found = await onboardings.listing(wiring(), state, limit, cursor)
    items = [m.OnboardingSummary.model_validate(m.onboarding_summary(item)) for item in found.items]
    return m.Onboardings(items=items, next_cursor=found.next_cursor, total=found.total)


@router.get("/onboardings/{onboarding_id}")
async def read_onboarding(onboarding_id: str) -> m.OnboardingWithReplies:
    """With the member's replies to the bot, which are kept locked and opened for this answer alone."""
    return m.onboarding_with_replies(await onboardings.view_with_replies(wiring(), onboarding_id))


@router.get("/onboardings/{onboarding_id}/events", response_class=Response, responses=EVENTS)
async def follow_onboarding(request: Request, onboarding_id: str, last_event_id: LastEventId = "") -> Response:
    """It again whenever it has changed, until it is done: `event: onboarding`, then `event: end`."""
    watch = OnboardingWatch(wiring(), onboarding_id)
    shown = lambda: m.onboarding_with_replies(watch.view).model_dump_json()  # noqa: E731
    return await stream(request, watch, "onboarding", shown, last_event_id)


@router.post("/onboardings/{onboarding_id}/retry")
async def retry_onboarding(
    request: Request, onboarding_id: str, wanted: m.Retry | None = None, dry_run: m.DryRun = False
) -> m.OnboardingOut:
    """The failed steps again, or those that are named."""
    steps = wanted.steps if wanted else []
    return m.onboarding_out(
        await onboardings.retry(wiring(), m.actor_of(request), onboarding_id, steps, dry_run=dry_run)
    )


@router.post("/onboardings/{onboarding_id}/skip")
async def skip_step(request: Request, onboarding_id: str, wanted: m.Skip, dry_run: m.DryRun = False) -> m.OnboardingOut:
    """One step that is not to be done; the reason is kept."""
    return m.onboarding_out(
        await onboardings.skip(
            wiring(), m.actor_of(request), onboarding_id, wanted.step, wanted.reason, dry_run=dry_run
        )
    )


@router.post("/onboardings/{onboarding_id}/approve")
async def approve_onboarding(request: Request, onboarding_id: str, dry_run: m.DryRun = False) -> m.OnboardingOut:
    """A held one goes on, and the account is activated again."""
    return m.onboarding_out(await onboardings.approve(wiring(), m.actor_of(request), onboarding_id, dry_run=dry_run))


@router.post("/onboardings/{onboarding_id}/reject")
async def reject_onboarding(request: Request, onboarding_id: str, dry_run: m.DryRun = False) -> m.OnboardingOut:
    """A held one ends, and the account stays deactivated."""
    return m.onboarding_out(await onboardings.reject(wiring(), m.actor_of(request), onboarding_id, dry_run=dry_run))
