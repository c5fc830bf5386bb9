"""Private texts, kept locked."""

from __future__ import annotations

import base64

import pytest

from shared.adapters.locking import lock, unlock
from shared.domain.errors import Refused

KEY = b"k" * 32


@pytest.mark.parametrize("text", ["", "thank you", "ä" * 9000, "\x00 {}"])
def test_what_was_locked_opens_again(text: str) -> None:
    """With the same key, about the same thing; and what is kept shows nothing of it."""
    locked = lock(KEY, text, "$event")
    assert unlock(KEY, locked, "$event") == text
    assert not text or text.encode() not in base64.b64decode(locked)
    assert lock(KEY, text, "$event") != locked


def test_half_a_character_locks_too() -> None:
    """Text that no encoding knows is kept as well as it can be."""
    assert unlock(KEY, lock(KEY, "a\ud800b", "$event"), "$event") == "a?b"


def test_nothing_else_opens_it() -> None:
    """Another key, another event, a changed byte, another version and no base64 are refused, without a word of the text."""
    locked = lock(KEY, "thank you", "$event")
    raw = base64.b64decode(locked)
    changed = [raw[:-1] + bytes([raw[-1] ^ 1]), b"\x02" + raw[1:], raw[:5], b""]
    tries = [(b"x" * 32, locked, "$event"), (KEY, locked, "$other"), (KEY, "%", "$event")]
    tries += [(KEY, base64.b64encode(bad).decode(), "$event") for bad in changed]
    for key, text, about in tries:
        with pytest.raises(Refused) as caught:
            unlock(key, text, about)
        assert caught.value.code == "LOCKED"
        assert "thank" not in caught.value.cause
