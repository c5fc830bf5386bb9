"""From a file's cells to what is asked for: the fields of POST /api/users and POST /api/invites, and their meaning."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any

import msgspec
from msgspec import Struct
from pydantic import BaseModel, ValidationError

from functions.admin import models as m
from functions.admin.invites import wanted_of as invite_wanted
from functions.admin.users import wanted_of as user_wanted
from shared.domain import sheets
from shared.domain.errors import Invalid
from shared.domain.imports import MAX_LINES, Kind, Line
from shared.services.invites import check_expiry

MODELS: dict[Kind, type[m.Strict]] = {"users": m.NewUser, "invites": m.NewInvite}
ALSO = {
    "e_mail": "email",
    "mail": "email",
    "email_address": "email",
    "e_mail_address": "email",
    "firstname": "first_name",
    "given_name": "first_name",
    "lastname": "last_name",
    "surname": "last_name",
    "family_name": "last_name",
    "user": "username",
    "user_name": "username",
    "matrix": "matrix_id",
    "mxid": "matrix_id",
    "organisation": "organization",
    "signal": "signal_number",
    "group": "groups",
    "room": "rooms",
    "bundle": "bundles",
    "name_of_invite": "label",
}
"""Other names of a column."""
NOT_READ = {
    "users": ("pk", "uid", "name", "active", "joined_at", "last_login", "onboarding", "attributes"),
    "invites": ("id", "link", "code", "status", "uses", "used_by", "created_at", "created_by", "settled"),
}
"""Columns of our own exports that say what became of somebody: there is nothing to make from them."""
CALLED = {"users": ("first_name", "last_name"), "invites": ("label",)}
"""What a line is called in the table."""
YES, NO = ("true", "yes", "y", "1", "x", "on"), ("false", "no", "n", "0", "off", "-")


def columns(kind: Kind) -> dict[str, str]:
    """Every name a column may have."""
    own = {name: name for name in MODELS[kind].model_fields}
    return own | {name: column for name, column in ALSO.items() if column in own}


def read(raw: bytes, kind: Kind, now: datetime, region: str = "") -> tuple[tuple[str, ...], list[Line]]:
    """The columns, and a line for each row: with its fields, or with what is wrong with it. `region`: the country of
    phone numbers that name none. Raises `Invalid` where the file itself is wrong."""
    sheet = sheets.read(raw, columns(kind), ("reason", "line", *NOT_READ[kind]), MAX_LINES)
    model = MODELS[kind]
    for name, field in model.model_fields.items():
        if field.is_required() and name not in sheet.columns:
            raise Invalid.field("file", f"expected a column {name}")
    return sheet.columns, [_line(row, kind, model, now, region) for row in sheet.rows]


def _line(row: sheets.Row, kind: Kind, model: type[m.Strict], now: datetime, region: str) -> Line:
    called = " ".join(row.cells[name] for name in CALLED[kind] if name in row.cells)
    line = Line(line=row.line, cells=row.cells, label=called[:100])
    try:
        new = model.model_validate({name: _value(model, name, cell) for name, cell in row.cells.items()})
        return line.but(fields=plain(_wanted(kind, new, now, region)))
    except ValidationError as error:
        return line.but(errors=tuple(_errors(error)))
    except Invalid as error:
        return line.but(errors=error.errors)


def _wanted(kind: Kind, new: Any, now: datetime, region: str) -> Struct:
    if kind == "users":
        return user_wanted(new, region)
    wanted = invite_wanted(new, now)
    if wanted.expires_at:
        check_expiry(wanted.expires_at, now)
    return wanted


def plain(wanted: Struct) -> dict[str, Any]:
    """As JSON can hold it, without what is empty."""
    return {name: value for name, value in msgspec.to_builtins(wanted).items() if value not in ("", None, [], (), {})}


def _errors(error: ValidationError) -> list[tuple[str, str]]:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return [
        (str(each["loc"][0]) if each["loc"] else "line", str(each["msg"]).removeprefix("Value error, "))
        for each in found
    ]


def _value(model: type[BaseModel], name: str, cell: str) -> Any:
    """By what the field holds when nothing is said: a list, a switch, a number, a text."""
    if sheets.ROUNDED.fullmatch(cell):
        raise Invalid.field(name, "was rounded by the spreadsheet: format the column as text, and enter it again")
    default = model.model_fields[name].get_default()
    for kind, convert in CONVERTED.items():
        if type(default) is kind:
            return convert(name, cell)
    return _number(float, name, cell.replace(",", ".")) if name == "expires_in_hours" else cell


def _list(name: str, cell: str) -> list[str]:
    """Rooms are told apart by their first letter too, so that commas and blanks between them will do."""
    if name == "rooms":
        cell = re.sub(r"[\s,]+(?=[!#])", ";", cell)
    return sheets.split(cell)


def _switch(name: str, cell: str) -> bool:
    said = cell.casefold()
    if said not in (*YES, *NO):
        raise Invalid.field(name, "expected yes or no")
    return said in YES


def _number(kind: Callable[[str], Any], name: str, cell: str) -> Any:
    try:
        return kind(cell) if len(cell) < 20 else int("")
    except ValueError as error:
        raise Invalid.field(name, "expected a number") from error


CONVERTED: Mapping[type, Callable[[str, str], Any]] = {list: _list, bool: _switch, int: partial(_number, int)}
