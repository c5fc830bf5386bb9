"""What can go wrong with an encrypted message, on a real Synapse with real clients: nobody gets one that they cannot
read without the step's knowing it, and nobody gets two.

Beside these: `recipients/test_recipients.py` (senders at once, keys used up, devices that come later, from the adapters
alone), `tests/contracts/test_keys.py` (forged keys, devices that are gone), `test_readable.py` (many senders, killed).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from benchmarks.faults.people import usernames
from benchmarks.faults.plan import Kill, Refusal
from benchmarks.faults.stack import FaultyStack
from benchmarks.faults.truth import CLIENT, Homeserver
from local.homeserver_setup import register
from local.loopback import LOOPBACK
from tests.conftest import StackData
from tests.contracts.keys_worlds import PASSWORD, log_in
from tests.contracts.test_keys import other_curve, other_one_time_keys
from tests.end_to_end.conftest import SQLITE
from tests.end_to_end.faulty import Town, faulty_stack
from tests.end_to_end.recipients.nio_client import NioRecipient
from tests.end_to_end.recipients.node_client import NodeAbsent, NodeRecipient, install
from tests.fakes.devices import MemberDevice

pytestmark = [pytest.mark.stack, pytest.mark.timeout(150)]
Json = dict[str, Any]
LETTER = ("Create(path='letters/",)
TEXTS = ["Hello", "Welcome"]


@pytest.fixture(scope="module")
def sealed(stack_data: StackData) -> Iterator[FaultyStack]:
    with faulty_stack(stack_data("sealed"), MATRIX_ENABLE_ENCRYPTION="true", **SQLITE) as stack:
        yield stack


class Newcomer:
    """One member with an invite link of their own, and their devices by name."""

    def __init__(self, town: Town, folder: Path) -> None:
        self.town, self._folder = town, folder
        [self.name] = usernames(1)
        self.user_id = town.crowd.matrix_id(self.name)
        self.devices: dict[str, Any] = {}
        self.tokens: dict[str, str] = {}

    async def arrive(self, kind: str = "nio") -> None:
        """In INDOC, on a device called PHONE; "" for one that has published nothing."""
        with httpx.Client(base_url=self._url, timeout=60, **LOOPBACK) as http:
            secret = self.town.env["SYNAPSE_REGISTRATION_SECRET"]
            login = register(http, secret, self.name, PASSWORD, device_id="PHONE")
        if kind:
            await self._open(login, kind)
        self.tokens["PHONE"] = login["access_token"]
        await self.join(self.town.env["MATRIX_INDOC_ROOM_ID"])

    async def add(self, device: str, kind: str = "nio") -> None:
        login = await asyncio.to_thread(log_in, self._url, self.user_id, device)
        await self._open(login, kind)
        self.tokens[device] = login["access_token"]

    async def add_forged(self, device: str, forge: Callable[[Json], None]) -> None:
        """One whose keys are not what its signatures say. The homeserver does not look."""
        login, made = (
            await asyncio.to_thread(log_in, self._url, self.user_id, device),
            MemberDevice(self.user_id, device),
        )
        forge(made.upload)
        self.tokens[device] = login["access_token"]
        await self._do(device, "keys/upload", made.upload)

    async def log_out(self, device: str) -> None:
        await self.devices.pop(device).close()
        await self._do(device, "logout")

    async def delete(self, device: str, by: str) -> None:
        """With the password, in the settings of another device."""
        auth = {"type": "m.login.password", "identifier": {"type": "m.id.user", "user": self.user_id}}
        await self.devices.pop(device).close()
        await self._do(by, "delete_devices", {"devices": [device], "auth": auth | {"password": PASSWORD}})

    async def enroll(self) -> None:
        rooms = [json.loads(self.town.env["ROOMS"])[0]["room_id"]]
        await self.town.enroll(await self.town.crowd.invite(rooms, 1), [self.name])

    async def step(self, name: str, state: str, cause: str = "") -> Json:
        """As soon as it is in that state, for a cause that says this."""

        def holds(onboarding: Json) -> bool:
            step = onboarding["steps"][name]
            return bool(step["state"] == state and cause in step["cause"])

        [found] = await self.town.until([self.name], holds, 45)
        step: Json = found["steps"][name]
        return step

    async def come_in(self) -> tuple[Json, Json]:
        """Joins the direct room after the hello. Answers the results of hello and welcome."""
        hello = (await self.step("hello", "done"))["result"]
        await self.join(hello["room_id"])
        return hello, (await self.step("welcome", "done"))["result"]

    async def join(self, room_id: str) -> None:
        """By the homeserver's admin: on no device of theirs, whose to-device events stay."""
        headers = {"Authorization": f"Bearer {self.town.env['MATRIX_ACCESS_TOKEN']}"}
        async with httpx.AsyncClient(headers=headers, timeout=60, **LOOPBACK) as http:
            url = f"{self._url}/_synapse/admin/v1/join/{quote(room_id)}"
            (await http.post(url, json={"user_id": self.user_id})).raise_for_status()

    async def reads(self, device: str, room_id: str) -> list[str | None]:
        """The first words, None for what it cannot read."""
        seen = await self.devices[device].seen(room_id)
        return [one.body and one.body.replace(",", " ").partition(" ")[0] for one in seen]

    async def reads_in_the_end(self, device: str, room_id: str, texts: list[str | None]) -> None:
        """A sweep or some later: keys that are shared afterwards come by themselves."""
        for _ in range(40):
            found = await self.reads(device, room_id)
            if found == texts:
                return
            await self.town.sweep()
            await asyncio.sleep(0.5)
        assert found == texts

    async def close(self) -> None:
        for device in self.devices.values():
            await device.close()

    @property
    def _url(self) -> str:
        return self.town.env["MATRIX_HOMESERVER"]

    async def _open(self, login: Json, kind: str) -> None:
        device = login["device_id"]
        if kind == "node":
            self.devices[device] = await NodeRecipient.enter(self._url, login)
        else:
            store = self._folder / secrets.token_hex(6)
            store.mkdir()
            self.devices[device] = await NioRecipient.enter(self._url, login, store)

    async def _do(self, device: str, path: str, body: Json | None = None) -> None:
        headers = {"Authorization": f"Bearer {self.tokens[device]}"}
        async with httpx.AsyncClient(headers=headers, timeout=60, **LOOPBACK) as http:
            answer = await http.post(f"{self._url}{CLIENT}/{path}", json=body or {})
        assert answer.is_success, answer.text


