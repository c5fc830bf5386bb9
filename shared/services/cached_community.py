"""Who is where, as the cache has it: for communities that are too large to be read live within a request.

What is read: the packed rooms, members and accounts (some 30 documents of 100,000 accounts, 5,000 rooms and 2 million
memberships; none that this process holds already), and what `shared.services.cached_people` says.

How true it is: Authentik leaves no trace where somebody comes into a group by hand: the cache learns it by a full sync
alone. So everybody whom a plan would touch is read again live before it is kept; where they are too many for that,
there must have been a full sync within the hour. Each line is looked at live once more when it is applied. Somebody of
whom the cache does not yet know that they are in a group is missing in the plan, and comes into the next one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from shared.domain.bundles import Bundle
from shared.domain.cache import Memberships, Rooms, Users
from shared.domain.cached_rooms import RoomRow
from shared.domain.errors import Conflict
from shared.domain.plans import Line, Person
from shared.domain.syncs import Sync
from shared.ports import Entry, Levels
from shared.services import cache
from shared.services.absent import looked_up
from shared.services.cached_people import everybody
from shared.services.community import known
from shared.services.context import Ports

OLDEST = 900.0
"""Seconds that the cache may be old, or twice the interval of its schedule, where that is more."""
LOOKED_AT = 300
"""People who are read again live, at a call and two documents each."""
FULL_WITHIN = timedelta(hours=1)
"""How old the last full sync of accounts may be where more people than that are concerned."""


class CachedPlace(Struct, frozen=True):
    name: str
    kind: str
    entry: Entry
    levels: Levels


class CachedCommunity(Struct, frozen=True):
    """A `shared.domain.plans.Community`. `notes`: how old it is, for whoever reads the plan."""

    rooms: Mapping[str, CachedPlace]
    people: Sequence[Person]
    missing: Sequence[str]
    notes: Sequence[str]
    users: Users
    where: Memberships

    def members_of(self, room_id: str) -> Mapping[str, str]:
        return self.where.states_of(room_id)


async def cached(ports: Ports, bundles: Sequence[Bundle]) -> CachedCommunity | None:
    """None: there is no cache yet. Raises `Conflict` where it is too old."""
    rooms, users = await cache.rooms(ports), await cache.users(ports)
    if rooms is None or users is None:
        return None
    wanted = list(dict.fromkeys(room for bundle in bundles for room in bundle.rooms))
    places = _places(rooms, wanted)
    where = await cache.memberships(ports, only=places)
    if where is None:
        return None
    for sync in (where.sync, users.sync):
        _check_age(ports, sync)
    removing = {room for bundle in bundles if bundle.removes for room in bundle.rooms if room in places}
    people, unasked = await everybody(ports, users, bundles, where, removing)
    missing = [room for room in wanted if room not in places]
    return CachedCommunity(places, people, missing, _notes(where.sync, users.sync, unasked), users, where)


def _check_age(ports: Ports, sync: Sync) -> None:
    age, oldest = sync.age(ports.now()) or 0.0, max(OLDEST, 2 * ports.policy.sync_every(sync.source))
    if age > oldest:
        cause = f"what the cache knows of {sync.source} is {age / 60:.0f} minutes old, too old for a plan"
        fix = "Ask for a sync (POST /api/sync), wait for its end (GET /api/sync says what is wrong), then plan anew."
        raise Conflict(cause, fix)


def _notes(rooms: Sync, users: Sync, unasked: int) -> list[str]:
    said = f"Made from the cache: rooms as of {_clock(rooms.synced_at)}, accounts as of {_clock(users.synced_at)}, "
    said += f"groups changed by hand in Authentik as of {_clock(users.full_at)} UTC. Each line is looked at live again."
    strangers = f"{unasked} members of these rooms have no account under their name: renamed ones were not looked for."
    return [said, strangers] if unasked else [said]


def _clock(at: datetime | None) -> str:
    return f"{at:%H:%M}" if at else "never"


# ------------------------------------------------------------------ rooms


def _places(rooms: Rooms, wanted: Iterable[str]) -> dict[str, CachedPlace]:
    """The rooms of bundles, and the spaces by which they are entered; of each those that the bot is in."""
    named = [rooms.rooms[room] for room in wanted if room in rooms.rooms]
    spaces = [rooms.rooms[space] for row in named for space in row.allow if space in rooms.rooms]
    return {row.room_id: place_of(row) for row in (*named, *spaces)}


def place_of(row: RoomRow) -> CachedPlace:
    creators = row.creators if row.rules_all else ()
    users = dict.fromkeys(row.creators, 100) if row.levels is None else row.users
    default = (row.levels or {}).get("users_default", 0)
    change = 50 if row.levels is None else row.level("change")
    levels = Levels(users, default, frozenset(creators), row.level("invite"), row.level("kick"), change)
    return CachedPlace(row.name or row.alias, row.kind, Entry(row.join_rule, row.allow), levels)


# ------------------------------------------------------------------ looked at again


async def looked_again(
    ports: Ports, community: CachedCommunity, lines: Iterable[Line], asked: Iterable[str] = ()
) -> CachedCommunity:
    """With everybody whom these lines would touch, or whom a plan is `asked` for, as they are at this moment. The very
    same community where nothing is otherwise. Raises `Conflict` where they are many and the last full sync is old."""
    named = {line.matrix_id for line in lines if line.action != "keep"} | set(asked)
    touched = {person.onboarding for person in community.people if person.matrix_id in named} - {""}
    if len(touched) > LOOKED_AT:
        _check_full(ports, community.users.sync, len(touched))
        return community
    accounts, _ = await looked_up(
        await ports.directory(), [row.pk for row in community.users if row.onboarding in touched]
    )
    now = {person.onboarding: person for person in await known(ports, accounts)}
    people = [now.get(one.onboarding) if one.onboarding in touched else one for one in community.people]
    there = [person for person in people if person]
    return community if there == community.people else replace(community, people=there)


def _check_full(ports: Ports, sync: Sync, count: int) -> None:
    if sync.full_at is None or ports.now() - sync.full_at > FULL_WITHIN:
        cause = (
            f"{count} people are concerned, and who is in which group was last read in full at {_clock(sync.full_at)}"
        )
        fix = (
            'Ask for it: POST /api/sync {"source": "authentik", "kind": "full"}, then plan anew; or name fewer people.'
        )
        raise Conflict(cause, fix)
