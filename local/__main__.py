"""scripts/run: all of Muster on this machine, and one sample member brought in for real."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import httpx

from local.processes import PartFailed
from local.screen import Screen
from local.surroundings import ROOT, DataDirectory, given


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/run", description=__doc__)
    one = parser.add_mutually_exclusive_group()
    one.add_argument("--once", action="store_true", help="then stop; exit 0 only if the member has arrived in full")
    one.add_argument("--serve", action="store_true", help="without the sample member")
    one.add_argument("--env", action="store_true", help="print the settings of the one that is up, KEY=value")
    parser.add_argument("--json", type=Path, metavar="FILE", help="gets the sample's onboarding and the figures")
    return parser.parse_args()


def main() -> int:
    chosen, screen, settings = options(), Screen(), given(os.environ, ROOT / ".env")
    data = Path(settings.get("MUSTER_DATA_DIR") or ROOT / ".muster")
    if chosen.env:
        return show_environment(data)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        return run(chosen, settings, data, screen)
    except PartFailed as failure:
        screen.problem(str(failure))
        return 1
    except KeyboardInterrupt:
        screen.title("Stopped.")
        return 130


def show_environment(data: Path) -> int:
    running = DataDirectory(data).running()
    print(running, end="")
    if not running:
        print(f"Nothing is up with what is in {data}. scripts/run --serve starts it.", file=sys.stderr)
    return 0 if running else 1


def run(chosen: argparse.Namespace, settings: dict[str, str], data: Path, screen: Screen) -> int:
    from local.stack import Stack

    began = time.monotonic()
    screen.title(f"Muster, all of it on this machine, kept in {data}")
    with Stack(data, settings, screen.timed) as stack:
        held = chosen.serve or onboard_sample(stack.env, screen, chosen.json, began)
        if chosen.once:
            return 0 if held else 1
        asyncio.run(offer(stack.env, screen))
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()
        screen.title("Stopping; what it keeps is there for the next time.")
    return 0


def onboard_sample(env: dict[str, str], screen: Screen, file: Path | None, began: float) -> bool:
    from local.member import MemberFailed
    from local.sample import Sample, SampleFailed

    missing = [name for name in ("ROOMS", "SYNAPSE_REGISTRATION_SECRET", "MATRIX_INDOC_ROOM_ID") if not env.get(name)]
    if missing:
        screen.problem(f"No sample member on a homeserver of your own without {', '.join(missing)}.")
        return False
    sample = Sample(env, json.loads(env["ROOMS"])[:3], screen)
    try:
        asyncio.run(sample.run())
    except (SampleFailed, MemberFailed, httpx.HTTPError) as failure:
        screen.problem(f"{failure or type(failure).__name__}\nThe logs are in {env['MUSTER_DATA_DIR']}/logs")
        return False
    figures: dict[str, Any] = {name: round(seconds, 3) for name, seconds in sample.figures.items()}
    total = round(time.monotonic() - began, 3)
    if file:
        result = {"onboarding": sample.onboarding, "figures": figures | {"total": total}}
        file.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n")
    screen.title(f"All of it holds, after {total:.0f} s." if sample.holds else "Not all of it holds.")
    return sample.holds


async def offer(env: dict[str, str], screen: Screen) -> None:
    """What to do with it now."""
    from local.sample import SampleFailed, api, invite

    screen.title("It is yours until Ctrl-C")
    screen.say("admin page", f"{env['PUBLIC_URL']}/")
    if "ADMIN_USERNAME" in env:
        screen.say("sign in", f"as {env['ADMIN_USERNAME']}, with ADMIN_PASSWORD of scripts/run --env")
    screen.say("API key", "ADMIN_API_KEY of scripts/run --env")
    rooms = [room["room_id"] for room in json.loads(env.get("ROOMS", "[]"))]
    try:
        async with api(env) as client:
            screen.say("enroll at", (await invite(client, rooms[:3], label="A first try"))["link"])
    except (SampleFailed, httpx.HTTPError) as failure:
        screen.problem(str(failure) or type(failure).__name__)


if __name__ == "__main__":
    sys.exit(main())
