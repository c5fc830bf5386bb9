"""A task queue in memory, for the tests of services and functions."""

from __future__ import annotations

from datetime import UTC, datetime

from shared.domain.errors import Misconfigured, Unreachable
from shared.ports import Finding, Task


class FakeTaskQueue:
    """`tasks`: what waits, by name. `used`: every name that was ever accepted; it stays blocked.

    `entry_points`: those that have a queue; None means all of them.
    """

    def __init__(self, entry_points: set[str] | None = None) -> None:
        self.tasks: dict[str, Task] = {}
        self.used: set[str] = set()
        self._entry_points = entry_points
        self._failures = 0
        self._losses = 0

    def fail_next(self, tasks: int = 1) -> None:
        """The next ones cannot be handed over."""
        self._failures += tasks

    def swallow_next(self, tasks: int = 1) -> None:
        """The next ones are accepted and never come out again."""
        self._losses += tasks

    def take(self, now: datetime | None = None) -> list[Task]:
        """Removes and answers what is due, oldest first; everything when there is no `now`."""
        start = datetime.min.replace(tzinfo=UTC)
        due = [task for task in self.tasks.values() if now is None or task.at is None or task.at <= now]
        for task in due:
            del self.tasks[task.name]
        return sorted(due, key=lambda task: task.at or start)

    async def enqueue(self, *tasks: Task) -> int:
        outcomes = [self._accept(task) for task in tasks]
        if None in outcomes:
            raise Unreachable("tasks", "the task queue did not answer")
        return outcomes.count(True)

    async def check(self) -> list[Finding]:
        return [Finding(f"queue {name}", True, "kept in memory") for name in sorted(self._entry_points or {"memory"})]

    async def close(self) -> None:
        """Nothing to give back."""

    def _accept(self, task: Task) -> bool | None:
        if self._entry_points is not None and task.entry_point not in self._entry_points:
            raise Misconfigured(f"no queue is set for {task.entry_point}")
        if self._failures:
            self._failures -= 1
            return None
        if task.name in self.used:
            return False
        self.used.add(task.name)
        if self._losses:
            self._losses -= 1
        else:
            self.tasks[task.name] = task
        return True
