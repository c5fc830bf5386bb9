"""From the webhook to the acknowledgement, and to the last step: how long, and how many calls.

Then 20 invites alone, held against the same 20 invites asked of the bare homeserver with as many in flight,
without and with network delay before the homeserver.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote, urlsplit

import httpx

from benchmarks.common import HOST, Ask, Figures, Program, Report, cpu_by_part, free_port, median, ratio
from benchmarks.proxy import DelayingProxy
from benchmarks.world import Hands, Person, World, standing
from local.loopback import LOOPBACK
from local.stack import QUEUE
from shared.domain import ids
from shared.domain.onboarding import Step
from shared.repositories import ONBOARDINGS, steps_of

AT_ONCE = int(str(QUEUE["max_concurrent_dispatches"]))
"""Tasks that the queue lets run at the same time."""
PATIENCE = 120.0
PARTS = {"benchmarks.app": "Muster", "local.tasks": "dispatcher", "CloudFirestore": "Firestore", "synapse": "Synapse"}
COLUMNS = {
    "Matrix": "matrix calls",
    "Authentik": "authentik calls",
    "Firestore": "firestore calls",
    "read": "documents read",
    "written": "documents written",
    "deleted": "documents deleted",
    "tasks": "tasks enqueued",
    "requests": "requests",
}
NO_WAIT = {"WELCOME_DELAY_SECONDS": "0"}


@dataclass
class Run:
    """One onboarding. Seconds from the request that began it; `counts` by what was asked of whom."""

    acknowledged: float
    rooms_done: float
    done: float
    matrix_from: float = 0.0
    matrix_until: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)
    cpu: dict[str, float] = field(default_factory=dict)


class Muster:
    """The counting app on the world's stack, called as Authentik or an admin calls it."""

    def __init__(self, world: World, hands: Hands, program: Program, client: httpx.AsyncClient) -> None:
        self.world, self.hands, self._program, self._client = world, hands, program, client

    async def by_webhook(self, rooms: Sequence[str]) -> Run:
        """Somebody new comes in by an invite for these rooms."""
        person = await self.world.person(self.hands, await self.world.invited(self.hands, rooms))
        return await self._timed(person, self.world.webhook(person.account), 202)

    async def invites_alone(self, rooms: Sequence[str]) -> Run:
        """Somebody new is onboarded by an admin: these rooms and nothing else."""
        person = await self.world.person(self.hands, indoc=False)
        wanted = {"rooms": list(rooms), "skip_indoc_removal": True, "send_welcome": False}
        headers = {"Authorization": f"Bearer {self.world.env['ADMIN_API_KEY']}", "Content-Type": "application/json"}
        ask = Ask("POST", f"/api/users/{person.account.pk}/onboard", headers, json.dumps(wanted).encode())
        return await self._timed(person, ask, 202)

    async def swept(self) -> Counter[str]:
        """What one sweep asks."""
        audience = self.world.env["TASKS_URL_TEMPLATE"].format(entry_point="resume_onboardings")
        token = await self.world.invoker_token(audience, self.world.env["SCHEDULER_SERVICE_ACCOUNT"])
        await self._client.delete("/benchmark/counts")
        (
            await self._client.post("/jobs/resume_onboardings", headers={"Authorization": f"Bearer {token}"})
        ).raise_for_status()
        return Counter((await self._client.get("/benchmark/counts")).json()["counts"]["jobs"])

    async def _timed(self, person: Person, ask: Ask, wanted: int) -> Run:
        await self._client.delete("/benchmark/counts")
        used, began, at = self._used(), time.perf_counter(), time.time()
        answer = await self._client.request(ask.method, ask.path, headers=dict(ask.headers), content=ask.body)
        acknowledged = time.perf_counter() - began
        if answer.status_code != wanted:
            raise RuntimeError(f"{ask.path} answered {answer.status_code}: {answer.text[:500]}")
        finished, steps = await self._ended(ids.onboarding_id(person.account.uid))
        rooms = [step.updated_at.timestamp() - at for step in steps if step.kind == "room" and step.updated_at]
        cpu = {part: seconds - used[part] for part, seconds in self._used().items()}
        said = (await self._client.get("/benchmark/counts")).json()
        kept: Counter[str] = sum((Counter(said["counts"].get(source, {})) for source in ("hooks", "tasks")), Counter())
        first, last = (said["moments"][f"matrix {moment}"] - at for moment in ("first asked", "last answered"))
        return Run(acknowledged, max(rooms, default=0.0), finished.timestamp() - at, first, last, kept, cpu)

    async def _ended(self, onboarding: str) -> tuple[datetime, list[Step]]:
        """By the clock of whoever recorded the end. Raises `RuntimeError` when it did not end well."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            found = (await ONBOARDINGS.get(self.hands.documents, onboarding)).record
            if found.finished_at or found.state == "failed":
                break
            await asyncio.sleep(0.1)
        steps = [stored.record for stored in await steps_of(self.hands.documents, f"onboardings/{onboarding}")]
        if found.state != "done" or not found.finished_at or {step.state for step in steps} != {"done"}:
            raise RuntimeError(f"the onboarding is {found.state}: {[(s.name, s.state, s.cause) for s in steps]}")
        return found.finished_at, steps

    def _used(self) -> dict[str, float]:
        return cpu_by_part(os.getpid(), PARTS)


@contextlib.asynccontextmanager
async def muster(world: World, homeserver: str = "", **more: str) -> AsyncIterator[Muster]:
    """The counting app is up, with these settings, and reaches the homeserver under this address."""
    port = free_port()
    world.env["PUBLIC_URL"] = f"http://{HOST}:{port}"
    world.env["TASKS_URL_TEMPLATE"] = f"http://{HOST}:{port}/tasks/{{entry_point}}"
    hands = world.hands(**more)
    more |= {"MATRIX_HOMESERVER": homeserver} if homeserver else {}
    command = [sys.executable, "-m", "benchmarks.app", "--port", str(port)]
    with Program(command, world.settings(**more), port, world.path / "app.log") as program:
        await asyncio.to_thread(program.ask, Ask(path="/api/health"))
        async with httpx.AsyncClient(base_url=program.url, timeout=60, **LOOPBACK) as client:
            yield Muster(world, hands, program, client)
            await hands.documents.close()


class Bare:
    """The homeserver without Muster: the same invites, as many in flight, by one client with its connections kept."""

    def __init__(self, world: World, homeserver: str = "") -> None:
        limits = httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE)
        self._world, self._client = world, world.matrix(limits=limits)
        if homeserver:
            self._client.base_url = httpx.URL(homeserver)

    async def invites(self, rooms: Sequence[str]) -> float:
        """Seconds until somebody new is invited to all of these rooms."""
        person = await asyncio.to_thread(self._world._registered, f"bare-{secrets.token_hex(5)}")
        began = time.perf_counter()
        await asyncio.gather(*(self._invite(room, person[0]) for room in rooms))
        return time.perf_counter() - began

    async def _invite(self, room: str, member: str) -> None:
        path = f"/_matrix/client/v3/rooms/{quote(room)}/invite"
        (await self._client.post(path, json={"user_id": member})).raise_for_status()

    async def close(self) -> None:
        await self._client.aclose()


def run(small: bool = False, repeat: int = 0, on: World | None = None) -> Report:
    sizes, delays = ((1, 3), (0,)) if small else ((1, 5, 20), (0, 40))
    rounds = repeat or (1 if small else 7)
    report = Report("onboarding", f"Webhook to onboarded, and {sizes[-1]} invites alone ({rounds} rounds, alternating)")
    with standing(on, **NO_WAIT) as world:
        asyncio.run(_measured(world, report, sizes, delays, rounds))
    return report


async def _measured(world: World, report: Report, sizes: Sequence[int], delays: Sequence[int], rounds: int) -> None:
    rooms = await world.rooms(sizes[-1])
    async with muster(world) as app:
        await app.by_webhook(rooms[:1])  # the first one makes the clients
        found: dict[int, list[Run]] = {size: [] for size in sizes}
        for _ in range(rounds):
            for size in sizes:
                found[size].append(await app.by_webhook(rooms[:size]))
        report.rows += [onboarding_row(f"{size} rooms", runs) for size, runs in found.items()]
        report.notes.append(f"Matrix calls of {sizes[-1]} rooms: {_calls(found[sizes[-1]][-1].counts)}")
        swept = await app.swept()
        report.rows.append(counts_row("a sweep with nothing to do", await app.swept()))
        report.notes.append(
            f"One sweep after them all: {swept['matrix calls']} Matrix calls (m.direct), not per member."
        )
    for delay in delays:
        await _alone(world, report, rooms, delay, rounds)
    report.notes.append("Aim: 20 invites within 1.3 x bare.")
    if "FIRESTORE_EMULATOR_HOST" in world.env:
        await _alone(world, report, rooms, 0, rounds, MUSTER_STORE="sqlite")
        report.notes.append("On SQLite: the same without the emulator's share of the machine.")


async def _alone(world: World, report: Report, rooms: Sequence[str], delay: int, rounds: int, **more: str) -> None:
    port = urlsplit(world.env["MATRIX_HOMESERVER"]).port or 0
    async with DelayingProxy(port, delay / 1000) as proxy:
        homeserver = proxy.url if delay else ""
        bare = Bare(world, homeserver)
        async with muster(world, homeserver, **more) as app:
            ours, theirs = list[Run](), list[float]()
            await app.invites_alone(rooms)
            await bare.invites(rooms)
            for _ in range(rounds):
                ours.append(await app.invites_alone(rooms))
                theirs.append(await bare.invites(rooms))
        await bare.close()
    name, least = f"{len(rooms)} invites, {delay} ms of delay{', on SQLite' if more else ''}", median(theirs)
    row = onboarding_row(f"{name}: Muster", ours)
    row["x bare"] = ratio(median(run.rooms_done for run in ours), least)
    report.rows += [row, {"name": f"{name}: bare homeserver", "rooms ms": least * 1000, "x bare": 1.0}]
    cpu = {part: median(run.cpu[part] for run in ours) * 1000 for part in PARTS.values()}
    used = ", ".join(f"{part} {value:.0f}" for part, value in cpu.items())
    first, last = (median(getattr(run, moment) for run in ours) * 1000 for moment in ("matrix_from", "matrix_until"))
    report.notes.append(
        f"{name}: Matrix is first asked after {first:.0f} ms, last answers after {last:.0f} ms. CPU ms: {used}."
    )


def onboarding_row(name: str, runs: Sequence[Run]) -> Figures:
    row: Figures = {"name": name}
    for column, moment in (("ack ms", "acknowledged"), ("rooms ms", "rooms_done"), ("all ms", "done")):
        row[column] = median(getattr(run, moment) for run in runs) * 1000
    for column, what in COLUMNS.items():
        row[column] = round(median(run.counts[what] for run in runs))
    return row


def counts_row(name: str, counts: Counter[str]) -> Figures:
    return {"name": name, **{column: counts[what] for column, what in COLUMNS.items()}}


def _calls(counts: Counter[str]) -> str:
    kinds = {what.removeprefix("matrix: "): n for what, n in sorted(counts.items()) if what.startswith("matrix: ")}
    return "; ".join(f"{n} {what.replace('/_matrix/client/v3', '')}" for what, n in kinds.items())
