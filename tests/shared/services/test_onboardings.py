"""What an admin does with an onboarding: look, retry, skip, name the Matrix id, start one."""

from __future__ import annotations

import pytest

from shared.domain.errors import Conflict, Invalid, NotFound, Refused
from shared.services import onboardings
from shared.services.onboardings import Wanted
from tests.world import ADMIN, World, at_home

MEMBER = "@ada:fake.test"


async def begun(rooms: int = 1, *, there: bool = True) -> tuple[World, str]:
    world = World()
    world.furnish(rooms)
    await world.member(there=there)
    return world, (await world.enrolled("ada")).onboarding


async def nameless() -> tuple[World, str]:
    """Nobody knows their Matrix id."""
    world = World()
    world.furnish(2)
    world.authentik.add_account("Ada L")
    return world, (await world.enrolled("Ada L")).onboarding


async def test_list_by_state() -> None:
    """The list is of a state, newest first, with a cursor and the total."""
    world = World()
    world.furnish(0)
    for number in range(5):
        await world.member(f"m{number}")
        await world.enrolled(f"m{number}", f"e{number}")
    page = await onboardings.listing(world, "running", 2, None)
    assert [item.username for item in page.items] == ["m4", "m3"]
    assert page.total == 5
    rest = await onboardings.listing(world, "running", 5, page.next_cursor)
    assert [item.username for item in rest.items] == ["m2", "m1", "m0"]
    assert (await onboardings.listing(world, "done", 5, None)).total == 0
    assert (await onboardings.listing(world, "", 1, None)).total == 5


async def test_unknown() -> None:
    """An onboarding or a step that nobody knows is not found."""
    world, onboarding = await begun()
    with pytest.raises(NotFound):
        await onboardings.view(world, "ob_none")
    with pytest.raises(NotFound):
        await onboardings.retry(world, ADMIN, onboarding, ["none"])
    with pytest.raises(NotFound):
        await onboardings.skip(world, ADMIN, onboarding, "none", "x")


async def test_skip() -> None:
    """A skipped step is over, with who and why, and is audited; what is done cannot be skipped."""
    world, onboarding = await begun()
    name = f"room:{world.policy.default_rooms[0]}"
    await onboardings.skip(world, ADMIN, onboarding, name, "not theirs")
    await world.live()
    step = (await world.steps(onboarding))[name]
    assert (step.state, step.result) == ("skipped", {"reason": "not theirs", "by": ADMIN.name})
    assert (await world.view(onboarding)).onboarding.state == "done"
    with pytest.raises(Conflict):
        await onboardings.skip(world, ADMIN, onboarding, "hello", "x")
    [record] = [record for record in await world.audits() if record["action"] == "onboarding.skip"]
    assert (record["actor"], record["detail"]["steps"]) == (ADMIN.name, [name])


async def test_skipped_though_its_task_comes() -> None:
    """The task of a skipped step does nothing."""
    world, onboarding = await begun()
    name = f"room:{world.policy.default_rooms[0]}"
    task = world.due(name)
    await onboardings.skip(world, ADMIN, onboarding, name, "not theirs")
    assert await world.once(task) == "skipped"
    assert world.homeserver.called("invite") == []


async def test_the_hello_skipped_frees_the_welcome() -> None:
    """A follower whose leader was skipped starts."""
    world, onboarding = await begun(0)
    await onboardings.skip(world, ADMIN, onboarding, "hello", "said by hand")
    await world.live()
    states = await world.states(onboarding)
    assert (states["hello"], states["welcome"]) == ("skipped", "done")


@pytest.mark.parametrize("act", ["retry", "skip", "onboard", "approve"])
async def test_dry_run(act: str) -> None:
    """A dry run answers with the same shape and changes nothing at all."""
    world, onboarding = await begun()
    world.homeserver.fail_next(Refused("no", code="M_ODD"), method="invite")
    await world.live()
    rows = world.rows()
    account = await world.authentik.account_named("ada")
    assert account is not None
    if act == "retry":
        view = await onboardings.retry(world, ADMIN, onboarding, [], dry_run=True)
        assert view.state == "running"
    elif act == "skip":
        name = f"room:{world.policy.default_rooms[0]}"
        assert (await onboardings.skip(world, ADMIN, onboarding, name, "x", dry_run=True)).state == "done"
    elif act == "onboard":
        view = await onboardings.onboard(world, ADMIN, account, Wanted(rooms=("#b:fake.test",)), dry_run=True)
        assert "room:#b:fake.test" in {step.name for step in view.steps}
    else:
        with pytest.raises(Conflict):
            await onboardings.approve(world, ADMIN, onboarding, dry_run=True)
    assert world.rows() == rows
    assert world.queue.tasks == {}


