"""What setting up the bot's device promises, on the homeserver in memory and on a real Synapse."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from shared.adapters.cross_signing import Identity
from shared.adapters.device_crafts import DeviceCrafts
from shared.adapters.olm import devices_of, make_account
from shared.adapters.secret_storage import RecoveryKey
from shared.domain.device_account import DeviceAccount
from shared.domain.devices import Device
from shared.domain.errors import Misconfigured, MusterError, Refused
from shared.ports import Data
from shared.services.device_check import check_device
from shared.services.device_setup import Outcome, set_up_device
from tests.contracts.device_worlds import (
    PASSWORD,
    BotWorld,
    Killed,
    MemoryVault,
    SynapseBotWorld,
    Trace,
    bench,
    bot_world,
)

if TYPE_CHECKING:
    from tests.contracts.synapse_server import Homeserver

pytest_plugins = ("tests.contracts.synapse_server",)

MakeWorld = Callable[[], BotWorld]


@pytest.fixture(params=["fake", "synapse"])
async def worlds(request: pytest.FixtureRequest) -> AsyncIterator[MakeWorld]:
    made: list[BotWorld] = []

    def make() -> BotWorld:
        made.append(bot_world(request.param, lambda: request.getfixturevalue("homeserver")))
        return made[-1]

    if request.param == "synapse":
        request.getfixturevalue("homeserver")
    yield make
    for world in made:
        await world.close()


@pytest.fixture
def world(worlds: MakeWorld) -> BotWorld:
    return worlds()


def vault_of(world: BotWorld, **more: str) -> MemoryVault:
    return MemoryVault(MATRIX_ACCESS_TOKEN=world.token, **more)


async def set_up(world: BotWorld, vault: MemoryVault, trace: Trace | None = None, **options: bool) -> Outcome:
    return await set_up_device(bench(world, vault, trace), **options)


async def refused(world: BotWorld, vault: MemoryVault, kind: type[MusterError] = Refused, **options: bool) -> str:
    """Cause and fix of a run that must stop, and must have changed nothing."""
    before, trace = dict(vault.values), Trace()
    with pytest.raises(kind) as error:
        await set_up(world, vault, trace, **options)
    assert (trace.writes, vault.values) == ([], before)
    assert error.value.fix
    return f"{error.value.cause}. {error.value.fix}"


async def seen(world: BotWorld) -> list[Device]:
    trusted, distrusted = devices_of(await world.stranger_sees(), [world.user_id])
    assert not distrusted
    return trusted


async def master_of(world: BotWorld) -> Data:
    found: Data = (await world.stranger_sees())["master_keys"][world.user_id]
    return found


def kept_in(vault: MemoryVault) -> DeviceAccount:
    return DeviceAccount.parse(vault.values["MATRIX_DEVICE_ACCOUNT"])


# ------------------------------------------------------------------ the first time, and again


async def test_others_see_a_signed_device(world: BotWorld) -> None:
    """After set-up, another member's client finds the bot's device signed by its owner, with the fingerprint told."""
    outcome = await set_up(world, vault_of(world))
    (device,) = await seen(world)
    assert (device.device_id, device.ed25519, device.verified) == (outcome.device_id, outcome.ed25519, True)
    assert all(finding.ok for finding in outcome.findings)
    assert outcome.has_new_recovery_key


async def test_what_is_kept_is_one_word_each(world: BotWorld) -> None:
    """Every kept value fits a line of an environment file and `env $(...)`: no blanks, no quotes."""
    vault = vault_of(world)
    await set_up(world, vault)
    assert not [name for name, value in vault.values.items() if set(value) & set(" \t\n\"'$`")]
    made = {"MATRIX_DEVICE_ACCOUNT", "MATRIX_PICKLE_KEY", "MATRIX_REPLIES_KEY", "MATRIX_RECOVERY_KEY"}
    assert made <= set(vault.values)


async def test_an_installation_from_before_gets_the_key_of_replies(world: BotWorld) -> None:
    """Where all was set up but that key, which the page opens replies with, a run makes it and nothing else."""
    vault = vault_of(world)
    await set_up(world, vault)
    before = dict(vault.values)
    del vault.values["MATRIX_REPLIES_KEY"]
    outcome = await set_up(world, vault)
    assert len(outcome.changed) == 1
    assert vault.values == before


async def test_what_is_kept_opens_everything(world: BotWorld) -> None:
    """The kept recovery key opens secret storage, and what lies there are the published identity's own keys."""
    vault, keys = vault_of(world), world.connect(world.token)
    await set_up(world, vault)
    key = RecoveryKey.parse(vault.values["MATRIX_RECOVERY_KEY"])
    named = (await keys.account_data("m.secret_storage.default_key") or {})["key"]
    assert key.opens(await keys.account_data(f"m.secret_storage.key.{named}") or {})
    stored = {name: (await keys.account_data(name) or {})["encrypted"][named] for name in DeviceCrafts.secret_names}
    secrets = {name: key.unseal(name, sealed) for name, sealed in stored.items()}
    assert Identity.parse(world.user_id, secrets).is_published(await keys.query_keys([world.user_id]))


