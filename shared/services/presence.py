"""Whether a member has ever logged in to Matrix: Synapse accepts invites of people who do not exist."""

from __future__ import annotations

from datetime import timedelta

from shared.services.steps import Act
from shared.services.tasks import change_parent


async def look_up_presence(act: Act, seen: bool | None) -> None:
    """Once a member, by the one step that was chosen for it: have they ever logged in?
    `seen` True: their membership has already shown it."""
    if act.step.name != getattr(act.parent, "seen_by", None) or getattr(act.parent, "seen", None) is True:
        return
    found = seen if seen is not None else await (await act.ports.chat()).has_profile(act.matrix_id)
    look_at = None if found else act.ports.now() + timedelta(minutes=1)
    await change_parent(act.ports, act.step.parent, lambda parent: parent.but(seen=found, look_at=look_at))
