"""Sealed messages: encrypted for each device of who is in the room, stored, then sent.

No state is kept between sends, so any number of instances may send at once: each message has an Olm
session per device and a Megolm session of its own, made from keys that were claimed for it alone. What
was made is created once, before anything is sent; a retry sends the stored bytes under the same
transaction ids, and can neither use a key twice nor encrypt twice.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec.structs import asdict

from shared.domain import ids
from shared.domain.devices import Device, Distrusted, Messages, Sealed
from shared.domain.errors import Outpaced, Refused, TryLater
from shared.domain.messages import TEMPLATE
from shared.domain.records import Record
from shared.ports import Create, Data, Keys, Sealer, Write
from shared.services.steps import Act, Waits

ENCRYPTED = "m.room.encrypted"
PART = 150
"""Devices per document: a room key for one takes about 1.5 KB, and a document holds 1 MiB."""
DEVICE_LOOKS = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 30, 120, 360))
DEVICE_LAST = timedelta(days=14)
FIRST_LOOK = timedelta(minutes=1)


class NoDevice(TryLater):
    """The member has no device that a key could be sent to. `tried`: the ids of those that have no good key. `silent`:
    as far as is known, since their homeserver did not answer."""

    def __init__(self, cause: str, tried: Sequence[str] = (), *, silent: bool = False) -> None:
        super().__init__(cause)
        self.tried, self.silent = tuple(tried), silent


class DeviceOverdue(Refused):
    """They still have none, and have been waited for long enough."""

    def __init__(self, error: NoDevice) -> None:
        cause = f"no device for {DEVICE_LAST.days} days: {error.cause}"
        super().__init__(
            cause, "Retry once they have logged in; or write to them another way and skip it.", "NO_DEVICE"
        )


def waits_for_device(act: Act, error: NoDevice) -> Waits:
    """Tried again at 1 min, 5 min, 30 min, 2 h, then every 6 h, a last time after 14 days, and as soon as a sweep
    sees a device. Raises `DeviceOverdue` from the last time on, unless nobody answered: then it is tried on."""
    if _is_overdue(act) and not error.silent:
        raise DeviceOverdue(error) from error
    fix = "Nothing to do: it goes out once they log in to Matrix. Or tell them another way and skip this step."
    return Waits("device", error.cause, fix, _next_look(act), "|".join(error.tried))


def waits_for_join(act: Act) -> Waits:
    """The sweep sees them join; this is the slow look beside it."""
    cause = f"{act.matrix_id} has not accepted the direct room's invite yet"
    return Waits("join", cause, "Nothing to do: it goes out seconds after they accept.", _next_look(act))


async def check_overdue(act: Act) -> None:
    """For who waits for something else: raises `DeviceOverdue` when after 14 days they have no device either."""
    if not _is_overdue(act):
        return
    keys, sealer = await act.ports.keys(), await act.ports.sealer()
    devices, missed = sealer.devices_of(await keys.query_keys([act.matrix_id]), [act.matrix_id])
    error = no_device(act.matrix_id, missed)
    if not devices and not error.silent:
        raise DeviceOverdue(error)


def _last_look(act: Act) -> datetime:
    """The message's first try counts: an onboarding may have waited for other things before."""
    return (act.step.sent_at or act.parent.created_at) + DEVICE_LAST


def _is_overdue(act: Act) -> bool:
    return act.ports.now() >= _last_look(act)


def _next_look(act: Act) -> datetime:
    now, last = act.ports.now(), _last_look(act)
    at = now + DEVICE_LOOKS[min(max(act.step.attempts - 1, 0), len(DEVICE_LOOKS) - 1)]
    return min(at, last) if now < last else at


