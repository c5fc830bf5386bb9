"""Which devices may get a key: what a homeserver says of them, held against the devices' own signatures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vodozemac import Account, Curve25519PublicKey, Ed25519PublicKey

from shared.adapters.canonical import mapping, verify_signature
from shared.domain.devices import Device, Distrusted
from shared.ports import Data

OLM, MEGOLM = "m.olm.v1.curve25519-aes-sha2", "m.megolm.v1.aes-sha2"
CLAIMED = "signed_curve25519"
SILENT = "the homeserver of {user} did not answer for it"
NO_KEY = "has no key to claim"


def devices_of(answer: Data, users: Sequence[str]) -> tuple[list[Device], list[Distrusted]]:
    """From the answer to keys/query; what it says of anybody but `users` counts for nothing. A user whose
    homeserver did not answer is a `Distrusted` without a device id. Ordered by user, then by device id."""
    trusted: list[Device] = []
    distrusted: list[Distrusted] = []
    for user in dict.fromkeys(users):
        if _silent(answer, user):
            distrusted.append(Distrusted(user, "", SILENT.format(user=user), silent=True))
        for found in _devices_of(answer, user):
            (trusted if isinstance(found, Device) else distrusted).append(found)  # type: ignore[arg-type]
    return trusted, distrusted


def claimed(answer: Data, devices: Sequence[Device]) -> tuple[dict[Device, str], list[Distrusted]]:
    """From the answer to keys/claim: the Curve25519 key of each device, signed by that device. Each makes
    exactly one session; a second one from the same key is fatal to both (see facts)."""
    keys: dict[Device, str] = {}
    distrusted: list[Distrusted] = []
    trial = Account()
    for device in devices:
        key, reason = _claimed_key(answer, device, trial)
        if reason:
            silent = reason == SILENT.format(user=device.user_id)
            distrusted.append(Distrusted(device.user_id, device.device_id, reason, silent))
        else:
            keys[device] = key
    return keys, distrusted


# ------------------------------------------------------------------ devices


def _devices_of(answer: Data, user: str) -> Iterator[Device | Distrusted]:
    signer = _self_signing_key(answer, user)
    for device_id, keys in sorted(mapping(mapping(answer.get("device_keys")).get(user)).items()):
        reason = _why_not(mapping(keys), user, device_id)
        yield Distrusted(user, device_id, reason) if reason else _device(keys, user, device_id, signer)


def _why_not(keys: Mapping[str, Any], user: str, device_id: str) -> str:
    """Empty when the device's own signature over its keys holds."""
    if (keys.get("user_id"), keys.get("device_id")) != (user, device_id):
        return "its keys are another device's"
    algorithms = keys.get("algorithms")
    if not isinstance(algorithms, list) or OLM not in algorithms or MEGOLM not in algorithms:
        return "it does not know the encryption that rooms use"
    ed25519, curve25519 = _identity(keys, device_id)
    if not ed25519 or not curve25519:
        return "its keys are malformed"
    if not verify_signature(keys, user, f"ed25519:{device_id}", ed25519):
        return "its keys are forged: its own signature over them does not hold"
    return ""


def _device(keys: Data, user: str, device_id: str, signer: str) -> Device:
    name = mapping(keys.get("unsigned")).get("device_display_name")
    verified = bool(signer) and verify_signature(keys, user, f"ed25519:{signer}", signer)
    return Device(user, device_id, name if isinstance(name, str) else "", *_identity(keys, device_id), verified)


def _identity(keys: Mapping[str, Any], device_id: str) -> tuple[str, str]:
    """Ed25519 and Curve25519, each empty when it is no such key."""
    said = mapping(keys.get("keys"))
    try:
        ed25519 = Ed25519PublicKey.from_base64(said[f"ed25519:{device_id}"]).to_base64()
        curve25519 = Curve25519PublicKey.from_base64(said[f"curve25519:{device_id}"]).to_base64()
    except (KeyError, TypeError, ValueError):
        return "", ""
    return ed25519, curve25519


def _self_signing_key(answer: Data, user: str) -> str:
    """Empty unless the user's master key has signed it."""
    master = _signing_key(mapping(mapping(answer.get("master_keys")).get(user)), user, "master")
    document = mapping(mapping(answer.get("self_signing_keys")).get(user))
    key = _signing_key(document, user, "self_signing")
    return key if master and key and verify_signature(document, user, f"ed25519:{master}", master) else ""


def _signing_key(document: Mapping[str, Any], user: str, usage: str) -> str:
    """The one key of a cross-signing document, which is named after itself."""
    usages, keys = document.get("usage"), mapping(document.get("keys"))
    if document.get("user_id") != user or not isinstance(usages, list) or usage not in usages or len(keys) != 1:
        return ""
    ((name, key),) = keys.items()
    return key if isinstance(key, str) and name == f"ed25519:{key}" else ""


def _silent(answer: Data, user: str) -> bool:
    return user.partition(":")[2] in mapping(answer.get("failures"))


# ------------------------------------------------------------------ claimed keys


def _claimed_key(answer: Data, device: Device, trial: Account) -> tuple[str, str]:
    """The key, or why there is none. `trial`: an account that is thrown away."""
    said = mapping(mapping(mapping(answer.get("one_time_keys")).get(device.user_id)).get(device.device_id))
    signed = next((mapping(key) for name, key in said.items() if name.startswith(f"{CLAIMED}:")), None)
    if signed is None:
        return "", SILENT.format(user=device.user_id) if _silent(answer, device.user_id) else NO_KEY
    if not verify_signature(signed, device.user_id, f"ed25519:{device.device_id}", device.ed25519):
        return "", "its one-time key is forged: the device has not signed it"
    key = signed.get("key")
    return (
        (key, "") if isinstance(key, str) and _makes_a_session(trial, device, key) else ("", "its keys make no session")
    )


def _makes_a_session(trial: Account, device: Device, key: str) -> bool:
    """Some keys are refused (those of small order), and one member's must not keep a message from all the others."""
    try:
        identity = Curve25519PublicKey.from_base64(device.curve25519)
        trial.create_outbound_session(identity, Curve25519PublicKey.from_base64(key))
    except ValueError:
        return False
    return True
