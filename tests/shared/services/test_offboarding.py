"""Off-boarding: deactivated first, then out of every room; nothing brings them back afterwards."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from shared.domain import jobs as domain
from shared.domain.errors import Forbidden, Invalid, NotFound, Unreachable
from shared.services import jobs, matrix_ids, offboarding, sync
from shared.services.jobs import JobView
from shared.services.offboarding import Wanted
from shared.services.removals import Words
from tests.fakes.faulty_documents import Killed
from tests.world import ADMIN, World

MEMBER = "@ada:fake.test"
GONE = Wanted(Words("left the community"))


async def a_member(rooms: int = 2) -> tuple[World, int, str]:
    """Ada, at home: invited to each room, and in the first of them."""
    world = World()
    world.furnish(rooms)
    account = await world.member()
    verdict = await world.enrolled("ada")
    await world.live()
    world.homeserver.join(MEMBER, world.policy.default_rooms[0])
    return world, account.pk, verdict.onboarding


async def offboarded(world: World, pk: int, wanted: Wanted = GONE) -> JobView:
    started = await offboarding.offboard(world, ADMIN, pk, wanted)
    await world.live()
    return await jobs.view(world, started.job.id)


async def test_out_of_everything() -> None:
    """Deactivated, out of the rooms that they are in and of those that they are only invited to, with the reason."""
    world, pk, _ = await a_member()
    view = await offboarded(world, pk)
    assert (view.state, view.job.kind, view.job.matrix_id) == ("done", "offboard", MEMBER)
    assert [step.kind for step in view.steps] == ["deactivate", "removal", "removal"]
    assert (await world.authentik.account(pk)).active is False
    assert [world.homeserver.homes[room].members[MEMBER] for room in world.policy.default_rooms] == ["leave", "leave"]
    assert {reason for _, _, reason in world.homeserver.called("kick")[1:]} == {"left the community"}


async def test_authentik_comes_first() -> None:
    """While Authentik does not answer nobody is removed; then one comes after the other."""
    world, pk, _ = await a_member()
    kicks = len(world.homeserver.called("kick"))
    started = await offboarding.offboard(world, ADMIN, pk, GONE)
    world.authentik.fail("update_account", Unreachable("authentik", "no answer"), times=5)
    await world.work()
    view = await jobs.view(world, started.job.id)
    assert [(step.kind, step.state, step.waits_for) for step in view.steps] == [
        ("deactivate", "waiting", "authentik"),
        ("removal", "pending", ""),
        ("removal", "pending", ""),
    ]
    assert len(world.homeserver.called("kick")) == kicks
    await world.live()
    assert (await jobs.view(world, started.job.id)).state == "done"
    assert len(world.homeserver.called("kick")) == kicks + 2


async def test_a_dry_run_shows_all_of_it() -> None:
    """Each step that would be, what of their onboarding would stop, and nothing done."""
    world = World()
    world.furnish(2)
    account = await world.member(there=False)
    await world.enrolled("ada")
    await world.work()
    before, tasks = world.rows(), dict(world.queue.tasks)
    view = await offboarding.offboard(world, ADMIN, account.pk, GONE, dry_run=True)
    assert [step.kind for step in view.steps] == ["deactivate", "removal", "removal"]
    assert "what was open of their onboarding stops: indoc_farewell, indoc_removal" in " ".join(view.job.notes)
    assert world.rows() == before
    assert world.queue.tasks == tasks


async def test_what_was_open_stops() -> None:
    """Open steps are skipped with the reason, and neither the sweep nor a late task brings anybody in again."""
    world = World()
    world.furnish(3)
    account = await world.member(there=False)
    verdict = await world.enrolled("ada")
    late = list(world.queue.tasks.values())
    view = await offboarded(world, account.pk)
    assert view.state == "done"
    for task in late:
        assert await world.once(task) in ("skipped", "done")
    await world.live(hours=24, on=True)
    seen = await world.view(verdict.onboarding)
    assert seen.state == "done"
    assert {step.result["reason"] for step in seen.steps if step.state == "skipped"} == {"off-boarded"}
    assert world.homeserver.called("invite") == []
    assert seen.onboarding.look_at is None


async def test_a_held_one() -> None:
    """Who was held is rejected by it: nobody can approve them by mistake."""
    world = World()
    world.furnish(1)
    invite = await world.invite(email="cleo@example.test")
    world.arrive("cleo")
    account = world.authentik.enroll(invite.code, "cleo", email="other@example.test")
    verdict = await world.enrolled("cleo")
    await world.work()
    await offboarded(world, account.pk)
    onboarding = (await world.view(verdict.onboarding)).onboarding
    assert (onboarding.hold, onboarding.state) == ("rejected", "done")


async def test_a_step_that_is_being_done() -> None:
    """An invite that is on its way when they are shown out is taken back: removals come after it."""
    world = World()
    world.furnish(1)
    account = await world.member(there=False)
    await world.enrolled("ada")
    [task] = [task for task in world.queue.take(world.now()) if task.entry_point == "invite_to_room"]
    world.documents.fail_at(2, Killed())  # claimed, then silent
    with pytest.raises(Killed):
        await world.once(task)
    started = await offboarding.offboard(world, ADMIN, account.pk, GONE)
    assert started.job.not_before is not None
    await world.work()
    await world.homeserver.invite(world.policy.default_rooms[0], MEMBER)  # what was on its way
    world.pause(seconds=61)
    await world.live()
    assert world.homeserver.homes[world.policy.default_rooms[0]].members[MEMBER] == "leave"
    assert (await jobs.view(world, started.job.id)).state == "done"


async def test_a_strangers_id_in_the_attributes() -> None:
    """An id that only the account itself names stays where it is, and the job says so; named by the admin it goes."""
    world, pk, _ = await a_member()
    other = world.homeserver.add_user("@bob:fake.test")
    world.homeserver.join(other, world.policy.default_rooms[0])
    await world.authentik.update_account(pk, attributes={"matrix_id": other})
    view = await offboarding.offboard(world, ADMIN, pk, GONE, dry_run=True)
    assert any(other in note for note in view.job.notes)
    await offboarded(world, pk)
    assert world.homeserver.homes[world.policy.default_rooms[0]].members[other] == "join"
    await world.authentik.update_account(pk, active=True)
    view = await offboarded(world, pk, replace(GONE, matrix_ids=(other,)))
    assert world.homeserver.homes[world.policy.default_rooms[0]].members[other] == "leave"
    assert [step.matrix_id for step in view.steps if step.kind == "removal" and step.matrix_id] == [other]


async def test_who_was_there_before_muster() -> None:
    """Without an onboarding: the id that an admin has vouched for, else the one that their username gives."""
    world = World()
    world.furnish(1)
    account = world.authentik.add_account("ada")
    world.homeserver.join(MEMBER, world.policy.default_rooms[0])
    view = await offboarding.offboard(world, ADMIN, account.pk, GONE, dry_run=True)
    assert view.job.matrix_id == MEMBER
    await matrix_ids.vouch(world, ADMIN, account.uid, "@countess:fake.test")
    view = await offboarding.offboard(world, ADMIN, account.pk, GONE, dry_run=True)
    assert view.job.matrix_id == "@countess:fake.test"


async def test_a_webhook_that_comes_late() -> None:
    """Who was off-boarded before their onboarding began is not brought in by webhook or sweep."""
    world = World()
    world.furnish(1)
    account = await world.member()
    await offboarded(world, account.pk)
    assert (await world.enrolled("ada")).kind == "ignored"
    await world.live(hours=2, on=True)
    assert await world.documents_in("onboardings") == []
    assert world.homeserver.called("invite") == []


async def test_no_matrix_id() -> None:
    """Nobody knows their Matrix id: the account is deactivated, and the job says what was not done."""
    world = World()
    world.furnish(1)
    account = world.authentik.add_account("Ada Lovelace")
    view = await offboarded(world, account.pk, Wanted(Words("x", message="goodbye")))
    assert [(step.kind, step.state) for step in view.steps] == [("deactivate", "done")]
    assert any("no Matrix id" in note for note in view.job.notes)


async def test_rooms_that_they_keep() -> None:
    """Named by id or alias, a room stays theirs."""
    world, pk, _ = await a_member()
    alumni = world.homeserver.add_room("Alumni", alias="alumni", members={MEMBER: "join"})
    await offboarded(world, pk, replace(GONE, keep_rooms=("#alumni:fake.test",)))
    assert world.homeserver.homes[alumni].members[MEMBER] == "join"


async def test_with_a_message() -> None:
    """The message comes between the account and the rooms."""
    world, pk, _ = await a_member()
    world.homeserver.calls.clear()
    view = await offboarded(world, pk, Wanted(Words("x", message="goodbye, {name}")))
    assert view.state == "done"
    acts = [name for name, _ in world.homeserver.calls if name in ("send", "kick")]
    assert acts == ["send", "kick", "kick"]


async def test_who_is_refused() -> None:
    """Superusers are left to Authentik; nobody is not found; without a live look nothing is done."""
    world, pk, _ = await a_member()
    boss = world.authentik.add_account("boss")
    await world.authentik.add_to_group(world.authentik.add_group("admins", superuser=True), boss.pk)
    with pytest.raises(Forbidden):
        await offboarding.offboard(world, ADMIN, boss.pk, GONE)
    with pytest.raises(NotFound):
        await offboarding.offboard(world, ADMIN, 4711, GONE)
    with pytest.raises(Invalid):
        await offboarding.offboard(world, ADMIN, pk, Wanted(Words()))
    before = world.rows()
    world.homeserver.fail_next(Unreachable("matrix", "no answer"), times=9, method="rooms_of")
    with pytest.raises(Unreachable):
        await offboarding.offboard(world, ADMIN, pk, GONE)
    assert world.rows() == before


async def test_an_invite_by_hand_stops_too() -> None:
    """Rooms that an admin's job was still to invite them to are left out, and what it has invited them to is taken
    back."""
    world, pk, _ = await a_member(1)
    extra = [world.homeserver.add_room(f"Extra {n}") for n in range(12)]
    world.homeserver.limit_invites(burst=2, every=600)
    await jobs.start(world, ADMIN, jobs.Wanted("invite", MEMBER, tuple(extra)))
    await world.work()
    await offboarded(world, pk)
    await world.live(hours=24, on=True)
    assert [world.homeserver.homes[room].members.get(MEMBER) for room in extra[:2]] == ["leave", "leave"]
    assert {world.homeserver.homes[room].members.get(MEMBER, "leave") for room in extra} == {"leave"}


async def test_an_invite_of_somebody_else() -> None:
    """What the last sync has seen is taken back too, if it still stands."""
    world, pk, _ = await a_member()
    seen, declined = (world.homeserver.add_room(name, members={MEMBER: "invite"}) for name in ("Seen", "Declined"))
    assert (await sync.run(world, "matrix", "full", 60)).done
    world.homeserver.homes[declined].members[MEMBER] = "leave"
    view = await offboarded(world, pk)
    assert (view.state, world.homeserver.homes[seen].members[MEMBER]) == ("done", "leave")
    assert {step.state for step in view.steps} == {"done"}


async def test_an_invite_that_is_just_on_its_way() -> None:
    """Of an admin's job: the removal comes after it."""
    world, pk, _ = await a_member(1)
    extra = world.homeserver.add_room("Extra")
    await jobs.start(world, ADMIN, jobs.Wanted("invite", MEMBER, (extra,)))
    [task] = [task for task in world.queue.take(world.now()) if task.entry_point == "invite_to_room"]
    world.documents.fail_at(2, Killed())
    with pytest.raises(Killed):
        await world.once(task)
    started = await offboarding.offboard(world, ADMIN, pk, GONE)
    assert started.job.not_before is not None
    assert extra in {step.room for step in started.steps}


