"""Logs as Cloud Logging reads them: one JSON object a line, with the trace and what is being done.

ERROR is for what a person must act on; everything else is INFO or WARNING.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import traceback
from contextvars import ContextVar
from typing import Any

CONTEXT: ContextVar[dict[str, Any]] = ContextVar("muster_log_context", default={})  # noqa: B039 - replaced, never changed


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
        # As ASCII: whatever text a neighbour sent, it is one line, and no terminal's encoding can refuse it.
        return json.dumps(line, default=str)


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


def begin(trace_context: str) -> None:
    """A request's own context; `trace_context` is Google's header, "TRACE_ID/SPAN_ID;o=1"."""
    trace, project = trace_context.partition("/")[0], os.environ.get("GOOGLE_CLOUD_PROJECT", "")
    CONTEXT.set({"logging.googleapis.com/trace": f"projects/{project}/traces/{trace}"} if trace else {})


def within(**fields: Any) -> None:
    """Adds to the context of the request that is being answered."""
    CONTEXT.set({**CONTEXT.get(), **{key: value for key, value in fields.items() if value not in (None, "")}})
