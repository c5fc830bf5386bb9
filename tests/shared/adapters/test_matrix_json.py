"""Answers of a homeserver through which anybody may have sent anything."""

from __future__ import annotations

import json

import pytest

from shared.adapters.matrix_json import parsed, shallow


@pytest.mark.parametrize("text", ['{"a": [1, {"b": "}]{["}], "c": "\\"{"}', "[]", '"x"', '{"\\\\": {}}'])
def test_what_is_shallow_stays_as_it_is(text: str) -> None:
    """Braces within texts, escaped or not, are none."""
    assert shallow(text) == text
    assert parsed(text.encode()) == json.loads(text)


@pytest.mark.parametrize(("opened", "closed"), [('{"a":', "}"), ("[", "]"), ('{"a":["}",', "]}")])
@pytest.mark.parametrize("depth", [1000, 30_000])
def test_what_is_too_deep_is_cut_out(opened: str, closed: str, depth: int) -> None:
    """However deep, the rest of the answer is read."""
    said = parsed(f'{{"before": 1, "deep": {opened * depth}1{closed * depth}, "after": {{"b": "x"}}}}'.encode())
    assert (said["before"], said["after"]) == (1, {"b": "x"})
    assert "null" in json.dumps(said["deep"])


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff\xfe", b'{"a":' * 20_000, b"[" * 20_000])
def test_what_is_no_json_is_none(body: bytes) -> None:
    """Half an answer, deep or not, is no answer."""
    assert parsed(body) is None
