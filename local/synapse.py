"""A real homeserver for the embedded stack: Synapse in a virtual environment of its own, on SQLite and
loopback, without federation and with its DEFAULT rate limits, so that what works here works outside.

Everything it keeps, secrets included, is in one data directory; a second start finds the same user,
token, device and rooms there.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

REQUIREMENTS = Path(__file__).parent.parent / "requirements-synapse.txt"
# Synapse in a thread's company that ends it when whoever started it is gone, so that a killed runner
# leaves no homeserver behind.
_RUN = """
import os, runpy, signal, sys, threading, time
def watch(parent=os.getppid()):
    while os.getppid() == parent:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGTERM)
threading.Thread(target=watch, daemon=True).start()
sys.argv = ["synapse", *sys.argv[1:]]
runpy.run_module("synapse.app.homeserver", run_name="__main__")
"""


class SynapseFailed(RuntimeError):
    """It could not be installed or started; the text says why, in words."""


def venv_directory() -> Path:
    """Where its packages live: MUSTER_SYNAPSE_VENV, else beside the requirements (shared by runs and tests)."""
    return Path(os.environ.get("MUSTER_SYNAPSE_VENV") or REQUIREMENTS.with_name(".venv-synapse"))


def install(say: Callable[[str], None] = print) -> Path:
    """The Python that runs Synapse. Installs only when the requirements changed since the last time;
    two installers at once wait for each other."""
    directory = venv_directory()
    directory.mkdir(parents=True, exist_ok=True)
    python, stamp = directory / "bin" / "python", directory / "installed"
    wanted = f"{sys.version_info[:2]} {hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()}"
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (stamp.exists() and stamp.read_text() == wanted and python.exists()):
            _install(directory, python, say)
            stamp.write_text(wanted)
    return python


def _install(directory: Path, python: Path, say: Callable[[str], None]) -> None:
    say("installing Synapse into its own virtual environment (once, about half a minute)")
    try:
        venv.create(directory, with_pip=True)
    except subprocess.CalledProcessError as error:
        raise SynapseFailed("no virtual environment can be made: on Debian, apt-get install python3-venv") from error
    command = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar", "off"]
    command += ["--only-binary", ":all:", "--requirement", str(REQUIREMENTS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as pip:
        lines, collected = [], 0
        for line in pip.stdout or ():
            lines.append(line.rstrip())
            collected += line.startswith("Collecting ")
            if line.startswith("Collecting ") and collected % 15 == 0:
                say(f"  {collected} packages")
            elif line.startswith("Installing "):
                say("  unpacking")
    if pip.returncode:
        raise SynapseFailed("Synapse could not be installed: " + " / ".join(lines[-3:]))


class Synapse:
    """One homeserver with its data directory. `start` and `provision` may be repeated at will."""

    def __init__(self, data: Path, port: int, server_name: str, say: Callable[[str], None] = print) -> None:
        self.data = data
        self.port = port
        self.server_name = server_name
        self.url = f"http://127.0.0.1:{port}"
        self._say = say
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def registration_secret(self) -> str:
        """Whoever has it can register users, admins too. Made at the first use."""
        return _kept(self.data / "registration_secret", lambda: secrets.token_urlsafe(32))

    def start(self, patience: float = 120) -> None:
        """Returns when it answers. `patience`: seconds; a busy machine needs many times the usual two.
        Raises `SynapseFailed` with the last lines of its log."""
        python = install(self._say)
        if _taken(self.port):
            raise SynapseFailed(f"port {self.port} for Synapse is taken by another program")
        self._configure()
        command = [str(python), "-c", _RUN, "-c", str(self.data / "homeserver.yaml")]
        with (self.data / "stderr.log").open("wb") as errors:
            self._process = subprocess.Popen(  # out of the terminal's group: Ctrl-C is the runner's to handle
                command, stdout=errors, stderr=errors, stdin=subprocess.DEVNULL, start_new_session=True, cwd=self.data
            )
        try:
            self._await_health(time.monotonic() + patience)
        except BaseException:
            self.kill()
            raise

    def provision(self) -> dict[str, Any]:
        """The bot, INDOC and the sample rooms; see `homeserver_setup.provision`."""
        from local.homeserver_setup import provision  # needs httpx, which may not be installed yet

        return provision(self.url, self.server_name, self.registration_secret, self.data)

    def kill(self, patience: float = 15) -> None:
        """Asks it to stop, and ends it when it does not."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
        if process.poll() is None:
            process.kill()
            process.wait()

    def _await_health(self, deadline: float) -> None:
        import httpx

        from local.loopback import LOOPBACK

        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                raise SynapseFailed(f"Synapse ended at its start: {self._last_words()}")
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{self.url}/health", timeout=5, **LOOPBACK).is_success:
                    return
            time.sleep(0.1)
        raise SynapseFailed(f"Synapse did not answer in time: {self._last_words()}")

    def _last_words(self) -> str:
        logs = (self.data / "stderr.log", self.data / "homeserver.log")
        return " / ".join(line for log in logs if log.exists() for line in log.read_text().splitlines()[-4:])

    def _configure(self) -> None:
        self.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        _ = self.registration_secret
        _write_json(self.data / "log.yaml", _log_config(self.data))
        _write_json(self.data / "homeserver.yaml", _config(self.data, self.port, self.server_name, self.url))


def _config(data: Path, port: int, server_name: str, url: str) -> dict[str, Any]:
    """Everything absent is Synapse's default, the rate limits above all."""
    listener = {"port": port, "type": "http", "bind_addresses": ["127.0.0.1"], "resources": [{"names": ["client"]}]}
    return {
        "server_name": server_name,
        "public_baseurl": f"{url}/",
        "listeners": [listener],
        "database": {"name": "sqlite3", "args": {"database": str(data / "homeserver.db")}},
        "log_config": str(data / "log.yaml"),
        "media_store_path": str(data / "media"),
        "signing_key_path": str(data / "signing.key"),
        "registration_shared_secret_path": str(data / "registration_secret"),
        "macaroon_secret_key": _kept(data / "macaroon_secret", lambda: secrets.token_urlsafe(32)),
        "federation_domain_whitelist": [],
        "trusted_key_servers": [],
        "report_stats": False,
        "presence": {"enabled": False},
        "caches": {"global_factor": 0.2},
        "bcrypt_rounds": 4,  # the sample members' passwords are throw-away, the developer's time is not
    }


def _log_config(data: Path) -> dict[str, Any]:
    handler = {"class": "logging.FileHandler", "filename": str(data / "homeserver.log"), "formatter": "line"}
    return {
        "version": 1,
        "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
        "handlers": {"file": handler},
        "root": {"level": "WARNING", "handlers": ["file"]},
        "disable_existing_loggers": False,
    }


def _write_json(path: Path, value: dict[str, Any]) -> None:
    """JSON is YAML. Readable by its owner alone: it may hold secrets."""
    path.touch(mode=0o600)
    path.write_text(json.dumps(value, indent=2))


def _kept(path: Path, make: Callable[[], str]) -> str:
    """A value that is made once and then read, readable by its owner alone."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(make())
    return path.read_text().strip()


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False
