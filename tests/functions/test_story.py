"""One query for an onboarding's id finds a member's whole story; the webhook's trace goes with its tasks."""

from __future__ import annotations

import io
from collections import Counter
from typing import Any

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import shared.wiring
from shared.adapters.cloud_trace import Tracer
from shared.wiring import Wiring
from tests.functions.conftest import lines
from tests.functions.served import Service
from tests.world import World

TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


def furnish(service: Service) -> None:
    """Two rooms that everybody gets."""
    rooms = [service.world.homeserver.add_room(name) for name in ("Ops", "Tea")]
    service.env["MATRIX_DEFAULT_ROOMS"] = ",".join(rooms)


async def enrolled(service: Service, name: str, **headers: str) -> str:
    """Somebody whose webhook has come; answers the onboarding's id."""
    service.world.authentik.add_account(name)
    body = {"event_id": f"e-{name}", "action": "user_write", "context": {"created": True, "username": name}}
    secret = service.env["AUTHENTIK_WEBHOOK_SECRETS"].rpartition(",")[2]
    answer = await service.hook(body, {"X-Muster-Secret": secret, **headers})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["onboarding"])


async def swept(service: Service) -> None:
    token = service.issuer.task("resume_onboardings")
    assert (await service.send("resume_onboardings", "POST", "/", token)).status_code == 200


def story(stream: io.StringIO, onboarding: str) -> list[dict[str, Any]]:
    """The query of the README: jsonPayload.onboarding = the id."""
    return [line for line in lines(stream) if line.get("onboarding") == onboarding]


async def test_a_members_whole_story(service: Service, world: World, logged: io.StringIO) -> None:
    """Filtered by the onboarding's id, the log holds the webhook, each step's outcome, each task's answer and what the
    sweep did; of everybody else it holds nothing."""
    furnish(service)
    ada, bee = await enrolled(service, "ada"), await enrolled(service, "bee")
    await service.work()
    world.pause(minutes=2)
    await swept(service)
    found = story(logged, ada)
    messages = [line["message"] for line in found]
    assert messages[:3] == ["onboarding begun", "webhook: accepted", "POST /hooks/authentik: 202"]
    known = {step.name: step.state for step in (await world.view(ada)).steps}
    told = {line["step"]: line["state"] for line in found if "state" in line}
    assert told == {name: state for name, state in known.items() if state not in ("pending", "scheduled")}
    assert len(told) == 5
    answered = [line for line in found if line["message"] == "POST /: 200"]
    assert {line["step"] for line in answered} == set(told)
    assert "sweep: has not logged in to Matrix yet" in messages
    assert {line["step"] for line in found if line["message"] == "sweep: a step goes on"} == {"welcome"}
    assert len(story(logged, bee)) == len(found)


async def test_a_lost_task_is_in_the_story(service: Service, world: World, logged: io.StringIO) -> None:
    """What the sweep finds again is told with the onboarding and the step; its own summary is about nobody."""
    furnish(service)
    world.queue.swallow_next(99)
    ada = await enrolled(service, "ada")
    world.queue.swallow_next(0)
    world.queue._losses = 0
    world.pause(minutes=5)
    await swept(service)
    again = [line for line in story(logged, ada) if line["message"] == "sweep: a step goes on"]
    assert {line["step"] for line in again} >= {"hello", "indoc_farewell"}
    [summary] = [line for line in lines(logged) if line["message"] == "sweep"]
    assert "onboarding" not in summary


async def test_a_crashed_step_is_in_the_story(service: Service, world: World, logged: io.StringIO) -> None:
    """A mistake of ours in a step is an event of Error Reporting that says whose step it was."""
    furnish(service)
    ada = await enrolled(service, "ada")
    world.homeserver.fail_next(RuntimeError("a mistake"))
    [first, *_] = world.queue.take(world.now())
    assert (await service.deliver(first)).status_code == 500
    [crash] = [line for line in story(logged, ada) if line["severity"] == "ERROR"]
    assert (crash["message"], crash["step"], crash["serviceContext"]["service"]) == (
        "step crashed",
        first.payload["step"],
        "muster",
    )
    assert "RuntimeError: a mistake" in crash["stack_trace"]


