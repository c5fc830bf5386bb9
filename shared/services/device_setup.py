"""The bot's device, set up before its first message: one immutable account, published, and cross-signed.

Idempotent: what is kept (`Vault`) and what is published is looked at first, and only what is missing is made.
What would be lost by a crash is kept before it is published, so a run that was cut short anywhere is simply
run again. What exists and does not fit stops it with a fix in words: it resets nothing and replaces nothing.
Two runs at a time are not meant to be.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from shared.domain.device_account import DeviceAccount, pickle_key
from shared.domain.errors import Misconfigured, Refused
from shared.ports import Data, Finding, Identity, Keys
from shared.services.device_check import (
    FALLBACK_CHECK,
    KEYS_CHECK,
    NEW_DEVICE,
    SIGNED_CHECK,
    belonging,
    device_findings,
    own_device,
)
from shared.services.device_identity import RECOVERY_KEY, own_identity
from shared.services.device_ports import Bench, OwnDevice

ACCOUNT, PICKLE_KEY, REPLIES_KEY, TOKEN, PASSWORD = (
    "MATRIX_DEVICE_ACCOUNT",
    "MATRIX_PICKLE_KEY",
    "MATRIX_REPLIES_KEY",
    "MATRIX_ACCESS_TOKEN",
    "MATRIX_PASSWORD",
)

SENDS = "Muster"
"""The device's name, as others see it."""


class Outcome(Struct):
    """`changed`: what was done, in words, empty when all was well already. `ed25519`: the device's fingerprint."""

    device_id: str = ""
    ed25519: str = ""
    changed: list[str] = []
    findings: Sequence[Finding] = ()

    @property
    def has_new_recovery_key(self) -> bool:
        """Then it is to be shown, this once."""
        return any(RECOVERY_KEY in change for change in self.changed)


class Own(Struct, frozen=True):
    """The account, opened, and the homeserver by its own token."""

    keys: Keys
    who: Identity
    kept: DeviceAccount
    device: OwnDevice


async def set_up_device(bench: Bench, *, new_device: bool = False) -> Outcome:
    """`new_device`: for a lost account or token; logs in with MATRIX_PASSWORD, never under an old device id.
    Raises `Refused` or `Misconfigured` for what a person must mend, `TryLater` as the homeserver does."""
    outcome = Outcome()
    if new_device:
        await _log_in(bench, outcome)
    keys, who = await _ours(bench, outcome)
    answer = await keys.query_keys([bench.user_id])
    own = await _account(bench, keys, who, answer)
    identity = await own_identity(bench, keys, answer, outcome.changed.append)
    own = own or await _opened(bench, keys, who, await _make(bench, who, outcome))
    await _derive(bench, outcome)
    outcome.device_id, outcome.ed25519 = own.kept.device_id, own.device.ed25519
    outcome.findings = await _look(own, answer)
    well = {finding.name for finding in outcome.findings if finding.ok}
    if not {KEYS_CHECK, FALLBACK_CHECK} <= well:
        await _publish(own, outcome)
    if SIGNED_CHECK not in well:
        await _sign(own, identity.sign_device(own.device.device_keys), outcome)
    if outcome.changed:
        outcome.findings = await _look(own, await keys.query_keys([bench.user_id]))
    return _proven(outcome)


# ------------------------------------------------------------------ token and account


async def _log_in(bench: Bench, outcome: Outcome) -> None:
    """The homeserver chooses the id of the new device. Token and account are kept in one write."""
    password = await bench.vault.read(PASSWORD)
    if not password:
        raise Misconfigured(f"a new device needs {PASSWORD}", "Set it for this one run. Nothing was changed.")
    who, token = await bench.log_in(password, SENDS)
    if who.user_id != bench.user_id:
        raise _another_user(bench, who)
    await _make(bench, who, outcome, token)
    await bench.vault.keep({TOKEN: token})
    outcome.changed.append(f"logged in as device {who.device_id} and kept its {TOKEN}")


async def _ours(bench: Bench, outcome: Outcome) -> tuple[Keys, Identity]:
    """By the token kept beside the account, which the functions use too, where set-up has logged in itself: a
    log-in that was cut short goes on here. Else, or when that one is dead, by MATRIX_ACCESS_TOKEN."""
    token, text = await bench.vault.read(TOKEN), await bench.vault.read(ACCOUNT)
    kept = DeviceAccount.parse(text) if text else None
    beside = kept.access_token if kept else ""
    if not token and not beside:
        raise Misconfigured(f"{TOKEN} is not set", "Set it to a token of the bot's account.")
    found = await _by_token(bench, beside, last=not token)
    if found is None:
        found = await _by_token(bench, token, last=True)
        assert found is not None  # noqa: S101 - the last one raises
        if kept and beside and found[1].device_id == kept.device_id:
            await bench.vault.keep({ACCOUNT: kept.but(access_token="").text})
            outcome.changed.append(f"dropped a dead token from {ACCOUNT}: {TOKEN} is of the same device")
    elif beside != token:
        await bench.vault.keep({TOKEN: beside})
        outcome.changed.append(f"kept {TOKEN}, the one that belongs to the account")
    return found


