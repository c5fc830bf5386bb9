"""Lines of an import: packed so that each part is a small document, and told as they stand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from shared.domain.imports import PART_BYTES, PER_PART, Import, Line, Part, as_it_stands, counted, packed, recounted, stopped

NOW = datetime(2026, 11, 21, tzinfo=UTC)
LINES = st.lists(st.builds(Line, line=st.integers(2, 5001), cells=st.dictionaries(st.text(max_size=9), st.text())))


def imported(lines: list[Line]) -> Import:
    return Import(id="imp_x", kind="users", on_conflict="skip", actor="key:x", created_at=NOW, counts=counted(lines))


@given(LINES)
def test_packed(lines: list[Line]) -> None:
    """Every line is in one part, in its order; what is stored is read again as it was."""
    parts = packed(lines)
    assert [line for part in parts for line in part] == lines
    assert all(0 < len(part) <= PER_PART for part in parts)
    assert [Part.of_lines(part, NOW).read() for part in parts] == parts


def test_long_lines() -> None:
    """Lines that are long share a part with fewer others, and one that is too long has its own."""
    lines = [Line(line=number, cells={"intro": "x" * 30_000}) for number in range(2, 7)]
    assert [len(part) for part in packed(lines)] == [2, 2, 1]
    assert [len(part) for part in packed([Line(line=2, cells={"intro": "x" * PART_BYTES}), *lines[:1]])] == [1, 1]


def test_stopped() -> None:
    """What comes after the first line that cannot be made is left, and says which; other mistakes stay named."""
    lines = [Line(line=2), Line(line=3).failed("no", "yes"), Line(line=4), Line(line=5).failed("nor", "yes")]
    assert [line.state for line in stopped(lines)] == ["pending", "failed", "left", "failed"]
    assert "line 3" in stopped(lines)[2].cause
    assert stopped(lines[:1]) == lines[:1]


def test_as_it_stands() -> None:
    """What is pending is left once the import has stopped or was given up, and not before."""
    lines = [Line(line=2, state="created"), Line(line=3)]
    one = imported(lines)
    assert as_it_stands(lines, one, "running", {}) == lines
    assert as_it_stands(lines, one, "waiting", {}) == lines
    assert [line.state for line in as_it_stands(lines, one.but(stopped_at=9), "done", {})] == ["created", "left"]
    [_, left] = as_it_stands(lines, one, "failed", {"cause": "refused", "fix": "mend it"})
    assert (left.state, left.cause, left.fix) == ("left", "the import was given up: refused", "mend it")


def test_recounted() -> None:
    """The counts follow what becomes of lines, and none is counted twice."""
    before = [Line(line=2), Line(line=3), Line(line=4, state="created")]
    after = [before[0].made("7"), before[1], before[2]]
    assert recounted(imported(before).counts, before, after) == {"pending": 1, "created": 2}


def test_what_is_made_keeps_nothing_of_the_file() -> None:
    """Of a member that there is now, only the name stays here."""
    line = Line(line=2, label="Ada", cells={"email": "a@b.test"}, fields={"email": "a@b.test"})
    assert line.made("7", "ada", "ob_x") == Line(
        line=2, state="created", label="Ada", id="7", username="ada", onboarding="ob_x"
    )
    assert Part.of_lines([line], NOW + timedelta(days=30)).expire_at == NOW + timedelta(days=30)
