"""What an assistant suggests: counted, bounded, kept, and never more than a suggestion."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from shared.domain.errors import Conflict, Invalid, Limited, MusterError, Refused, TooMany, Unreachable
from shared.domain.suggestions import EMPTY, MOST_TOKENS, PROMPT, Month, estimate
from shared.services import sync
from shared.services.assistant import answer, question, rooms_for, standing
from shared.services.assistant_budget import LONGEST_WAIT, reserve, settle
from shared.services.context import Terms
from tests.world import ADMIN, World

if TYPE_CHECKING:  # pytest loads that module as a plugin, and wants to be the first
    from tests.contracts.documents_fixtures import Store

pytest_plugins = ("tests.contracts.documents_fixtures",)

TEXT = "Hello, I am Ada. I sing in a choir. No politics please! ada@example.org"
TERMS = Terms("models.example.test", "a-model", 10_000, 20)


@pytest.fixture
async def world() -> World:
    made = World(_now=datetime(2030, 1, 15, 12, tzinfo=UTC))
    made.homeserver.add_room("Choir", topic="We sing")
    made.homeserver.add_room("Politics", topic="and nothing else")
    made.homeserver.add_room("Books")
    made.policy = replace(made.policy, assistant=TERMS)
    await sync.run(made, "matrix")
    return made


class Told:
    """What came, by name; time passes where it waits."""

    def __init__(self, world: World) -> None:
        self.world, self.all = world, list[tuple[str, dict[str, Any]]]()

    async def tell(self, name: str, data: dict[str, Any]) -> None:
        self.all.append((name, data))

    async def pause(self, seconds: float) -> None:
        self.world.pause(seconds=seconds)

    def __getitem__(self, name: str) -> dict[str, Any]:
        return [data for each, data in self.all if each == name][-1]


async def suggested(world: World, text: str = TEXT) -> Told:
    told = Told(world)
    await answer(world, ADMIN, await question(world, text), told.tell, told.pause)
    return told


async def failing(world: World) -> tuple[Told, MusterError]:
    told, asked = Told(world), await question(world, TEXT)
    with pytest.raises(MusterError) as caught:
        await answer(world, ADMIN, asked, told.tell, told.pause)
    return told, caught.value


async def tokens(world: World) -> int:
    return (await standing(world)).tokens


# ------------------------------------------------------------------ a suggestion


async def test_a_line_and_rooms(world: World) -> None:
    """The line as it grows, rooms that there are with their reasons, the tokens; one audit record, without the text."""
    told = await suggested(world)
    lines = [data for name, data in told.all if name == "line"]
    assert lines[-1] == {"line": "Good to have you: the choir meets on Mondays.", "done": True, "why": ""}
    assert len(lines) > 3
    assert all(lines[-1]["line"].startswith(each["line"]) for each in lines)
    assert {room["name"]: bool(room["because"]) for room in told["rooms"]["items"]} == {"Choir": True, "Books": True}
    assert told["usage"] == {"tokens": 150, "estimated": False, "kept": False, "month": 150, "cap": 10_000}
    [record] = [each for each in await world.audits() if each["action"] == "assistant.suggest"]
    assert (record["actor"], record["outcome"], record["detail"]["tokens"]) == (ADMIN.name, "done", 150)
    assert "sing" not in world.rows().replace("We sing", "")


async def test_only_the_introduction_goes_out(world: World) -> None:
    """The assistant is told the introduction, without the address in it, and nothing of the community."""
    await suggested(world)
    assert world.model.asked == [
        (PROMPT, "Hello, I am Ada. I sing in a choir. No politics please! [address]", MOST_TOKENS)
    ]


async def test_the_same_question_is_asked_once(world: World) -> None:
    """For 30 days it is answered from what was kept, at no cost; after that, or of another model, it is asked anew."""
    first = await suggested(world)
    again = await suggested(world, TEXT.replace(" ", "\n "))
    assert (again["line"], again["rooms"]) == (first["line"], first["rooms"])
    assert (again["usage"]["kept"], again["usage"]["tokens"], len(world.model.asked)) == (True, 0, 1)
    world.policy = replace(world.policy, assistant=replace(TERMS, model="another"))
    await suggested(world)
    assert len(world.model.asked) == 2
    world.policy = replace(world.policy, assistant=TERMS)
    world.pause(days=31)
    assert not (await suggested(world))["usage"]["kept"]


async def test_what_is_refused_stays_refused(world: World) -> None:
    """An assistant that takes a refusal for an interest recommends no room by it; without interests the introduction counts."""
    found = await rooms_for(world, TEXT, ("politics", "choir"))
    assert [room.name for room in found] == ["Choir"]
    assert [room.name for room in await rooms_for(world, TEXT, ())] == ["Choir"]
    assert [room.name for room in await rooms_for(world, TEXT, ("Politics",))] == ["Choir"]


async def test_an_answer_of_no_use(world: World) -> None:
    """What is not understood is paid for and not kept; rooms are found by the introduction, and the line says why not."""
    world.model.says = "I am afraid I cannot do that."
    told = await suggested(world)
    assert told["line"] == {"line": "", "done": True, "why": EMPTY}
    assert [room["name"] for room in told["rooms"]["items"]] == ["Choir"]
    assert (told["usage"]["tokens"], await world.documents_in("suggestions")) == (150, [])


async def test_nobody_counts(world: World) -> None:
    """Where nobody says what was used, the estimate is what counts, and is called one."""
    world.model.counts = False
    told = await suggested(world)
    sent = world.model.asked[0][1]
    assert (told["usage"]["tokens"], told["usage"]["estimated"]) == (estimate(sent), True)
    assert await tokens(world) == estimate(sent)


# ------------------------------------------------------------------ off, failed


async def test_there_is_none(world: World) -> None:
    """While it is off nobody is asked, and the answer says how to have one."""
    world.policy = replace(world.policy, assistant=None)
    with pytest.raises(Conflict) as caught:
        await question(world, TEXT)
    assert "ASSISTANT_URL" in caught.value.fix
    assert (await standing(world)).terms is None


async def test_nothing_to_ask() -> None:
    """An introduction without a word is no question."""
    world = World()
    world.policy = replace(world.policy, assistant=TERMS)
    with pytest.raises(Invalid):
        await question(world, "  \n ")


@pytest.mark.parametrize(
    ("error", "after", "counted"),
    [
        (Unreachable("assistant", "down"), 0, False),
        (Unreachable("assistant", "broke off"), 3, True),
        (Refused("no"), 0, False),
    ],
)
async def test_it_fails(world: World, error: MusterError, after: int, counted: bool) -> None:
    """The failure is told; of an answer of which nothing came nothing counts, else the estimate; the audit has it."""
    world.model.fails, world.model.after = [error], after
    told, seen = await failing(world)
    assert seen is error
    assert "usage" not in dict(told.all)
    assert (await tokens(world) > 0) is counted
    [record] = [each for each in await world.audits() if each["action"] == "assistant.suggest"]
    assert (record["outcome"], record["detail"]["cause"]) == ("failed", error.cause)
    assert await world.documents_in("suggestions") == []
    assert (await suggested(world))["line"]["line"]


async def test_nobody_waits_any_more(world: World) -> None:
    """A question that is given up in the middle is settled and audited all the same."""
    world.model.held, told = asyncio.Event(), Told(world)
    asking = asyncio.ensure_future(answer(world, ADMIN, await question(world, TEXT), told.tell, told.pause))
    while not world.model.asked:  # noqa: ASYNC110 - a few turns of the loop
        await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    [record] = [each for each in await world.audits() if each["action"] == "assistant.suggest"]
    assert record["detail"]["cause"] == "it was cancelled"
    assert await tokens(world) == estimate(world.model.asked[0][1])


# ------------------------------------------------------------------ the minute


async def test_turns(world: World) -> None:
    """So many a minute go out, each at its turn; who would wait too long is told that others have asked."""
    waits = [(await reserve(world, TERMS, 1)).wait for _ in range(7)]
    assert waits == [0, 3, 6, 9, 12, 15, 18]
    with pytest.raises(TooMany) as caught:
        await reserve(world, TERMS, 1)
    assert 0 < caught.value.after <= LONGEST_WAIT
    world.pause(seconds=10)
    told = await suggested(world)
    assert told["waiting"]["seconds"] == 11
    assert told["line"]["line"]


async def test_it_asks_to_slow_down(world: World) -> None:
    """A short wait is waited once, and everybody's turn moves; a long one is told, and costs nothing."""
    world.model.fails = [Limited("slowly", 4)]
    told = await suggested(world)
    assert (told["waiting"]["seconds"], told["usage"]["tokens"], len(world.model.asked)) == (4, 150, 2)
    assert (await reserve(world, TERMS, 1)).wait == 3
    world.pause(minutes=1)
    world.model.fails = [Limited("slowly", 90)]
    before, (_, error) = await tokens(world), await _other(world)
    assert (type(error), await tokens(world)) == (Limited, before)
    with pytest.raises(TooMany):
        await reserve(world, TERMS, 1)


