"""What goes in and out of /api/plans."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from functions.admin import models as m
from shared.domain.plans import Line, Plan
from shared.services.plan_apply import MAX_AGE

LineId = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[0-9a-f]+$")]
MOST_LINES = 20_000
EXPECTED = f'expected "all", or 1 to {MOST_LINES} ids of lines'


def _in_words(value: Any, check: ValidatorFunctionWrapHandler) -> Any:
    """One sentence instead of what is wrong with it as a list, and as a text."""
    try:
        return check(value)
    except ValidationError as error:
        raise ValueError(EXPECTED) from error


Lines = Annotated[
    Annotated[list[LineId], Field(min_length=1, max_length=MOST_LINES)] | Literal["all"], WrapValidator(_in_words)
]
Removals = Annotated[int, Field(ge=0, le=1_000_000, description="How many people lose a room: above ten, as typed")]


class NewPlan(m.Strict):
    """Limited to bundles (ids or names), groups of Authentik, members; empty: all of them."""

    bundles: m.Bundles = []
    groups: m.Groups = []
    matrix_ids: Annotated[list[Annotated[m.MatrixId, Field(min_length=4)]], Field(max_length=1000)] = []


Ticked = Literal["invite", "join", "remove", "level"]


class Apply(m.Strict):
    """`lines`: ids, or "all". `all_of`: besides those every line of these actions; so a hundred thousand are ticked
    without naming them. `without`: of what "all" and `all_of` mean, these are not ticked."""

    lines: Lines | None = None
    all_of: Annotated[list[Ticked], Field(max_length=4)] = []
    without: Annotated[list[LineId], Field(max_length=MOST_LINES)] = []
    removals: Removals | None = None


class Undo(m.Strict):
    removals: Removals | None = None


class PlanOut(m.Out):
    """`state`: planned, old (make a new one), applied (see `job`), undone (see `undo_job`). `counts`: by action."""

    id: str
    state: Literal["planned", "old", "applied", "undone"]
    actor: str
    created_at: m.Time
    bundles: list[str]
    groups: list[str]
    matrix_ids: list[str]
    people: int
    total: int
    counts: dict[str, int]
    notes: list[str]
    job: str
    applied_at: m.Time | None
    applied: dict[str, int]
    undo_until: m.Time | None
    undo_job: str
    undone_at: m.Time | None


class PlanLineOut(m.Out):
    """`before` and `after`: memberships, or power levels. `keep`: what is not done, and why."""

    id: str
    action: Literal["invite", "join", "remove", "level", "keep"]
    matrix_id: str
    username: str
    room_id: str
    room: str
    before: str
    after: str
    reason: str


class Plans(m.Listed):
    items: list[PlanOut]


class PlanLines(m.Listed):
    items: list[PlanLineOut]


def plan_out(plan: Plan, now: datetime) -> PlanOut:
    return PlanOut.model_validate(plan.data() | {"total": plan.total, "state": _state(plan, now)})


def _state(plan: Plan, now: datetime) -> str:
    if plan.job:
        return "undone" if plan.undo_job else "applied"
    return "old" if now - plan.created_at > MAX_AGE else "planned"


def line_out(line: Line) -> PlanLineOut:
    return PlanLineOut.model_validate(line, from_attributes=True)