async def test_again_changes_nothing(world: BotWorld) -> None:
    """A second run finds all well: it uploads nothing, stores nothing, and says so."""
    vault = vault_of(world)
    await set_up(world, vault)
    before, trace = dict(vault.values), Trace()
    outcome = await set_up(world, vault, trace)
    assert (outcome.changed, outcome.has_new_recovery_key, trace.writes, vault.values) == ([], False, [], before)
    assert outcome.findings


async def test_a_run_that_was_killed_is_run_again(worlds: MakeWorld) -> None:
    """Killed after any of its calls, set-up done again ends as if nothing had happened: one account, one identity."""
    whole = Trace()
    await set_up(first := worlds(), vault_of(first), whole)
    for last in range(1, len(whole.calls) + 1):
        world = worlds()
        vault = vault_of(world)
        with pytest.raises(Killed):
            await set_up(world, vault, Trace(last))
        early = dict(vault.values)
        await set_up(world, vault)
        (device,) = await seen(world)
        assert device.verified, f"after {whole.calls[last - 1]}"
        assert device.ed25519 == kept_in(vault).ed25519
        assert {name: vault.values[name] for name in early} == early, "what was kept was made anew"
        trace = Trace()
        await set_up(world, vault, trace)
        assert not trace.writes


async def test_killed_twice(worlds: MakeWorld) -> None:
    """A set-up that dies after its every single write still ends well, and never makes a second identity."""
    world = worlds()
    vault, masters = vault_of(world), set()
    for _ in range(40):
        trace = _DiesAtAWrite()
        try:
            await set_up(world, vault, trace)
            break
        except Killed:
            masters |= {str(key["keys"]) for key in (await world.stranger_sees()).get("master_keys", {}).values()}
    assert not trace.writes
    assert len(masters) == 1
    assert [device.verified for device in await seen(world)] == [True]


class _DiesAtAWrite(Trace):
    def note(self, name: str) -> None:
        super().note(name)
        if self.writes:
            raise Killed


# ------------------------------------------------------------------ an identity that is there


async def another_client(world: BotWorld) -> tuple[MemoryVault, Any]:
    """The bot on a new device, of which only the token is known."""
    who, token = await world.log_in(PASSWORD)
    return MemoryVault(MATRIX_ACCESS_TOKEN=token), who


async def test_an_identity_is_unlocked(world: BotWorld) -> None:
    """With the right recovery key, a new device is signed by the identity that is there; the identity stays."""
    vault = vault_of(world)
    await set_up(world, vault)
    master = await master_of(world)
    other, who = await another_client(world)
    other.values["MATRIX_RECOVERY_KEY"] = vault.values["MATRIX_RECOVERY_KEY"]
    outcome = await set_up(world, other)
    assert not outcome.has_new_recovery_key
    assert {device.device_id: device.verified for device in await seen(world)}[who.device_id]
    assert await master_of(world) == master


