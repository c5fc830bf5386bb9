"""Fixtures with a real homeserver: the one of the environment, else one of the tests' own.

A test module that wants it says `pytest_plugins = ("tests.contracts.synapse_server",)`.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from local.homeserver_setup import register
from local.loopback import LOOPBACK
from local.synapse import Synapse, SynapseFailed, install

_GIVEN = ("MATRIX_HOMESERVER", "MATRIX_ACCESS_TOKEN", "SYNAPSE_REGISTRATION_SECRET")


@dataclass(frozen=True)
class Homeserver:
    """`token` is the bot's: a server admin without limits. `user_id`: the bot."""

    url: str
    token: str
    user_id: str
    domain: str
    registration_secret: str

    def register(self, username: str, **more: Any) -> dict[str, Any]:
        """`user_id`, `access_token` and `device_id` of a new user."""
        with httpx.Client(base_url=self.url, timeout=60, **LOOPBACK) as http:
            return register(http, self.registration_secret, username, "not-a-secret", **more)


@pytest.fixture(scope="session")
def homeserver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Homeserver]:
    """Skips in one line where Synapse cannot be installed; fails there with MUSTER_REQUIRE_ALL=1."""
    if all(os.environ.get(name) for name in _GIVEN):
        yield _given(*(os.environ[name] for name in _GIVEN))
        return
    started = time.monotonic()
    try:
        install()
    except (SynapseFailed, OSError) as error:
        if os.environ.get("MUSTER_REQUIRE_ALL") == "1":
            raise
        pytest.skip(f"no Synapse: {error}")
    server = Synapse(tmp_path_factory.mktemp("synapse"), _free_port(), "contract.test")
    server.start()
    try:
        made = server.provision()
        print(f"Synapse is ready after {time.monotonic() - started:.1f} s")
        yield Homeserver(server.url, made["access_token"], made["user_id"], made["domain"], made["registration_secret"])
    finally:
        server.kill()


def _given(url: str, token: str, secret: str) -> Homeserver:
    headers = {"Authorization": f"Bearer {token}"}
    said = (
        httpx.get(f"{url}/_matrix/client/v3/account/whoami", headers=headers, timeout=15, **LOOPBACK)
        .raise_for_status()
        .json()
    )
    return Homeserver(url, token, said["user_id"], said["user_id"].partition(":")[2], secret)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
