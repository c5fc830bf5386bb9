"""The soak of `benchmarks.faults`, small: 1,000 onboardings are its own command's."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.faults.soak import Course, Soak

pytest_plugins = ("tests.end_to_end.faulty",)
pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]


async def test_nothing_is_lost_and_nothing_happens_twice(town: Any) -> None:
    """With a fault at one outside call in twenty, swallowed webhooks and two kills, all of fourteen members arrive, each
    thing is there exactly once, and what Muster says of each step is what the servers say."""
    course = Course(onboardings=14, rate=0.05, kills=2, rooms=2, seed=2, minutes=3, drop=0.2)
    outcome = await Soak(town.stack, course, print).run()
    print(outcome.table())
    assert outcome.holds, str(outcome.verdict)
    assert outcome.faults.total() > 20
    assert not [line for line in outcome.errors if "given up" in line or "failed" in line]


@pytest.mark.parametrize("times", [2, 16])
async def test_a_webhook_delivered_many_times_begins_one_onboarding(town: Any, times: int) -> None:
    """The same event at the same instant, two or sixteen times, is one onboarding and one of each message."""
    town.stack.proxy.routes["webhook"].repeats = lambda body: times if b'"user_write"' in body else 1
    names, link = await town.newcomers()
    await town.enroll(link, names)
    verdict = await town.verdict(names)
    assert verdict.holds, str(verdict)
