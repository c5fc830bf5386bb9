"""Cross-signing keys, held against the specification's example of a signature and against `olm_devices`."""

from __future__ import annotations

import pytest

from shared.adapters.canonical import verify_signature
from shared.adapters.cross_signing import ROLES, Identity, SigningKey
from shared.adapters.olm import devices_of, make_account
from shared.domain.errors import Refused
from shared.ports import Data

BOT = "@muster:example.org"
# Specification, appendices, "Test vectors": the seed, and its signatures of two objects.
SEED = "YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1"
SIGNED_EMPTY = "K8280/U9SSy9IVtjBuVeLr+HpOB4BQFWbg+UZaADMtTdGYI7Geitb76LTrr5QV/7Xg4ahLwYGYZzuHGZKM5ZAQ"
SIGNED_TWO = "KqmLSbO39/Bzb0QIYE82zqLwsA+PDzYIpIRA2sRQ4sL53+sN6/fpNSoqE7BP7vBZhG6kYdD13EIMJpvhJI+6Bw"


@pytest.mark.parametrize(("body", "expected"), [({}, SIGNED_EMPTY), ({"one": 1, "two": "Two"}, SIGNED_TWO)])
def test_the_specification_s_signatures(body: Data, expected: str) -> None:
    """Signing gives the signatures of the specification's examples."""
    key = SigningKey.parse(SEED)
    assert key.sign("domain", body) == {**body, "signatures": {"domain": {f"ed25519:{key.public}": expected}}}


def answer_of(identity: Identity, *devices: Data) -> Data:
    upload = identity.upload()
    shown: Data = {f"{role}_keys": {BOT: upload[f"{role}_key"]} for role in ROLES}
    return shown | {"device_keys": {BOT: {device["device_id"]: device for device in devices}}}


def test_a_signed_device() -> None:
    """A device signed by the identity is taken for its owner's, with its own signature beside it; another is not."""
    identity, stranger = Identity.make(BOT), Identity.make(BOT)
    device, other = (make_account(BOT, name, b"k" * 32).device_keys for name in ("ONE", "TWO"))
    signed = identity.sign_device(device)[BOT]["ONE"]
    assert f"ed25519:{identity.self_signing.public}" in signed["signatures"][BOT]
    both: Data = {BOT: {**device["signatures"][BOT], **signed["signatures"][BOT]}}
    found, _ = devices_of(answer_of(identity, {**device, "signatures": both}, other), [BOT])
    assert {each.device_id: each.verified for each in found} == {"ONE": True, "TWO": False}
    forged = stranger.sign_device(device)[BOT]["ONE"]["signatures"][BOT]
    found, _ = devices_of(
        answer_of(identity, {**device, "signatures": {BOT: device["signatures"][BOT] | forged}}), [BOT]
    )
    assert [each.verified for each in found] == [False]


def test_what_is_not_signed_does_not_count() -> None:
    """A signature covers the keys, and neither other signatures nor what the homeserver adds."""
    identity = Identity.make(BOT)
    device = make_account(BOT, "ONE", b"k" * 32).device_keys
    added = identity.sign_device({**device, "unsigned": {"device_display_name": "x"}})
    assert added == identity.sign_device(device)
    assert "unsigned" not in added[BOT]["ONE"]


def test_the_master_key_signs_the_others() -> None:
    """The upload has all three keys, each with its usage; the master key alone is signed by none."""
    identity = Identity.make(BOT)
    upload, master = identity.upload(), identity.master.public
    assert [upload[f"{role}_key"]["usage"] for role in ROLES] == [["master"], ["self_signing"], ["user_signing"]]
    assert "signatures" not in upload["master_key"]
    for role in ROLES[1:]:
        assert verify_signature(upload[f"{role}_key"], BOT, f"ed25519:{master}", master)


def test_an_identity_comes_back() -> None:
    """From its three secrets the same identity is made again, and known for the published one."""
    identity = Identity.make(BOT)
    again = Identity.parse(BOT, identity.secrets())
    assert again == identity
    assert again.is_published(answer_of(identity))
    assert not Identity.make(BOT).is_published(answer_of(identity))
    assert not identity.is_published({})


@pytest.mark.parametrize("role", ROLES)
def test_one_other_key_is_another_identity(role: str) -> None:
    """An identity of which one key is another one is not the published one."""
    identity = Identity.make(BOT)
    secrets = identity.secrets() | {f"m.cross_signing.{role}": SigningKey.make().secret}
    assert not Identity.parse(BOT, secrets).is_published(answer_of(identity))


@pytest.mark.parametrize("secret", ["", "AAAA", "*", "é"])
def test_what_is_no_key(secret: str) -> None:
    """Secrets that are no seeds are refused in words."""
    with pytest.raises(Refused, match="no cross-signing keys"):
        Identity.parse(BOT, Identity.make(BOT).secrets() | {"m.cross_signing.master": secret})
    with pytest.raises(Refused):
        Identity.parse(BOT, {})


def test_seeds_do_not_show_themselves() -> None:
    """No seed stands in what a log would write of an identity."""
    identity = Identity.make(BOT)
    assert all(str(getattr(identity, role).seed) not in repr(identity) for role in ROLES)