@pytest.fixture
async def town(sealed: FaultyStack) -> AsyncIterator[Town]:
    sealed.be_well()
    yield Town(sealed)
    await asyncio.to_thread(sealed.be_well)


@pytest.fixture
async def ada(town: Town, tmp_path: Path) -> AsyncIterator[Newcomer]:
    newcomer = Newcomer(town, tmp_path)
    yield newcomer
    await newcomer.close()


def sent(town: Town, room_id: str) -> int:
    """Encrypted messages of the bot's in that room, as the homeserver has them."""
    server = Homeserver(town.env)
    try:
        return server.sealed(room_id)
    finally:
        server.close()


def named(result: Json) -> tuple[list[str], list[str]]:
    """Who got the key and who did not, by the receipt."""
    return sorted(one["device_id"] for one in result["devices"]), sorted(one["device_id"] for one in result["missed"])


async def all_is_well(ada: Newcomer, hello: Json, welcome: Json) -> None:
    """Two messages in the room, which the phone reads, and which it is said to read."""
    assert await ada.reads("PHONE", hello["room_id"]) == TEXTS
    assert sent(ada.town, hello["room_id"]) == 2
    assert welcome["room_id"] == hello["room_id"]
    assert [named(result) for result in (hello, welcome)] == [(["PHONE"], [])] * 2


# ------------------------------------------------------------------ killed

POINTS = {
    "between claim and store": Kill("keys.claim_keys"),
    "between store and send": Kill("documents.write", "after", LETTER),
    "between key and message": Kill("keys.send_to_device"),
    "between send and record": Kill("keys.send_event"),
}


