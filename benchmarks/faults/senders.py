"""Tasks done by many processes at once, each of which dies now and then and is started again."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import sys
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.faults.plan import VARIABLE, Plan
from benchmarks.faults.ports import KILLED
from benchmarks.faults.stack import FaultyStack, lines_of
from local.processes import PartFailed
from local.stack import Env

POINTS = 11
"""Calls of a port in one try at a task, on the whole: so many chances has a process to die of it."""
GLANCE = 0.05


class SenderStack(FaultyStack):
    """As `FaultyStack`, but that the dispatcher hands its tasks, in turn, to `senders` processes of their own. They
    alone are mortal: `kills` of their tries at a message end by SIGKILL, before or after any call of a port. What
    is killed is up again as soon as its supervisor has seen it."""

    def __init__(self, data: Path, given: Mapping[str, str], plan: Plan, senders: int, kills: float) -> None:
        super().__init__(data, given, plan)
        self.names = [f"sender-{number}" for number in range(senders)]
        self.senders_file, self._logs = data / "senders.json", data / "logs"
        self._mortal = dataclasses.replace(plan, mortality=kills / POINTS)
        self._ending, self._watches = threading.Event(), list[threading.Thread]()
        self.failed: list[str] = []

    def start(self) -> SenderStack:
        self.senders_file.parent.mkdir(parents=True, exist_ok=True)
        dataclasses.replace(self._mortal, mortality=0).keep(self.senders_file)
        super().start()
        for name in self.names:
            self._watches.append(threading.Thread(target=self._watch, args=(name,), daemon=True))
            self._watches[-1].start()
        return self

    def stop(self) -> None:
        self._ending.set()
        for watch in self._watches:
            watch.join()
        super().stop()

    def mortal(self, yes: bool) -> None:
        """From now on; they come up immortal."""
        (self._mortal if yes else dataclasses.replace(self._mortal, mortality=0)).keep(self.senders_file)

    def deaths(self) -> Counter[str]:
        """By the point at which they came."""
        lines = [line for name in self.names for line in lines_of(self._logs / f"{name}.log")]
        return Counter(str(line["point"]) for line in lines if line.get("message") == KILLED)

    def tries(self) -> Counter[str]:
        """Of the dispatcher's tasks, by what came of them."""
        lines = lines_of(self._logs / "tasks.log")
        return Counter(str(line["outcome"]) for line in lines if line.get("message") == "attempt")

    def _watch(self, name: str) -> None:
        while not self._ending.wait(GLANCE):
            if self.is_dead(name):
                self.kills += 1
                try:
                    self.restart(name)
                except PartFailed as error:
                    self.failed.append(str(error))
                    return

    def _derived(self) -> Env:
        return super()._derived() | {"TASKS_URL_TEMPLATE": f"{self.proxy.routes['tasks'].url}/tasks/{{entry_point}}"}

    def _spawn(
        self, name: str, title: str, about: str, command: Sequence[str], ready: str, more: Env | None = None
    ) -> None:
        super()._spawn(name, title, about, command, ready, more)
        if name == "app":
            ports = free_ports(len(self.names))
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(self._spawn_sender, self.names, ports))
            self.proxy.routes["tasks"].aim(*(f"http://127.0.0.1:{port}" for port in ports))

    def _spawn_sender(self, name: str, port: int) -> None:
        command = [sys.executable, "-m", "local.app", "--port", str(port)]
        ready, own = f"http://127.0.0.1:{port}/api/health", {VARIABLE: str(self.senders_file.absolute())}
        super()._spawn(name, "sender", f"tasks only, on port {port}", command, ready, own)


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as bound:
        return [bound.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1] for _ in range(count)]
