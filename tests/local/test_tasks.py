"""The embedded task dispatcher keeps the semantics of Cloud Tasks and Cloud Scheduler that matter."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from google.api_core import exceptions as google
from google.cloud import tasks_v2 as api

from local.loopback import LOOPBACK
from local.tasks_queues import Dispatcher, Outcome, Store, backoff, describe, exhausted
from shared.adapters.jwt import KeySet, verify
from tests.local.dispatcher import PARENT, DispatcherProcess, Handler, Request, eventually

EMAIL = "tasks@muster-test.iam.gserviceaccount.com"
FAST = {"min_backoff": 0.05, "max_backoff": 0.2}


@pytest.fixture(scope="module")
def dispatcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DispatcherProcess]:
    process = DispatcherProcess(tmp_path_factory.mktemp("dispatcher")).start()
    yield process
    process.stop()


@pytest.fixture
async def handler() -> AsyncIterator[Handler]:
    async with Handler() as running:
        yield running


@pytest.fixture
async def client(dispatcher: DispatcherProcess) -> AsyncIterator[Any]:
    made = connect(dispatcher)
    yield made
    await made.transport.close()


def connect(dispatcher: DispatcherProcess) -> Any:
    transport = api.CloudTasksAsyncClient.get_transport_class("grpc_asyncio")
    return api.CloudTasksAsyncClient(transport=transport(channel=grpc.aio.insecure_channel(dispatcher.grpc)))


@pytest.fixture
def queue(client: Any, request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Makes the test's own queue with the given limits."""
    name = f"{PARENT}/queues/{request.node.name.replace('_', '-')}"

    async def make(retry: dict[str, Any] | None = None, **limits: Any) -> str:
        message = describe(name, {**limits, "retry": {**FAST, **(retry or {})}})
        return str((await client.create_queue(parent=PARENT, queue=message)).name)

    return make


def task(queue: str, name: str, url: str, **more: Any) -> Any:
    post: dict[str, Any] = {"url": url, "http_method": "POST", **more.pop("http", {})}
    return api.Task(name=f"{queue}/tasks/{name}" if name else "", http_request=post, **more)


async def debug(dispatcher: DispatcherProcess, name: str) -> dict[str, Any]:
    """The row of a task by its last name, as `/tasks` shows it."""
    async with httpx.AsyncClient(**LOOPBACK) as http:
        rows = (await http.get(f"{dispatcher.http}/tasks")).json()
    return next((row for row in rows if row["name"].endswith(f"/{name}")), {})


async def reached(dispatcher: DispatcherProcess, name: str, **facts: Any) -> dict[str, Any]:
    """Waits until the row of a task says all that."""

    async def row() -> dict[str, Any] | None:
        found = await debug(dispatcher, name)
        return found if found.items() >= facts.items() else None

    return dict(await eventually(row))


async def ended(dispatcher: DispatcherProcess, name: str) -> dict[str, Any]:
    """Waits until a task is done or given up."""
    return await reached(dispatcher, name, state="done")


# ------------------------------------------------------------------ names


async def test_a_name_is_taken_once(client: Any, queue: Any, handler: Handler, dispatcher: DispatcherProcess) -> None:
    """A name is refused while its task waits, after it is done, and after it was deleted."""
    made = await queue()
    await client.pause_queue(name=made)
    for name in ("done", "deleted"):
        await client.create_task(parent=made, task=task(made, name, handler.url))
        with pytest.raises(google.AlreadyExists):
            await client.create_task(parent=made, task=task(made, name, handler.url))
    await client.delete_task(name=f"{made}/tasks/deleted")
    await client.resume_queue(name=made)
    await ended(dispatcher, "done")
    for name in ("done", "deleted"):
        with pytest.raises(google.AlreadyExists):
            await client.create_task(parent=made, task=task(made, name, handler.url))
        with pytest.raises(google.NotFound):
            await client.get_task(name=f"{made}/tasks/{name}")
    assert len(handler.requests) == 1


