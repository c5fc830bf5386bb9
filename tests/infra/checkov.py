"""checkov, in .venv-checkov: installed once, and anew when its locked requirements change."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest

from tests.infra.deployment import FOLDER, ROOT

REQUIREMENTS = ROOT / "requirements-checkov.txt"


def directory() -> Path:
    return Path(os.environ.get("MUSTER_CHECKOV_VENV") or ROOT / ".venv-checkov")


def installed() -> Path:
    """Its Python. Two installers at once wait for each other; skips where it cannot be installed."""
    directory().mkdir(parents=True, exist_ok=True)
    python, stamp = directory() / "bin" / "python", directory() / "installed"
    wanted = f"{sys.version_info[:2]} {hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()}"
    with (directory() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (stamp.exists() and stamp.read_text() == wanted and python.exists()):
            _install(python)
            stamp.write_text(wanted)
    return python


def _install(python: Path) -> None:
    venv.create(directory(), with_pip=True)
    options = ["--quiet", "--disable-pip-version-check", "--no-input", "--no-compile"]
    command = [str(python), "-m", "pip", "install", *options, "--requirement", str(REQUIREMENTS)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)  # noqa: S603
    if run.returncode:
        pytest.skip(f"checkov cannot be installed: {run.stderr.strip()[-300:]}")


def results() -> dict[str, list[dict[str, Any]]]:
    """`passed_checks`, `failed_checks`, `skipped_checks` and `parsing_errors`. Asks nobody outside."""
    options = "--framework terraform --compact --skip-download --soft-fail --output json".split()
    command = [str(installed()), "-m", "checkov.main", "--directory", str(FOLDER), *options]
    environment = {"PATH": os.environ["PATH"], "HOME": str(directory()), "LOG_LEVEL": "ERROR"}
    run = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=200, check=False)  # noqa: S603
    assert run.returncode == 0, run.stderr
    found: dict[str, list[dict[str, Any]]] = json.loads(run.stdout)["results"]
    return found
