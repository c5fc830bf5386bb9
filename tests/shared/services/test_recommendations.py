"""Rooms for a newcomer: only those that suit, and what changes is seen."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from shared.domain.errors import Unreachable
from shared.ports import Room
from shared.services import categories, recommendations
from shared.services.recommendations import Recommended, answer, recommend
from tests.recommendations.labelled import ready
from tests.world import ADMIN, DOMAIN, World

READY = ready()


class Remembering(World):
    """Keeps what was found, as an instance does, and counts the indexes that were made."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.kept: dict[str, Any] = {}
        self.made = 0

    async def remember(self, key: str, seconds: float, find: Any) -> Any:
        if key not in self.kept or not seconds:
            self.kept[key] = await find()
        return self.kept[key]

    def index(self, *arguments: Any) -> Any:
        self.made += 1
        return super().index(*arguments)


def names(found: Recommended) -> list[str]:
    return [item.name for item in found.items]


async def test_only_rooms_that_suit() -> None:
    """No space, no direct room, not INDOC by id or alias, no room that was replaced; a member's room is found."""
    world = World()
    world.furnish(0)
    world.indoc.topic = "hiking"
    world.homeserver.add_room("Hiking space", kind="m.space")
    hiking = world.homeserver.add_room("Hiking")
    await world.homeserver.create_direct_room("x", f"@ada:{DOMAIN}", "Hiking with Ada")
    direct = next(room for room in world.homeserver.homes.values() if room.direct)
    await world.homeserver.set_direct_rooms({f"@ada:{DOMAIN}": [direct.room_id]})
    for indoc in (world.policy.indoc, world.indoc.alias, "#nowhere:fake.test"):
        world.indoc.kind = "m.space" if indoc.startswith("#nowhere") else ""
        world.policy = replace(world.policy, indoc=indoc)
        assert [item.room_id for item in (await recommend(world, "hiking", 5)).items] == [hiking]
        world.policy = replace(
            world.policy, indoc=next(r.room_id for r in world.homeserver.homes.values() if r.name == "INDOC")
        )


async def test_a_replaced_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """A room that was upgraded is not recommended any more."""

    async def managed(_: Any) -> list[Room]:
        return [Room("!old", "Hiking", replaced_by="!new"), Room("!new", "Hiking")]

    monkeypatch.setattr(recommendations, "managed", managed)
    assert [item.room_id for item in (await recommend(World(), "hiking", 5)).items] == ["!new"]


async def test_categories_count() -> None:
    """A category's words find its rooms, by id or alias; a synonym says what it stands for."""
    world = World()
    world.homeserver.add_room("Room A", alias="a")
    trail = world.homeserver.add_room("Room B", topic="trail maintenance")
    wanted = categories.Wanted("Outdoors", ("camping",), {"hiking": ["trail"]}, (f"#a:{DOMAIN}",))
    await categories.create(world, ADMIN, wanted)
    [camping] = (await recommend(world, "I like camping", 5)).items
    assert (camping.name, camping.because) == ("Room A", 'matches "camping" in category Outdoors')
    [hiking] = (await recommend(world, "I like to hike", 5)).items
    assert hiking.room_id == trail
    assert hiking.because == 'matches "trail" (a synonym of hike) in the topic of Room B'


async def test_an_admins_word_is_never_small() -> None:
    """A word that says nothing elsewhere counts where an admin has made it a keyword, as it is written there."""
    world = World()
    room = world.homeserver.add_room("Room A")
    assert not (await recommend(world, "meeting new people", 5)).items
    await categories.create(world, ADMIN, categories.Wanted("Social", ("people",), {}, (room,)))
    assert names(await recommend(world, "meeting new people", 5)) == ["Room A"]


async def test_what_is_refused_stays_away() -> None:
    """A room that is called what somebody refuses is not shown for another reason; a mention does no harm."""
    world = World()
    world.homeserver.add_room("Climate Politics", topic="protest")
    world.homeserver.add_room("Protest", topic="songs, no politics")
    found = await recommend(world, "protest, but no politics please", 5)
    assert names(found) == ["Protest"]
    assert (found.wanted, found.unwanted) == (["protest"], ["politics"])
    assert names(await recommend(world, "politics! protest! no politics", 5)) == ["Climate Politics", "Protest"]


async def test_the_settings_bounds() -> None:
    """Nothing below the least score, nothing scored above the most, no more than asked for."""
    world = World()
    for number in range(8):
        world.homeserver.add_room(f"Chess {number}")
    world.policy = replace(world.policy, recommend_least=0, recommend_most=5)
    found = await recommend(world, "chess", 3)
    assert [item.score for item in found.items] == [5, 5, 5]
    world.policy = replace(world.policy, recommend_least=90, recommend_most=100)
    assert not (await recommend(world, "chess", 3)).items


async def test_the_index_is_kept_until_something_changes() -> None:
    """One index for many questions; a new category or a renamed room makes another one."""
    world = Remembering()
    world.homeserver.add_room("Chess")
    for _ in range(3):
        assert names(await recommend(world, "chess", 5)) == ["Chess"]
    assert world.made == 1
    await categories.create(world, ADMIN, categories.Wanted("Games", synonyms={"schach": ["chess"]}))
    assert names(await recommend(world, "Schach", 5)) == ["Chess"]
    assert world.made == 2
    world.homeserver.add_room("Go Club")
    del world.kept["rooms"]
    assert names(await recommend(world, "club", 5)) == ["Go Club"]
    assert world.made == 3


async def test_matrix_is_down() -> None:
    """Without rooms there is no answer, and the caller is told to come again."""
    world = World()
    world.homeserver.fail_next(Unreachable("matrix", "no answer"), times=3)
    with pytest.raises(Unreachable):
        await recommend(world, "chess", 5)


@given(
    st.text(max_size=300)
    | st.lists(st.sampled_from("hiking no cats \" ' * ( AND , . 徒步 don't or chess \n 🎲 Ana I'm".split(" "))).map(
        " ".join
    )
)
def test_whatever_is_written(text: str) -> None:
    """It never raises; the best come first, each once; each reason names a word that is really in that room."""
    found = answer(READY, text, 5)
    scores = [item.score for item in found.items]
    assert scores == sorted(scores, reverse=True)
    assert len({item.room_id for item in found.items}) == len(scores) <= 5
    for item in found.items:
        of = READY.passages[item.room_id]
        there = f"{of.name} {of.topic} {of.category} {of.keywords}".lower().replace(" ", "")
        quoted = item.because.split('"')[1::2]
        assert quoted
        assert all(word.replace(" ", "") in there for word in quoted)
        assert 0 < item.score <= 100
