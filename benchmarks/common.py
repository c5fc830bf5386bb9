"""What all benchmarks share: a report, and a look at what processes have used."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Self

from shared.settings import BY_NAME

ROOT = Path(__file__).parent.parent
SERVED = ROOT / "benchmarks" / "served"
HOST = "127.0.0.1"
TICKS = os.sysconf("SC_CLK_TCK")
CREDENTIALS = ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_API_KEY", "CLOUDSDK_AUTH_ACCESS_TOKEN")

Cell = str | float | int | None
Figures = dict[str, Cell]


@dataclass
class Report:
    """One table. `rows` have a "name" and a figure per column; `notes` say how to read it and what came out."""

    name: str
    title: str
    rows: list[Figures] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def as_data(self) -> dict[str, Any]:
        return asdict(self)

    def as_text(self) -> str:
        columns = list(dict.fromkeys(column for row in self.rows for column in row))
        cells = [columns, *([shown(row.get(column)) for column in columns] for row in self.rows)]
        widths = [max(len(line[at]) for line in cells) for at in range(len(columns))]
        lines = [
            "  ".join(cell.ljust(width) if at == 0 else cell.rjust(width) for at, (cell, width) in numbered)
            for numbered in (list(enumerate(zip(line, widths, strict=True))) for line in cells)
        ]
        return "\n".join(["", self.title, "", *lines, "", *self.notes, ""])


def shown(value: Cell) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
    return str(value)


def median(values: Iterable[float]) -> float:
    return float(statistics.median(list(values)))


def ratio(value: float, of: float) -> float | None:
    return round(value / of, 3) if of else None


def free_port() -> int:
    with socket.create_server((HOST, 0)) as server:
        return int(server.getsockname()[1])


def environment(settings: Mapping[str, str], **more: str) -> dict[str, str]:
    """For a program under measurement: these settings and no others, and nothing that leads to another machine."""
    kept = {name: value for name, value in os.environ.items() if name not in (*BY_NAME, *CREDENTIALS, "PORT")}
    kept |= {name: value for name, value in settings.items() if name in BY_NAME}
    nowhere = {"NO_GCE_CHECK": "true", "no_proxy": f"{HOST},localhost", "NO_PROXY": f"{HOST},localhost"}
    return kept | nowhere | {"PYTHONPATH": str(ROOT), "HOST": HOST} | more


# ------------------------------------------------------------------ what processes have used


def family(pid: int) -> list[int]:
    """The process and all that descend from it, as far as they are alive."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [pid]
    for each in found:
        found += parents.get(each, [])
    return found


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time of all their threads: to the nanosecond where the kernel keeps it, else to its tick."""
    return sum(map(_cpu_of, pids))


def _cpu_of(pid: int) -> float:
    process = Path(f"/proc/{pid}")
    try:
        fields = (process / "stat").read_text().rpartition(")")[2].split()
        ticked = (int(fields[11]) + int(fields[12])) / TICKS
        exact = sum(int(thread.read_text().split()[0]) for thread in process.glob("task/*/schedstat")) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0
    return max(exact, ticked)  # a thread that has ended is in the second alone


def peak_mib(pids: Iterable[int]) -> float:
    """Of the largest of them: the worker. Others of its family share most of their pages with it."""
    return max(map(_peak_of, pids), default=0.0)


def _peak_of(pid: int) -> float:
    with contextlib.suppress(OSError, StopIteration):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024
    return 0.0


def cpu_by_part(pid: int, names: Mapping[str, str]) -> dict[str, float]:
    """Of the descendants, by a word of their command line (`names`: word to part)."""
    found = dict.fromkeys(names.values(), 0.0)
    for each in family(pid):
        with contextlib.suppress(OSError):
            command = Path(f"/proc/{each}/cmdline").read_text()
            part = next((part for word, part in names.items() if word in command), None)
            if part:
                found[part] += _cpu_of(each)
    return found


# ------------------------------------------------------------------ programs under measurement


@dataclass(frozen=True)
class Ask:
    """One HTTP request."""

    method: str = "GET"
    path: str = "/"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def raw(self, port: int) -> bytes:
        head = {"Host": f"{HOST}:{port}", "Content-Length": str(len(self.body)), **self.headers}
        lines = [f"{self.method} {self.path} HTTP/1.1", *(f"{name}: {value}" for name, value in head.items())]
        return "\r\n".join([*lines, "", ""]).encode() + self.body


class Program:
    """A server in a process group of its own, on a port of its own; `stop` leaves nothing behind."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], port: int, log: Path | None = None) -> None:
        self.port, self.url = port, f"http://{HOST}:{port}"
        self._log = log.open("ab") if log else None
        output: Any = self._log or subprocess.DEVNULL
        self._process = subprocess.Popen(
            command, env=dict(env), cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True,
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pids(self) -> list[int]:
        return family(self._process.pid)

    def ask(self, ask: Ask, patience: float = 60) -> tuple[int, bytes]:
        """Asked as soon as it listens. Raises `RuntimeError` when it ends before."""
        deadline = time.monotonic() + patience
        while True:
            connection = HTTPConnection(HOST, self.port, timeout=patience)
            try:
                connection.request(ask.method, ask.path, ask.body or None, dict(ask.headers))
                answer = connection.getresponse()
                return answer.status, answer.read()
            except ConnectionRefusedError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError("the program under measurement did not start") from None
                time.sleep(0.005)
            finally:
                connection.close()

    def stop(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if self._log:
            self._log.close()


def framework(target: str, source: Path, env: Mapping[str, str], log: Path | None = None) -> Program:
    """As in a deployment: the functions-framework, its gunicorn and one worker."""
    port = free_port()
    command = [sys.executable, "-m", "functions_framework", "--target", target, "--source", str(source)]
    return Program([*command, "--host", HOST, "--port", str(port)], env, port, log)
