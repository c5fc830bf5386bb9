"""The clock of INDOC: a nudge after 20 h, out after 24 h, and never for who is not meant."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from shared.domain.errors import Misconfigured, Refused, Unreachable
from shared.ports import Put
from shared.services import indoc, indoc_clock, indoc_pauses, reasons
from shared.services.indoc import Row
from tests.fakes.faulty_documents import Killed
from tests.world import ADMIN, World

ADA = "@ada:fake.test"


def running(**policy: Any) -> World:
    world = World()
    world.furnish(1, encrypted=False)
    world.policy = replace(world.policy, clock=True, **policy)
    return world


async def passing(world: World, hours: float) -> None:
    """Time, with a sweep each ten minutes."""
    for _ in range(round(hours * 6)):
        world.pause(minutes=10)
        await world.sweep()
        await world.work()


def nudges(world: World) -> list[str]:
    return [event["content"]["m.mentions"]["user_ids"][0] for event in world.indoc.events]


async def row_of(world: World, member: str = ADA) -> Row:
    found = await indoc.listing(world, 0, 200)
    return next(row for row in found.items if row.person.matrix_id == member)


async def test_nudged_then_removed() -> None:
    """After 20 hours a message that mentions them, after 24 they are out, with a reason; each once."""
    world = running()
    world.arrive("ada")
    await passing(world, 19.9)
    assert (nudges(world), world.homeserver.called("kick")) == ([], [])
    await passing(world, 0.2)
    assert nudges(world) == [ADA]
    assert "In 4 hours" in world.indoc.events[0]["content"]["body"]
    await passing(world, 3.7)
    assert world.homeserver.called("kick") == []
    await passing(world, 0.5)
    assert world.homeserver.called("kick") == [(world.policy.indoc, ADA, indoc_clock.REASON)]
    await passing(world, 30)
    assert (len(nudges(world)), len(world.homeserver.called("kick"))) == (1, 1)
    actions = [record["action"] for record in await world.audits()]
    assert actions == ["step.indoc_nudge", "step.indoc_expiry"]


async def test_off_unless_switched_on() -> None:
    """Switched off, nobody is even looked at."""
    world = running()
    world.policy = replace(world.policy, clock=False)
    world.arrive("ada")
    await passing(world, 48)
    assert (nudges(world), world.homeserver.called("residents")) == ([], [])


async def test_who_comes_back() -> None:
    """Removed and back again: the clock begins anew, with a nudge of its own."""
    world = running()
    world.arrive("ada")
    await passing(world, 24.5)
    world.homeserver.join(ADA, world.policy.indoc)
    await passing(world, 19.5)
    assert len(nudges(world)) == 1
    await passing(world, 5.5)
    assert (len(nudges(world)), len(world.homeserver.called("kick"))) == (2, 2)


async def test_a_new_name_is_no_new_stay() -> None:
    """Whoever changes their display name, which writes their membership anew, has been there as long as before."""
    world = running()
    world.arrive("ada")
    await passing(world, 10)
    world.homeserver.rename(ADA, world.policy.indoc)
    await passing(world, 10.2)
    assert nudges(world) == [ADA]
    world.homeserver.rename(ADA, world.policy.indoc)
    await passing(world, 4.2)
    assert world.indoc.members[ADA] == "leave"


async def test_after_a_long_outage_of_ours() -> None:
    """Nobody is removed without a nudge four hours before, however late both are."""
    world = running()
    world.arrive("ada")
    world.pause(days=10)
    await passing(world, 0.2)
    assert (nudges(world), world.homeserver.called("kick")) == ([ADA], [])
    world.pause(hours=3)
    await passing(world, 0.4)
    assert world.homeserver.called("kick") == []
    await passing(world, 1)
    assert world.indoc.members[ADA] == "leave"


async def test_a_nudge_that_could_not_be_said() -> None:
    """While INDOC takes no message from the bot nobody is removed; it is shown, and tried again hours later."""
    world = running()
    world.arrive("ada")
    world.homeserver.fail_next(Refused("no power to speak", "Give it.", "M_FORBIDDEN"), method="send")
    await passing(world, 25)
    row = await row_of(world)
    assert (row.fate.state, row.fate.why, row.fate.remove_at, world.indoc.members[ADA]) == (
        "waiting",
        "no power to speak",
        None,
        "join",
    )
    await passing(world, 2)
    assert nudges(world) == [ADA]
    assert world.indoc.members[ADA] == "join"
    await passing(world, 4.5)
    assert world.indoc.members[ADA] == "leave"


@pytest.mark.parametrize("state", ["running", "waiting", "held", "failed"])
async def test_never_while_an_onboarding_is_under_way(state: str) -> None:
    """Whoever is being brought in is left alone, whatever their onboarding waits for; a failed one is ours to mend."""
    world = running(auto_remove=False)
    await world.member()
    verdict = await world.enrolled("ada")
    await world.work()
    stored = await world.store.get(f"onboardings/{verdict.onboarding}")
    assert stored is not None
    await world.store.write(Put(stored.path, stored.data | {"state": state}))
    row = await row_of(world)
    assert (row.fate.state, row.fate.why) == ("exempt", f"their onboarding is under way ({state})")
    world.pause(hours=30)
    await indoc_clock.clock(world)
    await world.work()
    assert ADA not in nudges(world)


async def test_who_is_left_alone() -> None:
    """The bot, whoever has as much power, bridges' puppets and protected people; everybody else is not."""
    world = running(puppets=("@signal_",), protected=("@dean:fake.test",))
    for name in ("signal_1", "dean", "ada"):
        world.arrive(name)
    boss = world.arrive("boss")
    world.indoc.creators |= {boss}
    await passing(world, 30)
    assert nudges(world) == [ADA]
    assert world.indoc.joined() == ["@muster:fake.test", "@signal_1:fake.test", "@dean:fake.test", boss]
    why = {row.person.matrix_id: row.fate.why for row in (await indoc.listing(world, 0, 50)).items}
    assert why["@muster:fake.test"] == "is the bot"
    assert why["@dean:fake.test"] == "is named in PROTECTED_MEMBERS"


