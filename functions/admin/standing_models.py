"""What goes out of /api/users/{pk}/standing."""

from __future__ import annotations

from typing import Literal

from functions.admin import models as m
from shared.services.standing import Standing


class StandingOut(m.Out):
    """`matrix_id`: the one that an admin has named ("admin"), or that the username gives and would be used; "" where
    nobody knows ("nobody"), and `matrix_problem` says why. `onboarding`: null while they have none. `live` false:
    Authentik did not answer; who they are is from the cache, so many seconds old. `bridge`: by which they come, such
    as "Signal", "" where their Matrix id is no puppet's. `invite`: the id of theirs, if they came by one; `sponsor`:
    who vouched for them, "" where nobody did."""

    pk: int
    username: str
    name: str
    active: bool
    superuser: bool
    matrix_id: str
    matrix_id_given_by: Literal["admin", "username", "nobody"]
    matrix_problem: str
    onboarding: m.OnboardingSummary | None
    live: bool
    age_seconds: float | None
    invite: str
    sponsor: str
    bridge: str


def standing_out(found: Standing) -> StandingOut:
    who, matrix = found.who, found.matrix
    return StandingOut(
        pk=who.pk,
        username=who.username,
        name=who.name,
        active=who.active,
        superuser=who.superuser,
        matrix_id=matrix.matrix_id,
        matrix_id_given_by=matrix.given_by,
        matrix_problem=matrix.problem,
        onboarding=m.OnboardingSummary.model_validate(m.onboarding_summary(found.onboarding))
        if found.onboarding
        else None,
        live=found.age_seconds is None,
        age_seconds=found.age_seconds,
        invite=found.invite.id if found.invite else "",
        sponsor=found.invite.sponsor if found.invite else "",
        bridge=found.bridge,
    )
