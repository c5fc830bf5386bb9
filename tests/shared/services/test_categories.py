"""Categories: nobody overwrites what they have not seen, and nothing is made twice."""

from __future__ import annotations

import asyncio

import pytest

from shared.domain.categories import MOST, Category
from shared.domain.errors import Conflict, Invalid, NotFound
from shared.services import categories
from shared.services.categories import Wanted
from tests.world import ADMIN, World

OUTDOORS = Wanted("Outdoors", ("nature", "nature"), {"hiking": ["trail", "trail"]}, ("!a:x", "!a:x"))


async def made(world: World, wanted: Wanted = OUTDOORS) -> Category:
    return (await categories.create(world, ADMIN, wanted))[0]


async def test_made_and_read() -> None:
    """What was asked for, each word once, with its audit record."""
    world = World()
    category = await made(world)
    assert (category.keywords, category.synonyms, category.rooms) == (("nature",), {"hiking": ["trail"]}, ("!a:x",))
    assert await categories.read(world, category.id) == category
    assert await categories.everything(world) == [category]
    [record] = await world.audits()
    assert (record["action"], record["target"], record["actor"]) == ("category.create", category.id, ADMIN.name)
    assert record["detail"] == {"name": "Outdoors", "revision": 1}


async def test_a_key_makes_one() -> None:
    """A repeat with its Idempotency-Key is the first one, also at the same moment; with another body it is refused."""
    world = World()
    keyed = Wanted("Outdoors", key="k", body="b")
    (first, new), (second, again) = await asyncio.gather(*(categories.create(world, ADMIN, keyed) for _ in range(2)))
    assert first == second
    assert sorted([new, again]) == [False, True]
    with pytest.raises(Conflict):
        await categories.create(world, ADMIN, Wanted("Other", key="k", body="c"))
    assert len(await world.audits()) == 1


async def test_a_name_is_taken_once() -> None:
    """Neither a new category nor a renamed one gets a name that another has, whatever its case."""
    world = World()
    await made(world)
    sports = await made(world, Wanted("Sports"))
    with pytest.raises(Conflict, match="already"):
        await made(world, Wanted("OUTDOORS"))
    with pytest.raises(Conflict, match="already"):
        await categories.replace(world, ADMIN, sports.id, OUTDOORS, 1)
    renamed = await categories.replace(world, ADMIN, sports.id, Wanted("SPORTS"), 1)
    assert renamed.name == "SPORTS"


async def test_no_update_is_lost() -> None:
    """Of two who change the same revision one wins, and the other is told to read again."""
    world = World()
    category = await made(world)
    both = [categories.replace(world, ADMIN, category.id, Wanted(name), 1) for name in ("Nature", "Hills")]
    won, lost = sorted(await asyncio.gather(*both, return_exceptions=True), key=lambda one: isinstance(one, Exception))
    assert isinstance(won, Category)
    assert isinstance(lost, Conflict)
    assert "changed by somebody else" in lost.cause
    assert await categories.read(world, category.id) == won
    assert (won.revision, won.created_at, won.updated_at) == (2, category.created_at, world.now())


async def test_the_same_change_again() -> None:
    """A change whose answer was lost may be sent again; what changes nothing writes nothing."""
    world = World()
    category = await made(world)
    changed = await categories.replace(world, ADMIN, category.id, Wanted("Nature"), 1)
    assert await categories.replace(world, ADMIN, category.id, Wanted("Nature"), 1) == changed
    assert await categories.replace(world, ADMIN, category.id, Wanted("Nature"), 2) == changed
    assert len(await world.audits()) == 2


async def test_deleted() -> None:
    """Gone once, with its record; then, or at another revision, it is said so."""
    world = World()
    category = await made(world)
    with pytest.raises(Conflict):
        await categories.delete(world, ADMIN, category.id, 7)
    await categories.delete(world, ADMIN, category.id, 1)
    with pytest.raises(NotFound):
        await categories.delete(world, ADMIN, category.id)
    assert await categories.everything(world) == []
    assert {record["action"] for record in await world.audits()} == {"category.create", "category.delete"}


async def test_trying_it_does_nothing() -> None:
    """Every act can be tried: the same answer, and nothing written."""
    world = World()
    category = await made(world)
    before = world.rows()
    assert (await categories.create(world, ADMIN, Wanted("Sports"), dry_run=True))[0].name == "Sports"
    assert (await categories.replace(world, ADMIN, category.id, Wanted("Hills"), 1, dry_run=True)).revision == 2
    await categories.delete(world, ADMIN, category.id, dry_run=True)
    assert world.rows() == before


async def test_there_are_only_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """All are read for each question: a number of them is enough."""
    monkeypatch.setattr(categories, "MOST", 2)
    world = World()
    await made(world)
    await made(world, Wanted("Sports"))
    with pytest.raises(Invalid, match="at most 2"):
        await made(world, Wanted("Games"))
    assert MOST >= 100
