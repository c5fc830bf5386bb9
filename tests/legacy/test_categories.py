"""The tool's categories, rooms and expansions as Muster's categories; what is not understood is named."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legacy.categories import MOST_SYNONYMS, SYNONYMS, Draft, Drafts, drafts_of
from legacy.importing import ImportCategories
from legacy.settings import parse, propose
from shared.domain.errors import Unreachable
from shared.services import categories
from shared.services.categories import Wanted
from tests.legacy.test_settings import OLD
from tests.world import ADMIN, World

A, B = "!a:example.org", "#b:example.org"


def drafted(**settings: Any) -> list[Draft]:
    found = drafts_of(settings, {})
    assert not found.entries, found.entries
    return list(found.by_name.values())


def left(found: Drafts) -> list[tuple[str, str]]:
    return [(entry.key, entry.reason) for entry in found.entries]


def test_an_env_as_it_may_be() -> None:
    """Keywords, rooms and expansions of one .env come together by the category's name."""
    found = drafts_of(propose(parse(OLD)).rooms, {})
    assert list(found.by_name.values()) == [
        Draft("Outdoors", ["hiking", "climbing"], {}, ["!a:example.org"]),
        Draft(SYNONYMS, [], {"hike": ["walk", "trek"]}),
    ]
    assert left(found) == [("MATRIX_ROOM_IDS_NAME_CATEGORY", "!a:example.org has no category")]


@pytest.mark.parametrize(
    "value",
    ["hiking, climbing", "hiking;climbing", "hiking|climbing", "hiking\nclimbing", ["hiking", "climbing", "Hiking"],
     {"keywords": "hiking,climbing"}, {"name": "Board games", "keywords": ["hiking", " climbing "]}],
)  # fmt: skip
def test_forms_of_keywords(value: Any) -> None:
    """Texts with separators, lists and objects are understood alike."""
    [draft] = drafted(CATEGORY_BOARD_GAMES=value)
    assert (draft.name.casefold(), draft.keywords) == ("board games", ["hiking", "climbing"])


def test_a_categorys_rooms() -> None:
    """What is a room's id or alias among the words is one of its rooms."""
    assert drafted(CATEGORY_SPORTS=f"{A}, running, {B}") == [Draft("Sports", ["running"], {}, [A, B])]
    assert drafted(CATEGORY_SPORTS={"rooms": [A, B]}) == [Draft("Sports", [], {}, [A, B])]


@pytest.mark.parametrize(
    "value",
    [
        [{"id": A, "name": "Hiking", "category": "Sports"}],
        [{"room_id": A, "categories": ["Sports"]}],
        {"room_id": A, "category": "Sports"},
        {A: "Sports"},
        {A: ["Hiking", "Sports"]},
        {A: {"name": "Hiking", "category": "Sports"}},
        {"Sports": [A]},
        {"Sports": A},
        [[A, "Hiking", "Sports"]],
        [A, "Hiking", "Sports"],
        [f"{A}|Hiking|Sports"],
        f"{A}|Hiking|Sports",
        f"{A}|Sports",
        f"Hiking|{A}|Sports; ",
    ],
)
def test_forms_of_rooms(value: Any) -> None:
    """However a room and its category are written down, they are the same; so for each of the settings that hold them."""
    for setting in ("MATRIX_ROOM_IDS_NAME_CATEGORY", "MATRIX_ROOMS", "ROOM_HIKING"):
        assert drafted(**{setting: value}) == [Draft("Sports", [], {}, [A])]


def test_several_rooms() -> None:
    """Commas, semicolons and lines separate rooms; a room may be in several categories."""
    for between in (",", ";", "\n"):
        value = between.join([f"{A}|Hiking|Sports", f"{B}|Chess|Games"])
        assert drafted(MATRIX_ROOM_IDS_NAME_CATEGORY=value) == [
            Draft("Sports", [], {}, [A]),
            Draft("Games", [], {}, [B]),
        ]
    both = {"id": A, "category": "Sports, Games"}
    assert drafted(MATRIX_ROOMS=[both]) == [Draft("Sports", [], {}, [A]), Draft("Games", [], {}, [A])]


def test_rows_of_a_table() -> None:
    """Tables of rooms are read as lists of objects."""
    found = drafts_of({}, {"matrix_rooms": [{"room_id": A, "name": "x", "category": "Sports", "id": 5}]})
    assert list(found.by_name.values()) == [Draft("Sports", [], {}, [A])]


