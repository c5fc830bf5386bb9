"""What `MatrixChat` makes of homeservers that misbehave, and how often it asks those that behave."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from shared.adapters.matrix import MatrixChat
from shared.adapters.matrix_check import clock
from shared.adapters.matrix_rooms import creation_of, power_of
from shared.domain.errors import Conflict, Limited, Misconfigured, MusterError, Refused, Unreachable
from shared.ports import CREATOR

BOT, ROOM, MEMBER = "@muster:x.test", "!room:x.test", "@ana:x.test"
TOKEN = "syt_not_to_be_seen"
Reply = tuple[int, bytes] | None


class Server:
    """Answers every request by `reply`: (status, body), or None to say nothing at all. Notes the requests."""

    def __init__(self, reply: Callable[[str], Reply], headers: str = "") -> None:
        self.reply, self.headers = reply, headers
        self.requests: list[str] = []
        self.connections = 0
        self.url = ""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = [line for line in head.splitlines() if line.lower().startswith("content-length:")]
                await reader.readexactly(int(length[0].partition(":")[2]) if length else 0)
                self.requests.append(head.partition(" HTTP")[0])
                if (said := self.reply(self.requests[-1])) is not None:
                    writer.write(self._bytes(*said))
                    await writer.drain()
        writer.close()

    def _bytes(self, status: int, body: bytes) -> bytes:
        kind = "application/json" if body[:1] in b"{[" else "text/html"
        head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{self.headers}\r\n"
        return head.encode() + body


@contextlib.asynccontextmanager
async def serving(server: Server, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    listener = await asyncio.start_server(server.handle, "127.0.0.1", 0, ssl=tls)
    server.url = f"{'https' if tls else 'http'}://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    yield server
    listener.close()


@contextlib.asynccontextmanager
async def talking_to(server: Server, **options: Any) -> AsyncIterator[MatrixChat]:
    async with serving(server):
        chat = MatrixChat(server.url, TOKEN, BOT, **options)
        yield chat
        await chat.close()


def error(code: str, **more: Any) -> bytes:
    return json.dumps({"errcode": code, "error": "because", **more}).encode()


CALLS: dict[str, Callable[[MatrixChat], Awaitable[Any]]] = {
    "whoami": lambda chat: chat.whoami(),
    "resolve": lambda chat: chat.resolve("#a:x.test"),
    "invite": lambda chat: chat.invite(ROOM, MEMBER),
    "kick": lambda chat: chat.kick(ROOM, MEMBER, "because"),
    "membership": lambda chat: chat.membership(ROOM, MEMBER),
    "has_profile": lambda chat: chat.has_profile(MEMBER),
    "power": lambda chat: chat.power(ROOM),
    "is_encrypted": lambda chat: chat.is_encrypted(ROOM),
    "send": lambda chat: chat.send(ROOM, {"msgtype": "m.text", "body": "x"}, "t"),
    "find_sent": lambda chat: chat.find_sent(ROOM, "k", "v"),
    "said_after": lambda chat: chat.said_after(ROOM, "$1", MEMBER),
    "accept": lambda chat: chat.accept(ROOM),
    "create_direct_room": lambda chat: chat.create_direct_room("a", MEMBER, "Hello"),
    "invite_directly": lambda chat: chat.invite_directly(ROOM, MEMBER),
    "joined_rooms": lambda chat: chat.joined_rooms(),
    "room": lambda chat: chat.room(ROOM),
    "rooms": lambda chat: chat.rooms(),
    "rooms_of": lambda chat: chat.rooms_of(MEMBER),
    "residents": lambda chat: chat.residents(ROOM),
    "joined_among": lambda chat: chat.joined_among(MEMBER, [ROOM]),
    "direct_rooms": lambda chat: chat.direct_rooms(),
    "set_direct_rooms": lambda chat: chat.set_direct_rooms({}),
}
NONSENSE: dict[str, Reply] = {
    "a web page": (200, b"<html>Welcome to nginx</html>"),
    "half a JSON": (200, b'{"event_id": "$1'),
    "a list": (200, b"[1, 2]"),
    "nothing": (200, b""),
    "an error 500": (500, error("M_UNKNOWN")),
    "a gateway's page": (502, b"<html>Bad gateway</html>"),
    "a page not found": (404, b"<html>Not found</html>"),
    "silence": None,
}


@pytest.mark.parametrize("said", NONSENSE.values(), ids=NONSENSE)
@pytest.mark.parametrize("method", CALLS)
async def test_nonsense_is_never_taken_for_an_answer(method: str, said: Reply) -> None:
    """Whatever is no homeserver's answer is `Unreachable` with a fix, for each method, asked once, naming no secret."""
    async with talking_to(Server(lambda _: said), timeout=0.3) as chat:
        with pytest.raises(Unreachable) as caught:
            await CALLS[method](chat)
    assert caught.value.neighbour == "matrix"
    assert caught.value.fix
    assert TOKEN not in f"{caught.value.cause} {caught.value.fix}"


