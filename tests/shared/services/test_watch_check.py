"""The device that only watches, as the self-check tells of it."""

from __future__ import annotations

from shared.domain.errors import Refused
from shared.services import watch_check
from tests.fakes.chat import FakeChat
from tests.world import World


class Elsewhere(World):
    """Whose watching device is what a test says."""

    other: FakeChat | None = None

    async def watcher(self) -> FakeChat | None:
        return self.other


async def test_a_device_of_its_own_is_well() -> None:
    """Both devices are named; the self-check tells it, without a call of its own."""
    world = World()
    assert await watch_check.seen(world) == []
    found = await watch_check.look(world)
    calls = len(world.homeserver.calls)
    assert await watch_check.seen(world) == [found]
    assert found.ok
    assert all(device in found.detail for device in ("FAKE", "WATCH"))
    assert len(world.homeserver.calls) == calls


async def test_looking_again_writes_nothing() -> None:
    """As long as nothing is another than it was: a sync that finds nothing new writes nothing of this."""
    world = World()
    await watch_check.look(world)
    writes = world.documents.writes
    await watch_check.look(world)
    assert world.documents.writes == writes
    world.watched = False
    found = await watch_check.look(world)
    assert world.documents.writes == writes + 1
    assert await watch_check.seen(world) == [found]


async def test_none_is_no_fault() -> None:
    """It only costs: that is said, and how to get one."""
    found = await watch_check.look(World(watched=False))
    assert found.ok
    assert "in full" in found.detail
    assert "MATRIX_PASSWORD" in found.fix


async def test_what_is_wrong_with_it_is_said() -> None:
    """The sending device's own token, somebody else's, or one that is dead: each with its fix."""
    world = Elsewhere()
    dead = FakeChat()
    dead.fail_next(Refused("the homeserver refused: (M_UNKNOWN_TOKEN)", code="M_UNKNOWN_TOKEN"))
    for other, words in (
        (world.homeserver, "take its messages away"),
        (FakeChat("@else:fake.test", "X"), "@else:fake.test"),
        (dead, "M_UNKNOWN_TOKEN"),
    ):
        world.other = other
        found = await watch_check.look(world)
        assert (found.ok, words in found.detail, bool(found.fix)) == (False, True, True)
