"""The same onboarding with the bot already in many rooms: neither the calls nor the time may grow with them."""

from __future__ import annotations

import asyncio

from benchmarks.common import Figures, Report, median, ratio
from benchmarks.onboarding import NO_WAIT, Bare, Run, muster
from benchmarks.world import World, standing

NOTES = (
    "R: rooms that the bot was in before the first round (INDOC and direct rooms count). beyond N: Matrix calls",
    "beside the N invites; aim: below 8, whatever R is (first: with what a new instance asks once). present tool:",
    "2R + 2N + 9. bare: the N invites alone, in the same rounds. x first: x bare against that of the fewest R.",
)

MORE = 4
"""Rooms at least from one R to the next, on a stack where the bot is in some already."""


def run(small: bool = False, repeat: int = 0, on: World | None = None) -> Report:
    sizes, invited = ((10, 14), 3) if small else ((20, 200, 1000), 20)
    rounds = repeat or (1 if small else 7)
    report = Report(
        "growth", f"{invited} rooms for a new member, the bot being in R ({rounds} rounds)", notes=list(NOTES)
    )
    with standing(on, **NO_WAIT) as world:
        asyncio.run(_measured(world, report, sizes, invited, rounds))
    return report


async def _measured(world: World, report: Report, sizes: tuple[int, ...], invited: int, rounds: int) -> None:
    bare = Bare(world)
    for size in sizes:
        known = len(world.sample_rooms) + len(world.made_rooms)
        more = MORE if report.rows else 0
        missing = max(size - await world.joined(), invited - known, more)
        rooms = (await world.rooms(known + missing))[-invited:]
        joined = await world.joined()
        async with muster(world) as app:
            first, ours, theirs = await app.by_webhook(rooms), list[Run](), list[float]()
            await bare.invites(rooms)
            for _ in range(rounds):
                ours.append(await app.by_webhook(rooms))
                theirs.append(await bare.invites(rooms))
        report.rows.append(_row(joined, invited, first, ours, median(theirs)))
    await bare.close()
    least = report.rows[0]["x bare"]
    for row in report.rows:
        row["x first"] = ratio(float(row["x bare"] or 0), float(least or 0))


def _row(joined: int, invited: int, first: Run, ours: list[Run], bare: float) -> Figures:
    calls = round(median(run.counts["matrix calls"] for run in ours))
    done = median(run.rooms_done for run in ours)
    return {
        "name": f"R = {joined}",
        "Matrix": calls,
        "beyond N": calls - invited,
        "beyond N, first": first.counts["matrix calls"] - invited,
        "present tool": 2 * joined + 2 * invited + 9,
        "Firestore": round(median(run.counts["firestore calls"] for run in ours)),
        "rooms ms": done * 1000,
        "all ms": median(run.done for run in ours) * 1000,
        "bare ms": bare * 1000,
        "x bare": ratio(done, bare),
    }
