"""scripts/setup authentik: Muster's service account, its role and its token, by one command. Again, all is well.

AUTHENTIK_URL comes from the environment or from .env. The one-time token of an administrator is asked for, or comes
from AUTHENTIK_BOOTSTRAP_TOKEN; never from the command line, where others on the machine could read it. What is made
is kept where the settings say: in Secret Manager when AUTHENTIK_API_TOKEN is the name of a secret there, else in
authentik.json in MUSTER_DATA_DIR.
"""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from shared.domain.errors import Misconfigured
from shared.domain.service_account import SETTING
from shared.services.service_account import Wanted, apply, look, plan
from shared.settings import Settings
from shared.setup_common import agreed, finish, read_settings, require

if TYPE_CHECKING:
    from shared.adapters.vault import SettingsVault

BOOTSTRAP = "AUTHENTIK_BOOTSTRAP_TOKEN"
FILE = "authentik.json"
OWN = ("authentik server", "authentik token", "authentik permission")
"""Findings about what this command makes; flow, webhook and the rest are the blueprints'."""


def main() -> int:
    chosen = options()
    return finish(run(read_settings(), chosen))


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/setup authentik", description="Sets up Muster's service account.")
    parser.add_argument("--yes", action="store_true", help="ask nothing: do what is shown")
    parser.add_argument("--dry-run", action="store_true", help="only show what would be done")
    parser.add_argument("--with-deletion", action="store_true", help="Muster may delete accounts, too")
    return parser.parse_args()


async def run(settings: Settings, chosen: argparse.Namespace) -> int:
    """Raises `MusterError`. 1 when something is left to be done."""
    from shared.adapters.authentik_admin import AuthentikAdmin
    from shared.adapters.vault import SettingsVault

    require(settings, "authentik", "store", but=SETTING)
    async with AsyncExitStack() as until:
        vault = SettingsVault(settings, file=FILE)
        until.push_async_callback(vault.close)
        ca_bundle = settings["AUTHENTIK_CA_BUNDLE"] or None
        authentik = AuthentikAdmin(settings["AUTHENTIK_URL"], one_time_token(), ca_bundle)
        until.push_async_callback(authentik.close)
        found = await look(authentik, vault, wanted(with_deletion=chosen.with_deletion))
        if not plan(found):
            print("  all is well already, nothing was changed")
        elif not agreed(plan(found), yes=chosen.yes, dry_run=chosen.dry_run):
            return 0 if chosen.dry_run else 1
        else:
            print("\nDone:")
            await apply(authentik, vault, found, lambda words: print(f"  {words}"))
        return await show(settings, vault)


def wanted(*, with_deletion: bool) -> Wanted:
    from shared.adapters.authentik_permissions import DELETE_USER, PERMISSIONS

    if with_deletion:
        return Wanted((*PERMISSIONS, DELETE_USER))
    return Wanted(tuple(PERMISSIONS), (DELETE_USER,))


def one_time_token() -> str:
    given = os.environ.get(BOOTSTRAP, "").strip()
    if given:
        return given
    if not sys.stdin.isatty():
        fix = f"Set {BOOTSTRAP} to an administrator's token (Directory, Tokens, intent API); delete it afterwards."
        raise Misconfigured(f"{BOOTSTRAP} is not set, and nobody is there to ask", fix)
    return getpass.getpass("One-time API token of an administrator (not shown): ").strip()


async def show(settings: Settings, vault: SettingsVault) -> int:
    """What Muster itself finds, with the token that it will use."""
    from shared.adapters.authentik import AuthentikDirectory

    directory = AuthentikDirectory(
        settings["AUTHENTIK_URL"],
        await vault.read(SETTING),
        settings["AUTHENTIK_FLOW_SLUG"],
        settings["ADMIN_GROUP"],
        settings["AUTHENTIK_CA_BUNDLE"] or None,
    )
    try:
        wrong = [finding for finding in await directory.check() if not finding.ok]
    finally:
        await directory.close()
    print("\nWith its own token, Muster finds:" if wrong else "\nWith its own token, Muster finds everything well.")
    for finding in wrong:
        print(f"  {finding.name}: {finding.detail}. {finding.fix}")
    if vault.unset():
        print(f"\nSet {SETTING} to what is kept in {vault.file.path}: in .env, or in Secret Manager for a deployment.")
    print("Now delete the one-time token in Authentik (Directory, Tokens).")
    return 1 if any(finding.name.startswith(OWN) for finding in wrong) else 0


if __name__ == "__main__":
    sys.exit(main())
