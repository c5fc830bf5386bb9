"""Two homeservers to try `Keys` on: the one in memory and a real Synapse, and the devices of members on both."""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import httpx

from local.loopback import LOOPBACK
from shared.adapters.cross_signing import Identity
from shared.adapters.matrix import MatrixChat
from shared.adapters.matrix_json import parsed
from shared.ports import Data, Keys
from tests.contracts.chat_worlds import FakeWorld, SynapseWorld
from tests.contracts.chat_worlds import _limiter as limiter
from tests.fakes.devices import MemberDevice
from tests.fakes.keys import FakeKeys

if TYPE_CHECKING:
    from tests.contracts.synapse_server import Homeserver

Forge = Callable[[Data], None]
PASSWORD = "not-a-secret"


def log_in(url: str, user_id: str, device_id: str = "", name: str = "") -> Data:
    """A new device of somebody whom `Homeserver.register` made: `access_token`, `device_id`. Each log-in comes from
    an address of its own, where the system has more than one on loopback: a homeserver takes five from each."""
    body: Data = {"type": "m.login.password", "password": PASSWORD}
    body |= {"identifier": {"type": "m.id.user", "user": user_id}}
    body |= {"device_id": device_id} if device_id else {}
    body |= {"initial_device_display_name": name} if name else {}
    here = f"127.{secrets.randbelow(250) + 1}.{secrets.randbelow(250)}.1" if sys.platform == "linux" else None
    with httpx.Client(transport=httpx.HTTPTransport(local_address=here), timeout=60, **LOOPBACK) as http:
        said: Data = http.post(f"{url}/_matrix/client/v3/login", json=body).raise_for_status().json()
    return said


class KeysWorld(Protocol):
    """`keys` is the bot's client; a member's device is published by `device`."""

    keys: Keys
    bot: str
    domain: str

    async def user(self) -> str: ...
    async def room(self, **options: Any) -> str: ...
    async def join(self, user_id: str, room_id: str) -> None: ...
    async def leave(self, user_id: str, room_id: str) -> None: ...
    async def invite(self, room_id: str, user_id: str) -> None: ...
    async def device(
        self, user_id: str, identity: Identity | None = None, forge: Forge = lambda upload: None, **more: Any
    ) -> MemberDevice:
        """`forge` may change what is published."""
        ...

    async def log_out(self, device: MemberDevice) -> None: ...
    async def inbox(self, device: MemberDevice) -> list[Data]:
        """What came to the device since the last time."""
        ...

    async def send(self, device: MemberDevice, content: Data) -> None:
        """To the bot's device."""
        ...

    async def send_nested(self, device: MemberDevice, depth: int) -> None:
        """To the bot's device, unless the homeserver refuses it."""
        ...

    async def say(self, device: MemberDevice, room_id: str, content: Data) -> None:
        """An m.room.encrypted."""
        ...

    async def say_plainly(self, user_id: str, room_id: str, body: str) -> None: ...

    async def close(self) -> None: ...


class FakeKeysWorld(FakeWorld):
    def __init__(self) -> None:
        self.keys: FakeKeys = FakeKeys()
        super().__init__(self.keys)

    async def invite(self, room_id: str, user_id: str) -> None:
        await self.keys.invite(room_id, user_id)

    async def device(
        self, user_id: str, identity: Identity | None = None, forge: Forge = lambda upload: None, **more: Any
    ) -> MemberDevice:
        device = MemberDevice(user_id, identity=identity, **more)
        forge(device.upload)
        if identity:
            self.keys._take_signing_keys(user_id, identity.upload())
        self.keys.publish(user_id, device.device_id, device.upload, device.name)
        return device

    async def log_out(self, device: MemberDevice) -> None:
        self.keys.remove_device(device)

    async def inbox(self, device: MemberDevice) -> list[Data]:
        return [event for _, event in self.keys.inboxes.pop((device.user_id, device.device_id), [])]

    async def send(self, device: MemberDevice, content: Data) -> None:
        bot = (self.keys.user_id, self.keys.device_id)
        self.keys._deliver(device.user_id, bot, "m.room.encrypted", content)

    async def send_nested(self, device: MemberDevice, depth: int) -> None:
        if depth < 950:  # beyond that the real one refuses it
            await self.send(device, parsed(f'{{"a":{_nested(min(depth, 300))}}}'.encode()))

    async def say(self, device: MemberDevice, room_id: str, content: Data) -> None:
        self.keys._append(room_id, device.user_id, "m.room.encrypted", content)

    async def say_plainly(self, user_id: str, room_id: str, body: str) -> None:
        self.keys.say(user_id, room_id, body)