def test_a_name_is_free_after_a_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The block of a name ends 24 hours after its task did."""
    store = Store(tmp_path / "tasks.sqlite")
    assert store.add("n", "q", 0, b"")
    store.finish("name", "n")
    assert not store.add("n", "q", 0, b"")
    store.change("blocked_until = blocked_until - 24 * 3600 - 1")
    assert store.add("n", "q", 0, b"")


async def test_what_is_not_accepted(client: Any, queue: Any, handler: Handler) -> None:
    """Other hosts, too late a time, too much, a malformed name and a missing queue are refused as by the service."""
    made = await queue()
    late = datetime.now(UTC) + timedelta(days=31)
    refused = [
        task(made, "a", "https://example.org/"),
        task(made, "a", "http://127.0.0.1.example.org/"),
        task(made, "a", "http://127.0.0.1@example.org/"),
        task(made, "a", "ftp://127.0.0.1/"),
        task(made, "a", handler.url, schedule_time=late),
        task(made, "a", handler.url, http={"body": b"x" * 1024 * 1024}),
        task(made, "a b", handler.url),
        task(f"{PARENT}/queues/other", "a", handler.url),
    ]
    for each in refused:
        with pytest.raises(google.InvalidArgument):
            await client.create_task(parent=made, task=each)
    with pytest.raises(google.NotFound):
        await client.create_task(parent=f"{PARENT}/queues/none", task=task("", "", handler.url))
    with pytest.raises(google.AlreadyExists):
        await queue()


# ------------------------------------------------------------------ when


async def test_schedule_times(client: Any, queue: Any, handler: Handler, dispatcher: DispatcherProcess) -> None:
    """Tasks go out in the order of their times, never before, and the one of tomorrow waits."""
    made = await queue(max_concurrent_dispatches=1)
    now = datetime.now(UTC)
    arrivals: list[datetime] = []

    async def note(_: Request) -> None:
        arrivals.append(datetime.now(UTC))

    handler.hook = note
    for name, wait in (("far", 86400.0), ("third", 0.6), ("second", 0.4), ("first", 0.2)):
        at = now + timedelta(seconds=wait)
        await client.create_task(parent=made, task=task(made, name, handler.url, schedule_time=at))
    requests = await handler.received(3)
    assert [each.fact("TaskName") for each in requests] == ["first", "second", "third"]
    assert all(
        arrival >= now + timedelta(seconds=wait) for arrival, wait in zip(arrivals, (0.2, 0.4, 0.6), strict=True)
    )
    assert (await client.get_task(name=f"{made}/tasks/far")).dispatch_count == 0
    assert (await debug(dispatcher, "far"))["state"] == "waiting"


async def test_paused_and_purged(client: Any, queue: Any, handler: Handler) -> None:
    """A paused queue sends nothing until it is resumed, and a purged one has forgotten its tasks."""
    made = await queue()
    assert (await client.pause_queue(name=made)).state == api.Queue.State.PAUSED
    for name in ("a", "b"):
        await client.create_task(parent=made, task=task(made, name, handler.url))
    assert len([each async for each in await client.list_tasks(parent=made)]) == 2
    await client.purge_queue(name=made)
    assert [each async for each in await client.list_tasks(parent=made)] == []
    await client.create_task(parent=made, task=task(made, "c", handler.url))
    await client.resume_queue(name=made)
    [only] = await handler.received(1)
    assert only.fact("TaskName") == "c"
    assert (await client.get_queue(name=made)).state == api.Queue.State.RUNNING
    assert made in [each.name async for each in await client.list_queues(parent=PARENT)]


# ------------------------------------------------------------------ retries


def test_backoff_as_documented() -> None:
    """The example of the service's documentation: doubled three times, then linear, then the maximum."""
    retry = describe("q", {"retry": {"min_backoff": 10, "max_backoff": 300, "max_doublings": 3}}).retry_config
    assert [backoff(retry, attempts) for attempts in range(1, 9)] == [10, 20, 40, 80, 160, 240, 300, 300]


