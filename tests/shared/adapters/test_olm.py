"""Sealing and opening, against devices that hold real keys."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.canonical import LARGEST, canonical_json, verify_signature
from shared.adapters.cross_signing import Identity
from shared.adapters.olm import Sealer, make_account
from shared.adapters.olm_devices import claimed, devices_of
from shared.domain.devices import Device, Distrusted, Sealed
from shared.domain.errors import Invalid, Misconfigured, Refused
from shared.ports import Data
from tests.fakes.devices import MemberDevice, Unreadable

KEY = b"k" * 32
BOT, ADA, BEN = "@muster:a.test", "@ada:a.test", "@ben:b.test"
ROOM = "!room:a.test"
HELLO = {"msgtype": "m.text", "body": "hellø 👋", "number": 1.5}
NEW = make_account(BOT, "MUSTER", KEY)


def sealer() -> Sealer:
    """A process of its own, in effect: only the stored account is common to two of them."""
    return Sealer(BOT, "MUSTER", NEW.account, KEY)


def query(*devices: MemberDevice) -> Data:
    answer: Data = {"device_keys": {}, "master_keys": {}, "self_signing_keys": {}, "failures": {}}
    for device in devices:
        shown = copy.deepcopy(device.upload["device_keys"]) | {"unsigned": {"device_display_name": device.name}}
        answer["device_keys"].setdefault(device.user_id, {})[device.device_id] = shown
        if device.identity:
            for role in ("master", "self_signing"):
                answer[f"{role}_keys"][device.user_id] = device.identity.upload()[f"{role}_key"]
    return answer


def claim(*devices: MemberDevice, kind: str = "one_time_keys") -> Data:
    """Takes the first key of each out of its upload."""
    answer: Data = {"one_time_keys": {}, "failures": {}}
    for device in devices:
        keys = device.upload[kind]
        if keys:
            name = next(iter(keys))
            key = keys.pop(name) if kind == "one_time_keys" else keys[name]
            answer["one_time_keys"].setdefault(device.user_id, {})[device.device_id] = {name: copy.deepcopy(key)}
    return answer


def keys_of(*devices: MemberDevice, kind: str = "one_time_keys") -> dict[Device, str]:
    found, distrusted = devices_of(query(*devices), [device.user_id for device in devices])
    keys, missing = claimed(claim(*devices, kind=kind), found)
    assert not distrusted
    assert not missing
    return keys


def deliver(sealed: Sealed, *devices: MemberDevice) -> None:
    for device in devices:
        content = sealed.to_device[device.user_id][device.device_id]
        device.receive({"type": "m.room.encrypted", "sender": BOT, "content": content})


def to_bot(device: MemberDevice, content: Data) -> Data:
    return {"type": "m.room.encrypted", "sender": device.user_id, "content": content}


def reasons(found: tuple[Any, list[Distrusted]]) -> list[str]:
    return [distrusted.reason for distrusted in found[1]]


# ------------------------------------------------------------------ canonical JSON and signatures


def test_canonical_json_is_the_specifications() -> None:
    """The examples of the specification's appendix come out byte by byte."""
    assert canonical_json({}) == b"{}"
    assert canonical_json({"one": 1, "two": "Two"}) == b'{"one":1,"two":"Two"}'
    assert canonical_json({"b": "2", "a": [True, None, -3]}) == b'{"a":[true,null,-3],"b":"2"}'
    assert canonical_json({"本": 2, "日": 1}) == '{"日":1,"本":2}'.encode()
    assert canonical_json({"a": "\u65e5", "b": 'q"\\\n\x07'}) == '{"a":"日","b":"q\\"\\\\\\n\\u0007"}'.encode()


@pytest.mark.parametrize("value", [1.0, LARGEST + 1, -LARGEST - 1, float("nan"), "\ud800", {1: 2}, [b"x"]])
def test_what_canonical_json_cannot_say_is_refused(value: Any) -> None:
    """Fractions, large integers and half characters raise instead of being signed in a form of our own."""
    with pytest.raises(Invalid):
        canonical_json({"value": value})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-LARGEST, LARGEST) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.dictionaries(st.text(), JSON))
def test_canonical_json_says_the_same_value(value: Data) -> None:
    """Whatever JSON it is given, parsing the bytes gives it back, and the order of keys does not matter."""
    said = canonical_json(value)
    assert json.loads(said) == value
    assert canonical_json(dict(reversed(value.items()))) == said


