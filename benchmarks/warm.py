"""Warm: requests per second of one worker, against the bare hello on the same server."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.common import ROOT, SERVED, Ask, Figures, Program, Report, cpu_seconds, framework, median, ratio
from benchmarks.onboarding import NO_WAIT
from benchmarks.world import BENCH, Hands, Person, World, standing
from shared.services import enroll

MAIN = ROOT / "main.py"
CONNECTIONS = (8, 64)
BASE = "hello on ASGI"
NO_LIMIT = {"API_REQUESTS_PER_MINUTE": "1000000", "WEBHOOK_REQUESTS_PER_MINUTE": "1000000"}
NOTES = (
    "One worker each, asked by another process over kept connections. x hello: the rate against the hello on ASGI with",
    "as many connections. CPU ms: of the server, per request; whoever else uses the machine changes it less.",
)


@dataclass(frozen=True)
class Subject:
    """`ask` is made anew for each load: a webhook's signature ages."""

    name: str
    target: str
    ask: Callable[[], Ask]
    source: Path = MAIN


@dataclass
class Load:
    rate: float
    cpu: float


def run(small: bool = False, repeat: int = 0, on: World | None = None) -> Report:
    rounds, seconds = repeat or (1 if small else 5), 0.3 if small else 2.0
    report = Report(
        "warm", f"Requests per second, warm ({rounds} rounds of {seconds:g} s, alternating)", notes=list(NOTES)
    )
    with standing(on, **NO_WAIT, **NO_LIMIT) as world, contextlib.ExitStack() as programs:
        subjects = asyncio.run(_subjects(world))
        served = {subject: programs.enter_context(_served(world, subject)) for subject in subjects}
        found: dict[tuple[Subject, int], list[Load]] = {}
        for _ in range(rounds):
            for connections in CONNECTIONS:
                for subject, program in served.items():
                    loads = found.setdefault((subject, connections), [])
                    loads.append(_load(program, subject, connections, seconds))
    rates = {(subject.name, at): median(load.rate for load in loads) for (subject, at), loads in found.items()}
    for subject in subjects:
        row: Figures = {"name": subject.name}
        for at in CONNECTIONS:
            row[f"{at}: per s"] = rates[subject.name, at]
            row[f"{at}: x hello"] = ratio(rates[subject.name, at], rates[BASE, at])
            row[f"{at}: CPU ms"] = median(load.cpu for load in found[subject, at]) * 1000
        report.rows.append(row)
    return report


async def _subjects(world: World) -> list[Subject]:
    """With some invites to list, and somebody whose webhook came before and whose onboarding is done."""
    hands = world.hands()
    person = await _known(world, hands)
    for _ in range(19):
        await world.invited(hands, world.sample_rooms[:3])
    await hands.documents.close()
    key = {"Authorization": f"Bearer {world.env['ADMIN_API_KEY']}"}
    return [
        Subject("hello, the framework alone", "hello", Ask, SERVED / "hello.py"),
        Subject(BASE, "hello", Ask, SERVED / "hello_asgi.py"),
        Subject("admin, health", "admin", lambda: Ask(path="/api/health")),
        Subject("admin, page", "admin", Ask),
        Subject("admin, list of 20 invites", "admin", lambda: Ask(path="/api/invites", headers=key)),
        Subject(
            "enrollment_webhook, known event", "enrollment_webhook", lambda: world.webhook(person.account, "known")
        ),
    ]


async def _known(world: World, hands: Hands) -> Person:
    person = await world.person(hands, indoc=False)
    groups = (world.env["AUTHENTIK_DEFAULT_GROUP"],)
    start = enroll.Start("webhook", BENCH, groups_added=groups, skip_indoc=True, send_welcome=False, event_id="known")
    await enroll.begin(hands, person.account, start)
    return person


def _served(world: World, subject: Subject) -> Program:
    program = framework(subject.target, subject.source, world.settings(), world.path / "warm.log")
    status, body = program.ask(subject.ask())
    if status != 200:
        program.stop()
        raise RuntimeError(f"{subject.name} answered {status}: {body[:500]!r}")
    return program


def _load(program: Program, subject: Subject, connections: int, seconds: float) -> Load:
    request = b64encode(subject.ask().raw(program.port)).decode()
    asked = {"port": program.port, "connections": connections, "seconds": seconds, "request": request}
    before = cpu_seconds(program.pids)
    command = [sys.executable, "-m", "benchmarks.load"]
    said = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True, check=True, cwd=ROOT).stdout
    found: dict[str, Any] = json.loads(said)
    if set(found["statuses"]) != {"200"}:
        raise RuntimeError(f"{subject.name} answered {found['statuses']}")
    return Load(found["answers"] / found["seconds"], (cpu_seconds(program.pids) - before) / found["answers"])
