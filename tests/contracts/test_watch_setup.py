"""What setting up the device that only watches promises, on the homeserver in memory and on a real Synapse."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from shared.domain.errors import Misconfigured, Refused
from shared.services.watch_setup import WATCHES, Watcher, set_up_watcher
from tests.contracts.device_worlds import PASSWORD, BotWorld, MemoryVault, SynapseBotWorld, Trace, bench, bot_world

pytest_plugins = ("tests.contracts.synapse_server",)
NAME = "MATRIX_SYNC_ACCESS_TOKEN"


@pytest.fixture(params=["fake", "synapse"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[BotWorld]:
    made = bot_world(request.param, lambda: request.getfixturevalue("homeserver"))
    yield made
    await made.close()


async def set_up(world: BotWorld, vault: MemoryVault, trace: Trace | None = None) -> Watcher:
    sends = (await world.connect(world.token).whoami()).device_id
    return await set_up_watcher(bench(world, vault, trace), sends)


async def test_the_bot_gets_a_second_device_once(world: BotWorld) -> None:
    """It is the same user on another device, its token is kept; the next run finds it and logs in nowhere."""
    vault = MemoryVault(MATRIX_PASSWORD=PASSWORD)
    first = await set_up(world, vault)
    who = await world.connect(vault.values[NAME]).whoami()
    assert (who.user_id, who.device_id) == (world.user_id, first.device_id)
    assert who.device_id != (await world.connect(world.token).whoami()).device_id
    assert len(first.changed) == 1
    assert vault.values[NAME] not in first.changed[0]
    trace, before = Trace(), dict(vault.values)
    assert await set_up(world, vault, trace) == Watcher(first.device_id)
    assert (trace.writes, vault.values) == ([], before)
    del vault.values["MATRIX_PASSWORD"]
    assert await set_up(world, vault) == Watcher(first.device_id)


async def test_without_a_password_there_is_none(world: BotWorld) -> None:
    """Nothing is made, nothing is wrong, and how to get one is said."""
    vault = MemoryVault()
    watcher = await set_up(world, vault)
    assert (watcher.device_id, watcher.changed, vault.values) == ("", (), {})
    assert {"MATRIX_PASSWORD", NAME} <= set(watcher.fix.split())


async def test_a_token_of_the_sending_device_is_not_used(world: BotWorld) -> None:
    """It would take that device's messages away: another device is logged in, and its token kept instead."""
    vault = MemoryVault(**{"MATRIX_PASSWORD": PASSWORD, NAME: world.token})
    watcher = await set_up(world, vault)
    assert watcher.changed
    assert vault.values[NAME] != world.token
    assert not (await set_up(world, MemoryVault(**{NAME: world.token}))).device_id


async def test_a_wrong_password_is_said(world: BotWorld) -> None:
    """With what else can be done where a password does not help; and nothing is kept."""
    vault = MemoryVault(MATRIX_PASSWORD="wrong")
    with pytest.raises(Misconfigured) as caught:
        await set_up(world, vault)
    assert NAME in caught.value.fix
    assert NAME not in vault.values


async def test_a_token_of_somebody_else_stops_it(world: BotWorld, request: pytest.FixtureRequest) -> None:
    """Whose it is is said; nothing is replaced."""
    kind = "synapse" if isinstance(world, SynapseBotWorld) else "fake"
    other = bot_world(kind, lambda: request.getfixturevalue("homeserver"))
    vault = MemoryVault(**{"MATRIX_PASSWORD": PASSWORD, NAME: other.token})
    with pytest.raises(Refused, match=other.user_id):
        await set_up(world, vault)
    assert vault.values[NAME] == other.token
    await other.close()


async def test_a_dead_token_is_replaced(homeserver) -> None:
    """A device that was logged out, by whomever, is followed by a new one with a name that says what it is for."""
    world = SynapseBotWorld(homeserver)
    vault = MemoryVault(**{"MATRIX_PASSWORD": PASSWORD, NAME: "syt_of_long_ago"})
    watcher = await set_up(world, vault)
    said = (await world.connect(world.token).client.devices()).devices
    assert {device.id: device.display_name for device in said}[watcher.device_id] == WATCHES
    await world.close()