ANSWERS: dict[str, tuple[int, bytes, type[MusterError]]] = {
    "limited": (429, error("M_LIMIT_EXCEEDED", retry_after_ms=333_000), Limited),
    "token": (401, error("M_UNKNOWN_TOKEN"), Refused),
    "forbidden": (403, error("M_FORBIDDEN"), Refused),
    "taken": (409, error("M_UNKNOWN"), Conflict),
    "in use": (400, error("M_ROOM_IN_USE"), Conflict),
    "other": (400, error("M_INVALID_PARAM"), Refused),
}


@pytest.mark.parametrize(("status", "body", "kind"), ANSWERS.values(), ids=ANSWERS)
@pytest.mark.parametrize("method", ["invite", "kick", "send", "create_direct_room", "invite_directly"])
async def test_each_refusal_has_its_own_error(method: str, status: int, body: bytes, kind: type[MusterError]) -> None:
    """nio returns its errors; here each is raised, at the first answer, with its code."""
    server = Server(lambda _: (status, body))
    async with talking_to(server) as chat:
        with pytest.raises(kind) as caught:
            await CALLS[method](chat)
    assert type(caught.value) is kind
    assert len(server.requests) == 1
    if isinstance(caught.value, Refused):
        assert caught.value.code == json.loads(body)["errcode"]
        assert caught.value.fix


async def test_a_dead_token_names_its_setting() -> None:
    """Nobody has to guess which of the secrets is wrong."""
    async with talking_to(Server(lambda _: (401, error("M_UNKNOWN_TOKEN", soft_logout=True)))) as chat:
        with pytest.raises(Refused) as caught:
            await chat.whoami()
        assert "MATRIX_ACCESS_TOKEN" in caught.value.fix
        (finding,) = await chat.check([ROOM], ROOM)
    assert (finding.ok, "MATRIX_ACCESS_TOKEN" in finding.fix) == (False, True)


@pytest.mark.parametrize(
    ("body", "headers", "after"),
    [
        (error("M_LIMIT_EXCEEDED", retry_after_ms=1500), "Retry-After: 9\r\n", 1.5),
        (error("M_LIMIT_EXCEEDED"), "Retry-After: 9\r\n", 9.0),
        (error("M_LIMIT_EXCEEDED"), "", 5.0),
        (b"<html>slow down</html>", "Retry-After: 7\r\n", 7.0),
        (b"<html>slow down</html>", "Retry-After: tomorrow\r\n", 5.0),
    ],
)
async def test_a_429_says_how_long(body: bytes, headers: str, after: float) -> None:
    """The exact time of the body, else the header's, else five seconds; a proxy's 429 counts too."""
    async with talking_to(Server(lambda _: (429, body), headers)) as chat:
        with pytest.raises(Limited) as caught:
            await chat.invite(ROOM, MEMBER)
    assert caught.value.after == after


ONE_CALL = {
    "whoami": b'{"user_id": "@muster:x.test", "device_id": "D"}',
    "resolve": b'{"room_id": "!room:x.test", "servers": []}',
    "invite": b"{}",
    "kick": b"{}",
    "membership": b'{"membership": "join"}',
    "has_profile": b'{"displayname": "Ana"}',
    "is_encrypted": b'{"algorithm": "m.megolm.v1.aes-sha2"}',
    "send": b'{"event_id": "$1"}',
    "find_sent": b'{"chunk": [], "start": "s"}',
    "accept": b'{"room_id": "!room:x.test"}',
    "create_direct_room": b'{"room_id": "!room:x.test"}',
    "invite_directly": b'{"event_id": "$1"}',
    "joined_rooms": b'{"joined_rooms": []}',
    "joined_among": b'{"joined_rooms": ["!room:x.test"]}',
    "room": b'{"room_id": "!room:x.test", "membership": "join"}',
    "direct_rooms": b"{}",
    "set_direct_rooms": b"{}",
}


@pytest.mark.parametrize("method", ONE_CALL)
async def test_one_call_each(method: str) -> None:
    """What a step costs the homeserver does not grow; the token travels in no address."""
    server = Server(lambda _: (200, ONE_CALL[method]))
    async with talking_to(server) as chat:
        await CALLS[method](chat)
    assert len(server.requests) == 1
    assert TOKEN not in server.requests[0]
    assert "/sync" not in server.requests[0]


async def test_whoami_is_asked_once() -> None:
    """However many want to know at the same time."""
    server = Server(lambda _: (200, ONE_CALL["whoami"]))
    async with talking_to(server) as chat:
        await asyncio.gather(*(chat.whoami() for _ in range(5)))
    assert len(server.requests) == 1


