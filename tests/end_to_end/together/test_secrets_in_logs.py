"""The stack that this folder shares, and its tests kill and restart: its logs hold no secret."""

from __future__ import annotations

import pytest

from local.stack import Stack
from tests.end_to_end.test_secrets_in_logs import leaks, ways_in

pytestmark = pytest.mark.timeout(180)


async def test_of_the_usual_stack(stack: Stack) -> None:
    """After whatever other tests have done with it, no secret of it stands in any log."""
    assert leaks(stack.env, await ways_in(stack.env)) == []
