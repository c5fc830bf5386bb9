"""The bot's place on its homeserver: what is well, what it can mend itself, and what only others can mend.

Looking changes nothing. What `mend` names is done by `Bot` itself, and can be done again without harm.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Literal, Protocol

from msgspec import Struct

from shared.domain.errors import Misconfigured, MusterError, NotFound, Refused
from shared.ports import Identity, Power, Room

NEW_DEVICE = (
    "Set a MATRIX_ACCESS_TOKEN that works; or MATRIX_PASSWORD, for one run of scripts/setup matrix --new-device."
)


class Bot(Protocol):
    """See `shared.adapters.matrix_bot.BotHands`."""

    user_id: str

    async def whoami(self) -> Identity: ...
    async def resolve(self, alias: str) -> str | None: ...
    async def way_into(self, room_id: str) -> Literal["inside", "invited", "public", "closed"]: ...
    async def join(self, room_id: str) -> None: ...
    async def room(self, room_id: str) -> Room: ...
    async def power(self, room_id: str, target: str = "") -> Power: ...
    async def unlimited(self) -> bool | None: ...
    async def lift_limits(self) -> None: ...
    def how_to_raise(self, room_id: str, name: str, level: int) -> str: ...
    def how_to_lift(self) -> str: ...


class Point(Struct, frozen=True):
    """`mend`: what could be done here and now, in words, and `act` doing it. `fix`: what a person must do instead."""

    name: str
    ok: bool
    detail: str
    fix: str = ""
    mend: str = ""
    act: Callable[[], Awaitable[None]] | None = None


async def look(bot: Bot, rooms: Sequence[str], indoc: str) -> list[Point]:
    """Rooms by id or alias. Raises `Refused` for a dead token, `Misconfigured` for another's, `TryLater`."""
    token = await _token(bot)
    wanted = dict.fromkeys([*([indoc] if indoc else []), *rooms])
    return [token, *[await _room(bot, room, indoc=room == indoc) for room in wanted], await _limits(bot)]


async def _token(bot: Bot) -> Point:
    try:
        who = await bot.whoami()
    except Refused as error:
        raise Refused(error.cause, NEW_DEVICE, error.code) from error
    if who.user_id != bot.user_id:
        cause = f"MATRIX_USER_ID is {bot.user_id}, and the token is one of {who.user_id}"
        raise Misconfigured(cause, "Make MATRIX_USER_ID and MATRIX_ACCESS_TOKEN those of one account.")
    return Point("token", True, f"signed in as {who.user_id}, device {who.device_id or 'none'}")


async def _room(bot: Bot, wanted: str, *, indoc: bool) -> Point:
    """One that cannot be looked at is a point of its own, and hides no other."""
    title = f"{'INDOC' if indoc else 'room'} {wanted}"
    try:
        room_id = await bot.resolve(wanted) if wanted.startswith("#") else wanted
        if room_id is None:
            setting = "MATRIX_INDOC_ROOM_ID" if indoc else "MATRIX_DEFAULT_ROOMS"
            return Point(title, False, "no room has this alias", f"Correct {setting}, or give the room its alias.")
        way = await bot.way_into(room_id)
        if way == "inside":
            return await _power(bot, room_id, title, indoc=indoc)
    except (Refused, NotFound) as error:
        return Point(title, False, error.cause, error.fix)
    if way == "closed":
        fix = f"Somebody in the room writes there: /invite {bot.user_id} -- then run this again."
        return Point(title, False, "the bot is not in it, and not invited; or there is no such room", fix)
    why = "it is invited" if way == "invited" else "anybody may join"
    return Point(title, False, f"the bot is not in it, but {why}", mend=f"join {wanted}", act=lambda: bot.join(room_id))


async def _power(bot: Bot, room_id: str, title: str, *, indoc: bool) -> Point:
    room, power = await bot.room(room_id), await bot.power(room_id)
    name = room.name or room.alias or room_id
    words = ", ".join(f"{act} needs {level}" for act, level in power.needs(indoc=indoc).items())
    level = power.lacking(indoc=indoc)
    if level is None:
        return Point(title, True, f"{name}: the bot is in it, with power enough ({words})")
    fix = bot.how_to_raise(room_id, name, level)
    return Point(title, False, f"{name}: the bot has power {power.ours}; {words}", fix)


async def _limits(bot: Bot) -> Point:
    unlimited = await bot.unlimited()
    if unlimited:
        return Point("limits", True, "lifted for the bot")
    detail = "limits apply: the 6th room of a new member waits minutes"
    if unlimited is None:
        detail = f"neither the bot nor a given admin may see them; if nobody lifted them, {detail}"
        return Point("limits", False, detail, bot.how_to_lift())
    return Point("limits", False, detail, bot.how_to_lift(), f"lift the limits for {bot.user_id}", bot.lift_limits)


async def mend(point: Point) -> str:
    """Does it; answers "" or why it could not be done."""
    if point.act is None:
        return point.fix
    try:
        await point.act()
    except MusterError as error:
        return f"{error.cause}. {error.fix or point.fix}".strip()
    return ""
