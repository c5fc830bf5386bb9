"""An act on many people, cut short anywhere; and jobs that are tried again."""

from __future__ import annotations

import pytest

from shared.domain.errors import Conflict, NotFound, Refused
from shared.services import bulk, bulk_lines, bundles, job_retry, jobs, lists, plan_apply, plans
from shared.services.bulk import Wanted
from shared.services.jobs import JobView
from tests.fakes.faulty_documents import Killed
from tests.world import ADMIN, DOMAIN, World

EVERYBODY = lists.Wanted()


def crowd(count: int) -> World:
    world = World()
    world.furnish(1, indoc=False)
    for number in range(count):
        world.authentik.add_account(f"m{number}")
    return world


async def seen(world: World, job: str) -> JobView:
    return await bulk_lines.shown(world, await jobs.view(world, job))


@pytest.mark.parametrize("deed", ["deactivate", "invite"])
async def test_killed_anywhere(deed: str) -> None:
    """Whatever write the process dies at, before it or after it, everybody is done in the end, and invited once."""
    for after in (False, True):
        for number in range(1, 30, 2 if after else 3):
            world = crowd(3)
            rooms = world.policy.default_rooms if deed == "invite" else ()
            wanted = Wanted(deed, filter=EVERYBODY, rooms=rooms, count=3)  # type: ignore[arg-type]
            started = await bulk.start(world, ADMIN, wanted)
            world.documents.fail_at(number, Killed(), after=after)
            await world.work(1000)
            world.documents.mend()
            await world.live(hours=1)
            view = await seen(world, started.job.id)
            assert (number, view.state, view.job.state, view.counts) == (number, "done", "done", {"done": 3})
            if deed == "deactivate":
                assert not any(account.active for account in world.authentik._accounts.values())
            else:
                assert len(world.homeserver.called("invite")) == len(await world.documents_in("jobs")) - 1 == 3


async def test_delivered_twice_at_once() -> None:
    """Two deliveries of its task at the same moment do nothing twice."""
    world = crowd(5)
    await bulk.start(world, ADMIN, Wanted("deactivate", filter=EVERYBODY, count=5))
    assert sorted(await world.twice(world.due("people"), 3)) == ["Claimed", "Claimed", "done"]
    assert world.authentik.calls.count("update_account") == 5


async def test_refused_by_authentik() -> None:
    """A token that Authentik refuses ends the job with its cause: who was to come is left, and comes when it is retried."""
    world = crowd(3)
    started = await bulk.start(world, ADMIN, Wanted("deactivate", filter=EVERYBODY, count=3))
    world.authentik.fail("account", Refused("the token is refused", "Make a new one.", "403"), 3)
    await world.work()
    view = await seen(world, started.job.id)
    assert (view.state, view.counts, view.lines[0].cause) == ("failed", {"left": 3}, "the token is refused")
    assert (await bulk_lines.page(world, view, "open", 2, 0)).following == 2
    await job_retry.retry(world, ADMIN, started.job.id, ())
    await world.work()
    assert (await seen(world, started.job.id)).counts == {"done": 3}


async def test_names_are_kept_for_a_month() -> None:
    """Who it was is gone after 30 days, how many stays; what failed can no longer be tried again then."""
    world = crowd(2)
    started = await bulk.start(world, ADMIN, Wanted("add_group", filter=EVERYBODY, group=_crew(world), count=2))
    for key in list(world.authentik._groups):
        del world.authentik._groups[key]
    await world.work()
    world.pause(days=31)
    view = await seen(world, started.job.id)
    assert (view.lines, view.counts) == ([], {"failed": 2})
    with pytest.raises(Conflict):
        await job_retry.retry(world, ADMIN, started.job.id, ())


def _crew(world: World) -> str:
    world.authentik.add_group("crew")
    return "crew"


# ------------------------------------------------------------------ any job, once more


async def test_only_what_failed() -> None:
    """The failed rooms of a job are tried again, done ones are not; a step that is not there is named."""
    world = crowd(0)
    rooms = (*world.policy.default_rooms, world.homeserver.add_room("Other"))
    world.homeserver.leave(world.homeserver.user_id, rooms[1])
    started = await jobs.start(world, ADMIN, jobs.Wanted("invite", f"@ada:{DOMAIN}", rooms))
    await world.live()
    assert (await jobs.view(world, started.job.id)).job.state == "failed"
    world.homeserver.join(world.homeserver.user_id, rooms[1])
    dry = await job_retry.retry(world, ADMIN, started.job.id, (), dry_run=True)
    assert (dry.state, world.queue.tasks) == ("running", {})
    with pytest.raises(NotFound):
        await job_retry.retry(world, ADMIN, started.job.id, ("room:nowhere",))
    again = await job_retry.retry(world, ADMIN, started.job.id, ())
    assert sorted(step.state for step in again.steps) == ["done", "scheduled"]
    await world.live()
    assert (await jobs.view(world, started.job.id)).job.state == "done"
    assert [call[0] for call in world.homeserver.called("invite")].count(rooms[0]) == 1
    assert [audit["detail"]["steps"] for audit in await world.audits() if audit["action"] == "job.retry"] == [
        [f"room:{rooms[1]}"]
    ]


async def test_a_plan_and_its_parts() -> None:
    """Retrying a plan's job retries those of its members that failed; retrying one of these counts the plan's anew. One
    that was undone is not begun again."""
    world = World()
    world.furnish(1, indoc=False)
    for name in ("ada", "bee"):
        world.authentik.add_account(name)
        world.arrive(name)
    room = world.homeserver.add_room("Club")
    world.authentik.add_group("club")
    await bundles.create(world, ADMIN, bundles.Wanted("Club", (room,), for_groups=("club",)))
    for account in list(world.authentik._accounts.values()):
        [club] = world.authentik._groups
        await world.authentik.add_to_group(club, account.pk)
    plan, _ = await plans.create(world, ADMIN, plans.Wanted())
    world.homeserver.leave(world.homeserver.user_id, room)
    job = (await plan_apply.apply(world, ADMIN, plan.id, plan_apply.Wanted())).job.id
    await world.live()
    parts = [one for one in await world.documents_in("jobs") if one["part_of"] == job]
    assert [one["state"] for one in parts] == ["failed", "failed"]
    world.homeserver.join(world.homeserver.user_id, room)
    await job_retry.retry(world, ADMIN, parts[0]["id"], ())
    await world.live()
    whole = await jobs.view(world, job)
    assert (whole.job.state, "for 1 of 2" in whole.steps[0].cause) == ("failed", True)
    await job_retry.retry(world, ADMIN, job, ())
    await world.live()
    assert (await jobs.view(world, job)).job.state == "done"
    await plan_apply.undo(world, ADMIN, plan.id, None)
    with pytest.raises(Conflict):
        await job_retry.retry(world, ADMIN, job, ())