async def test_the_trace_of_the_webhook_goes_with_its_tasks(
    service: Service, world: World, logged: io.StringIO
) -> None:
    """Every line of the tasks that a webhook leads to, and of those that follow them, has the webhook's trace."""
    furnish(service)
    ada = await enrolled(service, "ada", traceparent=TRACEPARENT)
    assert {task.traceparent for task in world.queue.tasks.values()} == {TRACEPARENT}
    await service.work()
    world.pause(seconds=10)
    await service.work()
    found = story(logged, ada)
    assert len(found) > 8
    assert {line["logging.googleapis.com/trace"] for line in found} == {f"projects/muster-local/traces/{TRACE}"}
    assert all(line["logging.googleapis.com/trace_sampled"] is True for line in found)


async def test_without_a_trace_one_is_made(service: Service, world: World, logged: io.StringIO) -> None:
    """Where nobody sent a trace (Authentik does not), webhook and tasks share one all the same, and each member their own."""
    ada, bee = await enrolled(service, "ada"), await enrolled(service, "bee")
    await service.work()
    traces = [{line["logging.googleapis.com/trace"] for line in story(logged, who)} for who in (ada, bee)]
    assert [len(each) for each in traces] == [1, 1]
    assert traces[0] != traces[1]


async def test_a_job_has_a_story_too(service: Service, logged: io.StringIO) -> None:
    """The steps of an admin's job are told with the job's id."""
    room = service.world.homeserver.add_room("Ops")
    body = {"matrix_id": "@ada:fake.test", "rooms": [room]}
    job = (await service.api("POST", "/api/rooms/invite", json=body)).json()["job"]["id"]
    await service.work()
    told = [line for line in lines(logged) if line.get("job") == job]
    assert [line["message"] for line in told] == ["room: done", "POST /: 200"]


# ------------------------------------------------------------------ spans


@pytest.fixture
def spans(service: Service, monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """The service with tracing switched on."""
    memory = InMemorySpanExporter()
    service.env["TRACING"] = "cloud"
    monkeypatch.setenv("TRACING", "cloud")
    tracer = Tracer(lambda: memory, {"service.name": "test"})
    monkeypatch.setattr(shared.wiring, "factory", lambda settings: traced(service.wire(settings), tracer))
    return memory


def traced(wired: Wiring, tracer: Tracer) -> Wiring:
    wired.__dict__["tracer"] = tracer
    return wired


async def test_each_request_and_call_is_a_span(
    service: Service, world: World, logged: io.StringIO, spans: InMemorySpanExporter
) -> None:
    """With tracing on, webhook, tasks and every call that they make are one trace; the log's lines name the request's span, and
    a task is the child of the request that enqueued it."""
    furnish(service)
    ada = await enrolled(service, "ada", traceparent=TRACEPARENT)
    await service.work()
    found = spans.get_finished_spans()
    assert {f"{span.context.trace_id:032x}" for span in found} == {TRACE}
    names = Counter(span.name for span in found)
    assert names["POST /hooks/authentik"] == 1
    assert {"documents.write", "documents.get_many", "authentik.account_named", "tasks.enqueue"} <= set(names)
    assert {"matrix.invite", "matrix.whoami"} <= set(names)
    by_id = {f"{span.context.span_id:016x}": span for span in found}
    [hook] = [span for span in found if span.name == "POST /hooks/authentik"]
    told = [line for line in story(logged, ada) if "httpRequest" in line]
    assert all(by_id[line["logging.googleapis.com/spanId"]].name.startswith("POST /") for line in told)
    tasks = [span for span in found if span.name == "POST /"]
    assert len(tasks) == names["POST /"] >= 4
    assert hook.context.span_id in {span.parent.span_id for span in tasks if span.parent}


async def test_the_api_and_health_are_traced(service: Service, spans: InMemorySpanExporter) -> None:
    """The API's spans hold its calls too, although FastAPI answers; a caller who does not record is not recorded."""
    assert (await service.api("GET", "/api/invites")).status_code == 200
    assert (await service.api("GET", "/api/health", headers={"traceparent": TRACEPARENT[:-1] + "0"})).status_code == 200
    leased, listed, counted, request = spans.get_finished_spans()
    assert leased.name == "documents.write"
    assert {listed.name, counted.name} == {"documents.query", "documents.count"}
    assert (request.name, dict(request.attributes or {})) == ("GET /api/invites", {"http.response.status_code": 200})


async def test_a_malformed_switch_stops_no_page(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """TRACING with another value is named by the self-check; page and health are there all the same."""
    monkeypatch.setenv("TRACING", "clowd")
    service.env["TRACING"] = "clowd"
    assert (await service.send("admin", "GET", "/")).status_code == 200
    items = (await service.api("GET", "/api/self-check")).json()["items"]
    assert [item for item in items if not item["ok"] and "TRACING" in item["detail"]]
