"""Where the tool's data is read from, never written to: its .env, its messages, an SQLite file, a Postgres server, our
own report."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from msgspec import Struct

from legacy.report import Entry, again, is_report
from legacy.settings import parse
from legacy.text_files import Found, is_message_file, of_file, of_folder
from legacy.texts import OldText
from shared.domain.errors import Misconfigured

SECONDS = 15
Row = dict[str, Any]


class Read(Struct, frozen=True):
    """One table of a database as it stands there."""

    name: str
    columns: tuple[str, ...]
    rows: list[Row]


class Source(Struct, frozen=True):
    """What one file, folder or server holds; `settings`: of an .env. `left`: what nobody could make anything of."""

    name: str
    settings: dict[str, str] | None = None
    tables: list[Read] | None = None
    entries: list[Entry] | None = None
    texts: list[OldText] | None = None
    left: list[Entry] | None = None


def open_source(name: str) -> Source:
    """`name`: a file, a folder of messages, or a Postgres address. Raises `Misconfigured`."""
    if urlsplit(name).scheme in ("postgres", "postgresql"):
        return Source(_without_password(name), tables=list(postgres(name)))
    path = Path(name)
    if path.is_dir():
        return _messages(path, of_folder(path))
    try:
        head = path.open("rb").read(16)
        if head.startswith(b"SQLite format 3"):
            return Source(path.name, tables=list(sqlite(path)))
        text = path.read_text(encoding="utf-8-sig")
        if is_report(text):
            return Source(path.name, entries=again(text))
    except (OSError, ValueError, sqlite3.Error) as error:
        cause = f"{path.name} cannot be read ({type(error).__name__})"
        raise Misconfigured(cause, "Name an .env file, an SQLite database, or a report of this command.") from error
    if is_message_file(path):
        return _messages(path, of_file(path))
    settings = parse(text)
    if not settings:
        raise Misconfigured(f"{path.name} has no settings in it", "Name an .env file, or a database.")
    return Source(path.name, settings=settings)


def _messages(path: Path, found: Found) -> Source:
    return Source(path.name, settings=found.settings, texts=found.texts, left=found.entries)


def sqlite(path: Path) -> Iterator[Read]:
    """Opened for reading only. Values that are no UTF-8 text are read with their bad bytes replaced."""
    with closing(sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True, timeout=SECONDS)) as database:
        database.text_factory = lambda raw: raw.decode("utf-8", "replace")
        names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1")]
        for name in names:
            found = database.execute(f"SELECT * FROM {_quoted(name)}")  # noqa: S608 - a table of this database, quoted
            columns = tuple(column[0] for column in found.description)
            yield Read(name, columns, [dict(zip(columns, row, strict=True)) for row in found])


def postgres(address: str) -> Iterator[Read]:
    """In one read-only transaction, so that all tables are of the same moment. Raises `Misconfigured`."""
    try:
        import psycopg
    except ImportError as error:
        fix = "Install it beside Muster: .venv/bin/python -m pip install -r requirements-import.txt"
        raise Misconfigured("reading Postgres needs psycopg, which is not installed", fix) from error
    listing = """SELECT table_schema, table_name, array_agg(column_name::text ORDER BY ordinal_position)
        FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name)
        WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')
        GROUP BY 1, 2 ORDER BY 1, 2"""
    try:
        # Told to be UTF-8: a database of the encoding SQL_ASCII would answer bytes.
        limit = "-c statement_timeout=60000"
        with psycopg.connect(address, connect_timeout=SECONDS, options=limit, client_encoding="utf8") as database:
            database.read_only, database.isolation_level = True, psycopg.IsolationLevel.REPEATABLE_READ
            for schema, name, columns in database.execute(listing).fetchall():
                table = psycopg.sql.Identifier(schema, name)
                rows = database.execute(psycopg.sql.SQL("SELECT * FROM {}").format(table)).fetchall()
                yield Read(name, tuple(columns), [dict(zip(columns, row, strict=True)) for row in rows])
    except (psycopg.Error, UnicodeDecodeError) as error:
        cause = f"Postgres at {_without_password(address)} cannot be read ({type(error).__name__})"
        raise Misconfigured(cause, "Check the address, the account and that it may read the tables.") from error


def _without_password(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.hostname or 'the local server'}{parts.path}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