# ------------------------------------------------------------------ an existing account


async def test_onboard_an_existing_account() -> None:
    """An account that was never onboarded is, from the API, with the rooms that were asked for."""
    world = World()
    world.furnish(1)
    extra = world.homeserver.add_room("Extra")
    world.arrive("ada")
    account = world.authentik.add_account("ada")
    view = await onboardings.onboard(world, ADMIN, account, Wanted(rooms=(extra,)))
    assert view.onboarding.source == "api"
    await world.live()
    await at_home(world, view.onboarding.id, MEMBER)
    assert world.homeserver.homes[extra].members[MEMBER] == "invite"


async def test_without_a_welcome() -> None:
    """`send_welcome` false: no direct room, no message."""
    world = World()
    world.furnish(1)
    world.arrive("ada")
    view = await onboardings.onboard(world, ADMIN, world.authentik.add_account("ada"), Wanted(send_welcome=False))
    await world.live()
    assert world.direct_rooms_of(MEMBER) == []
    assert (await world.view(view.onboarding.id)).state == "done"


async def test_a_malformed_matrix_id() -> None:
    """A Matrix id of another shape is refused, and nothing begins."""
    world = World()
    with pytest.raises(Invalid):
        await onboardings.onboard(world, ADMIN, world.authentik.add_account("ada"), Wanted(matrix_id="ada"))
    assert await world.documents_in("onboardings") == []


async def test_more_rooms_later() -> None:
    """Rooms named later are added; what is done stays done."""
    world, onboarding = await begun()
    await world.live()
    extra = world.homeserver.add_room("Extra")
    account = await world.authentik.account_named("ada")
    assert account is not None
    await onboardings.onboard(world, ADMIN, account, Wanted(rooms=(extra, *world.policy.default_rooms)))
    assert (await world.view(onboarding)).onboarding.state == "running"
    await world.live()
    await at_home(world, onboarding, MEMBER)
    assert len(world.homeserver.called("invite")) == 2


async def test_nothing_to_resume() -> None:
    """Onboarding again what is done changes nothing."""
    world, onboarding = await begun()
    await world.live()
    account = await world.authentik.account_named("ada")
    assert account is not None
    rows = world.rows()
    await onboardings.onboard(world, ADMIN, account, Wanted())
    assert world.rows() == rows
    assert (await world.view(onboarding)).state == "done"


# ------------------------------------------------------------------ the Matrix id


async def test_named_later_everything_goes_on() -> None:
    """Whatever waited for somebody to say who they are goes on, in order: hello first."""
    world, onboarding = await nameless()
    await world.live()
    assert (await world.view(onboarding)).state == "waiting"
    world.arrive("ada")
    account = await world.authentik.account_named("Ada L")
    assert account is not None
    await onboardings.onboard(world, ADMIN, account, Wanted(matrix_id=MEMBER))
    await world.live()
    await at_home(world, onboarding, MEMBER)


@pytest.mark.parametrize("act", ["rooms", "retry", "retry all", "sweep"])
async def test_nobody_is_nobody(act: str) -> None:
    """As long as nobody has said who they are, nothing whatsoever is asked of Matrix in their name."""
    world, onboarding = await nameless()
    account = await world.authentik.account_named("Ada L")
    assert account is not None
    if act == "rooms":
        await onboardings.onboard(world, ADMIN, account, Wanted(rooms=(world.homeserver.add_room("Extra"),)))
    elif act == "retry":
        await onboardings.retry(world, ADMIN, onboarding, ["hello", "indoc_farewell", "indoc_removal", "welcome"])
    elif act == "retry all":
        await onboardings.retry(world, ADMIN, onboarding, [])
    world.pause(days=1)
    await world.live()
    view = await world.view(onboarding)
    assert {(step.state, step.waits_for) for step in view.steps} == {("waiting", "person")}
    assert world.homeserver.calls == []


