"""What goes in and out of the admin API. In: strict, so that a mistake is named; out: what the
records say, and what to do next."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

from fastapi import Header, Query, Request
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    StringConstraints,
    WithJsonSchema,
)

from shared.domain import bulk, ids
from shared.domain.errors import Invalid
from shared.domain.imports import Line as ImportLine
from shared.domain.invites import Invite
from shared.domain.members import member_id
from shared.domain.onboarding import Onboarding, Step
from shared.domain.suggestions import LONGEST_LINE
from shared.ports import Account, Room
from shared.services.context import Actor
from shared.services.jobs import JobView
from shared.services.onboardings import View


def _printable(value: str) -> str:
    """Refuses control characters and halves of characters, which no store and no person can read."""
    if any(
        (ord(char) < 32 and char not in "\n\t") or ord(char) == 127 or 0xD800 <= ord(char) <= 0xDFFF for char in value
    ):
        raise ValueError("expected text without control characters")
    return value


def _matrix_id(value: str) -> str:
    if value and not _is_member_id(value):
        raise ValueError("expected a Matrix id such as @ada:example.org")
    return value


def _is_member_id(value: str) -> bool:
    try:
        member_id(value)
    except Invalid:
        return False
    return True


def _room(value: str) -> str:
    if not value.isprintable() or not (
        (value.startswith("!") and " " not in value and len(value) > 1) or _is_alias(value)
    ):
        raise ValueError("expected a room id such as !abc:example.org or an alias such as #ops:example.org")
    return value


def _is_alias(value: str) -> bool:
    local, _, server = value.removeprefix("#").partition(":")
    return value.startswith("#") and bool(local) and bool(server) and " " not in value


def _email(value: str) -> str:
    local, _, domain = value.rpartition("@")
    if value and (not local or "." not in domain or " " in value or value.count("@") != 1):
        raise ValueError("expected an e-mail address such as ada@example.org")
    return value


def _date(value: Any) -> Any:
    """Text only: a number could be seconds, milliseconds or days."""
    if not isinstance(value, str) or not re.match(r"\d{4}-\d\d-\d\d", value):
        raise ValueError("expected a time such as 2030-01-31T12:00:00Z")
    return value


def _attribute(value: Any) -> Any:
    if isinstance(value, str):
        if len(value) > 4000:
            raise ValueError("expected at most 4000 characters")
        return _printable(value.strip())
    if value is None or (isinstance(value, int | float) and abs(value) <= 2**53):
        return value
    raise ValueError("expected text, a number, true, false or null")


def _utc(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


Line = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200), AfterValidator(_printable)]
Text = Annotated[str, StringConstraints(strip_whitespace=True, max_length=4000), AfterValidator(_printable)]
PersonalLine = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=LONGEST_LINE), AfterValidator(_printable)
]
Label = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100), AfterValidator(_printable)
]
MatrixId = Annotated[
    str,
    StringConstraints(strip_whitespace=True, max_length=255),
    AfterValidator(_printable),
    AfterValidator(_matrix_id),
]
Email = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=254), AfterValidator(_printable), AfterValidator(_email)
]
RoomRef = Annotated[str, StringConstraints(max_length=255), AfterValidator(_printable), AfterValidator(_room)]
Rooms = Annotated[list[RoomRef], Field(max_length=100)]
Groups = Annotated[list[Label], Field(max_length=50)]
Bundles = Annotated[list[Label], Field(max_length=50, description="Ids or names")]
Expiry = Annotated[AwareDatetime, Field(strict=False), BeforeValidator(_date)]
Attribute = Annotated[
    Any,
    PlainValidator(_attribute),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "maxLength": 4000},
                {"type": "number", "minimum": -(2**53), "maximum": 2**53},
                {"type": "boolean"},
                {"type": "null"},
            ]
        }
    ),
]
Time = Annotated[datetime, PlainSerializer(_utc, return_type=str)]
Limit = Annotated[int, Query(ge=1, le=200)]
Cursor = Annotated[str | None, Query(max_length=2000)]
Search = Annotated[str, Query(max_length=300), AfterValidator(_printable)]
Maybe = Annotated[bool | None, BeforeValidator(lambda value: None if value == "" else value)]
DryRun = Annotated[bool, Query(description="Says what would happen; nothing is done")]
IdempotencyKey = Annotated[str, Header(max_length=200)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, defer_build=False)


class Out(BaseModel):
    model_config = ConfigDict(defer_build=False)


class Problem(Out):
    type: str
    title: str
    status: int
    detail: str
    fix: str = ""
    errors: list[dict[str, str]] = []
    retry_after: float | None = None


# ------------------------------------------------------------------ in


class NewInvite(Strict):
    label: Label
    rooms: Rooms = []
    groups: Groups = []
    bundles: Bundles = []
    email: Email = ""
    matrix_id: MatrixId = ""
    expires_in_hours: Annotated[float, Field(ge=0.01, le=8784)] | None = None
    expires_at: Expiry | None = None
    max_uses: Annotated[int, Field(ge=1, le=10_000)] = 1
    note: Text = ""
    sponsor: Line = ""


class InviteChanges(Strict):
    label: Label | None = None
    rooms: Rooms | None = None
    groups: Groups | None = None
    bundles: Bundles | None = None
    email: Email | None = None
    matrix_id: MatrixId | None = None
    expires_in_hours: Annotated[float, Field(ge=0.01, le=8784)] | None = None
    expires_at: Expiry | None = None
    max_uses: Annotated[int, Field(ge=1, le=10_000)] | None = None
    note: Text | None = None
    sponsor: Line | None = None


class NewUser(Strict):
    """`personal_line`: what the welcome begins with, as it stands: nothing in it is markup."""

    first_name: Label
    last_name: Line = ""
    email: Email = ""
    username: Line = ""
    groups: Groups = []
    rooms: Rooms = []
    bundles: Bundles = []
    interests: Text = ""
    matrix_id: MatrixId = ""
    organization: Line = ""
    intro: Text = ""
    signal_number: Line = ""
    invited_by: Line = ""
    personal_line: PersonalLine = ""
    skip_indoc_removal: bool = False
    send_welcome: bool = True


class UserChanges(Strict):
    """`attributes` are merged: a null removes its key. `groups` is the whole list."""

    name: Label | None = None
    email: Email | None = None
    groups: Groups | None = None
    attributes: Annotated[dict[Label, Attribute], Field(max_length=50)] | None = None


class Onboard(Strict):
    matrix_id: MatrixId = ""
    rooms: Rooms = []
    bundles: Bundles = []
    skip_indoc_removal: bool | None = None
    send_welcome: bool | None = None


class Retry(Strict):
    steps: Annotated[
        list[Annotated[str, StringConstraints(min_length=1, max_length=800), AfterValidator(_printable)]],
        Field(max_length=200),
    ] = []


class Skip(Strict):
    step: Annotated[str, StringConstraints(min_length=1, max_length=800), AfterValidator(_printable)]
    reason: Label


People = Annotated[list[Annotated[MatrixId, Field(min_length=4)]], Field(min_length=1, max_length=100)]


class RoomsInvite(Strict):
    """`matrix_ids` instead of `matrix_id`: several people, in one job."""

    matrix_id: Annotated[MatrixId, Field(min_length=4)] | None = None
    matrix_ids: People | None = None
    rooms: Annotated[Rooms, Field(min_length=1)]


class RoomsRemove(Strict):
    """A reason, or the id of a stored one (`template`). `message`: said to them before; whoever cannot be reached is
    removed all the same, unless `message_required`. Texts may name {username}, {name}, {matrix_id}, {community},
    {date}. `matrix_ids` instead of `matrix_id`: several people, in one job, each with the texts filled in for them."""

    matrix_id: Annotated[MatrixId, Field(min_length=4)] | None = None
    matrix_ids: People | None = None
    rooms: Rooms | None = None
    reason: Label | None = None
    template: Line = ""
    message: Text = ""
    message_required: bool = False


# ------------------------------------------------------------------ out


class InviteOut(Out):
    """`settled`: Authentik has what this record says."""

    id: str
    label: str
    link: str
    code: str
    status: Literal["pending", "redeemed", "expired", "revoked"]
    expires_at: Time
    uses: int
    max_uses: int
    rooms: list[str]
    groups: list[str]
    bundles: list[str]
    email: str
    matrix_id: str
    note: str
    sponsor: str
    created_at: Time
    created_by: str
    used_by: list[str]
    settled: bool


class StepOut(Out):
    """`waits_for`: "", "person" (to name their Matrix id: nothing else helps), or what must come first."""

    state: str
    attempts: int
    next_at: Time | None
    waits_for: str
    cause: str
    fix: str
    detail: str
    room: str
    result: dict[str, Any]
    updated_at: Time | None


class MemberOut(Out):
    """`has_logged_in`: to Matrix, ever; null until looked up."""

    pk: int
    username: str
    name: str
    matrix_id: str
    matrix_id_given_by: str
    has_logged_in: bool | None


class OnboardingSummary(Out):
    id: str
    state: Literal["running", "waiting", "held", "done", "failed"]
    member: MemberOut
    source: str
    invite: str
    bundles: list[str]
    hold: str
    hold_reason: str
    created_at: Time
    finished_at: Time | None


class OnboardingOut(OnboardingSummary):
    """`personal_line`: what the welcome begins with."""

    personal_line: str = ""
    steps: dict[str, StepOut]


class ReplyOut(Out):
    """What the member wrote in the direct room. `text`: null when there is none to show, and then `cause` says why: its
    key has not come, or will not come any more; it is no text; it is malformed. `at`: as their homeserver says."""

    at: Time
    event_id: str
    text: str | None
    cause: str


class OnboardingWithReplies(OnboardingOut):
    """`replies`: the newest first, at most 20, for 90 days."""

    replies: list[ReplyOut]


class UserOut(Out):
    pk: int
    uid: str
    username: str
    name: str
    email: str
    active: bool
    groups: list[str]
    attributes: dict[str, Any]
    joined_at: Time | None
    last_login: Time | None
    onboarding: str


class UserMade(Out):
    """`recovery_link` or `temporary_password`: shown this once. `secret_shown`: it was, earlier."""

    user: UserOut
    onboarding: OnboardingOut
    recovery_link: str | None = None
    temporary_password: str | None = None
    secret_shown: bool = False


class WayIn(Out):
    user: UserOut
    recovery_link: str | None = None
    temporary_password: str | None = None


class RoomOut(Out):
    """`replaced_by`: the room that it was upgraded to, "" while it is the one to be in."""

    room_id: str
    name: str
    topic: str
    alias: str
    encrypted: bool
    members: int
    kind: str
    join_rule: str
    replaced_by: str = ""


class JobItem(Out):
    """`kind`: of the step, which is called `step`; of a person in an act on many what is done, and then `pk`,
    `username` and `name` say who; of an e-mail `name` is the address. `matrix_id`: whom it concerns, where that is not
    the job's."""

    kind: str
    step: str = ""
    pk: int | None = None
    username: str = ""
    name: str = ""
    matrix_id: str
    room: str
    state: str
    attempts: int
    next_at: Time | None
    cause: str
    fix: str
    result: dict[str, Any]


