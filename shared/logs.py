"""Logs as Cloud Logging reads them: one JSON object a line, with the trace and what is being done.

ERROR is for what a person must act on; everything else is INFO or WARNING. An ERROR with an exception is
written as Error Reporting groups it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import traceback
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

from shared.domain.traces import Trace

CONTEXT: ContextVar[dict[str, Any]] = ContextVar("muster_log_context", default={})  # noqa: B039 - replaced, never changed
TRACE: ContextVar[Trace | None] = ContextVar("muster_trace", default=None)
REPORTED = "type.googleapis.com/google.devtools.clouderrorreporting.v1beta1.ReportedErrorEvent"


class JsonLines(logging.Formatter):
    """Fields come from `extra={"fields": {...}}` and from the request's context."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "severity": record.levelname,
            "message": record.getMessage(),
            "logger": record.name,
            **CONTEXT.get(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info and record.exc_info[0]:
            line["stack_trace"] = "".join(traceback.format_exception(*record.exc_info))
            if record.levelno >= logging.ERROR:
                line |= {"@type": REPORTED, "serviceContext": _service()}
        # As ASCII: whatever text a neighbour sent, it is one line, and no terminal's encoding can refuse it.
        return json.dumps(line, default=str)


def _service() -> dict[str, str]:
    """What Cloud Run calls this function and its deployment: errors are grouped, and called new, by it."""
    return {"service": os.environ.get("K_SERVICE") or "muster", "version": os.environ.get("K_REVISION") or "local"}


def configure() -> None:
    """Once per worker. Libraries speak from WARNING up; a client's INFO line would name every URL."""
    log = logging.getLogger("muster")
    if log.handlers:
        return
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines())
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)


def begin(trace: Trace | None) -> Trace:
    """A request's own context. Who came without a trace gets one, which the tasks that follow then share."""
    trace = trace or Trace(os.urandom(16).hex())
    trace = trace if trace.span_id else trace._replace(span_id=os.urandom(8).hex())
    project = os.environ.get("GOOGLE_CLOUD_PROJECT") or "muster-local"
    TRACE.set(trace)
    CONTEXT.set(
        {
            "logging.googleapis.com/trace": f"projects/{project}/traces/{trace.trace_id}",
            "logging.googleapis.com/spanId": trace.span_id,
            "logging.googleapis.com/trace_sampled": trace.sampled,
        }
    )
    return trace


def traceparent() -> str:
    """Of the request that is being answered, for a task that it leads to; "" outside of any."""
    trace = TRACE.get()
    return trace.header if trace else ""


def within(**fields: Any) -> None:
    """Adds to the context of the request that is being answered."""
    CONTEXT.set({**CONTEXT.get(), **_said(fields)})


@contextlib.contextmanager
def about(**fields: Any) -> Iterator[None]:
    """Adds to the context for as long as it lasts: a sweep is about one member after the other."""
    token = CONTEXT.set({**CONTEXT.get(), **_said(fields)})
    try:
        yield
    finally:
        CONTEXT.reset(token)


def _said(fields: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value not in (None, "")}
