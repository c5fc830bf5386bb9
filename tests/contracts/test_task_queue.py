"""What every `TaskQueue` promises: the fake, and the real client against the embedded dispatcher."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import pytest
from google.api_core import exceptions as google

from shared.adapters.cloud_tasks import CloudTasksQueue
from shared.adapters.cloud_tasks_errors import translated
from shared.domain.errors import Limited, Misconfigured, MusterError, Refused, Unreachable
from shared.ports import Task, TaskQueue
from tests.fakes.task_queue import FakeTaskQueue
from tests.local.dispatcher import LOCATION, PROJECT, DispatcherProcess, Handler

ACCOUNT = "tasks@muster-test.iam.gserviceaccount.com"
QUEUES = {"invite_to_room": "invites", "deliver_welcome": "welcomes"}


class Bench(Protocol):
    """A queue, and what it delivered: (entry point, name, payload), and each delivery's trace."""

    queue: TaskQueue

    async def delivered(self, count: int) -> list[tuple[str, str, Any]]: ...
    async def traces(self, count: int) -> list[str]: ...


class FakeBench:
    def __init__(self) -> None:
        self.queue = FakeTaskQueue(set(QUEUES))
        self._seen: list[tuple[str, str, Any]] = []

    async def delivered(self, count: int) -> list[tuple[str, str, Any]]:
        due = self.queue.take(datetime.now(UTC))
        self._seen += [(task.entry_point, task.name, dict(task.payload)) for task in due]
        return self._seen

    async def traces(self, count: int) -> list[str]:
        return [task.traceparent for task in self.queue.take(datetime.now(UTC))]


class CloudBench:
    def __init__(self, queue: CloudTasksQueue, handler: Handler) -> None:
        self.queue = queue
        self._handler = handler

    async def delivered(self, count: int) -> list[tuple[str, str, Any]]:
        requests = await self._handler.received(count)
        return [(each.path.rpartition("/")[2], each.fact("TaskName") or "", each.json) for each in requests]

    async def traces(self, count: int) -> list[str]:
        return [each.headers.get("traceparent", "") for each in await self._handler.received(count)]


@pytest.fixture(scope="module")
def dispatcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DispatcherProcess]:
    process = DispatcherProcess(tmp_path_factory.mktemp("dispatcher"), {"invites": {}, "welcomes": {}}).start()
    yield process
    process.stop()


def cloud_queue(host: str, url: str = "http://127.0.0.1:1", **changes: Any) -> CloudTasksQueue:
    settings = {"project": PROJECT, "location": LOCATION, "queues": QUEUES, "service_account": ACCOUNT, **changes}
    template = changes.get("url_template", f"{url}/tasks/{{entry_point}}")
    return CloudTasksQueue(**{**settings, "url_template": template, "emulator_host": host})


@pytest.fixture(params=["fake", "cloud tasks"])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    if request.param == "fake":
        yield FakeBench()
        return
    process: DispatcherProcess = request.getfixturevalue("dispatcher")
    async with Handler() as handler:
        queue = cloud_queue(process.grpc, handler.url)
        yield CloudBench(queue, handler)
        await queue.close()


@pytest.fixture
def named(request: pytest.FixtureRequest) -> Callable[..., Task]:
    """Tasks whose names no other test uses (a name is blocked for a day)."""
    prefix = "".join(letter if letter.isalnum() else "-" for letter in request.node.name)

    def make(name: str, payload: dict[str, Any] | None = None, **more: Any) -> Task:
        return Task(more.pop("entry_point", "invite_to_room"), f"{prefix}-{name}", payload or {}, **more)

    return make


async def test_delivers_the_payload(bench: Bench, named: Callable[..., Task]) -> None:
    """A task reaches its entry point with its payload as it was given."""
    task = named("one", {"onboarding": "ä-1", "step": "room:é"}, entry_point="deliver_welcome")
    assert await bench.queue.enqueue(task) == 1
    assert await bench.delivered(1) == [("deliver_welcome", task.name, {"onboarding": "ä-1", "step": "room:é"})]


async def test_carries_the_trace(bench: Bench, named: Callable[..., Task]) -> None:
    """A delivery carries the trace of whoever enqueued the task, and none where there was none."""
    trace = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01"
    await bench.queue.enqueue(named("traced", traceparent=trace), named("bare"))
    assert sorted(await bench.traces(2)) == ["", trace]


async def test_counts_what_is_new(bench: Bench, named: Callable[..., Task]) -> None:
    """Many tasks go in side by side, and those whose name was used before count as enqueued, not as new."""
    first = [named(f"n{number}") for number in range(30)]
    assert await bench.queue.enqueue(*first) == 30
    assert await bench.queue.enqueue(*first, named("n30")) == 1
    delivered = await bench.delivered(31)
    assert sorted(name for _, name, _ in delivered) == sorted(task.name for task in [*first, named("n30")])


async def test_one_name_twice_in_one_call(bench: Bench, named: Callable[..., Task]) -> None:
    """The same name twice in one call is one task."""
    assert await bench.queue.enqueue(named("same"), named("same")) == 1
    assert len(await bench.delivered(1)) == 1