class JobSummary(Out):
    """`target`: an invite's id or a username, where it is about one. `part_of`: the job of a plan that it belongs to.
    `people`: how many it concerns, where `matrix_id` is "" because they are several, each named by the items."""

    id: str
    kind: str
    state: str
    matrix_id: str
    people: int
    reason: str
    target: str = ""
    actor: str
    part_of: str
    created_at: Time
    finished_at: Time | None


class JobOut(JobSummary):
    """`message`: what they were told before. `notes`: what to know of how it was decided, and of why it waits.
    `counts`: of all items, by state. `total`: of all items, where `items` are only the first of them."""

    message: str
    notes: list[str]
    counts: dict[str, int]
    total: int
    items: list[JobItem]


class Started(Out):
    onboarding: OnboardingOut


class JobStarted(Out):
    job: JobOut


class AuditOut(Out):
    id: str
    at: Time
    actor: str
    action: str
    target: str
    outcome: str
    detail: dict[str, Any]
    source: str


class CheckOut(Out):
    """`command`: what of the fix can be copied into a shell, or into a Matrix client where it begins with a slash."""

    name: str
    ok: bool
    detail: str
    fix: str
    command: str = ""


class Listed(Out):
    next_cursor: str | None
    total: int


class Invites(Listed):
    items: list[InviteOut]


