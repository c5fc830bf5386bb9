"""What things cost: sums that add up, a free tier that is taken off once, and a page that says what the code says."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from shared.domain import costs
from shared.domain.costs import Operations

ROOT = Path(__file__).parents[3]


def lines(bill: costs.Bill) -> dict[str, costs.Line]:
    return {line.name: line for line in bill.lines}


def test_operations_add_up() -> None:
    """Operations are added and multiplied each by itself."""
    assert Operations(reads=1, tasks=2) * 3 + Operations(reads=1) == Operations(reads=4, tasks=6)


def test_one_more_room() -> None:
    """A room more costs the operations of its one step."""
    assert costs.onboarding(6) == costs.onboarding(5) + costs.PER_ROOM


def test_one_member_by_hand() -> None:
    """The price of one more is what a person reckons with the table."""
    bill = costs.per_onboarding(20)
    done = bill.operations
    cloud_run = done.requests * (0.5 * 0.000024 + 0.25 * 0.0000025 + 0.40 / 1e6)
    firestore = done.reads * 0.03 / 1e5 + done.writes * 0.09 / 1e5 + done.deletes * 0.01 / 1e5
    firestore += done.documents * 2 / 2**20 * 0.15
    others = done.tasks * 2 * 0.40 / 1e6 + done.requests * 2.5 / 2**20 * 0.50
    assert bill.money == bill.list_price == pytest.approx(cloud_run + firestore + others)


def test_the_free_tier_covers_the_first() -> None:
    """Nothing is paid within the free tier, and beyond it only what is beyond."""
    small, large = lines(costs.month(100, 5, 100)), lines(costs.month(1_000_000, 5, 1_000_000))
    assert (small["writes"].covered, small["writes"].money) == (1, 0)
    writes = large["writes"]
    assert writes.money == pytest.approx((writes.amount - 600_000) * 0.09 / 100_000)
    assert writes.covered == pytest.approx(600_000 / writes.amount)
    assert all(line.money <= line.list_price for line in (*small.values(), *large.values()))


def test_a_month_without_members() -> None:
    """The schedules run and the secrets are kept, whether anybody comes or not."""
    bill = costs.month(0, 5, 0)
    assert bill.operations == costs.SWEEP * (30 * 24 * 60) + costs.SYNC * (30 * 24 * 12)
    assert lines(bill)["stored_gib"].covered == 1
    assert bill.money == pytest.approx(2 * 0.06 + 0.5 * 0.10)


def test_what_is_set_otherwise_counts() -> None:
    """Each price, tier and assumption can be replaced, and the others stay."""
    known = costs.prices({"writes": 1, "free_writes": 0, "sweep_minutes": 60})
    bill = costs.month(10, 5, 10, known)
    assert lines(bill)["writes"].money == bill.operations.writes
    assert bill.operations.deletes == 720 + 10
    assert lines(bill)["reads"].money == 0
    assert set(costs.PRICES) == set(known)


def test_the_page_says_what_the_code_says() -> None:
    """docs/costs.md is made by the code that /api/costs reckons with."""
    made = runpy.run_path(str(ROOT / "scripts" / "costs"))["text"]()
    assert (ROOT / "docs" / "costs.md").read_text() == made, "scripts/format writes it anew"
    assert all(f"{size:,} members" in made for size in (100, 1_000, 100_000))