@pytest.mark.parametrize(
    ("attempts", "duration", "made", "age", "over"),
    [
        (3, 0, 2, 999, False),
        (3, 0, 3, 0, True),
        (3, 10, 3, 9, False),
        (3, 10, 2, 11, False),
        (3, 10, 3, 11, True),
        (-1, 10, 99, 9, False),
        (-1, 10, 1, 11, True),
        (-1, 0, 999, 9999, False),
    ],
)
def test_both_limits_must_be_met(attempts: int, duration: int, made: int, age: int, over: bool) -> None:
    """Retrying ends only when both limits are met; one that is not set does not count."""
    retry = describe("q", {"retry": {"max_attempts": attempts, "max_retry_duration": duration}}).retry_config
    assert exhausted(retry, made, age) is over


async def test_retries_with_backoff(client: Any, queue: Any, handler: Handler, dispatcher: DispatcherProcess) -> None:
    """A failed task comes again, each time later by the backoff, and tells the handler what happened before."""
    made = await queue()
    handler.replies = [500, 404, (302, {"Location": "/elsewhere"})]
    await client.create_task(parent=made, task=task(made, "again", handler.url, http={"body": b"same"}))
    requests = await handler.received(4)
    facts = ("TaskRetryCount", "TaskExecutionCount", "TaskPreviousResponse", "TaskRetryReason")
    assert [tuple(each.fact(name) for name in facts) for each in requests] == [
        ("0", "0", None, None),
        ("1", "0", "500", "HTTP 500"),
        ("2", "1", "404", "HTTP 404"),
        ("3", "2", "302", "HTTP 302"),
    ]
    assert {each.body for each in requests} == {b"same"}
    etas = [float(each.fact("TaskETA") or "") for each in requests]
    waits = [later - earlier for earlier, later in pairwise(etas)]
    assert [wait >= least for wait, least in zip(waits, (0.05, 0.1, 0.2), strict=True)] == [True] * 3
    row = await ended(dispatcher, "again")
    assert (row["attempts"], row["response"], row["reason"]) == (4, 200, "done")


async def test_gives_up(client: Any, queue: Any, handler: Handler, dispatcher: DispatcherProcess) -> None:
    """After the last attempt the task is deleted, and its name stays blocked."""
    made = await queue({"max_attempts": 3})
    handler.replies = [500] * 9
    await client.create_task(parent=made, task=task(made, "vain", handler.url))
    row = await ended(dispatcher, "vain")
    assert (row["attempts"], row["reason"]) == (3, "given up: HTTP 500")
    assert len(handler.requests) == 3
    with pytest.raises(google.AlreadyExists):
        await client.create_task(parent=made, task=task(made, "vain", handler.url))


async def test_goes_on_until_the_duration(
    client: Any, queue: Any, handler: Handler, dispatcher: DispatcherProcess
) -> None:
    """With a retry duration, the attempts of the limit are not the last ones."""
    made = await queue({"max_attempts": 1, "max_retry_duration": 0.3, "max_backoff": 0.05})
    handler.replies = [500] * 99
    await client.create_task(parent=made, task=task(made, "long", handler.url))
    assert (await ended(dispatcher, "long"))["attempts"] > 1


async def test_deadline(client: Any, queue: Any, handler: Handler, dispatcher: DispatcherProcess) -> None:
    """A handler that takes longer than the dispatch deadline is cut off, and asked again."""
    made = await queue()
    first = asyncio.Event()

    async def hang_once(_: Request) -> None:
        if not first.is_set():
            first.set()
            await asyncio.sleep(60)

    handler.hook = hang_once
    await client.create_task(
        parent=made, task=task(made, "slow", handler.url, dispatch_deadline=timedelta(seconds=0.2))
    )
    requests = await handler.received(2)
    assert (requests[1].fact("TaskRetryReason"), requests[1].fact("TaskPreviousResponse")) == (
        "DEADLINE_EXCEEDED",
        None,
    )
    assert (await ended(dispatcher, "slow"))["attempts"] == 2


