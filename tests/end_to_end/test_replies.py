"""Members answer the welcome, on the whole stack: with their own clients, and an admin reads it."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from local import sample
from local.loopback import LOOPBACK
from local.stack import Stack
from shared.domain.members import suggested_username
from tests.end_to_end.conftest import SQLITE
from tests.end_to_end.recipients.client import Recipient
from tests.end_to_end.recipients.nio_client import NioRecipient
from tests.end_to_end.recipients.node_client import NodeAbsent, NodeRecipient, install
from tests.end_to_end.test_encrypted_welcome import enrolled, of, registered, sealed, step, until

pytestmark = pytest.mark.stack
__all__ = ["sealed"]
STORE = SQLITE


@pytest.fixture
async def api(sealed: Stack) -> AsyncIterator[httpx.AsyncClient]:
    async with sample.api(sealed.env) as client:
        yield client


@pytest.fixture
async def welcomed(sealed: Stack, api: httpx.AsyncClient) -> Any:
    """`await welcomed(client, name)`: through enrollment to the welcome; answers the direct room."""

    async def done(client: Recipient, name: str) -> str:
        await client.join(sealed.env["MATRIX_INDOC_ROOM_ID"])
        await enrolled(sealed, api, [name])
        found = await until(lambda: of(api, name), step("hello", "done"), 90)
        room = str(found["steps"]["hello"]["result"]["room_id"])
        await client.join(room)
        await until(lambda: of(api, name), step("welcome", "done"), 90)
        return room

    return done


async def answered(api: httpx.AsyncClient, client: Recipient, name: str, room: str) -> None:
    """Two replies, the second after the first was read: both are shown, the newest first, as they were written."""
    assert [one.body is not None for one in await client.seen(room)] == [True, True]
    await client.say(room, "thank you")
    first = await until(lambda: of(api, name), lambda found: read(found) == ["thank you"], 60)
    await client.say(room, "Wo ist die Küche? 🍲")
    found = await until(lambda: of(api, name), lambda found: len(read(found)) == 2, 60)
    assert read(found) == ["Wo ist die Küche? 🍲", "thank you"]
    assert [reply["cause"] for reply in found["replies"]] == ["", ""]
    assert found["replies"][1] == first["replies"][0]


def read(found: dict[str, Any]) -> list[str]:
    return [reply["text"] for reply in found["replies"] if reply["text"]]


async def test_an_admin_reads_what_a_member_answers(
    sealed: Stack, api: httpx.AsyncClient, welcomed: Any, tmp_path: Path
) -> None:
    """From matrix-nio; and neither reply lies in the store as text."""
    name = suggested_username("answers", secrets.randbits(40))
    client = await NioRecipient.enter(sealed.env["MATRIX_HOMESERVER"], registered(sealed, name), tmp_path)
    try:
        room = await welcomed(client, name)
        await answered(api, client, name, room)
        await talked(sealed, api, client, name, room)
    finally:
        await client.close()


async def talked(sealed: Stack, api: httpx.AsyncClient, client: Recipient, name: str, room: str) -> None:
    """An admin answers: their client decrypts it, it is on record with that device; and what they reply follows."""
    path = f"/api/members/@{name}:{sealed.env['MATRIX_DOMAIN']}/conversation"

    async def talk() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await api.get(path)).json()["items"]
        return found

    assert [said["kind"] for said in await talk()] == ["reply", "reply", "welcome", "hello"]
    answer = await api.post(path, json={"text": "Behind the *blue* door, {display_name}"})
    assert answer.status_code == 202, answer.text
    seen = await until(lambda: client.seen(room), lambda seen: "blue door" in str(seen[-1].body), 60)
    assert seen[-1].body.startswith("Behind the blue door, ")
    said = (await until(talk, lambda found: found[0]["state"] == "sent", 60))[0]
    assert (said["text"], said["event_id"], said["encrypted"]) == (seen[-1].body, seen[-1].event_id, True)
    assert [device["device_id"] for device in said["devices"]] == [client.device_id]
    await client.say(room, "found it")
    last = (await until(talk, lambda found: found[0]["text"] == "found it", 60))[0]
    assert (last["direction"], last["cause"]) == ("in", "")


async def test_an_answer_from_the_clients_own_crypto(sealed: Stack, api: httpx.AsyncClient, welcomed: Any) -> None:
    """From the Rust crypto of the usual clients, on a device that its owner has signed."""
    try:
        install()
    except NodeAbsent as absent:
        pytest.skip(str(absent))
    name = suggested_username("rusty", secrets.randbits(40))
    url = sealed.env["MATRIX_HOMESERVER"]
    client = await NodeRecipient.enter(url, registered(sealed, name), sign=True, only_signed=True)
    try:
        await answered(api, client, name, await welcomed(client, name))
    finally:
        await client.close()


async def test_an_answer_that_cannot_be_opened_says_so(
    sealed: Stack, api: httpx.AsyncClient, welcomed: Any, tmp_path: Path
) -> None:
    """A key that never came to the bot: the reply is shown with its cause, and the next one with its text."""
    name = suggested_username("keyless", secrets.randbits(40))
    login = registered(sealed, name)
    client = await NioRecipient.enter(sealed.env["MATRIX_HOMESERVER"], login, tmp_path)
    try:
        room = await welcomed(client, name)
        content = {"algorithm": "m.megolm.v1.aes-sha2", "session_id": secrets.token_hex(20), "ciphertext": "AwgA"}
        path = f"/_matrix/client/v3/rooms/{room}/send/m.room.encrypted/{secrets.token_hex(6)}"
        headers = {"Authorization": f"Bearer {login['access_token']}"}
        async with httpx.AsyncClient(base_url=sealed.env["MATRIX_HOMESERVER"], **LOOPBACK) as http:
            (await http.put(path, json=content, headers=headers)).raise_for_status()
        found = await until(lambda: of(api, name), lambda found: "key has not come" in json.dumps(found["replies"]), 60)
        assert [reply["text"] for reply in found["replies"]] == [None]
        await client.sync()
        await client.say(room, "can you read this?")
        await until(lambda: of(api, name), lambda found: read(found) == ["can you read this?"], 60)
    finally:
        await client.close()
