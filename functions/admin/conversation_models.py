"""What goes in and out of /api/members/{matrix_id}/conversation."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from functions.admin import models as m
from shared.services.conversation import State, Talk


class Answer(m.Strict):
    """An admin's words, sent as the bot's: Markdown, with the variables that each template has."""

    text: Annotated[m.Text, Field(min_length=1)]


class DeviceOut(m.Out):
    """`since`: when it was given the key, where that was later than the message."""

    device_id: str
    name: str
    verified: bool
    since: m.Time | None


class MissedOut(m.Out):
    """A device that cannot read it, and why."""

    device_id: str
    reason: str


class SaidOut(m.Out):
    """`direction`: "out" is the bot's. `text`: null when there is none to show, and then `cause` says why. `state`: of
    the bot's; one that was not sent (yet) has `cause`, `fix` and `next_at`, and the `job` that can be retried. `by`:
    the admin, "muster", or the member. `devices`: which of theirs can read it; null where it is not encrypted or was
    encrypted by them."""

    id: str
    direction: Literal["out", "in"]
    state: State
    at: m.Time
    text: str | None
    cause: str
    fix: str
    next_at: m.Time | None
    kind: str
    by: str
    template: str
    room_id: str
    event_id: str
    encrypted: bool
    devices: list[DeviceOut] | None
    missed: list[MissedOut]
    job: str


class Conversation(m.Listed):
    """The newest first."""

    items: list[SaidOut]


def conversation_out(talk: Talk) -> Conversation:
    items = [SaidOut.model_validate(each, from_attributes=True) for each in talk.items]
    return Conversation(items=items, next_cursor=talk.next_cursor, total=talk.total)