async def test_a_name_stays_blocked_after_delivery(bench: Bench, named: Callable[..., Task]) -> None:
    """A task that was delivered is not accepted again under its name."""
    assert await bench.queue.enqueue(named("once")) == 1
    assert len(await bench.delivered(1)) == 1
    assert await bench.queue.enqueue(named("once")) == 0
    assert await bench.queue.enqueue(named("after")) == 1
    assert [name for _, name, _ in await bench.delivered(2)] == [named("once").name, named("after").name]


async def test_not_before_its_time(bench: Bench, named: Callable[..., Task]) -> None:
    """A task with a time waits for it while later ones pass; a time that has passed is now."""
    now = datetime.now(UTC)
    await bench.queue.enqueue(named("tomorrow", at=now + timedelta(days=1)))
    await bench.queue.enqueue(named("yesterday", at=now - timedelta(days=1)))
    assert [name for _, name, _ in await bench.delivered(1)] == [named("yesterday").name]


async def test_nothing_to_enqueue(bench: Bench) -> None:
    """No tasks are no work."""
    assert await bench.queue.enqueue() == 0


async def test_an_entry_point_without_a_queue(bench: Bench, named: Callable[..., Task]) -> None:
    """An entry point that no queue is set for is named as a fault of the settings."""
    with pytest.raises(Misconfigured, match="sweep_the_floor"):
        await bench.queue.enqueue(named("x", entry_point="sweep_the_floor"))


async def test_check_finds_every_queue(bench: Bench) -> None:
    """The self-check has one line for each queue, and all is well."""
    findings = await bench.queue.check()
    assert len(findings) == 2
    assert all(finding.ok for finding in findings), findings


async def test_a_failure_does_not_hold_up_the_others(named: Callable[..., Task]) -> None:
    """When one task cannot be handed over, the others were, and the same call again completes them."""
    queue = FakeTaskQueue()
    queue.fail_next()
    with pytest.raises(Unreachable):
        await queue.enqueue(named("a"), named("b"))
    assert list(queue.tasks) == [named("b").name]
    assert await queue.enqueue(named("a"), named("b")) == 1


async def test_a_swallowed_task_is_gone(named: Callable[..., Task]) -> None:
    """The fake can lose a task that it accepted, and its name stays used."""
    queue = FakeTaskQueue()
    queue.swallow_next()
    assert await queue.enqueue(named("a")) == 1
    assert queue.take() == []
    assert await queue.enqueue(named("a")) == 0


async def test_a_dispatcher_that_is_down(named: Callable[..., Task]) -> None:
    """Nobody at the address: the tasks are unreachable, and the self-check says so."""
    queue = cloud_queue("127.0.0.1:1", rpc_seconds=0.5)
    with pytest.raises(Unreachable) as caught:
        await queue.enqueue(named("a"), named("b"))
    assert caught.value.neighbour == "tasks"
    assert not any(finding.ok for finding in await queue.check())
    await queue.close()


async def test_a_queue_that_does_not_exist(dispatcher: DispatcherProcess, named: Callable[..., Task]) -> None:
    """A missing queue is refused for good, and says which one and what to do."""
    queue = cloud_queue(dispatcher.grpc, queues={"invite_to_room": "nowhere"})
    with pytest.raises(Refused, match="nowhere") as caught:
        await queue.enqueue(named("a"))
    assert caught.value.code == "NOT_FOUND"
    assert "create the queue" in caught.value.fix
    [finding] = await queue.check()
    assert (finding.ok, finding.name) == (False, "queue nowhere")
    await queue.close()


async def test_a_target_elsewhere(dispatcher: DispatcherProcess, named: Callable[..., Task]) -> None:
    """What the service does not accept is refused with its reason."""
    queue = cloud_queue(dispatcher.grpc, url_template="https://example.org/{entry_point}")
    with pytest.raises(Refused, match="this machine only") as caught:
        await queue.enqueue(named("a"))
    assert caught.value.code == "INVALID_ARGUMENT"
    await queue.close()


async def test_a_url_with_dashes(dispatcher: DispatcherProcess, named: Callable[..., Task]) -> None:
    """Services whose names cannot hold an underscore are reached through {entry-point}."""
    async with Handler() as handler:
        queue = cloud_queue(dispatcher.grpc, url_template=f"{handler.url}/svc-{{entry-point}}")
        await queue.enqueue(named("a"))
        [request] = await handler.received(1)
        assert request.path == "/svc-invite-to-room"
        assert request.headers["Content-Type"] == "application/json"
        await queue.close()


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (google.PermissionDenied("lacks iam.serviceAccounts.actAs"), Refused, f"Service Account User on {ACCOUNT}"),
        (google.PermissionDenied("lacks cloudtasks.tasks.create"), Refused, "roles/cloudtasks.enqueuer"),
        (google.Unauthenticated("expired"), Misconfigured, "service account"),
        (google.ResourceExhausted("quota"), Limited, "quota"),
        (google.InternalServerError("oops"), Unreachable, ""),
        (google.RetryError("too long", None), Unreachable, ""),
    ],
)
def test_refusals_name_the_fix(error: Exception, kind: type[MusterError], words: str) -> None:
    """Each refusal of Cloud Tasks becomes one of ours, with the role or the setting that mends it."""
    known = translated(error, "projects/p/locations/l/queues/invites", ACCOUNT)
    assert type(known) is kind
    assert words in known.fix
