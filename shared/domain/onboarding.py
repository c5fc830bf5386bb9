"""An onboarding and its steps: which steps there are, and what their states add up to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

from msgspec import Struct, field

from shared.domain import ids
from shared.domain.bundles import Way
from shared.domain.records import Record

State = Literal["pending", "scheduled", "running", "waiting", "done", "skipped", "failed"]
OnboardingState = Literal["running", "waiting", "held", "done", "failed"]
OPEN = ("scheduled", "running")
ENDED = ("done", "skipped", "failed")

ENTRY_POINTS: Mapping[str, str] = {
    "groups": "update_account",
    "invitation": "update_account",
    "deactivate": "update_account",
    "activate": "update_account",
    "room": "invite_to_room",
    "indoc_farewell": "remove_from_indoc",
    "indoc_removal": "remove_from_indoc",
    "hello": "deliver_welcome",
    "welcome": "deliver_welcome",
    "sponsor_note": "deliver_welcome",
    "removal": "remove_from_room",
    "level": "set_power_level",
    "spread": "apply_plan",
    "removal_message": "deliver_welcome",
    "answer": "deliver_welcome",
    "template_test": "deliver_welcome",
    "indoc_nudge": "remove_from_indoc",
    "indoc_expiry": "remove_from_indoc",
    "import": "update_account",
    "people": "update_account",
    "signal_room": "deliver_welcome",
    "email": "update_account",
    "recipients": "apply_plan",
    "message": "send_message",
}
"""Each kind of step and the entry point that runs it."""

ON_MATRIX = ("room", "indoc_farewell", "indoc_removal", "hello", "welcome", "removal", "level")
FOLLOWER: Mapping[str, str] = {"indoc_farewell": "indoc_removal", "hello": "welcome"}
"""What starts when a step has come to its end, however it ended: a farewell that could not be said
keeps nobody in INDOC."""

MAX_FAULTS = 10
"""Passing faults of one step before it is given up and shown. A neighbour's outage counts none."""


class Onboarding(Record, frozen=True, kw_only=True):
    """`source`: webhook, api or sweep. `given_by`: who named the Matrix id. `hold`: "", "pending",
    "approved" or "rejected". `state` repeats, for queries, what `derived_state` says. `seen`: whether
    they have ever logged in to Matrix, None until looked up; `seen_by`: the step that looks; `look_at`:
    when to look again. `personal_line`: what the welcome begins with, as an admin wrote it.
    `language`: as Authentik keeps it of them, "" where it does not. `sponsor`: who vouched for them, by their invite.
    `pace_*`: see `shared.domain.pace`."""

    id: str
    source: str
    account_pk: int
    uid: str
    username: str
    name: str
    created_at: datetime
    matrix_id: str = ""
    given_by: str = "username"
    groups: tuple[str, ...] = ()
    bundles: tuple[str, ...] = ()
    invite: str = ""
    hold: str = ""
    hold_reason: str = ""
    hold_by: str = ""
    send_welcome: bool = True
    skip_indoc: bool = False
    personal_line: str = ""
    state: OnboardingState = "running"
    finished_at: datetime | None = None
    seen: bool | None = None
    seen_by: str = ""
    look_at: datetime | None = None
    language: str = ""
    sponsor: str = ""
    pace_interval: float = 0.0
    pace_until: datetime | None = None


class Step(Record, frozen=True, kw_only=True):
    """`parent`: "onboardings/{id}", "jobs/{id}", "messages/{id}" or "indoc/{id}". `matrix_id`: whom it concerns, where
    that is not the parent's. `due_at`: scheduled: when its task runs; running: when the claim lapses; waiting: when we
    look again; else None. `faults`: passing faults so far. `waits_for`: "", "person", "indoc", "device", "join",
    "room", "target", "bridge", "limit" (of messages a day), "paused" (its message is) or a neighbour. `sent_*`: the
    transaction of a message; of an e-mail `sent_at` alone: when it was begun, None again once it is known that it was
    not sent. `wanted`: what it is to bring about beyond its room, such as a level, and what must still hold before it
    acts; of a message's recipient their name.
    `code`: of a refusal; of one that waits for a device, the ids of those that were of no use."""

    parent: str
    name: str
    kind: str
    state: State = "scheduled"
    room: str = ""
    matrix_id: str = ""
    attempts: int = 0
    faults: int = 0
    generation: int = 0
    due_at: datetime | None = None
    waits_for: str = ""
    cause: str = ""
    fix: str = ""
    code: str = ""
    result: dict[str, Any] = field(default_factory=dict)
    wanted: dict[str, Any] = field(default_factory=dict)
    sent_device: str = ""
    sent_at: datetime | None = None
    updated_at: datetime | None = None

    @property
    def path(self) -> str:
        return f"{self.parent}/steps/{self.name}"

    @property
    def entry_point(self) -> str:
        return ENTRY_POINTS[self.kind]

    @property
    def waits_along(self) -> bool:
        """A removal from INDOC that waits until the farewell has found them there, so as not to come before it."""
        return self.state == "waiting" and self.waits_for == "indoc" and self.due_at is None

    def scheduled(self, at: datetime, *, anew: bool = True) -> Step:
        """To be run at `at`; `anew` gives its task a name that was never used."""
        return self.but(state="scheduled", due_at=at, waits_for="", generation=self.generation + anew, updated_at=at)

    def ended(self, state: State, now: datetime, **changes: Any) -> Step:
        quiet = {} if state == "failed" else {"cause": "", "fix": "", "code": ""}
        return self.but(state=state, due_at=None, waits_for="", updated_at=now, **(quiet | changes))

    def waiting(self, now: datetime, *, on: str, cause: str, fix: str, until: datetime | None = None) -> Step:
        return self.but(state="waiting", waits_for=on, cause=cause, fix=fix, due_at=until, updated_at=now)


