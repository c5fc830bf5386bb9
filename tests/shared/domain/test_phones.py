"""Phone numbers as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain import phones
from shared.domain.errors import Invalid

ODD = st.text(alphabet=st.characters() | st.sampled_from("+0123456789()-./ ٣１"), max_size=80)


@pytest.mark.parametrize(
    ("written", "region", "read"),
    [
        ("+49 170 1234567", "", "+491701234567"),
        ("+49 (0)170-123 45 67", "", "+491701234567"),
        ("0049 170 1234567", "US", "+491701234567"),
        ("0170/1234567", "DE", "+491701234567"),
        ("(202) 555-0143", "US", "+12025550143"),
        ("+44 20 7946 0958", "DE", "+442079460958"),
        ("+39 06 1234 5678", "", "+390612345678"),
        ("+٤٩ ١٧٠ ١٢٣٤٥٦٧", "", "+491701234567"),
        ("＋４９１７０１２３４５６７", "", "+491701234567"),
        ("\u202a+49\xa0170\u20111234567\u202c", "", "+491701234567"),
        ("Signal: +49 170 1234567", "", "+491701234567"),
        ("tel:+491701234567", "", "+491701234567"),
        ("https://signal.me/#p/+491701234567", "", "+491701234567"),
        ("", "DE", ""),
        ("   ", "", ""),
        ("-", "", ""),
        ("None", "", ""),
        ("n/a", "DE", ""),
    ],
)
def test_numbers_of_many_hands(written: str, region: str, read: str) -> None:
    """However it is written, it is one number in E.164; "none" in its usual spellings is none."""
    assert phones.e164(written, region) == read


@pytest.mark.parametrize(
    ("written", "region", "what"),
    [
        ("0170 1234567", "", "lacks its country's code"),
        ("+999 1234567", "", "no country's code"),
        ("+1 555 0100", "", "lacks its area code"),
        ("+4930", "", "lacks its area code"),
        ("+33 12", "", "too short"),
        ("+49 30 123456789012345", "", "too long"),
        ("+49 30 1234567 / +49 40 1234567", "", "not one phone number"),
        ("+49 30 1234567 ext 5", "", "not one phone number"),
        ("1-800-FLOWERS", "US", "not one phone number"),
        ("ask her", "DE", "not one phone number"),
        ("ada.42", "", "username"),
        ("https://signal.me/#eu/x_Y-9", "", "username or link"),
        ("+" * 70, "", "not one phone number"),
    ],
)
def test_what_is_wrong_is_said(written: str, region: str, what: str) -> None:
    """On the field that was asked for, with an example of what is right, and without the number itself."""
    with pytest.raises(Invalid) as refused:
        phones.e164(written, region, "attributes.signal_number")
    [(field, message)] = refused.value.errors
    assert field == "attributes.signal_number"
    assert what in message
    assert phones.EXAMPLE in message
    assert written not in message


@given(ODD, st.sampled_from(["", "DE", "US"]))
def test_no_text_is_a_crash(text: str, region: str) -> None:
    """Any text is a number, none, or refused; a number is read as itself when it comes again."""
    try:
        number = phones.e164(text, region)
    except Invalid:
        return
    assert number == "" or phones.is_e164(number)
    assert phones.e164(number) == number


@given(st.text(max_size=60))
def test_numbers_are_hidden(text: str) -> None:
    """What is stored of a bridge's words, shown and logged, has no number in it."""
    for number in ("+491701234567", "0170 123 45 67"):
        assert number not in phones.hidden(f"{text} {number} {text}")
    assert not phones.within(phones.hidden(text))