async def test_paused() -> None:
    """While it is paused nothing happens; afterwards there are four hours at least, also for who was nudged before."""
    world = running()
    member = world.arrive("ada")
    await passing(world, 21)
    await indoc_pauses.pause(world, ADMIN, member, None, dry_run=False)  # type: ignore[arg-type]
    await passing(world, 30)
    row = await row_of(world)
    assert (row.fate.state, row.fate.remove_at, world.indoc.members[ADA]) == ("paused", None, "join")
    await indoc_pauses.unpause(world, ADMIN, member, dry_run=False)  # type: ignore[arg-type]
    assert (await row_of(world)).fate.remove_at == world.now() + timedelta(hours=4)
    await passing(world, 3.8)
    assert world.indoc.members[ADA] == "join"
    await passing(world, 0.5)
    assert (world.indoc.members[ADA], nudges(world)) == ("leave", [ADA])
    assert [r["action"] for r in await world.audits() if r["action"].startswith("indoc")] == [
        "indoc.pause",
        "indoc.resume",
    ]


async def test_paused_for_hours() -> None:
    """A pause with an end ends by itself; a dry run pauses nobody."""
    world = running()
    member: Any = world.arrive("ada")
    until = world.now() + timedelta(hours=40)
    await indoc_pauses.pause(world, ADMIN, member, until, dry_run=True)
    assert await world.documents_in("indoc_pauses") == []
    await indoc_pauses.pause(world, ADMIN, member, until, dry_run=False)
    await passing(world, 39.8)
    assert nudges(world) == []
    row = await row_of(world)
    assert (row.fate.nudge_at, row.fate.remove_at) == (until, until + timedelta(hours=4))
    await passing(world, 0.5)
    assert nudges(world) == [ADA]


async def test_who_leaves_meanwhile() -> None:
    """Whoever is gone between look and act is neither called nor removed."""
    world = running()
    world.arrive("ada")
    world.pause(hours=21)
    await indoc_clock.clock(world)
    world.homeserver.leave(ADA, world.policy.indoc)
    await world.work()
    assert nudges(world) == []
    [stay] = await world.documents_in("indoc")
    assert stay["state"] == "done"


async def test_an_onboarding_that_begins_meanwhile() -> None:
    """Between nudge and removal somebody takes them in: they are not removed by the clock."""
    world = running(auto_remove=False)
    world.arrive("ada")
    await passing(world, 23.9)
    await world.member(there=False)
    world.pause(minutes=10)
    await indoc_clock.clock(world)
    await world.enrolled("ada")
    await world.work()
    assert (nudges(world), world.indoc.members[ADA]) == ([ADA], "join")


