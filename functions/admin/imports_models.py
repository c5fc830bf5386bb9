"""What goes in and out of /api/imports and /api/invites/batch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from functions.admin.models import Bundles, Expiry, Groups, JobOut, Label, Line, Listed, Out, Rooms, Strict, Text, Time
from shared.domain.imports import Import, LineState
from shared.domain.imports import Line as ImportLine
from shared.services.imports import Table

MAX_BATCH = 500


class BatchInvites(Strict):
    """So many invites, each for one use: `{n}` in the label is the number of each."""

    count: Annotated[int, Field(ge=1, le=MAX_BATCH)]
    label: Label
    rooms: Annotated[Rooms, Field(default_factory=list)]
    groups: Annotated[Groups, Field(default_factory=list)]
    bundles: Annotated[Bundles, Field(default_factory=list)]
    expires_in_hours: Annotated[float, Field(ge=0.01, le=8784)] | None = None
    expires_at: Expiry | None = None
    note: Text = ""
    sponsor: Line = ""


class FieldError(Out):
    field: str
    message: str


class LineOut(Out):
    """`line`: as a spreadsheet numbers it, the header being 1; of a batch, the number of the invite. `label`: the
    member's name, or the invite's label. `id`: of the invite, or the account's pk. `errors`: each field that is wrong.
    """

    line: int
    state: LineState
    cause: str
    fix: str
    errors: list[FieldError]
    id: str
    username: str
    label: str
    onboarding: str


class ImportOut(Out):
    """`lines`: how many. `counts`: of them, by state. `stopped_at`: the line at which it stopped running, or 0."""

    id: str
    kind: Literal["users", "invites"]
    on_conflict: Literal["stop", "skip"]
    lines: int
    counts: dict[str, int]
    stopped_at: int
    actor: str
    created_at: Time


class ImportLines(Listed):
    """`state`: of its job; it is done when nothing more will be made."""

    imported: ImportOut
    state: str
    items: list[LineOut]


class ImportStarted(Out):
    """`table`: every line."""

    job: JobOut
    table: ImportLines


class ImportList(Listed):
    items: list[ImportOut]


def import_out(imported: Import) -> ImportOut:
    return ImportOut.model_validate(imported.data() | {"lines": imported.lines})


def line_out(line: ImportLine) -> LineOut:
    errors = [FieldError(field=field, message=message) for field, message in line.errors]
    return LineOut(
        line=line.line,
        state=line.state,
        cause=line.cause,
        fix=line.fix,
        errors=errors,
        id=line.id,
        username=line.username,
        label=line.label,
        onboarding=line.onboarding,
    )


def table_out(table: Table) -> ImportLines:
    return ImportLines(
        imported=import_out(table.imported),
        state=table.job.state,
        items=[line_out(line) for line in table.lines],
        next_cursor=table.next_cursor,
        total=table.imported.lines,
    )