async def _by_token(bench: Bench, token: str, last: bool) -> tuple[Keys, Identity] | None:
    """None for a token that is no longer known, if there is another one to try."""
    if not token:
        return None
    keys = bench.connect(token)
    try:
        who = await keys.whoami()
    except Refused as error:
        if error.code != "M_UNKNOWN_TOKEN":
            raise
        if last:
            raise Refused("the bot's access token is not valid any more", NEW_DEVICE, error.code) from error
        return None
    if who.user_id != bench.user_id:
        raise _another_user(bench, who)
    if not who.device_id:
        raise Refused("the bot's token belongs to no device, so nothing can be encrypted to it", NEW_DEVICE)
    return keys, who


async def _account(bench: Bench, keys: Keys, who: Identity, answer: Data) -> Own | None:
    """That of the token's device. None when neither we nor the homeserver have one, so that it can be made."""
    text = await bench.vault.read(ACCOUNT)
    published = who.device_id in answer.get("device_keys", {}).get(bench.user_id, {})
    if not text and published:
        cause = f"device {who.device_id} has encryption keys, but their account is not kept here: it is lost to us"
        raise Refused(cause, f"{NEW_DEVICE} Or put what was kept into {ACCOUNT} and {PICKLE_KEY}.", "ACCOUNT_LOST")
    if not text:
        return None
    own = await _opened(bench, keys, who, DeviceAccount.parse(text))
    belongs = belonging(own.kept, who)
    if not belongs.ok:
        raise Refused(belongs.detail, belongs.fix, "ACCOUNT_LOST")
    if published and own_device(answer, own.kept, own.device) is None:
        cause = f"the homeserver has other keys of device {who.device_id} than the kept account's: it is lost"
        raise Refused(cause, NEW_DEVICE, "ACCOUNT_LOST")
    return own


async def _opened(bench: Bench, keys: Keys, who: Identity, kept: DeviceAccount) -> Own:
    return Own(keys, who, kept, bench.crafts.device(kept, pickle_key(await bench.vault.read(PICKLE_KEY))))


async def _make(bench: Bench, who: Identity, outcome: Outcome, access_token: str = "") -> DeviceAccount:
    """Kept before it is published: what others have seen can never be made again."""
    pickle = await bench.vault.read(PICKLE_KEY) or bench.crafts.new_pickle_key()
    made = bench.crafts.new_account(who.user_id, who.device_id, pickle_key(pickle))
    kept = DeviceAccount(
        user_id=who.user_id,
        device_id=who.device_id,
        ed25519=made.device_keys["keys"][f"ed25519:{who.device_id}"],
        account=made.account,
        fallback_keys=made.fallback_keys,
        access_token=access_token,
    )
    await bench.vault.keep({PICKLE_KEY: pickle, ACCOUNT: kept.text})
    outcome.changed.append(f"made and kept the account of device {who.device_id}")
    return kept


async def _derive(bench: Bench, outcome: Outcome) -> None:
    """For the page, which shows replies and must not have the keys that encrypt."""
    key = bench.crafts.replies_key(pickle_key(await bench.vault.read(PICKLE_KEY)))
    if await bench.vault.read(REPLIES_KEY) != key:
        await bench.vault.keep({REPLIES_KEY: key})
        outcome.changed.append(f"kept {REPLIES_KEY}, which opens members' replies and nothing else")


def _another_user(bench: Bench, who: Identity) -> Refused:
    fix = f"Set MATRIX_USER_ID and {TOKEN} to the same account. Nothing was changed."
    return Refused(f"the token is of {who.user_id}, and MATRIX_USER_ID is {bench.user_id}", fix)


# ------------------------------------------------------------------ what others see


async def _look(own: Own, answer: Data) -> list[Finding]:
    """Claiming our own fallback key uses up nothing: there is no other key, and this one is given again and again."""
    claim = await own.keys.claim_keys({own.kept.user_id: [own.kept.device_id]})
    return device_findings(answer, claim, own.kept, own.device, own.who)


async def _publish(own: Own, outcome: Outcome) -> None:
    """Device keys and fallback key in one call. The same ones again change nothing, and keep their signatures."""
    await own.keys.upload_keys({"device_keys": own.device.device_keys, "fallback_keys": own.kept.fallback_keys})
    outcome.changed.append(f"published the keys of device {own.kept.device_id}")


async def _sign(own: Own, signed: Data, outcome: Outcome) -> None:
    if await own.keys.upload_signatures(signed):
        raise Refused("the homeserver did not take the signature of the bot's device", "Run set-up again.")
    outcome.changed.append(f"cross-signed device {own.kept.device_id}")


def _proven(outcome: Outcome) -> Outcome:
    """What was done is believed when a key query shows it."""
    amiss = [finding.detail for finding in outcome.findings if not finding.ok]
    if amiss:
        raise Refused(f"after set-up the homeserver still says: {'; '.join(amiss)}", "Run set-up again.")
    return outcome
