"""Plans on a community in memory: computed, applied through tasks, and taken back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from shared.domain.errors import Conflict, Invalid, NotFound, Unreachable
from shared.domain.plans import Line, Plan
from shared.ports import Query
from shared.services import bundles, jobs, offboarding, plan_apply, plans
from shared.services.jobs import JobView
from shared.services.plan_apply import Wanted
from shared.services.removals import Words
from tests.fakes.faulty_documents import Killed
from tests.world import ADMIN, DOMAIN, World


class Club:
    """Ada, Bob and Cleo garden; Dora no longer does. Two rooms; the second one is the moderators' as well."""

    def __init__(self) -> None:
        self.world = World()
        self.world.furnish(0)
        self.beds, self.shed = self.world.homeserver.add_room("Beds"), self.world.homeserver.add_room("Shed")
        self.group = self.world.authentik.add_group("gardeners")
        self.mods = self.world.authentik.add_group("mods")
        self.world.authentik.add_group("muster-admins")

    async def member(self, name: str, *groups: str) -> str:
        account = self.world.authentik.add_account(name)
        for group in groups:
            await self.world.authentik.add_to_group(group, account.pk)
        return self.world.homeserver.add_user(f"@{name}:{DOMAIN}")

    async def bundle(self, name: str = "Garden", group: str = "gardeners", **wanted: Any) -> None:
        given = {"rooms": (self.beds, self.shed), "for_groups": (group,), "removes": True} | wanted
        await bundles.create(self.world, ADMIN, bundles.Wanted(name, **given))

    async def plan(self, **wanted: Any) -> Plan:
        return (await plans.create(self.world, ADMIN, plans.Wanted(**wanted)))[0]

    async def lines(self, plan: Plan) -> list[Line]:
        return list((await plans.page(self.world, plan.id, "", 200, None)).items)

    async def apply(self, plan: Plan, *lines: str, removals: int | None = None) -> JobView:
        started = await plan_apply.apply(self.world, ADMIN, plan.id, Wanted(lines or None, removals))
        await self.world.live(hours=1, on=True)
        return await jobs.view(self.world, started.job.id)

    async def undo(self, plan: Plan, removals: int | None = None) -> JobView:
        started = await plan_apply.undo(self.world, ADMIN, plan.id, removals)
        await self.world.live(hours=1, on=True)
        return await jobs.view(self.world, started.job.id)

    def where(self, member: str) -> list[str]:
        homes = self.world.homeserver.homes
        return [homes[room].members.get(member, "") for room in (self.beds, self.shed)]


async def club() -> Club:
    """Ada is in Beds, Bob nowhere, Dora in both without a bundle."""
    made = Club()
    for name in ("ada", "bob"):
        await made.member(name, made.group)
    await made.member("dora")
    made.world.homeserver.join(f"@ada:{DOMAIN}", made.beds)
    for room in (made.beds, made.shed):
        made.world.homeserver.join(f"@dora:{DOMAIN}", room)
    await made.bundle()
    return made


ADA, BOB, DORA = (f"@{name}:{DOMAIN}" for name in ("ada", "bob", "dora"))


def brief(lines: list[Line]) -> list[tuple[str, str, str]]:
    return sorted((line.action, line.username, line.room) for line in lines)


# ------------------------------------------------------------------ computed


async def test_a_plan_says_what_would_change() -> None:
    """Read live, line by line with its reason; nothing in the world has changed."""
    there = await club()
    before = [there.where(member) for member in (ADA, BOB, DORA)]
    plan = await there.plan()
    assert brief(await there.lines(plan)) == [
        ("invite", "ada", "Shed"),
        ("invite", "bob", "Beds"),
        ("invite", "bob", "Shed"),
        ("remove", "dora", "Beds"),
        ("remove", "dora", "Shed"),
    ]
    assert (plan.counts, plan.total, plan.people) == ({"invite": 3, "remove": 2}, 5, 3)
    assert before == [there.where(member) for member in (ADA, BOB, DORA)]


async def test_the_same_key_makes_one_plan() -> None:
    """A repeat answers the plan that there is; another body is refused; a try keeps nothing."""
    there = await club()
    await plans.create(there.world, ADMIN, plans.Wanted(key="k", body="b"), dry_run=True)
    assert await there.world.documents_in("plans") == []
    made = await asyncio.gather(*(there.plan(key="k", body="b") for _ in range(3)))
    assert len({plan.id for plan in made}) == 1
    assert len(await there.world.documents_in("plans")) == 1
    with pytest.raises(Conflict):
        await there.plan(key="k", body="other")