async def test_nobody_answers(client: Any, queue: Any, dispatcher: DispatcherProcess) -> None:
    """A handler that cannot be reached is an attempt that failed."""
    made = await queue({"max_attempts": 2})
    await client.create_task(parent=made, task=task(made, "void", "http://127.0.0.1:1/"))
    row = await ended(dispatcher, "void")
    assert (row["attempts"], row["response"], row["reason"]) == (2, None, "given up: UNAVAILABLE")


async def test_deleted_while_it_runs(client: Any, queue: Any, handler: Handler, dispatcher: DispatcherProcess) -> None:
    """A task that is deleted during an attempt is not retried."""
    made = await queue()
    release = asyncio.Event()
    handler.replies = [500]
    handler.hook = lambda _: release.wait()  # type: ignore[assignment,return-value]
    await client.create_task(parent=made, task=task(made, "gone", handler.url))
    await handler.received(1)
    await client.delete_task(name=f"{made}/tasks/gone")
    release.set()
    await client.create_task(parent=made, task=task(made, "next", handler.url))
    await ended(dispatcher, "next")
    row = await debug(dispatcher, "gone")
    assert (row["state"], row["attempts"], row["reason"]) == ("done", 1, "deleted")


# ------------------------------------------------------------------ limits


async def test_concurrency(client: Any, queue: Any, handler: Handler) -> None:
    """No more attempts are under way at once than the queue allows, and it does use them."""
    made = await queue(max_concurrent_dispatches=3)

    async def linger(_: Request) -> None:
        await asyncio.sleep(0.02)

    handler.hook = linger
    await asyncio.gather(*(client.create_task(parent=made, task=task(made, f"c{n}", handler.url)) for n in range(12)))
    await handler.received(12)
    assert handler.most_busy == 3


async def test_rate(client: Any, queue: Any, handler: Handler) -> None:
    """A token bucket: beyond the burst, tasks leave no faster than the rate."""
    made = await queue(max_dispatches_per_second=20, max_burst_size=1)
    arrivals: list[float] = []

    async def note(_: Request) -> None:
        arrivals.append(asyncio.get_running_loop().time())

    handler.hook = note
    for number in range(7):
        await client.create_task(parent=made, task=task(made, f"r{number}", handler.url))
    await handler.received(7)
    assert arrivals[-1] - arrivals[0] >= 5 / 20  # 7 tasks: 1 burst and 6 intervals, less one for jitter


@pytest.mark.parametrize("status", [429, 503])
async def test_overload_slows_the_whole_queue(tmp_path: Path, status: int) -> None:
    """429 and 503 halve the queue's rate once for all attempts under way, each success wins an eighth back, and
    no other failure slows it."""
    answers: list[Outcome] = []
    store = Store(tmp_path / "tasks.sqlite")

    async def deliver(_: Any) -> Outcome:
        return answers.pop(0)

    paced = Dispatcher(describe("q", {"max_dispatches_per_second": 80}), store, deliver)
    store.add("t", "q", 0, b"")

    async def attempt(*outcomes: Outcome) -> float:
        """All begun before any is answered."""
        answers.extend(outcomes)
        rows = [paced._begin("t") for _ in outcomes]
        await asyncio.gather(*(paced._attempt(row) for row in rows))
        return paced.rate

    overloaded: Outcome = (status, f"HTTP {status}", 0)
    assert await attempt((500, "HTTP 500", 0), (None, "UNAVAILABLE", 0)) == 80
    assert await attempt(overloaded) == 40
    assert await attempt(overloaded) == 20
    assert await attempt((200, "HTTP 200", 0)) == 22.5
    for _ in range(20):
        rate = await attempt((204, "HTTP 204", 0))
    assert rate == 80


