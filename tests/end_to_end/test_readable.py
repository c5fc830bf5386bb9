"""The proof of `benchmarks.faults.readable`, with six members: two hundred are its own command's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.faults.plan import Plan
from benchmarks.faults.readable import SHORT, Proof, settings
from benchmarks.faults.senders import SenderStack
from tests.conftest import StackData

pytestmark = [pytest.mark.stack, pytest.mark.timeout(420)]


async def test_every_welcome_can_be_read_and_is_there_once(stack_data: StackData, tmp_path: Path) -> None:
    """Three processes send at once and one try in four is killed: each member's own client reads hello and welcome,
    each once, and each step names the devices that got the key."""
    plan = Plan(seed=1, **SHORT)
    with SenderStack(stack_data("readable"), settings(dict(os.environ)), plan, senders=3, kills=0.25) as stack:
        outcome = await Proof(stack, tmp_path / "clients", print).run(members=6, seconds=240)
    print(outcome.table())
    assert outcome.holds, "\n".join(outcome.problems)
    assert outcome.kills > 0
