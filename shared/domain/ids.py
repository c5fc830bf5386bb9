"""Where every id comes from. What is derived is derived the same way by webhook, sweep and API."""

from __future__ import annotations

import hashlib
import hmac


def digest(*parts: str, length: int = 24) -> str:
    """Of parts that may hold anything: each is led by its length, so that no two lists meet."""
    joined = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.sha256(joined.encode()).hexdigest()[:length]


def onboarding_id(uid: str) -> str:
    """From Authentik's `uid`, so that one account can never have two onboardings."""
    return f"ob_{digest('onboarding', uid)}"


def keyed_id(prefix: str, caller: str, route: str, key: str) -> str:
    """Of a resource made under an `Idempotency-Key`: a repeat finds the first one."""
    return f"{prefix}_{digest('idempotency', caller, route, key)}"


def room_step(room: str) -> str:
    """A step's name is a document's id: it must hold no slash (an alias may)."""
    return f"room:{_escaped(room)}"


def level_step(room: str) -> str:
    return f"level:{_escaped(room)}"


def _escaped(room: str) -> str:
    return room.replace("%", "%25").replace("/", "%2F")


def task_name(parent: str, step: str, generation: int) -> str:
    """Cloud Tasks blocks a used name for up to 24 h, so each new try is a new generation."""
    return f"{digest('task', parent, step, length=32)}-{generation}"


def transaction_id(parent: str, step: str, user_id: str) -> str:
    """Of one step's message to one member; it also marks the message, so that it can be found."""
    return f"muster.{digest('transaction', parent, step, user_id, length=32)}"


def mail_step(address: str) -> str:
    """One for each recipient, however they spell their address; it does not show the address."""
    return f"email:{digest('address', address.casefold(), length=16)}"


def mail_id(parent: str, step: str) -> str:
    """Of one step's e-mail: each try of it has the same one."""
    return f"muster.{digest('mail', parent, step, length=32)}"


def direct_alias(salt: str, user_id: str, nth: int = 0) -> str:
    """Keyed: an alias is public, and must not tell a stranger who has been written to. `nth`: of the rooms that the
    bot has had with this member; each has an alias of its own."""
    return f"muster-direct-{_keyed(salt, f'{user_id} {nth}' if nth else user_id)}"


def notice_alias(salt: str, user_id: str) -> str:
    """Of the room for what is not encrypted: another one, which nothing leads to from the first."""
    return f"muster-notice-{_keyed(salt, f'notice {user_id}')}"


def phone_id(salt: str, number: str) -> str:
    """Keyed: there are so few numbers that anybody could try them all."""
    return _keyed(salt, f"phone {number}")


def _keyed(salt: str, text: str) -> str:
    return hmac.new(salt.encode(), text.encode(), "sha256").hexdigest()[:24]


def direct_path(matrix_id: str) -> str:
    return f"direct_rooms/{digest('direct', matrix_id)}"


def notice_path(matrix_id: str) -> str:
    """Of the room for what is not encrypted: there once the notice was sent."""
    return f"direct_rooms/{digest('notice', matrix_id)}"