async def test_retry_after(client: Any, queue: Any, handler: Handler, dispatcher: DispatcherProcess) -> None:
    """`Retry-After` holds the task and every other one of its queue, but not the queues beside it."""
    made = await queue()
    handler.replies = [(503, {"Retry-After": "3600"})]
    await client.create_task(parent=made, task=task(made, "limited", handler.url))
    await eventually(lambda: handler.requests)
    beside = await client.create_queue(parent=PARENT, queue=describe(f"{PARENT}/queues/beside", {}))
    await reached(dispatcher, "limited", reason="HTTP 503")
    await client.create_task(parent=made, task=task(made, "held", handler.url))
    await client.create_task(parent=beside.name, task=task(beside.name, "free", handler.url))
    await ended(dispatcher, "free")
    assert [each.fact("TaskName") for each in handler.requests] == ["limited", "free"]
    assert (await debug(dispatcher, "held"))["attempts"] == 0
    limited = await client.get_task(name=f"{made}/tasks/limited")
    assert limited.schedule_time > datetime.now(UTC) + timedelta(minutes=50)


async def test_throughput(client: Any, queue: Any, handler: Handler) -> None:
    """Two hundred tasks all arrive, each once (the figure is in the benchmarks)."""
    made = await queue()
    await asyncio.gather(*(client.create_task(parent=made, task=task(made, f"t{n}", handler.url)) for n in range(200)))
    requests = await handler.received(200)
    assert sorted(each.fact("TaskName") or "" for each in requests) == sorted(f"t{n}" for n in range(200))


# ------------------------------------------------------------------ what the handler gets


async def test_request(client: Any, queue: Any, handler: Handler) -> None:
    """The handler gets method, body and headers as asked for, and the service's own, which cannot be forged."""
    made = await queue()
    forged = {"X-CloudTasks-QueueName": "admin", "Content-Type": "application/json", "User-Agent": "x"}
    http = {"headers": forged, "body": b'{"a": 1}'}
    answer = await client.create_task(parent=made, task=task(made, "", f"{handler.url}/tasks/x", http=http))
    [request] = await handler.received(1)
    assert (request.path, request.json, request.headers["Content-Type"]) == ("/tasks/x", {"a": 1}, "application/json")
    assert request.headers["User-Agent"] == "Google-Cloud-Tasks"
    assert request.fact("QueueName") == made.rpartition("/")[2]
    assert request.fact("TaskName") == answer.name.rpartition("/")[2]
    assert "Authorization" not in request.headers


async def test_token(client: Any, queue: Any, handler: Handler, dispatcher: DispatcherProcess) -> None:
    """The OIDC token verifies against the published keys, with the audience and e-mail that were asked for."""
    made = await queue()
    http = {"oidc_token": {"service_account_email": EMAIL, "audience": "https://muster.example"}}
    await client.create_task(parent=made, task=task(made, "signed", handler.url, http=http))
    [request] = await handler.received(1)
    async with httpx.AsyncClient(**LOOPBACK) as get:
        found = (await get.get(f"{dispatcher.http}/.well-known/openid-configuration")).json()
    claims = await verify(
        request.headers["Authorization"].removeprefix("Bearer "),
        KeySet(found["jwks_uri"]),
        issuer=dispatcher.http,
        audience="https://muster.example",
        emails={EMAIL},
    )
    assert found["issuer"] == dispatcher.http
    assert claims["email_verified"] is True
    assert claims["exp"] - claims["iat"] == 3600


async def test_token_on_request(dispatcher: DispatcherProcess) -> None:
    """Programs of this machine get a token; a web page's form, or a foreign name, does not."""
    asked = {"audience": "a", "email": EMAIL}
    async with httpx.AsyncClient(base_url=dispatcher.http, **LOOPBACK) as http:
        token = (await http.post("/token", json=asked)).json()["token"]
        form = await http.post("/token", data=asked)
        rebound = await http.post("/token", json=asked, headers={"Host": "evil.example"})
    keys = KeySet(f"{dispatcher.http}/jwks")
    assert (await verify(token, keys, issuer=dispatcher.http, audience="a"))["email"] == EMAIL
    assert (form.status_code, rebound.status_code) == (403, 403)


