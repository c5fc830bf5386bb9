"""What mautrix-signal's bot does on `start-chat`, in its words (mautrix-go, bridgev2/commands/startchat.go)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote
from uuid import NAMESPACE_DNS, uuid5

from shared.ports import Data
from tests.world import World

Notice = tuple[str, str]
"""Plain, and HTML."""
Make = Callable[[str, str], Awaitable[str]]
"""Makes the room for this puppet under this topic, invites the bot to it, and answers its id."""


@dataclass
class SignalBridge:
    """`numbers`: who is on Signal, number to name. `topics`: whether a room's topic has the number. `rooms`: made."""

    domain: str
    numbers: dict[str, str]
    signed_in: bool = True
    topics: bool = True
    rooms: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def uuid_of(self, number: str) -> str:
        return str(uuid5(NAMESPACE_DNS, number))

    def puppet_of(self, number: str) -> str:
        return f"@signal_{self.uuid_of(number)}:{self.domain}"

    async def answer(self, body: str, make: Make) -> Notice:
        command, _, number = body.partition(" ")
        self.asked.append(number)
        if command not in ("start-chat", "pm"):
            return ("Unknown command, use the help command for help.",) * 2
        if not self.signed_in:
            return ("That command requires you to be logged in.",) * 2
        if number not in self.numbers:
            return f"Identifier {number} not found", f"Identifier <code>{number}</code> not found"
        known, name = number in self.rooms, self.numbers[number]
        if not known:
            topic = f"Signal private chat with {number}" if self.topics else "Signal private chat"
            self.rooms[number] = await make(self.puppet_of(number), topic)
        who, room = f"`{self.uuid_of(number)}` / {_link(name, self.puppet_of(number))}", _link(name, self.rooms[number])
        said = f"You already have a direct chat with {who} at {room}" if known else f"Created chat with {who}: {room}"
        return said, f"<p>{said}</p>"


def _link(name: str, what: str) -> str:
    """As Go writes a path: "!" is quoted, "@" and ":" are not."""
    return f"[{name}](https://matrix.to/#/{quote(what, safe='@:')})"


@dataclass
class Bridged:
    """The bridge on a homeserver in memory: `work()` answers what was asked and not yet answered."""

    world: World
    bridge: SignalBridge
    room: str
    bot: str
    seen: int = 0

    @property
    def events(self) -> list[Data]:
        return self.world.homeserver.homes[self.room].events

    @property
    def questions(self) -> list[str]:
        return [event["content"]["body"] for event in self.events if event["sender"] == self.world.homeserver.user_id]

    def say(self, body: str, html: str = "") -> None:
        content: dict[str, Any] = {"msgtype": "m.notice", "body": body, "formatted_body": html}
        self.events.append({"event_id": f"$said{len(self.events)}", "sender": self.bot, "content": content})

    async def make(self, puppet: str, topic: str) -> str:
        us = self.world.homeserver.user_id
        members = {puppet: "join", us: "invite"}
        return self.world.homeserver.add_room("A chat", by=self.bot, topic=topic, members=members)

    async def work(self, *, last_first: bool = False) -> None:
        asked = self.questions[self.seen :]
        self.seen += len(asked)
        for body in reversed(asked) if last_first else asked:
            self.say(*await self.bridge.answer(body, self.make))


def bridged(world: World, numbers: dict[str, str], **more: Any) -> Bridged:
    """The world with a management room, in which nobody answers until `work()`."""
    from msgspec.structs import replace

    bot = world.homeserver.add_user(f"@signalbot:{world.homeserver.domain}")
    room = world.homeserver.add_room("Signal bridge", members={bot: "join"})
    world.policy = replace(world.policy, signal_room=room, puppets=("@signal_",))
    return Bridged(world, SignalBridge(world.homeserver.domain, numbers, **more), room, bot)
