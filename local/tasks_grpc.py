"""The Cloud Tasks API as the real client speaks it, on the client's own message types.

Like the service it refuses names that are or were in use, more than 1 MB and schedules beyond 30
days; unlike it, every target that is not this machine.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import sqlite3
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import grpc
from google.cloud import tasks_v2 as api
from google.iam.v1 import iam_policy_pb2 as iam  # type: ignore[import-untyped]
from google.protobuf import empty_pb2  # type: ignore[import-untyped]

from local.tasks_queues import Deliver, Dispatcher, Store, describe

CODES = grpc.StatusCode


class Refusal(Exception):
    """A status code of gRPC, and why."""


def is_loopback(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in ("http", "https") and parts.hostname in ("127.0.0.1", "localhost", "::1")


def as_message(row: sqlite3.Row) -> Any:
    task = api.Task.deserialize(row["task"])
    task.schedule_time = datetime.fromtimestamp(row["eta"], UTC)
    task.dispatch_count, task.response_count = row["attempts"], row["executions"]
    return task


class Service:
    """Queues live as long as the process, tasks as long as the store."""

    def __init__(self, store: Store, deliver: Deliver, group: asyncio.TaskGroup) -> None:
        self._store, self._deliver, self._group = store, deliver, group
        self._queues: dict[str, Dispatcher] = {}

    def handler(self) -> Any:
        answers: dict[str, Callable[[Any], Any]] = {
            "CreateTask": self._create_task,
            "GetTask": lambda r: as_message(self._task(r.name)),
            "DeleteTask": lambda r: self._store.finish("name", self._task(r.name)["name"]) or empty_pb2.Empty(),
            "ListTasks": lambda r: api.ListTasksResponse(tasks=[*map(as_message, self._tasks(r.parent))]),
            "GetQueue": lambda r: self._queue(r.name).queue,
            "ListQueues": lambda _: api.ListQueuesResponse(queues=[known.queue for known in self._queues.values()]),
            "CreateQueue": self._create_queue,
            "PauseQueue": lambda r: self._queue(r.name).turn("PAUSED"),
            "ResumeQueue": lambda r: self._queue(r.name).turn("RUNNING"),
            "PurgeQueue": lambda r: self._store.finish("queue", r.name) or self._queue(r.name).queue,
            "TestIamPermissions": self._allowed,
        }
        methods = {name: _method(name, answer) for name, answer in answers.items()}
        return grpc.method_handlers_generic_handler("google.cloud.tasks.v2.CloudTasks", methods)

    def add_queue(self, queue: Any) -> Any:
        self._queues[queue.name] = Dispatcher(queue, self._store, self._deliver)
        self._group.create_task(self._queues[queue.name].run(self._group))
        return queue

    def _queue(self, name: str) -> Dispatcher:
        if name not in self._queues:
            raise Refusal(CODES.NOT_FOUND, "Queue does not exist.")
        return self._queues[name]

    def _task(self, name: str) -> sqlite3.Row:
        if rows := self._store.find("name = ? AND state != 'done'", name):
            return rows[0]
        raise Refusal(CODES.NOT_FOUND, "The task does not exist.")

    def _create_task(self, request: Any) -> Any:
        task, now, queue = request.task, time.time(), self._queue(request.parent)
        task.name = task.name or f"{request.parent}/tasks/{secrets.randbits(63)}"
        eta = max(now, task.schedule_time.timestamp()) if "schedule_time" in task else now
        body = api.Task.serialize(task)
        if not re.fullmatch(re.escape(request.parent) + r"/tasks/[a-zA-Z0-9_-]{1,500}", task.name):
            raise Refusal(CODES.INVALID_ARGUMENT, "A task's name is at most 500 letters, digits, - and _ in its queue.")
        if not is_loopback(task.http_request.url):
            raise Refusal(CODES.INVALID_ARGUMENT, "The local dispatcher calls this machine only (http, loopback).")
        if len(body) > 1024 * 1024 or eta > now + 30 * 24 * 3600:
            raise Refusal(CODES.INVALID_ARGUMENT, "A task holds at most 1 MB and waits for at most 30 days.")
        if not self._store.add(task.name, request.parent, eta, body):
            raise Refusal(CODES.ALREADY_EXISTS, "A task of this name exists, or existed within the last 24 hours.")
        queue.wake.set()
        return as_message(self._task(task.name))

    def _tasks(self, queue: str) -> list[sqlite3.Row]:
        return self._store.find("queue = ? AND state != 'done' LIMIT 1000", self._queue(queue).queue.name)

    def _create_queue(self, request: Any) -> Any:
        if request.queue.name in self._queues:
            raise Refusal(CODES.ALREADY_EXISTS, "A queue of this name exists.")
        queue = describe(request.queue.name, {})
        api.Queue.pb(queue).MergeFrom(api.Queue.pb(request.queue))
        return self.add_queue(queue)

    def _allowed(self, request: Any) -> Any:
        """Everything on a queue that exists, nothing on any other (as the service answers)."""
        known = request.resource in self._queues
        return iam.TestIamPermissionsResponse(permissions=request.permissions if known else ())


def _method(name: str, answer: Callable[[Any], Any]) -> Any:
    async def serve(request: Any, context: Any) -> Any:
        try:
            return answer(request)
        except Refusal as refusal:
            await context.abort(*refusal.args)

    def serialize(message: Any) -> Any:
        return getattr(type(message), "pb", lambda itself: itself)(message).SerializeToString()

    kind = getattr(api, f"{name}Request", iam.TestIamPermissionsRequest)
    read = getattr(kind, "deserialize", None) or kind.FromString
    return grpc.unary_unary_rpc_method_handler(serve, request_deserializer=read, response_serializer=serialize)
