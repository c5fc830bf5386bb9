"""The homeserver's part of the self-check: what would go wrong at the next onboarding, and what to do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Protocol

from shared.adapters.matrix_client import ADMIN, CLIENT, StrictClient, path_of
from shared.bounded import each
from shared.domain.errors import MusterError, NotFound, Refused
from shared.ports import CREATOR, Finding, Power, Room

MAX_SKEW = 60.0
"""Seconds. Signatures and tokens tolerate a few minutes; a minute is the time to speak up."""
AT_ONCE = 4
SET_UP = "scripts/setup bot"
UNLIMITED = {"messages_per_second": 0, "burst_count": 0}
_LIMITED = "limits apply: the 6th room of a new member waits minutes"


class Checked(Protocol):
    """The parts of `MatrixChat` that are looked through."""

    user_id: str

    @property
    def client(self) -> StrictClient: ...
    async def room(self, room_id: str) -> Room: ...
    async def power(self, room_id: str, target: str = "") -> Power: ...


async def self_check(chat: Checked, rooms: Sequence[str], indoc: str) -> list[Finding]:
    """Never raises one of our errors: each becomes a finding. Without a token that works it ends there."""
    try:
        said = await chat.client.call("GET", path_of(CLIENT, "account", "whoami"))
    except Refused as error:
        anew = f"{error.fix} With MATRIX_PASSWORD set, scripts/setup matrix --new-device logs in anew.".strip()
        return [Finding("matrix token", False, error.cause, anew, "scripts/setup matrix --new-device")]
    except MusterError as error:
        return [_failed("matrix token", error)]
    wanted = dict.fromkeys([*([indoc] if indoc else []), *rooms])
    looks = each(wanted, lambda room_id: _room(chat, room_id, room_id == indoc), AT_ONCE)
    limiter, found = await asyncio.gather(_limiter(chat), looks)
    return [_token(said.data, chat.user_id), clock(said.headers, datetime.now(UTC)), limiter, *found]


def _token(said: Mapping[str, Any], user_id: str) -> Finding:
    if said.get("user_id") == user_id:
        return Finding("matrix token", True, f"signed in as {user_id}, device {said.get('device_id') or 'none'}")
    detail = f"the token belongs to {said.get('user_id')}, the settings say {user_id}"
    return Finding("matrix token", False, detail, "Make MATRIX_USER_ID and MATRIX_ACCESS_TOKEN those of one account.")


def clock(headers: Mapping[str, str], now: datetime) -> Finding:
    """From the Date header, which every homeserver behind a usual proxy sends."""
    try:
        skew = (now - parsedate_to_datetime(headers["Date"])).total_seconds()
    except (KeyError, ValueError, TypeError):
        return Finding("matrix clock", True, "the homeserver does not say what time it is")
    if abs(skew) <= MAX_SKEW:
        return Finding("matrix clock", True, "agrees with the homeserver's to the minute")
    which = "ahead of" if skew > 0 else "behind"
    return Finding("matrix clock", False, f"{abs(skew):.0f} s {which} the homeserver's", "Set both clocks by NTP.")


async def _limiter(chat: Checked) -> Finding:
    path = path_of(ADMIN, "users", chat.user_id, "override_ratelimit")
    body = json.dumps(UNLIMITED)
    fix = f"{SET_UP} does it with a server admin's token; or let a server admin make this call once: POST {path} {body}"
    try:
        override = (await chat.client.call("GET", path)).data
    except (Refused, NotFound):
        detail = (
            "not visible to the bot; if nobody lifted them, limits apply: the 6th room of a new member waits minutes"
        )
        return Finding("matrix limiter", False, detail, fix, SET_UP)
    except MusterError as error:
        return _failed("matrix limiter", error)
    if override.get("messages_per_second") == 0:
        return Finding("matrix limiter", True, "lifted for the bot")
    return Finding("matrix limiter", False, _LIMITED, fix, SET_UP)


async def _room(chat: Checked, room_id: str, is_indoc: bool) -> Finding:
    try:
        room, power = await asyncio.gather(chat.room(room_id), chat.power(room_id))
    except (Refused, NotFound):
        detail = f"{chat.user_id} is not in the room {room_id}, or there is none of that id"
        fix = f"Invite the bot to the room (/invite {chat.user_id}), then let {SET_UP} join it."
        return Finding(f"matrix room {room_id}", False, detail, fix, f"/invite {chat.user_id}")
    except MusterError as error:
        return _failed(f"matrix room {room_id}", error)
    name = room.name or room.alias or room_id
    return _levels(name, power, is_indoc, chat.user_id)


def _levels(name: str, power: Power, is_indoc: bool, user_id: str) -> Finding:
    mine = "the power of a creator" if power.ours >= CREATOR else f"power {power.ours}"
    words = ", ".join(f"{act} needs {level}" for act, level in power.needs(indoc=is_indoc).items())
    missing = power.lacking(indoc=is_indoc)
    fix = "" if missing is None else f"{give_power(name, user_id, missing)} {SET_UP} says how else."
    command = "" if missing is None else op(user_id, missing)
    return Finding(f"matrix room {name}", missing is None, f"the bot has {mine}; {words}", fix, command)


def op(user_id: str, level: int) -> str:
    """For a Matrix client: it is Element's."""
    return f"/op {user_id} {level}"


def give_power(room: str, user_id: str, level: int) -> str:
    """Nobody can raise their own power."""
    return (
        f"Give the bot power level {level} or more in {room}: an admin of the room writes {op(user_id, level)} there."
    )


def _failed(name: str, error: MusterError) -> Finding:
    return Finding(name, False, error.cause, error.fix)
