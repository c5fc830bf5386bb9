"""What the self-check says of the bot's device, for each thing that can be amiss with it."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest

from shared.adapters.device_crafts import DeviceCrafts
from shared.domain.device_account import DeviceAccount, pickle_key
from shared.domain.errors import Misconfigured
from shared.ports import Finding, Identity
from shared.services.device_check import check_device, device_findings
from shared.services.device_setup import set_up_device
from tests.contracts.device_worlds import FakeBotWorld, MemoryVault, bench
from tests.fakes.keys import FakeKeys

Harm = Callable[[FakeKeys, MemoryVault], Any]


async def well() -> tuple[FakeKeys, MemoryVault]:
    world = FakeBotWorld()
    vault = MemoryVault(MATRIX_ACCESS_TOKEN=world.token)
    await set_up_device(bench(world, vault))
    return world.connect(world.token), vault


async def check(keys: FakeKeys, vault: MemoryVault) -> dict[str, Finding]:
    kept = (vault.values["MATRIX_DEVICE_ACCOUNT"], vault.values["MATRIX_PICKLE_KEY"])
    return {finding.name: finding for finding in await check_device(keys, DeviceCrafts(), *kept)}


def unsigned(keys: FakeKeys, _: MemoryVault) -> None:
    signatures = keys.device_keys[keys.user_id][keys.device_id]["signatures"][keys.user_id]
    for name in [name for name in signatures if name != f"ed25519:{keys.device_id}"]:
        del signatures[name]


def without_fallback(keys: FakeKeys, _: MemoryVault) -> None:
    keys.fallback_keys.clear()


def foreign(keys: FakeKeys, _: MemoryVault) -> None:
    del keys.device_keys[keys.user_id]
    keys.add_device(keys.user_id, keys.device_id)


def unpublished(keys: FakeKeys, _: MemoryVault) -> None:
    keys.device_keys.clear()


def token_of_another(keys: FakeKeys, _: MemoryVault) -> None:
    keys.device_id = "OTHER"


@pytest.mark.parametrize(
    ("harm", "amiss", "words", "fix"),
    [
        (unsigned, "matrix cross-signing", "not cross-signed", "scripts/setup matrix:"),
        (without_fallback, "matrix fallback key", "missing", "scripts/setup matrix:"),
        (foreign, "matrix device keys", "other keys", "--new-device"),
        (unpublished, "matrix device keys", "no keys", "scripts/setup matrix:"),
        (token_of_another, "matrix device", "the token is of", "MATRIX_ACCESS_TOKEN"),
    ],
)
async def test_what_is_amiss_is_named(harm: Harm, amiss: str, words: str, fix: str) -> None:
    """Each fault is one finding with its own fix; the others stay well."""
    keys, vault = await well()
    harm(keys, vault)
    found = await check(keys, vault)
    assert [name for name, finding in found.items() if not finding.ok] == [amiss]
    assert words in found[amiss].detail
    assert fix in found[amiss].fix


@pytest.mark.parametrize("harm", [unsigned, without_fallback, unpublished])
async def test_set_up_mends_it(harm: Harm) -> None:
    """What needs no person is mended by set-up, run again."""
    keys, vault = await well()
    harm(keys, vault)
    world = FakeBotWorld()
    world.user_id = keys.user_id
    again = await set_up_device(bench(world, vault))
    assert again.changed
    assert all(finding.ok for finding in (await check(keys, vault)).values())


async def test_an_account_that_does_not_open() -> None:
    """A wrong pickle key is no finding among others: nothing more can be said."""
    keys, vault = await well()
    vault.values["MATRIX_PICKLE_KEY"] = base64.b64encode(b"x" * 32).decode()
    with pytest.raises(Misconfigured, match="does not open"):
        await check(keys, vault)


async def test_nonsense_is_no_reason_to_crash() -> None:
    """A homeserver that answers with nothing has no keys of the device."""
    _, vault = await well()
    kept = DeviceAccount.parse(vault.values["MATRIX_DEVICE_ACCOUNT"])
    device = DeviceCrafts().device(kept, pickle_key(vault.values["MATRIX_PICKLE_KEY"]))
    who = Identity(kept.user_id, kept.device_id)
    found = device_findings({}, {}, kept, device, who)
    assert [finding.ok for finding in found] == [True, False]