async def test_more_rooms_than_a_job_can_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as it can, and the job says that there are more."""
    monkeypatch.setattr(domain, "MOST_ROOMS", 1)
    world, pk, _ = await a_member()
    view = await offboarded(world, pk)
    assert [step.kind for step in view.steps] == ["deactivate", "removal"]
    assert "they are in 1 more rooms" in view.job.notes[-1]
    assert (await offboarded(world, pk)).job.notes == ()


@pytest.mark.parametrize("number", range(1, 16))
async def test_a_death_at_any_write(number: int) -> None:
    """Wherever it dies, asking again with the same key ends with all of it done."""
    world, pk, _ = await a_member()
    world.documents.fail_at(number, Killed())
    wanted = replace(GONE, key="k", body="b")
    for _ in range(2):
        try:
            job = (await offboarding.offboard(world, ADMIN, pk, wanted)).job.id
        except Killed:
            world.pause(seconds=5)
    await world.live()
    assert (await jobs.view(world, job)).state == "done"
    assert (await world.authentik.account(pk)).active is False
    assert {world.homeserver.homes[room].members[MEMBER] for room in world.policy.default_rooms} == {"leave"}


async def test_out_of_rooms_that_a_job_invited_them_to() -> None:
    """An admin's invite that they have not answered is taken back as well."""
    world, pk, _ = await a_member()
    other = world.homeserver.add_room("Other")
    await jobs.start(world, ADMIN, jobs.Wanted("invite", MEMBER, (other,)))
    await world.live()
    assert world.homeserver.homes[other].members[MEMBER] == "invite"
    await offboarded(world, pk)
    assert world.homeserver.homes[other].members[MEMBER] == "leave"
