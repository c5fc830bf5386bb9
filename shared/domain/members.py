"""Who a member is: a username that people can say, and a Matrix id that we may trust."""

from __future__ import annotations

import re
from typing import Literal, NewType

from anyascii import anyascii
from msgspec import Struct

from shared.domain.errors import Invalid

MemberId = NewType("MemberId", str)
"""A Matrix id that was checked for its shape."""

LOCALPART = re.compile(r"[a-z0-9._=/+-]+")
USERNAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
USERNAME_FORM = "expected 1 to 64 of a-z, 0-9, dot, dash and underscore"
WORDS = (
    "acorn amber apple aspen autumn badger bamboo basil beacon birch bison breeze brook cactus candle canyon "
    "cedar cherry clover cobalt comet copper coral cotton cricket crystal daisy dawn delta dolphin dune eagle "
    "echo ember falcon fern finch fjord flint forest fox garnet ginger glacier granite grove harbor hazel heron "
    "hollow honey iris island ivory ivy jade jasper juniper kelp kestrel kite lagoon lake lantern lark laurel "
    "lemon lilac linden lotus lynx maple marble marsh meadow mint mist moss nectar nutmeg oak oasis ocean olive "
    "onyx opal orchid otter owl panda pearl pebble pepper pine plum pond poppy prairie quail quartz rain raven "
    "reed ridge river robin rose ruby saffron sage sand sierra silver sky snow sparrow spruce star stone summit "
    "swan teal thistle tiger topaz tulip valley violet walnut willow wren"
).split()


def member_id(value: str, field: str = "matrix_id") -> MemberId:
    """Checks the shape (`@localpart:server`, at most 255 characters). Raises `Invalid`."""
    if len(value) > 255 or not re.fullmatch(r"@[!-9;-~]+:[A-Za-z0-9.\-]+(:[0-9]{1,5})?", value):
        raise Invalid.field(field, "expected a Matrix id such as @ada:example.org")
    return MemberId(value)


def folded(name: str) -> str:
    """A name as ASCII letters and digits: José is jose, 李 is li; nothing left is "member"."""
    letters = re.sub(r"[^a-z0-9]+", "", anyascii(name.strip().split(" ")[0] if name.strip() else "").lower())
    return letters[:24] or "member"


def suggested_username(first_name: str, roll: int) -> str:
    """`{first}-{word}{nn}`; `roll` (any large random number) picks the word and the number."""
    word = WORDS[roll % len(WORDS)]
    return f"{folded(first_name)}-{word}{10 + roll // len(WORDS) % 90}"


class MatrixIdentity(Struct, frozen=True):
    """`given_by`: "admin", "username" (derived), or "nobody": then `problem` says why it waits."""

    matrix_id: str
    given_by: Literal["admin", "username", "nobody"]
    problem: str = ""


def identify(username: str, domain: str, given: str = "", claimed: str = "") -> MatrixIdentity:
    """`given`: by an admin, so trusted. `claimed`: from the account's attributes, which a member may
    have written: trusted only when it is what the username gives anyway. A stranger's id
    written there would have us invite that stranger into private rooms."""
    if given:
        return MatrixIdentity(member_id(given), "admin")
    if not LOCALPART.fullmatch(username) or len(username) + len(domain) > 253:
        # A homeserver folds such names in its own way: guessing could name somebody else.
        return MatrixIdentity("", "nobody", f"the username {username!r} cannot be a Matrix id as it stands")
    derived = f"@{username}:{domain}"
    if claimed and claimed != derived:
        return MatrixIdentity("", "nobody", f"the account itself names {claimed!r} as its Matrix id")
    return MatrixIdentity(derived, "username")
