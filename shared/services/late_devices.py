"""For the sweep: members who have got a device, or have joined, since we last looked.

One key query for each 500 of them together, however many wait.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec.structs import asdict

from shared.domain import ids
from shared.domain.devices import Device
from shared.domain.errors import MusterError, Outpaced
from shared.domain.onboarding import Step
from shared.ports import Create, Keys, Query, Replace, Sealer, Write
from shared.repositories import Stored
from shared.services.context import Ports, log, note, whose
from shared.services.encryption import ENCRYPTED, Letter
from shared.services.messaging import DirectRoom
from shared.services.position import reads_since
from shared.services.tasks import change_parent, enqueue, going_on

SHARED_FOR = timedelta(days=7)
LOOK_EVERY = (timedelta(minutes=1), timedelta(minutes=30), timedelta(hours=6))
WATCHED_FOR = timedelta(hours=2)
"""Who has not joined by then is looked at by the step's own slow schedule."""
PER_RUN = 200
AT_ONCE = 500
"""Waiting steps that are held, and users that are asked for, at the same time."""
Owners = dict[str, dict[str, Any]]


async def first_devices(ports: Ports) -> int:
    """Steps that wait for a device whose member has one now; and those that a release before has left without a
    next look. A device that had no good key when it was tried is left to the step's own slow schedule: it would be
    tried in vain, and recorded, at each sweep."""
    started = 0
    async for waiting, owners in waiting_for(ports, "device"):
        have = await _devices_of(ports, {_whose(stored.record, owners) for stored in waiting} - {""})
        ready = [
            stored
            for stored in waiting
            if stored.record.due_at is None
            or have.get(_whose(stored.record, owners), set()) - set(stored.record.code.split("|"))
        ]
        started += await start(ports, ready, ports.now())
    return started


def _whose(step: Step, owners: Owners) -> str:
    """The Matrix id that it concerns."""
    return step.matrix_id or str(owners.get(step.parent, {}).get("matrix_id", ""))


async def _devices_of(ports: Ports, people: set[str]) -> dict[str, set[str]]:
    """Their devices' ids, by their Matrix id."""
    if not people:
        return {}
    keys, sealer, asked = await ports.keys(), await ports.sealer(), sorted(people)
    devices, _ = sealer.devices_of(await keys.query_keys(asked), asked)
    found: dict[str, set[str]] = {}
    for device in devices:
        found.setdefault(device.user_id, set()).add(device.device_id)
    return found


async def joins(ports: Ports) -> int:
    """Welcomes and messages that wait until the member has joined the direct room: seconds after the join, as the
    reader has seen it. Only where it may have missed one, and for a while, the homeserver is asked for each; beyond
    that, each step looks by itself, slowly."""
    started = 0
    async for waiting, owners in waiting_for(ports, "join"):
        people = {_whose(stored.record, owners) for stored in waiting} - {""}
        rooms, reads = await _direct_rooms(ports, people), await reads_since(ports)
        ready: list[Stored[Step]] = []
        for stored in waiting:
            owner = owners.get(stored.record.parent)
            room = rooms.get(_whose(stored.record, owners))
            if owner is None or room is None:
                continue
            missable = reads is None or owner["created_at"] < reads
            recent = ports.now() - owner["created_at"] < WATCHED_FOR
            if room.joined or (missable and recent and await _has_joined(ports, room)):
                ready.append(stored)
        started += await start(ports, ready, ports.now() + timedelta(seconds=ports.policy.welcome_delay))
    return started


async def _direct_rooms(ports: Ports, people: set[str]) -> dict[str, DirectRoom]:
    """By member, all of them in one round trip."""
    paths = sorted({ids.direct_path(person) for person in people})
    found = await ports.documents.get_many(paths) if paths else []
    rooms = [DirectRoom.of(document.data) for document in found if document]
    return {room.matrix_id: room for room in rooms}


async def _has_joined(ports: Ports, room: DirectRoom) -> bool:
    there = await (await ports.chat()).membership(room.room_id, room.matrix_id)
    return there is not None and there.state == "join"


