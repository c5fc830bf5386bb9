"""Rows of a database whose schema nobody knows exactly: read by names, and what was not understood is said."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from legacy.names import TABLES
from legacy.reading import MatrixId, Note, OldInvite, Who, code_of, moment, understand
from legacy.report import Entry, again, as_csv, is_report
from legacy.sources import Read, open_source
from shared.domain.errors import Misconfigured


def table(name: str, *rows: dict[str, Any]) -> Read:
    return Read(name, tuple(rows[0]) if rows else (), list(rows))


def test_people_by_any_of_their_names() -> None:
    """Two schemas of the same thing give the same Matrix ids."""
    one = table("matrix_users", {"authentik_username": "ada", "mxid": "@ada:example.org"})
    two = table("Users", {"Username": "ada", "Matrix_ID": "@ada:example.org"})
    for tables in ([one], [two]):
        found = understand(tables, {})
        assert found.matrix_ids == [MatrixId(Who("ada"), "@ada:example.org")]
        assert found.entries == []


def test_notes_find_their_person_by_the_tools_own_number() -> None:
    """A note's user_id is a row of the tool's users, whatever order the tables are in; a note beside a user counts."""
    notes = table(
        "user_notes", {"user_id": 7, "content": "plays the cello", "author": "eve", "created_at": "2025-01-02"}
    )
    users = table("users", {"id": 7, "username": "ada", "notes": "came by Bob"})
    found = understand([notes, users], {})
    assert found.notes == [
        Note(Who("ada"), "came by Bob"),
        Note(Who("ada"), "plays the cello", "eve", "2025-01-02T00:00:00+00:00"),
    ]


def test_invites_with_links_and_dates_of_all_kinds() -> None:
    """Code, label, expiry, author and use are read; a date that is none is said, and that invite left out."""
    rows = [
        {"token": "abc", "name": "Open evening", "expires": "2030-01-01 12:00:00", "created_by": "eve", "used": 0},
        {
            "token": "https://auth/if/flow/x/?itoken=def&next=",
            "name": "B",
            "expires": 1893499200,
            "created_by": "",
            "used": 1,
        },
        {"token": "ghi", "name": "C", "expires": "next week", "created_by": None, "used": None},
    ]
    found = understand([table("invite", *rows)], {})
    assert found.invites == [
        OldInvite("abc", "Open evening", "2030-01-01T12:00:00+00:00", "eve"),
        OldInvite("def", "B", "2030-01-01T12:00:00+00:00", used=True),
    ]
    assert found.entries == [Entry("invite", "C", "skipped", "its expiry is no date that could be read")]


def test_what_is_not_understood_is_said() -> None:
    """An unknown table, an unknown column that has values, and a person with nothing in it are entries."""
    tables = [
        table("loyalty_points", {"id": 1}, {"id": 2}),
        table("users", {"username": "ada", "matrix_id": None, "shoe_size": 38, "nothing": None}),
        table("alembic_version", {"version_num": "1"}),
    ]
    found = {(entry.kind, entry.key): entry.reason for entry in understand(tables, {}).entries}
    assert found.keys() == {("table", "loyalty_points"), ("column", "users.shoe_size"), ("person", "ada")}
    assert found["table", "loyalty_points"].startswith("2 rows")
    assert "1 of 1 rows" in found["column", "users.shoe_size"]


def test_a_person_can_say_what_a_table_is() -> None:
    """A table of another name is read when it is named with its kind."""
    people = table("humans", {"username": "ada", "matrix_id": "@ada:example.org"})
    assert understand([people], {}).matrix_ids == []
    assert understand([people], {"humans": "people"}).matrix_ids == [MatrixId(Who("ada"), "@ada:example.org")]


def test_rooms_are_kept_whole() -> None:
    """Every column of a table about rooms is kept as it is, dates as text."""
    at = datetime(2025, 1, 2, tzinfo=UTC)
    found = understand([table("matrix_rooms", {"room_id": "!a", "category": "Outdoors", "since": at})], {})
    assert found.rooms == {"matrix_rooms": [{"room_id": "!a", "category": "Outdoors", "since": str(at)}]}


def test_no_name_of_a_table_means_two_things() -> None:
    """A table's name leads to one kind, and so does a column's within it but for numbers that may mean two."""
    names = [name for known in TABLES.values() for name in known.names]
    assert len(names) == len(set(names))
    assert all(name == name.lower() for name in names)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, ""),
        ("", ""),
        ("2030-01-01T12:00:00Z", "2030-01-01T12:00:00+00:00"),
        ("2030-01-01 12:00:00.5+02", "2030-01-01T10:00:00.500000+00:00"),
        ("2030-01-01 12:00:00 +0000", "2030-01-01T12:00:00+00:00"),
        ("2030-01-01", "2030-01-01T00:00:00+00:00"),
        (1893499200, "2030-01-01T12:00:00+00:00"),
        ("1893499200000", "2030-01-01T12:00:00+00:00"),
        (datetime(2030, 1, 1, 12), "2030-01-01T12:00:00+00:00"),  # noqa: DTZ001 - as databases give it
        (datetime(2030, 1, 1, 14, tzinfo=timezone(timedelta(hours=2))), "2030-01-01T12:00:00+00:00"),
        ("soon", ""),
    ],
)
def test_dates_as_databases_have_them(value: object, expected: str) -> None:
    """A datetime, ISO text, seconds or milliseconds; without a zone it is UTC."""
    assert moment(value) == expected


def test_a_code_is_taken_out_of_its_link() -> None:
    """A link's itoken is the code; a bare code stays."""
    assert code_of("https://auth.example.org/if/flow/enroll/?itoken=abc-1") == "abc-1"
    assert code_of("abc-1") == "abc-1"


# ---------------------------------------------------------------- files


def test_a_database_is_only_read(tmp_path: Path) -> None:
    """An SQLite file is known by its content, read whole, odd names and bad bytes included, and left as it was."""
    file = tmp_path / "no suffix"
    with sqlite3.connect(file) as database:
        database.execute('CREATE TABLE "odd ""name" ("a b" TEXT, n INTEGER)')
        database.execute('INSERT INTO "odd ""name" VALUES (CAST(x\'61ff\' AS TEXT), 1)')
    database.close()
    before = file.read_bytes()
    source = open_source(str(file))
    assert source.tables == [Read('odd "name', ("a b", "n"), [{"a b": "a\ufffd", "n": 1}])]
    assert file.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["no suffix"]


@pytest.mark.parametrize("content", [b"", b"hello world\n", b"\xff\xfe\x00", b"SQLite format 3\x00 but not really"])
def test_what_is_neither_is_said(tmp_path: Path, content: bytes) -> None:
    """A file that is no .env, no database and no report is named, without its content."""
    (tmp_path / "old").write_bytes(content)
    with pytest.raises(Misconfigured, match="old"):
        open_source(str(tmp_path / "old"))


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    """A file that is not there is named."""
    with pytest.raises(Misconfigured, match="gone"):
        open_source(str(tmp_path / "gone"))


def test_a_report_can_be_read_again() -> None:
    """Commas, quotes and line ends in a reason or in data survive the file."""
    entries = [Entry("note", "ada, eve", "skipped", 'no "such"\none', {"text": "a,b\nc", "who": {"username": "ada"}})]
    assert again(as_csv(entries)) == entries
    assert is_report(as_csv(entries))
