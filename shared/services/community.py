"""Who is where, read live: the rooms that bundles name, who is in them, and everybody's account.

For communities that can be read within a request. Of a larger one the cache knows: `shared.services.cached_community`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from shared.bounded import each
from shared.domain import ids, members
from shared.domain.bundles import Bundle
from shared.domain.errors import Conflict, NotFound, Refused
from shared.domain.onboarding import Onboarding
from shared.domain.plans import Person
from shared.ports import Account, Chat, Document, Entry, Levels
from shared.repositories import ONBOARDINGS
from shared.services import matrix_ids
from shared.services.context import Ports
from shared.services.enroll import MATRIX_ATTRIBUTE

MOST_ROOMS = 200
MOST_PEOPLE = 5_000
OUT = ("pending", "rejected")
"""Onboardings that are held: their accounts are deactivated, and may not be yet."""


class TooLarge(Conflict):
    """It cannot be read at once."""


class LivePlace(Struct, frozen=True):
    name: str
    kind: str
    entry: Entry
    levels: Levels
    members: Mapping[str, str]


class LiveCommunity(Struct, frozen=True):
    """A `shared.domain.plans.Community`. `missing`: rooms that bundles name and the bot cannot look into."""

    rooms: Mapping[str, LivePlace]
    people: Sequence[Person]
    missing: Sequence[str] = ()
    notes: Sequence[str] = ()

    def members_of(self, room_id: str) -> Mapping[str, str]:
        return self.rooms[room_id].members


async def live(ports: Ports, bundles: Sequence[Bundle]) -> LiveCommunity:
    """Raises `TooLarge` before anything is read but the number of accounts."""
    wanted = list(dict.fromkeys(room for bundle in bundles for room in bundle.rooms))
    if len(wanted) > MOST_ROOMS:
        raise TooLarge(f"bundles name {len(wanted)} rooms; {MOST_ROOMS} can be read at once", "Name fewer.")
    total = (await (await ports.directory()).accounts(size=1)).total
    if total > MOST_PEOPLE:
        raise TooLarge(f"there are {total} accounts; {MOST_PEOPLE} can be read at once")
    chat = await ports.chat()
    places, people = await asyncio.gather(_places(chat, wanted), everybody(ports))
    spaces = {space for place in places.values() for space in place.entry.rooms} - set(places)
    rooms = places | await _places(chat, sorted(spaces)[:MOST_ROOMS])
    return LiveCommunity(rooms, people, [room for room in wanted if room not in places])


async def _places(chat: Chat, rooms: Sequence[str]) -> dict[str, LivePlace]:
    async def look(room_id: str) -> LivePlace | None:
        try:
            room, entry, levels, there = await asyncio.gather(
                chat.room(room_id), chat.entry(room_id), chat.levels(room_id), chat.members(room_id)
            )
        except (Refused, NotFound):
            return None
        return LivePlace(room.name or room.alias, room.kind, entry, levels, there)

    found = await each(rooms, look)
    return {room: place for room, place in zip(rooms, found, strict=True) if place}


async def everybody(ports: Ports) -> list[Person]:
    """Each account whose Matrix id is known, active or not."""
    directory = await ports.directory()
    people: list[Person] = []
    page: int | None = 1
    while page:
        accounts = await directory.accounts(page=page, size=100)
        people += await known(ports, accounts.items)
        page = accounts.next_page
    return people


async def known(ports: Ports, accounts: Sequence[Account]) -> list[Person]:
    """Those of these accounts whose Matrix id is known. Two documents are read of each."""
    onboardings = [ONBOARDINGS.path(ids.onboarding_id(account.uid)) for account in accounts]
    vouched = [matrix_ids.path_of(account.uid) for account in accounts]
    found = await ports.documents.get_many([*onboardings, *vouched]) if accounts else []
    rows = zip(accounts, found[: len(accounts)], found[len(accounts) :], strict=True)
    people = [_person(ports, account, onboarding, vouch) for account, onboarding, vouch in rows]
    return [person for person in people if person.matrix_id]


def _person(ports: Ports, account: Account, begun: Document | None, vouch: Document | None) -> Person:
    onboarding = Onboarding.of(begun.data) if begun else None
    vouched = str(vouch.data["matrix_id"]) if vouch else ""
    claimed = str(account.attributes.get(MATRIX_ATTRIBUTE) or "")
    plain = Person(
        members.identify(account.username, ports.policy.domain, claimed=claimed).matrix_id,
        account.username,
        frozenset((*account.groups, *account.group_pks)),
        active=account.active,
        onboarding=ids.onboarding_id(account.uid),
    )
    return person_of(plain, onboarding, vouched)


def person_of(plain: Person, onboarding: Onboarding | None, vouched: str) -> Person:
    """Their Matrix id as an onboarding of theirs would have it. `plain`: as the account alone says."""
    given = (onboarding.matrix_id if onboarding else "") or vouched
    return replace(
        plain,
        matrix_id=given or plain.matrix_id,
        bundles=frozenset(onboarding.bundles if onboarding else ()),
        active=plain.active and (onboarding is None or onboarding.hold not in OUT),
    )
