"""What Authentik's webhook says, in both shapes: our mapping's, and its default without one."""

from __future__ import annotations

import ast
import hashlib
from typing import Any

from msgspec import Struct

from shared.domain.errors import Invalid


class Notice(Struct, frozen=True):
    """`enrolled`: a user was newly created by a flow. `pk` is None where only the username is known."""

    event_id: str
    action: str
    enrolled: bool
    pk: int | None = None
    username: str = ""


def parse(body: dict[str, Any], raw: bytes) -> Notice:
    """Raises `Invalid`. `raw` gives an event without an id one that its retries share."""
    if "event_id" in body or "action" in body:
        return _mapped(body)
    if isinstance(body.get("body"), str) and "event_user_username" in body:
        return _default(body, raw)
    raise Invalid("this is no notification of Authentik", [("event_id", "expected by our property mapping")])


def _mapped(body: dict[str, Any]) -> Notice:
    event_id, action = body.get("event_id"), body.get("action")
    if not isinstance(event_id, str) or not 0 < len(event_id) <= 200 or not event_id.isprintable():
        raise Invalid.field("event_id", "expected the event's id")
    if not isinstance(action, str) or not 0 < len(action) <= 200 or not action.isprintable():
        raise Invalid.field("action", "expected the event's action")
    context = body.get("context")
    if action != "user_write" or not isinstance(context, dict) or context.get("created") is not True:
        return Notice(event_id, action, enrolled=False)
    username = context.get("username")
    user = body.get("user")
    user = user if isinstance(user, dict) else {}
    if not isinstance(username, str) or not username:
        username = user.get("username")
    if not isinstance(username, str) or not 0 < len(username) <= 150 or not _is_text(username):
        raise Invalid.field("context.username", "expected the username of the new account")
    pk = user.get("pk")
    # The event's user is who acted: the new account itself in a flow, but nothing says so for ever.
    about = (
        pk
        if isinstance(pk, int) and not isinstance(pk, bool) and 0 < pk < 2**31 and user.get("username") == username
        else None
    )
    return Notice(event_id, action, enrolled=True, pk=about, username=username)


def _is_text(value: str) -> bool:
    """Halves of characters, which JSON can hold and nothing can store, are none."""
    return not any(0xD800 <= ord(char) <= 0xDFFF for char in value)


def _default(body: dict[str, Any], raw: bytes) -> Notice:
    """`body` is "user_write: {...}" with a Python repr, which is read as a literal and nothing else."""
    action, _, rest = body["body"].partition(": ")
    event_id = f"default-{hashlib.sha256(raw).hexdigest()[:32]}"
    try:
        context = ast.literal_eval(rest) if action == "user_write" else None
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        context = None
    username = context.get("username") if isinstance(context, dict) else None
    if not isinstance(username, str) or not 0 < len(username) <= 150 or not _is_text(username):
        username = ""
    if not isinstance(context, dict) or context.get("created") is not True or not username:
        return Notice(event_id, action[:100] if _is_text(action) else "", enrolled=False)
    return Notice(event_id, action, enrolled=True, username=username)
