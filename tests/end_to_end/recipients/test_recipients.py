"""What the bot seals without keeping any state is read by members' own clients, on two implementations: matrix-nio, and
the Rust crypto that the usual clients have. Against a real Synapse."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from shared.adapters.cross_signing import Identity
from shared.adapters.matrix import MatrixChat
from shared.adapters.olm import Sealer, make_account
from shared.domain.devices import Device, Distrusted, Sealed
from tests.contracts.chat_worlds import SynapseWorld
from tests.contracts.keys_worlds import log_in
from tests.end_to_end.recipients.client import Recipient
from tests.end_to_end.recipients.nio_client import NioRecipient
from tests.end_to_end.recipients.node_client import NodeAbsent, NodeRecipient, install

pytest_plugins = ("tests.contracts.synapse_server",)
KEY = b"k" * 32
ANY_CLIENT = pytest.mark.parametrize("kind", ["nio", "node"])
Make = Callable[..., Awaitable[Any]]


@dataclass
class Bot:
    """The sender as it is deployed: an account that never changes, and everything else made anew for each send."""

    world: SynapseWorld
    chat: MatrixChat
    account: str
    device_id: str
    sealed: list[Sealed] = field(default_factory=list)

    @property
    def sealer(self) -> Sealer:
        return Sealer(self.world.bot, self.device_id, self.account, KEY)

    async def keys(self, users: list[str], but: tuple[str, ...] = ()) -> tuple[dict[Device, str], list[Distrusted]]:
        """`but`: devices that are left out."""
        found, distrusted = self.sealer.devices_of(await self.chat.query_keys(users), users)
        wanted: dict[str, list[str]] = {}
        devices = [device for device in found if device.device_id not in but]
        for device in devices:
            wanted.setdefault(device.user_id, []).append(device.device_id)
        keys, missing = self.sealer.claimed(await self.chat.claim_keys(wanted), devices)
        return keys, distrusted + missing

    async def seal(self, room_id: str, body: str) -> tuple[Sealed, list[Distrusted]]:
        users = [user for user in await self.chat.members(room_id) if user != self.world.bot]
        keys, distrusted = await self.keys(users)
        return self.sealer.seal(room_id, "m.room.message", {"msgtype": "m.text", "body": body}, keys), distrusted

    async def send(self, room_id: str, body: str) -> list[Distrusted]:
        """Answers who got no key."""
        sealed, distrusted = await self.seal(room_id, body)
        self.sealed.append(sealed)
        await self.chat.send_to_device("m.room.encrypted", sealed.to_device, secrets.token_hex(8))
        await self.chat.send_event(room_id, "m.room.encrypted", sealed.event, secrets.token_hex(8))
        return distrusted

    async def sign(self) -> Identity:
        """Cross-signs the device, as set-up does."""
        identity = Identity.make(self.world.bot)
        await self.chat.upload_signing_keys(identity.upload())
        assert await self.chat.upload_signatures(identity.sign_device(self.sealer.device_keys)) == {}
        return identity

    async def heard(self, room_id: str, since: str) -> list[str]:
        """What members said in the room, opened with what was stored of our own messages."""
        said = await self.chat.sync(since, True)
        sessions = {f"{number}|{who}": olm for number, one in enumerate(self.sealed) for who, olm in one.olm.items()}
        opened = [self.sealer.open_to_device(event, sessions) for event in said["to_device"]["events"]]
        keys = {one.room_key.session_id: one.room_key for one in opened if one.room_key}
        events = said["rooms"]["join"][room_id]["timeline"]["events"]
        return [self.sealer.open_event(room_id, event, keys)["content"]["body"] for event in events]


@pytest.fixture
async def bot(homeserver: Any) -> AsyncIterator[Bot]:
    """A bot of its own for each test, its device published and not signed."""
    made = homeserver.register(f"bot{secrets.token_hex(5)}", device_id="BOT")
    world = SynapseWorld(homeserver, made["user_id"], made["access_token"])
    chat = world.another_chat()
    new = make_account(world.bot, "BOT", KEY)
    await chat.upload_keys({"device_keys": new.device_keys, "fallback_keys": new.fallback_keys})
    yield Bot(world, chat, new.account, "BOT")
    await chat.close()
    await world.close()


@pytest.fixture
async def enter(homeserver: Any, tmp_path: Path) -> AsyncIterator[Make]:
    """`enter(kind)` is a new member with a device, `enter(kind, member)` another device of one."""
    made: list[Recipient] = []

    async def _enter(kind: str, of: Recipient | None = None, **options: Any) -> Recipient:
        device = f"{kind.upper()}{len(made)}"
        login = log_in(homeserver.url, of.user_id, device) if of else None
        login = login or homeserver.register(f"{kind}{secrets.token_hex(5)}", device_id=device)
        login = {key: login[key] for key in ("user_id", "access_token", "device_id")}
        store = tmp_path / device
        store.mkdir()
        made.append(await _start(kind, homeserver.url, login, store, options))
        return made[-1]

    yield _enter
    for recipient in made:
        await recipient.close()


async def _start(kind: str, url: str, login: dict[str, str], store: Path, options: dict[str, Any]) -> Recipient:
    if kind == "nio":
        return await NioRecipient.enter(url, login, store)
    try:
        await asyncio.to_thread(install)
    except NodeAbsent as error:
        if os.environ.get("MUSTER_REQUIRE_ALL") == "1":
            raise
        pytest.skip(str(error))
    return await NodeRecipient.enter(url, login, **options)


async def room_of(bot: Bot, *members: Recipient, join: bool = True) -> str:
    room = await bot.world.room(public=False, encrypted=True)
    for user in {member.user_id for member in members}:
        await bot.chat.invite(room, user)
    if join:
        for member in {member.user_id: member for member in members}.values():
            await member.join(room)
    for member in members:
        await member.sync()  # so that it knows the bot's device before the first message
    return room


async def bodies(recipient: Recipient, room: str) -> list[str | None]:
    return [event.body for event in await recipient.seen(room)]


# ------------------------------------------------------------------ reading


@ANY_CLIENT
async def test_a_member_reads_the_message(bot: Bot, enter: Make, kind: str) -> None:
    """Joined, with one device: readable, and so is the next one, of a new session."""
    member = await enter(kind)
    room = await room_of(bot, member)
    for text in ("hello", "welcome 👋"):
        assert await bot.send(room, text) == []
    assert await bodies(member, room) == ["hello", "welcome 👋"]


@ANY_CLIENT
async def test_who_was_only_invited_reads_it_after_joining(bot: Bot, enter: Make, kind: str) -> None:
    """The key goes to the invitee's devices too."""
    member = await enter(kind)
    room = await room_of(bot, member, join=False)
    assert await bot.send(room, "sent before the join") == []
    await member.sync()
    await member.join(room)
    assert await bodies(member, room) == ["sent before the join"]


