"""What the bot may not do in a room, in words, and exactly what somebody there has to type so that it may."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from shared.domain.cached_rooms import RoomRow

Act = Literal["invite", "remove"]
DOING: dict[Act, str] = {"invite": "inviting", "remove": "removing"}


class Need(Struct, frozen=True):
    """`command`: typed by an admin of the room, in it; Element and others know it."""

    act: Act
    needed: int
    cause: str
    fix: str
    command: str


class Standing(Struct, frozen=True):
    """The bot's power in a room, and what the room asks for."""

    ours: int
    invite: int
    remove: int


def standing_of(row: RoomRow, bot: str) -> Standing:
    return Standing(row.power_of(bot), row.level("invite"), row.level("kick"))


def cause_of(ours: int, needed: int, name: str, act: Act) -> str:
    return f"the bot has power {ours} in {name}, {DOING[act]} needs {needed}"


def needs_of(standing: Standing, name: str, bot: str) -> list[Need]:
    """None where it may invite and remove."""
    asked: list[tuple[Act, int]] = [("invite", standing.invite), ("remove", standing.remove)]
    lacking = [(act, needed) for act, needed in asked if standing.ours < needed]
    enough = max((needed for _, needed in lacking), default=0)
    return [_need(act, needed, enough, standing.ours, name, bot) for act, needed in lacking]


def _need(act: Act, needed: int, enough: int, ours: int, name: str, bot: str) -> Need:
    command = f"/op {bot} {enough}"
    fix = f"An admin of {name} gives the bot power {enough}: by typing this there, or in the settings of the room."
    return Need(act, needed, cause_of(ours, needed, name, act), fix, command)
