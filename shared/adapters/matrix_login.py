"""Logging in with a password, as a device that the homeserver names. For set-up alone."""

from __future__ import annotations

from shared.adapters.matrix_client import CLIENT, connect, path_of
from shared.domain.errors import Misconfigured, NotFound, Refused
from shared.ports import Identity

SECONDS = 15.0


async def log_in(
    homeserver: str, user_id: str, password: str, ca_bundle: str | None, verify: bool, device_name: str
) -> tuple[Identity, str]:
    """Who that is, and its access token. Raises `Misconfigured` for a wrong password."""
    client = connect(homeserver, "", user_id, ca_bundle, verify, SECONDS)
    body = {
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": user_id},
        "password": password,
        "initial_device_display_name": device_name,
    }
    try:
        said = (await client.call("POST", path_of(CLIENT, "login"), body)).data
        return Identity(said["user_id"], said["device_id"]), str(said["access_token"])
    except (Refused, NotFound) as error:
        raise _translated(error) from error
    finally:
        await client.close()


def _translated(error: Refused | NotFound) -> Misconfigured:
    if isinstance(error, Refused) and error.code == "M_FORBIDDEN":
        return Misconfigured(
            "the homeserver does not take MATRIX_PASSWORD for the bot", "Correct it, or MATRIX_USER_ID."
        )
    fix = "Log in by its own means as a new device, clear MATRIX_DEVICE_ACCOUNT and set MATRIX_ACCESS_TOKEN."
    return Misconfigured(f"the bot cannot log in with a password: {error.cause}", fix)
