"""Plans: what would change, why, and that nothing is left once it has."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.bundles import Bundle
from shared.domain.planning import plan
from shared.domain.plans import Line, Person, Rules, Scope
from shared.ports import Entry, Levels

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
BOT = "@muster:fake.test"
ADA, BOB = "@ada:fake.test", "@bob:fake.test"
RULES = Rules(bot=BOT)


@dataclass
class Place:
    name: str = ""
    kind: str = ""
    entry: Entry = field(default_factory=Entry)
    levels: Levels = field(default_factory=lambda: Levels({BOT: 100}))


@dataclass
class World:
    """A community in memory; `apply` does what a line says."""

    rooms: dict[str, Place] = field(default_factory=dict)
    people: list[Person] = field(default_factory=list)
    members: dict[str, dict[str, str]] = field(default_factory=dict)

    def members_of(self, room_id: str) -> dict[str, str]:
        return self.members.get(room_id, {})

    def apply(self, line: Line) -> None:
        if line.action == "level":
            place = self.rooms[line.room_id]
            users = {**place.levels.users, line.matrix_id: int(line.after)}
            place.levels = Levels(users, place.levels.default, place.levels.creators)
        elif line.action != "keep":
            self.members.setdefault(line.room_id, {})[line.matrix_id] = line.after


def bundle(name: str, *rooms: str, **fields: Any) -> Bundle:
    made = {"created_at": NOW, "created_by": "x", "changed_at": NOW, "changed_by": "x", "for_groups": (name,)}
    return Bundle(id=name, name=name, rooms=rooms, **(made | fields))


def person(matrix_id: str, *groups: str, **fields: Any) -> Person:
    return Person(matrix_id, matrix_id[1:].partition(":")[0], frozenset(groups), **fields)


def world(*people: Person, **members: dict[str, str]) -> World:
    rooms = {name: Place(name.upper()) for name in ("a", "b", "c")}
    return World(rooms, list(people), {name: dict(found) for name, found in members.items()})


def brief(lines: list[Line]) -> list[tuple[str, str, str, str]]:
    return [(line.action, line.username, line.room_id, line.after) for line in lines]


# ------------------------------------------------------------------ into rooms


def test_into_the_rooms_of_their_bundles() -> None:
    """By a group, or given to them; whoever is in, or invited, is left alone; the reason says by what."""
    there = world(
        person(ADA, "g"), person(BOB, bundles=frozenset({"g"})), a={ADA: "join", BOB: "leave"}, b={BOB: "invite"}
    )
    lines = plan([bundle("g", "a", "b")], there, RULES)
    assert brief(lines) == [("invite", "ada", "b", "invite"), ("invite", "bob", "a", "invite")]
    assert [line.reason for line in lines] == ["g: a member of g", "g: given to them"]
    assert [line.before for line in lines] == ["", "leave"]


def test_joined_where_that_is_wanted() -> None:
    """The homeserver's own members are joined, with their level at once; those of others are invited."""
    there = world(person(ADA, "g"), person("@eve:else.test", "g"))
    lines = plan([bundle("g", "a", levels={"*": 50})], there, Rules(BOT, "join"))
    assert brief(lines) == [("join", "ada", "a", "join"), ("level", "ada", "a", "50"), ("invite", "eve", "a", "invite")]


def test_by_a_space() -> None:
    """One invite to the space, which says what it opens; who is in the space needs nothing."""
    there = world(person(ADA, "g"), person(BOB, "g"))
    there.rooms["s"] = Place("Club", "m.space")
    for room in "ab":
        there.rooms[room].entry = Entry("restricted", ("s",))
    there.members["s"] = {BOB: "join"}
    [space, other] = [line for line in plan([bundle("g", "a", "b", "c")], there, RULES) if line.username == "ada"]
    assert (space.room, space.reason) == ("Club", "g: a member of g; by the space Club they enter A, B by themselves")
    assert other.room_id == "c"
    assert brief([line for line in plan([bundle("g", "a", "b")], there, RULES) if line.username == "bob"]) == []
    direct = plan([bundle("g", "a", space_first=False)], there, RULES)
    assert {line.room_id for line in direct} == {"a"}


def test_a_space_that_is_needed_is_nobodys_to_lose() -> None:
    """A bundle that removes people from the space spares those who enter rooms by it."""
    there = world(person(ADA, "g"))
    there.rooms["s"] = Place("Club", "m.space")
    there.rooms["a"].entry = Entry("restricted", ("s",))
    there.members |= {"s": {ADA: "join"}, "a": {ADA: "join"}}
    assert plan([bundle("g", "a"), bundle("h", "s", removes=True)], there, RULES) == []


# ------------------------------------------------------------------ out of rooms


