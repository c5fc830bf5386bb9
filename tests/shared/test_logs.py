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
    logs.begin("abc/1;o=1")
    logs.within(onboarding="ob_1", step="hello", empty="", nothing=None, zero=0)
    log.info("one")
    logs.begin("")
    log.info("two")
    one, two = lines(stream)
    assert one["logging.googleapis.com/trace"].endswith("/traces/abc")
    assert (one["onboarding"], one["step"], one["zero"], "empty" in one, "nothing" in one) == (
        "ob_1",
        "hello",
        0,
        False,
        False,
    )
    assert set(two) == {"severity", "message", "logger"}


async def test_requests_side_by_side_keep_apart(stream: io.TextIOWrapper) -> None:
    """Requests that are answered at the same time on one loop do not see each other's context."""

    async def request(name: str) -> None:
        logs.begin(name)
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