async def test_one_connection_is_kept() -> None:
    """Calls in a row share a connection."""
    server = Server(lambda _: (200, b"{}"))
    async with talking_to(server) as chat:
        for _ in range(5):
            await chat.invite(ROOM, MEMBER)
    assert (len(server.requests), server.connections) == (5, 1)


async def test_what_was_said_costs_two_calls() -> None:
    """And an answer without its parts is none."""
    server = Server(lambda _: (200, b'{"end": "t1", "chunk": []}'))
    async with talking_to(server) as chat:
        assert await chat.said_after(ROOM, "$1", MEMBER) == []
    assert len(server.requests) == 2
    for said in (b'{"chunk": []}', b'{"end": "t1"}'):
        async with talking_to(Server(lambda _, said=said: (200, said))) as chat:  # type: ignore[misc]
            with pytest.raises(Unreachable):
                await chat.said_after(ROOM, "$1", MEMBER)


async def test_a_message_is_looked_for_in_two_pages_at_most() -> None:
    """A room of a million messages costs two calls."""
    server = Server(lambda _: (200, b'{"chunk": [], "start": "s", "end": "more"}'))
    async with talking_to(server) as chat:
        assert await chat.find_sent(ROOM, "k", "v") is None
    assert len(server.requests) == 2


async def test_the_creation_of_a_room_is_read_once() -> None:
    """It never changes; the levels do, and are read each time."""
    server = Server(lambda _: (200, b'{"content": {"room_version": "12"}, "sender": "@muster:x.test"}'))
    async with talking_to(server) as chat:
        assert (await chat.power(ROOM)).ours == CREATOR
        assert (await chat.power(ROOM)).ours == CREATOR
    assert len(server.requests) == 3


async def test_residents_of_any_shape() -> None:
    """What other homeservers have written into memberships is no fault of ours: who is malformed is left out, a time
    that cannot be is one that can, and an answer without the list is no answer."""
    join = {"membership": "join"}
    odd: list[Any] = [
        {"state_key": "@a:x.test", "content": {**join, "displayname": 5}, "origin_server_ts": 10**30},
        {"state_key": "@b:x.test", "content": {**join, "displayname": " "}, "origin_server_ts": -5},
        {"state_key": "@c:x.test", "content": {**join, "displayname": "Cleo"}, "origin_server_ts": "noon"},
        {"state_key": 5, "content": join},
        {"state_key": "@d:x.test", "content": "join"},
        {"state_key": "@e:x.test", "content": {"membership": "leave"}},
    ]
    body = json.dumps({"chunk": odd, "users": {"@b:x.test": "7"}, "sender": BOT, "content": {"room_version": "10"}})
    async with talking_to(Server(lambda _: (200, body.encode()))) as chat:
        found = await chat.residents(ROOM)
    assert [(each.user_id, each.name, each.power) for each in found] == [
        ("@b:x.test", "b", 7),
        ("@c:x.test", "Cleo", 0),
        ("@a:x.test", "a", 0),
    ]
    async with talking_to(Server(lambda _: (200, b'{"sender": "@muster:x.test"}'))) as chat:
        with pytest.raises(Unreachable):
            await chat.residents(ROOM)


async def test_a_closed_admin_api_is_asked_once() -> None:
    """Where the bot is no server admin, that is found out once and remembered."""

    def reply(request: str) -> Reply:
        return (403, error("M_FORBIDDEN")) if "_synapse" in request else (200, b'{"joined_rooms": []}')

    server = Server(reply)
    async with talking_to(server) as chat:
        for _ in range(3):
            assert await chat.rooms_of(MEMBER) == []
    assert len([request for request in server.requests if "_synapse" in request]) == 2  # both at the first time


async def test_a_homeserver_from_before_the_room_summary() -> None:
    """The draft's path is taken where the specification's is unknown, and remembered."""

    def reply(request: str) -> Reply:
        known = "im.nheko.summary" in request
        return (200, ONE_CALL["room"]) if known else (404, error("M_UNRECOGNIZED"))

    server = Server(reply)
    async with talking_to(server) as chat:
        assert (await chat.room(ROOM)).room_id == ROOM
        await chat.room(ROOM)
    assert len(server.requests) == 3


async def test_many_rooms_come_from_the_admin_list() -> None:
    """In 150 rooms: the bot's rooms, one list, and one look at the single room that the list lacks yet."""
    ids = [f"!{n}:x.test" for n in range(150)]
    entries = [{"room_id": room, "name": room, "joined_members": 2} for room in [*ids[1:], "!other:x.test"]]

    def reply(request: str) -> Reply:
        if "joined_rooms" in request:
            return 200, json.dumps({"joined_rooms": ids}).encode()
        if "admin" in request:
            return 200, json.dumps({"rooms": entries}).encode()
        return 200, json.dumps({"room_id": ids[0], "name": "new", "membership": "join"}).encode()

    server = Server(reply)
    async with talking_to(server) as chat:
        found = await chat.rooms()
    assert {room.room_id for room in found} == set(ids)
    assert len(server.requests) == 3


