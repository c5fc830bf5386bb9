"""Children of the supervisor: each in a process group of its own, and gone when the supervisor is."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

# It outlives a `kill -9` of the supervisor by as long as it takes to see its pipe close, and takes the others
# along. (A death signal of the kernel's would come as soon as the *thread* that started them ends.)
_REAPER = """
import contextlib, os, signal, sys
groups = set()
for line in sys.stdin:
    (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
for group in groups:
    with contextlib.suppress(OSError):
        os.killpg(group, signal.SIGKILL)
"""


class PartFailed(RuntimeError):
    """A part of the stack did not come up; the text says why and what to do, in words."""


class Reaper:
    def __init__(self) -> None:
        command = [sys.executable, "-c", _REAPER]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, text=True, bufsize=1, start_new_session=True)

    def note(self, line: str) -> None:
        if self._process.stdin:
            self._process.stdin.write(f"{line}\n")

    def close(self) -> None:
        """Whoever is still there goes now."""
        self._process.communicate()


class Part:
    """One program of the stack, its output in `log`. `ready` is asked until it says yes."""

    def __init__(self, command: Sequence[str], log: Path, ready: Callable[[], bool], reaper: Reaper) -> None:
        self._command, self._log, self._ready, self._reaper = command, log, ready, reaper
        self.environment: dict[str, str] = {}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, environment: Mapping[str, str], patience: float = 60) -> None:
        """Answers when it is ready. Raises `PartFailed` with the last lines of its log."""
        self.environment = dict(environment)
        with os.fdopen(os.open(self._log, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600), "wb") as log:
            self._process = process = subprocess.Popen(
                self._command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self._reaper.note(f"+{process.pid}")
        deadline = time.monotonic() + patience
        while not self._ready():
            if process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                words = self._log.read_text(errors="replace").splitlines()[-6:]
                raise PartFailed(f"{self._log.stem} did not start. The end of {self._log}:\n" + "\n".join(words))
            time.sleep(0.05)

    def stop(self) -> None:
        """Asks first, and waits up to 10 s."""
        if self._process:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(10)
        self.kill()

    def kill(self) -> None:
        """At once (SIGKILL), with whatever it has started itself."""
        process, self._process = self._process, None
        if process:
            with contextlib.suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            self._reaper.note(f"-{process.pid}")
