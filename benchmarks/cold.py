"""Cold start: what it costs to import and start each entry point to its first answer.

Every program is started as in a deployment (functions-framework, gunicorn, one worker), with the compiled
bytecode present, and asked one real question against the running stack. Counted is the CPU time (user and
system) of all its processes from their start to that answer, and the worker's peak memory.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.common import ROOT, SERVED, Ask, Figures, Report, cpu_seconds, framework, median, peak_mib, ratio
from benchmarks.world import BENCH, Hands, Person, World, standing
from shared.domain import ids
from shared.domain.broadcasts import Message, Recipient, line_of, step_of
from shared.domain.onboarding import Step
from shared.ports import Create
from shared.services import enroll, jobs
from shared.services.plan_jobs import part_step

MAIN, FLOORS = ROOT / "main.py", SERVED / "floors.py"
HELLO, ASGI = "hello, the framework alone", "hello on ASGI"
REMOVED = "SIGNATURE_REMOVED_BY_GOOGLE"
ROOMS = 3
NOTES = (
    "Medians; each round starts every program once. x hello, x ASGI hello, x floor: ratios of the medians of CPU.",
    "A floor makes the same kind of calls on the vendors' libraries alone. Aims: health and page 1.3 x ASGI hello;",
    "webhook 2.5 x and the heaviest task 3.5 x hello, or 1.1 x their floor. 'unsigned': as behind Cloud Run, which",
    "verifies the token and removes its signature.",
)


@dataclass(frozen=True)
class Variant:
    """`ask` makes the question of a round; `floor` names the variant that this one is held against."""

    name: str
    target: str
    ask: Callable[[Round], Awaitable[Ask]]
    source: Path = MAIN
    floor: str = ""
    production: bool = False


@dataclass(frozen=True)
class Round:
    """What one round of starts is asked about: everybody is new."""

    world: World
    enrolled: Person
    arrived: Person
    second: Person
    job: str
    message: str

    async def step(self, entry_point: str, person: Person, step: str, *, unsigned: bool = False) -> Ask:
        payload = {"v": 1, "onboarding": ids.onboarding_id(person.account.uid), "step": step, "generation": 0}
        return _unsigned(await self.world.task(entry_point, payload), unsigned)

    async def floor(self, *, unsigned: bool = False, **asked: Any) -> Ask:
        return _unsigned(await self.world.task("deliver_welcome", asked), unsigned)

    async def api(self, method: str, path: str, **body: Any) -> Ask:
        headers = {"Authorization": f"Bearer {self.world.env['ADMIN_API_KEY']}", "Content-Type": "application/json"}
        return Ask(method, path, headers, json.dumps(body).encode() if body else b"")


def _unsigned(ask: Ask, wanted: bool) -> Ask:
    head = ask.headers["Authorization"].rpartition(".")[0]
    return Ask(ask.method, ask.path, {**ask.headers, "Authorization": f"{head}.{REMOVED}"}, ask.body) if wanted else ask


async def plain(_: Round) -> Ask:
    return Ask()


async def health(_: Round) -> Ask:
    return Ask(path="/api/health")


async def webhook(now: Round) -> Ask:
    return now.world.webhook(now.enrolled.account)


async def scheduled(now: Round, job: str) -> Ask:
    audience = now.world.env["TASKS_URL_TEMPLATE"].format(entry_point=job)
    token = await now.world.invoker_token(audience, now.world.env["SCHEDULER_SERVICE_ACCOUNT"])
    return Ask("POST", "/", {"Authorization": f"Bearer {token}"})


PRODUCTION = {"MUSTER_ENV": "production"}
VARIANTS = (
    Variant(HELLO, "hello", plain, SERVED / "hello.py"),
    Variant(ASGI, "hello", plain, SERVED / "hello_asgi.py"),
    Variant("everything at the top, health", "hello", health, SERVED / "everything.py"),
    Variant("admin, health", "admin", health),
    Variant("admin, page", "admin", plain),
    Variant("admin, list of invites", "admin", lambda r: r.api("GET", "/api/invites")),
    Variant("create_invite", "create_invite", lambda r: r.api("POST", "/", label="Cold")),
    Variant("create_user", "create_user", lambda r: r.api("POST", "/", first_name="Cold", send_welcome=False)),
    Variant("enrollment_webhook", "enrollment_webhook", webhook, floor="floor of the webhook"),
    Variant("update_account", "update_account", lambda r: r.step("update_account", r.arrived, "groups"),
            floor="floor of update_account"),
    Variant("invite_to_room", "invite_to_room",
            lambda r: r.step("invite_to_room", r.arrived, ids.room_step(r.world.sample_rooms[0])),
            floor="floor of invite_to_room"),
    Variant("remove_from_indoc", "remove_from_indoc",
            lambda r: r.step("remove_from_indoc", r.arrived, "indoc_farewell"), floor="floor of deliver_welcome"),
    Variant("deliver_welcome", "deliver_welcome", lambda r: r.step("deliver_welcome", r.arrived, "hello"),
            floor="floor of deliver_welcome"),
    Variant("invite_to_room, unsigned", "invite_to_room",
            lambda r: r.step("invite_to_room", r.second, ids.room_step(r.world.sample_rooms[0]), unsigned=True),
            floor="floor of invite_to_room, unsigned", production=True),
    Variant("deliver_welcome, unsigned", "deliver_welcome",
            lambda r: r.step("deliver_welcome", r.second, "hello", unsigned=True),
            floor="floor of deliver_welcome, unsigned", production=True),
    Variant("set_power_level", "set_power_level",
            lambda r: r.world.task("set_power_level",
                                   {"v": 1, "job": r.job, "step": ids.level_step(r.world.indoc), "generation": 0}),
            floor="floor of invite_to_room"),
    Variant("remove_from_room", "remove_from_room",
            lambda r: r.world.task("remove_from_room",
                                   {"v": 1, "job": r.job, "step": ids.room_step(r.world.indoc), "generation": 0}),
            floor="floor of invite_to_room"),
    Variant("apply_plan", "apply_plan",
            lambda r: r.world.task("apply_plan", {"v": 1, "job": r.job, "step": "part:0000", "generation": 0}),
            floor="floor of invite_to_room"),
    Variant("send_message", "send_message",
            lambda r: r.world.task("send_message",
                                   {"v": 1, "message": r.message, "step": "to:00000", "generation": 0}),
            floor="floor of deliver_welcome"),
    Variant("resume_onboardings", "resume_onboardings", lambda r: scheduled(r, "resume_onboardings")),
    Variant("sync_directory", "sync_directory", lambda r: scheduled(r, "sync_directory")),
    Variant("floor of the webhook", "floor_webhook",
            lambda r: r.floor(pk=r.enrolled.account.pk, steps=ROOMS + 6, tasks=ROOMS + 4), FLOORS),
    Variant("floor of update_account", "floor_account", lambda r: r.floor(pk=r.arrived.account.pk), FLOORS),
    Variant("floor of invite_to_room", "floor_invite", lambda r: r.floor(room=r.world.sample_rooms[0]), FLOORS),
    Variant("floor of deliver_welcome", "floor_welcome", lambda r: r.floor(), FLOORS),
    Variant("floor of invite_to_room, unsigned", "floor_invite",
            lambda r: r.floor(room=r.world.sample_rooms[0], unsigned=True), FLOORS),
    Variant("floor of deliver_welcome, unsigned", "floor_welcome", lambda r: r.floor(unsigned=True), FLOORS),
)  # fmt: skip
SMALL = (HELLO, ASGI, "enrollment_webhook", "deliver_welcome", "floor of deliver_welcome")


@dataclass
class Start:
    """One start: CPU seconds, MiB, seconds of the clock."""

    cpu: float
    peak: float
    wall: float


def run(small: bool = False, repeat: int = 0, on: World | None = None) -> Report:
    rounds = repeat or (1 if small else 9)
    with standing(on) as world:
        chosen = [variant for variant in VARIANTS if not small or variant.name in SMALL]
        notes = list(NOTES)
        if "FIRESTORE_EMULATOR_HOST" not in world.env:
            chosen = [variant for variant in chosen if variant.source != FLOORS]
            notes.append("No Firestore emulator here: Muster ran on SQLite, and there are no floors.")
        found = asyncio.run(_measured(world, chosen, rounds, unmeasured=0 if small else 1))
        return _report(found, rounds, notes)


async def _measured(world: World, chosen: list[Variant], rounds: int, unmeasured: int) -> dict[Variant, list[Start]]:
    """Beforehand `unmeasured` rounds: the first start of all writes the bytecode."""
    pause_queues(world)
    hands, found = world.hands(), {variant: list[Start]() for variant in chosen}
    for number in range(-unmeasured, rounds):
        now = await _round(world, hands)
        for variant in chosen:
            start = await asyncio.to_thread(_start, world, variant, await variant.ask(now))
            if number >= 0:
                found[variant].append(start)
    return found


async def _round(world: World, hands: Hands) -> Round:
    async def enrolled() -> Person:
        return await world.person(hands, await world.invited(hands, world.sample_rooms[:ROOMS]))

    async def arrived() -> Person:
        person = await enrolled()
        await enroll.begin(hands, person.account, enroll.Start("api", BENCH))
        return person

    first, second, third = await enrolled(), await arrived(), await arrived()
    wanted = jobs.Wanted("remove", third.matrix_id, (world.indoc,), "A benchmark")
    job = (await jobs.start(hands, BENCH, wanted)).job.id
    level = Step(parent=f"jobs/{job}", name=ids.level_step(world.indoc), kind="level", room=world.indoc)
    part = part_step(job, 0, hands.now(), undo=True, job="job_none")
    await hands.documents.write(
        Create(level.path, level.but(wanted={"level": 25}).data()), Create(part.path, part.data())
    )
    return Round(world, first, second, third, job, await _a_message(hands, third.matrix_id))


async def _a_message(hands: Hands, matrix_id: str) -> str:
    """To one person; its id."""
    number = ids.digest("cold", matrix_id)
    message = Message(id=f"msg_{number}", job=f"job_{number}", actor=BENCH.name, created_at=hands.now(), text="Hello")
    step = step_of(message, line_of(0, Recipient(matrix_id=matrix_id)), hands.now())
    await hands.documents.write(Create(message.path, message.data()), Create(step.path, step.data()))
    return message.id


def _start(world: World, variant: Variant, ask: Ask) -> Start:
    """Raises `RuntimeError` unless the answer is the one that the real work has."""
    env = world.settings(**(PRODUCTION if variant.production else {})) | {"QUEUE": world.env["TASKS_QUEUE_MESSAGES"]}
    env |= {"PYTHONPYCACHEPREFIX": str(world.path / "bytecode")}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    began = time.monotonic()
    with framework(variant.target, variant.source, env, world.path / "cold.log") as program:
        status, body = program.ask(ask)
        wall, pids = time.monotonic() - began, program.pids
        start = Start(cpu_seconds(pids), peak_mib(pids), wall)
    undone = body.startswith(b'{"state":') and body != b'{"state":"done"}'
    if not 200 <= status < 300 or undone:
        log = (world.path / "cold.log").read_text(errors="replace")[-2000:]
        raise RuntimeError(f"{variant.name} answered {status}: {body[:500]!r}\n{log}")
    return start


def _report(found: dict[Variant, list[Start]], rounds: int, notes: list[str]) -> Report:
    cpu = {variant.name: median(start.cpu for start in starts) for variant, starts in found.items()}
    report = Report("cold", f"Cold start to the first answer ({rounds} starts each, alternating)", notes=notes)
    for variant, starts in found.items():
        own = cpu[variant.name]
        row: Figures = {"name": variant.name, "CPU ms": own * 1000, "x hello": ratio(own, cpu[HELLO])}
        row |= {"x ASGI hello": ratio(own, cpu[ASGI]), "x floor": ratio(own, cpu.get(variant.floor, 0))}
        row |= {"MiB": median(start.peak for start in starts), "clock ms": median(s.wall for s in starts) * 1000}
        report.rows.append(row)
    return report


def pause_queues(world: World) -> None:
    """What the measured programs enqueue stays where it is: nobody else runs meanwhile."""
    import grpc
    from google.cloud import tasks_v2

    kind = tasks_v2.CloudTasksClient.get_transport_class("grpc")
    with grpc.insecure_channel(
        world.env["CLOUD_TASKS_EMULATOR_HOST"], options=(("grpc.enable_http_proxy", 0),)
    ) as channel:
        client = tasks_v2.CloudTasksClient(transport=kind(channel=channel))
        for name in (each for each in os.environ | world.env if each.startswith("TASKS_QUEUE_")):
            queue = client.queue_path(world.env["GOOGLE_CLOUD_PROJECT"], world.env["TASKS_LOCATION"], world.env[name])
            client.pause_queue(name=queue, timeout=10)
