"""The bot's second device, which only watches: rooms and members are synced on it.

The homeserver forgets what came to a device once it is asked for what came after. On the device that sends, a sync
would take away the keys of members' answers; so syncing the directory has a device of its own. It has no keys, so
nobody encrypts anything to it.

Idempotent by the token that is kept: one that works is left alone. A run that dies between logging in and keeping
leaves a device behind that nobody uses; its name says what it was for.
"""

from __future__ import annotations

from msgspec import Struct

from shared.domain.errors import Misconfigured, Refused
from shared.ports import Identity
from shared.services.device_ports import Bench

WATCH_TOKEN, PASSWORD = "MATRIX_SYNC_ACCESS_TOKEN", "MATRIX_PASSWORD"
WATCHES = "Muster (reads rooms and members, sends nothing)"
"""The device's name, as the bot's own list of sessions shows it."""
BY_HAND = f"Or log the bot in by other means, as one more device, and set {WATCH_TOKEN} to its token."
HOW = f"Set {PASSWORD} for one run of scripts/setup matrix, which logs one in. {BY_HAND}"


class Watcher(Struct, frozen=True):
    """`device_id`: "" when there is none. `changed`: what was done, in words. `fix`: how to get one."""

    device_id: str = ""
    changed: tuple[str, ...] = ()
    fix: str = ""


async def set_up_watcher(bench: Bench, sends: str) -> Watcher:
    """`sends`: the id of the device that sends. Without a password nothing is made, and that is no error: every sync
    then reads all rooms. Raises `Refused` when the kept token is another user's, `Misconfigured` for a bad password."""
    watches = await _whoami(bench, await bench.vault.read(WATCH_TOKEN))
    if watches and watches.user_id != bench.user_id:
        cause = f"{WATCH_TOKEN} is of {watches.user_id}, and MATRIX_USER_ID is {bench.user_id}"
        raise Refused(cause, f"Clear {WATCH_TOKEN}. {HOW}")
    if watches and watches.device_id not in ("", sends):
        return Watcher(watches.device_id)
    password = await bench.vault.read(PASSWORD)
    return await _log_in(bench, password) if password else Watcher(fix=HOW)


async def _whoami(bench: Bench, token: str) -> Identity | None:
    """None without a token, and for one that is no longer known."""
    try:
        return await bench.connect(token).whoami() if token else None
    except Refused as error:
        if error.code == "M_UNKNOWN_TOKEN":
            return None
        raise


async def _log_in(bench: Bench, password: str) -> Watcher:
    try:
        who, token = await bench.log_in(password, WATCHES)
    except Misconfigured as error:
        raise Misconfigured(error.cause, f"Correct it. {BY_HAND}") from error
    await bench.vault.keep({WATCH_TOKEN: token})
    return Watcher(who.device_id, (f"logged in a device that only watches, {who.device_id}, and kept {WATCH_TOKEN}",))