async def test_a_wrong_recovery_key_stops_it(world: BotWorld) -> None:
    """Another recovery key, one with a typing error, or none: it stops, says what to do, and resets nothing."""
    vault = vault_of(world)
    await set_up(world, vault)
    master = await master_of(world)
    other, _ = await another_client(world)
    before = await world.connect(other.values["MATRIX_ACCESS_TOKEN"]).query_keys([world.user_id])
    right = vault.values["MATRIX_RECOVERY_KEY"]
    wrong, typo = RecoveryKey.make().text, right[:-1] + ("2" if right.endswith("1") else "1")
    other.values["MATRIX_RECOVERY_KEY"] = wrong
    await stops(world, other, Refused, "does not open the bot's secret storage", wrong)
    other.values["MATRIX_RECOVERY_KEY"] = typo
    await stops(world, other, Misconfigured, "typing error", typo)
    del other.values["MATRIX_RECOVERY_KEY"]
    await stops(world, other, Misconfigured, "MATRIX_RECOVERY_KEY is empty")
    assert await master_of(world) == master
    assert await world.connect(other.values["MATRIX_ACCESS_TOKEN"]).query_keys([world.user_id]) == before


async def stops(world: BotWorld, vault: MemoryVault, kind: type[MusterError], expected: str, hidden: str = "") -> None:
    """Nothing is published or stored, and `hidden` is not in the words."""
    words = await refused(world, vault, kind)
    assert expected in words
    assert not hidden or hidden not in words


async def test_an_identity_without_secret_storage_stops_it(world: BotWorld) -> None:
    """An identity whose keys are nowhere to be found is left as it is; the words say how to mend it."""
    theirs = Identity.make(world.user_id)
    await world.connect(world.token).upload_signing_keys(theirs.upload())
    vault = vault_of(world, MATRIX_RECOVERY_KEY=RecoveryKey.make().text)
    await stops(world, vault, Refused, "its keys cannot be found in its secret storage")
    assert theirs.upload()["master_key"]["keys"] == (await master_of(world))["keys"]


async def test_half_a_secret_storage_stops_it(world: BotWorld) -> None:
    """An identity of which one key is not stored is not completed by guesses: the missing one is named."""
    vault, keys = vault_of(world), world.connect(world.token)
    await set_up(world, vault)
    await keys.set_account_data("m.cross_signing.self_signing", {})
    await stops(world, vault, Refused, "m.cross_signing.self_signing cannot be found")


async def test_secrets_of_another_identity_stop_it(world: BotWorld) -> None:
    """Secret storage that holds other keys than the published ones is not taken for them."""
    vault, keys = vault_of(world), world.connect(world.token)
    await set_up(world, vault)
    key = RecoveryKey.parse(vault.values["MATRIX_RECOVERY_KEY"])
    for name, secret in Identity.make(world.user_id).secrets().items():
        await keys.set_account_data(name, {"encrypted": {key.id: key.seal(name, secret)}})
    await stops(world, vault, Refused, "not those of its published identity")


async def test_another_key_s_secrets_stop_it(world: BotWorld) -> None:
    """Secrets that were stored under another key than the default one are neither used nor overwritten."""
    vault, keys = vault_of(world), world.connect(world.token)
    await set_up(world, vault)
    stored = await keys.account_data("m.cross_signing.master") or {}
    await keys.set_account_data("m.cross_signing.master", {"encrypted": {"other": {"iv": "", "mac": ""}}})
    await stops(world, vault, Refused, "under another key")
    (only,) = stored["encrypted"].values()
    changed = {key: {**only, "ciphertext": only["iv"]} for key in stored["encrypted"]}
    await keys.set_account_data("m.cross_signing.master", {"encrypted": changed})
    await stops(world, vault, Refused, "does not open")


async def test_an_identity_is_never_replaced(world: BotWorld) -> None:
    """An identity that appears while set-up runs is not replaced, not even with the password at hand."""
    theirs = Identity.make(world.user_id)
    vault = vault_of(world, MATRIX_PASSWORD=PASSWORD)
    tools = replace(bench(world, vault), connect=lambda token: _PublishesLate(world.connect(token), theirs))
    with pytest.raises(Refused, match="wants a password") as error:
        await set_up_device(tools)
    assert error.value.code == "UIA"
    assert theirs.upload()["master_key"]["keys"] == (await master_of(world))["keys"]