async def test_killed_and_started_again(town: Town, tmp_path: Path) -> None:
    """Wherever Muster dies, while at the hello and again while at the welcome, both can be read and are there once."""
    async with contextlib.AsyncExitStack() as leaving:
        everybody = [Newcomer(town, tmp_path) for _ in POINTS]
        for newcomer, kill in zip(everybody, POINTS.values(), strict=True):
            leaving.push_async_callback(newcomer.close)
            await newcomer.arrive()
            with town.stack.killed_at(kill):
                await newcomer.enroll()
        hellos = [(await newcomer.step("hello", "done"))["result"] for newcomer in everybody]
        for newcomer, hello, kill in zip(everybody, hellos, POINTS.values(), strict=True):
            with town.stack.killed_at(kill):
                await newcomer.join(hello["room_id"])
                with contextlib.suppress(httpx.HTTPError):
                    await town.sweep()
        for newcomer, hello in zip(everybody, hellos, strict=True):
            await all_is_well(newcomer, hello, (await newcomer.step("welcome", "done"))["result"])


# ------------------------------------------------------------------ neighbours


@pytest.mark.parametrize("when", ["before", "after"])
async def test_the_store_refuses_the_letter(ada: Newcomer, when: str) -> None:
    """Refused, or stored with the answer lost, twice: nothing has been sent that is not stored, and nothing twice."""
    await ada.arrive()
    ada.town.stack.change(refusal=Refusal("documents.write", when, LETTER, times=2))
    await ada.enroll()
    await all_is_well(ada, *await ada.come_in())
    assert ada.town.stack.injected()[f"documents: write {when}"] >= 2


@pytest.mark.parametrize("path", ["/keys/claim", "/sendToDevice/", "/send/m.room.encrypted/"])
async def test_the_homeserver_does_it_and_its_answer_is_lost(ada: Newcomer, path: str) -> None:
    """Done, twice in a row, without our hearing of it: both messages can be read, and are there once."""
    await ada.arrive()
    left = [path, path]
    ada.town.stack.proxy.routes["matrix"].loses = lambda asked: path in asked and bool(left) and bool(left.pop())
    await ada.enroll()
    await all_is_well(ada, *await ada.come_in())
    assert left == []


# ------------------------------------------------------------------ keys


async def use_up(ada: Newcomer, by: Newcomer) -> None:
    """Somebody claims the phone's keys until none is left but a fallback key, or none at all."""
    headers = {"Authorization": f"Bearer {by.tokens['PHONE']}"}
    wanted = {"one_time_keys": {ada.user_id: {"PHONE": "signed_curve25519"}}}
    async with httpx.AsyncClient(headers=headers, timeout=60, **LOOPBACK) as http:
        for _ in range(300):
            answer = await http.post(f"{ada.town.env['MATRIX_HOMESERVER']}{CLIENT}/keys/claim", json=wanted)
            keys = answer.raise_for_status().json()["one_time_keys"].get(ada.user_id, {}).get("PHONE", {})
            if not keys or next(iter(keys.values())).get("fallback"):
                return
    pytest.fail("there seems to be no end of keys")


async def test_the_fallback_key_serves_when_all_are_used_up(ada: Newcomer, tmp_path: Path) -> None:
    """The clients' own crypto reads both messages over the one key that is left."""
    try:
        await asyncio.to_thread(install)
    except NodeAbsent as absent:
        pytest.skip(str(absent))
    await ada.arrive("node")
    await use_up(ada, ada)
    await ada.enroll()
    await all_is_well(ada, *await ada.come_in())


async def test_no_key_is_left_at_all(ada: Newcomer) -> None:
    """A client without a fallback key gets nothing unreadable: the hello waits and says why, until the client has been
    there and has published new keys."""
    await ada.arrive()
    await use_up(ada, ada)
    await ada.enroll()
    waiting = await ada.step("hello", "waiting")
    assert "PHONE: has no key to claim" in waiting["cause"]
    await ada.devices["PHONE"].sync()
    await all_is_well(ada, *await ada.come_in())