def test_a_signature_covers_all_but_signatures_and_unsigned() -> None:
    """`unsigned` may change, everything else breaks the signature."""
    device = MemberDevice(ADA, "A")
    keys, args = device.upload["device_keys"], (ADA, "ed25519:A", device.ed25519)
    assert verify_signature(keys, *args)
    assert verify_signature(keys | {"unsigned": {"x": 1.5}}, *args)
    assert not verify_signature(keys | {"more": 1}, *args)
    assert not verify_signature(keys, ADA, "ed25519:B", device.ed25519)
    assert not verify_signature(keys, BEN, "ed25519:A", device.ed25519)
    assert not verify_signature(keys, ADA, "ed25519:A", MemberDevice(ADA).ed25519)


@pytest.mark.parametrize("signatures", [None, [], "x", {ADA: None}, {ADA: {"ed25519:A": 3}}, {ADA: {"ed25519:A": "!"}}])
def test_malformed_signatures_are_none(signatures: Any) -> None:
    """Whatever stands where signatures belong is no error, and no signature."""
    assert not verify_signature({"signatures": signatures}, ADA, "ed25519:A", MemberDevice(ADA).ed25519)


def test_a_key_that_signs_anything_is_not_accepted() -> None:
    """Of the Ed25519 points of small order, for which one signature fits every text, none counts."""
    neutral = "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    signature = neutral[:-1] + "A" + "A" * 43
    assert not verify_signature({"signatures": {ADA: {"ed25519:A": signature}}}, ADA, "ed25519:A", neutral)


# ------------------------------------------------------------------ devices


def test_devices_carry_their_names_and_keys() -> None:
    """A device whose own signature holds is found with its name, of those users that were asked for."""
    phone, laptop, other = MemberDevice(ADA, "A"), MemberDevice(ADA, "B", name="Laptop"), MemberDevice(BEN)
    devices, distrusted = devices_of(query(phone, laptop, other), [ADA, ADA])
    assert devices == [
        Device(ADA, "A", "Phone", phone.ed25519, phone.curve25519),
        Device(ADA, "B", "Laptop", laptop.ed25519, laptop.curve25519),
    ]
    assert not distrusted


def test_a_device_signed_by_its_owner_is_verified() -> None:
    """Verified: signed by the self-signing key, which the master key has signed."""
    identity = Identity.make(ADA)
    signed, plain = MemberDevice(ADA, "A", identity=identity), MemberDevice(ADA, "B")
    devices, _ = devices_of(query(signed, plain), [ADA])
    assert [device.verified for device in devices] == [True, False]


@pytest.mark.parametrize("role", ["master", "self_signing"])
def test_a_chain_of_signatures_with_a_forged_link_verifies_nothing(role: str) -> None:
    """Another master key, or another self-signing key than the signed one: the device is just not verified."""
    answer = query(MemberDevice(ADA, "A", identity=Identity.make(ADA)))
    answer[f"{role}_keys"][ADA] = Identity.make(ADA).upload()[f"{role}_key"]
    devices, distrusted = devices_of(answer, [ADA])
    assert [device.verified for device in devices] == [False]
    assert not distrusted


def test_a_master_key_does_not_sign_devices() -> None:
    """A key counts for the usage it declares alone."""
    identity = Identity.make(ADA)
    answer = query(MemberDevice(ADA, "A", identity=Identity(ADA, *[identity.master] * 3)))
    answer["self_signing_keys"][ADA] = answer["master_keys"][ADA]
    assert not devices_of(answer, [ADA])[0][0].verified


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"keys": {}}, "malformed"),
        ({"keys": {"ed25519:A": "x", "curve25519:A": 3}}, "malformed"),
        ({"user_id": BEN}, "another device's"),
        ({"device_id": "B"}, "another device's"),
        ({"algorithms": ["m.olm.v1.curve25519-aes-sha2"]}, "does not know"),
        ({"signatures": {}}, "forged"),
        ({"more": "x"}, "forged"),
    ],
)
def test_forged_or_malformed_device_keys_are_named(change: Data, reason: str) -> None:
    """A device whose keys do not hold gets no message, and the reason says what is wrong."""
    answer = query(MemberDevice(ADA, "A"))
    answer["device_keys"][ADA]["A"] |= change
    found = devices_of(answer, [ADA])
    assert not found[0]
    assert reason in reasons(found)[0]


