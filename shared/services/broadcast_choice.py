"""Whom a message is to go to: chosen from the cache, or live where there is none, and decided once.

Who cannot be written to is in the list as well, with the reason: nobody is left out silently.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from shared.bounded import each
from shared.domain.broadcasts import MOST, MOST_ROOMS, Recipient
from shared.domain.bulk import OUTPOST, OWN
from shared.domain.bundles import Bundle
from shared.domain.cached_users import UserRow
from shared.domain.errors import Invalid, NotFound, Refused
from shared.domain.members import member_id
from shared.domain.plans import Person
from shared.services import bundles, cached_people, lists
from shared.services.context import Ports
from shared.services.managed import room_id_of

EVERYBODY = 10_000_000
NO_ID = ("nobody has said which Matrix id is theirs", "Name it on their page, then write to them.")
OUT = ("is deactivated, off-boarded, or held until an admin decides", "Decide on that first, on their page.")
BOT = ("is the bot itself", "")
NO_PERSON = ("is no person: a system signs in with this account", "")
Way = Literal["people", "pks", "users", "bundle", "members_of", "rooms"]


class To(Struct, frozen=True):
    """One way of choosing, and what it needs: Matrix ids, pks or rooms in `names`; a bundle's or a room's id in
    `name`."""

    way: Way
    names: tuple[str, ...] = ()
    pks: tuple[int, ...] = ()
    name: str = ""
    filter: lists.Wanted = lists.Wanted()


class Choice(Struct, frozen=True):
    """`asked`: as it is stored, without names of people. `about`: the same in words."""

    people: Sequence[Recipient]
    asked: dict[str, Any]
    about: str


async def choose(ports: Ports, to: To) -> Choice:
    """Each once. Raises `Invalid` on the field of `to` that is meant, also for more than one message may go to."""
    choice = await CHOOSERS[to.way](ports, to)
    people = _once(choice.people)
    if len(people) > MOST:
        fix = "narrow it down, by a group, a bundle or a room, and write in several messages"
        raise Invalid.field("to", f"these are {len(people):,} people, and a message goes to {MOST:,} at most: {fix}")
    return replace(choice, people=people)


def _once(people: Iterable[Recipient]) -> list[Recipient]:
    """Of several accounts with one Matrix id the first that can be written to."""
    found: dict[object, Recipient] = {}
    for one in people:
        name = one.matrix_id or one.room or one.pk
        if name not in found or (found[name].cause and not one.cause):
            found[name] = one
    return list(found.values())


# ------------------------------------------------------------------ people


Rows = Sequence[tuple[UserRow, Sequence[str]]]


async def _users(ports: Ports, to: To) -> Choice:
    by = to.filter
    asked = {
        name: value for name, value in (("q", by.words), ("active", by.active), ("group", by.group)) if value != ""
    }
    asked = {name: value for name, value in asked.items() if value is not None}
    people = await _of_rows(ports, await lists.chosen(ports, by, EVERYBODY))
    where = ", ".join(_in_words(name, value) for name, value in asked.items())
    return Choice(people, {"way": "users", **asked}, f"people {where}" if where else "everybody with an account")


def _in_words(name: str, value: object) -> str:
    if name == "active":
        return "who are active" if value else "who are deactivated"
    return f"in the group {value}" if name == "group" else f"found by “{value}”"


async def _pks(ports: Ports, to: To) -> Choice:
    found = await lists.named(ports, to.pks)
    gone = [_gone(pk) for pk, row, _ in found if row is None]
    people = await _of_rows(ports, [(row, names) for _, row, names in found if row])
    return Choice([*people, *gone], {"way": "pks", "count": len(found)}, _chosen(len(found)))


def _gone(pk: int) -> Recipient:
    return Recipient(name=f"account {pk}", pk=pk, cause="there is no such account in Authentik", fix="Choose anew.")


def _chosen(many: int) -> str:
    return f"{many:,} chosen {'person' if many == 1 else 'people'}"


async def _bundle(ports: Ports, to: To) -> Choice:
    [bundle] = await _named(ports, to.name)
    rows = await lists.chosen(ports, lists.Wanted(), EVERYBODY)
    people = await _of_rows(ports, rows, bundle)
    return Choice(people, {"way": "bundle", "bundle": bundle.id}, f"who has the bundle {bundle.name}")


async def _named(ports: Ports, name: str) -> list[Bundle]:
    return await bundles.named(ports, [name], field="to.bundle")


async def _of_rows(ports: Ports, rows: Rows, bundle: Bundle | None = None) -> list[Recipient]:
    """Of who has the bundle alone, where one is named."""
    plain = [cached_people.plainly(ports, row, names) for row, names in rows]
    known = await cached_people.known(ports, plain, [bundle] if bundle else [])
    pairs = zip(rows, known, strict=True)
    return [_person(ports, row, one) for (row, _), one in pairs if bundle is None or _has(one, bundle)]


def _has(person: Person, bundle: Bundle) -> bool:
    return person.active and (bundle.id in person.bundles or bool(person.groups & set(bundle.for_groups)))


def _person(ports: Ports, row: UserRow, one: Person) -> Recipient:
    person = Recipient(one.matrix_id, "", row.name, row.username, row.pk)
    if row.username in OWN or row.username.startswith(OUTPOST):
        return against(person, NO_PERSON)
    return against(person, _why(ports, one.matrix_id, active=one.active))


def _why(ports: Ports, matrix_id: str, *, active: bool) -> tuple[str, str]:
    if not matrix_id:
        return NO_ID
    if matrix_id == ports.policy.bot:
        return BOT
    return ("", "") if active else OUT


def against(one: Recipient, why: tuple[str, str]) -> Recipient:
    return replace(one, cause=why[0], fix=why[1])


async def _people(ports: Ports, to: To) -> Choice:
    """Also who has no account here: a guest from another server."""
    wanted = [member_id(name, "to.people") for name in to.names]
    return Choice(await _of_ids(ports, wanted), {"way": "people", "count": len(wanted)}, _chosen(len(wanted)))


async def _of_ids(ports: Ports, wanted: Sequence[str]) -> list[Recipient]:
    everybody = await _of_rows(ports, await lists.chosen(ports, lists.Wanted(), EVERYBODY))
    known = {one.matrix_id: one for one in _once(everybody)}
    return [known.get(name) or against(Recipient(name), _why(ports, name, active=True)) for name in wanted]


async def _members(ports: Ports, to: To) -> Choice:
    """Who has joined the room, as the homeserver says now; the bot is no member."""
    try:
        chat, room_id = await ports.chat(), await room_id_of(ports, to.name)
        room, there = await chat.room(room_id), await chat.members(room_id)
    except (Refused, NotFound) as error:
        raise Invalid.field("to.members_of", f"{to.name}: the bot is not in it, or there is no such room") from error
    bot = (await chat.whoami()).user_id
    people = await _of_ids(ports, sorted(who for who, state in there.items() if state == "join" and who != bot))
    return Choice(people, {"way": "members_of", "room": room_id}, f"who is in {room.name or room.alias or room_id}")


# ------------------------------------------------------------------ rooms


async def _rooms(ports: Ports, to: To) -> Choice:
    if len(to.names) > MOST_ROOMS:
        raise Invalid.field("to.rooms", f"expected at most {MOST_ROOMS} rooms")
    found = await each(to.names, lambda room: _room(ports, room))
    named = ", ".join(one.name for one in found[:3]) + (f" and {len(found) - 3} more" if len(found) > 3 else "")
    return Choice(found, {"way": "rooms", "rooms": [one.room for one in found]}, f"the rooms {named}")


async def _room(ports: Ports, name: str) -> Recipient:
    """As the homeserver says now. Raises a passing fault where it does not answer."""
    chat = await ports.chat()
    try:
        room_id = await room_id_of(ports, name)
        room, power = await chat.room(room_id), await chat.power(room_id)
    except (Refused, NotFound):
        return against(Recipient(room=name, name=name), ("the bot is not in it, or there is no such room", INVITE_IT))
    one = Recipient(room=room_id, name=room.name or room.alias or room_id)
    if power.ours < power.events_default:
        need = f"the bot may not write there: that needs power {power.events_default}, and it has {power.ours}"
        return against(one, (need, "Give the bot that power in the room's settings."))
    if room.kind == "m.space":
        return against(one, ("is a space, in which nobody reads messages", "Choose rooms of it."))
    if room.encrypted and not ports.policy.encrypt:
        return against(one, ("is encrypted, and encryption is switched off here", ENCRYPT))
    return one


INVITE_IT = "Invite the bot to it and let it join."
ENCRYPT = "Set MATRIX_ENABLE_ENCRYPTION after scripts/setup matrix."
CHOOSERS = {
    "people": _people,
    "pks": _pks,
    "users": _users,
    "bundle": _bundle,
    "members_of": _members,
    "rooms": _rooms,
}
