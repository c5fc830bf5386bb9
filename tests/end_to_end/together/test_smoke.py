"""scripts/smoke, by hand: on the real stack all is well, and what is not there is said."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from local.stack import Stack
from main import ENTRY_POINTS

SMOKE = Path(__file__).parents[3] / "scripts" / "smoke"


def smoke(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(SMOKE), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)  # noqa: S603


@pytest.mark.stack
def test_the_running_stack_is_well(stack: Stack) -> None:
    """Every entry point on the one port answers as it should, without any credential."""
    run = smoke(stack.env["PUBLIC_URL"])
    assert run.returncode == 0, run.stdout + run.stderr
    named = {line.split()[1] for line in run.stdout.splitlines()}
    assert named == set(ENTRY_POINTS) - {"create_invite", "create_user"}  # which have an address of their own or none


def test_nobody_there_is_said() -> None:
    """Where nothing listens, each line says so, and the exit status does."""
    run = smoke("http://127.0.0.1:9", "--patience", "0")
    assert run.returncode == 1
    assert run.stdout.count("FAILED") == len(run.stdout.splitlines())
    assert "no answer" in run.stdout