class _PublishesLate:
    """Somebody else is faster by one call."""

    def __init__(self, keys: Any, theirs: Identity) -> None:
        self._keys, self._theirs = keys, theirs

    def __getattr__(self, name: str) -> Any:
        return getattr(self._keys, name)

    async def upload_signing_keys(self, body: Data) -> None:
        await self._keys.upload_signing_keys(self._theirs.upload())
        await self._keys.upload_signing_keys(body)


# ------------------------------------------------------------------ token, account and device


async def test_a_lost_account_needs_a_new_login(world: BotWorld) -> None:
    """With its account lost, set-up says so and changes nothing; --new-device then gives it a signed device of
    another id, with its token and account kept together."""
    vault = vault_of(world)
    await set_up(world, vault)
    (old,) = await seen(world)
    del vault.values["MATRIX_DEVICE_ACCOUNT"]
    assert "--new-device" in await refused(world, vault)
    vault.values["MATRIX_PASSWORD"] = PASSWORD
    outcome = await set_up(world, vault, new_device=True)
    kept = kept_in(vault)
    assert kept.access_token == vault.values["MATRIX_ACCESS_TOKEN"] != world.token
    assert outcome.device_id == kept.device_id != old.device_id
    assert {device.device_id: device.verified for device in await seen(world)} == {
        old.device_id: True,
        kept.device_id: True,
    }
    assert (await set_up(world, vault)).changed == []


async def test_a_new_device_needs_the_password(world: BotWorld) -> None:
    """Without MATRIX_PASSWORD, or with a wrong one, --new-device changes nothing and names the setting."""
    vault = vault_of(world)
    assert "MATRIX_PASSWORD" in await refused(world, vault, Misconfigured, new_device=True)
    vault.values["MATRIX_PASSWORD"] = "wrong"
    assert "MATRIX_PASSWORD" in await refused_login(world, vault)


async def refused_login(world: BotWorld, vault: MemoryVault) -> str:
    before = dict(vault.values)
    with pytest.raises(Misconfigured) as error:
        await set_up(world, vault, new_device=True)
    assert vault.values == before
    return error.value.cause


async def test_a_killed_login_is_taken_up(worlds: MakeWorld) -> None:
    """Killed after any call of a --new-device run that had its account kept, a plain run goes on with that very device."""
    whole = Trace()
    first = worlds()
    await set_up(first, vault_of(first, MATRIX_PASSWORD=PASSWORD), whole, new_device=True)
    for last in range(whole.calls.index("keep") + 1, len(whole.calls) + 1, 3):
        world = worlds()
        vault = vault_of(world, MATRIX_PASSWORD=PASSWORD)
        with pytest.raises(Killed):
            await set_up(world, vault, Trace(last), new_device=True)
        device_id = kept_in(vault).device_id
        assert (await set_up(world, vault)).device_id == device_id
        assert vault.values["MATRIX_ACCESS_TOKEN"] == kept_in(vault).access_token
        assert {device.device_id: device.verified for device in await seen(world)}[device_id]


async def test_a_renewed_token_of_the_same_device(world: BotWorld) -> None:
    """Once the token of set-up's own log-in is dead, one given for the same device takes its place, and the account
    stays; a dead token without another one is named."""
    vault = vault_of(world, MATRIX_PASSWORD=PASSWORD)
    await set_up(world, vault, new_device=True)
    kept, living = kept_in(vault), vault.values["MATRIX_ACCESS_TOKEN"]
    dead = bench(world, vault)
    dead = replace(dead, connect=lambda token: world.connect(token) if token == living else _Dead())
    vault.values["MATRIX_DEVICE_ACCOUNT"] = kept.but(access_token="dead").text
    outcome = await set_up_device(dead)
    assert outcome.device_id == kept.device_id
    assert kept_in(vault) == kept.but(access_token="")
    assert (await set_up(world, vault)).changed == []
    vault.values["MATRIX_ACCESS_TOKEN"] = "dead"
    with pytest.raises(Refused, match="not valid any more") as refused:
        await set_up_device(dead)
    assert "--new-device" in refused.value.fix


