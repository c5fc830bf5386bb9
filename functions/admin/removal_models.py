"""What goes in and out of removals, off-boardings and the stored reasons for them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path
from pydantic import Field

from functions.admin import models as m
from shared.domain.errors import Invalid
from shared.domain.removals import RemovalReason
from shared.services.removals import Words
from shared.services.where import Whereabouts

ReasonId = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9_-]{0,59}$", description="lower case, digits, - and _")]
Ids = Annotated[list[Annotated[m.MatrixId, Field(min_length=4)]], Field(max_length=10)]
Sentence = Annotated[m.Text, Field(min_length=1, max_length=300)]


class ReasonIn(m.Strict):
    """Texts may name {username}, {name}, {matrix_id}, {community}, {date}."""

    label: m.Label
    reason: Sentence
    message: m.Text = ""


class ReasonOut(m.Out):
    id: str
    label: str
    reason: str
    message: str
    created_at: m.Time
    updated_at: m.Time | None
    updated_by: str


class ReasonList(m.Listed):
    items: list[ReasonOut]


class Offboard(m.Strict):
    """`keep_rooms`: rooms that they stay in. `matrix_ids`: further ids of theirs, which the admin vouches for."""

    reason: m.Label | None = None
    template: m.Line = ""
    message: m.Text = ""
    message_required: bool = False
    keep_rooms: m.Rooms = Field(default_factory=list)
    matrix_ids: Ids = Field(default_factory=list)


class MemberRooms(m.RoomList):
    """`live` false: the homeserver did not answer; these are from the cache, so many seconds old."""

    live: bool
    age_seconds: float | None


def whom(wanted: m.RoomsInvite | m.RoomsRemove) -> dict[str, Any]:
    """One person, or several. Raises `Invalid` for neither and for both."""
    if wanted.matrix_id is None and wanted.matrix_ids is None:
        raise Invalid.field("matrix_id", "expected a Matrix id such as @ada:example.org, or several as matrix_ids")
    if wanted.matrix_id is not None and wanted.matrix_ids is not None:
        raise Invalid.field("matrix_ids", "expected this or matrix_id, not both")
    return {"matrix_id": wanted.matrix_id or "", "people": tuple(wanted.matrix_ids or ())}


def reason_out(record: RemovalReason) -> ReasonOut:
    return ReasonOut.model_validate(record.data())


def words_of(wanted: m.RoomsRemove | Offboard) -> Words:
    return Words(wanted.reason or "", wanted.template, wanted.message, wanted.message_required)


def member_rooms(found: Whereabouts) -> MemberRooms:
    items = [m.room_out(room) for room in found.rooms]
    return MemberRooms(items=items, next_cursor=None, total=len(items), live=found.live, age_seconds=found.age_seconds)
