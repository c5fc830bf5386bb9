"""Rows of the tool's tables, read as what Muster knows. Pure; what is not understood is an entry of its own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct, field

from legacy.names import PASSED_OVER, TABLES
from legacy.report import Entry
from legacy.sources import Read, Row

FALSE = ("", "0", "false", "f", "no", "none", "null")


class Who(Struct, frozen=True):
    """Somebody in Authentik, by whatever the tool knew of them."""

    username: str = ""
    pk: str = ""
    email: str = ""

    @property
    def words(self) -> str:
        return self.username or self.email or self.pk or "nobody"


class MatrixId(Struct, frozen=True):
    who: Who
    matrix_id: str


class Note(Struct, frozen=True):
    who: Who
    text: str
    by: str = ""
    at: str = ""


class OldInvite(Struct, frozen=True):
    """`expires_at`: RFC 3339 or ""."""

    code: str
    label: str = ""
    expires_at: str = ""
    created_by: str = ""
    used: bool = False
    max_uses: int = 1
    uses: int = 0
    email: str = ""
    note: str = ""


class Understood(Struct, frozen=True):
    matrix_ids: list[MatrixId] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    invites: list[OldInvite] = field(default_factory=list)
    rooms: dict[str, list[Row]] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)


def understand(tables: Sequence[Read], named: Mapping[str, str]) -> Understood:
    """`named`: tables that a person says the kind of. Their people come first: notes point at them."""
    found = Understood()
    kinds = {table.name: named.get(table.name) or kind_of(table) for table in tables}
    people: dict[str, Who] = {}
    for kind in ("people", "invites", "notes", "rooms"):
        for table in (table for table in tables if kinds[table.name] == kind):
            _report_columns(found, table, kind)
            readers = {"people": _people, "invites": _invites, "notes": _notes, "rooms": _rooms}
            readers[kind](found, table, people)
    for table in tables:
        if not kinds[table.name] and table.name.lower() not in PASSED_OVER:
            reason = f"nobody knows this table here; if it is one of {', '.join(TABLES)}: --table {table.name}=KIND"
            found.entries.append(Entry("table", table.name, "skipped", f"{len(table.rows)} rows: {reason}"))
    return found


def kind_of(table: Read) -> str:
    """By its name, and by the columns without which it is another one of that name."""
    name = table.name.lower()
    for kind, known in TABLES.items():
        if name in known.names and (not known.needs or any(_column(table, kind, field) for field in known.needs)):
            return kind
    return ""


def _column(table: Read, kind: str, wanted: str) -> str | None:
    """What the table calls that field."""
    columns = {column.lower(): column for column in table.columns}
    return next((columns[name] for name in TABLES[kind].columns[wanted] if name in columns), None)


def _report_columns(found: Understood, table: Read, kind: str) -> None:
    known = {_column(table, kind, name) for name in TABLES[kind].columns}
    for column in table.columns if known else ():
        filled = sum(1 for row in table.rows if row[column] not in (None, ""))
        if column not in known and filled:
            reason = f"nobody knows this column here; {filled} of {len(table.rows)} rows have it"
            found.entries.append(Entry("column", f"{table.name}.{column}", "skipped", reason))


def _fields(table: Read, kind: str) -> list[dict[str, Any]]:
    """Each row by our names for its fields; a field may use a column that another one uses too."""
    columns = {name: _column(table, kind, name) for name in TABLES[kind].columns}
    return [{name: row[column] for name, column in columns.items() if column} for row in table.rows]


# ------------------------------------------------------------------ one kind each


def _people(found: Understood, table: Read, people: dict[str, Who]) -> None:
    for row in _fields(table, "people"):
        who = Who(text(row.get("username")), text(row.get("pk")), text(row.get("email")))
        if row.get("row") is not None:
            people.setdefault(text(row["row"]), who)
        matrix_id, note = text(row.get("matrix_id")), text(row.get("note"))
        if matrix_id:
            found.matrix_ids.append(MatrixId(who, matrix_id))
        if note:
            found.notes.append(Note(who, note))
        if not matrix_id and not note:
            reason = "has no Matrix id and no note: nothing that Muster keeps"
            found.entries.append(Entry("person", who.words, "skipped", reason))


def _notes(found: Understood, table: Read, people: dict[str, Who]) -> None:
    for row in _fields(table, "notes"):
        who = Who(text(row.get("username")), text(row.get("pk")), text(row.get("email")))
        if who == Who():
            owner = text(row.get("owner"))
            who = people.get(owner, Who(pk=owner) if owner.isdigit() and not people else Who(username=owner))
        if said := text(row.get("text")):
            found.notes.append(Note(who, said, text(row.get("by")), moment(row.get("at"))))


def _invites(found: Understood, table: Read, _people: dict[str, Who]) -> None:
    for row in _fields(table, "invites"):
        uses, most = number(row.get("uses")), number(row.get("max_uses"))
        try:
            expires_at = moment(row.get("expires_at"), strict=True)
        except ValueError:
            reason = "its expiry is no date that could be read"
            found.entries.append(Entry("invite", text(row.get("label")) or "invite", "skipped", reason))
            continue
        invite = OldInvite(
            code=code_of(text(row.get("code"))),
            label=text(row.get("label")),
            expires_at=expires_at,
            created_by=text(row.get("created_by")),
            used=text(row.get("used")).lower() not in FALSE,
            max_uses=max(most, 1),
            uses=uses,
            email=text(row.get("email")),
            note=text(row.get("note")),
        )
        found.invites.append(invite)


def _rooms(found: Understood, table: Read, _people: dict[str, Who]) -> None:
    found.rooms[table.name] = [{name: plain(value) for name, value in row.items()} for row in table.rows]
    found.entries.append(Entry("rooms", table.name, "made", f"{len(table.rows)} rows, kept in rooms.json"))


# ------------------------------------------------------------------ values


def text(value: Any) -> str:
    return "" if value is None else str(value).strip()


def number(value: Any) -> int:
    try:
        return max(int(value), 0)
    except (TypeError, ValueError):
        return 0


def plain(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float | list | dict) else str(value)


def code_of(link: str) -> str:
    """The code of a link, or what is a code already."""
    found = re.search(r"itoken=([^&#\s]+)", link)
    return found[1] if found else link


def moment(value: Any, *, strict: bool = False) -> str:
    """RFC 3339 in UTC of a date as databases have it: a datetime, ISO text, seconds or milliseconds since 1970. What
    names no zone is taken as UTC. "" for nothing, or, unless `strict`, for what cannot be read."""
    if value is None or value == "":
        return ""
    try:
        at = value if isinstance(value, datetime) else _parsed(str(value).strip())
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        if strict:
            raise ValueError("no date") from None
        return ""


def _parsed(value: str) -> datetime:
    if re.fullmatch(r"\d{9,14}(\.\d+)?", value):
        seconds = float(value)
        return datetime.fromtimestamp(seconds / 1000 if seconds > 1e11 else seconds, UTC)
    return datetime.fromisoformat(re.sub(r" (?=[+-]\d\d:?\d\d$)|Z$", lambda m: "+00:00" if m[0] == "Z" else "", value))