@pytest.mark.parametrize(
    "value", [{"hike": ["walk", "trek"]}, {"hike": "walk, trek"}, "hike: walk, trek", "hike=walk|trek;"]
)
def test_forms_of_expansions(value: Any) -> None:
    """A word's others, as JSON or as text; they belong to the category that knows one of the words."""
    assert drafted(INTEREST_KEYWORD_EXPANSIONS=value) == [Draft(SYNONYMS, [], {"hike": ["walk", "trek"]})]
    [sports] = drafted(INTEREST_KEYWORD_EXPANSIONS=value, CATEGORY_SPORTS="Trek")
    assert sports.synonyms == {"hike": ["walk", "trek"]}


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("CATEGORY_X", 5, "expected keywords and rooms"),
        ("CATEGORY_X", [["a"]], "expected keywords and rooms"),
        ("CATEGORY_X", "?!", "is no word"),
        ("CATEGORY_X", "k" * 101, "is no word"),
        ("CATEGORY_X", "#nowhere", "is no room"),
        ("CATEGORY_X", [f"k{n}" for n in range(201)], "one more than 200"),
        ("ROOM_X", "Hiking", "has no room's id"),
        ("ROOM_X", A, "has no category"),
        ("ROOM_X", 5, "expected rooms with a category"),
        ("ROOM_X", "", "expected rooms with a category"),
        ("MATRIX_ROOMS", [{"name": "Hiking", "category": "Sports"}], "has no room's id"),
        ("MATRIX_ROOMS", [{"id": "hiking", "category": "Sports"}], "is no room"),
        ("INTEREST_KEYWORD_EXPANSIONS", ["hike"], "expected words with others"),
        ("INTEREST_KEYWORD_EXPANSIONS", "hike", "expected words with others"),
        ("INTEREST_KEYWORD_EXPANSIONS", {"hike": 5}, "expected words with others"),
        ("INTEREST_KEYWORD_EXPANSIONS", {"hike": [f"w{n}" for n in range(MOST_SYNONYMS + 1)]}, "has more than 12"),
    ],
)
def test_what_is_not_understood_is_named(setting: str, value: Any, words: str) -> None:
    """Every part that is left out is named with its setting, and with what is expected."""
    [(key, reason)] = left(drafts_of({setting: value}, {}))
    assert key == setting
    assert words in reason


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(alphabet="!#a|,;:= \n", max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "category", "!a:b", "x", ""]), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


@given(
    st.dictionaries(
        st.sampled_from(["CATEGORY_", "CATEGORY_X", "ROOM_X", "MATRIX_ROOMS", "INTEREST_KEYWORD_EXPANSIONS"]), ODD
    )
)
def test_it_never_raises(settings: dict[str, Any]) -> None:
    """Whatever the settings hold, each ends in a category or in a reason."""
    found = drafts_of(settings, {})
    assert found.by_name or found.entries or not settings


# ------------------------------------------------------------------ brought in


async def run(world: World, *drafts: Draft, apply: bool = True, look: bool = True) -> list[tuple[str, str]]:
    return [(each.key, each.outcome) for each in await ImportCategories(world, apply, look).run(drafts)]  # type: ignore[arg-type]


async def test_brought_in_once() -> None:
    """Simulated nothing is written; applied they are there, with an audit record each; again nothing changes, nor does what
    an admin has edited meanwhile."""
    world = World()
    draft = Draft("Sports", ["running"], {"jog": ["running"]}, [A])
    assert await run(world, draft, apply=False) == [("Sports", "made")]
    assert not world.rows()
    assert await run(world, draft) == [("Sports", "made")]
    [made] = await categories.everything(world)
    assert (made.keywords, made.synonyms, made.rooms) == (("running",), {"jog": ["running"]}, (A,))
    assert [record["actor"] for record in await world.audits()] == ["import"]
    await categories.replace(world, ADMIN, made.id, Wanted("sports", ("swimming",)), 1)
    before = world.rows()
    assert await run(world, draft) == [("Sports", "unchanged")]
    assert world.rows() == before


async def test_a_store_that_is_down_fails_each() -> None:
    """What failed is an entry that can be read again; where the store need not be asked it is not."""
    world = World()

    async def down(*_: Any) -> Any:
        raise Unreachable("firestore", "no answer", "Come again.")

    world.documents.query = down  # type: ignore[method-assign]
    [entry] = await ImportCategories(world, apply=False).run([Draft("Sports", ["running"])])  # type: ignore[arg-type]
    assert (entry.outcome, entry.reason, entry.data["keywords"]) == ("failed", "no answer Come again.", ["running"])
    assert await run(world, Draft("Sports"), apply=False, look=False) == [("Sports", "made")]
