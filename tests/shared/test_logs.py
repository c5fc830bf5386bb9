"""Logs as Cloud Logging reads them: one JSON object a line, whatever is in it."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from shared import logs
from shared.domain.traces import Trace, read

log = logging.getLogger("muster")


@pytest.fixture
def stream() -> Iterator[io.TextIOWrapper]:
    """Standard output as a terminal that knows ASCII only."""
    loggers = [log, logging.getLogger()]
    log.handlers.clear()
    made = io.TextIOWrapper(io.BytesIO(), encoding="ascii", write_through=True)
    with contextlib.redirect_stdout(made):
        logs.configure()
    ours = log.handlers[0]
    yield made
    for logger in loggers:
        logger.removeHandler(ours)


def lines(stream: io.TextIOWrapper) -> list[dict[str, Any]]:
    text = stream.buffer.getvalue().decode()  # type: ignore[attr-defined]
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture(autouse=True)
def _own_context() -> Iterator[None]:
    token = logs.CONTEXT.set({})
    yield
    logs.CONTEXT.reset(token)


def test_a_line(stream: io.TextIOWrapper) -> None:
    """Severity, message, logger and the fields are keys of one object."""
    log.info("step", extra={"fields": {"step": "hello", "attempt": 2, "at": datetime(2030, 1, 31, tzinfo=UTC)}})
    assert lines(stream) == [
        {"severity": "INFO", "message": "step", "logger": "muster", "step": "hello", "attempt": 2, "at": "2030-01-31 00:00:00+00:00"}
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["two\nlines\r\nthree", "\u2028\u2029\x85", "李 José", "\x00\x1b[31m", '"}{"', "😀"])
def test_odd_text_stays_one_line(stream: io.TextIOWrapper, text: str) -> None:
    """Whatever a neighbour sent is one line that any terminal takes, and reads back as it was."""
    log.warning("%s", text, extra={"fields": {"cause": text, text: text}})
    [line] = lines(stream)
    assert (line["message"], line["cause"], line[text]) == (text, text, text)


def test_a_traceback_is_in_the_line(stream: io.TextIOWrapper) -> None:
    """An exception is one field of one line."""
    try:
        raise ValueError("broken\nbadly")
    except ValueError:
        log.exception("failed")
    [line] = lines(stream)
    assert (line["severity"], line["message"]) == ("ERROR", "failed")
    assert "ValueError: broken\nbadly" in line["stack_trace"]


def test_what_is_no_json_is_written_all_the_same(stream: io.TextIOWrapper) -> None:
    """A field of any type becomes text: a log line is never lost for it."""
    log.info("x", extra={"fields": {"a": {1, 2}, "b": ValueError("c"), "d": b"e", "f": None}})
    assert lines(stream)[0]["b"] == "c"


def test_the_context_is_in_every_line(stream: io.TextIOWrapper) -> None:
    """What is known of the request is in each of its lines; nothing and blanks are left out; another request starts anew."""
    logs.begin(Trace("a" * 32, "b" * 16, True))
    logs.within(onboarding="ob_1", step="hello", empty="", nothing=None, zero=0)
    log.info("one")
    logs.begin(None)
    log.info("two")
    one, two = lines(stream)
    assert one["logging.googleapis.com/trace"] == f"projects/muster-local/traces/{'a' * 32}"
    assert (one["logging.googleapis.com/spanId"], one["logging.googleapis.com/trace_sampled"]) == ("b" * 16, True)
    assert (one["onboarding"], one["step"], one["zero"], "empty" in one, "nothing" in one) == (
        "ob_1",
        "hello",
        0,
        False,
        False,
    )
    assert {name for name in two if "googleapis" not in name} == {"severity", "message", "logger"}


def test_whoever_comes_without_a_trace_gets_one(stream: io.TextIOWrapper, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request without a trace has one of its own, in its lines and for its tasks; outside of any there is none."""
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "a-project")
    logs.TRACE.set(None)
    assert logs.traceparent() == ""
    first, second = logs.begin(None), logs.begin(Trace("c" * 32))
    assert first.trace_id != second.trace_id == "c" * 32
    assert read(logs.traceparent(), "") == second
    log.info("x")
    assert lines(stream)[0]["logging.googleapis.com/trace"] == f"projects/a-project/traces/{'c' * 32}"


def test_what_is_said_about_one_ends_with_it(stream: io.TextIOWrapper) -> None:
    """In a sweep the lines about one member name them, those after do not, however it ended."""
    logs.within(event="e")
    with contextlib.suppress(ValueError), logs.about(onboarding="ob_1", step=""):
        log.info("one")
        raise ValueError
    log.info("two")
    one, two = lines(stream)
    assert (one["event"], one["onboarding"], "step" in one) == ("e", "ob_1", False)
    assert (two["event"], "onboarding" in two) == ("e", False)


def test_a_crash_is_reported(stream: io.TextIOWrapper, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unexpected exception is an event of Error Reporting: its type, which service and revision, and Python's own
    traceback, whose last line it groups by. An error without exception, and a warning with one, are none."""
    monkeypatch.setenv("K_SERVICE", "invite-to-room")
    monkeypatch.setenv("K_REVISION", "invite-to-room-00017-abc")
    try:
        raise KeyError("broken")
    except KeyError:
        log.exception("crashed")
        log.warning("odd", exc_info=True)
    log.error("step failed")
    crashed, odd, failed = lines(stream)
    assert crashed["@type"] == logs.REPORTED
    assert crashed["serviceContext"] == {"service": "invite-to-room", "version": "invite-to-room-00017-abc"}
    assert crashed["stack_trace"].startswith("Traceback (most recent call last):")
    assert crashed["stack_trace"].strip().endswith("KeyError: 'broken'")
    assert not [line for line in (odd, failed) if "@type" in line or "serviceContext" in line]


async def test_requests_side_by_side_keep_apart(stream: io.TextIOWrapper) -> None:
    """Requests that are answered at the same time on one loop do not see each other's context."""

    async def request(name: str) -> None:
        logs.begin(Trace(name * 32))
        for _ in range(3):
            await asyncio.sleep(0)
            logs.within(step=name)
            log.info(name)

    await asyncio.gather(*(asyncio.create_task(request(name)) for name in ("a", "b", "c")))
    assert all(line["step"] == line["message"] for line in lines(stream))
    assert len(lines(stream)) == 9


def test_libraries_speak_when_something_is_wrong(stream: io.TextIOWrapper) -> None:
    """A client's INFO line would name every URL: libraries are heard from WARNING up, and in the same form."""
    logging.getLogger("httpx").info("GET https://x.test/?token=s3cret")
    logging.getLogger("httpx").debug("headers")
    logging.getLogger("httpx").warning("slow")
    assert [(line["logger"], line["message"]) for line in lines(stream)] == [("httpx", "slow")]


def test_configured_once(stream: io.TextIOWrapper) -> None:
    """However many requests configure it, each line is written once."""
    for _ in range(3):
        logs.configure()
    log.info("once")
    assert len(lines(stream)) == 1


def test_half_a_character_is_a_line_too() -> None:
    """What UTF-8 cannot say is escaped, so that the line is written at all."""
    record = logging.LogRecord("muster", logging.INFO, "", 0, "\ud800", (), None)
    line = logs.JsonLines().format(record)
    assert line.isascii()
    assert json.loads(line)["message"] == "\ud800"
