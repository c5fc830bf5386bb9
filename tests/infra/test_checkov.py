"""What is known to be unsafe is not in infra/terraform, or it is said beside it why it is."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.infra.checkov import results
from tests.infra.deployment import FOLDER

pytestmark = pytest.mark.timeout(700)


@pytest.fixture(scope="module")
def found() -> dict[str, list[dict[str, Any]]]:
    return results()


def test_nothing_unsafe(found: dict[str, list[dict[str, Any]]]) -> None:
    """checkov reads every file and has nothing to say."""
    assert found["parsing_errors"] == []
    said = [f"{check['check_id']} {check['resource']}: {check['check_name']}" for check in found["failed_checks"]]
    assert said == []
    assert found["passed_checks"]


def test_exceptions_are_explained(found: dict[str, list[dict[str, Any]]]) -> None:
    """Each exception stands beside its resource with a reason, and there is none that nothing needs."""
    comments = [
        comment
        for file in FOLDER.glob("*.tf")
        for comment in re.findall(r"#checkov:skip=(\w+):?(.*)", file.read_text())
    ]
    assert [check for check, reason in comments if len(reason.split()) < 4] == []
    assert sorted(check for check, _ in comments) == sorted(check["check_id"] for check in found["skipped_checks"])
