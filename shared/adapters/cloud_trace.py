"""Spans by OpenTelemetry, sent by OTLP to Cloud Trace (or to any collector that is named).

Imported only where tracing is switched on. No global provider is set: what else knows OpenTelemetry (FastAPI does)
stays silent. A request is recorded when its caller's trace is, as Cloud Run decides it for the first of a chain,
and when it comes without a trace.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, cast
from urllib.parse import urlsplit

from opentelemetry import trace as api
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased

from shared.domain.traces import Trace

EXPORT_SECONDS = 2.0
"""How long an answer may wait for its spans to be taken. Later they are lost, which the log says."""
MOST_SPANS = 2000
FIX = "Enable telemetry.googleapis.com and grant roles/telemetry.tracesWriter, or set TRACING=off."

_log = logging.getLogger("muster")
_around: ContextVar[api.Span | None] = ContextVar("muster_span", default=None)


class Kept(SpanProcessor):
    """Finished spans wait here for the end of a request: a function has no time of its own for a batch."""

    def __init__(self) -> None:
        self._spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        if len(self._spans) < MOST_SPANS:
            self._spans.append(span)

    def take(self) -> list[ReadableSpan]:
        taken, self._spans = self._spans, []
        return taken


class Tracer:
    """`exporter` is made at the first span that is to be sent, since it looks for Google's credentials."""

    def __init__(self, exporter: Callable[[], SpanExporter], resource: Mapping[str, str]) -> None:
        provider = TracerProvider(
            sampler=ParentBased(ALWAYS_ON), resource=Resource(dict(resource)), shutdown_on_exit=False
        )
        self._kept = Kept()
        provider.add_span_processor(self._kept)
        self._tracer = provider.get_tracer("muster")
        self._make, self._exporter = exporter, cast("SpanExporter | None", None)
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # it calls a lost span an error; we warn

    def request(self, name: str, arriving: Trace | None) -> RequestSpan:
        """What is called until its end is within it."""
        parent = api.set_span_in_context(api.NonRecordingSpan(_context_of(arriving))) if arriving else None
        span = self._tracer.start_span(name, parent, api.SpanKind.SERVER)
        _around.set(span)
        return RequestSpan(self, span)

    @contextlib.contextmanager
    def call(self, name: str) -> Iterator[None]:
        """A call of a neighbour. Of an error only its kind is kept: its text is the log's."""
        above = _around.get()
        if above is None or not above.is_recording():
            yield
            return
        span = self._tracer.start_span(name, api.set_span_in_context(above), api.SpanKind.CLIENT)
        try:
            yield
        except BaseException as error:
            span.set_attribute("error.type", type(error).__name__)
            span.set_status(api.StatusCode.ERROR)
            raise
        finally:
            span.end()

    async def flush(self) -> None:
        """Never raises: a trace is not worth an answer."""
        spans = self._kept.take()
        if not spans:
            return
        cause = "refused, or not reachable"
        try:
            async with asyncio.timeout(EXPORT_SECONDS):
                if await asyncio.to_thread(self._export, spans):
                    return
        except Exception as error:
            cause = type(error).__name__
        _log.warning("spans are lost", extra={"fields": {"cause": cause, "fix": FIX, "spans": len(spans)}})

    def _export(self, spans: Sequence[ReadableSpan]) -> bool:
        self._exporter = self._exporter or self._make()
        return self._exporter.export(spans) is SpanExportResult.SUCCESS


class RequestSpan:
    """`trace`: for the log's lines and for the tasks that the request leads to."""

    def __init__(self, tracer: Tracer, span: api.Span) -> None:
        context = span.get_span_context()
        self.trace = Trace(f"{context.trace_id:032x}", f"{context.span_id:016x}", context.trace_flags.sampled)
        self._tracer, self._span = tracer, span

    async def end(self, status: int) -> None:
        self._span.set_attribute("http.response.status_code", status)
        if status >= 500:
            self._span.set_status(api.StatusCode.ERROR)
        self._span.end()
        _around.set(None)
        await self._tracer.flush()


def _context_of(arriving: Trace) -> api.SpanContext:
    flags = api.TraceFlags(api.TraceFlags.SAMPLED if arriving.sampled else api.TraceFlags.DEFAULT)
    span = int(arriving.span_id, 16) if arriving.span_id else 1  # the trace is known, the span is nobody's
    return api.SpanContext(int(arriving.trace_id, 16), span, is_remote=True, trace_flags=flags)


class Traced:
    """Any port: each of its coroutines is a span of its own, `neighbour.method`; all else is as it was."""

    def __init__(self, port: Any, neighbour: str, tracer: Tracer) -> None:
        self._port, self._neighbour, self._tracer = port, neighbour, tracer

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        if name.startswith("_") or not inspect.iscoroutinefunction(found):
            return found

        async def spanned(*given: Any, **more: Any) -> Any:
            with self._tracer.call(f"{self._neighbour}.{name}"):
                return await found(*given, **more)

        self.__dict__[name] = spanned
        return spanned


def exporter(endpoint: str) -> SpanExporter:
    """OTLP over HTTP. Google's own endpoint is called as the function's service account, and no other is given that."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter(endpoint=endpoint, timeout=EXPORT_SECONDS, session=_session_for(endpoint))


def _session_for(endpoint: str) -> Any:
    """None: the exporter's own, which bears no credential."""
    if not (urlsplit(endpoint).hostname or "").endswith(".googleapis.com"):
        return None
    import google.auth
    from google.auth.transport.requests import AuthorizedSession

    credentials, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
    return AuthorizedSession(credentials)  # type: ignore[no-untyped-call]