def test_a_homeserver_cannot_slip_in_its_own_keys() -> None:
    """Keys exchanged for others, signature and all but one field left as they were, are forged."""
    mine, theirs = MemberDevice(ADA, "A"), MemberDevice(ADA, "A")
    answer = query(mine)
    answer["device_keys"][ADA]["A"]["keys"]["curve25519:A"] = theirs.curve25519
    assert "forged" in reasons(devices_of(answer, [ADA]))[0]


@pytest.mark.parametrize("answer", [{}, {"device_keys": None}, {"device_keys": {ADA: []}}, {"device_keys": {ADA: {}}}])
def test_no_devices_is_no_error(answer: Data) -> None:
    """A member who never logged in has none; nonsense means the same."""
    assert devices_of(answer, [ADA]) == ([], [])


@pytest.mark.parametrize("junk", [None, 3, [], "x", {"keys": []}, {"user_id": ADA, "device_id": "A", "keys": 1}])
def test_junk_for_a_device_is_a_distrusted_one(junk: Any) -> None:
    """Any JSON may stand there, since another homeserver may say it."""
    assert len(devices_of({"device_keys": {ADA: {"A": junk}}}, [ADA])[1]) == 1


def test_a_silent_homeserver_is_named() -> None:
    """No answer is told apart from no devices, for devices and for keys to claim."""
    answer = {"failures": {"b.test": {"status": 503}}}
    found = devices_of(answer, [ADA, BEN])
    assert [(one.user_id, one.device_id) for one in found[1]] == [(BEN, "")]
    assert "did not answer" in found[1][0].reason
    devices, _ = devices_of(query(MemberDevice(BEN)), [BEN])
    assert "did not answer" in reasons(claimed({"one_time_keys": {}, **answer}, devices))[0]


# ------------------------------------------------------------------ claimed keys


def test_a_device_without_a_key_to_claim_is_named() -> None:
    """It is told apart from a forged one."""
    device = MemberDevice(ADA)
    devices, _ = devices_of(query(device), [ADA])
    assert reasons(claimed({"one_time_keys": {}}, devices)) == ["has no key to claim"]


@pytest.mark.parametrize("forged", [{"key": MemberDevice(ADA).curve25519}, {"signatures": {}}, {"fallback": True}])
def test_a_forged_one_time_key_is_refused(forged: Data) -> None:
    """A key that the device has not signed, as it stands, gets no message."""
    device = MemberDevice(ADA, "A")
    devices, _ = devices_of(query(device), [ADA])
    answer = claim(device)
    next(iter(answer["one_time_keys"][ADA]["A"].values())).update(forged)
    keys, distrusted = claimed(answer, devices)
    assert not keys
    assert "forged" in distrusted[0].reason


@pytest.mark.parametrize("key", ["A" * 43, "AQ" + "A" * 41, "nonsense", "AAAA"])
def test_a_key_that_makes_no_session_spoils_only_its_own_device(key: str) -> None:
    """One member's bad key, signed by the device itself, must not keep the message from the others."""
    bad, good = MemberDevice(ADA, "A"), MemberDevice(BEN, "B")
    devices, _ = devices_of(query(bad, good), [ADA, BEN])
    answer = claim(good)
    answer["one_time_keys"][ADA] = {"A": {"signed_curve25519:AAAA": bad.signed({"key": key})}}
    keys, distrusted = claimed(answer, devices)
    assert [device.user_id for device in keys] == [BEN]
    assert [one.device_id for one in distrusted] == ["A"]


# ------------------------------------------------------------------ sealing


def test_a_sealed_message_is_read_by_every_device() -> None:
    """All devices that got the key read the message as it was written, fractions and all."""
    devices = [MemberDevice(ADA), MemberDevice(ADA), MemberDevice(BEN)]
    sealed = sealer().seal(ROOM, "m.room.message", HELLO, keys_of(*devices))
    deliver(sealed, *devices)
    for device in devices:
        assert device.read(sealed.event) == {"type": "m.room.message", "content": HELLO, "room_id": ROOM}
    assert set(sealed.olm) == {f"{device.user_id}|{device.device_id}" for device in devices}


def test_a_device_without_the_key_reads_nothing() -> None:
    """What is not for a device stays closed to it."""
    inside, outside = MemberDevice(ADA), MemberDevice(BEN)
    sealed = sealer().seal(ROOM, "m.room.message", HELLO, keys_of(inside))
    outside.receive(to_bot(inside, sealed.to_device[ADA][inside.device_id]))
    with pytest.raises(Unreadable):
        outside.read(sealed.event)


