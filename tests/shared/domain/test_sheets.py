"""Tables from and for spreadsheets: forgiving in form, nothing half-read, no formulas."""

from __future__ import annotations

import contextlib
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain import sheets
from shared.domain.errors import Invalid

KNOWN = {"label": "label", "email": "email", "e_mail": "email", "rooms": "rooms", "max_uses": "max_uses"}


def read(text: str | bytes, most: int = 100) -> sheets.Sheet:
    raw = text if isinstance(text, bytes) else text.encode()
    return sheets.read(raw, KNOWN, ("reason", "line"), most)


def cells(text: str | bytes) -> list[dict[str, str]]:
    return [row.cells for row in read(text).rows]


@pytest.mark.parametrize(
    "file",
    [
        "label,email\nAda,a@b.test\n",
        "\ufefflabel,email\r\nAda,a@b.test",
        "label;email\r\nAda;a@b.test\r\n",
        "label\temail\rAda\ta@b.test\r",
        "sep=;\r\nlabel;email\r\nAda;a@b.test\r\n",
        '"label","email"\n"Ada","a@b.test"\n',
        " Label , E-Mail ,\nAda, a@b.test ,\n\n,,\n",
        "email,reason,label,line\na@b.test,it was taken,Ada,7\n",
    ],
)
def test_forms_of_one_file(file: str) -> None:
    """However a spreadsheet has written it, it is the same table."""
    assert cells(file) == [{"label": "Ada", "email": "a@b.test"}]


def test_rows_are_numbered_as_a_spreadsheet_does() -> None:
    """The header is 1, an empty row counts, and a row with line breaks in its quotes is one."""
    sheet = read('label,email\n\n"Ada\nLovelace, of course",a@b.test\n,\nBob\n')
    assert [(row.line, row.cells.get("label")) for row in sheet.rows] == [(3, "Ada\nLovelace, of course"), (5, "Bob")]


@pytest.mark.parametrize(
    ("file", "fields"),
    [
        ("", ["file"]),
        ("\n \n", ["file"]),
        ("label,email\n", ["file"]),
        ("reason,line\nx,1\n", ["file"]),
        ("label,emial,notes\nAda,x,y\n", ["emial", "notes"]),
        ("label,email,E-Mail\nAda,x,y\n", ["E-Mail"]),
        ("label,email\nAda,x,y\nBob,x\nCleo,x,y,z\n", ["row 2", "row 4"]),
        ("label,\nAda,a@b.test\n", ["row 2"]),
        ('label,email\nAda,"a@b.test\n', ["row 2"]),
        ('label,email\nAda,"a"b\n', ["row 2"]),
        ("label\n" + "Ada\n" * 101, ["file"]),
        (",".join(["label"] * 61) + "\nAda\n", ["file"]),
        ("label\nJos\u00e9".encode("latin-1"), ["file"]),
        ("label\nAda".encode("utf-16"), ["file"]),
        (b"PK\x03\x04\x00\x00", ["file"]),
        ("label\n" + "x" * 140_000, ["row 2"]),
    ],
)
def test_nothing_is_half_read(file: str | bytes, fields: list[str]) -> None:
    """What is wrong with a file is said by column and row, and none of it is read."""
    with pytest.raises(Invalid) as refused:
        read(file)
    assert [field for field, _ in refused.value.errors] == fields
    assert all(message for _, message in refused.value.errors)


def test_a_column_that_was_meant() -> None:
    """A misspelt column is named with the one that it may be."""
    with pytest.raises(Invalid, match="did you mean email"):
        read("label,emial\nAda,x\n")


@pytest.mark.parametrize("cell", ["=1+1", "+49 30", "-5", "@ada:b.test", "'=1", "''@x", "\uff1d1"])
def test_no_formulas(cell: str) -> None:
    """What a spreadsheet would calculate is led by an apostrophe, which is taken away again."""
    assert sheets.escaped(cell) == f"'{cell}"
    assert sheets.unescaped(sheets.escaped(cell)) == cell


@pytest.mark.parametrize("cell", ["Ada", "'tis", "", "5-3", "a@b.test", "#ops:b.test", "!x:b.test"])
def test_other_cells(cell: str) -> None:
    """Everything else stays as it is, on its way out and in."""
    assert sheets.escaped(cell) == sheets.unescaped(cell) == cell


TEXT = st.text(
    st.one_of(st.sampled_from("=+-@'\",;|\\\t\r\n "), st.characters(exclude_categories=("Cs", "Cc"))), max_size=12
).map(str.strip)


@settings(max_examples=300)
@given(st.lists(st.tuples(TEXT, TEXT, TEXT).filter(any), min_size=1, max_size=8))
def test_there_and_back(rows: list[tuple[str, str, str]]) -> None:
    """Whatever texts are written, the same are read; and no cell that is written begins like a formula."""
    columns = ("label", "email", "rooms")
    text = sheets.write(columns, rows)
    got = [tuple(row.get(column, "") for column in columns) for row in cells(text)]
    assert got == rows
    assert not any(sheets.escaped(cell)[:1] in tuple("=+-@") and cell for row in rows for cell in row)


ITEM = st.text(st.one_of(st.sampled_from("\\;| a"), st.sampled_from(string.printable)), min_size=1, max_size=8)


@settings(max_examples=300)
@given(st.lists(ITEM.map(str.strip).filter(lambda item: item and "\n" not in item), max_size=6))
def test_several_in_one_cell(items: list[str]) -> None:
    """Names are told apart again, whatever is in them."""
    assert sheets.split(sheets.joined(items)) == items


@settings(max_examples=300)
@given(st.binary(max_size=200) | st.text(st.sampled_from('label,email;\t"\n\r=@\x00é'), max_size=80).map(str.encode))
def test_odd_files(raw: bytes) -> None:
    """Whatever comes is read, or refused with what is wrong."""
    with contextlib.suppress(Invalid):
        assert read(raw).rows
