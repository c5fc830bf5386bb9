"""Secret storage: the form of a recovery key, and what it locks, held against answers from elsewhere."""

from __future__ import annotations

from typing import Any

import pytest

from shared.adapters.secret_storage import ALGORITHM, RecoveryKey, padded_or_not
from shared.domain.errors import Misconfigured, Refused

# Alice's private key of RFC 7748, section 6.1: what Matrix clients try their recovery keys with.
ALICE = bytes.fromhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
ALICE_TEXT = "EsTc LW2K PGiF wKEA 3As5 g5c4 BXwk qeeJ ZJV8 Q9fu gUMN UE4d"
# Made with another implementation (mautrix 0.21): key, text, the check for a given counter, a locked secret.
OTHER = RecoveryKey(bytes(range(32)))
OTHER_TEXT = "EsSz ykH7 LCZx 7Cae cmKD wcmY JRXi Ybtu 8iQ3 t8Ez nRwK pUY1"
OTHER_CHECK = {"iv": "AAECAwQFBgcICQoLDA0ODw", "mac": "ONrOSgDDUXMzIvXsfYBi1m8m075MdjPldfXCxIpU7IY"}
OTHER_SECRET = "ZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXp7fH1+f4CBgoM"
OTHER_SEALED = {
    "iv": "l0+ZFGtZq3pnm5p1iXQhBw",
    "ciphertext": "IjT/p0/nE6tqxbm89szSN+El0eVgHZyjmCQ6pXfxlgB/J8779UQguPTTdA",
    "mac": "eJCfwBjgckZIXp+cTz+76lhSU2U1f6XMruaaeQ+bRPc",
}
NAME = "m.cross_signing.master"


@pytest.mark.parametrize(("key", "text"), [(ALICE, ALICE_TEXT), (OTHER.key, OTHER_TEXT)])
def test_a_key_and_its_text(key: bytes, text: str) -> None:
    """A recovery key is written as every client writes it, and read back with and without its spaces."""
    assert RecoveryKey(key).text == text
    assert [RecoveryKey.parse(form).key for form in (text, text.replace(" ", ""), f" {text}\n")] == [key] * 3


def test_new_keys() -> None:
    """Each new key is another one, and its text leads back to it."""
    made = [RecoveryKey.make() for _ in range(50)]
    assert len({key.key for key in made}) == 50
    assert all(RecoveryKey.parse(key.text) == key for key in made)
    assert all(key.text.startswith("Es") and len(key.text) == 59 for key in made)


@pytest.mark.parametrize("place", range(0, 59, 7))
def test_a_typing_error_is_seen(place: int) -> None:
    """One wrong letter anywhere is refused by the parity byte (or by what is fixed), in words without the key."""
    wrong = ALICE_TEXT[:place] + ("z" if ALICE_TEXT[place] != "z" else "y") + ALICE_TEXT[place + 1 :]
    if ALICE_TEXT[place] == " ":
        wrong = ALICE_TEXT[:place] + "z" + ALICE_TEXT[place + 1 :]
    with pytest.raises(Misconfigured, match="MATRIX_RECOVERY_KEY") as refused:
        RecoveryKey.parse(wrong)
    assert wrong not in f"{refused.value.cause} {refused.value.fix}"


@pytest.mark.parametrize("text", ["", " ", "hunter2", "0OIl" * 12, "1" * 48, "z" * 49, "Es" + "1" * 5000, "Esé"])
def test_what_is_no_key_at_all(text: str) -> None:
    """A password, other alphabets, and what is too short or too long are refused."""
    with pytest.raises(Misconfigured):
        RecoveryKey.parse(text)


def test_other_prefixes_are_refused() -> None:
    """35 bytes that do not begin as a recovery key must, though their parity holds, are refused."""
    from shared.adapters.secret_storage import _parity, _to_base58

    raw = b"\x8b\x02" + ALICE
    with pytest.raises(Misconfigured):
        RecoveryKey.parse(_to_base58(raw + bytes([_parity(raw)])))


@pytest.mark.parametrize("padding", ["", "="])
def test_a_foreign_description(padding: str) -> None:
    """The check that another client has stored fits its key alone, with or without padding."""
    padded = {"iv": OTHER_CHECK["iv"] + 2 * padding, "mac": OTHER_CHECK["mac"] + padding}
    assert OTHER.opens({"algorithm": ALGORITHM, **padded})
    assert not RecoveryKey(ALICE).opens({"algorithm": ALGORITHM, **padded})


def test_a_description_without_a_check() -> None:
    """The specification leaves the check out of some: then the secrets themselves decide."""
    assert OTHER.opens({"algorithm": ALGORITHM})


@pytest.mark.parametrize("broken", [{"iv": "*"}, {"mac": "*"}, {"iv": "AAAA"}, {"mac": 7}])
def test_a_broken_description_opens_with_nothing(broken: dict[str, Any]) -> None:
    """A check that is no check fits no key."""
    assert not OTHER.opens({"algorithm": ALGORITHM, **OTHER_CHECK, **broken})


def test_an_unknown_algorithm_is_named() -> None:
    """Storage that is locked in a way we do not know is left alone."""
    with pytest.raises(Refused, match="algorithm"):
        OTHER.opens({"algorithm": "m.secret_storage.v2"})


def test_a_foreign_secret() -> None:
    """What another client has locked opens, and only under its own name."""
    assert OTHER.unseal(NAME, OTHER_SEALED) == OTHER_SECRET
    with pytest.raises(Refused, match="does not open"):
        OTHER.unseal("m.cross_signing.self_signing", OTHER_SEALED)


def test_own_secrets() -> None:
    """What we lock opens again, differs each time, and has bit 63 of its counter cleared."""
    sealed = [OTHER.seal(NAME, OTHER_SECRET) for _ in range(20)]
    assert {OTHER.unseal(NAME, each) for each in sealed} == {OTHER_SECRET}
    assert len({each["ciphertext"] for each in sealed}) == 20
    assert all(padded_or_not(each["iv"])[8] < 0x80 for each in sealed)
    own = OTHER.description()
    assert OTHER.opens(own)
    assert not RecoveryKey(ALICE).opens(own)


@pytest.mark.parametrize(
    "change", [{"mac": OTHER_SEALED["iv"]}, {"ciphertext": OTHER_SEALED["mac"]}, {"iv": "AA"}, {"iv": None}]
)
def test_a_changed_secret_does_not_open(change: dict[str, Any]) -> None:
    """Another ciphertext, check or counter is refused, in words that name the secret."""
    with pytest.raises(Refused, match=NAME):
        OTHER.unseal(NAME, OTHER_SEALED | change)
    with pytest.raises(Refused, match=NAME):
        OTHER.unseal(NAME, {})


def test_a_key_does_not_show_itself() -> None:
    """Neither key nor text stands in what a log would write of it."""
    assert ALICE_TEXT not in repr(RecoveryKey(ALICE))
    assert str(ALICE) not in repr(RecoveryKey(ALICE))