@ANY_CLIENT
async def test_both_devices_of_a_member_read_it(bot: Bot, enter: Make, kind: str) -> None:
    """Each device gets the key in a message of its own."""
    phone = await enter(kind)
    laptop = await enter(kind, phone)
    room = await room_of(bot, phone, laptop)
    await bot.send(room, "hello")
    assert [await bodies(device, room) for device in (phone, laptop)] == [["hello"]] * 2


@ANY_CLIENT
async def test_senders_at_once_disturb_nothing(bot: Bot, enter: Make, kind: str) -> None:
    """Eight sends side by side, each with an account read anew: all readable."""
    member = await enter(kind)
    room = await room_of(bot, member)
    await asyncio.gather(*[bot.send(room, f"{number}") for number in range(8)])
    assert sorted(await bodies(member, room)) == [f"{number}" for number in range(8)]


async def used_up(bot: Bot, member: Recipient) -> None:
    """Claims keys until there are none but a fallback key, or none at all."""
    for _ in range(200):
        answer = await bot.chat.claim_keys({member.user_id: [member.device_id]})
        keys = answer["one_time_keys"].get(member.user_id, {}).get(member.device_id, {})
        if not keys or next(iter(keys.values())).get("fallback"):
            return
    pytest.fail("there seems to be no end of keys")


