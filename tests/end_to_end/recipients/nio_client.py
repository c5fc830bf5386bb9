"""A recipient on matrix-nio with encryption: vodozemac below, the protocol in Python. No fallback keys, no shields."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nio import AsyncClient, AsyncClientConfig, ErrorResponse, MegolmEvent, RoomMessageText

from tests.end_to_end.recipients.client import Seen


class NioRecipient:
    """Made by `enter`; close it."""

    def __init__(self, client: AsyncClient) -> None:
        self._nio = client
        self.user_id, self.device_id = client.user_id, client.device_id

    @classmethod
    async def enter(cls, url: str, login: dict[str, Any], store: Path) -> NioRecipient:
        """`login`: user_id, access_token and device_id. `store`: a directory of its own, which is there; whoever comes
        again with the same one goes on where they were."""
        config = AsyncClientConfig(encryption_enabled=True, store_sync_tokens=True, max_timeouts=3, pickle_key="test")
        client = AsyncClient(url, login["user_id"], store_path=str(store), config=config)
        client.restore_login(login["user_id"], login["device_id"], login["access_token"])
        made = cls(client)
        await made.sync()
        return made

    async def join(self, room_id: str) -> None:
        _ok(await self._nio.join(room_id))

    def joined(self) -> list[str]:
        """As of the last sync."""
        return list(self._nio.rooms)

    async def sync(self) -> None:
        said = _ok(await self._nio.sync(0, full_state=False))
        if self._nio.olm and not said.device_key_count.signed_curve25519:
            self._nio.olm.uploaded_key_count = 0  # nio overlooks just this number, and would upload none
        if self._nio.should_upload_keys:
            _ok(await self._nio.keys_upload())
        if self._nio.should_query_keys:
            _ok(await self._nio.keys_query())

    async def seen(self, room_id: str) -> list[Seen]:
        await self.sync()
        page = _ok(await self._nio.room_messages(room_id, limit=100))
        return [_seen(event) for event in reversed(page.chunk) if isinstance(event, RoomMessageText | MegolmEvent)]

    async def say(self, room_id: str, body: str) -> None:
        await self.sync()
        content = {"msgtype": "m.text", "body": body}
        _ok(await self._nio.room_send(room_id, "m.room.message", content, ignore_unverified_devices=True))

    async def close(self) -> None:
        await self._nio.close()


def _seen(event: Any) -> Seen:
    if isinstance(event, MegolmEvent):
        return Seen(event.event_id, event.sender, None, why=f"no key of session {event.session_id}")
    return Seen(event.event_id, event.sender, event.body)


def _ok(response: Any) -> Any:
    assert not isinstance(response, ErrorResponse), f"{response.status_code}: {response.message}"
    return response