async def test_a_refused_connection_is_unreachable() -> None:
    """A homeserver that is down is a passing fault that says so."""
    async with serving(Server(lambda _: None)) as server:
        url = server.url
    chat = MatrixChat(url, TOKEN, BOT)
    with pytest.raises(Unreachable, match="refuses connections"):
        await chat.invite(ROOM, MEMBER)
    await chat.close()


async def test_a_name_without_an_address_is_unreachable() -> None:
    """A typing error in the homeserver's name is told as one."""
    for url in ("http://no-such-host.invalid", "nonsense"):
        chat = MatrixChat(url, TOKEN, BOT)
        with pytest.raises(Unreachable) as caught:
            await chat.invite(ROOM, MEMBER)
        assert "MATRIX_HOMESERVER" in caught.value.fix
        await chat.close()


# ------------------------------------------------------------------ TLS


def self_signed(folder: Path) -> tuple[ssl.SSLContext, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "muster test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    bundle, secret = folder / "bundle.pem", folder / "key.pem"
    bundle.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    secret.write_bytes(key.private_bytes(*form))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(bundle, secret)
    return context, bundle


async def test_a_self_signed_certificate_needs_the_bundle(tmp_path: Path) -> None:
    """Refused with a fix that names the setting; accepted by the bundle's path, its text, or unverified."""
    context, bundle = self_signed(tmp_path)
    async with serving(Server(lambda _: (200, ONE_CALL["whoami"])), context) as server:
        stranger = MatrixChat(server.url, TOKEN, BOT)
        with pytest.raises(Unreachable) as caught:
            await stranger.whoami()
        await stranger.close()
        assert "MATRIX_CA_BUNDLE" in caught.value.fix
        for options in ({"ca_bundle": str(bundle)}, {"ca_bundle": bundle.read_text()}, {"verify": False}):
            chat = MatrixChat(server.url, TOKEN, BOT, **options)
            assert (await chat.whoami()).user_id == BOT
            await chat.close()


@pytest.mark.parametrize("bundle", ["no-such-file.pem", "-----BEGIN CERTIFICATE-----\nrubbish"])
async def test_a_bad_bundle_is_a_bad_setting(bundle: str) -> None:
    """Neither a missing file nor rubbish in it is a fault of the homeserver."""
    with pytest.raises(Misconfigured, match="MATRIX_CA_BUNDLE"):
        await MatrixChat("https://127.0.0.1:1", TOKEN, BOT, ca_bundle=bundle).whoami()


# ------------------------------------------------------------------ reading


@pytest.mark.parametrize(
    ("levels", "version", "expected"),
    [
        (None, "10", (100, 0, 50, 0, 0)),
        (None, "12", (CREATOR, 0, 50, 0, 0)),
        ({}, "10", (0, 0, 50, 0, 0)),
        ({"users_default": 10, "users": {MEMBER: "60"}, "invite": "5"}, "9", (10, 5, 50, 0, 60)),
        ({"users": {BOT: 50}, "events_default": 20, "events": {"m.room.message": 30}}, "11", (50, 0, 50, 30, 0)),
    ],
)
def test_power_has_the_defaults_of_the_specification(levels: Any, version: str, expected: tuple[int, ...]) -> None:
    """Absent levels, absent keys, and levels written as text in old rooms."""
    creation = creation_of({"sender": BOT, "content": {"room_version": version}})
    said = power_of(levels, creation, BOT, MEMBER)
    assert (said.ours, said.invite, said.kick, said.events_default, said.target) == expected


def test_additional_creators_are_creators() -> None:
    """In version 12 they stand above every level as well; before that nobody does."""
    content = {"room_version": "12", "additional_creators": [MEMBER]}
    assert creation_of({"sender": BOT, "content": content}).creators == {BOT, MEMBER}
    assert creation_of({"sender": BOT, "content": {**content, "room_version": "11"}}).creators == frozenset()


@pytest.mark.parametrize(
    ("said", "ok"),
    [("Sat, 21 Nov 2026 11:14:06 GMT", True), ("Sat, 21 Nov 2026 11:00:00 GMT", False), ("soon", True), (None, True)],
)
def test_the_clock_is_compared(said: str | None, ok: bool) -> None:
    """More than a minute apart is told; a homeserver that does not say is left in peace."""
    finding = clock({"Date": said} if said else {}, datetime(2026, 11, 21, 11, 14, 30, tzinfo=UTC))
    assert finding.ok is ok
    assert bool(finding.fix) is not ok
