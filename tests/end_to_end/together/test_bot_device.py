"""The bot of the stack, as a member's client sees it: on a device that its owner has signed."""

from __future__ import annotations

import httpx
import pytest

from local.homeserver_setup import register
from local.loopback import LOOPBACK
from local.stack import Stack
from shared.adapters.matrix import MatrixChat
from shared.adapters.olm import devices_of
from shared.domain.device_account import DeviceAccount

pytestmark = [pytest.mark.stack, pytest.mark.timeout(120)]


async def test_the_bot_is_on_a_signed_device(stack: Stack, username: str) -> None:
    """scripts/run has set the bot's device up: what the functions encrypt with is what members are shown, signed."""
    kept = DeviceAccount.parse(stack.env["MATRIX_DEVICE_ACCOUNT"])
    homeserver = stack.env["MATRIX_HOMESERVER"]
    with httpx.Client(base_url=homeserver, timeout=60, **LOOPBACK) as http:
        made = register(http, stack.env["SYNAPSE_REGISTRATION_SECRET"], username, "not-a-secret")
    client = MatrixChat(homeserver, made["access_token"], made["user_id"])
    try:
        answer = await client.query_keys([stack.env["MATRIX_USER_ID"]])
    finally:
        await client.close()
    shown = {device.device_id: device for device in devices_of(answer, [stack.env["MATRIX_USER_ID"]])[0]}
    assert (shown[kept.device_id].ed25519, shown[kept.device_id].verified) == (kept.ed25519, True)
