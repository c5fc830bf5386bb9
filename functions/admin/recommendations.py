"""/api/rooms/recommend"""

from __future__ import annotations

from fastapi import APIRouter

from functions.admin import categories_models as c
from shared.services.recommendations import recommend
from shared.wiring import wiring

router = APIRouter(tags=["rooms"])


@router.post("/rooms/recommend")
async def recommend_rooms(interested: c.Interested) -> c.RecommendedOut:
    """Rooms for what somebody writes of themselves, in any words. A question: nothing is stored, nobody is invited."""
    found = await recommend(wiring(), interested.interests, interested.limit)
    return c.RecommendedOut.model_validate(found, from_attributes=True)