class SynapseKeysWorld(SynapseWorld):
    """The bot of each world is a new one, since its keys stay with it."""

    def __init__(self, homeserver: Homeserver) -> None:
        made = homeserver.register(f"bot{secrets.token_hex(5)}", device_id="BOT")
        super().__init__(homeserver, made["user_id"], made["access_token"])
        self.keys: MatrixChat = self.another_chat()
        self._devices: dict[str, str] = {}
        self._since: dict[str, str] = {}
        self._unlimited: set[str] = set()

    async def invite(self, room_id: str, user_id: str) -> None:
        await self.keys.invite(room_id, user_id)

    async def device(
        self, user_id: str, identity: Identity | None = None, forge: Forge = lambda upload: None, **more: Any
    ) -> MemberDevice:
        """Logs in anew, then uploads what the device has made."""
        device = MemberDevice(user_id, f"D{secrets.token_hex(4)}", identity=identity, **more)
        forge(device.upload)
        said = log_in(self.homeserver.url, user_id, device.device_id, device.name)
        self._devices[device.device_id] = said["access_token"]
        if identity:
            await self._by(device, "POST", "/keys/device_signing/upload", identity.upload())
        await self._by(device, "POST", "/keys/upload", device.upload)
        return device

    async def log_out(self, device: MemberDevice) -> None:
        await self._by(device, "POST", "/logout", {})

    async def inbox(self, device: MemberDevice) -> list[Data]:
        since = self._since.get(device.device_id)
        said = await self._by(device, "GET", f"/sync?timeout=0{f'&since={since}' if since else ''}")
        self._since[device.device_id] = said["next_batch"]
        return list(said.get("to_device", {}).get("events", []))

    async def send(self, device: MemberDevice, content: Data) -> None:
        messages = {"messages": {self.bot: {"BOT": content}}}
        await self._by(device, "PUT", f"/sendToDevice/m.room.encrypted/{secrets.token_hex(6)}", messages)

    async def send_nested(self, device: MemberDevice, depth: int) -> None:
        """As text: no client's library of ours could write it."""
        body = json.dumps({"messages": {self.bot: {"BOT": {"a": "X"}}}}).replace('"X"', _nested(depth))
        headers = {"Authorization": f"Bearer {self._devices[device.device_id]}"}
        path = f"/sendToDevice/m.room.encrypted/{secrets.token_hex(6)}"
        answer = await self._http.put(path, headers=headers, content=body)
        assert answer.status_code in (200, 400)

    async def say(self, device: MemberDevice, room_id: str, content: Data) -> None:
        path = f"/rooms/{room_id}/send/m.room.encrypted/{secrets.token_hex(6)}"
        await self._by(device, "PUT", path, content)

    async def say_plainly(self, user_id: str, room_id: str, body: str) -> None:
        if user_id not in self._unlimited:
            body_of_none = '{"messages_per_second": 0, "burst_count": 0}'
            await self.admin_makes("POST", f"{limiter(user_id)} {body_of_none}")
            self._unlimited.add(user_id)
        parts = ("rooms", room_id, "send", "m.room.message", secrets.token_hex(6))
        await self.call("PUT", *parts, by=user_id, body={"msgtype": "m.text", "body": body})

    async def close(self) -> None:
        await self.keys.close()
        await super().close()

    async def _by(self, device: MemberDevice, method: str, path: str, body: Data | None = None) -> Data:
        headers = {"Authorization": f"Bearer {self._devices[device.device_id]}"}
        answer = await self._http.request(method, path, headers=headers, json=body)
        assert answer.is_success, answer.text
        said: Data = answer.json()
        return said


def _nested(depth: int) -> str:
    return '{"a":' * depth + "1" + "}" * depth


def world_of(kind: str, homeserver: Any) -> KeysWorld:
    """`homeserver`: makes the real one, when it is wanted."""
    made: Any = FakeKeysWorld() if kind == "fake" else SynapseKeysWorld(homeserver())
    return made
