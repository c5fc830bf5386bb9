"""One `terraform test` for all that is asked of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.infra.deployment import Run, Terraform, runs, start


@pytest.fixture(scope="session")
def terraform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terraform]:
    with ExitStack() as until:
        yield start(tmp_path_factory.mktemp("tf"), until)


@pytest.fixture(scope="session")
def deployed(terraform: Terraform) -> dict[str, Run]:
    return runs(terraform)


@pytest.fixture
def usual(deployed: dict[str, Run]) -> Run:
    """With nothing but what is needed."""
    return deployed["usual"]


@pytest.fixture
def everything(deployed: dict[str, Run]) -> Run:
    """With every variable set, encryption and the functions of their own switched on."""
    return deployed["everything"]
