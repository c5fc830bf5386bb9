"""Two homeservers to try `Chat` on, behind one face: the one in memory and a real Synapse."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

import httpx

from local.loopback import LOOPBACK
from shared.adapters.matrix import MatrixChat
from shared.ports import Chat, Data
from tests.fakes.chat import FakeChat

if TYPE_CHECKING:  # pytest loads that module as a plugin, and wants to be the first
    from tests.contracts.synapse_server import Homeserver

_numbers = itertools.count(1)
_FIELDS = {"m.room.name": "name", "m.room.topic": "topic"}
"""Of `FakeRoom`."""


class World(Protocol):
    """A bot (`chat`, `bot`) on a homeserver, and a hand that does what other people do there."""

    chat: Chat
    bot: str
    domain: str

    async def plain(self) -> World:
        """The same with another bot that is no server admin."""
        ...

    async def limit(self) -> None:
        """From now on the default limits apply to the bot."""
        ...

    async def user(self) -> str: ...

    async def room(
        self,
        name: str = "Room",
        *,
        by: str = "",
        version: str = "12",
        alias: str = "",
        topic: str = "",
        public: bool = True,
        encrypted: bool = False,
        bot_inside: bool = True,
    ) -> str:
        """`by`: the user who makes it, else the bot."""
        ...

    async def join(self, user_id: str, room_id: str) -> None: ...
    async def invite(self, user_id: str, room_id: str) -> None:
        """That user invites the bot."""
        ...

    async def rename(self, user_id: str, room_id: str) -> None:
        """A new display name, with which their membership is written anew."""
        ...

    async def leave(self, user_id: str, room_id: str) -> None: ...
    async def restrict(self, room_id: str, space: str) -> None:
        """Members of the space may enter the bot's room from now on."""
        ...

    async def say(self, user_id: str, room_id: str, content: Data) -> None: ...
    async def put(self, room_id: str, event_type: str, content: Data, state_key: str = "") -> None:
        """The bot changes the room's state."""
        ...

    async def upgrade(self, room_id: str) -> str:
        """By the bot; answers the new room."""
        ...

    async def messages(self, room_id: str) -> list[Data]: ...
    async def marked_direct(self, room_id: str, user_id: str) -> bool: ...
    async def close(self) -> None: ...


class FakeWorld:
    def __init__(self, fake: FakeChat | None = None) -> None:
        self.fake = fake or FakeChat()
        self.chat: Chat = self.fake
        self.bot, self.domain = self.fake.user_id, self.fake.domain

    async def plain(self) -> FakeWorld:
        return FakeWorld(FakeChat("@plain:fake.test"))

    async def limit(self) -> None:
        self.fake.limit_invites()

    async def user(self) -> str:
        return self.fake.add_user(f"@user{next(_numbers)}:{self.domain}")

    async def room(
        self,
        name: str = "Room",
        *,
        by: str = "",
        version: str = "12",
        alias: str = "",
        topic: str = "",
        public: bool = True,
        encrypted: bool = False,
        bot_inside: bool = True,
    ) -> str:
        rule = "public" if public else "invite"
        more = {"topic": topic, "encrypted": encrypted, "join_rule": rule, "invite": 50 if public else 0}
        room_id = self.fake.add_room(name, by=by, version=version, alias=alias, **more)
        if bot_inside:
            self.fake.join(self.bot, room_id)
        return room_id

    async def join(self, user_id: str, room_id: str) -> None:
        self.fake.join(user_id, room_id)

    async def invite(self, user_id: str, room_id: str) -> None:
        self.fake.homes[room_id].put(self.bot, "invite", 0)

    async def rename(self, user_id: str, room_id: str) -> None:
        self.fake.rename(user_id, room_id)

    async def leave(self, user_id: str, room_id: str) -> None:
        self.fake.leave(user_id, room_id)

    async def restrict(self, room_id: str, space: str) -> None:
        self.fake.homes[room_id].join_rule, self.fake.homes[room_id].allow = "restricted", (space,)

    async def say(self, user_id: str, room_id: str, content: Data) -> None:
        event = {"event_id": f"$said{next(_numbers)}", "sender": user_id, "content": content}
        self.fake.homes[room_id].events.append(event)

    async def put(self, room_id: str, event_type: str, content: Data, state_key: str = "") -> None:
        room = self.fake.homes[room_id]
        if event_type == "m.space.child":
            others = [child for child in room.children if child != state_key]
            room.children = (*others, state_key) if content.get("via") else tuple(others)
        elif event_type == "m.room.power_levels":
            room.powers, room.users_default = dict(content["users"]), content["users_default"]
            room.invite, room.kick, room.events_default = (content[k] for k in ("invite", "kick", "events_default"))
        else:
            setattr(room, *next((_FIELDS[event_type], value) for value in content.values()))

    async def upgrade(self, room_id: str) -> str:
        old = self.fake.homes[room_id]
        old.replacement = self.fake.add_room(old.name, topic=old.topic, predecessor=room_id)
        return old.replacement

    async def messages(self, room_id: str) -> list[Data]:
        return self.fake.messages(room_id)

    async def marked_direct(self, room_id: str, user_id: str) -> bool:
        return user_id in self.fake.homes[room_id].direct

    async def close(self) -> None:
        await self.chat.close()


