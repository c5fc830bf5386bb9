"""Values that no field may take, by kind of field."""

from __future__ import annotations

from typing import Any

NAN = float("nan")
NOT_TEXT: list[Any] = [5, 1.5, True, [], ["a"], {}]
UNREADABLE = ["a\x00b", "a\x1bb", "a\x7fb", "\ud800", "a\udfffb"]


def text(longest: int) -> list[Any]:
    return [*NOT_TEXT, *UNREADABLE, None, "x" * (longest + 1)]


def label(longest: int) -> list[Any]:
    """Text that must be there."""
    return [*text(longest), "", "   "]


MATRIX_IDS: list[Any] = [
    *NOT_TEXT,
    *UNREADABLE,
    None,
    "ada",
    "ada:example.org",
    "@ada",
    "@:example.org",
    "@ada:",
    "@ada bee:example.org",
    "@ada:exa mple.org",
    "@ada:example.org:port",
    "@jos\u00e9:example.org",
    "!room:example.org",
    "#room:example.org",
    "@" + "a" * 255 + ":example.org",
]
ROOM_IDS: list[Any] = [
    "",
    "!",
    "ops",
    "#ops",
    "#:example.org",
    "#ops:",
    "@ada:example.org",
    "!a b:example.org",
    "#o ps:example.org",
    "!\x00:example.org",
    "!\ud800",
    "!" + "a" * 255,
    None,
    5,
    {},
    ["!a:b"],
]
ROOMS: list[Any] = [None, 5, "!a:example.org", {}, *([room] for room in ROOM_IDS), ["!a:example.org"] * 101]
GROUPS: list[Any] = [None, 5, "staff", {}, [""], [None], [5], ["\ud800"], ["g" * 101], [f"g{n}" for n in range(51)]]
EMAILS: list[Any] = [
    *NOT_TEXT,
    *UNREADABLE,
    None,
    "ada",
    "ada@",
    "@example.org",
    "ada@example",
    "a da@example.org",
    "ada@@example.org",
    "ada@example.org, bob@example.org",
    "a" * 250 + "@example.org",
]
SWITCHES: list[Any] = [None, 0, 1, "true", "yes", [], {}]
HOURS: list[Any] = [0, -1, NAN, float("inf"), -float("inf"), 8785, 10**400, "24", True, [], {}, 1e-300]
TIMES: list[Any] = [
    "",
    "tomorrow",
    "2001-01-01T00:00:00Z",
    "2999-01-01T00:00:00Z",
    "2030-01-01",
    "2030-01-01T00:00:00",
    "9999-12-31T23:59:59-14:00",
    "0001-01-01T00:00:00+14:00",
    1_900_000_000,
    1e300,
    True,
    [],
    {},
]
BUNDLES: list[Any] = [
    None,
    5,
    "garden",
    {},
    [""],
    [None],
    [5],
    ["\ud800"],
    ["b" * 101],
    [f"b{n}" for n in range(51)],
    ["no"],
]
LEVELS: list[Any] = [
    None, 5, "50", [], {"*": "50"}, {"*": 50.5}, {"*": -1}, {"*": 101}, {"*": True}, {"*": None}, {"": 50},
    {"!other:b.test": 50}, {"x" * 256: 50}, {"\ud800": 50}, {f"!{n}": 50 for n in range(101)},
]  # fmt: skip
USES: list[Any] = [0, -1, 10_001, 10**400, 1.5, NAN, "2", True, None, [], {}]