async def test_limited_to_what_was_asked() -> None:
    """By bundle, group or member; what does not exist is named."""
    there = await club()
    assert {line.username for line in await there.lines(await there.plan(groups=("gardeners",)))} == {"ada", "bob"}
    assert {line.username for line in await there.lines(await there.plan(matrix_ids=(DORA,)))} == {"dora"}
    assert len(await there.lines(await there.plan(bundles=("Garden",)))) == 5
    nobody = await there.plan(matrix_ids=("@nobody:fake.test",))
    assert (nobody.total, "@nobody:fake.test is known as no account" in nobody.notes[0]) == (0, True)
    for wanted in ({"bundles": ("x",)}, {"groups": ("x",)}, {"matrix_ids": ("x",)}):
        with pytest.raises(Invalid) as caught:
            await there.plan(**wanted)
        assert [name for name, _ in caught.value.errors] == list(wanted)


async def test_pages_of_many_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every line once, whatever the size of a page and of the parts; of one action too."""
    monkeypatch.setattr(plans, "PART", 3)
    there = await club()
    for number in range(8):
        await there.member(f"m{number}", there.group)
    plan = await there.plan()
    assert len(plan.sizes) > 4
    whole = await there.lines(plan)
    for limit in (1, 2, 7, 200):
        for action in ("", "invite", "remove", "level"):
            found: list[Line] = []
            cursor: str | None = None
            while True:
                page = await plans.page(there.world, plan.id, action, limit, cursor)
                found += page.items
                cursor = page.next_cursor
                if cursor is None:
                    break
            assert found == [line for line in whole if action in ("", line.action)]
            assert page.total == len(found)


async def test_the_limits_are_foretold() -> None:
    """Twenty rooms for one member under the default limits: said before anything is done, with the way out."""
    there = Club()
    await there.member("ada", there.group)
    rooms = tuple(there.world.homeserver.add_room(f"Bed {number}") for number in range(20))
    await there.bundle(rooms=rooms)
    assert (await there.plan()).notes == ()
    there.world.homeserver.limit_invites()
    [note] = (await there.plan()).notes
    assert note.endswith("5 now, 15 more over 83 minutes, or lift the limits: scripts/setup bot")


async def test_a_room_that_the_bot_has_left() -> None:
    """Nothing is planned there, and the plan says so."""
    there = await club()
    there.world.homeserver.leave(there.world.homeserver.user_id, there.shed)
    plan = await there.plan()
    assert {line.room for line in await there.lines(plan)} == {"Beds"}
    assert plan.notes == (f"The bot is not in the room {there.shed}: nothing is planned there.",)


async def test_admins_of_muster_are_protected() -> None:
    """Members of ADMIN_GROUP and of the list stay, and the plan says so."""
    there = await club()
    chief = await there.member(
        "eve", *(group.pk for group in await there.world.authentik.groups() if group.name == "muster-admins")
    )
    there.world.homeserver.join(chief, there.beds)
    there.world.policy = replace(there.world.policy, protected=(DORA,))
    kept = [line for line in await there.lines(await there.plan()) if line.action == "keep"]
    assert {(line.username, line.room) for line in kept} == {("eve", "Beds"), ("dora", "Beds"), ("dora", "Shed")}
    with pytest.raises(Invalid):
        await there.apply(await there.plan(), kept[0].id)


# ------------------------------------------------------------------ applied


async def test_applied_the_second_plan_is_empty() -> None:
    """Through tasks, each line a step of its member's job; then there is nothing left to do."""
    there = await club()
    plan = await there.plan()
    view = await there.apply(plan)
    assert (view.state, [step.result for step in view.steps]) == ("done", [{"members": 3}])
    assert [there.where(member) for member in (ADA, BOB, DORA)] == [["join", "invite"], ["invite"] * 2, ["leave"] * 2]
    assert (await there.plan()).counts == {}
    parts = await jobs.listing(there.world, view.job.id, "", 50, None)
    assert {(job.matrix_id, job.state) for job in parts.items} == {(ADA, "done"), (BOB, "done"), (DORA, "done")}
    assert [job.id for job in (await jobs.listing(there.world, "", "", 50, None)).items] == [view.job.id]


