"""What the bot and a member have said to each other, the newest first.

A page is read at one price, however long they have talked: two queries, one for each side, and one look at all letters
and steps that its messages name. Beside it, two counts.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from msgspec import Struct

from shared.domain.errors import Invalid, MusterError, Refused
from shared.domain.onboarding import Step
from shared.domain.replies import Reply
from shared.domain.sent import Sent
from shared.ports import Document, Opener, Query
from shared.services import replies
from shared.services.context import Ports
from shared.services.encryption import Letter
from shared.services.sent import text_of

COLLECTIONS = ("sent", "replies")
PAGE = 50
"""Messages that are shown at first."""
GONE = "what became of it is not known any more"
State = Literal["sent", "pending", "scheduled", "running", "waiting", "failed", "skipped", "unknown"]


class Reader(Struct, frozen=True):
    """A device that can read a message. `since`: when it was given the key, where that was later than the message."""

    device_id: str
    name: str
    verified: bool
    since: datetime | None = None


class Missed(Struct, frozen=True):
    """A device that cannot, and why."""

    device_id: str
    reason: str


class Said(Struct, frozen=True):
    """One message. `direction`: "out" is the bot's. `text`: None when there is none to show, and then `cause` says why.
    `state`: of the bot's; one that is not "sent" (yet) has the `cause`, `fix` and `next_at` of its step, and the `job`
    that it belongs to, if any. `devices`: who can read it, where it is encrypted; None where that is not known."""

    id: str
    direction: Literal["out", "in"]
    state: State
    at: datetime
    text: str | None
    cause: str
    kind: str
    by: str
    room_id: str
    event_id: str
    encrypted: bool
    fix: str = ""
    next_at: datetime | None = None
    template: str = ""
    job: str = ""
    devices: Sequence[Reader] | None = None
    missed: Sequence[Missed] = ()


class Talk(Struct, frozen=True):
    items: Sequence[Said]
    next_cursor: str | None
    total: int


class Place(Struct, frozen=True):
    """Behind which message a page begins: its time, and which of that very time were shown already."""

    at: datetime | None = None
    shown: tuple[str, ...] = ()

    @property
    def cursor(self) -> str:
        text = json.dumps([self.at.isoformat() if self.at else "", *self.shown])
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def place_of(cursor: str | None) -> Place:
    if not cursor:
        return Place()
    try:
        at, *shown = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
        place = Place(datetime.fromisoformat(at), tuple(str(each) for each in shown))
        if place.at is None or place.at.tzinfo is None:
            raise ValueError("no time of ours")
    except (ValueError, TypeError, RecursionError) as error:
        raise Invalid.field("cursor", "is not the next_cursor of a page of this very list") from error
    return place


class Page(Struct, frozen=True):
    """`newest`: versions of the newest message of each side, and `open` of what may still change, by their paths."""

    talk: Talk
    newest: Mapping[str, str]
    open: Mapping[str, str]


async def page(ports: Ports, matrix_id: str, limit: int = PAGE, cursor: str | None = None) -> Talk:
    """Raises `Invalid` for a cursor of another list, and nothing for texts that do not open: they say so themselves."""
    return (await read(ports, matrix_id, limit, place_of(cursor))).talk


async def read(ports: Ports, matrix_id: str, limit: int, place: Place) -> Page:
    """One more of each side than is shown tells whether there are more."""
    most = limit + len(place.shown) + 1
    sides = [await latest(ports, name, matrix_id, most, place.at) for name in COLLECTIONS]
    merged = [each for side in sides for each in side if each.path not in place.shown]
    merged.sort(key=lambda each: (each.data["at"], each.path), reverse=True)
    found = merged[:limit]
    known = await _named(ports, found)
    total = 0
    for name in COLLECTIONS:
        total += await ports.documents.count(Query(name, [("matrix_id", "==", matrix_id)]))
    following = _following(place, found) if len(merged) > limit else None
    talk = Talk(await _shown(ports, found, known), following, total)
    waiting = [each for each in found if each.data.get("look_at")]
    steps = [each for path, each in known.items() if not path.startswith("letters/")]
    newest = {side[0].path: side[0].version for side in sides if side}
    return Page(talk, newest, {each.path: each.version for each in (*waiting, *steps)})


def _following(place: Place, found: Sequence[Document]) -> str:
    last = found[-1].data["at"]
    same = [each.path for each in found if each.data["at"] == last]
    return Place(last, (*(place.shown if place.at == last else ()), *same)).cursor


async def latest(ports: Ports, name: str, matrix_id: str, limit: int, until: datetime | None) -> Sequence[Document]:
    where: list[Any] = [("matrix_id", "==", matrix_id)]
    where += [("at", "<=", until)] if until else []
    return (await ports.documents.query(Query(name, where, "-at", limit))).items


# ------------------------------------------------------------------ what is shown


async def _shown(ports: Ports, found: Sequence[Document], known: Mapping[str, Document]) -> list[Said]:
    ours = {each.path: Sent.of(each.data) for each in found if each.path.startswith("sent/")}
    theirs = {each.path: Reply.of(each.data) for each in found if each.path not in ours}
    texts = await _texts(ports, ours)
    came = dict(zip(theirs, await replies.opened(ports, list(theirs.values())), strict=True))
    said = {path: _out(path, record, texts[path], known) for path, record in ours.items()}
    said |= {path: _in(path, theirs[path], came[path]) for path in theirs}
    return [said[each.path] for each in found]


async def _named(ports: Ports, found: Sequence[Document]) -> Mapping[str, Document]:
    """Letters of what is encrypted and steps of what is under way, in one round trip."""
    ours = [Sent.of(each.data) for each in found if each.path.startswith("sent/")]
    letters = [f"letters/{each.letter}" for each in ours if each.letter]
    steps = [each.step for each in ours if not each.event_id]
    paths = list(dict.fromkeys(letters + steps))
    there = await ports.documents.get_many(paths) if paths else []
    return {each.path: each for each in there if each}


async def _texts(ports: Ports, ours: Mapping[str, Sent]) -> dict[str, tuple[str | None, str]]:
    """Text and cause."""
    opener: Opener | None = None
    if any(each.locked for each in ours.values()):
        try:
            opener = await ports.opener()
        except MusterError as error:
            return {path: (None, error.cause) if each.locked else (each.text, "") for path, each in ours.items()}
    return {path: _text(opener, each, path) for path, each in ours.items()}


def _text(opener: Opener | None, record: Sent, path: str) -> tuple[str | None, str]:
    try:
        return text_of(opener, record, path), ""
    except Refused as error:
        return None, error.cause


def _out(path: str, record: Sent, text: tuple[str | None, str], known: Mapping[str, Document]) -> Said:
    letter = known.get(f"letters/{record.letter}")
    step = known.get(record.step)
    state, cause, fix, next_at = _fate(record, Step.of(step.data) if step else None)
    devices, missed = _devices(Letter.of(letter.data)) if letter else (None, ())
    parent = record.step.split("/")
    return Said(
        id=path.partition("/")[2],
        direction="out",
        state=state,
        at=record.at,
        text=text[0],
        cause="; ".join(each for each in (cause, text[1]) if each),
        fix=fix,
        next_at=next_at,
        kind=record.kind,
        by=record.by,
        room_id=record.room_id,
        event_id=record.event_id,
        encrypted=record.encrypted,
        template=record.template,
        job=parent[1] if parent[0] == "jobs" else "",
        devices=devices,
        missed=missed,
    )


def _fate(record: Sent, step: Step | None) -> tuple[State, str, str, datetime | None]:
    if record.event_id:
        return "sent", "", "", None
    if step is None or step.state == "done":
        return "unknown", GONE, "", None
    cause = step.cause or str(step.result.get("reason", ""))
    return step.state, cause, step.fix, step.due_at if step.state in ("scheduled", "waiting") else None


def _devices(letter: Letter) -> tuple[list[Reader], list[Missed]]:
    """The member's own."""
    got = [
        Reader(each["device_id"], each["name"], each["verified"], each.get("since"))
        for each in letter.got
        if each["user_id"] == letter.matrix_id
    ]
    missed = [
        Missed(each["device_id"], each["reason"]) for each in letter.missed if each["user_id"] == letter.matrix_id
    ]
    return got, missed


def _in(path: str, reply: Reply, shown: replies.Shown) -> Said:
    return Said(
        id=path.partition("/")[2],
        direction="in",
        state="sent",
        at=reply.at,
        text=shown.text,
        cause=shown.cause,
        kind="reply",
        by=reply.matrix_id,
        room_id=reply.room_id,
        event_id=reply.event_id,
        encrypted=bool(reply.session_id),
    )
