"""What goes in and out of /api/messages."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from functions.admin import models as m
from functions.admin.bulk_models import Filter, Pk
from shared.domain.broadcasts import LONGEST, MOST, MOST_ROOMS, Recipient
from shared.domain.bulk import MOST_NAMED
from shared.domain.onboarding import Step
from shared.services.broadcast_choice import To as Chosen
from shared.services.broadcast_report import Standing
from shared.services.broadcasts import Sample, Started
from shared.services.lists import Wanted

Group = Literal["", "got", "failed", "waiting", "open", "skipped"]
Words = Annotated[str, StringConstraints(strip_whitespace=True, max_length=LONGEST), AfterValidator(m._printable)]
Expected = Annotated[int, Field(ge=0, le=1_000_000, description="To how many it goes, as you have seen it")]
WAYS = ("people", "pks", "users", "bundle", "members_of", "rooms")


class To(m.Strict):
    """One of these. `people`: Matrix ids. `pks`: accounts. `users`: everybody whom that list shows. `bundle`: who has
    it, by id or name. `members_of`: who is in this room. `rooms`: into the rooms themselves."""

    people: Annotated[list[Annotated[m.MatrixId, Field(min_length=4)]], Field(min_length=1, max_length=MOST)] | None = (
        None
    )
    pks: Annotated[list[Pk], Field(min_length=1, max_length=MOST_NAMED)] | None = None
    users: Filter | None = None
    bundle: m.Label | None = None
    members_of: m.RoomRef | None = None
    rooms: Annotated[list[m.RoomRef], Field(min_length=1, max_length=MOST_ROOMS)] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> To:
        if sum(getattr(self, way) is not None for way in WAYS) != 1:
            raise ValueError(f"expected one of {', '.join(WAYS)}")
        return self


class NewMessage(m.Strict):
    """`text`: Markdown, with variables such as {display_name}; or the id of a `template`. `notice`: whether
    MATRIX_MESSAGE_NOTICE stands below; left out: for people, not in rooms. `expected` has to be there for more than
    ten, and where it would go to others by now nothing is sent."""

    text: Words = ""
    template: m.Line = ""
    to: To
    notice: bool | None = None
    expected: Expected | None = None

    @model_validator(mode="after")
    def _words(self) -> NewMessage:
        if bool(self.text) == bool(self.template):
            raise ValueError("expected either text or template")
        return self


class RecipientOut(m.Out):
    """`state`: got, failed, waiting, open (still to come) or skipped. `at`: since when. `waits_for`: device, join,
    limit (of messages a day), paused, or a neighbour; `next_at`: the next try. `event_id`, `template`, `readable`: of
    what the homeserver has confirmed."""

    step: str
    state: str
    name: str
    username: str
    pk: int | None
    matrix_id: str
    room: str
    at: m.Time | None
    next_at: m.Time | None
    waits_for: str
    cause: str
    fix: str
    attempts: int
    event_id: str
    room_id: str
    template: str
    readable: str


class PersonOut(m.Out):
    """`cause`: why nothing can be sent there."""

    name: str
    username: str
    pk: int | None
    matrix_id: str
    room: str
    cause: str
    fix: str


class SampleOut(m.Out):
    """As the first of them reads it. `html`: as clients show it, sanitized."""

    to: PersonOut
    plain: str
    html: str


class MessageSummary(m.Out):
    """`about`: to whom, in words. `people`: all recipients, those left out among them. `counts`: of them by state: got,
    failed, waiting, open, skipped. `stopped_why`: of one that stopped by itself."""

    id: str
    job: str
    state: Literal["running", "paused", "stopped", "cancelled", "done", "failed"]
    text: str
    template: str
    notice: str
    to: dict[str, Any]
    about: str
    people: int
    counts: dict[str, int]
    stopped_why: str
    actor: str
    created_at: m.Time
    changed_at: m.Time | None
    finished_at: m.Time | None


class MessageOut(MessageSummary):
    """`over`: nothing more happens by itself."""

    over: bool


class MessagePreview(MessageSummary):
    """`sends`: to so many. `first`: some of them. `left_out`: some of those who cannot be written to, and why;
    `limited`: some of those for whom it waits until tomorrow, since they had as many messages as a day may bring;
    `left_out_total`, `limited_total`: how many these are."""

    sends: int
    left_out_total: int
    limited_total: int
    first: list[PersonOut]
    left_out: list[PersonOut]
    limited: list[PersonOut]
    sample: SampleOut | None


class JobId(m.Out):
    id: str


class MessageStarted(m.Out):
    message: MessagePreview
    job: JobId


class MessageChanged(m.Out):
    message: MessageOut
    job: JobId


class Messages(m.Listed):
    items: list[MessageSummary]


class Recipients(m.Listed):
    items: list[RecipientOut]


# ------------------------------------------------------------------ from and to records


def chosen(to: To) -> Chosen:
    if to.people is not None:
        return Chosen("people", names=tuple(to.people))
    if to.pks is not None:
        return Chosen("pks", pks=tuple(to.pks))
    if to.users is not None:
        return Chosen("users", filter=Wanted(to.users.q, to.users.active, to.users.group))
    if to.bundle is not None:
        return Chosen("bundle", name=to.bundle)
    if to.members_of is not None:
        return Chosen("members_of", name=to.members_of)
    return Chosen("rooms", names=tuple(to.rooms or ()))


def started_out(started: Started) -> MessageStarted:
    data = started.message.data() | {"counts": dict(started.counts), "sends": started.sends}
    more: dict[str, Any] = {"left_out_total": started.out, "limited_total": started.later}
    for name in ("first", "left_out", "limited"):
        more[name] = [_person(each) for each in getattr(started, name)]
    more["sample"] = _sample(started.sample) if started.sample else None
    return MessageStarted(message=MessagePreview.model_validate(data | more), job=JobId(id=started.message.job))


def _sample(sample: Sample) -> SampleOut:
    return SampleOut(to=_person(sample.to), plain=sample.plain, html=sample.html)


def _person(one: Recipient) -> PersonOut:
    return PersonOut(
        name=one.name,
        username=one.username,
        pk=one.pk or None,
        matrix_id=one.matrix_id,
        room=one.room,
        cause=one.cause,
        fix=one.fix,
    )


def summary_out(standing: Standing) -> MessageSummary:
    return MessageSummary.model_validate(standing.message.data() | {"counts": dict(standing.counts)})


def message_out(standing: Standing) -> MessageOut:
    data = standing.message.data() | {"counts": dict(standing.counts), "over": standing.over}
    return MessageOut.model_validate(data)


def changed_out(standing: Standing) -> MessageChanged:
    return MessageChanged(message=message_out(standing), job=JobId(id=standing.message.job))


def recipient_out(step: Step) -> RecipientOut:
    result = {name: str(step.result.get(name, "")) for name in ("event_id", "room_id", "template", "readable")}
    about = {name: str(step.wanted.get(name, "")) for name in ("name", "username")}
    return RecipientOut(
        step=step.name,
        state=GROUP_OF[step.state],
        pk=step.wanted.get("pk"),
        matrix_id=step.matrix_id,
        room=step.room,
        at=step.updated_at,
        next_at=step.due_at,
        waits_for=step.waits_for,
        cause=step.cause or str(step.result.get("reason", "")),
        fix=step.fix,
        attempts=step.attempts,
        **about,
        **result,
    )


GROUP_OF = {
    "done": "got",
    "failed": "failed",
    "waiting": "waiting",
    "skipped": "skipped",
    "pending": "open",
    "scheduled": "open",
    "running": "open",
}