class Plan(Struct, frozen=True):
    """What an onboarding is to bring. `rooms` are ids or aliases; `groups` names or uuids. `levels`: a room to the
    power level there. `ways`: rooms to the spaces by which members enter them by themselves. `sponsor`: who vouches for
    them; `sponsor_id`: that one's Matrix id, where it is known."""

    rooms: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    indoc: str = ""
    remove_from_indoc: bool = True
    send_welcome: bool = True
    closes_invite: bool = False
    levels: Mapping[str, int] = {}
    ways: Mapping[str, Way] = {}
    sponsor: str = ""
    sponsor_id: str = ""


def steps_of(onboarding: Onboarding, plan: Plan, now: datetime) -> list[Step]:
    """The steps of a new onboarding, each in the state from which it starts."""
    parent = f"onboardings/{onboarding.id}"

    def step(kind: str, name: str = "", **fields: Any) -> Step:
        made = Step(parent=parent, name=name or kind, kind=kind, due_at=now, updated_at=now, **fields)
        return start_of(made, onboarding, now)

    steps = [step("deactivate")] if onboarding.hold == "pending" else []
    if plan.closes_invite:
        steps.append(step("invitation"))
    if plan.groups:
        steps.append(step("groups"))
    steps += [
        step("room", ids.room_step(room), room=room, wanted=_way(plan, room)) for room in dict.fromkeys(plan.rooms)
    ]
    steps += [step("level", ids.level_step(room), room=room, wanted={"level": n}) for room, n in plan.levels.items()]
    if plan.indoc and plan.remove_from_indoc:
        steps += [step("indoc_farewell", room=plan.indoc), step("indoc_removal", room=plan.indoc)]
    if plan.send_welcome:
        steps += [step("hello"), step("welcome")]
    if plan.sponsor:
        steps.append(step("sponsor_note", matrix_id=plan.sponsor_id, wanted={"sponsor": plan.sponsor}))
    return steps


def _way(plan: Plan, room: str) -> dict[str, Any]:
    way = plan.ways.get(room)
    return {"space": way.space, "space_name": way.name} if way else {}


def start_of(step: Step, onboarding: Onboarding, now: datetime) -> Step:
    """A scheduled step, in the state from which it really starts in this onboarding."""
    if step.kind in ("deactivate", "invitation"):
        return step
    if onboarding.hold == "pending":
        return step.but(state="pending", due_at=None)
    if step.kind in ON_MATRIX and not onboarding.matrix_id:
        return waits_for_matrix_id(step, now)
    if step.kind in FOLLOWER.values():
        return step.but(state="pending", due_at=None)
    return step


def waits_for_matrix_id(step: Step, now: datetime, problem: str = "") -> Step:
    return step.waiting(
        now,
        on="person",
        cause=f"nobody has said which Matrix id is theirs{f': {problem}' if problem else ''}",
        fix="Name their Matrix id: POST /api/users/{pk}/onboard with matrix_id. What waits then goes on.",
    )


def looks_up_presence(steps: Iterable[Step]) -> str:
    """The one step that asks whether they have ever logged in: a question per member, not per room."""
    kinds = {step.kind: step.name for step in reversed(list(steps))}
    return next((kinds[kind] for kind in ("indoc_farewell", "hello", "room") if kind in kinds), "")


def derived_state(hold: str, steps: Iterable[Step]) -> OnboardingState:
    """Failed comes before waiting: somebody must act, and nothing more will happen by itself."""
    states = {step.state for step in steps}
    if hold == "pending":
        return "held"
    if states & {"scheduled", "running"}:
        return "running"
    if "failed" in states:
        return "failed"
    return "waiting" if states & {"waiting", "pending"} else "done"


def again(step: Step, names: Sequence[str], now: datetime) -> Step:
    """A failed step, or one that is named (then also a waiting one), as it begins anew; any other as it is."""
    wanted = step.name in names if names else step.state == "failed"
    if not wanted or step.state not in ("failed", "waiting", "scheduled") or step.waits_for == "person":
        return step  # whoever waits for a Matrix id waits for nothing else
    return step.scheduled(now).but(faults=0, cause="", fix="", code="")


def backoff(faults: int) -> timedelta:
    """After the n-th passing fault: 2 s, doubling, at most 5 minutes."""
    return timedelta(seconds=min(300, 2**faults))
