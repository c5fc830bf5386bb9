"""/api/imports, and many invites at once"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request, Response

from functions.admin import imports_models as im
from functions.admin import models as m
from functions.admin.csv_answers import CSV, csv_answer
from functions.admin.exports import INVITE_COLUMNS, cells_of
from functions.admin.import_fields import plain, read
from functions.admin.invites import wanted_of as invite_wanted
from shared.domain import ids
from shared.domain.errors import Invalid
from shared.domain.imports import Kind, Line, OnConflict, reason
from shared.domain.sheets import joined
from shared.services import imports
from shared.services.bundles import granting
from shared.services.groups import check_grantable
from shared.services.invites import check_expiry
from shared.wiring import wiring

router = APIRouter(tags=["imports"])
FILE: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "UTF-8, with commas, semicolons or tabs; the first row names the columns",
        "content": {"text/csv": {"schema": {"type": "string"}}},
    }
}
Conflicts = Annotated[
    OnConflict, Query(description="stop: at the first line that cannot be made; skip: leave such lines out")
]


@router.post("/imports", status_code=202, openapi_extra=FILE)
async def start_import(
    request: Request,
    kind: Kind,
    on_conflict: Conflicts = "stop",
    dry_run: m.DryRun = False,
    idempotency_key: m.IdempotencyKey = "",
) -> im.ImportStarted:
    """A file of members (the fields of POST /api/users) or invites (POST /api/invites). Answers every line and what
    would become of it. Makes no recovery links: POST /api/users/{pk}/recovery, once somebody is there to be given one.
    """
    ports = wiring()
    columns, lines = read(request.state.body, kind, ports.now(), ports.policy.phone_region)
    body = ids.digest(kind, on_conflict, m.body_of(request))
    wanted = imports.Wanted(kind, columns, lines, on_conflict, idempotency_key, body)
    return _started(await imports.start(ports, m.actor_of(request), wanted, dry_run=dry_run))


def _started(table: imports.Table) -> im.ImportStarted:
    return im.ImportStarted(job=m.job_out(table.job), table=im.table_out(table))


@router.get("/imports")
async def list_imports(limit: m.Limit = 50, cursor: m.Cursor = None) -> im.ImportList:
    """The newest first."""
    found = await imports.listing(wiring(), limit, cursor)
    items = [im.import_out(imported) for imported in found.items]
    return im.ImportList(items=items, next_cursor=found.next_cursor, total=found.total)


@router.get("/imports/{import_id}")
async def read_import(import_id: str, limit: m.Limit = 50, cursor: m.Cursor = None) -> im.ImportLines:
    """What became of each line, in the order of the file. Lines are kept for 30 days."""
    return im.table_out(await imports.table(wiring(), import_id, limit, cursor))


@router.get("/imports/{import_id}/left.csv", response_class=Response, responses=CSV)
async def read_left(import_id: str) -> Response:
    """The lines that were not made, with the reason; corrected, the file can be imported as it is."""
    imported, left = await imports.left(wiring(), import_id)
    rows = [[*(line.cells.get(column, "") for column in imported.columns), reason(line)] for line in left]
    return csv_answer([*imported.columns, "reason"], rows, f"left-of-{import_id}")


@router.post("/invites/batch", status_code=202)
async def make_invites(
    request: Request, wanted: im.BatchInvites, dry_run: m.DryRun = False, idempotency_key: m.IdempotencyKey = ""
) -> im.ImportStarted:
    """So many invites for one use each. Their links: GET /api/jobs/{id}/invites.csv."""
    ports = wiring()
    lines = await _lines(wanted)
    asked = imports.Wanted("invites", BATCH_COLUMNS, lines, "stop", idempotency_key, m.body_of(request))
    return _started(await imports.start(ports, m.actor_of(request), asked, dry_run=dry_run))


@router.api_route("/invites/batch", methods=["GET", "PATCH"], include_in_schema=False)
async def no_invite() -> None:
    """ "batch" is no invite's id; without this, the routes of a single invite would answer here."""
    raise HTTPException(405)


BATCH_COLUMNS = ("label", "rooms", "groups", "bundles", "note", "sponsor")


async def _lines(wanted: im.BatchInvites) -> list[Line]:
    """Raises `Invalid` for what would be wrong with every one of them."""
    if wanted.count > 1 and "{n}" not in wanted.label:
        raise Invalid.field("label", "expected {n} in it, which is the number of each invite")
    ports = wiring()
    template = wanted.model_dump(exclude={"count"})
    shared = invite_wanted(m.NewInvite.model_construct(**template), ports.now())
    if shared.expires_at:
        check_expiry(shared.expires_at, ports.now())
    await check_grantable(ports, wanted.groups)
    await granting(ports, wanted.bundles)
    fields = plain(shared)
    cells = {name: _cell(template[name]) for name in BATCH_COLUMNS if template[name]}
    labels = [wanted.label.replace("{n}", str(number)) for number in range(1, wanted.count + 1)]
    return [
        Line(line=number, label=label, cells=cells | {"label": label}, fields=fields | {"label": label})
        for number, label in enumerate(labels, 1)
    ]


def _cell(value: str | list[str]) -> str:
    return value if isinstance(value, str) else joined(value)


@router.get("/jobs/{job_id}/invites.csv", response_class=Response, responses=CSV)
async def read_made_invites(job_id: str) -> Response:
    """The invites that a batch or an import has made, with their links."""
    ports = wiring()
    made = await imports.made_invites(ports, job_id)
    rows = [[str(line.line), *cells_of(m.invite_out(invite, ports.now()), INVITE_COLUMNS)] for line, invite in made]
    return csv_answer(["line", *INVITE_COLUMNS], rows, f"invites-of-{job_id}")
