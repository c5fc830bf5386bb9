"""What an encrypted message costs, against a plain one: time, memory, calls and bytes; and how many a minute go out.

A message is a step of `deliver_welcome`, from the task to its record: the hello, which makes the direct room, and the
welcome, once the member has joined it. Each kind of message goes out from processes of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from benchmarks.common import ROOT, Figures, Report, cpu_by_part, median, ratio
from benchmarks.onboarding import NO_WAIT
from benchmarks.recipients import Recipient
from benchmarks.world import Hands, World, side_by_side, standing

SYNAPSE = {"synapse": "Synapse"}
MESSAGES = ("hello", "welcome")
BOTH = "hello and welcome"
NOTES = (
    "Per message; x plain: ratio of the medians. Hello and welcome: the mean of a hello, which makes the room, and",
    "a welcome. wall: from the task to its record, one at a time. CPU, and MiB (the process's peak), are of Muster",
    "alone. KB: on the wire, with all headers, to Matrix and Firestore. Each message was read back, on each device.",
    "Per min: so many processes that each deliver one after the other, on the cores that Synapse and Firestore's",
    "emulator use too. Aim: an encrypted message costs at most 2 x a plain one.",
)


@dataclass(frozen=True)
class Kind:
    """`instances` processes that each deliver one message after the other."""

    encrypted: bool
    devices: int = 1
    instances: int = 1

    @property
    def name(self) -> str:
        return f"encrypted, {self.devices} device{'s' * (self.devices > 1)}" if self.encrypted else "plain"


PLAIN, SEALED = Kind(encrypted=False), Kind(encrypted=True)


@dataclass
class Pass:
    """So many messages. `seconds`: until the last of them; the others per message."""

    seconds: float
    messages: int
    walls: list[float]
    figures: dict[str, float] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    synapse: float = 0.0

    @property
    def per_minute(self) -> float:
        return 60 * self.messages / self.seconds


Passes = dict[str, Pass]
"""By message."""


def run(small: bool = False, repeat: int = 0, on: World | None = None) -> Report:
    rounds, each = repeat or (1 if small else 3), 2 if small else 12
    devices, instances = ((1, 2), (2,)) if small else ((1, 2, 5), (1, 4, 8))
    title = f"Encrypted messages against plain ones ({rounds} rounds of {each} each, alternating)"
    report = Report("encrypted", title, notes=list(NOTES))
    with standing(on, AUTHENTIK_DEFAULT_GROUP="", **NO_WAIT) as world:
        kinds = [PLAIN, *(Kind(encrypted=True, devices=count) for count in devices)]
        found = asyncio.run(_rounds(world, kinds, each, rounds))
        report.rows += _cost_rows(found)
        report.notes += _call_notes(found)
        for count in instances:
            pair = [Kind(encrypted=sealed, instances=count) for sealed in (False, True)]
            report.rows += _rate_rows(count, asyncio.run(_rounds(world, pair, max(each, 3 * count), rounds)))
    return report


async def _rounds(world: World, kinds: Sequence[Kind], each: int, rounds: int) -> dict[Kind, list[Passes]]:
    found: dict[Kind, list[Passes]] = {kind: [] for kind in kinds}
    hands = world.hands(AUTHENTIK_DEFAULT_GROUP="")
    for _ in range(rounds):
        for kind in kinds:
            found[kind].append(await _delivered(world, hands, kind, each))
    await hands.documents.close()
    return found


async def _delivered(world: World, hands: Hands, kind: Kind, count: int) -> Passes:
    """The first message of each instance makes its clients, and is not counted."""
    come = partial(Recipient.come, world, hands, kind.devices)
    people = await side_by_side([come] * (count + kind.instances))
    first, rest = people[: kind.instances], people[kind.instances :]
    passes: Passes = {}
    async with _senders(world, kind) as senders:
        for batch in (first, rest):
            for message in MESSAGES:
                passes[message] = await _pass(senders, batch, message)
                if message == "hello":
                    await side_by_side([partial(person.join, world, hands) for person in batch])
    for person in people:
        await person.read(world, hands, encrypted=kind.encrypted)
    return passes


# ------------------------------------------------------------------ instances

Process = asyncio.subprocess.Process


@contextlib.asynccontextmanager
async def _senders(world: World, kind: Kind) -> AsyncIterator[list[Process]]:
    env = world.settings(MATRIX_ENABLE_ENCRYPTION=str(kind.encrypted).lower(), AUTHENTIK_DEFAULT_GROUP="")
    senders: list[Process] = []
    try:
        with (world.path / "senders.log").open("ab") as log:
            while len(senders) < kind.instances:
                senders.append(await _sender(env, log))
            yield senders
    finally:
        for sender in senders:
            with contextlib.suppress(ProcessLookupError):
                sender.kill()
            await sender.wait()


async def _sender(env: dict[str, str], log: Any) -> Process:
    pipe = subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.sender", env=env, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=log, limit=1 << 24
    )


async def _pass(senders: Sequence[Process], people: Sequence[Recipient], message: str) -> Pass:
    batches = [[(person.onboarding, message) for person in people[at :: len(senders)]] for at in range(len(senders))]
    synapse, began = _synapse(), time.perf_counter()
    said = await asyncio.gather(*(_told(sender, batch) for sender, batch in zip(senders, batches, strict=True)))
    seconds, used = time.perf_counter() - began, _synapse() - synapse
    if states := {state for one in said for state in one["states"]} - {"done"}:
        raise RuntimeError(f"a {message} is {', '.join(sorted(states))}, not done")
    of = len(people)
    figures = {name: sum(one[name] for one in said) / of for name in ("cpu", "out", "in")}
    figures["peak MiB"] = max(one["peak MiB"] for one in said)
    walls = [wall for one in said for wall in one["walls"]]
    counts: Counter[str] = sum((Counter(one["counts"]) for one in said), Counter())
    return Pass(seconds, of, walls, figures, counts, used / of)


async def _told(sender: Process, batch: Sequence[tuple[str, str]]) -> dict[str, Any]:
    assert sender.stdin
    assert sender.stdout
    sender.stdin.write(json.dumps(batch).encode() + b"\n")
    line = await sender.stdout.readline()
    if not line:
        raise RuntimeError("an instance has ended; see senders.log")
    return dict(json.loads(line))


def _synapse() -> float:
    return cpu_by_part(os.getpid(), SYNAPSE)["Synapse"]


# ------------------------------------------------------------------ figures

CALLS = {
    "Matrix": "matrix calls",
    "Firestore": "firestore calls",
    "read": "documents read",
    "written": "documents written",
}


def _cost_rows(found: dict[Kind, list[Passes]]) -> list[Figures]:
    rows: list[Figures] = []
    for message in (*MESSAGES, BOTH):
        plain = _cost(found[PLAIN], message)
        for kind, passes in found.items():
            cost = _cost(passes, message)
            rows.append({"name": f"{message}, {kind.name}", **cost})
            if kind.encrypted:
                times: Figures = {name: ratio(cost[name], plain[name]) for name in cost}
                rows.append({"name": f"{message}, {kind.name}: x plain", **times})
    return rows


def _cost(rounds: Sequence[Passes], message: str) -> dict[str, float]:
    """Medians of the rounds; of both messages the mean."""
    if message == BOTH:
        first, second = (_cost(rounds, each) for each in MESSAGES)
        return {name: (first[name] + second[name]) / 2 for name in first}
    passes = [passes[message] for passes in rounds]
    cost = {
        "wall ms": median(wall for one in passes for wall in one.walls) * 1000,
        "CPU ms": median(one.figures["cpu"] for one in passes) * 1000,
        "MiB": median(one.figures["peak MiB"] for one in passes),
    }
    cost |= {name: median(one.counts[what] / one.messages for one in passes) for name, what in CALLS.items()}
    cost |= {f"KB {way}": median(one.figures[way] for one in passes) / 1000 for way in ("out", "in")}
    return cost | {"Synapse CPU ms": median(one.synapse for one in passes) * 1000}


def _rate_rows(instances: int, found: dict[Kind, list[Passes]]) -> list[Figures]:
    rows: list[Figures] = []
    plain, sealed = found.values()
    for message in MESSAGES:
        rates = [median(passes[message].per_minute for passes in rounds) for rounds in (plain, sealed)]
        name = f"{instances} instance{'s' * (instances > 1)}, {message}"
        rows.append(
            {
                "name": name,
                "plain per min": rates[0],
                "encrypted per min": rates[1],
                "x time": ratio(rates[0], rates[1]),
            }
        )
    return rows


def _call_notes(found: dict[Kind, list[Passes]]) -> list[str]:
    notes = []
    for kind in (PLAIN, SEALED):
        for message in MESSAGES:
            one = found[kind][-1][message]
            kinds = {what: n / one.messages for what, n in sorted(one.counts.items()) if what.startswith("matrix: ")}
            said = (
                f"{n:g} {what.removeprefix('matrix: ')}".replace("/_matrix/client/v3", "") for what, n in kinds.items()
            )
            notes.append(f"Matrix calls of a {message}, {kind.name}: {'; '.join(said)}")
    return notes