class Letter(Record, frozen=True, kw_only=True):
    """A sealed message. `matrix_id`: whom it is for, "" for everybody in the room. `got`: who was sent the key, those
    that came later with `since`; `missed`: who was not, and why. The keys themselves are in `parts` documents below.
    `look_at`: when to look for devices that came later. `step`: the path of the step whose message it is. `template`:
    which version of which template it was made from."""

    id: str
    transaction: str
    room_id: str
    matrix_id: str
    session_id: str
    event: dict[str, Any]
    session: str
    parts: int
    created_at: datetime
    got: tuple[dict[str, Any], ...] = ()
    missed: tuple[dict[str, Any], ...] = ()
    look_at: datetime | None = None
    step: str = ""
    template: str = ""

    @property
    def path(self) -> str:
        return f"letters/{self.id}"

    def has(self, device: Device) -> bool:
        """By its keys too: who logs in anew under a device's old name has none of what was sent to that."""
        wanted = (device.user_id, device.device_id, device.ed25519)
        return any((got["user_id"], got["device_id"], got["ed25519"]) == wanted for got in self.got)

    def shared_with(self, devices: Sequence[Device], at: datetime) -> Letter:
        """As it is when these have got the key as well, each in the place of whatever bore its name; and since when."""
        names = {(device.user_id, device.device_id) for device in devices}

        def others(items: Sequence[dict[str, Any]]) -> tuple[dict[str, Any], ...]:
            return tuple(item for item in items if (item["user_id"], item["device_id"]) not in names)

        got = (*others(self.got), *(asdict(device) | {"since": at} for device in devices))
        return self.but(got=got, missed=others(self.missed))

    def receipt(self, now: datetime) -> dict[str, Any]:
        """For the step: which devices can read it, and which cannot."""
        if not self.matrix_id:
            return self._receipt_of_a_room(now)
        mine = [device for device in self.got if device["user_id"] == self.matrix_id]
        words = f"readable on {len(mine)} device{'' if len(mine) == 1 else 's'}, {now:%H:%M} UTC"
        keep = ("device_id", "name", "verified")
        missed = [{key: item[key] for key in ("user_id", "device_id", "reason")} for item in self.missed]
        return {
            "encrypted": True,
            "readable": words,
            "devices": [{key: device[key] for key in keep} for device in mine],
            "others": len(self.got) - len(mine),
            "missed": missed[:50],
        } | ({"template": self.template} if self.template else {})

    def _receipt_of_a_room(self, now: datetime) -> dict[str, Any]:
        people = len({device["user_id"] for device in self.got})
        words = f"readable on {len(self.got)} devices of {people} people, {now:%H:%M} UTC"
        told = {"encrypted": True, "readable": words, "others": len(self.got)}
        return told | ({"template": self.template} if self.template else {})


async def say_sealed(
    act: Act, room_id: str, content: Data, people: Collection[str] | None = None, also: Sequence[Write] = ()
) -> tuple[str, dict[str, Any]]:
    """The event id and the receipt. `people`: who is there, where that has just been seen. `also`: written in one
    commit with the letter, when that is made. Raises `NoDevice` while the member has none."""
    letter, parts = await _letter(act, room_id, content, people, also)
    keys = await act.ports.keys()
    if act.look_first:
        chat = await act.ports.chat()
        sent = await chat.find_sent(room_id, "session_id", letter.session_id)
        if sent:
            return sent, letter.receipt(act.ports.now())
    for number, part in enumerate(parts):
        await keys.send_to_device(ENCRYPTED, part["to_device"], f"{letter.transaction}.{number}")
    event_id = await keys.send_event(room_id, ENCRYPTED, letter.event, letter.transaction)
    return event_id, letter.receipt(act.ports.now())


def letter_id(transaction: str, room_id: str) -> str:
    return ids.digest("letter", transaction, room_id)


async def _letter(
    act: Act, room_id: str, content: Data, people: Collection[str] | None, also: Sequence[Write]
) -> tuple[Letter, Sequence[Data]]:
    """The stored one with its parts, or one made now. Of two made at the same moment the first stored one counts:
    the keys that the other has claimed are used by nobody. A step's first try has none stored, and does not ask."""
    name = letter_id(act.marker, room_id)
    stored = await _stored(act, name) if act.step.attempts > 1 else None
    if stored is not None:
        return stored
    letter, parts = await _sealed(act, name, room_id, content, people)
    writes = [Create(f"{letter.path}/parts/{number}", part) for number, part in enumerate(parts)]
    try:
        await act.ports.documents.write(Create(letter.path, letter.data()), *writes, *also)
    except Outpaced as error:
        stored = await _stored(act, name)
        if stored is None:
            raise TryLater("the sealed message could not be read back", "Nothing to do: it is tried again.") from error
        return stored
    return letter, parts


