"""Removals: their words, the message before, and what a dry run sees coming."""

from __future__ import annotations

from typing import Any

import pytest

from shared.domain.errors import Conflict, Invalid, Limited, NotFound, Refused, Unreachable
from shared.services import jobs, reasons
from shared.services.jobs import JobView, Wanted
from shared.services.removals import Words
from tests.fakes.faulty_documents import Killed
from tests.world import ADMIN, World

MEMBER = "@ada:fake.test"


def furnished(rooms: int = 2) -> World:
    world = World()
    world.furnish(rooms)
    world.arrive("ada")
    for room in world.policy.default_rooms:
        world.homeserver.join(MEMBER, room)
    return world


async def removed(world: World, words: Words, *, dry_run: bool = False, **wanted: Any) -> JobView:
    asked = Wanted("remove", MEMBER, world.policy.default_rooms, words.reason, words=words, **wanted)
    started = await jobs.start(world, ADMIN, asked, dry_run=dry_run)
    if dry_run:
        return started
    await world.live()
    return await jobs.view(world, started.job.id)


async def test_a_reason_from_a_template() -> None:
    """The stored texts, filled in for this member; what the admin writes in place of one of them counts."""
    world = furnished()
    await reasons.put(world, ADMIN, "rules", "Rules", "{username} broke rule 3", "Dear {name} of {community}: goodbye.")
    view = await removed(world, Words(template="rules"))
    assert (view.state, view.job.reason) == ("done", "ada broke rule 3")
    assert {reason for _, _, reason in world.homeserver.called("kick")} == {"ada broke rule 3"}
    [direct] = world.direct_rooms_of(MEMBER)
    assert [event["content"]["body"] for event in direct.events] == ["Dear ada of fake.test: goodbye."]
    other = await removed(world, Words(template="rules", reason="on {date}"), dry_run=True)
    assert other.job.reason == f"on {world.now():%Y-%m-%d}"


async def test_their_name() -> None:
    """Where the member has an onboarding, they are called what it calls them."""
    world = furnished()
    await world.member()
    await world.enrolled("ada")
    await world.work()
    view = await removed(world, Words("goodbye, {name} ({username}, {matrix_id})"), dry_run=True)
    [onboarding] = await world.documents_in("onboardings")
    assert view.job.reason == f"goodbye, {onboarding['name']} (ada, {MEMBER})"


@pytest.mark.parametrize(
    ("words", "field"),
    [
        (Words(), "reason"),
        (Words("{usrname}"), "reason"),
        (Words("x", message="{you}"), "message"),
        (Words(template="none"), "template"),
        (Words("x", required=True), "message_required"),
    ],
)
async def test_words_that_will_not_do(words: Words, field: str) -> None:
    """No reason, a place that nothing is known for, a template that is not there: named, and nothing begins."""
    world = furnished()
    with pytest.raises(Invalid) as caught:
        await removed(world, words)
    assert [name for name, _ in caught.value.errors] == [field]
    assert await world.documents_in("jobs") == []


async def test_names_are_no_templates() -> None:
    """What is put into a text is not read as one: a display name cannot ask for another place."""
    world = furnished()
    member = "@{date}:fake.test"
    world.homeserver.join(member, world.policy.default_rooms[0])
    wanted = Wanted("remove", member, world.policy.default_rooms, "goodbye {username}")
    assert (await jobs.start(world, ADMIN, wanted, dry_run=True)).job.reason == "goodbye {date}"


async def test_the_message_comes_first() -> None:
    """Nobody is removed before the message has gone out, once."""
    world = furnished()
    started = await jobs.start(
        world, ADMIN, Wanted("remove", MEMBER, world.policy.default_rooms, "x", words=Words(message="goodbye"))
    )
    assert [(step.kind, step.state) for step in started.steps] == [
        ("removal_message", "scheduled"),
        ("removal", "pending"),
        ("removal", "pending"),
    ]
    await world.live()
    names = [name for name, _ in world.homeserver.calls if name in ("send", "kick")]
    assert names == ["send", "kick", "kick"]


async def test_who_cannot_be_reached() -> None:
    """A message that is refused keeps nobody in the rooms; that it was not said is shown."""
    world = furnished()
    world.homeserver.fail_next(Refused("no more rooms", code="M_FORBIDDEN"), times=9, method="create_direct_room")
    view = await removed(world, Words("x", message="goodbye"))
    message = next(step for step in view.steps if step.kind == "removal_message")
    assert (view.state, message.state, message.result) == ("done", "skipped", {"reason": "not said: no more rooms"})
    assert len(world.homeserver.called("kick")) == 2


async def test_only_if_told() -> None:
    """Where the admin wants them told first, nobody is removed who was not, and the job says so."""
    world = furnished()
    world.homeserver.fail_next(Refused("no more rooms", code="M_FORBIDDEN"), times=9, method="create_direct_room")
    view = await removed(world, Words("x", message="goodbye", required=True))
    states = {step.kind: step.state for step in view.steps}
    assert (view.state, view.job.state, states) == (
        "failed",
        "failed",
        {"removal_message": "failed", "removal": "skipped"},
    )
    assert world.homeserver.called("kick") == []


async def test_a_passing_fault_before() -> None:
    """While the homeserver limits or does not answer, the message is tried again, and the removals wait for it."""
    world = furnished()
    world.homeserver.fail_next(Limited("slow down", 60), method="create_direct_room")
    world.homeserver.fail_next(Unreachable("matrix", "no answer"), times=3, method="send")
    view = await removed(world, Words("x", message="goodbye", required=True))
    assert (view.state, len(world.homeserver.called("kick"))) == ("done", 2)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("number", range(1, 18))
