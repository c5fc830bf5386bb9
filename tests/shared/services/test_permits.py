"""One caller's permits of a minute: leased in blocks, spent in memory, and no reason to lock anybody out."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta

import pytest

from shared.domain.errors import TooMany, Unreachable
from shared.domain.limits import BLOCKS, Window, blocks
from shared.ports import Write
from shared.services.permits import MOST_SOURCES, Limiter
from tests.world import World

SETTING = "API_REQUESTS_PER_MINUTE"
AT = datetime(2030, 1, 1, 12, 0, 17, tzinfo=UTC)


class Store:
    """The store of a world, whose writes are counted, and fail or hang where a test says so."""

    def __init__(self, world: World) -> None:
        self._inner, self.writes, self.mood = world.store, 0, ""

    async def write(self, *writes: Write) -> list[str]:
        self.writes += 1
        if self.mood == "down":
            raise Unreachable("firestore", "the database cannot be reached")
        if self.mood == "silent":
            await asyncio.Event().wait()
        return await self._inner.write(*writes)

    async def get_many(self, paths: list[str]) -> object:
        return await self._inner.get_many(paths)


@pytest.fixture
def world() -> World:
    made = World(_now=AT)
    made.documents = Store(made)  # type: ignore[assignment]
    return made


def writes(world: World) -> int:
    return world.documents.writes  # type: ignore[attr-defined, no-any-return]


async def ask(limiter: Limiter, times: int, limit: int = 100, caller: str = "key:ops") -> int:
    """How many of them were let through."""
    asked = (limiter.take("api", caller, limit, SETTING) for _ in range(times))
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert all(answer is None or isinstance(answer, TooMany) for answer in answers)
    return answers.count(None)


@pytest.mark.parametrize("limit", [1, 7, 10, 19, 600, 1200])
def test_blocks_add_up(limit: int) -> None:
    """All blocks together are the limit, each is of about the same size, and none is empty."""
    sizes = blocks(limit)
    assert sum(sizes) == limit
    assert len(sizes) == min(BLOCKS, limit)
    assert max(sizes) - min(sizes) <= 1


def test_a_minute_ends() -> None:
    """What is left of a minute is at least a second, and a document outlives every clock that is nearly right."""
    window = Window.of(AT)
    assert window.seconds_left(AT) == 43
    assert window.seconds_left(AT + timedelta(seconds=42.9)) == 1
    assert window == Window.of(AT + timedelta(seconds=42.9)) != Window.of(AT + timedelta(seconds=43))
    assert timedelta(minutes=30) < window.expires - AT < timedelta(hours=2)


async def test_one_write_a_block(world: World) -> None:
    """Ten requests at once cost the store one write for their block, not ten."""
    limiter = Limiter(world)
    assert await ask(limiter, 10) == 10
    assert writes(world) == 1
    assert await ask(limiter, 1) == 1
    assert writes(world) <= 3


async def test_who_is_told_to_wait_costs_nothing(world: World) -> None:
    """Once all permits are gone the store is not asked again in that minute, and the answer says how long it lasts."""
    limiter = Limiter(world)
    assert await ask(limiter, 101) == 100
    before = writes(world)
    with pytest.raises(TooMany) as caught:
        await limiter.take("api", "key:ops", 100, SETTING)
    assert writes(world) == before
    assert caught.value.after == 43
    assert caught.value.cause == "there were more than 100 requests by key:ops within a minute"
    assert caught.value.fix == f"Wait 43 seconds and go on. {SETTING} says how many there may be."
    assert await ask(limiter, 1, caller="key:script") == 1
    world.pause(seconds=43)
    assert await ask(limiter, 101) == 100


async def test_what_another_instance_leased_is_lost_with_it(world: World) -> None:
    """An instance that ends takes the rest of its block with it: fewer come through, and never more."""
    assert await ask(Limiter(world), 1) == 1
    assert await ask(Limiter(world), 200) == 90


@pytest.mark.parametrize("mood", ["down", "silent"])
async def test_a_store_that_is_down_locks_nobody_out(
    world: World, mood: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everybody is let through, with one warning and one question for each block; back again it counts."""
    monkeypatch.setattr("shared.services.permits.PATIENCE", 0.01)
    world.documents.mood = mood  # type: ignore[attr-defined]
    limiter = Limiter(world)
    with caplog.at_level(logging.WARNING, "muster"):
        assert await ask(limiter, 25) == 25
    assert writes(world) == len(caplog.records) == 3
    assert "let through" in caplog.text
    world.documents.mood = ""  # type: ignore[attr-defined]
    world.pause(minutes=1)
    assert await ask(limiter, 101) == 100


async def test_guessing_is_slowed_down(world: World) -> None:
    """After so many wrong credentials an address is told to wait, with whatever it comes then; others are not, no write is
    made, and the next minute is new."""
    limiter = Limiter(world)
    for _ in range(5):
        limiter.wrong("api", "192.0.2.9", 5)
    limiter.unless_guessing("api", "192.0.2.9", 5)
    with pytest.raises(TooMany) as caught:
        limiter.wrong("api", "192.0.2.9", 5)
    assert caught.value.cause == "more than 5 wrong credentials came from this address within a minute"
    with pytest.raises(TooMany):
        limiter.unless_guessing("api", "192.0.2.9", 5)
    limiter.unless_guessing("webhook", "192.0.2.9", 5)
    limiter.unless_guessing("api", "192.0.2.8", 5)
    world.pause(minutes=1)
    limiter.unless_guessing("api", "192.0.2.9", 5)
    assert writes(world) == 0


async def test_many_addresses_fill_no_memory(world: World) -> None:
    """However many addresses come with wrong credentials, an instance remembers so many of them at most."""
    limiter = Limiter(world)
    for number in range(MOST_SOURCES + 10):
        limiter.wrong("api", f"2001:db8::{number:x}", 5)
    assert len(limiter._wrong) <= MOST_SOURCES