class Onboardings(Listed):
    items: list[OnboardingSummary]


class RoomList(Listed):
    items: list[RoomOut]


class Jobs(Listed):
    items: list[JobSummary]


class AuditList(Listed):
    """`looked`: how many records were looked at for this page; `total`: how many there are to look at."""

    items: list[AuditOut]
    looked: int


class Checks(Listed):
    """`ok`: every check is."""

    ok: bool
    items: list[CheckOut]


class TookOut(Out):
    """Seconds; null over nobody."""

    count: int
    p50: float | None
    p95: float | None


class FailureOut(Out):
    """`example`: the onboarding (or job) of the latest; `cause` and `fix` are its own."""

    kind: str
    cause: str
    fix: str
    count: int
    example: str
    step: str
    latest: Time | None


class DayOut(Out):
    """`day`: its beginning. `begun`, `home`: onboardings on it."""

    day: Time
    begun: int
    home: int


class MetricsOut(Out):
    """`by_state`: all onboardings. `waiting_steps`: by what they wait for. `failures`: by cause, drawn from
    `failures_of` of the `failed_steps`. `time_to_home`: of the latest since `since`. `series`: a day each, ready to
    plot."""

    at: Time
    since: Time
    by_state: dict[str, int]
    waiting_steps: dict[str, int]
    failed_steps: int
    failures: list[FailureOut]
    failures_of: int
    time_to_home: TookOut
    series: list[DayOut]