async def _other(world: World) -> tuple[Told, MusterError]:
    """A question that was not asked before."""
    world.policy = replace(world.policy, assistant=replace(TERMS, model="another"))
    return await failing(world)


# ------------------------------------------------------------------ the month


async def test_the_cap(world: World) -> None:
    """Before the call: what might go beyond the month's tokens is refused with when there are new ones; then there are."""
    world.policy = replace(world.policy, assistant=replace(TERMS, monthly_tokens=1000))
    await suggested(world)
    await settle(world, await reserve(world, TERMS, 1), 300, [])
    with pytest.raises(TooMany) as caught:
        await question(world, TEXT + " And I knit.")
    assert "450 of 1,000" in caught.value.cause
    assert "2030-02-01" in caught.value.fix
    assert len(world.model.asked) == 1
    assert (await suggested(world))["usage"]["kept"]
    world.pause(days=17)
    assert await tokens(world) == 0
    await suggested(world, TEXT + " And I knit.")
    assert [item["tokens"] for item in await world.documents_in("assistant_months")] == [450, 150]


async def test_the_cap_holds_for_all_at_once(store: Store) -> None:
    """Sixteen at the same moment: as many as fit are let through, each at a turn of its own, and not one token is lost."""
    worlds = [World(_now=store.clock()) for _ in range(16)]
    for each in worlds:
        each.documents = store.connect()  # type: ignore[assignment]
    terms = replace(TERMS, monthly_tokens=1000, per_minute=600)
    found = await asyncio.gather(*(reserve(each, terms, 100) for each in worlds), return_exceptions=True)
    through = [each for each in found if not isinstance(each, BaseException)]
    assert [type(each) for each in found if isinstance(each, BaseException)] == [TooMany] * 6
    assert sorted(round(each.wait, 1) for each in through) == [round(0.1 * number, 1) for number in range(10)]
    await asyncio.gather(*(settle(worlds[at], each, 30, []) for at, each in enumerate(through)))
    document = await worlds[0].documents.get("assistant_months/2030-01")
    assert document
    left = Month.of(document.data)
    assert (left.tokens, left.requests) == (300, 10)
    assert left.free_at == store.clock() + timedelta(seconds=1)
