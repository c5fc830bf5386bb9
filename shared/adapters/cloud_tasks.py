"""`TaskQueue` on Google Cloud Tasks, through the real client (locally against the embedded dispatcher)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from weakref import WeakKeyDictionary

# Importing a submodule of tasks_v2 costs as much as the package: its __init__ imports them all.
from google.api_core import exceptions as google
from google.api_core.retry import AsyncRetry, if_exception_type
from google.cloud import tasks_v2 as api

from shared.adapters.cloud_tasks_errors import ROLE_FIX, VENDOR_ERRORS, gravity, translated
from shared.domain.errors import Misconfigured
from shared.ports import Finding, Task

RPC_SECONDS = 5.0
SIDE_BY_SIDE = 25
_CREATE = "cloudtasks.tasks.create"

_LOOPBACK_OPTIONS = (
    ("grpc.enable_http_proxy", 0),  # a proxy of the environment cannot reach this machine's dispatcher
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
)


class CloudTasksQueue:
    """Each task becomes a POST of its payload as JSON to its entry point, with an OIDC token of
    `service_account` whose audience is the URL, and with the trace of whoever enqueued it.

    `queues`: entry point to queue id. `url_template`: with `{entry_point}`, or `{entry-point}` for
    dashes. `deadline_seconds`: how long a handler may take (Cloud Tasks: 15 s to 30 min).
    `emulator_host`: "host:port" of a plain gRPC server, for the embedded stack and the tests.
    """

    def __init__(
        self,
        project: str,
        location: str,
        queues: Mapping[str, str],
        url_template: str,
        service_account: str,
        emulator_host: str | None = None,
        *,
        deadline_seconds: float = 60,
        rpc_seconds: float = RPC_SECONDS,
    ) -> None:
        self._parent = f"projects/{project}/locations/{location}/queues"
        self._queues = dict(queues)
        self._url_template = url_template
        self._service_account = service_account
        self._emulator_host = emulator_host
        self._deadline = timedelta(seconds=deadline_seconds)
        self._rpc_seconds = rpc_seconds
        # A client belongs to the event loop that made it.
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, Any] = WeakKeyDictionary()

    async def enqueue(self, *tasks: Task) -> int:
        """As the port says. An answer that got lost is asked for again, and such a task then counts as known.

        Raises `Refused` or `Misconfigured` where only a person can mend it, `Limited` or `Unreachable`
        otherwise: the worst of what the tasks met, once all of them were tried.
        """
        gate = asyncio.Semaphore(SIDE_BY_SIDE)

        async def one(task: Task) -> bool:
            async with gate:
                return await self._create(task)

        outcomes = await asyncio.gather(*map(one, tasks), return_exceptions=True)
        errors = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        if errors:
            raise max(errors, key=gravity)
        return sum(outcome is True for outcome in outcomes)

    async def check(self) -> list[Finding]:
        return list(await asyncio.gather(*map(self._check_queue, sorted(set(self._queues.values())))))

    async def close(self) -> None:
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.transport.close()

    async def _create(self, task: Task) -> bool:
        queue = self._queue_of(task.entry_point)
        request = api.CreateTaskRequest(parent=queue, task=self._message(queue, task))
        try:
            await self._call("create_task", request)
        except google.AlreadyExists:
            return False
        except VENDOR_ERRORS as error:
            raise translated(error, queue, self._service_account) from error
        return True

    def _message(self, queue: str, task: Task) -> Any:
        url = self._url(task.entry_point)
        post = api.HttpRequest(
            url=url,
            http_method=api.HttpMethod.POST,
            headers={"Content-Type": "application/json"}
            | ({"traceparent": task.traceparent} if task.traceparent else {}),
            body=json.dumps(task.payload, ensure_ascii=False).encode(),
            oidc_token=api.OidcToken(service_account_email=self._service_account, audience=url),
        )
        name = f"{queue}/tasks/{task.name}"
        return api.Task(name=name, http_request=post, schedule_time=task.at, dispatch_deadline=self._deadline)

    def _queue_of(self, entry_point: str) -> str:
        if entry_point not in self._queues:
            raise Misconfigured(f"no queue is set for {entry_point}", f"set TASKS_QUEUE_{entry_point.upper()}")
        return f"{self._parent}/{self._queues[entry_point]}"

    def _url(self, entry_point: str) -> str:
        dashed = self._url_template.replace("{entry-point}", entry_point.replace("_", "-"))
        return dashed.replace("{entry_point}", entry_point)

    async def _check_queue(self, queue_id: str) -> Finding:
        """Creating is asked for by `testIamPermissions`, which needs no right itself; looking at the
        queue needs one that the enqueuer's role does not hold, so a "no" to that is no fault."""
        name, queue = f"queue {queue_id}", f"{self._parent}/{queue_id}"
        try:
            may_create = await self._may_create(queue)
            found = await self._call("get_queue", api.GetQueueRequest(name=queue))
        except google.PermissionDenied:
            detail = "tasks may be created; its state may not be read" if may_create else "tasks may not be created"
            return Finding(name, may_create, detail, "" if may_create else ROLE_FIX)
        except VENDOR_ERRORS as error:
            known = translated(error, queue, self._service_account)
            return Finding(name, False, known.cause, known.fix)
        if not may_create:
            return Finding(name, False, "it exists, but tasks may not be created", ROLE_FIX)
        if found.state != api.Queue.State.RUNNING:
            _, project, _, location, *_ = queue.split("/")
            command = f"gcloud tasks queues resume {queue_id} --location={location} --project={project}"
            detail = f"it is {found.state.name.lower()}: nothing is sent"
            return Finding(name, False, detail, f"Resume the queue: {command}", command)
        return Finding(name, True, "it exists, it runs, tasks may be created")

    async def _may_create(self, queue: str) -> bool:
        request = {"resource": queue, "permissions": [_CREATE]}
        try:
            answer = await self._call("test_iam_permissions", request)
        except google.PermissionDenied:
            return False
        return _CREATE in answer.permissions

    async def _call(self, method: str, request: Any) -> Any:
        """Retried while Cloud Tasks is unavailable; the limit counts for all attempts together.
        Safe to repeat, since every task has a name."""
        retry = AsyncRetry(
            if_exception_type(google.ServiceUnavailable), initial=0.1, maximum=1.0, timeout=self._rpc_seconds
        )
        return await getattr(self._client(), method)(request=request, retry=retry, timeout=self._rpc_seconds)

    def _client(self) -> Any:
        loop = asyncio.get_running_loop()
        if loop not in self._clients:
            self._clients[loop] = self._local_client() if self._emulator_host else api.CloudTasksAsyncClient()
        return self._clients[loop]

    def _local_client(self) -> Any:
        import grpc

        transport = api.CloudTasksAsyncClient.get_transport_class("grpc_asyncio")
        channel = grpc.aio.insecure_channel(self._emulator_host, options=_LOOPBACK_OPTIONS)
        return api.CloudTasksAsyncClient(transport=transport(channel=channel))