async def _stored(act: Act, name: str) -> tuple[Letter, Sequence[Data]] | None:
    document = await act.ports.documents.get(f"letters/{name}")
    if document is None:
        return None
    letter = Letter.of(document.data)
    parts = await act.ports.documents.get_many([f"{letter.path}/parts/{number}" for number in range(letter.parts)])
    return letter, [part.data for part in parts if part is not None]


async def _sealed(
    act: Act, name: str, room_id: str, content: Data, people: Collection[str] | None
) -> tuple[Letter, Sequence[Data]]:
    ports, keys, sealer = act.ports, await act.ports.keys(), await act.ports.sealer()
    there = people if people is not None else await keys.members(room_id)
    claimed, missed = await claim(keys, sealer, sorted({*there, act.matrix_id} - {""}))
    if act.matrix_id and not any(device.user_id == act.matrix_id for device in claimed):
        raise no_device(act.matrix_id, missed)
    if not claimed:
        cause = "nobody in this room has a device that a message could be encrypted for"
        raise Refused(cause, "Retry once somebody there has logged in.", "NO_DEVICE")
    made = sealer.seal(room_id, "m.room.message", content, claimed)
    parts = _parts(made)
    letter = Letter(
        id=name,
        transaction=act.marker,
        room_id=room_id,
        matrix_id=act.matrix_id,
        session_id=made.session_id,
        event=made.event,
        session=made.session,
        parts=len(parts),
        created_at=ports.now(),
        got=tuple(asdict(device) for device in claimed),
        missed=tuple(asdict(item) for item in missed),
        look_at=ports.now() + FIRST_LOOK if act.matrix_id else None,
        step=act.step.path,
        template=str(content.get(TEMPLATE, "")),
    )
    return letter, parts


async def claim(
    keys: Keys, sealer: Sealer, users: Sequence[str], known: frozenset[tuple[str, str]] = frozenset()
) -> tuple[dict[Device, str], list[Distrusted]]:
    """One key for each device of these users that is not `known`, our own left out."""
    devices, distrusted = sealer.devices_of(await keys.query_keys(users), users)
    known = known | {(sealer.user_id, sealer.device_id)}
    wanted = [device for device in devices if (device.user_id, device.device_id) not in known]
    if not wanted:
        return {}, distrusted
    by_user: dict[str, list[str]] = {}
    for device in wanted:
        by_user.setdefault(device.user_id, []).append(device.device_id)
    claimed, unclaimed = sealer.claimed(await keys.claim_keys(by_user), wanted)
    return claimed, [*distrusted, *unclaimed]


def no_device(matrix_id: str, missed: Sequence[Distrusted]) -> NoDevice:
    theirs = [item for item in missed if item.user_id == matrix_id]
    reasons = "; ".join(f"{item.device_id}: {item.reason}" if item.device_id else item.reason for item in theirs)
    cause = f"{matrix_id} has no device yet that a message could be encrypted for"
    tried = [item.device_id for item in theirs if item.device_id]
    silent = any(item.silent for item in theirs)
    return NoDevice(f"{cause} ({reasons})" if reasons else cause, tried, silent=silent)


def _parts(made: Sealed) -> list[Data]:
    """The room keys, so many devices to a document; with each its Olm session, for replies."""
    flat = [(user, device, content) for user, found in made.to_device.items() for device, content in found.items()]
    parts = []
    for start in range(0, len(flat), PART):
        messages: Messages = {}
        olm: dict[str, str] = {}
        for user, device, content in flat[start : start + PART]:
            messages.setdefault(user, {})[device] = content
            olm[f"{user}|{device}"] = made.olm.get(f"{user}|{device}", "")
        parts.append({"v": 1, "to_device": messages, "olm": olm})
    return parts