def test_nothing_secret_is_in_what_is_stored() -> None:
    """Neither text nor session key can be read in a `Sealed`: what is kept is encrypted with the pickle key."""
    device = MemberDevice(ADA)
    sealed = sealer().seal(ROOM, "m.room.message", {"body": "plainly"}, keys_of(device))
    payload = device.receive(to_bot(device, sealed.to_device[ADA][device.device_id]) | {"sender": BOT})
    assert payload
    stored = repr(sealed)
    assert "plainly" not in stored
    assert payload["content"]["session_key"] not in stored


def test_two_sealers_of_one_account_disturb_nothing() -> None:
    """Interleaved sends from two processes, all over one fallback key, are all read, in any order."""
    device = MemberDevice(ADA, one_time_keys=0)
    keys = keys_of(device, kind="fallback_keys")
    first, second = sealer(), sealer()
    sent = [
        one.seal(ROOM, "m.room.message", {"body": f"{number}"}, keys) for number in range(6) for one in (first, second)
    ]
    for sealed in reversed(sent):
        deliver(sealed, device)
    assert [device.read(sealed.event)["content"]["body"] for sealed in sent] == [f"{n}" for n in range(6) for _ in "ab"]
    assert len({sealed.session_id for sealed in sent}) == 12


def test_relations_stay_visible() -> None:
    """The homeserver has to see what a message answers (spec, m.relates_to)."""
    relation = {"m.in_reply_to": {"event_id": "$1"}}
    sealed = sealer().seal(ROOM, "m.room.message", {**HELLO, "m.relates_to": relation}, {})
    assert sealed.event["m.relates_to"] == relation
    assert sealed.to_device == {}


def test_a_later_device_gets_the_stored_key() -> None:
    """From what was stored, by another process, a device that came later reads the message from its beginning."""
    early, late = MemberDevice(ADA), MemberDevice(ADA)
    sealed = sealer().seal(ROOM, "m.room.message", HELLO, keys_of(early))
    messages, olm = sealer().share(ROOM, sealed.session, sealed.session_id, keys_of(late))
    assert list(messages[ADA]) == [late.device_id]
    assert list(olm) == [f"{ADA}|{late.device_id}"]
    payload = late.receive({"sender": BOT, "content": messages[ADA][late.device_id]})
    assert payload
    assert payload["type"] == "m.room_key"
    assert late.read(sealed.event)["content"] == HELLO


def test_a_stored_session_of_another_message_is_not_shared() -> None:
    """Mixed up or unreadable records are refused instead of sending a key that opens nothing."""
    one, other = (sealer().seal(ROOM, "m.room.message", HELLO, {}) for _ in range(2))
    with pytest.raises(Refused):
        sealer().share(ROOM, one.session, other.session_id, {})
    with pytest.raises(Refused):
        sealer().share(ROOM, "nonsense", one.session_id, {})


def test_the_account_opens_only_with_its_key() -> None:
    """Account and pickle key that do not belong together stop, naming the set-up command."""
    for account, key in ((NEW.account, b"x" * 32), (NEW.account, b"short"), ("", KEY)):
        with pytest.raises(Misconfigured) as caught:
            Sealer(BOT, "MUSTER", account, key)
        assert "set-up" in caught.value.fix
    with pytest.raises(Misconfigured):
        make_account(BOT, "MUSTER", b"short")


def test_the_new_account_is_signed_and_has_only_a_fallback_key() -> None:
    """What set-up uploads holds against the rules by which we judge others."""
    device = {"device_keys": {BOT: {"MUSTER": NEW.device_keys}}}
    (found,), distrusted = devices_of(device, [BOT])
    assert not distrusted
    keys, missing = claimed({"one_time_keys": {BOT: {"MUSTER": NEW.fallback_keys}}}, [found])
    assert not missing
    assert len(keys) == 1
    assert all(key["fallback"] is True for key in NEW.fallback_keys.values())
    assert sealer().device_keys == NEW.device_keys
    assert (sealer().ed25519, sealer().curve25519) == (found.ed25519, found.curve25519)


# ------------------------------------------------------------------ replies


def replied(device: MemberDevice, text: str) -> tuple[Data, Data]:
    to_device, event = device.write(ROOM, {"body": text}, NEW.device_keys)
    return to_bot(device, to_device), {"sender": device.user_id, "content": event}