async def test_switched_off_meanwhile() -> None:
    """A removal that is due is not done once the clock is off; switched on again it comes."""
    world = running()
    world.arrive("ada")
    await passing(world, 23.9)
    world.pause(minutes=10)
    await indoc_clock.clock(world)
    world.policy = replace(world.policy, clock=False)
    await world.work()
    assert world.indoc.members[ADA] == "join"
    world.policy = replace(world.policy, clock=True)
    await passing(world, 0.5)
    assert world.indoc.members[ADA] == "leave"


async def test_the_words_of_an_admin() -> None:
    """Nudge and reason come from the stored reason `indoc`, filled in."""
    world = running()
    await reasons.put(
        world, ADMIN, "indoc", "INDOC", "see you, {username}", "{name}, {hours} hours left in {community}"
    )
    world.arrive("ada")
    await passing(world, 25)
    assert world.indoc.events[0]["content"]["body"] == "ada: ada, 4 hours left in fake.test"
    assert world.homeserver.called("kick") == [(world.policy.indoc, ADA, "see you, ada")]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("number", range(1, 16))
async def test_a_death_at_any_write(number: int, after: bool) -> None:
    """Wherever it dies: nudged once, removed once, four hours between them."""
    world = running()
    world.arrive("ada")
    world.pause(hours=20)
    world.documents.fail_at(number, Killed(), after=after)
    for _ in range(8 * 6):
        world.pause(minutes=10)
        await world.sweep()
        await world.work()
    assert (nudges(world), len(world.homeserver.called("kick"))) == ([ADA], 1)
    assert world.indoc.members[ADA] == "leave"


@pytest.mark.parametrize("method", ["send", "kick"])
async def test_an_answer_that_gets_lost(method: str) -> None:
    """Done, and the answer never came: not said again, and no failure."""
    world = running()
    world.arrive("ada")
    world.homeserver.fail_next(Unreachable("matrix", "no answer"), after_effect=True, method=method)
    await passing(world, 26)
    assert (nudges(world), world.indoc.members[ADA]) == ([ADA], "leave")
    assert {step["state"] for step in await world.documents_in("steps", group=True)} <= {"done", "skipped"}


async def test_two_looks_at_once() -> None:
    """Two sweeps at the same moment begin each nudge once."""
    world = running()
    world.arrive("ada")
    world.pause(hours=21)
    await asyncio.gather(*(indoc_clock.clock(world) for _ in range(3)))
    await world.work()
    assert nudges(world) == [ADA]


async def test_few_calls_for_many() -> None:
    """However many are in INDOC, a look is a handful of calls, and at most twenty are nudged in it."""
    world = running()
    for number in range(300):
        world.arrive(f"user{number}")
    world.pause(hours=10)
    world.homeserver.calls.clear()
    await indoc_clock.clock(world)
    assert len(world.homeserver.calls) <= 3
    world.pause(hours=11)
    await indoc_clock.clock(world)
    await world.work()
    assert len(nudges(world)) == indoc_clock.NUDGES
    world.homeserver.calls.clear()
    await indoc_clock.clock(world)
    assert world.homeserver.calls == []  # looked a moment ago


async def test_settings_that_contradict_each_other() -> None:
    """Removed before they are nudged: the sweep says so, and does nothing."""
    world = running(nudge_hours=24.0, remove_hours=20.0)
    world.arrive("ada")
    world.pause(hours=30)
    with pytest.raises(Misconfigured):
        await indoc_clock.clock(world)
    report = await world.sweep()
    assert report is not None
    assert "INDOC_REMOVE_HOURS" in report.failed["indoc_clock"]


async def test_the_list() -> None:
    """Who is there, the longest first, and when what will be."""
    world = running()
    world.arrive("ada")
    came = world.now()
    await passing(world, 2)
    world.arrive("bob")
    found = await indoc.listing(world, 0, 2)
    assert (found.total, [row.person.matrix_id for row in found.items]) == (3, [ADA, "@muster:fake.test"])
    row = await row_of(world)
    assert (row.person.since, row.fate.state) == (came, "waiting")
    assert (row.fate.nudge_at, row.fate.remove_at) == (came + timedelta(hours=20), came + timedelta(hours=24))
    assert [row.person.matrix_id for row in (await indoc.listing(world, 2, 2)).items] == ["@bob:fake.test"]
    assert isinstance(row.fate.nudge_at, datetime)
