"""scripts/setup matrix as a person calls it, against a real Synapse."""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from shared.adapters.secret_storage import RecoveryKey
from shared.domain.device_account import DeviceAccount

if TYPE_CHECKING:
    from tests.contracts.synapse_server import Homeserver

pytest_plugins = ("tests.contracts.synapse_server",)
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def settings(homeserver: Homeserver, tmp_path: Path) -> dict[str, str]:
    """Of an installation with a new bot."""
    made = homeserver.register(f"bot{secrets.token_hex(5)}", device_id="BOT")
    return {
        "MATRIX_HOMESERVER": homeserver.url,
        "MATRIX_ACCESS_TOKEN": made["access_token"],
        "MATRIX_USER_ID": made["user_id"],
        "MUSTER_DATA_DIR": str(tmp_path / "data"),
    }


def set_up(settings: dict[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    nothing = dict.fromkeys((name for name in os.environ if name.startswith(("MATRIX_", "MUSTER_"))), "")
    unset = ("MATRIX_DEVICE_ACCOUNT", "MATRIX_PICKLE_KEY", "MATRIX_RECOVERY_KEY", "MATRIX_PASSWORD")
    unset += ("MATRIX_SYNC_ACCESS_TOKEN",)
    env = {**os.environ, **nothing, **dict.fromkeys(unset, ""), **settings}
    command = [sys.executable, "-m", "shared.matrix_setup", *options]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)  # noqa: S603


def kept(settings: dict[str, str]) -> dict[str, Any]:
    return dict(json.loads((Path(settings["MUSTER_DATA_DIR"]) / "matrix.json").read_text()))


def test_once_and_again(settings: dict[str, str]) -> None:
    """The first run keeps everything and shows the recovery key, and no other secret; the second shows none and
    changes nothing."""
    first = set_up(settings)
    values = kept(settings)
    assert (first.returncode, first.stderr) == (0, "")
    (shown,) = re.findall(r"Recovery key, shown only now: (.+)", first.stdout)
    assert RecoveryKey.parse(shown) == RecoveryKey.parse(values["MATRIX_RECOVERY_KEY"])
    assert DeviceAccount.parse(values["MATRIX_DEVICE_ACCOUNT"]).ed25519 in first.stdout
    again = set_up(settings)
    assert again.returncode == 0
    assert "nothing was changed" in again.stdout
    assert kept(settings) == values
    hidden = [settings["MATRIX_ACCESS_TOKEN"], values["MATRIX_PICKLE_KEY"], values["MATRIX_DEVICE_ACCOUNT"]]
    assert not [secret for secret in hidden if secret in first.stdout + again.stdout]
    assert values["MATRIX_RECOVERY_KEY"] not in again.stdout


def test_a_quiet_run_shows_no_secret(settings: dict[str, str]) -> None:
    """--quiet, for programs, keeps the recovery key and does not show it."""
    run = set_up(settings, "--quiet")
    assert run.returncode == 0
    assert not [value for value in kept(settings).values() if value in run.stdout + run.stderr]


def test_a_device_that_watches(settings: dict[str, str]) -> None:
    """Without the password it is said that there is none; one run with it makes it, and shows neither of them; from
    then on it is found without the password, and nothing is changed."""
    without = set_up(settings)
    assert (without.returncode, "no device watches" in without.stdout) == (0, True)
    assert "MATRIX_SYNC_ACCESS_TOKEN" not in kept(settings)
    made = set_up(settings | {"MATRIX_PASSWORD": "not-a-secret"})
    token = kept(settings)["MATRIX_SYNC_ACCESS_TOKEN"]
    assert (made.returncode, made.stderr) == (0, "")
    assert not [secret for secret in (token, "not-a-secret") if secret in made.stdout]
    again = set_up(settings)
    assert "nothing was changed" in again.stdout
    assert "watches" in again.stdout
    assert kept(settings)["MATRIX_SYNC_ACCESS_TOKEN"] == token


def test_what_a_person_must_mend_is_said(settings: dict[str, str]) -> None:
    """Every stop is two lines, cause and fix, and an exit code: a missing setting, a bad token, no homeserver."""
    for change, words in (
        ({"MATRIX_HOMESERVER": ""}, "MATRIX_HOMESERVER is not set"),
        ({"MATRIX_USER_ID": "@another:contract.test"}, "MATRIX_USER_ID is @another"),
        ({"MATRIX_ACCESS_TOKEN": "syt_wrong"}, "not valid any more"),
        ({"MATRIX_HOMESERVER": "http://127.0.0.1:9"}, "refuses connections"),
    ):
        run = set_up(settings | change)
        assert run.returncode == 1, run.stdout
        assert words in run.stderr
        assert len(run.stderr.strip().splitlines()) <= 2
        assert "syt_" not in run.stderr