async def test_only_what_was_ticked() -> None:
    """The other lines are in the next plan."""
    there = await club()
    plan = await there.plan()
    ticked = next(line for line in await there.lines(plan) if line.username == "bob")
    await there.apply(plan, ticked.id)
    assert len(await there.lines(await there.plan())) == 4
    with pytest.raises(Conflict, match="was applied"):
        await plan_apply.apply(there.world, ADMIN, plan.id, Wanted(None, body="other"))


async def test_the_same_yes_twice() -> None:
    """Said again, at once or at the same moment, it is one job, and nothing is done twice."""
    there = await club()
    plan = await there.plan()
    views = await asyncio.gather(*(plan_apply.apply(there.world, ADMIN, plan.id, Wanted()) for _ in range(3)))
    again = await plan_apply.apply(there.world, ADMIN, plan.id, Wanted())
    assert {view.job.id for view in [*views, again]} == {again.job.id}
    await there.world.live(hours=1, on=True)
    assert len(there.world.homeserver.called("invite")) == 3
    assert len(there.world.homeserver.called("kick")) == 2


async def test_more_than_ten_removals_need_their_number() -> None:
    """Without the very number nothing is done, and the answer says it; ten need none."""
    there = await club()
    for number in range(4):
        member = await there.member(f"m{number}")
        for room in (there.beds, there.shed):
            there.world.homeserver.join(member, room)
    ten = await there.plan(matrix_ids=tuple(f"@{name}:{DOMAIN}" for name in ("dora", "m0", "m1", "m2", "m3")))
    assert (await plan_apply.apply(there.world, ADMIN, ten.id, Wanted(), dry_run=True)).steps
    member = await there.member("m5")
    there.world.homeserver.join(member, there.beds)
    plan = await there.plan()
    for removals in (None, 10, 12, 0):
        with pytest.raises(Conflict) as caught:
            await plan_apply.apply(there.world, ADMIN, plan.id, Wanted(None, removals))
        assert '"removals": 11' in caught.value.fix
    assert there.world.homeserver.called("kick") == []
    await there.apply(plan, removals=11)
    assert len(there.world.homeserver.called("kick")) == 11


async def test_a_plan_that_is_old() -> None:
    """An hour later, or after a bundle was changed, made or deleted, a new plan is asked for."""
    there = await club()
    plan = await there.plan()
    await there.bundle("Another", rooms=())
    with pytest.raises(Conflict, match="bundles were changed: another"):
        await plan_apply.apply(there.world, ADMIN, plan.id, Wanted())
    plan = await there.plan()
    there.world.pause(minutes=61)
    with pytest.raises(Conflict, match="more than an hour old"):
        await plan_apply.apply(there.world, ADMIN, plan.id, Wanted())
    assert there.world.homeserver.called("invite") == []


async def test_lines_that_no_longer_hold_are_skipped() -> None:
    """Who came in, left, was banned, or got power since: nothing is done to them, and the step says why."""
    there = await club()
    plan = await there.plan()
    homes = there.world.homeserver.homes
    there.world.homeserver.join(ADA, there.shed)
    homes[there.beds].members[BOB] = "ban"
    there.world.homeserver.leave(DORA, there.beds)
    homes[there.shed].creators |= {DORA}
    await there.apply(plan)
    page = await there.world.store.query(Query("steps", [("state", "==", "skipped")], group=True))
    assert {item.data["result"]["reason"] for item in page.items} == {
        "they are in the room already",
        "they have been banned since the plan was made",
        "they are not in the room (leave)",
        "they have as much power here as the bot, and are protected",
    }
    assert there.where(DORA) == ["leave", "join"]


async def off_boarded(there: Club, name: str) -> None:
    account = await there.world.authentik.account_named(name)
    assert account is not None
    await offboarding.offboard(there.world, ADMIN, account.pk, offboarding.Wanted(Words("left")))
    await there.world.live(hours=1, on=True)


async def test_who_was_off_boarded_since() -> None:
    """Neither a plan that is older, nor its undo, brings anybody in who was shown out; a newer one does, once the
    account is active again."""
    there = await club()
    plan = await there.plan()
    await off_boarded(there, "bob")
    await there.apply(plan)
    assert there.where(BOB) == ["", ""]
    await off_boarded(there, "dora")
    view = await there.undo(plan)
    assert (view.state, there.where(DORA)) == ("done", ["leave", "leave"])
    bob = await there.world.authentik.account_named("bob")
    assert bob is not None
    await there.world.authentik.update_account(bob.pk, active=True)
    await there.apply(await there.plan())
    assert there.where(BOB) == ["invite", "invite"]