async def waiting_for(ports: Ports, what: str) -> AsyncIterator[tuple[list[Stored[Step]], Owners]]:
    """All that wait, some hundred at a time, in the order of their paths: the steps, and what their parents say, by
    the parent's path."""
    cursor: str | None = None
    while True:
        query = Query("steps", [("waits_for", "==", what)], limit=AT_ONCE, cursor=cursor, group=True)
        page = await ports.documents.query(query)
        steps = [Stored(Step.of(item.data), item.path, item.version) for item in page.items]
        if steps:
            found = await ports.documents.get_many(sorted({stored.record.parent for stored in steps}))
            yield steps, {document.path: document.data for document in found if document}
        cursor = page.next_cursor
        if cursor is None:
            return


async def start(ports: Ports, steps: Sequence[Stored[Step]], at: datetime) -> int:
    started = []
    for stored in steps:
        scheduled = stored.record.scheduled(at)
        try:
            await ports.documents.write(stored.replaced(scheduled))
        except Outpaced:
            continue  # it is on its way already
        await change_parent(ports, scheduled.parent, going_on)
        note("sweep: a step goes on", **whose(scheduled.path), waited_for=stored.record.waits_for)
        started.append(scheduled)
    await enqueue(ports, started)
    return len(started)


async def late_devices(ports: Ports, limit: int = PER_RUN) -> int:
    """Devices that came within seven days get the key of what was said before. One key
    query for all members together."""
    now = ports.now()
    page = await ports.documents.query(Query("letters", [("look_at", "<", now)], "look_at", limit))
    if not page.items:
        return 0
    keys, sealer = await ports.keys(), await ports.sealer()
    letters = [(item, Letter.of(item.data)) for item in page.items]
    people = sorted({letter.matrix_id for _, letter in letters})
    devices, _ = sealer.devices_of(await keys.query_keys(people), people)
    shared = 0
    for item, letter in letters:
        new = [device for device in devices if device.user_id == letter.matrix_id and not letter.has(device)]
        try:
            got = await _share(ports, keys, sealer, letter, new) if new else []
            later = letter.shared_with(got, now).but(look_at=_next_look(letter, now))
            receipt = await _receipt(ports, later) if got else []
            await ports.documents.write(Replace(item.path, later.data(), item.version), *receipt)
            shared += len(got)
            if got and letter.step:
                note("sweep: a new device got the key", **whose(letter.step), devices=len(got))
        except MusterError as error:
            about = whose(letter.step) if letter.step else {}
            log.warning("key not shared", extra={"fields": {"letter": letter.id, "cause": error.cause, **about}})
    return shared


async def _receipt(ports: Ports, letter: Letter) -> list[Write]:
    """The step says who can read its message now. One that is not done yet will read the letter itself."""
    document = await ports.documents.get(letter.step) if letter.step else None
    if document is None or Step.of(document.data).state != "done":
        return []
    step = Step.of(document.data)
    told = step.but(result={**step.result, **letter.receipt(ports.now())})
    return [Replace(document.path, told.data(), document.version)]


def _next_look(letter: Letter, now: datetime) -> datetime | None:
    age = now - letter.created_at
    if age > SHARED_FOR:
        return None
    wait = LOOK_EVERY[0] if age < timedelta(hours=1) else LOOK_EVERY[1] if age < timedelta(days=1) else LOOK_EVERY[2]
    return now + wait


async def _share(ports: Ports, keys: Keys, sealer: Sealer, letter: Letter, new: Sequence[Device]) -> list[Device]:
    """Stored before it is sent, once per set of devices: a retry after a crash sends the stored bytes."""
    name = ids.digest("share", letter.id, *(f"{device.device_id} {device.ed25519}" for device in new))
    path = f"{letter.path}/shares/{name}"
    document = await ports.documents.get(path)
    if document is None:
        wanted: Mapping[str, list[str]] = {letter.matrix_id: [device.device_id for device in new]}
        claimed, _ = sealer.claimed(await keys.claim_keys(wanted), new)
        if not claimed:
            return []
        to_device, olm = sealer.share(letter.room_id, letter.session, letter.session_id, claimed)
        data: dict[str, Any] = {
            "v": 1,
            "to_device": to_device,
            "olm": olm,
            "got": [asdict(device) for device in claimed],
        }
        await ports.documents.write(Create(path, data))
    else:
        data = document.data
    await keys.send_to_device(ENCRYPTED, data["to_device"], f"{letter.transaction}.{name[:8]}")
    return [Device(**got) for got in data["got"]]
