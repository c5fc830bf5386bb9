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
REPLIES = 100
"""Encrypted events of a room in one answer of /sync, at most."""


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

    async def sync(self, since: str | None, timeline: bool) -> Data:
        """With `timeline` the encrypted events of others in the bot's rooms; else no rooms at all."""
        query = {"timeout": "0", "set_presence": "offline", "filter": json.dumps(self._filter(timeline))}
        query |= {"since": since} if since else {}
        return (await self.client.call("GET", f"{path_of(CLIENT, 'sync')}?{urlencode(query)}")).data

    def _account_data(self, event_type: str) -> str:
        return path_of(CLIENT, "user", self.user_id, "account_data", event_type)

    def _filter(self, timeline: bool) -> Data:
        none: Data = {"types": []}
        room: Data = {"state": none, "ephemeral": none, "account_data": none}
        if timeline:
            room["timeline"] = {"types": ["m.room.encrypted"], "not_senders": [self.user_id], "limit": REPLIES}
        else:
            room["rooms"] = []
        return {"presence": none, "account_data": none, "room": room}
