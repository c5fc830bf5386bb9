"""Messages to many on fakes: who gets them, how they halt and go on, and that each is said once."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from shared.domain.broadcasts import Message
from shared.domain.errors import Conflict, Invalid, NotFound, Refused, Unreachable
from shared.domain.onboarding import Step
from shared.ports import Query, Task
from shared.repositories import JOBS, MESSAGES
from shared.services import broadcasts, bundles, job_retry, jobs, lists
from shared.services.broadcast_acts import act_on
from shared.services.broadcast_choice import To
from shared.services.broadcasts import Started, Wanted
from tests.fakes.faulty_documents import Killed
from tests.shared.services.test_encryption import keys, sealing
from tests.world import ADMIN, DOMAIN, World

TEXT = "The garden party is on Sunday."


def club(people: int = 3) -> World:
    """So many with an account and a Matrix id, m00 first; the store counts from zero."""
    world = World()
    world.furnish(1)
    world.policy = replace(world.policy, bot=f"@muster:{DOMAIN}")
    for number in range(people):
        world.authentik.add_account(f"m{number:02}")
        world.homeserver.add_user(who(number))
    return world


def who(number: int) -> str:
    return f"@m{number:02}:{DOMAIN}"


EVERYBODY = To("users")


async def sent(world: World, to: To = EVERYBODY, *, dry_run: bool = False, **wanted: Any) -> Started:
    given: dict[str, Any] = {"text": TEXT} | wanted
    if not dry_run and "expected" not in given:
        given["expected"] = (await broadcasts.start(world, ADMIN, Wanted(to, **given), dry_run=True)).sends
    return await broadcasts.start(world, ADMIN, Wanted(to, **given), dry_run=dry_run)


async def message(world: World) -> Message:
    [data] = await world.documents_in("messages")
    return Message.of(data)


async def recipients(world: World) -> dict[str, Step]:
    """By Matrix id, or room, or name."""
    name = (await message(world)).path
    found = [Step.of(item.data) for item in (await world.store.query(Query(f"{name}/steps", limit=500))).items]
    return {step.matrix_id or step.room or str(step.wanted["name"]): step for step in found}


async def states(world: World) -> dict[str, str]:
    return {name: step.state for name, step in (await recipients(world)).items()}


def said_to(world: World, member: str) -> list[str]:
    rooms = [room for room in world.homeserver.homes.values() if member in room.direct]
    return [event["content"]["body"] for room in rooms for event in room.events]


async def driver(world: World) -> Step:
    document = await world.store.get(f"{JOBS.path((await message(world)).job)}/steps/recipients")
    assert document is not None
    return Step.of(document.data)


def tasks(world: World, entry_point: str = "send_message") -> list[Task]:
    """Taken from the queue, in the order of their recipients."""
    found = [task for task in world.queue.tasks.values() if task.entry_point == entry_point]
    for task in found:
        del world.queue.tasks[task.name]
    return sorted(found, key=lambda task: str(task.payload["step"]))


async def made(world: World) -> None:
    """The job has made the recipients' steps; nothing has been sent."""
    [task] = tasks(world, "apply_plan")
    await world.deliver(task)


# ------------------------------------------------------------------ who gets it


async def test_everybody_gets_it_once() -> None:
    """Each in a direct room of their own, as the homeserver confirms; then the message and its job are done."""
    world = club(3)
    started = await sent(world)
    await world.live(hours=1)
    assert [said_to(world, who(n)) for n in range(3)] == [[TEXT]] * 3
    done = await message(world)
    assert (done.id, done.state, done.counts, done.finished_at) == (started.message.id, "done", {"done": 3}, world.now())
    view = await jobs.view(world, done.job)
    assert (view.job.state, view.job.people) == ("done", 3)
    for member, step in (await recipients(world)).items():
        [event] = [event for room in world.direct_rooms_of(member) for event in room.events]
        assert step.result["event_id"] == event["event_id"]


async def test_the_text_is_stored_once() -> None:
    """No task and no step holds what is said; nor does the audit."""
    world = club(2)
    await sent(world)
    assert all(set(task.payload) <= {"v", "job", "message", "step", "generation"} for task in world.queue.tasks.values())
    await world.live(hours=1)
    assert world.rows().count(TEXT) == 1
    actions = [record["action"] for record in await world.audits()]
    assert (actions.count("message.send"), actions.count("step.message")) == (1, 2)


async def test_a_dry_run_does_nothing() -> None:
    """It tells to whom it would go, who cannot be written to and why, and what the first of them would read."""
    world = club(2)
    world.authentik.add_account("Not A Matrix Id")
    world.authentik.add_account("gone", active=False)
    seen = await sent(world, dry_run=True)
    assert (seen.sends, seen.out, [one.name for one in seen.first]) == (2, 2, ["m00", "m01"])
    causes = {one.username: one.cause for one in seen.left_out}
    assert "Matrix id" in causes["Not A Matrix Id"]
    assert "deactivated" in causes["gone"]
    assert seen.sample is not None
    assert (seen.sample.to.matrix_id, seen.sample.plain) == (who(0), TEXT)
    assert [await world.documents_in(each) for each in ("messages", "jobs")] == [[], []]
    assert not world.queue.tasks
