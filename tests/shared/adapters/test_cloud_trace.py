"""Spans: which there are, whose children they are, and that they reach whoever speaks OTLP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from shared.adapters import cloud_trace
from shared.adapters.cloud_trace import Traced, Tracer
from shared.domain.errors import Unreachable
from shared.domain.traces import Trace
from shared.settings import Settings
from shared.wiring import Wiring
from tests.fakes.task_queue import FakeTaskQueue

PARENT = Trace("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", True)


class Refusing(SpanExporter):
    """Cloud Trace without the right to write to it."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return SpanExportResult.FAILURE


class Neighbour:
    name = "x"

    async def ask(self, question: str, *, twice: bool = False) -> str:
        await asyncio.sleep(0)
        return question * (2 if twice else 1)

    async def fail(self) -> None:
        raise Unreachable("matrix", "down for a secret reason")

    def at_once(self) -> int:
        return 7


@pytest.fixture
def memory() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracer(memory: InMemorySpanExporter) -> Tracer:
    return Tracer(lambda: memory, {"service.name": "test"})


def ids(span: ReadableSpan) -> tuple[str, str]:
    assert span.context
    return f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}"


async def test_a_request_and_its_calls(tracer: Tracer, memory: InMemorySpanExporter) -> None:
    """A request's span is the child of the caller's, each call's the child of the request's, side by side too."""
    port: Any = Traced(Neighbour(), "matrix", tracer)
    span = tracer.request("POST /x", PARENT)
    assert await asyncio.gather(port.ask("a"), port.ask("b", twice=True)) == ["a", "bb"]
    await span.end(202)
    calls, [request] = memory.get_finished_spans()[:2], memory.get_finished_spans()[2:]
    assert [call.name for call in calls] == ["matrix.ask", "matrix.ask"]
    assert request.parent
    assert f"{request.parent.span_id:016x}" == PARENT.span_id
    assert ids(request) == (PARENT.trace_id, span.trace.span_id)
    assert {call.parent.span_id for call in calls if call.parent} == {request.context.span_id}
    assert request.attributes == {"http.response.status_code": 202}


async def test_an_error_is_marked_and_not_told(tracer: Tracer, memory: InMemorySpanExporter) -> None:
    """A call that fails raises what it raised; its span says the kind of error and none of its text."""
    port: Any = Traced(Neighbour(), "matrix", tracer)
    span = tracer.request("POST /x", PARENT)
    with pytest.raises(Unreachable):
        await port.fail()
    await span.end(503)
    failed, request = memory.get_finished_spans()
    assert failed.attributes == {"error.type": "Unreachable"}
    assert not failed.events
    assert (failed.status.is_ok, request.status.is_ok) == (False, False)
    assert "secret" not in failed.to_json()


async def test_all_else_is_as_it_was(tracer: Tracer) -> None:
    """Plain attributes and methods of a port pass through, and outside of a request nothing is recorded."""
    port: Any = Traced(Neighbour(), "matrix", tracer)
    assert (port.name, port.at_once(), await port.ask("a")) == ("x", 7, "a")
    with pytest.raises(AttributeError):
        _ = port.missing


async def test_who_is_not_sampled_is_not_recorded(tracer: Tracer, memory: InMemorySpanExporter) -> None:
    """A trace that the caller does not record is handed on and not recorded; a request without a trace is."""
    unsampled = tracer.request("POST /x", PARENT._replace(sampled=False))
    await Traced(Neighbour(), "matrix", tracer).ask("a")
    await unsampled.end(200)
    assert unsampled.trace.trace_id == PARENT.trace_id
    assert not unsampled.trace.sampled
    assert not memory.get_finished_spans()
    root = tracer.request("POST /x", None)
    await root.end(200)
    assert root.trace.sampled
    assert len(memory.get_finished_spans()) == 1


async def test_a_lost_span_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """Spans that are not taken, or cannot even be tried, cost a warning with its fix and nothing else."""

    def unable() -> SpanExporter:
        raise RuntimeError("no credentials")

    for make in (Refusing, unable):
        span = Tracer(make, {}).request("POST /x", None)
        await span.end(200)
    warnings = [record for record in caplog.records if record.message == "spans are lost"]
    assert [record.levelname for record in warnings] == ["WARNING", "WARNING"]
    assert all("roles/telemetry.tracesWriter" in vars(record)["fields"]["fix"] for record in warnings)


# ------------------------------------------------------------------ OTLP


class Collector:
    """Takes OTLP over HTTP on loopback, as Cloud Trace's endpoint does."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], ExportTraceServiceRequest]] = []
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        message = ExportTraceServiceRequest()
        message.ParseFromString(await request.read())
        self.got.append((dict(request.headers), message))
        return web.Response()


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    made, app = Collector(), web.Application()
    app.router.add_post("/v1/traces", made.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1/traces"
    yield made
    await runner.cleanup()


async def test_spans_arrive_by_otlp(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """With TRACING=cloud the wiring's own tracer sends what a request did, before its answer ends: with project, service and
    revision, and without any credential to whoever is not Google."""
    monkeypatch.setenv("K_SERVICE", "deliver-welcome")
    env = {"TRACING": "cloud", "TRACING_ENDPOINT": collector.url, "GOOGLE_CLOUD_PROJECT": "a-project"}
    wired = Wiring(Settings(env))
    assert wired.tracer is not None
    queue = wired._watched("tasks", FakeTaskQueue())
    span = wired.tracer.request("POST /x", PARENT)
    assert await queue.enqueue() == 0
    await span.end(200)
    [(headers, message)] = collector.got
    [resource] = message.resource_spans
    said = {each.key: each.value.string_value for each in resource.resource.attributes}
    assert said == {"gcp.project_id": "a-project", "service.name": "deliver-welcome", "service.version": "local"}
    spans = {each.name: each for scope in resource.scope_spans for each in scope.spans}
    assert set(spans) == {"POST /x", "tasks.enqueue"}
    assert {each.trace_id.hex() for each in spans.values()} == {PARENT.trace_id}
    assert spans["tasks.enqueue"].parent_span_id == spans["POST /x"].span_id
    assert "Authorization" not in headers


def test_only_google_gets_our_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Google's endpoint is called as the function's account, by the library's own session; a collector is not."""
    import google.auth
    from google.auth.credentials import AnonymousCredentials
    from google.auth.transport.requests import AuthorizedSession

    asked: list[Any] = []

    def default(scopes: list[str]) -> tuple[AnonymousCredentials, str]:
        asked.append(scopes)
        return AnonymousCredentials(), "a-project"

    monkeypatch.setattr(google.auth, "default", default)
    assert isinstance(cloud_trace._session_for("https://telemetry.googleapis.com/v1/traces"), AuthorizedSession)
    assert asked == [["https://www.googleapis.com/auth/cloud-platform"]]
    for other in ("http://127.0.0.1:4318/v1/traces", "https://googleapis.com.example.org/v1/traces"):
        assert cloud_trace._session_for(other) is None
    assert len(asked) == 1
