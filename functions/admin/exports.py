"""/api/export: everything of a kind as one file, written while it is read"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Literal

from fastapi import APIRouter, Request
from msgspec import Struct
from pydantic import BaseModel
from starlette.responses import Response, StreamingResponse

from functions.admin import bundles_models as b
from functions.admin import categories_models as c
from functions.admin import imports_models as im
from functions.admin import models as m
from functions.admin import plans_models as p
from functions.admin import removal_models as rm
from functions.admin import rooms_models as r
from functions.admin.csv_answers import CSV, file_headers
from functions.admin.users import ABOUT
from shared.domain import sheets
from shared.ports import Account
from shared.services import exports, lists
from shared.services.context import Ports
from shared.wiring import wiring

router = APIRouter(tags=["export"])
What = Literal[
    "users",
    "invites",
    "onboardings",
    "bundles",
    "plans",
    "rooms",
    "categories",
    "removal_reasons",
    "jobs",
    "imports",
    "audit",
]
JSON: dict[int | str, dict[str, Any]] = {
    200: {"description": "`{items, next_cursor, total}`, as the lists have it", "content": {"application/json": {}}}
}
INVITE_COLUMNS = (
    "label rooms groups bundles email matrix_id expires_at max_uses note sponsor id link code status uses used_by "
    "created_at created_by settled"
).split()
USER_COLUMNS = (
    "first_name last_name email username groups interests organization intro signal_number invited_by matrix_id "
    "pk uid active joined_at last_login onboarding"
).split()


class Shape(Struct, frozen=True):
    """How a record is told: as JSON, and which of that are the columns."""

    out: Callable[[Any, Ports], BaseModel]
    columns: Sequence[str]
    cells: Callable[[Any], dict[str, Any]] = lambda shown: shown


class JobSummary(m.Out):
    id: str
    kind: str
    state: str
    matrix_id: str
    reason: str
    actor: str
    created_at: m.Time
    finished_at: m.Time | None


def _member_beside(shown: dict[str, Any]) -> dict[str, Any]:
    return {**shown, **shown["member"]}


def _as_asked_for(shown: dict[str, Any]) -> dict[str, Any]:
    """The columns that an import takes: names apart, and what is said about a member."""
    first, _, last = shown["name"].partition(" ")
    about = {name: shown["attributes"].get(name, "") for name in ABOUT}
    return shown | about | {"first_name": first, "last_name": last}


def _user(account: Account, _: Ports) -> m.UserOut:
    return m.user_out(account)


SHAPES: Mapping[What, Shape] = {
    "users": Shape(_user, USER_COLUMNS, _as_asked_for),
    "invites": Shape(lambda invite, ports: m.invite_out(invite, ports.now()), INVITE_COLUMNS),
    "onboardings": Shape(
        lambda onboarding, _: m.OnboardingSummary.model_validate(m.onboarding_summary(onboarding)),
        "id state username name matrix_id matrix_id_given_by has_logged_in pk source invite hold hold_reason "
        "created_at finished_at".split(),
        _member_beside,
    ),
    "plans": Shape(lambda plan, ports: p.plan_out(plan, ports.now()), list(p.PlanOut.model_fields)),
    "removal_reasons": Shape(lambda reason, _: rm.reason_out(reason), list(rm.ReasonOut.model_fields)),
    "rooms": Shape(
        lambda listed, _: r.listed(listed),
        "room_id name topic alias encrypted members kind join_rule bot_power invite_power remove_power invited "
        "replaced_by".split(),
    ),
    "bundles": Shape(lambda bundle, _: b.bundle_out(bundle), list(b.BundleOut.model_fields)),
    "categories": Shape(lambda category, _: c.category_out(category), list(c.CategoryOut.model_fields)),
    "jobs": Shape(lambda job, _: JobSummary.model_validate(job.data()), list(JobSummary.model_fields)),
    "imports": Shape(lambda imported, _: im.import_out(imported), list(im.ImportOut.model_fields)),
    "audit": Shape(lambda record, _: m.AuditOut.model_validate(record.data()), list(m.AuditOut.model_fields)),
}


@router.get("/export/{what}.csv", response_class=Response, responses=CSV)
async def export_csv(
    request: Request, what: What, q: m.Search = "", active: m.Maybe = None, group: m.Search = ""
) -> Response:
    """All of them, the oldest first, or of users those whom `GET /api/users` finds; recorded in the audit. One that
    breaks off is not complete: curl says so."""
    pages = await exports.begin(wiring(), m.actor_of(request), what, "csv", lists.Wanted(q, active, group))
    return StreamingResponse(csv_of(pages, what), media_type="text/csv", headers=file_headers(f"{what}.csv"))


@router.get("/export/{what}.json", response_class=Response, responses=JSON)
async def export_json(
    request: Request, what: What, q: m.Search = "", active: m.Maybe = None, group: m.Search = ""
) -> Response:
    """All of them, the oldest first, or of users those whom `GET /api/users` finds; recorded in the audit. One that
    breaks off is no JSON."""
    pages = await exports.begin(wiring(), m.actor_of(request), what, "json", lists.Wanted(q, active, group))
    return StreamingResponse(_json(pages, what), media_type="application/json", headers=file_headers(f"{what}.json"))


async def csv_of(pages: exports.Pages, what: What) -> AsyncIterator[str]:
    """A table, page by page."""
    shape, ports = SHAPES[what], wiring()
    yield sheets.write(shape.columns, ())
    async for page in pages:
        rows = [cells_of(shape.out(record, ports), shape.columns, shape.cells) for record in page]
        yield sheets.write(shape.columns, rows, header=False)


async def _json(pages: exports.Pages, what: What) -> AsyncIterator[str]:
    shape, ports, total = SHAPES[what], wiring(), 0
    yield '{"items": ['
    async for page in pages:
        shown = [shape.out(record, ports).model_dump_json() for record in page]
        yield ("," if total and shown else "") + ",\n".join(shown)
        total += len(shown)
    yield f'], "next_cursor": null, "total": {total}}}'


def cells_of(
    out: BaseModel, columns: Sequence[str], cells: Callable[[Any], dict[str, Any]] = lambda shown: shown
) -> list[str]:
    shown = cells(out.model_dump(mode="json"))
    return [_cell(shown.get(column)) for column in columns]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return sheets.joined(str(item) for item in value)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)