class OperationsOut(Out):
    reads: float
    writes: float
    deletes: float
    tasks: float
    requests: float
    matrix: float
    authentik: float
    documents: float


class CostOut(Out):
    """`list_price`: as if nothing were free."""

    operations: OperationsOut
    money: float
    list_price: float


class CostLine(Out):
    """`covered`: the part of `amount` that is free, from 0 to 1."""

    name: str
    unit: str
    amount: float
    covered: float
    list_price: float
    money: float


class CostsOut(Out):
    """Estimates. `onboardings`: of 30 days, each into `rooms` on average; `kept`: of all time. `per_onboarding`: the
    price of one more, nothing being free; `per_month`: with the schedules and the free tier; `lines` are its bill."""

    at: Time
    currency: str
    prices_of: date
    source: str
    onboardings: int
    rooms: float
    kept: int
    per_onboarding: CostOut
    per_month: CostOut
    lines: list[CostLine]
    assumed: dict[str, float]
    not_counted: list[str]


def offset_of(cursor: str | None) -> int:
    """Of a list that is read as a whole: where its page begins."""
    if cursor and not (cursor.isascii() and cursor.isdigit() and len(cursor) < 8):
        raise Invalid.field("cursor", "expected the next_cursor of the page before")
    return int(cursor or 0)


def repeated(model: type[Out]) -> dict[int | str, dict[str, Any]]:
    """For the document: what a route that makes something answers beside 201."""
    return {200: {"model": model, "description": "A dry run; or made before, under the same Idempotency-Key"}}


# ------------------------------------------------------------------ from records


def actor_of(request: Request) -> Actor:
    """Who was authenticated before the route was reached."""
    actor: Actor = request.state.actor
    return actor