INVITE: dict[str, list[Any]] = {
    "label": label(100),
    "rooms": ROOMS,
    "groups": GROUPS,
    "bundles": BUNDLES,
    "email": EMAILS,
    "matrix_id": MATRIX_IDS,
    "max_uses": USES,
    "note": text(4000),
    "sponsor": text(200),
    "expires_in_hours": HOURS,
    "expires_at": TIMES,
    "extra": [1],
}
USER: dict[str, list[Any]] = {
    "first_name": label(100),
    "last_name": text(200),
    "email": EMAILS,
    "username": [*text(200), "Ada", "-ada", "a b", "jos\u00e9", "a" * 65, "ada/bee"],
    "groups": GROUPS,
    "rooms": ROOMS,
    "bundles": BUNDLES,
    "interests": text(4000),
    "matrix_id": MATRIX_IDS,
    "organization": text(200),
    "intro": text(4000),
    "signal_number": [*text(200), "030 1234567", "+999 1234567", "+49 30", "ask her", "ada.42", "+1 555 0100"],
    "invited_by": text(200),
    "skip_indoc_removal": SWITCHES,
    "send_welcome": SWITCHES,
    "password": ["hunter2"],
}
USER_CHANGES: dict[str, list[Any]] = {
    "name": label(100),
    "email": EMAILS,
    "groups": GROUPS,
    "attributes": [
        None,
        5,
        "a",
        [],
        {"a": []},
        {"a": {}},
        {"a": NAN},
        {"a": float("inf")},
        {"a": "\ud800"},
        {"a": "x" * 4001},
        {"": "a"},
        {"\ud800": "a"},
        {"a\x00": "a"},
        {"k" * 101: "a"},
        {f"k{n}": "a" for n in range(51)},
        {"muster_invite": "inv_other"},
        {"muster_user": "usr_other"},
        {"signal_number": "ask her"},
    ],
    "username": ["other"],
    "is_superuser": [True],
}
ONBOARD: dict[str, list[Any]] = {
    "matrix_id": MATRIX_IDS,
    "rooms": ROOMS,
    "bundles": BUNDLES,
    "skip_indoc_removal": [value for value in SWITCHES if value is not None],
    "send_welcome": [value for value in SWITCHES if value is not None],
    "extra": [1],
}
BUNDLE: dict[str, list[Any]] = {
    "name": label(100),
    "rooms": ROOMS,
    "groups": GROUPS,
    "for_groups": GROUPS,
    "levels": LEVELS,
    "removes": SWITCHES,
    "space_first": SWITCHES,
    "extra": [1],
}
STEP: list[Any] = [*NOT_TEXT, *UNREADABLE, None, ""]
RETRY: dict[str, list[Any]] = {"steps": [None, "hello", 5, {}, *([step] for step in STEP), ["a"] * 201], "extra": [1]}
SKIP: dict[str, list[Any]] = {"step": STEP, "reason": label(100), "extra": [1]}
KEYWORDS: list[Any] = [None, 5, "hiking", {}, [""], ["?!"], [5], ["\ud800"], ["k" * 101], [f"k{n}" for n in range(201)]]
CATEGORY: dict[str, list[Any]] = {
    "name": [*label(100), "?!", "\U0001f3b2"],
    "keywords": KEYWORDS,
    "synonyms": [
        *(None, 5, "hiking", []),
        *({"hiking": words} for words in [None, "trail", [], [""], ["?!"], ["t"] * 13]),
        *({word: ["trail"]} for word in ["", "?!", "__hiking__", "\ud800", "k" * 101]),
        {f"k{n}": ["trail"] for n in range(201)},
    ],
    "rooms": [*(rooms for rooms in ROOMS if not isinstance(rooms, list) or len(rooms) == 1), ["!a:b"] * 1001],
    "extra": [1],
}
REVISIONS: list[Any] = [None, 0, -1, 1.5, "1", True, [], {}, 10**400]
INTERESTED: dict[str, list[Any]] = {
    "interests": [*NOT_TEXT, *UNREADABLE, None, "x" * 10_001],
    "limit": [None, 0, -1, 51, 1.5, "5", True, [], {}],
    "extra": [1],
}
ROOMS_INVITE: dict[str, list[Any]] = {"matrix_id": [*MATRIX_IDS, ""], "rooms": [*ROOMS, []], "extra": [1]}
ROOMS_REMOVE: dict[str, list[Any]] = {
    "matrix_id": [*MATRIX_IDS, ""],
    "rooms": [*(rooms for rooms in ROOMS if rooms is not None), []],
    "reason": label(100),
    "message": text(4000),
    "message_required": SWITCHES,
    "template": text(200),
    "extra": [1],
}
OFFBOARD: dict[str, list[Any]] = {
    "reason": label(100),
    "message": text(4000),
    "message_required": SWITCHES,
    "template": text(200),
    "keep_rooms": ROOMS,
    "matrix_ids": [None, "x", 5, {}, *([member] for member in (*MATRIX_IDS, "")), ["@ada:example.org"] * 11],
    "extra": [1],
}
REASON: dict[str, list[Any]] = {
    "label": label(100),
    "reason": [*label(300), "{you}"],
    "message": [*text(4000), "{you}"],
    "extra": [1],
}
PAUSE: dict[str, list[Any]] = {
    "hours": [value for value in HOURS if value is not None],
    "until": [*TIMES],
    "extra": [1],
}
