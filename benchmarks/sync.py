"""The syncs and a page of a search: calls, documents read and written, seconds and memory, by the community's size.

    .venv/bin/python -m benchmarks.sync --sizes 1300x50 10000x500 [--sqlite] [--delay 0.01]
    .venv/bin/python -m benchmarks.sync --synapse 20 200

The first: Authentik and a homeserver of any size over HTTP (`benchmarks.neighbours`), documents in Firestore's emulator
where there is one. The second: the embedded stack with its real Synapse.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.common import HOST, ROOT, Figures, Report, environment, free_port, ratio
from benchmarks.homes import user_id
from benchmarks.neighbours import running
from benchmarks.world import World
from local import firestore
from local.homeserver_setup import register
from local.loopback import LOOPBACK

SIZES = ("1300x50", "10000x500", "100000x5000")
SMALL = ("130x10",)
SYNAPSE = (20, 200)
ROLES = ("floor", "sync", "admin")
JOINING = 60
"""Who enter a room before a light sync that has to find them."""
NOTES = (
    "floor: the calls of a full sync with a bare client, nothing kept. x floor: seconds, against it.",
    "peak MiB: of the whole process in this step, with all that the deployed function has loaded.",
    "changes: 60 accounts edited and 5 deleted; 60 joins.",
)


@contextlib.contextmanager
def store(sqlite: bool) -> Iterator[dict[str, str]]:
    """The settings that lead to an empty one."""
    with tempfile.TemporaryDirectory(prefix="muster-bench-") as folder:
        if sqlite:
            yield {"MUSTER_STORE": "sqlite", "MUSTER_DATA_DIR": folder}
            return
        port = free_port()
        process = firestore.start(port)
        try:
            firestore.wait_ready(port)
            yield {"FIRESTORE_EMULATOR_HOST": f"{HOST}:{port}", "GOOGLE_CLOUD_PROJECT": f"bench-{port}"}
        finally:
            process.terminate()
            process.wait()


def sized(size: str, delay: float, sqlite: bool) -> list[Figures]:
    users, rooms = map(int, size.split("x"))
    joining = [user_id(users + number) for number in range(1, JOINING + 1)]
    asked = {"name": size, "joining": joining}
    with running(users, rooms, delay) as neighbours, store(sqlite) as documents:
        return measured(neighbours | documents, asked, ROLES)


def synapse(rooms: int) -> list[Figures]:
    """The homeserver is real, with the bot's limits lifted, and nobody but the bot in most rooms."""
    with World(MUSTER_FREE_PORTS="1") as world:
        asyncio.run(world.rooms(rooms))
        joining = [_registered(world) for _ in range(JOINING)]
        asked = {"name": f"Synapse, {rooms} rooms", "sources": ["matrix"], "joining": joining}
        return measured(world.settings(), asked, ROLES[:2])


def _registered(world: World) -> str:
    import httpx

    with httpx.Client(base_url=world.env["MATRIX_HOMESERVER"], timeout=60, **LOOPBACK) as http:
        name = f"bench-{secrets.token_hex(5)}"
        return str(register(http, world.env["SYNAPSE_REGISTRATION_SECRET"], name, secrets.token_urlsafe(12))["user_id"])


def measured(settings: Mapping[str, str], asked: Mapping[str, Any], roles: Sequence[str]) -> list[Figures]:
    """By bare clients, by a function that syncs, by one that shows lists: each in a process of its own."""
    rows = [row for role in roles for row in _answered(role, settings, asked)]
    floors = {_source(row): row for row in rows if str(row["name"]).endswith("floor")}
    for row in rows:
        if _source(row) in floors:
            row["x floor"] = ratio(_seconds(row), _seconds(floors[_source(row)]))
    return rows


def _answered(role: str, settings: Mapping[str, str], asked: Mapping[str, Any]) -> list[Figures]:
    command = [sys.executable, "-m", "benchmarks.syncing", role]
    line, known = json.dumps(asked) + "\n", environment(settings)
    answer = subprocess.run(command, check=True, input=line, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=known)
    rows: list[Figures] = json.loads(answer.stdout.splitlines()[-1])
    return rows


def _source(row: Figures) -> str:
    return str(row["name"]).rpartition(":")[0]


def _seconds(row: Figures) -> float:
    return float(row["s"] or 0)


def report(sizes: Sequence[str], homeservers: Sequence[int], delay: float, sqlite: bool) -> Report:
    made = Report("sync", "syncs, and a page of a search, by users x rooms", notes=list(NOTES))
    for size in sizes:
        made.rows += sized(size, delay, sqlite)
    for rooms in homeservers:
        made.rows += synapse(rooms)
    return made


def run(small: bool, repeat: int) -> Report:  # noqa: ARG001 - counts do not vary
    sqlite = bool(firestore.missing())
    return report(SMALL, (), 0.0, sqlite) if small else report(SIZES, SYNAPSE, 0.0, sqlite)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sync", description=__doc__)
    parser.add_argument("--sizes", nargs="*", default=[], metavar="USERSxROOMS")
    parser.add_argument("--synapse", nargs="*", type=int, default=[], metavar="ROOMS")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds that each call takes on its way")
    parser.add_argument("--sqlite", action="store_true", help="instead of Firestore's emulator")
    chosen = parser.parse_args()
    sqlite = chosen.sqlite or bool(firestore.missing())
    print(report(chosen.sizes, chosen.synapse, chosen.delay, sqlite).as_text())


if __name__ == "__main__":
    main()
