"""/api/users/{pk}/standing"""

from __future__ import annotations

from fastapi import APIRouter

from functions.admin import standing_models as st
from functions.admin.users import Pk
from shared.services.standing import standing
from shared.wiring import wiring

router = APIRouter(tags=["users"])


@router.get("/users/{pk}/standing")
async def read_standing(pk: Pk) -> st.StandingOut:
    """What Muster knows of them beside their account: which Matrix id is theirs, and their onboarding."""
    return st.standing_out(await standing(wiring(), pk))
