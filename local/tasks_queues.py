"""The dispatcher's tasks (SQLite) and queues: when a task may go out, and what its answer means for it and the others.

Each statement is committed by itself: a `kill -9` loses nothing that was answered, and an attempt
that it cuts off is made again (at least once, as the real service).
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from google.cloud.tasks_v2.types import Queue, RateLimits, RetryConfig

BLOCKED_SECONDS = 24 * 3600
_RATES = {"max_dispatches_per_second": 500.0, "max_concurrent_dispatches": 1000}
_RETRIES = {"max_attempts": 100, "max_retry_duration": 0, "min_backoff": 0.1, "max_backoff": 3600, "max_doublings": 16}
_SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS tasks (
    name TEXT PRIMARY KEY, queue TEXT, eta REAL, task BLOB, state TEXT DEFAULT 'waiting', attempts INTEGER DEFAULT 0,
    executions INTEGER DEFAULT 0, first_attempt REAL, response INTEGER, reason TEXT, blocked_until REAL);
CREATE INDEX IF NOT EXISTS by_eta ON tasks (queue, state, eta);
CREATE INDEX IF NOT EXISTS by_block ON tasks (blocked_until);
UPDATE tasks SET state = 'waiting' WHERE state = 'running';
"""


Outcome = tuple[int | None, str, float]
"""Of an attempt: the status (None: no answer), the same in words, the seconds of a Retry-After."""
Deliver = Callable[[sqlite3.Row], Awaitable[Outcome]]


class Store:
    """One row per task (waiting, running, done), kept for as long as its name is blocked."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.executescript(_SCHEMA)

    def add(self, name: str, queue: str, eta: float, task: bytes) -> bool:
        """False when the name is taken, by a task that waits or by one that is gone."""
        self._db.execute("DELETE FROM tasks WHERE blocked_until < ?", (time.time(),))
        add = "INSERT OR IGNORE INTO tasks (name, queue, eta, task) VALUES (?, ?, ?, ?)"
        return self._db.execute(add, (name, queue, eta, task)).rowcount > 0

    def find(self, condition: str, *values: object) -> list[sqlite3.Row]:
        return self._db.execute(f"SELECT * FROM tasks WHERE {condition}", values).fetchall()  # noqa: S608

    def change(self, assignments: str, *values: object) -> None:
        self._db.execute(f"UPDATE tasks SET {assignments}", values)  # noqa: S608

    def finish(self, column: str, value: str, status: int | None = None, reason: str = "deleted") -> Any:
        """The name stays blocked, the body goes."""
        until = time.time() + BLOCKED_SECONDS
        done = "state = 'done', task = x'', response = COALESCE(?, response), reason = ?, blocked_until = ?"
        self.change(f"{done} WHERE {column} = ? AND state != 'done'", status, reason, until, value)


def describe(name: str, config: dict[str, Any]) -> Any:
    """A Queue message from {limit: number, "retry": {...}} (times in seconds); the service's defaults for the rest."""
    retry = {**_RETRIES, **config.get("retry", {})}
    retry |= {key: timedelta(seconds=retry[key]) for key in ("max_retry_duration", "min_backoff", "max_backoff")}
    limits = RateLimits(**{**_RATES, **{key: value for key, value in config.items() if key != "retry"}})
    return Queue(name=name, rate_limits=limits, retry_config=RetryConfig(**retry), state="RUNNING")


def backoff(retry: Any, attempts: int) -> float:
    """Seconds after that many attempts: doubled `max_doublings` times, then growing by the same step."""
    factor = 2 ** min(attempts - 1, retry.max_doublings) * max(1, attempts - retry.max_doublings)
    return float(min(retry.min_backoff.total_seconds() * factor, retry.max_backoff.total_seconds()))


def exhausted(retry: Any, attempts: int, age: float) -> bool:
    """Only when both limits are met; one that is not set (-1 attempts, no duration) does not count."""
    seconds = retry.max_retry_duration.total_seconds()
    met = [attempts >= retry.max_attempts] * (retry.max_attempts >= 0) + [age >= seconds] * (seconds > 0)
    return bool(met) and all(met)


class Dispatcher:
    """Lets tasks go at the queue's rate (a token bucket) and concurrency. 429 and 503 slow all of it: the rate is
    halved (once for all attempts that were under way) and grows back by an eighth with each success."""

    def __init__(self, queue: Any, store: Store, deliver: Deliver) -> None:
        self.queue, self._store, self._deliver = queue, store, deliver
        self.rate: float = queue.rate_limits.max_dispatches_per_second
        self._tokens, self._filled_at, self._held_until, self._slowed_at = 1.0, time.time(), 0.0, 0.0
        self._running, self.wake = 0, asyncio.Event()

    def turn(self, state: str) -> Any:
        self.queue.state = state
        self.wake.set()
        return self.queue

    async def run(self, attempts: asyncio.TaskGroup) -> None:
        while True:
            self.wake.clear()
            rows = self._store.find("queue = ? AND state = 'waiting' ORDER BY eta LIMIT 1", self.queue.name)
            pause = self._pause_before(rows, time.time())
            if pause > 0:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.wake.wait(), pause)
                continue
            attempts.create_task(self._attempt(self._begin(rows[0]["name"])))

    def _pause_before(self, rows: list[sqlite3.Row], now: float) -> float:
        limits = self.queue.rate_limits
        burst = limits.max_burst_size or max(1.0, limits.max_dispatches_per_second / 5)
        self._tokens = min(burst, self._tokens + max(0.0, now - self._filled_at) * self.rate)
        self._filled_at = now
        full = self._running >= limits.max_concurrent_dispatches
        if not rows or full or self.queue.state != Queue.State.RUNNING:
            return 3600  # or until something changes
        return max(float(rows[0]["eta"]) - now, self._held_until - now, (1 - self._tokens) / self.rate)

    def _begin(self, name: str) -> sqlite3.Row:
        """Counted before it is sent: an attempt that is cut off was one."""
        self._tokens, self._running = self._tokens - 1, self._running + 1
        begun = "state = 'running', attempts = attempts + 1, first_attempt = COALESCE(first_attempt, ?) WHERE name = ?"
        self._store.change(begun, time.time(), name)
        return self._store.find("name = ?", name)[0]

    async def _attempt(self, row: sqlite3.Row) -> None:
        started, retry, name = time.time(), self.queue.retry_config, row["name"]
        status, reason, retry_after = await self._deliver(row)
        now, self._running = time.time(), self._running - 1
        self.wake.set()
        if status in (429, 503):
            self._slow_down(started, now, retry_after)
        if 200 <= (status or 0) < 300:
            self.rate = min(self.queue.rate_limits.max_dispatches_per_second, self.rate * 1.125)
            self._store.finish("name", name, status, "done")
        elif exhausted(retry, row["attempts"], now - row["first_attempt"]):
            self._store.finish("name", name, status, f"given up: {reason}")
        else:
            eta, executed = now + max(backoff(retry, row["attempts"]), retry_after), 0 < (status or 0) < 500
            failed = "state = 'waiting', eta = ?, response = ?, reason = ?, executions = executions + ?"
            here = "WHERE name = ? AND state = 'running'"  # and not deleted meanwhile
            self._store.change(f"{failed} {here}", eta, status, reason, executed, name)

    def _slow_down(self, started: float, now: float, retry_after: float) -> None:
        self._held_until = max(self._held_until, now + retry_after)
        if started >= self._slowed_at:
            self.rate, self._slowed_at = max(self.rate / 2, 0.1), now