class SynapseWorld:
    def __init__(self, homeserver: Homeserver, bot: str = "", token: str = "") -> None:
        self.homeserver = homeserver
        self.bot, self.domain = bot or homeserver.user_id, homeserver.domain
        self._tokens = {self.bot: token or homeserver.token}
        self._http = httpx.AsyncClient(base_url=f"{homeserver.url}/_matrix/client/v3", timeout=60, **LOOPBACK)
        self._plain: list[SynapseWorld] = []
        self.chat: MatrixChat = self.another_chat()

    def another_chat(self, **options: Any) -> MatrixChat:
        return MatrixChat(self.homeserver.url, self._tokens[self.bot], self.bot, **options)

    async def plain(self) -> SynapseWorld:
        made = self.homeserver.register(f"plain{secrets.token_hex(5)}")
        self._plain.append(SynapseWorld(self.homeserver, made["user_id"], made["access_token"]))
        body = '{"messages_per_second": 0, "burst_count": 0}'
        await self.admin_makes("POST", f"{_limiter(made['user_id'])} {body}")
        return self._plain[-1]

    async def limit(self) -> None:
        await self.admin_makes("DELETE", _limiter(self.bot))

    async def user(self) -> str:
        made = self.homeserver.register(f"user{secrets.token_hex(5)}")
        self._tokens[made["user_id"]] = made["access_token"]
        return str(made["user_id"])

    async def room(
        self,
        name: str = "Room",
        *,
        by: str = "",
        version: str = "12",
        alias: str = "",
        topic: str = "",
        public: bool = True,
        encrypted: bool = False,
        bot_inside: bool = True,
    ) -> str:
        body: Data = {"name": name, "room_version": version, "preset": "public_chat" if public else "private_chat"}
        body |= {"room_alias_name": alias} if alias else {}
        body |= {"topic": topic} if topic else {}
        if encrypted:
            content = {"algorithm": "m.megolm.v1.aes-sha2"}
            body["initial_state"] = [{"type": "m.room.encryption", "state_key": "", "content": content}]
        made = await self.call("POST", "createRoom", by=by, body=body)
        if by and bot_inside:
            await self.join(self.bot, made["room_id"])
        return str(made["room_id"])

    async def join(self, user_id: str, room_id: str) -> None:
        await self.call("POST", "join", room_id, by=user_id, body={})

    async def invite(self, user_id: str, room_id: str) -> None:
        await self.call("POST", "rooms", room_id, "invite", by=user_id, body={"user_id": self.bot})

    async def rename(self, user_id: str, room_id: str) -> None:
        body = {"membership": "join", "displayname": f"Renamed {next(_numbers)}"}
        await self.call("PUT", "rooms", room_id, "state", "m.room.member", user_id, by=user_id, body=body)

    async def leave(self, user_id: str, room_id: str) -> None:
        await self.call("POST", "rooms", room_id, "leave", by=user_id, body={})

    async def restrict(self, room_id: str, space: str) -> None:
        allow = [{"type": "m.room_membership", "room_id": space}]
        body: Data = {"join_rule": "restricted", "allow": allow}
        await self.call("PUT", "rooms", room_id, "state", "m.room.join_rules", body=body)

    async def say(self, user_id: str, room_id: str, content: Data) -> None:
        parts = ("rooms", room_id, "send", "m.room.message", secrets.token_hex(8))
        await self.call("PUT", *parts, by=user_id, body={"msgtype": "m.text", "body": "said", **content})

    async def put(self, room_id: str, event_type: str, content: Data, state_key: str = "") -> None:
        await self.call("PUT", "rooms", room_id, "state", event_type, state_key, body=content)

    async def upgrade(self, room_id: str) -> str:
        said = await self.call("POST", "rooms", room_id, "upgrade", body={"new_version": "12"})
        return str(said["replacement_room"])

    async def messages(self, room_id: str) -> list[Data]:
        said = await self.call("GET", "rooms", room_id, "messages", query={"dir": "f", "limit": "500"})
        return [event["content"] for event in said["chunk"] if event["type"] == "m.room.message"]

    async def marked_direct(self, room_id: str, user_id: str) -> bool:
        said = await self.call("GET", "rooms", room_id, "state", "m.room.member", user_id)
        return said.get("is_direct") is True

    async def call(
        self, method: str, *parts: str, by: str = "", body: Data | None = None, query: dict[str, str] | None = None
    ) -> Data:
        headers = {"Authorization": f"Bearer {self._tokens[by or self.bot]}"}
        path = "/" + "/".join(quote(part, safe="") for part in parts)
        answer = await self._http.request(method, path, headers=headers, json=body, params=query)
        said: Data = answer.raise_for_status().json()
        return said

    async def admin_makes(self, method: str, call: str) -> None:
        """`call`: "path body", as the self-check words it."""
        path, _, body = call.partition(" ")
        headers = {"Authorization": f"Bearer {self.homeserver.token}"}
        answer = await self._http.request(method, self.homeserver.url + path, headers=headers, content=body)
        answer.raise_for_status()

    async def close(self) -> None:
        await self._http.aclose()
        await self.chat.close()
        for world in self._plain:
            await world.close()


class ComputedWorld(SynapseWorld):
    """The homeserver of the benchmarks, where a token is its user's id."""

    async def user(self) -> str:
        made = f"@user{next(_numbers)}:{self.domain}"
        self._tokens[made] = made
        return made


def _limiter(user_id: str) -> str:
    return f"/_synapse/admin/v1/users/{quote(user_id)}/override_ratelimit"


def ids(rooms: Sequence[Any]) -> set[str]:
    return {room.room_id for room in rooms}
