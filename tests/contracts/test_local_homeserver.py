"""The embedded homeserver and the sample member, as `scripts/run` uses them."""

from __future__ import annotations

import secrets
import socket
import stat
from pathlib import Path

import pytest

from local.member import Member, MemberFailed
from local.synapse import Synapse, SynapseFailed
from shared.adapters.matrix import MatrixChat

pytest_plugins = ("tests.contracts.synapse_server",)


def test_a_restart_finds_everything_again(homeserver, tmp_path: Path) -> None:
    """The same token, device and rooms after a second start; its secrets are its owner's alone."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = Synapse(tmp_path / "data", port, "restart.test")
    made = []
    for _ in range(2):
        server.start()
        made += [server.provision(), server.provision()]
        server.kill()
    assert all(one == made[0] for one in made)
    assert len({room["room_id"] for room in made[0]["rooms"]} | {made[0]["indoc_room_id"]}) == 7
    for path in (tmp_path / "data").iterdir():
        assert not stat.S_IMODE(path.parent.stat().st_mode) & 0o077
        if path.name in ("bot.json", "registration_secret", "homeserver.yaml", "macaroon_secret"):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_taken_port_is_named(homeserver, tmp_path: Path) -> None:
    """Nothing of anybody else is ended; the port is named."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(SynapseFailed, match=str(port)):
            Synapse(tmp_path, port, "taken.test").start()


async def test_a_sample_member_is_onboarded_by_hand(homeserver) -> None:
    """The member's own client accepts what it is invited to, reads what it is sent, and leaves."""
    chat = MatrixChat(homeserver.url, homeserver.token, homeserver.user_id)
    name = f"sample{secrets.token_hex(5)}"
    member = Member.enter(homeserver.url, homeserver.registration_secret, name, "pass word")
    room = await chat.create_direct_room(name, member.user_id, "Hello")
    content = {
        "msgtype": "m.text",
        "body": "Hello Ana",
        "format": "org.matrix.custom.html",
        "formatted_body": "Hello <b>Ana</b>",
        "m.mentions": {"user_ids": [member.user_id]},
    }
    event = await chat.send(room, content, "t1")
    assert await member.accept_invites(until=[room]) == [room]
    await chat.send(room, {"msgtype": "m.text", "body": "Welcome"}, "t2")
    hello, welcome = await member.messages(room)
    assert (hello.event_id, hello.sender, hello.formatted_body) == (event, chat.user_id, "Hello <b>Ana</b>")
    assert (hello.mentions, welcome.body) == ((member.user_id,), "Welcome")
    await member.leave(room)
    assert await member.joined_rooms() == []
    with pytest.raises(MemberFailed, match="M_FORBIDDEN"):
        await member.join(room)
    await member.close()
    await chat.close()


async def test_a_known_member_enters_again(homeserver) -> None:
    """A second run of the same data directory logs in instead of registering."""
    name = f"sample{secrets.token_hex(5)}"
    first, second = (Member.enter(homeserver.url, homeserver.registration_secret, name, "pass word") for _ in range(2))
    assert first.user_id == second.user_id
    assert await second.joined_rooms() == []
    await first.close()
    await second.close()
