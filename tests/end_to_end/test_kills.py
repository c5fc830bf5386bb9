"""`kill -9` at each point between the commit and the end of a task; then Muster is started again, and that is all."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import httpx
import pytest

from benchmarks.faults.plan import Kill
from benchmarks.faults.truth import Homeserver
from tests.end_to_end.conftest import SQLITE

pytest_plugins = ("tests.end_to_end.faulty",)
pytestmark = [pytest.mark.stack, pytest.mark.timeout(150)]
STORE = SQLITE

ROOM, FAREWELL, HELLO, WELCOME = (f"'kind': '{kind}'" for kind in ("room", "indoc_farewell", "hello", "welcome"))
DONE, CLAIMED = "'state': 'done'", "'attempts': 1"
POINTS = {
    "before the onboarding is committed": Kill("documents.write", "before", ("Create(path='onboardings/",)),
    "committed, no task yet": Kill("documents.write", "after", ("Create(path='onboardings/",)),
    "some tasks are out, no answer yet": Kill("queue.enqueue"),
    "a room is claimed": Kill("documents.write", "after", (ROOM, "'state': 'running'", CLAIMED)),
    "invited to a room": Kill("chat.invite"),
    "a room is recorded": Kill("documents.write", "after", (ROOM, DONE)),
    "added to the group": Kill("directory.add_to_group"),
    "the farewell is claimed": Kill("documents.write", "after", (FAREWELL, "'state': 'running'", CLAIMED)),
    "the farewell is sent": Kill("chat.send", "after", ("see you out of this one",)),
    "the farewell is recorded, the removal has no task": Kill("documents.write", "after", (FAREWELL, DONE)),
    "removed from INDOC": Kill("chat.kick"),
    "the direct room is made": Kill("chat.create_direct_room"),
    "the direct room is recorded": Kill("documents.write", "after", ("Put(path='direct_rooms/",)),
    "the hello is sent": Kill("chat.send", "after", ("the bot that sees newcomers in",)),
    "the hello is recorded, the welcome has no task": Kill("documents.write", "after", (HELLO, DONE)),
    "the welcome is sent": Kill("chat.send", "after", ("Welcome, ", "among your invites")),
    "the welcome is recorded": Kill("documents.write", "after", (WELCOME, DONE)),
}


PARTS = {
    "the beginning and the rooms": list(POINTS)[:7],
    "INDOC": list(POINTS)[7:11],
    "the direct room": list(POINTS)[11:],
}


@pytest.mark.parametrize("part", PARTS)
async def test_killed_and_started_again(town: Any, part: str) -> None:
    """Wherever Muster dies, after its next start everything completes, and each message is there once. At each point
    somebody else comes in, while those before them are still on their way."""
    everybody: list[str] = []
    for point in PARTS[part]:
        names, link = await town.newcomers()
        everybody += names
        try:
            with town.stack.killed_at(POINTS[point]):
                await town.enroll(link, names)
        except TimeoutError as error:
            raise AssertionError(f"{point}: {error}") from error
    verdict = await town.verdict(everybody)
    assert verdict.holds, str(verdict)


@pytest.mark.parametrize("point", ["queue.enqueue", "documents.write"])
async def test_the_sweep_killed_and_run_again(town: Any, point: str) -> None:
    """A sweep that dies between finding a lost enrollment and starting its tasks keeps nobody waiting for longer than
    its lease."""
    town.stack.proxy.routes["webhook"].drops = lambda body: b'"user_write"' in body
    names, link = await town.newcomers()
    with town.stack.killed_at(Kill(point, "before" if point == "queue.enqueue" else "after", _of(point))):
        await town.enroll(link, names)
    verdict = await town.verdict(names)
    [onboarding] = await town.onboardings(names)
    assert verdict.holds, str(verdict)
    assert onboarding["source"] == "sweep"


def _of(point: str) -> tuple[str, ...]:
    return () if point == "queue.enqueue" else ("Create(path='onboardings/",)


async def test_the_writer_of_m_direct_killed(town: Any) -> None:
    """Dying between writing m.direct and recording it lists a direct room once all the same, and forgets no other."""
    names, link = await town.newcomers(2)
    with town.stack.killed_at(Kill("chat.set_direct_rooms")):
        await town.enroll(link, names)
        for _ in range(100):  # the stack sweeps by itself as well: whichever comes by first dies
            if town.stack.is_dead("app"):
                break
            with contextlib.suppress(httpx.HTTPError):
                await town.sweep()
            await asyncio.sleep(0.3)
    verdict = await town.verdict(names)
    assert verdict.holds, str(verdict)
    server = Homeserver(town.env)
    for _ in range(40):
        listed = server.listed()
        if all(town.crowd.matrix_id(name) in listed for name in names):
            break
        await town.sweep()
        await asyncio.sleep(0.5)
    assert all(len(rooms) == len(set(rooms)) == 1 for rooms in listed.values())
    assert {town.crowd.matrix_id(name) for name in names} <= set(listed)