async def test_what_fails_is_said() -> None:
    """One member's failure keeps nobody else waiting; the job says how many, and where to look."""
    there = await club()
    plan = await there.plan()
    there.world.homeserver.leave(there.world.homeserver.user_id, there.shed)
    view = await there.apply(plan)
    [step] = view.steps
    assert (view.state, step.state) == ("failed", "failed")
    assert step.cause == "for 3 of 3 members something failed"
    assert f"part_of={view.job.id}" in step.fix
    assert there.where(BOB)[0] == "invite"


async def test_levels_with_the_rooms() -> None:
    """Moderators get their power once they have joined; who is no longer one loses exactly that power."""
    there = await club()
    await there.member("cleo", there.mods)
    cleo = f"@cleo:{DOMAIN}"
    await there.bundle("Mods", "mods", rooms=(there.beds,), levels={"*": 50}, removes=True)
    there.world.homeserver.homes[there.beds].powers |= {ADA: 50}
    await there.apply(await there.plan())
    assert there.world.homeserver.homes[there.beds].powers == {ADA: 0}
    there.world.homeserver.join(cleo, there.beds)
    plan = await there.plan()
    assert brief(await there.lines(plan)) == [("level", "cleo", "Beds")]
    await there.apply(plan)
    assert there.world.homeserver.homes[there.beds].powers == {ADA: 0, cleo: 50}
    assert (await there.plan()).counts == {}


async def test_whoever_has_left_keeps_no_plan_open() -> None:
    """Power is for who is in the room: where they are not any more the line is skipped, and the plan can be undone."""
    there = await club()
    await there.bundle("Mods", "gardeners", rooms=(there.beds,), levels={"*": 50})
    plan = await there.plan()
    assert ("level", "ada", "Beds") in brief(await there.lines(plan))
    there.world.homeserver.leave(ADA, there.beds)
    assert (await there.apply(plan)).state == "done"
    assert there.world.homeserver.homes[there.beds].powers == {}
    assert (await there.undo(plan)).state == "done"


async def test_joined_at_once() -> None:
    """With MATRIX_MEMBERSHIP=join the plan says join, and does; power comes with it."""
    there = await club()
    there.world.policy = replace(there.world.policy, membership="join")
    await there.bundle("Mods", "gardeners", rooms=(there.shed,), levels={"*": 50})
    plan = await there.plan()
    assert plan.counts == {"join": 3, "level": 2, "remove": 2}
    await there.apply(plan)
    assert (there.where(BOB), there.world.homeserver.homes[there.shed].powers) == (["join"] * 2, {ADA: 50, BOB: 50})
    assert (await there.plan()).counts == {}