# ------------------------------------------------------------------ restarts, schedules, logs


async def test_survives_kill(tmp_path: Path, handler: Handler) -> None:
    """Killed with one attempt under way and two tasks waiting, it delivers all once started again, knows the used
    names and signs with the same key."""
    name = f"{PARENT}/queues/kept"
    process = DispatcherProcess(tmp_path, {"kept": {"max_concurrent_dispatches": 1}}).start()
    client = connect(process)
    await client.create_task(parent=name, task=task(name, "used", handler.url))
    await ended(process, "used")
    never = asyncio.Event()
    handler.hook = lambda _: never.wait()  # type: ignore[assignment,return-value]
    for each in ("cut", "waits", "waits-too"):
        await client.create_task(parent=name, task=task(name, each, handler.url))
    await handler.received(2)
    async with httpx.AsyncClient(**LOOPBACK) as http:
        keys = (await http.get(f"{process.http}/jwks")).json()
        process.kill()
        await client.transport.close()
        handler.hook = None
        process.start()
        assert (await http.get(f"{process.http}/jwks")).json() == keys
    requests = await handler.received(5)
    names = [(each.fact("TaskName"), each.fact("TaskRetryCount")) for each in requests[2:]]
    assert names == [("cut", "1"), ("waits", "0"), ("waits-too", "0")]
    client = connect(process)
    for each in ("used", "cut", "waits"):
        with pytest.raises(google.AlreadyExists):
            await client.create_task(parent=name, task=task(name, each, handler.url))
    await client.transport.close()
    assert process.stop() == 0


async def test_schedules(tmp_path: Path, handler: Handler) -> None:
    """A schedule calls its URL with a token again and again, and its runs never overlap."""

    async def linger(_: Request) -> None:
        await asyncio.sleep(0.1)

    handler.hook = linger
    handler.replies = [500]
    schedule = {"url": f"{handler.url}/jobs/x", "every_seconds": 0.02, "email": EMAIL, "audience": "jobs"}
    process = DispatcherProcess(tmp_path, schedules=[schedule]).start()
    requests = await handler.received(4)
    assert handler.most_busy == 1
    assert requests[0].headers["User-Agent"] == "Google-Cloud-Scheduler"
    token = requests[0].headers["Authorization"].removeprefix("Bearer ")
    claims = await verify(token, KeySet(f"{process.http}/jwks"), issuer=process.http, audience="jobs", emails={EMAIL})
    assert claims["sub"]
    assert process.stop() == 0
    assert process.log()[-1]["message"] == "stopped"


async def test_a_schedule_elsewhere_is_refused(tmp_path: Path) -> None:
    """It does not start with a schedule that calls another machine, and says why."""
    process = DispatcherProcess(tmp_path, schedules=[{"url": "https://example.org/", "every_seconds": 1, "email": "e"}])
    with pytest.raises(ValueError, match="Expecting value"):  # the log holds a sentence for a person
        process.start()
    assert "this machine only" in (tmp_path / "tasks.log").read_text()
    assert process.stop() != 0


async def test_logs(client: Any, queue: Any, handler: Handler, dispatcher: DispatcherProcess) -> None:
    """Every line of the log is a JSON object, each attempt has one, and none holds a token."""
    made = await queue()
    http = {"oidc_token": {"service_account_email": EMAIL}}
    await client.create_task(parent=made, task=task(made, "logged", handler.url, http=http))
    await ended(dispatcher, "logged")
    await eventually(lambda: any(line.get("task") == "logged" for line in dispatcher.log()))
    [line] = [line for line in dispatcher.log() if line.get("task") == "logged"]
    assert (line["severity"], line["attempt"], line["outcome"]) == ("INFO", 1, "HTTP 200")
    token = handler.requests[0].headers["Authorization"].removeprefix("Bearer ")
    assert not any(part in str(dispatcher.log()) for part in token.split("."))
