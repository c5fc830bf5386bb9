"""The whole system, started once for all tests in this folder, or the one that the environment describes.

To use one that is up: `env $(scripts/run --env | grep -v ^ROOMS) ROOMS="..." scripts/test tests/end_to_end/together`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from local.stack import Stack
from local.surroundings import given
from tests.conftest import StackData


class GivenStack:
    """One that somebody else has started: to be used, not to be broken."""

    def __init__(self, env: dict[str, str]) -> None:
        self.env = env

    def kill(self, name: str) -> None:
        pytest.skip(f"{name} is not ours to end: run this without ADMIN_API_KEY in the environment")

    def restart(self, name: str, **_changes: str) -> None:
        self.kill(name)


@pytest.fixture(scope="package")
def stack(stack_data: StackData) -> Iterator[Stack | GivenStack]:
    """`env` is its environment; `kill` and `restart` name a part: app, tasks, authentik, documents or synapse."""
    if os.environ.get("ADMIN_API_KEY") and os.environ.get("PUBLIC_URL"):
        yield GivenStack(dict(os.environ))
        return
    with Stack(stack_data("stack"), given(os.environ) | {"MUSTER_FREE_PORTS": "1"}) as started:
        yield started
