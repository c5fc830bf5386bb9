"""The bot's Olm account: made once, published once, and never changed afterwards."""

from __future__ import annotations

from vodozemac import Account

from shared.adapters.canonical import signed_bytes
from shared.adapters.olm_devices import CLAIMED, MEGOLM, OLM
from shared.domain.devices import NewDevice
from shared.domain.errors import Misconfigured
from shared.ports import Data


def make_account(user_id: str, device_id: str, pickle_key: bytes) -> NewDevice:
    """For a device id that was never used before. No one-time keys: using one up would change the account.
    Raises `Misconfigured` for a bad pickle key."""
    account = Account()
    account.generate_fallback_key()  # type: ignore[attr-defined]  # its stubs lack it
    fallback = {f"{CLAIMED}:{name}": key.to_base64() for name, key in account.fallback_key.items()}  # type: ignore[attr-defined]
    account.mark_keys_as_published()
    return NewDevice(
        account=_pickled(account, pickle_key),
        device_keys=device_keys_of(account, user_id, device_id),
        fallback_keys={
            name: _signed(account, user_id, device_id, {"key": key, "fallback": True}) for name, key in fallback.items()
        },
    )


def device_keys_of(account: Account, user_id: str, device_id: str) -> Data:
    """Signed by the account."""
    ed25519, curve25519 = account.ed25519_key.to_base64(), account.curve25519_key.to_base64()
    keys = {
        "algorithms": [OLM, MEGOLM],
        "user_id": user_id,
        "device_id": device_id,
        "keys": {f"curve25519:{device_id}": curve25519, f"ed25519:{device_id}": ed25519},
    }
    return _signed(account, user_id, device_id, keys)


def _signed(account: Account, user_id: str, device_id: str, value: Data) -> Data:
    signature = account.sign(signed_bytes(value)).to_base64()
    return {**value, "signatures": {user_id: {f"ed25519:{device_id}": signature}}}


def _pickled(account: Account, pickle_key: bytes) -> str:
    try:
        return account.pickle(pickle_key)
    except ValueError as error:
        raise Misconfigured("the pickle key must be 32 bytes", "Let the set-up command make one.") from error
