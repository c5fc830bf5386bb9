"""A port that fails, or ends the whole process, before or after the real one has acted."""

from __future__ import annotations

import inspect
import logging
import os
import random
import signal
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from benchmarks.faults.plan import CurrentPlan
from shared.domain.errors import Unreachable

log = logging.getLogger("muster.faults")
SAID = "fault injected"
KILLED = "killed at a call"


class Faulty:
    """Every coroutine of `port`, through the plan. `neighbour` "": it never fails, but may be a place to die at
    (what stands behind the proxy fails there)."""

    def __init__(self, name: str, port: Any, neighbour: str, plan: CurrentPlan, chance: random.Random) -> None:
        self._name, self._port, self._neighbour, self._plan, self._chance = name, port, neighbour, plan, chance

    def __getattr__(self, method: str) -> Any:
        real = getattr(self._port, method)
        return self._through(f"{self._name}.{method}", real) if inspect.iscoroutinefunction(real) else real

    def _through(self, point: str, real: Callable[..., Any]) -> Callable[..., Any]:
        async def call(*args: Any, **kwargs: Any) -> Any:
            about = repr((args, kwargs)) if self._plan().kill or self._plan().refusal else ""
            self._die(point, "before", about)
            self._fail(point, "before", about)
            result = await real(*args, **kwargs)
            self._die(point, "after", about)
            self._fail(point, "after", about)
            return result

        return call

    def _fail(self, point: str, when: str, about: str) -> None:
        if not self._neighbour or point.rpartition(".")[2] == "close":
            return
        if self._is_refused(point, when, about) or self._chance.random() < self._plan().rate / 2:
            log.info(SAID, extra={"fields": {"fault": f"{point} {when}"}})
            cause = "the answer was lost on the way" if when == "after" else "no connection could be made"
            raise Unreachable(self._neighbour, f"{cause} (on purpose)")

    def _is_refused(self, point: str, when: str, about: str) -> bool:
        plan = self._plan()
        if plan.refusal is None or not plan.refusal.meets(point, when, about):
            return False
        left = plan.refusal.times - 1
        replace(plan, refusal=replace(plan.refusal, times=left) if left else None).keep(self._plan.file)
        return True

    def _die(self, point: str, when: str, about: str) -> None:
        """By chance; or at the planned point, once: the next start finds a plan without this."""
        plan = self._plan()
        if plan.mortality and self._chance.random() < plan.mortality / 2:
            _end(point, when)
        if plan.kill is None or not plan.kill.meets(point, when, about):
            return
        left = plan.kill.nth - 1
        replace(plan, kill=replace(plan.kill, nth=left) if left else None).keep(self._plan.file)
        if not left:
            _end(point, when)


def _end(point: str, when: str) -> None:
    log.info(KILLED, extra={"fields": {"point": f"{point} {when}"}})
    os.kill(os.getpid(), signal.SIGKILL)