def body_of(request: Request) -> str:
    """A digest of the body, to tell a repeat from another request under the same key."""
    return ids.digest(request.state.body.decode("utf-8", "replace"))


def invite_out(invite: Invite, now: datetime) -> InviteOut:
    data = invite.data() | {"status": invite.status(now), "settled": not invite.stale}
    return InviteOut.model_validate(data)


def step_out(step: Step, seen: bool | None) -> StepOut:
    data = step.data() | {"next_at": step.due_at, "detail": step_detail(step, seen)}
    return StepOut.model_validate(data)


def step_detail(step: Step, seen: bool | None) -> str:
    """What a glance should tell."""
    if step.state == "done" and step.kind == "room":
        if step.result.get("membership") == "join":
            return "in the room"
        return "invited, has never logged in" if seen is False else "invited"
    return str(step.result.get("reason", "")) if step.state == "skipped" else step.cause


def onboarding_summary(onboarding: Onboarding, **more: Any) -> dict[str, Any]:
    member = {
        "pk": onboarding.account_pk,
        "username": onboarding.username,
        "name": onboarding.name,
        "matrix_id": onboarding.matrix_id,
        "matrix_id_given_by": onboarding.given_by,
        "has_logged_in": onboarding.seen,
    }
    return onboarding.data() | {"member": member} | more


def onboarding_out(view: View) -> OnboardingOut:
    return OnboardingOut.model_validate(_with_steps(view))


def onboarding_with_replies(view: View) -> OnboardingWithReplies:
    replies = [ReplyOut.model_validate(reply, from_attributes=True) for reply in view.replies]
    return OnboardingWithReplies.model_validate(_with_steps(view, replies=replies))


def _with_steps(view: View, **more: Any) -> dict[str, Any]:
    steps = {step.name: step_out(step, view.onboarding.seen) for step in view.steps}
    return onboarding_summary(view.onboarding, state=view.state, steps=steps, **more)


def user_out(account: Account) -> UserOut:
    return UserOut(
        pk=account.pk,
        uid=account.uid,
        username=account.username,
        name=account.name,
        email=account.email,
        active=account.active,
        groups=list(account.groups),
        attributes=account.attributes,
        joined_at=account.joined_at,
        last_login=account.last_login,
        onboarding=ids.onboarding_id(account.uid) if account.uid else "",
    )


def room_out(room: Room) -> RoomOut:
    return RoomOut.model_validate(room, from_attributes=True)


def job_out(view: JobView) -> JobOut:
    if view.counts is not None:
        return _bulk_out(view, view.counts)
    items = [
        JobItem.model_validate(
            step.data() | {"next_at": step.due_at, "step": step.name, "name": step.wanted.get("to", "")}
        )
        for step in view.steps
    ]
    more = {"items": items, "counts": Counter(item.state for item in items), "total": len(items)}
    return JobOut.model_validate(view.job.data() | {"state": view.state, **more})


def _bulk_out(view: JobView, counts: Mapping[str, int]) -> JobOut:
    """The people in place of the step that does it to them; where it waits or has ended, its cause is a note."""
    causes = [f"{step.cause}. {step.fix}".strip() for step in view.steps if step.cause and step.code != "PARTLY"]
    shown = Counter[str]()
    for state, count in counts.items():
        shown[SAID.get(state, state)] += count
    more = {"items": [person_item(view.job.kind, line) for line in view.lines], "counts": shown, "total": shown.total()}
    return JobOut.model_validate(view.job.data() | {"state": view.state, "notes": [*view.job.notes, *causes], **more})


SAID = {"begun": "running"}
"""A line's state, as a step's is called."""


def person_item(kind: str, line: ImportLine) -> JobItem:
    return JobItem(
        kind=kind,
        pk=int(line.id),
        username=line.username,
        name=line.label,
        matrix_id="",
        room="",
        state=SAID.get(line.state, line.state),
        attempts=0,
        next_at=None,
        cause=line.cause,
        fix=line.fix,
        result=bulk.out(line),
    )
