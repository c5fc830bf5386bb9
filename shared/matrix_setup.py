"""scripts/setup matrix: the bot's devices, once for an installation. Again, it says that all is well.

Settings come from the environment, then from .env. What it makes is kept where the settings say: in Secret Manager
when they are names of secrets there, else in matrix.json in MUSTER_DATA_DIR.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from shared.services.device_identity import RECOVERY_KEY
from shared.services.device_ports import Bench
from shared.services.device_setup import Outcome, set_up_device
from shared.services.watch_setup import Watcher, set_up_watcher
from shared.settings import Settings
from shared.setup_common import finish, read_settings, require

if TYPE_CHECKING:
    from shared.adapters.matrix import MatrixChat
    from shared.adapters.vault import SettingsVault
    from shared.ports import Identity


def main() -> int:
    chosen = options()
    return finish(run(read_settings(), new_device=chosen.new_device, quiet=chosen.quiet))


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/setup matrix", description="Sets up the bot's devices, once.")
    anew = "log in anew with MATRIX_PASSWORD: for a lost token or account"
    parser.add_argument("--new-device", action="store_true", help=anew)
    parser.add_argument("--quiet", action="store_true", help="show no recovery key: it is kept all the same")
    return parser.parse_args()


async def run(settings: Settings, *, new_device: bool, quiet: bool) -> int:
    """Raises `MusterError`."""
    from shared.adapters.vault import SettingsVault

    require(settings, "matrix", "store", but="MATRIX_ACCESS_TOKEN")  # which --new-device may bring
    async with AsyncExitStack() as until:
        vault = SettingsVault(settings)
        until.push_async_callback(vault.close)
        own = await bench(settings, vault, until)
        outcome = await set_up_device(own, new_device=new_device)
        watcher = await set_up_watcher(own, outcome.device_id)
        tell(outcome, watcher, "" if quiet else await vault.read(RECOVERY_KEY), vault)
    return 0


async def bench(settings: Settings, vault: SettingsVault, until: AsyncExitStack) -> Bench:
    """`until` closes the clients that it makes."""
    from shared.adapters.device_crafts import DeviceCrafts
    from shared.adapters.matrix import MatrixChat
    from shared.adapters.matrix_login import log_in

    homeserver, user_id = settings["MATRIX_HOMESERVER"], settings["MATRIX_USER_ID"]
    ca_bundle, verify = settings["MATRIX_CA_BUNDLE"] or None, not settings["MATRIX_DISABLE_SSL_VERIFICATION"]

    def connect(token: str) -> MatrixChat:
        chat = MatrixChat(homeserver, token, user_id, ca_bundle, verify)
        until.push_async_callback(chat.close)
        return chat

    async def new_login(password: str, name: str) -> tuple[Identity, str]:
        return await log_in(homeserver, user_id, password, ca_bundle, verify, name)

    return Bench(user_id, vault, DeviceCrafts(), connect, new_login)


def tell(outcome: Outcome, watcher: Watcher, recovery_key: str, vault: SettingsVault) -> None:
    for line in [*outcome.changed, *watcher.changed] or ["all is well already, nothing was changed"]:
        print(f"  {line}")
    print(f"  device {outcome.device_id}, fingerprint {outcome.ed25519}")
    if watcher.device_id:
        print(f"  device {watcher.device_id} watches")
    else:
        print(f"  no device watches: each sync of the directory reads every room in full. {watcher.fix}")
    if outcome.has_new_recovery_key and recovery_key:
        print(f"\nRecovery key, shown only now: {in_fours(recovery_key)}")
        print("Whoever has it is the bot. Write it down, away from this machine.")
    if vault.unset():
        print(f"\nFor a deployment, set {', '.join(vault.unset())} as kept in {vault.file.path}")


def in_fours(key: str) -> str:
    return " ".join(key[start : start + 4] for start in range(0, len(key), 4))


if __name__ == "__main__":
    sys.exit(main())
