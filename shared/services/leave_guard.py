"""INDOC_LEAVE_AFTER_JOIN: nobody leaves INDOC before they are in a room of theirs; until then two reminders."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec.structs import replace

from shared.domain.onboarding import Step
from shared.ports import Query
from shared.repositories import every
from shared.services.context import Ports
from shared.services.encryption import NoDevice
from shared.services.messaging import say, worded
from shared.services.steps import Act, Waits

REMINDERS = (timedelta(hours=1), timedelta(hours=24))
"""After the onboarding began."""
LOOKS = (timedelta(minutes=10), timedelta(hours=1), timedelta(hours=6))
LAST = timedelta(days=14)
SLOWLY = timedelta(days=1)
"""From the last on. A sweep sees whoever joins on the first day at once."""


async def held_back(act: Act, room_id: str, name: str) -> Waits | None:
    """None: they may leave INDOC, which is `room_id`. `name` "": nothing is said. Idempotent as a step's message is:
    each reminder has a transaction id of its own."""
    if not act.ports.policy.leave_after_join:
        return None
    targets = await _targets(act.ports, act.step.parent)
    rooms = _rooms(targets)
    if not targets or (rooms and await (await act.ports.chat()).joined_among(act.matrix_id, rooms)):
        return None
    said = int(act.step.result.get("reminders", 0))
    if name and _is_due(act, said):
        said += await _remind(act, room_id, name, said + 1)
    return Waits(
        "target",
        f"{act.matrix_id} has not joined any of their {len(targets)} rooms yet",
        "Nothing to do: they leave INDOC once they accept one of their invites. Or ask them; or skip this step.",
        _next_look(act, said),
        result={"rooms": rooms, "reminders": said},
    )


async def _targets(ports: Ports, parent: str) -> list[Step]:
    found = await every(ports.documents, Query(f"{parent}/steps", [("kind", "==", "room")]))
    steps = [Step.of(item.data) for item in found]
    return [step for step in steps if step.state != "skipped"]


def _rooms(targets: Sequence[Step]) -> list[str]:
    named = [str(step.result.get("room_id") or step.room) for step in targets]
    return [room for room in named if room.startswith("!")]


def _is_due(act: Act, said: int) -> bool:
    return said < len(REMINDERS) and _age(act) >= REMINDERS[said]


def _age(act: Act) -> timedelta:
    begun: datetime = act.parent.created_at
    return act.ports.now() - begun


async def _remind(act: Act, room_id: str, name: str, number: int) -> int:
    """1 when it was said. Without a device to encrypt for it is left out: the next look tries again."""
    own = replace(act, step=act.step.but(name=f"{act.step.name}.reminder{number}"))
    try:
        await say(own, room_id, await worded(own, "indoc_reminder", {"last": number == len(REMINDERS)}, name))
    except NoDevice:
        return 0
    return 1


def _next_look(act: Act, said: int) -> datetime:
    age, now = _age(act), act.ports.now()
    wait = next((look for look in LOOKS if look > age / 2), LOOKS[-1]) if age < LAST else SLOWLY
    coming = [REMINDERS[said] - age] if said < len(REMINDERS) else []
    return now + min([wait, *(pause for pause in coming if pause > timedelta())])