def test_nobody_is_removed_unless_a_bundle_says_so() -> None:
    """Without `removes` nobody leaves; with it those whom no bundle names, and those who are deactivated."""
    there = world(person(ADA), person(BOB, "g", active=False), a={ADA: "join", BOB: "invite"}, b={ADA: "join"})
    assert plan([bundle("g", "a")], there, RULES) == []
    lines = plan([bundle("g", "a", removes=True)], there, RULES)
    assert brief(lines) == [("remove", "ada", "a", "leave"), ("remove", "bob", "a", "leave")]
    assert [line.reason for line in lines] == [
        "no bundle of theirs names this room, and g removes",
        "the account is deactivated, and g removes",
    ]
    assert plan([bundle("g", "a", removes=True), bundle("h", "a", for_groups=("all",))], there, RULES) != []


def test_strangers_are_left_alone() -> None:
    """Who has no account that we know of is not removed: perhaps somebody invited them by hand."""
    assert plan([bundle("g", "a", removes=True)], world(a={"@guest:fake.test": "join"}), RULES) == []


@pytest.mark.parametrize(
    ("rules", "who", "why"),
    [
        (Rules(BOT, protected=frozenset({ADA})), person(ADA), "protected by the settings"),
        (Rules(BOT, protected_groups=frozenset({"admins"})), person(ADA, "admins"), "an admin of Muster"),
        (RULES, person(BOB), "as much power here as the bot (100)"),
        (Rules("@weak:fake.test"), person(ADA), "the bot has power 0 here, and 50 is needed"),
    ],
)
def test_protected_people(rules: Rules, who: Person, why: str) -> None:
    """The bot, admins, the list and who has the bot's power are never removed or lowered, and the plan says so."""
    there = world(who, a={who.matrix_id: "join", rules.bot: "join"})
    if who.matrix_id == BOB:
        there.rooms["a"].levels = Levels({BOT: 100, BOB: 100})
    if rules.bot != BOT:
        there.rooms["a"].levels = Levels({ADA: -1})
    lines = plan([bundle("g", "a", removes=True)], there, rules)
    assert [line.action for line in lines] == ["keep"]
    assert why in lines[0].reason


def test_everybodys_rooms_and_the_bot() -> None:
    """Nobody is removed from a room that every member gets, and the bot is in no line at all."""
    there = world(person(ADA), person(BOT), a={ADA: "join", BOT: "join"})
    assert plan([bundle("g", "a", removes=True)], there, Rules(BOT, everybodys=frozenset({"a"}))) == []


@pytest.mark.parametrize("first", [True, False])
def test_a_duplicate_that_was_deactivated(first: bool) -> None:
    """Two accounts with one Matrix id: the active one counts, in whatever order they come; of two such, both do."""
    twins = [person(ADA, "g", active=first), person(ADA, "g", active=not first)]
    there = world(*twins, a={ADA: "join"})
    assert plan([bundle("g", "a", removes=True)], there, RULES) == []
    both = world(person(ADA, "g"), person(ADA, bundles=frozenset({"h"})))
    assert {line.room_id for line in plan([bundle("g", "a"), bundle("h", "b")], both, RULES)} == {"a", "b"}


# ------------------------------------------------------------------ power


def test_levels_once_they_are_in() -> None:
    """Raised when they have joined, not while they are invited; nobody is lowered without `removes`."""
    there = world(person(ADA, "g"), person(BOB, "g"), a={ADA: "join", BOB: "invite"})
    assert brief(plan([bundle("g", "a", levels={"*": 50})], there, RULES)) == [("level", "ada", "a", "50")]
    there.rooms["a"].levels = Levels({BOT: 100, ADA: 75})
    assert plan([bundle("g", "a", levels={"*": 50})], there, RULES) == []


def test_power_is_taken_back() -> None:
    """Exactly the level that a bundle gives, where it removes, from who is not to have it; another level was given by
    somebody else."""
    for level, wanted in ((50, [("level", "ada", "a", "0")]), (60, [])):
        there = world(person(ADA, "all"), a={ADA: "join"})
        there.rooms["a"].levels = Levels({BOT: 100, ADA: level})
        bundles = [bundle("all", "a"), bundle("mods", "a", levels={"*": 50}, removes=True)]
        assert brief(plan(bundles, there, RULES)) == wanted


def test_what_the_bot_cannot_give() -> None:
    """A level above its own, or an invite that it may not make, is said and not planned."""
    there = world(person(ADA, "g"), person(BOB, "g"), a={ADA: "join"})
    there.rooms["a"].levels = Levels({BOT: 50}, invite=60)
    assert brief(plan([bundle("g", "a", levels={"*": 75})], there, RULES)) == [
        ("keep", "ada", "a", "0"),
        ("keep", "bob", "a", ""),
    ]


# ------------------------------------------------------------------ limited


def test_limited_to_some() -> None:
    """To bundles, groups or members; what other bundles say still counts for what nobody is removed from."""
    there = world(person(ADA, "g"), person(BOB, "h"), a={BOB: "join"})
    bundles = [bundle("g", "a", removes=True), bundle("h", "a", "b")]
    assert {line.room_id for line in plan(bundles, there, RULES, Scope(bundles=frozenset({"g"})))} == {"a"}
    assert {line.username for line in plan(bundles, there, RULES, Scope(groups=frozenset({"h"})))} == {"bob"}
    assert {line.username for line in plan(bundles, there, RULES, Scope(matrix_ids=frozenset({ADA})))} == {"ada"}
    assert all(line.action != "remove" for line in plan(bundles, there, RULES, Scope(bundles=frozenset({"g"}))))


