"""Whether the bot's device is as it must be for members to read what it sends."""

from __future__ import annotations

from collections.abc import Iterator

from shared.domain.device_account import SET_UP, DeviceAccount, pickle_key
from shared.domain.devices import Device
from shared.ports import Data, Finding, Identity, Keys
from shared.services.device_ports import Crafts, OwnDevice

DEVICE_CHECK, KEYS_CHECK, SIGNED_CHECK, FALLBACK_CHECK = (
    "matrix device",
    "matrix device keys",
    "matrix cross-signing",
    "matrix fallback key",
)
NEW_DEVICE = "Run scripts/setup matrix --new-device: it logs in anew, and keeps the new token and account together."
COMMAND = "scripts/setup matrix"


async def check_device(keys: Keys, crafts: Crafts, account: str, pickle: str) -> list[Finding]:
    """For the self-check; `account` and `pickle`: MATRIX_DEVICE_ACCOUNT and MATRIX_PICKLE_KEY. Three calls.
    Raises `Misconfigured` when they do not open."""
    if not account:
        return [
            Finding(
                DEVICE_CHECK, ok=False, detail="the bot has no account for encryption yet", fix=SET_UP, command=COMMAND
            )
        ]
    kept = DeviceAccount.parse(account)
    device, who = crafts.device(kept, pickle_key(pickle)), await keys.whoami()
    answer = await keys.query_keys([who.user_id])
    claim = await keys.claim_keys({kept.user_id: [kept.device_id]})
    return device_findings(answer, claim, kept, device, who)


def device_findings(answer: Data, claim: Data, kept: DeviceAccount, device: OwnDevice, who: Identity) -> list[Finding]:
    """`answer` of a key query and `claim` of a key claim for the bot itself, `who` by its token."""
    return list(_findings(answer, claim, kept, device, who))


def _findings(answer: Data, claim: Data, kept: DeviceAccount, device: OwnDevice, who: Identity) -> Iterator[Finding]:
    yield belonging(kept, who)
    shown = own_device(answer, kept, device)
    if shown is None:
        is_there = kept.device_id in answer.get("device_keys", {}).get(kept.user_id, {})
        yield _foreign(kept) if is_there else _absent(kept)
        return
    yield Finding(KEYS_CHECK, ok=True, detail=f"those of the kept account, {kept.ed25519}")
    signed = "is cross-signed by the bot's own identity" if shown.verified else "is not cross-signed: members' newer"
    signed += "" if shown.verified else " clients show nothing that it sends"
    yield Finding(
        SIGNED_CHECK, ok=shown.verified, detail=f"device {kept.device_id} {signed}", fix=SET_UP, command=COMMAND
    )
    there = has_fallback_key(claim, kept, device, shown)
    detail = "published" if there else "missing: members cannot start a conversation that the bot can read"
    yield Finding(FALLBACK_CHECK, ok=there, detail=detail, fix=SET_UP, command=COMMAND)


def belonging(kept: DeviceAccount, who: Identity) -> Finding:
    """Whether token and account are of the same device."""
    same = (kept.user_id, kept.device_id) == (who.user_id, who.device_id)
    detail = f"token and account are both of {kept.user_id}, device {kept.device_id}"
    if not same:
        detail = f"the token is of {who.user_id}, device {who.device_id}; the account is of {kept.user_id}, "
        detail += f"device {kept.device_id}"
    fix = f"Put the token of device {kept.device_id} back into MATRIX_ACCESS_TOKEN. If it is lost: {NEW_DEVICE}"
    return Finding(DEVICE_CHECK, ok=same, detail=detail, fix=fix)


def own_device(answer: Data, kept: DeviceAccount, device: OwnDevice) -> Device | None:
    """As others see it; None when they see no such device, or one with other keys."""
    shown = device.devices_of(answer, [kept.user_id])[0]
    curve25519 = device.device_keys["keys"][f"curve25519:{kept.device_id}"]
    ours = (kept.device_id, device.ed25519, curve25519)
    return next((each for each in shown if (each.device_id, each.ed25519, each.curve25519) == ours), None)


def has_fallback_key(claim: Data, kept: DeviceAccount, device: OwnDevice, shown: Device) -> bool:
    """Whether the key that others are given is the account's own: it has no other."""
    given = device.claimed(claim, [shown])[0].get(shown)
    return given in [key["key"] for key in kept.fallback_keys.values()]


def _absent(kept: DeviceAccount) -> Finding:
    detail = f"the homeserver has no keys of device {kept.device_id}"
    return Finding(KEYS_CHECK, ok=False, detail=detail, fix=SET_UP, command=COMMAND)


def _foreign(kept: DeviceAccount) -> Finding:
    detail = f"the homeserver has other keys of device {kept.device_id} than the kept account's: that account is lost"
    return Finding(KEYS_CHECK, ok=False, detail=detail, fix=NEW_DEVICE, command=f"{COMMAND} --new-device")