async def test_more_members_than_one_batch_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many parts, and more steps than one batch may write: everybody is in."""
    monkeypatch.setattr(plans, "PART", 250)
    there = Club()
    for number in range(600):
        await there.member(f"m{number}", there.group)
    await there.bundle()
    plan = await there.plan()
    assert (plan.total, len(plan.sizes)) == (1200, 5)
    started = await plan_apply.apply(there.world, ADMIN, plan.id, Wanted())
    assert len(started.steps) == 5
    await there.world.live(hours=1, on=True)
    assert (await jobs.view(there.world, started.job.id)).state == "done"
    assert (await there.plan()).counts == {}


async def test_a_member_with_more_rooms_than_a_job() -> None:
    """They have several jobs."""
    there = Club()
    await there.member("ada", there.group)
    for part in range(5):
        rooms = tuple(there.world.homeserver.add_room(f"Bed {part}-{number}") for number in range(30))
        await there.bundle(f"Garden {part}", rooms=rooms)
    plan = await there.plan()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shared.services.plan_jobs.PER_JOB", 40)
        view = await there.apply(plan)
    assert view.state == "done"
    assert (await jobs.listing(there.world, view.job.id, "", 50, None)).total == 4
    assert len(there.world.homeserver.called("invite")) == 150


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", range(1, 20))
async def test_a_death_at_any_write(at: int, after: bool) -> None:
    """Whatever is being written when the process dies, in the end all is done, once, and can be undone."""
    there = await club()
    plan = await there.plan()
    started = await plan_apply.apply(there.world, ADMIN, plan.id, Wanted())
    there.world.documents.fail_at(at, Killed(), after=after)
    await there.world.live(hours=2, on=True)
    assert there.world.documents.writes > at
    assert (await jobs.view(there.world, started.job.id)).state == "done"
    assert [there.where(member) for member in (ADA, BOB, DORA)] == [["join", "invite"], ["invite"] * 2, ["leave"] * 2]
    assert len(there.world.homeserver.called("kick")) == 2
    await there.undo(plan)
    assert [there.where(member) for member in (ADA, BOB, DORA)] == [["join", "leave"], ["leave"] * 2, ["invite"] * 2]


async def test_an_outage_in_between() -> None:
    """The homeserver is down for a while: it goes on by itself."""
    there = await club()
    plan = await there.plan()
    there.world.homeserver.fail_next(Unreachable("matrix", "the homeserver did not answer"), times=20)
    view = await there.apply(plan)
    await there.world.live(hours=2, on=True)
    view = await jobs.view(there.world, view.job.id)
    assert view.state == "done"
    assert (await there.plan()).counts == {}


# ------------------------------------------------------------------ taken back


async def test_undone() -> None:
    """Who was removed is invited again, who was invited is not any more, levels are as they were."""
    there = await club()
    await there.bundle("Mods", "gardeners", rooms=(there.beds,), levels={"*": 50})
    plan = await there.plan()
    await there.apply(plan)
    assert there.world.homeserver.homes[there.beds].powers == {ADA: 50}
    view = await there.undo(plan)
    assert view.state == "done"
    assert [there.where(member) for member in (ADA, BOB, DORA)] == [["join", "leave"], ["leave"] * 2, ["invite"] * 2]
    assert there.world.homeserver.homes[there.beds].powers == {ADA: 0}
    assert (await plan_apply.undo(there.world, ADMIN, plan.id, None)).job.id == view.job.id


async def test_whoever_only_knocked_is_not_let_in() -> None:
    """An undo gives back what somebody had, and never more."""
    there = await club()
    plan = await there.plan()
    there.world.homeserver.homes[there.shed].members[DORA] = "knock"  # left, and asked to come in again
    await there.apply(plan)
    assert there.where(DORA) == ["leave", "leave"]
    await there.undo(plan)
    assert there.where(DORA) == ["invite", "leave"]


async def test_only_what_was_done_is_undone() -> None:
    """What was skipped, because somebody else had done it, stays."""
    there = await club()
    plan = await there.plan()
    await there.world.homeserver.invite(there.beds, BOB)
    await there.apply(plan)
    await there.undo(plan)
    assert there.where(BOB) == ["invite", "leave"]


async def test_what_cannot_be_undone() -> None:
    """Nothing applied, still under way, or seven days gone: said in words."""
    there = await club()
    plan = await there.plan()
    with pytest.raises(Conflict, match="never applied"):
        await plan_apply.undo(there.world, ADMIN, plan.id, None)
    await plan_apply.apply(there.world, ADMIN, plan.id, Wanted())
    with pytest.raises(Conflict, match="still being applied"):
        await plan_apply.undo(there.world, ADMIN, plan.id, None)
    await there.world.live(hours=1, on=True)
    there.world.pause(days=7)
    with pytest.raises(Conflict, match="more than 7 days ago"):
        await plan_apply.undo(there.world, ADMIN, plan.id, None)
    with pytest.raises(NotFound):
        await plan_apply.undo(there.world, ADMIN, "plan_x", None)


async def test_taking_back_many_invites_needs_their_number() -> None:
    """It takes people out of rooms as well."""
    there = Club()
    for number in range(6):
        await there.member(f"m{number}", there.group)
    await there.bundle()
    plan = await there.plan()
    await there.apply(plan)
    with pytest.raises(Conflict) as caught:
        await there.undo(plan)
    assert '"removals": 12' in caught.value.fix
    await there.undo(plan, removals=12)
    assert len(there.world.homeserver.called("kick")) == 12


async def test_plans_do_not_stay() -> None:
    """A month later plan and lines are gone; who did what stays in the audit."""
    there = await club()
    plan = await there.plan()
    there.world.pause(days=30, seconds=1)
    with pytest.raises(NotFound):
        await plans.read(there.world, plan.id)
    assert await there.world.store.get(plans.part_path(plan.id, 0)) is None
    assert [record["target"] for record in await there.world.audits() if record["action"] == "plan.create"] == [plan.id]
