"""`Keys` on a Matrix homeserver, a part of `MatrixChat`: one call each, and no opinion on what is said."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from urllib.parse import urlencode

from shared.adapters.matrix_client import CLIENT, StrictClient, path_of
from shared.adapters.matrix_errors import nonsense
from shared.domain.errors import NotFound
from shared.ports import Data

PATIENCE_MS = 10_000
"""What the homeserver may take to ask other homeservers; below our own limit for a call."""
REPLIES = 50
"""Events of a room in one answer of /sync, at most."""
PAGE = 100
SAID = ["m.room.encrypted", "m.room.message", "m.room.member"]
INLINE = 1500
"""Characters of a filter that a URL may hold; a longer one is given to the homeserver first."""


@contextmanager
def usable() -> Iterator[None]:
    """An answer that lacks what it must have is none: `Unreachable`."""
    try:
        yield
    except (KeyError, TypeError) as error:
        raise nonsense(200) from error


class MatrixKeys:
    """Needs from whoever it is mixed into: `client`, `user_id`."""

    user_id: str
    _kept_filter = ("", "")

    @property
    def client(self) -> StrictClient:
        raise NotImplementedError

    async def members(self, room_id: str) -> dict[str, str]:
        path = path_of(CLIENT, "rooms", room_id, "members")
        said = (await self.client.call("GET", f"{path}?not_membership=leave")).data
        with usable():
            states = {event["state_key"]: event["content"]["membership"] for event in said["chunk"]}
        return {user: state for user, state in states.items() if state in ("join", "invite")}

    async def query_keys(self, users: Sequence[str]) -> Data:
        body = {"device_keys": {user: [] for user in users}, "timeout": PATIENCE_MS}
        return (await self.client.call("POST", path_of(CLIENT, "keys", "query"), body)).data

    async def claim_keys(self, wanted: Mapping[str, Sequence[str]]) -> Data:
        """Never retried in here: each answer uses keys up."""
        claim = {user: dict.fromkeys(devices, "signed_curve25519") for user, devices in wanted.items()}
        body = {"one_time_keys": claim, "timeout": PATIENCE_MS}
        return (await self.client.call("POST", path_of(CLIENT, "keys", "claim"), body)).data

    async def send_to_device(
        self, event_type: str, messages: Mapping[str, Mapping[str, Data]], transaction_id: str
    ) -> None:
        path = path_of(CLIENT, "sendToDevice", event_type, transaction_id)
        await self.client.call("PUT", path, {"messages": messages})

    async def send_event(self, room_id: str, event_type: str, content: Data, transaction_id: str) -> str:
        path = path_of(CLIENT, "rooms", room_id, "send", event_type, transaction_id)
        said = (await self.client.call("PUT", path, content)).data
        with usable():
            return str(said["event_id"])

    async def upload_keys(self, body: Data) -> Data:
        return (await self.client.call("POST", path_of(CLIENT, "keys", "upload"), body)).data

    async def upload_signing_keys(self, body: Data) -> None:
        await self.client.call("POST", path_of(CLIENT, "keys", "device_signing", "upload"), body)

    async def upload_signatures(self, body: Data) -> Data:
        said = (await self.client.call("POST", path_of(CLIENT, "keys", "signatures", "upload"), body)).data
        return dict(said.get("failures") or {})

    async def account_data(self, event_type: str) -> Data | None:
        try:
            return (await self.client.call("GET", self._account_data(event_type))).data
        except NotFound:
            return None

    async def set_account_data(self, event_type: str, content: Data) -> None:
        await self.client.call("PUT", self._account_data(event_type), content)

    async def sync(self, since: str | None, timeline: bool, not_rooms: Sequence[str] = ()) -> Data:
        """One call; the first with a long filter, two."""
        chosen = await self._filter_for(json.dumps(self._filter(timeline, not_rooms), sort_keys=True))
        query = {"timeout": "0", "set_presence": "offline", "filter": chosen} | ({"since": since} if since else {})
        said = (await self.client.call("GET", f"{path_of(CLIENT, 'sync')}?{urlencode(query)}")).data
        if not isinstance(said.get("next_batch"), str):
            raise nonsense(200)
        return said

    async def page_back(self, room_id: str, start: str, stop: str) -> Data:
        query = {"dir": "b", "from": start, "to": stop, "limit": str(PAGE), "filter": json.dumps(self._said())}
        return (
            await self.client.call("GET", f"{path_of(CLIENT, 'rooms', room_id, 'messages')}?{urlencode(query)}")
        ).data

    def _account_data(self, event_type: str) -> str:
        return path_of(CLIENT, "user", self.user_id, "account_data", event_type)

    def _said(self) -> Data:
        return {"types": SAID, "not_senders": [self.user_id]}

    def _filter(self, timeline: bool, not_rooms: Sequence[str]) -> Data:
        none: Data = {"types": []}
        room: Data = {"state": none | {"lazy_load_members": True}, "ephemeral": none, "account_data": none}
        if timeline:
            room |= {"timeline": self._said() | {"limit": REPLIES}, "not_rooms": sorted(not_rooms)}
        else:
            room["rooms"] = []
        return {"presence": none, "account_data": none, "room": room}

    async def _filter_for(self, text: str) -> str:
        """The filter itself, or the id under which the homeserver keeps it, asked for once."""
        if len(text) <= INLINE:
            return text
        if self._kept_filter[0] != text:
            path = path_of(CLIENT, "user", self.user_id, "filter")
            said = (await self.client.call("POST", path, json.loads(text))).data
            with usable():
                self._kept_filter = (text, str(said["filter_id"]))
        return self._kept_filter[1]
