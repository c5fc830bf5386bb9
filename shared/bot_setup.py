"""scripts/setup bot: the bot's rooms, its power in them, and its limits. Looks first; again, it says that all is well.

Settings come from the environment, then from .env; the bot's token also from what `scripts/setup matrix` has kept.
A server admin's token lifts the limits where the bot itself may not: MATRIX_ADMIN_TOKEN, or asked for with --admin.
It is used in this run alone and kept nowhere.
"""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from shared.domain.device_account import DeviceAccount
from shared.domain.errors import Misconfigured
from shared.services.bot_setup import NEW_DEVICE, Point, look, mend
from shared.settings import Settings
from shared.setup_common import ask, finish, read_settings, require

if TYPE_CHECKING:
    from shared.adapters.matrix_bot import BotHands
    from shared.adapters.vault import SettingsVault

ADMIN, TOKEN, ACCOUNT = "MATRIX_ADMIN_TOKEN", "MATRIX_ACCESS_TOKEN", "MATRIX_DEVICE_ACCOUNT"
ROUNDS = 2
"""What a room asks for can be seen only from inside: joining may show more to mend."""


def main() -> int:
    chosen = options()
    return finish(run(read_settings(), chosen))


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/setup bot", description="Looks after the bot's place in Matrix.")
    parser.add_argument("--yes", action="store_true", help="ask nothing: mend what can be mended")
    parser.add_argument("--dry-run", action="store_true", help="only look")
    parser.add_argument("--admin", action="store_true", help=f"ask for a server admin's token (or set {ADMIN})")
    return parser.parse_args()


async def run(settings: Settings, chosen: argparse.Namespace) -> int:
    """Raises `MusterError`. 1 when something is left to be done."""
    require(settings, "matrix", "onboarding", "store", but=TOKEN)
    bot = await hands(settings, admin_token(asked=chosen.admin))
    rooms, indoc = settings["MATRIX_DEFAULT_ROOMS"], settings["MATRIX_INDOC_ROOM_ID"]
    try:
        points = await look(bot, rooms, indoc)
        show(points)
        for _ in range(ROUNDS):
            if chosen.dry_run or not await mended(points, yes=chosen.yes):
                break
            points = await look(bot, rooms, indoc)
            show(points)
    finally:
        await bot.close()
    wrong = [point for point in points if not point.ok]
    print(f"\n{len(wrong)} of {len(points)} left to be done." if wrong else "\nAll is well. Next: scripts/setup matrix")
    return 1 if wrong else 0


def admin_token(*, asked: bool) -> str:
    given = os.environ.get(ADMIN, "").strip()
    if asked and not given:
        return getpass.getpass("Access token of a server admin (not shown): ").strip()
    return given


async def hands(settings: Settings, admin: str) -> BotHands:
    from shared.adapters.matrix_bot import BotHands
    from shared.adapters.vault import SettingsVault

    vault = SettingsVault(settings)
    try:
        token = await own_token(vault)
    finally:
        await vault.close()
    if not token:
        raise Misconfigured(f"{TOKEN} is not set", NEW_DEVICE)
    return BotHands(
        settings["MATRIX_HOMESERVER"],
        token,
        settings["MATRIX_USER_ID"],
        settings["MATRIX_CA_BUNDLE"] or None,
        not settings["MATRIX_DISABLE_SSL_VERIFICATION"],
        admin_token=admin,
    )


async def own_token(vault: SettingsVault) -> str:
    """As the functions choose it: the one beside the device's account first."""
    text = await vault.read(ACCOUNT)
    beside = DeviceAccount.parse(text).access_token if text else ""
    return beside or await vault.read(TOKEN)


def show(points: Sequence[Point]) -> None:
    print()
    for point in points:
        print(f"  {'ok  ' if point.ok else 'todo'}  {point.name}: {point.detail}")
        if point.fix and not point.ok:
            print(f"        {point.fix}")


async def mended(points: Sequence[Point], *, yes: bool) -> bool:
    """Whether anything was changed; each change is asked for."""
    changed = False
    for point in points:
        if point.mend and ask(f"{point.mend}?", yes=yes):
            failed = await mend(point)
            print(f"  {'failed' if failed else 'done'}: {point.mend}{f': {failed}' if failed else ''}")
            changed = changed or not failed
    return changed


if __name__ == "__main__":
    sys.exit(main())
