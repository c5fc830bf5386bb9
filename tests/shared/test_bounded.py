"""Many calls, a few at the same time."""

from __future__ import annotations

import asyncio

import pytest

from shared.bounded import each


@pytest.mark.parametrize("at_once", [1, 3])
async def test_so_many_at_a_time(at_once: int) -> None:
    """Never more than asked for, and the answers in the order of the items."""
    under_way, most = 0, 0

    async def act(item: int) -> int:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        for _ in range(10 - item):
            await asyncio.sleep(0)
        under_way -= 1
        return item * item

    assert await each(range(10), act, at_once) == [item * item for item in range(10)]
    assert most == at_once


async def test_a_failure_is_told() -> None:
    """What the first one that fails raises, and nothing else."""

    async def act(item: int) -> int:
        if item == 2:
            raise LookupError(str(item))
        return item

    with pytest.raises(LookupError, match="2"):
        await each(range(5), act)