def test_the_same_again_is_the_same() -> None:
    """Each line has an id of its own, the same whenever the same is planned."""
    there = world(person(ADA, "g"), person(BOB, "g"))
    first, second = (plan([bundle("g", "a", "b")], there, RULES) for _ in range(2))
    assert first == second
    assert len({line.id for line in first}) == len(first) == 4


# ------------------------------------------------------------------ whatever the world is like

ROOMS, GROUPS, NAMES = "abcst", ("g", "h", "i"), ("ada", "bob", "cleo", "dora")
LEVELS = st.sampled_from([0, 25, 50, 75, 100])


@st.composite
def worlds(draw: st.DrawFn) -> World:
    entry = st.sampled_from([Entry(), Entry("restricted", ("s",)), Entry("restricted", ("t", "s")), Entry("public")])
    rooms = {}
    for room in ROOMS:
        users = {BOT: 100} | draw(st.dictionaries(st.sampled_from([f"@{name}:fake.test" for name in NAMES]), LEVELS))
        kind = "m.space" if room in "st" else ""
        creators = frozenset({BOT}) if draw(st.booleans()) else frozenset[str]()
        rooms[room] = Place(
            room, kind, Entry() if kind else draw(entry), Levels(users, draw(st.sampled_from([0, 0, 25])), creators)
        )
    people = [
        person(
            f"@{name}:{draw(st.sampled_from(['fake.test', 'else.test']))}",
            *draw(st.sets(st.sampled_from([*GROUPS, "admins"]))),
            bundles=frozenset(draw(st.sets(st.sampled_from(GROUPS)))),
            active=draw(st.booleans()),
        )
        for name in NAMES
    ]
    state = st.sampled_from(["join", "invite", "knock", "leave", "ban"])
    members = {room: draw(st.dictionaries(st.sampled_from([p.matrix_id for p in people]), state)) for room in ROOMS}
    return World(rooms, people, members)


@st.composite
def some_bundles(draw: st.DrawFn) -> list[Bundle]:
    return [
        bundle(
            name,
            *sorted(draw(st.sets(st.sampled_from(ROOMS)))),
            levels=draw(st.dictionaries(st.sampled_from([*ROOMS, "*"]), LEVELS, max_size=3)),
            removes=draw(st.booleans()),
            space_first=draw(st.booleans()),
        )
        for name in GROUPS
    ]


RULE_SETS = st.builds(
    Rules,
    bot=st.just(BOT),
    membership=st.sampled_from(["invite", "join"]),
    everybodys=st.sampled_from([frozenset[str](), frozenset({"a"})]),
    protected=st.sampled_from([frozenset[str](), frozenset({ADA})]),
    protected_groups=st.just(frozenset({"admins"})),
)


def acts(lines: list[Line]) -> list[Line]:
    return [line for line in lines if line.action != "keep"]


@given(worlds(), some_bundles(), RULE_SETS)
@settings(max_examples=200, deadline=None)
def test_applied_once_nothing_is_left(there: World, bundles: list[Bundle], rules: Rules) -> None:
    """Apply every line: the second plan is empty. No line is about the bot or takes from who is protected, none is
    there twice, and each says why."""
    lines = acts(plan(bundles, there, rules))
    assert len({line.id for line in lines}) == len(lines)
    assert len({(line.matrix_id, line.room_id, line.action == "level") for line in lines}) == len(lines)
    for line in lines:
        assert line.matrix_id != BOT
        assert line.reason
        who = next(each for each in there.people if each.matrix_id == line.matrix_id)
        takes = line.action == "remove" or (line.action == "level" and int(line.after) < int(line.before))
        assert not (takes and (who.matrix_id in rules.protected or "admins" in who.groups))
        there.apply(line)
    assert acts(plan(bundles, there, rules)) == []


@given(worlds(), some_bundles(), RULE_SETS, st.data())
@settings(max_examples=150, deadline=None)
def test_only_the_ticked_ones(there: World, bundles: list[Bundle], rules: Rules, data: st.DataObject) -> None:
    """Apply some lines: none of them comes again, and applying what is left then leaves nothing."""
    lines = acts(plan(bundles, there, rules))
    ticked = data.draw(st.lists(st.sampled_from(lines), unique=True)) if lines else []
    for line in ticked:
        there.apply(line)
    rest = acts(plan(bundles, there, rules))
    assert not {(line.matrix_id, line.room_id, line.after) for line in ticked} & {
        (line.matrix_id, line.room_id, line.after) for line in rest
    }
    for line in rest:
        there.apply(line)
    assert acts(plan(bundles, there, rules)) == []
