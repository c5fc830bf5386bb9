"""A homeserver's answer as JSON, whatever members have sent through it.

A homeserver may take from somebody what is nested just as deep as it can bear itself (seen with Synapse: 940 levels),
and hand it on within its own answer, where that is too deep for us. Then no later /sync could be read.
"""

from __future__ import annotations

import json
import re
from typing import Any

DEEPEST = 100
"""Levels that are kept, where all of them are too many. Nothing of Matrix's own has more than twenty."""
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]]', re.DOTALL)


def parsed(body: bytes) -> Any:
    """None when it is no JSON."""
    try:
        return _loaded(body)
    except RecursionError:
        return _loaded(shallow(body.decode("utf-8", "replace")))


def _loaded(text: bytes | str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def shallow(text: str) -> str:
    """The same JSON with null in the place of what is nested deeper."""
    depth, at, kept = 0, 0, []
    for token in _TOKEN.finditer(text):
        if token.group() in ("{", "["):
            depth += 1
            if depth == DEEPEST + 1:
                kept.append(text[at : token.start()])
        elif token.group() in ("}", "]"):
            if depth == DEEPEST + 1:
                kept.append("null")
                at = token.end()
            depth -= 1
    return "".join([*kept, text[at:] if depth <= DEEPEST else "null"])
