"""What is kept of the bot's device, as one text."""

from __future__ import annotations

import base64
import json

import pytest

from shared.domain.device_account import DeviceAccount, pickle_key
from shared.domain.errors import Misconfigured

KEPT = DeviceAccount(
    user_id="@muster:example.org",
    device_id="DEVICE",
    ed25519="fingerprint",
    account="pickled",
    fallback_keys={"signed_curve25519:AAAA": {"key": "k", "fallback": True, "signatures": {"ü": {}}}},
    access_token="syt_token",
)


def test_the_text_leads_back() -> None:
    """The text is one word of ASCII, fit for an environment file, and holds everything."""
    assert DeviceAccount.parse(KEPT.text) == KEPT
    assert KEPT.text.isascii()
    assert not set(KEPT.text) & set(" \n\"'$#")


def test_an_older_text_is_read() -> None:
    """A text without what a later release has added, or with more, is read."""
    data = {**KEPT.data(), "later": 1}
    del data["access_token"]
    assert DeviceAccount.parse(base64.b64encode(json.dumps(data).encode()).decode()).access_token == ""


@pytest.mark.parametrize(
    "text", ["", "x", "é", "bm8=", base64.b64encode(b"[1]").decode(), base64.b64encode(b'{"v":1}').decode()]
)
def test_what_is_no_account(text: str) -> None:
    """Anything else is refused in words that name the setting and the command."""
    with pytest.raises(Misconfigured, match="MATRIX_DEVICE_ACCOUNT") as refused:
        DeviceAccount.parse(text)
    assert "scripts/setup matrix" in refused.value.fix


def test_the_pickle_key_has_32_bytes() -> None:
    """Just 32 bytes in base64 are a key."""
    assert pickle_key(base64.b64encode(b"k" * 32).decode()) == b"k" * 32
    for wrong in ("", "x", "é", base64.b64encode(b"k" * 31).decode()):
        with pytest.raises(Misconfigured, match="32 bytes"):
            pickle_key(wrong)


def test_it_does_not_show_itself() -> None:
    """Neither token nor account stands in what a log would write of it."""
    assert "syt_token" not in repr(KEPT)
    assert "pickled" not in repr(KEPT)