def test_a_reply_is_opened_by_the_kept_session() -> None:
    """By another process, from what was stored; a second reply too, from the old state as well as from the new."""
    device = MemberDevice(ADA)
    sealed = sealer().seal(ROOM, "m.room.message", HELLO, keys_of(device))
    deliver(sealed, device)
    (first_key, first), (second_key, second) = replied(device, "thanks"), replied(device, "again")
    one = sealer().open_to_device(first_key, sealed.olm)
    assert one.room_key
    assert one.olm_name == f"{ADA}|{device.device_id}"
    assert one.is_from(devices_of(query(device), [ADA])[0][0])
    assert "session_key" not in one.content
    assert sealer().open_event(ROOM, first, {one.room_key.session_id: one.room_key}) == {
        "type": "m.room.message",
        "content": {"body": "thanks"},
    }
    for sessions in (sealed.olm, {one.olm_name: one.olm}):
        two = sealer().open_to_device(second_key, sessions)
        assert two.room_key
        said = sealer().open_event(ROOM, second, {two.room_key.session_id: two.room_key})
        assert said["content"] == {"body": "again"}


def test_who_writes_first_is_heard_again_and_again() -> None:
    """A pre-key message over our fallback key opens with the account that never changes, as often as it comes."""
    devices = [MemberDevice(ADA), MemberDevice(BEN)]
    fallback = next(iter(NEW.fallback_keys.values()))["key"]
    for device in devices:
        event = to_bot(device, device.to_bot("m.dummy", {"n": 1}, NEW.device_keys, fallback))
        later = to_bot(device, device.to_bot("m.dummy", {"n": 2}, NEW.device_keys))
        opened = [sealer().open_to_device(one, {}) for one in (event, event, later)]
        assert [one.content["n"] for one in opened] == [1, 1, 2]
        assert {one.user_id for one in opened} == {device.user_id}


def test_a_message_meant_for_another_is_refused() -> None:
    """Names in the plaintext must agree: passing on what somebody else wrote, or wrote to another, fails."""
    device = MemberDevice(ADA)
    fallback = next(iter(NEW.fallback_keys.values()))["key"]
    event = to_bot(device, device.to_bot("m.dummy", {}, NEW.device_keys, fallback))
    with pytest.raises(Invalid):
        sealer().open_to_device(event | {"sender": BEN}, {})
    elsewhere = copy.deepcopy(NEW.device_keys) | {"user_id": BEN}
    with pytest.raises(Invalid):
        sealer().open_to_device(to_bot(device, device.to_bot("m.dummy", {}, elsewhere)), {})


def test_a_message_that_nothing_opens_is_refused() -> None:
    """Without the kept session a reply stays closed, and says so."""
    device = MemberDevice(ADA)
    sealed = sealer().seal(ROOM, "m.room.message", HELLO, keys_of(device))
    deliver(sealed, device)
    key, event = replied(device, "thanks")
    for sessions in ({}, {"x": "nonsense"}, sealer().seal(ROOM, "x", {}, keys_of(MemberDevice(BEN))).olm):
        with pytest.raises(Refused):
            sealer().open_to_device(key, sessions)
    with pytest.raises(Refused):
        sealer().open_event(ROOM, event, {})


@pytest.mark.parametrize(
    "content", [None, {}, {"algorithm": "x"}, {"ciphertext": []}, {"type": 0, "body": 3}, {"type": 0, "body": "!"}]
)
def test_malformed_messages_to_the_bot_are_refused(content: Any) -> None:
    """Any JSON may come by to-device; none of it is more than an error of ours."""
    ours = {sealer().curve25519: content}
    for body in (content, {"algorithm": "m.olm.v1.curve25519-aes-sha2", "sender_key": "x", "ciphertext": ours}):
        with pytest.raises((Invalid, Refused)):
            sealer().open_to_device({"sender": ADA, "content": body}, {})
        with pytest.raises((Invalid, Refused)):
            sealer().open_event(ROOM, {"sender": ADA, "content": body}, {})


def test_a_key_serves_its_sender_and_its_room_alone() -> None:
    """A homeserver cannot show one member's words as another's, or carry them into another room."""
    device = MemberDevice(ADA)
    sealed = sealer().seal(ROOM, "m.room.message", HELLO, keys_of(device))
    deliver(sealed, device)
    to_device, event = replied(device, "thanks")
    key = sealer().open_to_device(to_device, sealed.olm).room_key
    assert key
    for room_id, sender in ((ROOM, BEN), ("!other:a.test", ADA)):
        with pytest.raises(Invalid):
            sealer().open_event(room_id, event | {"sender": sender}, {key.session_id: key})
