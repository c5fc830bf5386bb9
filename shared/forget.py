"""scripts/forget ONBOARDING: deletes what Muster keeps of a member whose account is gone from Authentik.

Settings come from the environment: GOOGLE_CLOUD_PROJECT, AUTHENTIK_URL and AUTHENTIK_API_TOKEN. What would be
deleted is shown first, and asked for.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections import Counter

from shared.domain.errors import MusterError
from shared.services.context import Actor
from shared.services.forget import Traces, forget, traces
from shared.settings import Settings
from shared.wiring import Wiring

ACTOR = Actor("scripts/forget")


def main() -> int:
    chosen = options()
    try:
        return asyncio.run(run(Wiring(Settings(os.environ)), chosen.onboarding, yes=chosen.yes))
    except MusterError as error:
        print(f"{error.cause}.\n{error.fix}", file=sys.stderr)
        return 1


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/forget", description="Deletes what Muster keeps of a member.")
    parser.add_argument("onboarding", help="theirs, ob_...: GET /api/users and GET /api/onboardings show it")
    parser.add_argument("--yes", action="store_true", help="ask nothing: delete what is shown")
    return parser.parse_args()


async def run(wired: Wiring, onboarding_id: str, *, yes: bool) -> int:
    """1 when nothing was deleted. Raises `MusterError`."""
    try:
        found = await traces(wired, onboarding_id)
        show(found)
        if not yes and not agreed():
            print("Nothing was deleted.")
            return 1
        print(f"{await forget(wired, ACTOR, found)} documents deleted.")
        print(LEFT)
        return 0
    finally:
        await wired.documents.close()


LEFT = """By themselves go: their account and rooms in the cache with the next syncs, their Matrix id in it with
the next full one (POST /api/sync {"kind": "full"}); lines of imports and of plans that name them, within 30 days."""


def show(found: Traces) -> None:
    collections = Counter("/".join(path.split("/")[::2]) for path in found.paths)
    for name, number in sorted(collections.items()):
        print(f"  {number:5}  {name}")


def agreed() -> bool:
    if not sys.stdin.isatty():
        print("Nobody is there to ask: add --yes to delete them.")
        return False
    return input("Delete them? It cannot be undone. [y/N] ").strip().lower() in ("y", "yes")


if __name__ == "__main__":
    sys.exit(main())
