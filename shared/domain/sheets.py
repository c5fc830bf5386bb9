"""Tables as spreadsheets write and read them: CSV in, forgiving in form, strict in content; CSV out, without formulas.

A cell that begins like a formula is led by an apostrophe on its way out, which is taken away again on its way in.
"""

from __future__ import annotations

import csv
import difflib
import io
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from msgspec import Struct

from shared.domain.errors import Invalid

MAX_COLUMNS = 60
MAX_NAMED = 100
"""Mistakes of one file that are named in an answer."""
SEPARATORS = (",", ";", "\t")
BOM = "\ufeff"
FORMULA = re.compile(r"'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
"""How a cell begins that Excel or LibreOffice would calculate (the last four: full-width forms), or one that we led."""
ROUNDED = re.compile(r"\d[.,]?\d*E\+\d{1,3}")
"""What Excel makes of a long number, such as one of a telephone: the rest of it is lost."""


class Row(Struct, frozen=True):
    """`line`: its number as a spreadsheet shows it (the header is 1). `cells`: by column, the empty ones left out."""

    line: int
    cells: dict[str, str]


class Sheet(Struct, frozen=True):
    columns: tuple[str, ...]
    rows: Sequence[Row]


def read(raw: bytes, known: Mapping[str, str], ignored: Collection[str], most: int) -> Sheet:
    """`known`: every name a column may have, as `plain` writes it, and what it is called here. `ignored` columns may be
    there and are not read. Raises `Invalid`, naming each column and row that is wrong: a file is read whole or not."""
    text = _decoded(raw)
    separator, text = _separator(text, {*known, *ignored})
    records = _records(text, separator)
    first, header = next(records, (0, []))
    if not header:
        raise Invalid.field("file", "expected a first row that names the columns, and a row for each thing to make")
    columns = _columns(header, known, ignored)
    rows, wrong = _rows(records, columns, {place for place, cell in enumerate(header) if not cell})
    if wrong:
        raise Invalid(f"{len(wrong)} rows have cells in columns without a name, such as row {wrong[0]}", _stray(wrong))
    if len(rows) > most:
        raise Invalid.field("file", f"expected at most {most} rows, found {len(rows)}: split it")
    if not rows:
        raise Invalid.field("file", f"expected at least one row below row {first}, which names the columns")
    return Sheet(tuple(name for name in columns if name), rows)


def _decoded(raw: bytes) -> str:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        fix = 'In Excel: Save As, "CSV UTF-8". In LibreOffice: character set "Unicode (UTF-8)".'
        message = f"expected UTF-8; byte {error.start + 1} is not"
        raise Invalid(f"file: {message}", [("file", message)], fix) from error
    if "\x00" in text:
        raise Invalid.field("file", "expected CSV as text; this is another kind of file")
    return text


def _separator(text: str, names: Collection[str]) -> tuple[str, str]:
    """Comma, semicolon or tab: whichever finds the most columns that are known. Excel's line "sep=;" is believed."""
    told = re.match(r"sep=([,;\t])\r?\n", text)
    if told:
        return told[1], text[told.end() :]

    def found(separator: str) -> tuple[int, int]:
        _, header = next(_records(text, separator, strict=False), (0, []))
        return sum(plain(cell) in names for cell in header), len(header)

    return max(SEPARATORS, key=found), text


def _records(text: str, separator: str, *, strict: bool = True) -> Iterator[tuple[int, list[str]]]:
    """Those that are not empty, each with its number; a record may hold line breaks in quotes, and is one row still."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=strict)
    number = 0
    while True:
        number += 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            message = f"row {number} is not CSV ({error}); is a quotation mark missing?"
            raise Invalid(f"file: {message}", [(f"row {number}", message)]) from error
        stripped = [cell.strip() for cell in cells]
        if any(stripped):
            yield number, stripped


def plain(name: str) -> str:
    """ "E-Mail " is e_mail."""
    return re.sub(r"[\W_]+", "_", name.strip().casefold()).strip("_")


def _columns(header: Sequence[str], known: Mapping[str, str], ignored: Collection[str]) -> list[str]:
    """What each column is called here, "" for one that is not read."""
    if len(header) > MAX_COLUMNS:
        raise Invalid.field("file", f"expected at most {MAX_COLUMNS} columns, found {len(header)}")
    columns: list[str] = []
    wrong: list[tuple[str, str]] = []
    for cell in header:
        name, found = plain(cell), known.get(plain(cell), "")
        if not found and cell and name not in ignored:
            wrong.append((cell[:100], _unknown(name, known)))
        elif found and found in columns:
            wrong.append((cell[:100], f"expected once; column {columns.index(found) + 1} is {found} as well"))
        columns.append(found)
    if wrong:
        raise Invalid("; ".join(f"column {name!r}: {message}" for name, message in wrong[:10]), wrong)
    if not any(columns):
        raise Invalid.field("file", f"none of its columns is known: {', '.join(dict.fromkeys(known.values()))}")
    return columns


def _unknown(name: str, known: Mapping[str, str]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    expected = ", ".join(dict.fromkeys(known.values()))
    return (
        f"is not known here; did you mean {known[near[0]]}?"
        if near
        else f"is not known here; expected some of {expected}"
    )


def _rows(
    records: Iterable[tuple[int, list[str]]], columns: Sequence[str], nameless: Collection[int]
) -> tuple[list[Row], list[int]]:
    """The rows, and the numbers of those that hold something beyond the last column, or in one without a name."""
    rows: list[Row] = []
    wrong: list[int] = []
    for number, cells in records:
        if any(cell and (place >= len(columns) or place in nameless) for place, cell in enumerate(cells)):
            wrong.append(number)
        named = zip(columns, cells, strict=False)
        rows.append(Row(number, {name: unescaped(cell) for name, cell in named if name and cell}))
    return rows, wrong


def _stray(wrong: Sequence[int]) -> list[tuple[str, str]]:
    message = "has a cell in a column without a name: is a text with a separator in it not in quotes?"
    return [(f"row {number}", message) for number in wrong[:MAX_NAMED]]


def write(columns: Sequence[str], rows: Iterable[Sequence[str]], *, header: bool = True) -> str:
    """As Excel opens it by a double click: a BOM, so that it believes in UTF-8, commas, CRLF."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    if header:
        text.write(BOM)
        writer.writerow([escaped(name) for name in columns])
    writer.writerows([escaped(cell) for cell in row] for row in rows)
    return text.getvalue()


def escaped(cell: str) -> str:
    return f"'{cell}" if FORMULA.match(cell) else cell


def unescaped(cell: str) -> str:
    """The opposite, also for what somebody else's tool has led by an apostrophe."""
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell) else cell


def joined(items: Iterable[str]) -> str:
    """Several things in one cell."""
    return "; ".join(re.sub(r"([\\;|])", r"\\\1", item) for item in items)


def split(cell: str) -> list[str]:
    """At semicolons, bars and line breaks; a backslash before one of them, or before another, takes it as it is."""
    parts = [""]
    for token in re.findall(r"\\[\\;|]|[;|\n]|[^\\;|\n]+|\\", cell):
        if token in (";", "|", "\n"):
            parts.append("")
        else:
            parts[-1] += token[1] if len(token) == 2 and token[0] == "\\" and token[1] in "\\;|" else token
    return [part.strip() for part in parts if part.strip()]