async def test_a_death_at_any_write(number: int, after: bool) -> None:
    """However it dies: one message, then out of each room."""
    world = furnished()
    world.documents.fail_at(number, Killed(), after=after)
    wanted = Wanted("remove", MEMBER, world.policy.default_rooms, "x", "k", "b", Words(message="goodbye"))
    for _ in range(2):
        try:
            job = (await jobs.start(world, ADMIN, wanted)).job.id
        except Killed:
            world.pause(seconds=5)
    await world.live()
    assert (await jobs.view(world, job)).state == "done"
    [direct] = world.direct_rooms_of(MEMBER)
    assert len(direct.events) == 1
    assert {world.homeserver.homes[room].members[MEMBER] for room in world.policy.default_rooms} == {"leave"}


async def test_a_dry_run_sees_what_the_bot_may_not() -> None:
    """For each room: what would be done, what need not be, and which level is missing, in the words of a real failure."""
    world = furnished(0)
    inside = world.homeserver.add_room("Ops", members={MEMBER: "join"})
    outside = world.homeserver.add_room("Art")
    council = world.homeserver.add_room("Council", version="10", powers={MEMBER: 100}, members={MEMBER: "join"})
    weak = world.homeserver.add_room(
        "Weak", by="@boss:fake.test", members={MEMBER: "join", "@muster:fake.test": "join"}
    )
    nowhere = "!nowhere:fake.test"
    asked = Wanted("remove", MEMBER, (inside, outside, council, weak, nowhere), "x")
    view = await jobs.start(world, ADMIN, asked, dry_run=True)
    by_room = {step.room: step for step in view.steps}
    assert by_room[inside].state == "scheduled"
    assert (by_room[outside].state, by_room[outside].result["reason"]) == (
        "skipped",
        "they are not in the room (never were)",
    )
    assert by_room[council].cause == f"{MEMBER} has power 100 in Council, the bot 100: it cannot remove them"
    assert by_room[weak].cause == "the bot has power 0 in Weak, removing needs 50"
    assert "the bot is not in the room" in by_room[nowhere].cause
    assert all(step.fix for step in view.steps if step.state == "failed")
    assert (await world.documents_in("jobs"), world.homeserver.called("kick")) == ([], [])


async def test_without_a_live_look_nothing_begins() -> None:
    """Everywhere means what the homeserver says now: where it does not answer, nobody is removed from anywhere."""
    world = furnished()
    world.homeserver.fail_next(Unreachable("matrix", "no answer"), times=9, method="rooms_of")
    with pytest.raises(Unreachable):
        await jobs.start(world, ADMIN, Wanted("remove", MEMBER, reason="x"))
    assert await world.documents_in("jobs") == []


async def test_nobody_to_take_out() -> None:
    """Who is in none of the bot's rooms: the job says so instead of nothing."""
    world = furnished(0)
    world.homeserver.leave(MEMBER, world.policy.indoc)
    view = await jobs.start(world, ADMIN, Wanted("remove", MEMBER, reason="x"))
    assert (view.state, view.steps) == ("done", [])
    assert "none of the bot's rooms" in view.job.notes[0]


async def test_the_hours_of_indoc() -> None:
    """Only the texts of INDOC's clock know them: elsewhere they would be an empty place."""
    world = furnished()
    await reasons.put(world, ADMIN, "indoc", "INDOC", "gone", "in {hours} hours")
    for asked in ({"words": Words("in {hours}")}, {"words": Words("x", message="{hours}")}):
        with pytest.raises(Invalid):
            await removed(world, **asked)
    with pytest.raises(Invalid):
        await reasons.put(world, ADMIN, "r", "Rules", "in {hours}", "")


async def test_the_bot_itself() -> None:
    """The bot is never asked to remove itself."""
    world = furnished()
    with pytest.raises(Invalid, match="the bot itself"):
        await jobs.start(world, ADMIN, Wanted("remove", world.homeserver.user_id, reason="x"))


async def test_templates_are_kept() -> None:
    """Put, put again, deleted: each audited; a dry run does nothing; a place that nothing is known for is refused."""
    world = furnished()
    await reasons.put(world, ADMIN, "r", "Rules", "one", "", dry_run=True)
    assert await world.documents_in("removal_reasons") == []
    made = await reasons.put(world, ADMIN, "r", "Rules", "one", "")
    world.pause(hours=1)
    again = await reasons.put(world, ADMIN, "r", "Rules", "two {name}", "")
    assert (again.created_at, again.reason) == (made.created_at, "two {name}")
    with pytest.raises(Invalid):
        await reasons.put(world, ADMIN, "r", "Rules", "{nme}", "")
    world.pause(hours=1)
    await reasons.delete(world, ADMIN, "r", dry_run=True)
    await reasons.delete(world, ADMIN, "r")
    with pytest.raises(NotFound):
        await reasons.delete(world, ADMIN, "r")
    assert [record["action"] for record in await world.audits()] == ["removal_reason.put"] * 2 + [
        "removal_reason.delete"
    ]


async def test_the_same_key_with_other_words() -> None:
    """A key belongs to one body."""
    world = furnished()
    await removed(world, Words("x"), key="k", body="one")
    with pytest.raises(Conflict):
        await removed(world, Words("y"), key="k", body="two")
