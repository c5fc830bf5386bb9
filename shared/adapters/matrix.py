"""`Chat` on a Matrix homeserver, through matrix-nio. No sync but `changes`: each method asks what it needs.

One call to the homeserver each: `invite`, `invite_directly`, `kick`, `membership`, `has_profile`,
`is_encrypted`, `send`, `accept`, `create_direct_room`, `resolve`, `joined_rooms`, `room`, `state`, `changes`, `entry`
and both of `direct_rooms`. `whoami` asks once in a life, `power` two times for a new room and once after that,
`find_sent` at most twice, `said_after` two times. Encryption is off in nio: it would keep a store and need a sync.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from urllib.parse import urlencode

from nio import RoomPreset

from shared.adapters.matrix_check import self_check
from shared.adapters.matrix_client import CLIENT, StrictClient, ask, connect, path_of
from shared.adapters.matrix_errors import nonsense
from shared.adapters.matrix_keys import MatrixKeys
from shared.adapters.matrix_listing import RoomReader
from shared.adapters.matrix_power import MatrixPower
from shared.adapters.matrix_rooms import Creation, contents_of, creation_of, event_with, power_of, residents_of
from shared.adapters.matrix_watch import StateReader
from shared.domain.errors import NotFound, Refused
from shared.ports import Changes, Data, Finding, Identity, Membership, Power, Resident, Room, StateEvent

ENCRYPTION = {"type": "m.room.encryption", "state_key": "", "content": {"algorithm": "m.megolm.v1.aes-sha2"}}


class MatrixChat(MatrixPower, MatrixKeys):
    """`ca_bundle`: path or text of PEM certificates trusted on top of the system's. `timeout`: seconds for
    a whole call. `admin_api`: whether to try Synapse's; where it is refused, that is remembered."""

    def __init__(
        self,
        homeserver: str,
        access_token: str,
        user_id: str,
        ca_bundle: str | None = None,
        verify: bool = True,
        timeout: float = 15.0,
        admin_api: bool = True,
    ) -> None:
        self.user_id = user_id
        self._settings = (homeserver, access_token, user_id, ca_bundle, verify, timeout)
        self._nio: StrictClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._reader = RoomReader(lambda: self.client, admin_api)
        self._states = StateReader(lambda: self.client, user_id)
        self._identity: Identity | None = None
        self._creations: dict[str, Creation] = {}
        self._changing: dict[str, asyncio.Lock] = {}

    @property
    def client(self) -> StrictClient:
        """Made at the first use, because it belongs to the event loop that uses it."""
        loop = asyncio.get_running_loop()
        if self._nio is None or self._loop is not loop:
            self._nio, self._loop, self._identifying = connect(*self._settings), loop, asyncio.Lock()
            self._changing = {}
        return self._nio

    async def close(self) -> None:
        if self._nio is not None:
            await self._nio.close()
            self._nio = None

    # ------------------------------------------------------------------ one member, one room

    async def whoami(self) -> Identity:
        client = self.client
        async with self._identifying:
            if self._identity is None:
                said = await ask(client.whoami())
                self._identity = Identity(said.user_id, said.device_id or "")
        return self._identity

    async def resolve(self, alias: str) -> str | None:
        try:
            return str((await ask(self.client.room_resolve_alias(alias))).room_id)
        except NotFound:
            return None

    async def invite(self, room_id: str, user_id: str) -> None:
        await ask(self.client.room_invite(room_id, user_id))

    async def invite_directly(self, room_id: str, user_id: str) -> None:
        content = {"membership": "invite", "is_direct": True}
        await ask(self.client.room_put_state(room_id, "m.room.member", content, user_id))

    async def kick(self, room_id: str, user_id: str, reason: str) -> None:
        await ask(self.client.room_kick(room_id, user_id, reason))

    async def membership(self, room_id: str, user_id: str) -> Membership | None:
        content = await self.client.state(room_id, "m.room.member", user_id)
        if content is None:
            return None
        return Membership(str(content.get("membership", "leave")), content.get("displayname"))

    async def has_profile(self, user_id: str) -> bool:
        try:
            await ask(self.client.get_profile(user_id))
        except NotFound:
            return False
        except Refused as error:
            if error.code == "M_FORBIDDEN":  # their server hides it, or may not be asked
                return False
            raise
        return True

    async def power(self, room_id: str, target: str = "") -> Power:
        levels = self.client.state(room_id, "m.room.power_levels")
        said, creation = await asyncio.gather(levels, self._creation(room_id))
        return power_of(said, creation, self.user_id, target)

    async def is_encrypted(self, room_id: str) -> bool:
        return await self.client.state(room_id, "m.room.encryption") is not None

    async def _creation(self, room_id: str) -> Creation:
        """Remembered: it never changes."""
        if room_id not in self._creations:
            path = path_of(CLIENT, "rooms", room_id, "state", "m.room.create", "")
            self._creations[room_id] = creation_of((await self.client.call("GET", f"{path}?format=event")).data)
        return self._creations[room_id]

    # ------------------------------------------------------------------ messages

    async def send(self, room_id: str, content: Data, transaction_id: str) -> str:
        return str((await ask(self.client.room_send(room_id, "m.room.message", content, transaction_id))).event_id)

    async def find_sent(self, room_id: str, key: str, value: str) -> str | None:
        """Looks at the latest 200 of our own events, which reaches further back than the port asks."""
        ours, start = {"senders": [self.user_id]}, None
        for _ in range(2):
            page = await ask(self.client.room_messages(room_id, start, limit=100, message_filter=ours))
            found = event_with((event.source for event in page.chunk), self.user_id, key, value)
            start = page.end
            if found or not start:
                return found
        return None

    async def said_after(self, room_id: str, event_id: str, sender: str) -> list[Data]:
        around = f"{path_of(CLIENT, 'rooms', room_id, 'context', event_id)}?limit=0"
        start = (await self.client.call("GET", around)).data.get("end")
        if not isinstance(start, str):
            raise nonsense(200)
        wanted = json.dumps({"senders": [sender], "types": ["m.room.message"]})
        query = urlencode({"dir": "f", "limit": "100", "from": start, "filter": wanted})
        said = await self.client.call("GET", f"{path_of(CLIENT, 'rooms', room_id, 'messages')}?{query}")
        chunk = said.data.get("chunk")
        if not isinstance(chunk, list):
            raise nonsense(200)
        return contents_of(chunk, sender)

    async def accept(self, room_id: str) -> None:
        await self.client.call("POST", path_of(CLIENT, "rooms", room_id, "join"), {})

    async def create_direct_room(
        self, alias_localpart: str, invitee: str, name: str, *, encrypted: bool = False
    ) -> str:
        """With `private_chat`: `trusted_private_chat` would make the invitee a creator (room version 12)."""
        preset = RoomPreset.private_chat
        creating = self.client.room_create(
            alias=alias_localpart,
            name=name,
            is_direct=True,
            preset=preset,
            invite=[invitee],
            initial_state=[ENCRYPTION] if encrypted else (),
        )
        return str((await ask(creating)).room_id)

    # ------------------------------------------------------------------ many rooms

    async def joined_rooms(self) -> list[str]:
        return await self._reader.joined()

    async def room(self, room_id: str) -> Room:
        """Raises `NotFound` when there is no such room or the bot is not in it."""
        return await self._reader.room(room_id)

    async def rooms(self, limit: int = 1000) -> list[Room]:
        """Up to 100 rooms with everything; above that from the admin list, where allowed, without topics."""
        return await self._reader.rooms(limit)

    async def rooms_of(self, user_id: str) -> list[Room]:
        """Without topics where the admin API answers."""
        return await self._reader.rooms_of(user_id)

    async def residents(self, room_id: str) -> list[Resident]:
        members = self.client.call("GET", f"{path_of(CLIENT, 'rooms', room_id, 'members')}?membership=join")
        levels = self.client.state(room_id, "m.room.power_levels")
        said, known, creation = await asyncio.gather(members, levels, self._creation(room_id))
        chunk = said.data.get("chunk")
        if not isinstance(chunk, list):
            raise nonsense(200)
        return residents_of(chunk, known, creation)

    async def joined_among(self, user_id: str, rooms: Sequence[str]) -> set[str]:
        return await self._reader.joined_among(user_id, rooms)

    async def state(self, room_id: str) -> list[StateEvent]:
        return await self._states.state(room_id)

    async def changes(self, since: str | None) -> Changes:
        return await self._states.changes(since)

    async def direct_rooms(self) -> dict[str, list[str]]:
        try:
            return dict((await ask(self.client.list_direct_rooms())).rooms)
        except NotFound:
            return {}

    async def set_direct_rooms(self, rooms: dict[str, list[str]]) -> None:
        await self.client.call("PUT", path_of(CLIENT, "user", self.user_id, "account_data", "m.direct"), rooms)

    async def check(self, rooms: Sequence[str], indoc: str) -> list[Finding]:
        return await self_check(self, rooms, indoc)