class _Dead:
    async def whoami(self) -> None:
        raise Refused("the homeserver refused: (M_UNKNOWN_TOKEN)", code="M_UNKNOWN_TOKEN")


async def test_a_token_of_another_device_stops_it(world: BotWorld) -> None:
    """Token and account of different devices: both are named, and nothing is changed."""
    vault = vault_of(world)
    await set_up(world, vault)
    who, vault.values["MATRIX_ACCESS_TOKEN"] = await world.log_in(PASSWORD)
    words = await refused(world, vault)
    assert who.device_id in words
    assert kept_in(vault).device_id in words


async def test_other_keys_on_the_homeserver_stop_it(world: BotWorld) -> None:
    """A device whose published keys are not the kept account's is lost: no key of it is replaced."""
    made = make_account(world.user_id, (await world.connect(world.token).whoami()).device_id, b"k" * 32)
    await world.connect(world.token).upload_keys({"device_keys": made.device_keys, "fallback_keys": made.fallback_keys})
    (theirs,) = await seen(world)
    assert "it is lost" in await refused(world, vault_of(world))
    elsewhere = make_account(world.user_id, theirs.device_id, b"p" * 32)
    kept = DeviceAccount(
        user_id=world.user_id,
        device_id=theirs.device_id,
        ed25519="",
        account=elsewhere.account,
        fallback_keys=elsewhere.fallback_keys,
    )
    pickle = base64.b64encode(b"p" * 32).decode()
    vault = vault_of(world, MATRIX_DEVICE_ACCOUNT=kept.text, MATRIX_PICKLE_KEY=pickle)
    assert "other keys" in await refused(world, vault)
    assert await seen(world) == [theirs]


async def test_a_wrong_pickle_key_stops_it(world: BotWorld) -> None:
    """An account that does not open is named, and neither is made anew."""
    vault = vault_of(world)
    await set_up(world, vault)
    vault.values["MATRIX_PICKLE_KEY"] = DeviceCrafts().new_pickle_key()
    await refused(world, vault, Misconfigured)
    vault.values["MATRIX_PICKLE_KEY"] = "short"
    assert "32 bytes" in await refused(world, vault, Misconfigured)


async def test_another_users_token_stops_it(worlds: MakeWorld) -> None:
    """A token that is not the bot's own is never set up as the bot."""
    world, other = worlds(), worlds()
    words = await refused(world, MemoryVault(MATRIX_ACCESS_TOKEN=other.token))
    assert world.user_id in words
    assert other.user_id in words


async def test_logging_in_for_real(homeserver: Homeserver) -> None:
    """By its password the bot is on a device that the homeserver has named, under Muster's name for it."""
    world = SynapseBotWorld(homeserver)
    who, token = await world.really_log_in(PASSWORD)
    keys = world.connect(token)
    assert await keys.whoami() == who
    vault = MemoryVault(MATRIX_ACCESS_TOKEN=token)
    await set_up(world, vault)
    assert [(device.device_id, device.name) for device in await seen(world)] == [(who.device_id, "Muster")]
    await world.close()


# ------------------------------------------------------------------ the self-check


async def test_the_self_check_follows(world: BotWorld) -> None:
    """Before set-up the check names the command; after it, all of token, device, keys and signature are well."""
    vault, keys, crafts = vault_of(world), world.connect(world.token), DeviceCrafts()
    (before,) = await check_device(keys, crafts, "", "")
    assert not before.ok
    assert "scripts/setup matrix" in before.fix
    await set_up(world, vault)
    found = await check_device(keys, crafts, vault.values["MATRIX_DEVICE_ACCOUNT"], vault.values["MATRIX_PICKLE_KEY"])
    assert {finding.name: finding.ok for finding in found} == {
        "matrix device": True,
        "matrix device keys": True,
        "matrix cross-signing": True,
        "matrix fallback key": True,
    }
