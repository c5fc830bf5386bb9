"""A plan: what would change so that everybody is where their bundles say. Computed from who is where, without a call.

A person has a bundle by membership of one of its `for_groups`, or because an invite or an admin gave it to them. A plan
invites them into its rooms, gives them its power levels once they are in, and takes nobody out unless a bundle that
manages the room says so (`removes`), and then never who is protected, and never who has no account that we know of.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec.structs import replace

from shared.domain import ids
from shared.domain.bundles import Bundle, highest
from shared.domain.plans import IN, INSIDE, Action, Community, Line, Person, Place, Rules, Scope

SPACE = "m.space"
MOST = 2**31
"""Above any level that a room's events give: a creator's."""


def plan(bundles: Sequence[Bundle], community: Community, rules: Rules, scope: Scope | None = None) -> list[Line]:
    """Lines person by person, in the order of their Matrix ids; of one person by room."""
    planner = _Planner(bundles, community, rules, scope or Scope())
    people = _each_once(community.people)
    return [line for name in sorted(people) for line in planner.lines(people[name])]


def _each_once(people: Iterable[Person]) -> dict[str, Person]:
    """Of several accounts with one Matrix id those count that are active: a duplicate that somebody has deactivated
    costs nobody their rooms."""
    found: dict[str, Person] = {}
    for person in people:
        known = found.get(person.matrix_id)
        found[person.matrix_id] = _as_one(known, person) if known else person
    return found


def _as_one(first: Person, second: Person) -> Person:
    if first.active != second.active:
        return first if first.active else second
    return replace(first, groups=first.groups | second.groups, bundles=first.bundles | second.bundles)


class _Holders:
    """Who is to have which bundle, looked up by group."""

    def __init__(self, bundles: Sequence[Bundle]) -> None:
        self._bundles = {bundle.id: bundle for bundle in bundles}
        self._by_group: dict[str, list[str]] = {}
        for bundle in bundles:
            for group in bundle.for_groups:
                self._by_group.setdefault(group, []).append(bundle.id)

    def held_by(self, person: Person) -> list[Bundle]:
        """In the order of the bundles; none of who is not active."""
        found = {name for group in person.groups for name in self._by_group.get(group, ())} | person.bundles
        return [bundle for name, bundle in self._bundles.items() if name in found] if person.active and found else []


class _Planner:
    """What is the same for everybody is worked out once. `_ways`: of each room, the spaces by which it is entered and
    to which the bot can invite. `_now`: of the person whose lines are being made, where they are: a cache looks each of
    them up in a list."""

    def __init__(self, bundles: Sequence[Bundle], community: Community, rules: Rules, scope: Scope) -> None:
        self._rules, self._scope = rules, scope
        self._places = community.rooms
        managed = dict.fromkeys(room for bundle in bundles for room in bundle.rooms if room in community.rooms)
        self._ways = {room: self._spaces(room) for room in managed}
        self._removing = {room: [b for b in bundles if b.removes and room in b.rooms] for room in managed}
        spaces = [space for found in self._ways.values() for space in found]
        self._members = {room: community.members_of(room) for room in dict.fromkeys((*managed, *spaces))}
        self._present = self._where(managed)
        self._holders = _Holders(bundles)
        self._now: dict[str, str] = {}

    def _where(self, rooms: Iterable[str]) -> dict[str, list[str]]:
        """Each member's managed rooms: most people are in few of many."""
        found: dict[str, list[str]] = {}
        for room in rooms:
            for matrix_id, state in self._members[room].items():
                if state in INSIDE:
                    found.setdefault(matrix_id, []).append(room)
        return found

    def _spaces(self, room: str) -> list[str]:
        entry = self._places[room].entry if self._rules.membership == "invite" else None
        found = [space for space in (entry.rooms if entry else ()) if entry and entry.by(space)]
        return [space for space in found if self._is_open(self._places.get(space))]

    def _is_open(self, space: Place | None) -> bool:
        return space is not None and space.kind == SPACE and space.levels.of(self._rules.bot) >= space.levels.invite

    def lines(self, person: Person) -> Iterator[Line]:
        if not self._scope.has(person) or person.matrix_id == self._rules.bot:
            return
        present = self._present.get(person.matrix_id, ())
        self._now = {room: self._members[room].get(person.matrix_id, "") for room in present}
        held = self._holders.held_by(person)
        wishes = self._wishes(held)
        entering = list(self._entering(person, wishes))
        leaving = list(self._leaving(person, wishes))
        yield from entering
        yield from leaving
        joined = {line.room_id for line in entering if line.action == "join"}
        gone = {line.room_id for line in leaving if line.action == "remove"}
        yield from self._levels(person, held, joined, gone)

    def _state(self, person: Person, room: str) -> str:
        known = self._now.get(room)
        return self._members[room].get(person.matrix_id, "") if known is None else known

    def _wishes(self, held: Sequence[Bundle]) -> dict[str, list[Bundle]]:
        """The rooms that they are to be in, each with the bundles that say so."""
        wishes: dict[str, list[Bundle]] = {}
        for bundle in held:
            for room in bundle.rooms:
                if room in self._ways:
                    wishes.setdefault(room, []).append(bundle)
        return wishes

    # -- entering

    def _entering(self, person: Person, wishes: Mapping[str, list[Bundle]]) -> Iterator[Line]:
        """A space comes before the rooms that need an invite each. Who is in it already enters the rest alone."""
        asked: dict[str, list[Bundle]] = {}
        opened: dict[str, list[str]] = {}
        for room, bundles in wishes.items():
            if self._state(person, room) in IN or not self._scope.covers(bundles):
                continue
            target = self._way(person, room, bundles)
            if target != room:
                opened.setdefault(target, []).append(self._name(room))
            known = asked.setdefault(target, [])
            known += [bundle for bundle in bundles if bundle not in known]
        for target in sorted(asked, key=lambda room: (room not in opened, room)):
            if self._state(person, target) not in IN:
                yield self._enter(person, target, asked[target], opened.get(target, ()))

    def _way(self, person: Person, room: str, bundles: Sequence[Bundle]) -> str:
        """The room itself, or the space by which it is entered."""
        spaces = self._ways[room] if all(bundle.space_first for bundle in bundles) else []
        inside = (space for space in spaces if self._state(person, space) in IN)
        return next(inside, next(iter(spaces), room))

    def _enter(self, person: Person, room: str, bundles: Sequence[Bundle], opened: Sequence[str]) -> Line:
        state, levels = self._state(person, room), self._places[room].levels
        ours = levels.of(self._rules.bot)
        if state == "ban":
            return self._line("keep", person, room, state, state, "they are banned: lift the ban first")
        if ours < levels.invite:
            lacking = f"the bot has power {ours} here, inviting needs {levels.invite}"
            return self._line("keep", person, room, state, state, lacking)
        names = ", ".join(bundle.name for bundle in bundles)
        reason = f"{names}: {_by_what(person, bundles)}"
        if opened:
            reason += f"; by the space {self._name(room)} they enter {', '.join(opened)} by themselves"
        action: Action = "join" if self._rules.joins(person.matrix_id) else "invite"
        return self._line(action, person, room, state, action, reason)

    # -- leaving

    def _leaving(self, person: Person, wishes: Mapping[str, object]) -> Iterator[Line]:
        wanted = set(wishes) | {space for room in wishes for space in self._ways[room]} | self._rules.everybodys
        for room in self._present.get(person.matrix_id, ()):
            state, removing = self._state(person, room), self._removing[room]
            if room in wanted or not removing or not self._scope.covers(removing):
                continue
            why = "the account is deactivated" if not person.active else "no bundle of theirs names this room"
            spared = self._spared(person, room, self._places[room].levels.kick)
            if spared:
                yield self._line("keep", person, room, state, state, f"{why}, but {spared}")
            else:
                names = ", ".join(bundle.name for bundle in removing)
                yield self._line("remove", person, room, state, "leave", f"{why}, and {names} removes")

    def _spared(self, person: Person, room: str, needed: int) -> str:
        """Why nothing is taken from them; "" when something may be."""
        levels = self._places[room].levels
        ours, theirs = levels.of(self._rules.bot), levels.of(person.matrix_id)
        if person.matrix_id in self._rules.protected:
            return "they are protected by the settings"
        if person.groups & self._rules.protected_groups:
            return "they are an admin of Muster, and protected"
        if theirs >= ours:
            return f"they have as much power here as the bot ({_power(theirs)}), and are protected"
        return f"the bot has power {ours} here, and {needed} is needed" if ours < needed else ""

    # -- power levels

    def _levels(self, person: Person, held: Sequence[Bundle], joined: set[str], gone: set[str]) -> Iterator[Line]:
        wanted = highest(held)
        for room in dict.fromkeys((*self._present.get(person.matrix_id, ()), *joined)):
            if room not in gone and room in self._ways and (room in joined or self._state(person, room) == "join"):
                yield from self._level(person, room, wanted.get(room), held)

    def _level(self, person: Person, room: str, wanted: int | None, held: Sequence[Bundle]) -> Iterator[Line]:
        levels = self._places[room].levels
        now = levels.of(person.matrix_id)
        if wanted is not None and now < wanted:
            giving = [bundle for bundle in held if room in bundle.rooms and bundle.level_in(room) == wanted]
            names = ", ".join(bundle.name for bundle in giving)
            yield from self._leveled(person, room, giving, wanted, f"{names}: power {wanted} here")
            return
        taking = [bundle for bundle in self._removing[room] if bundle.level_in(room) == now]
        target = max(levels.default, levels.default if wanted is None else wanted)
        if taking and now > target:
            names = ", ".join(bundle.name for bundle in taking)
            yield from self._leveled(person, room, taking, target, f"{names} gives power {now} here, and they lack it")

    def _leveled(self, person: Person, room: str, bundles: Sequence[Bundle], to: int, why: str) -> Iterator[Line]:
        levels = self._places[room].levels
        now = levels.of(person.matrix_id)
        spared = self._spared(person, room, max(levels.change, to)) if to < now else self._unable(room, now, to)
        if not self._scope.covers(bundles):
            return
        if spared:
            yield self._line("keep", person, room, str(now), str(now), f"{why}, but {spared}")
        else:
            yield self._line("level", person, room, str(now), str(to), why)

    def _unable(self, room: str, now: int, to: int) -> str:
        levels = self._places[room].levels
        ours, needed = levels.of(self._rules.bot), max(levels.change, to)
        return f"the bot has power {ours} here, and {needed} is needed" if ours < needed or now >= ours else ""

    # --

    def _name(self, room: str) -> str:
        return self._places[room].name or room

    def _line(self, action: Action, person: Person, room: str, before: str, after: str, reason: str) -> Line:
        name = ids.digest("line", action, person.matrix_id, room, before, after, length=16)
        said = (room, self._name(room), before, after, reason)
        return Line(name, action, person.matrix_id, person.username, *said, person.onboarding)


def _by_what(person: Person, bundles: Iterable[Bundle]) -> str:
    held = list(bundles)
    groups = sorted({group for bundle in held for group in bundle.for_groups} & person.groups)
    given = any(bundle.id in person.bundles for bundle in held)
    by_group = f"a member of {', '.join(groups)}" if groups else ""
    return "; ".join(filter(None, (by_group, "given to them" if given else "")))


def _power(level: int) -> str:
    return "a creator's" if level > MOST else str(level)
