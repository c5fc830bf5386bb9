"""An import: a file, or a template, of which each line becomes an account or an invite. And the lines themselves, which
an act on many people (`shared.domain.bulk`) has too.

The lines are kept in parts of a few dozen, each part one document, so that a line's outcome costs one small write.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec
from msgspec import Struct, field

from shared.domain.onboarding import OnboardingState
from shared.domain.records import Record

Kind = Literal["users", "invites"]
OnConflict = Literal["stop", "skip"]
LineState = Literal["would_create", "pending", "begun", "created", "done", "skipped", "failed", "left"]
"""An import's lines are `created`, people are `done`; `begun`: a job of their own is under way."""
MAX_LINES = 5000
PER_PART = 25
PART_BYTES = 64 * 1024
"""Of lines in one part; a single line may be larger, and then has one of its own."""
KEPT = timedelta(days=30)
"""How long lines are kept: what was left holds names and addresses."""


class Line(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`line`: its number in the file. `fields`: what is to be made, `cells`: what the file said; both are dropped once
    it is made. `errors`: (field, message). `id`: of the invite, or the account's pk. `job`: one of its own. `left`:
    not begun, and will not be."""

    line: int
    state: LineState = "pending"
    cause: str = ""
    fix: str = ""
    id: str = ""
    username: str = ""
    label: str = ""
    onboarding: str = ""
    job: str = ""
    errors: tuple[tuple[str, str], ...] = ()
    cells: dict[str, str] = field(default_factory=dict)
    fields: dict[str, Any] = field(default_factory=dict)

    def but(self, **changes: Any) -> Line:
        return msgspec.structs.replace(self, **changes)

    def made(self, made_id: str, username: str = "", onboarding: str = "") -> Line:
        """Of a member or an invite that there is now, nothing else is kept here."""
        return self.but(state="created", id=made_id, username=username, onboarding=onboarding, cells={}, fields={})

    def failed(self, cause: str, fix: str, state: LineState = "failed") -> Line:
        return self.but(state=state, cause=cause, fix=fix)


class Import(Record, frozen=True, kw_only=True):
    """`sizes`: how many lines each part has. `at`: the first part with lines to be done. `counts`: of lines by state.
    `stopped_at`: the line at which it stopped while it ran, and `stopped_by`: why; what was pending then is left."""

    id: str
    kind: Kind
    on_conflict: OnConflict
    actor: str
    created_at: datetime
    columns: tuple[str, ...] = ()
    sizes: tuple[int, ...] = ()
    at: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    stopped_at: int = 0
    stopped_by: str = ""

    @property
    def lines(self) -> int:
        return sum(self.sizes)

    def stopped(self, line: Line) -> Import:
        """At one that could not be made: with `stop` the rest is left. Else as it is."""
        if self.on_conflict != "stop":
            return self
        counts = dict(self.counts)
        rest = counts.pop("pending", 0)
        counts |= {"left": counts.get("left", 0) + rest} if rest else {}
        return self.but(stopped_at=line.line, stopped_by=line.cause, counts=counts)


class Part(Record, frozen=True, kw_only=True):
    """`lines`: as JSON text, so that no field of theirs is indexed."""

    lines: str
    expire_at: datetime

    def read(self) -> list[Line]:
        return msgspec.json.decode(self.lines, type=list[Line])

    @classmethod
    def of_lines(cls, lines: Sequence[Line], expire_at: datetime) -> Part:
        return cls(lines=msgspec.json.encode(lines).decode(), expire_at=expire_at)


def counted(lines: Iterable[Line]) -> dict[str, int]:
    return dict(Counter(line.state for line in lines))


def recounted(counts: Mapping[str, int], before: Iterable[Line], after: Iterable[Line]) -> dict[str, int]:
    """`counts` of all lines, some of which have become others."""
    found = Counter(counts)
    found.update(line.state for line in after)
    found.subtract(line.state for line in before)
    return {state: count for state, count in found.items() if count}


def packed(lines: Sequence[Line]) -> list[list[Line]]:
    parts: list[list[Line]] = []
    room = 0
    for line in lines:
        size = len(msgspec.json.encode(line))
        if not parts or len(parts[-1]) >= PER_PART or size > room:
            parts.append([])
            room = PART_BYTES
        parts[-1].append(line)
        room -= size
    return parts


def stopped(lines: Sequence[Line]) -> list[Line]:
    """The same lines, of which those that come after the first that cannot be made are left."""
    at = next((line for line in lines if line.state in ("failed", "skipped")), None)
    if at is None:
        return list(lines)
    return [left(line, at.line) if line.line > at.line else line for line in lines]


def left(line: Line, at: int) -> Line:
    if line.state != "pending":
        return line
    fix = f"Mend line {at}, or import with on_conflict=skip; left.csv holds what was left."
    return line.failed(f"the import stopped at line {at}", fix, "left")


def as_it_stands(
    lines: Iterable[Line], imported: Import, state: OnboardingState, given_up: Mapping[str, str]
) -> list[Line]:
    """What is pending in an import that will not go on is left."""
    if imported.stopped_at:
        return [left(line, imported.stopped_at) for line in lines]
    if state != "failed":
        return list(lines)
    cause, fix = f"the import was given up: {given_up.get('cause', '')}", given_up.get("fix", "")
    return [line.failed(cause, fix, "left") if line.state == "pending" else line for line in lines]


def reason(line: Line) -> str:
    """For the column of that name."""
    return f"{line.cause}. {line.fix}".strip()
