"""The clock of INDOC: a nudge, then the removal, of whoever stays there and nobody takes in. Off unless switched on.

Idempotent by the stay's document and its steps: each is stored before anything is said or done, and runs as every other
step does, once. Nobody is removed sooner after the nudge that they really had than the settings allow: an outage of
ours costs nobody their time.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from shared.domain.errors import Invalid, Outpaced
from shared.domain.indoc import Clock, Pause, Stay, nudged_at, pause_path, stay_id
from shared.domain.onboarding import Step
from shared.domain.removals import INDOC, LONGEST, filled, values_for
from shared.ports import Create, Document, Put, Resident, Write
from shared.rarer_repositories import REMOVAL_REASONS
from shared.repositories import Stored
from shared.services.context import Ports, note
from shared.services.encryption import NoDevice, waits_for_device
from shared.services.indoc import (
    SEEN,
    TRUSTED,
    Kept,
    Person,
    clock_of,
    kept_of,
    left_alone,
    looked_at,
    onboardings_of,
    power_of,
    seen_data,
    seen_in,
    under_way,
)
from shared.services.late_devices import start
from shared.services.managed import room_id_of
from shared.services.messaging import say, worded
from shared.services.rooms import looked, remove
from shared.services.steps import Act, Done, Ending, Skipped
from shared.services.tasks import change_parent, enqueue

REASON = "Nobody has taken you in yet. You are welcome to come back at any time."
NUDGES, REMOVALS = 20, 50
"""In one look, at most: a room is not flooded because the clock was just switched on."""
CHUNK = 100
AGAIN = timedelta(hours=6)
"""What has failed is tried again after so long: perhaps an admin has mended it."""


class _Budget(Struct):
    nudges: int = NUDGES
    removals: int = REMOVALS

    def take(self, step: str) -> bool:
        left = self.nudges if step == "nudge" else self.removals
        if step == "nudge":
            self.nudges -= 1
        else:
            self.removals -= 1
        return left > 0


async def clock(ports: Ports) -> int:
    """A part of the sweep. One look each ten minutes at most, two calls and a few reads however many are there; then
    what is due is stored and becomes a task."""
    policy, now = ports.policy, ports.now()
    if not policy.clock or not policy.indoc:
        return 0
    hours, document = clock_of(policy), await ports.documents.get(SEEN)
    if document and now - document.data["looked_at"] < hours.look_every:
        return 0
    chat, room = await ports.chat(), await room_id_of(ports, policy.indoc)
    residents = await chat.residents(room)
    since = await _came(ports, room, document, residents)
    due = [(since[each.user_id], each) for each in residents if hours.nudge_at(since[each.user_id]) <= now]
    due.sort(key=lambda pair: (pair[0], pair[1].user_id))
    bot = (await chat.whoami()).user_id
    budget, done = _Budget(), 0
    for at in range(0, len(due), CHUNK):
        people = await looked_at(ports, due[at : at + CHUNK], bot, power_of(residents, bot))
        meant = [person for person in people if not person.exempt]
        kept = await kept_of(ports, room, meant)
        done += await _chunk(ports, hours, room, meant, kept, budget)
        if budget.nudges <= 0 and meant and not any(each.nudge for each in kept.values()):
            break  # nudges go by the length of the stay: whoever comes after these has had none either
    await ports.documents.write(Put(SEEN, seen_data(room, now, since)))
    return done


async def _came(
    ports: Ports, room: str, document: Document | None, residents: Sequence[Resident]
) -> dict[str, datetime]:
    """Since when each has been there. Whoever was removed since the last look and is back begins anew."""
    seen, now = seen_in(document, room), ports.now()
    since = {each.user_id: seen.came(each.user_id, each.since, now, TRUSTED) for each in residents}
    moved = [each for each in residents if since[each.user_id] != each.since]
    paths = [f"indoc/{stay_id(room, each.user_id, since[each.user_id])}/steps/removal" for each in moved]
    removals = await ports.documents.get_many(paths) if paths else []
    for each, removal in zip(moved, removals, strict=True):
        if removal and Step.of(removal.data).state == "done":
            since[each.user_id] = each.since
    return since


async def _chunk(
    ports: Ports, hours: Clock, room: str, people: Sequence[Person], kept: Mapping[str, Kept], budget: _Budget
) -> int:
    done = 0
    for person in people:
        wanted = _due(hours, person, kept[person.matrix_id], ports.now())
        if wanted and budget.take(wanted):
            done += await _begin(ports, room, person, kept[person.matrix_id], wanted)
    return done


def _due(hours: Clock, person: Person, kept: Kept, now: datetime) -> str:
    """ "nudge", "removal", or "" where nothing is to be begun."""
    nudge, removal = kept.steps
    if kept.pause and kept.pause.holds(now):
        return ""
    nudged = nudged_at(nudge)
    if nudged is None:
        return "nudge" if _may_begin(nudge, now) else ""
    leaves = hours.remove_at(person.since, nudged, kept.pause, now)
    return "removal" if leaves <= now and _may_begin(removal, now) else ""


def _may_begin(step: Step | None, now: datetime) -> bool:
    """Never begun; or skipped, because it was not to be then; or failed a while ago."""
    if step is None or step.state == "skipped":
        return True
    return step.state == "failed" and now - (step.updated_at or now) >= AGAIN


async def _begin(ports: Ports, room: str, person: Person, kept: Kept, name: str) -> int:
    """Stored first; a task that gets lost is found by the sweep. Of two looks at once one begins it."""
    known = kept.nudge if name == "nudge" else kept.removal
    if known:
        step = Step.of(known.data).but(faults=0, cause="", fix="", code="")
        return await start(ports, [Stored(step, known.path, known.version)], ports.now())
    now = ports.now()
    stay = Stay(
        id=stay_id(room, person.matrix_id, person.since),
        matrix_id=person.matrix_id,
        room=room,
        name=person.resident.name,
        since=person.since,
        created_at=now,
    )
    kind = "indoc_nudge" if name == "nudge" else "indoc_expiry"
    step = Step(parent=stay.path, name=name, kind=kind, room=room, due_at=now, updated_at=now)
    writes: list[Write] = [Create(step.path, step.data())]
    writes += [] if kept.stay else [Create(stay.path, stay.data())]
    if kept.stay:
        await change_parent(ports, stay.path, lambda record: record.but(state="running", finished_at=None))
    with contextlib.suppress(Outpaced):
        await ports.documents.write(*writes)
        await enqueue(ports, [step])
        note(f"sweep: {kind}", indoc=stay.id)
        return 1
    return 0


# ------------------------------------------------------------------ the steps


async def nudge(act: Act) -> Ending:
    """A message in INDOC that mentions them, if they are still there to read it and still meant."""
    stay = _stay(act)
    hindrance = await _hindrance(act, stay)
    if hindrance:
        return Skipped(hindrance)
    _, text = await _texts(act.ports, stay)
    try:
        message = await worded(act, "indoc_nudge", {"text": text, "hours": _hours(act.ports)})
        return Done(await say(act, stay.room, message))
    except NoDevice as error:
        return waits_for_device(act, error)


async def expire(act: Act) -> Ending:
    """Out of INDOC, where everything still speaks for it: looked at live, and the nudge long enough ago."""
    stay = _stay(act)
    hindrance = await _hindrance(act, stay) or await _too_early(act, stay)
    if hindrance:
        return Skipped(hindrance)
    reason, _ = await _texts(act.ports, stay)
    membership = await remove(await act.ports.chat(), stay.room, stay.matrix_id, reason)
    return Done({"room_id": stay.room, "membership": membership})


def _stay(act: Act) -> Stay:
    if not isinstance(act.parent, Stay):
        raise Invalid(f"{act.step.path} is not a step of a stay in INDOC")
    return act.parent


async def _hindrance(act: Act, stay: Stay) -> str:
    """Why it is not to be any more, "" where it is. A later look begins it again where that has passed."""
    ports = act.ports
    if not ports.policy.clock:
        return "the clock of INDOC is switched off"
    pause = await _pause(ports, stay.matrix_id)
    if pause and pause.holds(ports.now()):
        return f"paused by {pause.by}"
    theirs = await onboardings_of(ports, [stay.matrix_id])
    alone = left_alone(ports.policy, stay.matrix_id) or under_way(theirs.get(stay.matrix_id))
    if alone:
        return alone
    there = await looked(await ports.chat(), stay.room, stay.matrix_id)
    return "" if there and there.state == "join" else "they have left INDOC"


async def _pause(ports: Ports, matrix_id: str) -> Pause | None:
    document = await ports.documents.get(pause_path(matrix_id))
    return Pause.of(document.data) if document else None


async def _too_early(act: Act, stay: Stay) -> str:
    document = await act.ports.documents.get(f"{stay.path}/steps/nudge")
    nudged, now = nudged_at(Step.of(document.data)) if document else None, act.ports.now()
    pause = await _pause(act.ports, stay.matrix_id)
    if nudged is None:
        return "they were not nudged"
    leaves = clock_of(act.ports.policy).remove_at(stay.since, nudged, pause, now)
    return f"not before {leaves:%Y-%m-%d %H:%M} UTC" if leaves > now else ""


async def _texts(ports: Ports, stay: Stay) -> tuple[str, str]:
    """The reason of the removal, and an admin's text for the nudge, which comes into its template."""
    stored = await REMOVAL_REASONS.find(ports.documents, INDOC)
    reason, text = (stored.record.reason, stored.record.message) if stored else ("", "")
    policy = ports.policy
    values = values_for(stay.matrix_id, "", stay.name, policy.domain, ports.now())
    values["hours"] = _hours(ports)
    return filled(reason or REASON, values)[:LONGEST], filled(text, values)


def _hours(ports: Ports) -> str:
    return f"{ports.policy.remove_hours - ports.policy.nudge_hours:g}"