async def test_the_fallback_key_serves_when_the_others_are_used_up(bot: Bot, enter: Make) -> None:
    """Any number of messages over the one fallback key are readable."""
    member = await enter("node")
    room = await room_of(bot, member)
    await used_up(bot, member)
    for number in range(3):
        assert await bot.send(room, f"{number}") == []
    assert await bodies(member, room) == ["0", "1", "2"]


async def test_a_client_without_fallback_keys_is_named_when_its_keys_are_used_up(bot: Bot, enter: Make) -> None:
    """No key, no silence: nobody gets a message without our knowing who cannot read it."""
    member = await enter("nio")
    room = await room_of(bot, member)
    await used_up(bot, member)
    named = [(one.user_id, one.device_id, one.reason) for one in await bot.send(room, "hello")]
    assert named == [(member.user_id, member.device_id, "has no key to claim")]
    assert await bodies(member, room) == [None]


@ANY_CLIENT
async def test_a_device_that_came_later_gets_the_stored_key(bot: Bot, enter: Make, kind: str) -> None:
    """A plain room key from what was stored, over a new Olm session: readable from the first message on."""
    phone = await enter(kind)
    room = await room_of(bot, phone)
    await bot.send(room, "hello")
    laptop = await enter(kind, phone)
    assert await bodies(laptop, room) == [None]
    keys, _ = await bot.keys([phone.user_id], but=(phone.device_id,))
    stored = bot.sealed[0]
    messages, olm = bot.sealer.share(room, stored.session, stored.session_id, keys)
    await bot.chat.send_to_device("m.room.encrypted", messages, secrets.token_hex(8))
    assert list(olm) == [f"{phone.user_id}|{laptop.device_id}"]
    assert await bodies(laptop, room) == ["hello"]


# ------------------------------------------------------------------ replies


@ANY_CLIENT
async def test_replies_are_opened(bot: Bot, enter: Make, kind: str) -> None:
    """Two replies, from the session that was kept as it was sent."""
    member = await enter(kind)
    room = await room_of(bot, member)
    since = (await bot.chat.sync(None, True))["next_batch"]
    await bot.send(room, "hello")
    assert await bodies(member, room) == ["hello"]
    for text in ("thanks", "a question"):
        await member.say(room, text)
    assert await bot.heard(room, since) == ["thanks", "a question"]


@ANY_CLIENT
async def test_who_writes_first_is_understood(bot: Bot, enter: Make, kind: str) -> None:
    """A member to whom we never wrote claims our fallback key; the account opens it."""
    member = await enter(kind)
    room = await room_of(bot, member)
    since = (await bot.chat.sync(None, True))["next_batch"]
    await member.say(room, "is anybody there?")
    assert await bot.heard(room, since) == ["is anybody there?"]


# ------------------------------------------------------------------ trust


async def test_a_signed_bot_has_no_shield(bot: Bot, enter: Make) -> None:
    """A client of the strict kind finds the device signed by its owner, reads, and warns of nothing."""
    await bot.sign()
    member = await enter("node", only_signed=True)
    room = await room_of(bot, member)
    await bot.send(room, "hello")
    assert await member.is_signed(bot.world.bot, "BOT")
    assert [(event.body, event.shield) for event in await member.seen(room)] == [("hello", "none")]


async def test_an_unsigned_bot_is_warned_of_or_not_shown_at_all(bot: Bot, enter: Make) -> None:
    """Why the device must be signed before its first message."""
    lenient, strict = await enter("node"), await enter("node", only_signed=True)
    room = await room_of(bot, lenient, strict)
    await bot.send(room, "hello")
    assert not await lenient.is_signed(bot.world.bot, "BOT")
    assert [(event.body, event.shield) for event in await lenient.seen(room)] == [("hello", "red")]
    assert await bodies(strict, room) == [None]


async def test_a_member_who_has_signed_a_device_is_seen_to_have(bot: Bot, enter: Make) -> None:
    """Signatures made by the clients' own crypto hold in ours."""
    signed = await enter("node", sign=True)
    plain = await enter("node", signed)
    found, distrusted = Sealer.devices_of(await bot.chat.query_keys([signed.user_id]), [signed.user_id])
    verified = {device.device_id: device.verified for device in found}
    assert verified == {signed.device_id: True, plain.device_id: False}
    assert distrusted == []