@pytest.mark.parametrize("forge", [other_curve, other_one_time_keys])
async def test_a_forged_device_beside_an_honest_one(ada: Newcomer, forge: Callable[[Json], None]) -> None:
    """Its keys, or its one-time keys, are not what it has signed: it gets nothing and is named, the phone reads."""
    await ada.arrive()
    await ada.add_forged("FORGED", forge)
    await ada.enroll()
    hello, welcome = await ada.come_in()
    assert await ada.reads("PHONE", hello["room_id"]) == TEXTS
    for result in (hello, welcome):
        assert named(result) == (["PHONE"], ["FORGED"])
        assert "forged" in result["missed"][0]["reason"]


@pytest.mark.parametrize("forge", [other_curve, other_one_time_keys])
async def test_nothing_but_forged_devices(ada: Newcomer, forge: Callable[[Json], None]) -> None:
    """Nothing is sent, and the step says what is wrong; an honest device gets both messages."""
    await ada.arrive("")
    await ada.add_forged("FORGED", forge)
    await ada.enroll()
    waiting = await ada.step("hello", "waiting")
    assert "FORGED: its" in waiting["cause"]
    assert "forged" in waiting["cause"]
    await ada.add("LAPTOP")
    hello, welcome = await ada.come_in()
    assert await ada.reads("LAPTOP", hello["room_id"]) == TEXTS
    assert [named(result) for result in (hello, welcome)] == [(["LAPTOP"], ["FORGED"])] * 2


# ------------------------------------------------------------------ devices that come and go


async def test_logged_out_between_hello_and_welcome(ada: Newcomer) -> None:
    """The welcome waits for a device. The next one, though it has the name of the old one, reads both."""
    await ada.arrive()
    await ada.enroll()
    hello = (await ada.step("hello", "done"))["result"]
    await ada.log_out("PHONE")
    await ada.join(hello["room_id"])
    await ada.step("welcome", "waiting", "no device yet")
    await ada.add("PHONE")
    await ada.step("welcome", "done")
    await ada.reads_in_the_end("PHONE", hello["room_id"], [*TEXTS])
    assert sent(ada.town, hello["room_id"]) == 2
    assert named((await ada.step("hello", "done"))["result"]) == (["PHONE"], [])


async def test_logged_out_between_store_and_send(ada: Newcomer) -> None:
    """What was stored goes out all the same, and the device that comes next is given its key."""
    await ada.arrive()
    with ada.town.stack.killed_at(Kill("documents.write", "after", LETTER)):
        await ada.enroll()
        for _ in range(300):
            if ada.town.stack.is_dead("app"):
                break
            await asyncio.sleep(0.1)
        await ada.log_out("PHONE")
    await ada.add("TABLET")
    hello, welcome = await ada.come_in()
    await ada.reads_in_the_end("TABLET", hello["room_id"], [*TEXTS])
    assert named(welcome) == (["TABLET"], [])


async def test_a_device_that_is_deleted_and_one_that_comes(ada: Newcomer) -> None:
    """Of three devices one is deleted between the messages, one comes after them: each reads what it should, and the
    receipts name them."""
    await ada.arrive()
    await ada.add("LAPTOP")
    await ada.enroll()
    hello = (await ada.step("hello", "done"))["result"]
    await ada.delete("LAPTOP", by="PHONE")
    await ada.join(hello["room_id"])
    welcome = (await ada.step("welcome", "done"))["result"]
    assert [named(result) for result in (hello, welcome)] == [(["LAPTOP", "PHONE"], []), (["PHONE"], [])]
    await ada.add("TABLET")
    await ada.reads_in_the_end("TABLET", hello["room_id"], [*TEXTS])
    assert named((await ada.step("welcome", "done"))["result"]) == (["PHONE", "TABLET"], [])
    assert await ada.reads("PHONE", hello["room_id"]) == TEXTS
    assert sent(ada.town, hello["room_id"]) == 2
