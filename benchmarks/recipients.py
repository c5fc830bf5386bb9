"""Members with devices that really hold keys: what was sent is asked of the homeserver, and read on each device."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

from benchmarks.world import BENCH, Hands, World
from local.homeserver_setup import register
from local.loopback import LOOPBACK
from shared.repositories import steps_of
from shared.services import enroll
from tests.fakes.devices import MemberDevice

CLIENT = "/_matrix/client/v3"
PASSWORD = "not-a-secret"  # of somebody who lives as long as the benchmark


@dataclass(frozen=True)
class Recipient:
    """An onboarding of hello and welcome alone. `tokens`: of each device, by its id."""

    onboarding: str
    matrix_id: str
    devices: list[MemberDevice]
    tokens: dict[str, str]

    @classmethod
    async def come(cls, world: World, hands: Hands, devices: int) -> Recipient:
        username = f"bench-{secrets.token_hex(5)}"
        names = [f"D{number}{secrets.token_hex(3)}" for number in range(devices)]
        matrix_id, tokens = await asyncio.to_thread(_logged_in, world, username, names)
        made = [MemberDevice(matrix_id, name) for name in names]
        for device in made:
            async with world.matrix(tokens[device.device_id]) as client:
                (await client.post(f"{CLIENT}/keys/upload", json=device.upload)).raise_for_status()
        account = await (await hands.directory()).create_account(
            username=username, name="A Benchmark", email="", attributes={}
        )
        verdict = await enroll.begin(hands, account, enroll.Start("api", BENCH, skip_indoc=True))
        return cls(verdict.onboarding, matrix_id, made, tokens)

    def as_device(self, world: World, device: MemberDevice) -> httpx.AsyncClient:
        return world.matrix(self.tokens[device.device_id])

    async def join(self, world: World, hands: Hands) -> None:
        room = (await self.results(hands))["hello"]["room_id"]
        async with self.as_device(world, self.devices[0]) as client:
            (await client.post(f"{CLIENT}/join/{quote(room)}", json={})).raise_for_status()

    async def results(self, hands: Hands) -> dict[str, dict[str, Any]]:
        steps = await steps_of(hands.documents, f"onboardings/{self.onboarding}")
        return {stored.record.name: stored.record.result for stored in steps}

    async def read(self, world: World, hands: Hands, *, encrypted: bool) -> None:
        """Raises `RuntimeError` unless both messages are in the room, as the homeserver has them, and every
        device reads both."""
        results = await self.results(hands)
        events = [await self._event(world, results[name]) for name in ("hello", "welcome")]
        wanted = "m.room.encrypted" if encrypted else "m.room.message"
        if [event["type"] for event in events] != [wanted, wanted]:
            raise RuntimeError(f"{self.matrix_id} was sent {[event['type'] for event in events]}, not {wanted}")
        for device in self.devices:
            bodies = [event["content"] for event in events]
            if encrypted:
                await self._fetch_keys(world, device)
                bodies = [device.read(body)["content"] for body in bodies]
            if [body["body"].split()[0].strip(",") for body in bodies] != ["Hello", "Welcome"]:
                raise RuntimeError(f"{self.matrix_id} reads something else on {device.device_id}")

    async def _event(self, world: World, result: dict[str, Any]) -> dict[str, Any]:
        path = f"{CLIENT}/rooms/{quote(result['room_id'])}/event/{quote(result['event_id'])}"
        async with self.as_device(world, self.devices[0]) as client:
            return dict((await client.get(path)).raise_for_status().json())

    async def _fetch_keys(self, world: World, device: MemberDevice) -> None:
        async with self.as_device(world, device) as client:
            said = (await client.get(f"{CLIENT}/sync", params={"timeout": 0})).raise_for_status().json()
        for event in said.get("to_device", {}).get("events", []):
            device.receive(event)


def _logged_in(world: World, username: str, devices: list[str]) -> tuple[str, dict[str, str]]:
    """The first device by registering, each other one by a log-in from an address of its own: a homeserver takes
    five from each."""
    with httpx.Client(base_url=world.env["MATRIX_HOMESERVER"], timeout=60, **LOOPBACK) as http:
        secret = world.env["SYNAPSE_REGISTRATION_SECRET"]
        said = register(http, secret, username, PASSWORD, device_id=devices[0])
    tokens = {devices[0]: str(said["access_token"])}
    for device in devices[1:]:
        tokens[device] = _log_in(world, said["user_id"], device)
    return said["user_id"], tokens


def _log_in(world: World, user_id: str, device: str) -> str:
    who = {"type": "m.id.user", "user": user_id}
    body = {"type": "m.login.password", "password": PASSWORD, "identifier": who, "device_id": device}
    here = httpx.HTTPTransport(local_address=f"127.{secrets.randbelow(250) + 1}.{secrets.randbelow(250)}.1")
    with httpx.Client(base_url=world.env["MATRIX_HOMESERVER"], transport=here, timeout=60, **LOOPBACK) as http:
        return str(http.post(f"{CLIENT}/login", json=body).raise_for_status().json()["access_token"])