async def test_another_id_is_done_anew() -> None:
    """What was done for a first Matrix id is done for the second one: rooms, removal, hello and welcome."""
    world, onboarding = await begun(2, there=False)
    await world.live()
    other = world.homeserver.add_user("@countess:fake.test")
    world.homeserver.join(other, world.policy.indoc)
    account = await world.authentik.account_named("ada")
    assert account is not None
    await onboardings.onboard(world, ADMIN, account, Wanted(matrix_id=other))
    await world.live()
    await at_home(world, onboarding, other)
    assert (await world.view(onboarding)).onboarding.seen is True


async def test_another_id_while_a_step_runs() -> None:
    """A step that is just being done for the first id is done for the second one as well."""
    world, onboarding = await begun(1)
    other = world.homeserver.add_user("@countess:fake.test")
    world.homeserver.join(other, world.policy.indoc)
    account = await world.authentik.account_named("ada")
    assert account is not None
    invite = world.homeserver.invite

    async def slow(room_id: str, user_id: str) -> None:
        world.homeserver.invite = invite  # type: ignore[method-assign]
        await onboardings.onboard(world, ADMIN, account, Wanted(matrix_id=other))
        await invite(room_id, user_id)

    world.homeserver.invite = slow  # type: ignore[method-assign]
    await world.live()
    await at_home(world, onboarding, other)


async def test_another_id_between_hello_and_welcome() -> None:
    """The second id gets its own hello first, and no welcome that was meant for the first."""
    world, onboarding = await begun(0)
    await world.once(world.due("hello"))
    other = world.homeserver.add_user("@countess:fake.test")
    world.homeserver.join(other, world.policy.indoc)
    account = await world.authentik.account_named("ada")
    assert account is not None
    await onboardings.onboard(world, ADMIN, account, Wanted(matrix_id=other))
    await world.live()
    await at_home(world, onboarding, other)
    [first] = world.direct_rooms_of(MEMBER)
    assert len(first.events) == 1


async def test_another_id_has_a_pace_of_its_own() -> None:
    """The row in which the first id's rooms stood says nothing about the second one."""
    world, onboarding = await begun(7)
    world.homeserver.limit_invites(burst=5, every=333)
    await world.work()
    other = world.homeserver.add_user("@countess:fake.test")
    account = await world.authentik.account_named("ada")
    assert account is not None
    await onboardings.onboard(world, ADMIN, account, Wanted(matrix_id=other))
    await world.work()
    rooms = [step for step in (await world.steps(onboarding)).values() if step.kind == "room"]
    assert [step.state for step in rooms].count("done") >= 4
    assert (await world.view(onboarding)).onboarding.pace_interval < 340.1


async def test_another_id_keeps_what_an_admin_skipped() -> None:
    """What an admin has skipped stays skipped under another id."""
    world, onboarding = await begun(0)
    await onboardings.skip(world, ADMIN, onboarding, "indoc_removal", "stays")
    await world.live()
    other = world.homeserver.add_user("@countess:fake.test")
    world.homeserver.join(other, world.policy.indoc)
    account = await world.authentik.account_named("ada")
    assert account is not None
    await onboardings.onboard(world, ADMIN, account, Wanted(matrix_id=other))
    await world.live()
    assert (await world.states(onboarding))["indoc_removal"] == "skipped"
    assert world.indoc.members[other] == "join"


async def test_named_while_held() -> None:
    """An id named while the onboarding is held is the one that an approval goes on with."""
    world = World()
    world.furnish(1)
    invite = await world.invite(email="other@example.test")
    account = world.authentik.enroll(invite.code, "ada")
    onboarding = (await world.enrolled("ada")).onboarding
    other = world.arrive("countess")
    await onboardings.onboard(world, ADMIN, account, Wanted(matrix_id=other))
    await world.live()
    assert world.homeserver.calls == []
    await onboardings.approve(world, ADMIN, onboarding)
    await world.live()
    await at_home(world, onboarding, other)
