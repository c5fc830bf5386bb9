"""Traces are read as the W3C and Google write them; what is malformed counts as absent."""

from __future__ import annotations

import pytest

from shared.domain.traces import Trace, read

ID, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize(
    ("traceparent", "cloud", "trace"),
    [
        (f"00-{ID}-{SPAN}-01", "", Trace(ID, SPAN, True)),
        (f" 00-{ID}-{SPAN}-00 ", "", Trace(ID, SPAN, False)),
        (f"00-{ID}-{SPAN}-03", "", Trace(ID, SPAN, True)),
        (f"cc-{ID}-{SPAN}-01-what-comes", "", Trace(ID, SPAN, True)),
        (f"00-{ID}-{SPAN}-01", f"{'a' * 32}/1;o=0", Trace(ID, SPAN, True)),
        ("", f"{ID}/74;o=1", Trace(ID, "000000000000004a", True)),
        ("", f"{ID.upper()}/74", Trace(ID, "000000000000004a", False)),
        ("", f"{ID};o=1", Trace(ID, "", True)),
        ("", f"{ID}/0;o=0", Trace(ID, "", False)),
        ("", f"{ID}/{2**64};o=1", Trace(ID, "", True)),
        ("", ID, Trace(ID)),
        ("nonsense", f"{ID}/1", Trace(ID, "0000000000000001")),
    ],
)
def test_read(traceparent: str, cloud: str, trace: Trace) -> None:
    """The W3C's header comes first; Google's decimal span becomes hexadecimal, as the log wants it."""
    assert read(traceparent, cloud) == trace


@pytest.mark.parametrize(
    "header",
    [
        "",
        f"ff-{ID}-{SPAN}-01",
        f"00-{ID}-{SPAN}-01-more",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{ID}-{'0' * 16}-01",
        f"00-{ID.upper()}-{SPAN}-01",
        f"00-{ID[:-1]}-{SPAN}-01",
        f"00-{ID}-{SPAN}",
        f"{'0' * 32}/1;o=1",
        "abc/1;o=1",
        f"{ID}/x;o=1",
        f"{ID}/1;o=1\n",
        "٣" * 32,
    ],
)
def test_malformed(header: str) -> None:
    """Whatever a stranger sends is a trace or none; it cannot write into a log line."""
    trace = read(header, header)
    assert trace is None or trace == Trace(ID, "0000000000000001", True)


def test_handed_on() -> None:
    """What is handed on reads back as it was; without a span there is nothing to hand on."""
    for trace in (Trace(ID, SPAN, True), Trace(ID, SPAN, False)):
        assert read(trace.header, "") == trace
    assert Trace(ID).header == ""
