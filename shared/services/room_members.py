"""Who is in a room, as the last sync saw it, page by page.

A page costs at most 10 reads at 100,000 Matrix ids: the state document, the room's own shard of members, the one of
its row, the table of ids (4), and where that leaves enough of them, the accounts for the names. A process that has read
them before pays for the state documents alone.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from shared.domain.bridges import bridge_of
from shared.domain.cache import Memberships
from shared.domain.cached_rooms import RoomRow
from shared.domain.cached_users import UserRow
from shared.domain.errors import Conflict, Invalid, NotFound
from shared.services import cache
from shared.services.context import Ports
from shared.services.rooms import PROTECTED

FOR_NAMES = 2
"""Documents with accounts that are read for the names, at most; beyond, only who holds them already shows names."""


class Resident(Struct, frozen=True):
    """`kept`: why nobody takes them out here. `bridge`: by which they come, "" of who is on Matrix."""

    matrix_id: str
    membership: str
    power: int
    pk: int | None = None
    username: str = ""
    name: str = ""
    kept: str = ""
    bridge: str = ""


class Page(Struct, frozen=True):
    """`named`: whether the accounts were looked at."""

    items: Sequence[Resident]
    next_cursor: str | None
    total: int
    named: bool
    synced_at: datetime


async def page(ports: Ports, room_id: str, words: str, limit: int, cursor: str | None) -> Page:
    """By Matrix id; each word is somewhere in it, or in the name or username where that is known. Raises `NotFound`,
    `Conflict` while there is no cache, `Invalid` for a cursor of another list."""
    where = await cache.memberships_of(ports, room_id)
    if where is None or where.sync.synced_at is None:
        raise Conflict("who is in which room was never read", "Ask for it: Read again on Rooms, then wait for its end.")
    row = where.rooms.get(room_id)
    if row is None:
        raise NotFound(f"the cache knows no room {room_id}", "Read again on Rooms, or look whether the bot is in it.")
    users = await cache.users_for_names(ports, FOR_NAMES)
    states = dict(where.states_of(room_id).items())
    names = _named(states, users, ports.policy.domain) if users is not None else {}
    found = sorted(who for who in states if _fits(who, names.get(who), words.casefold().split()))
    start = _after(found, cursor)
    items = [_resident(ports, who, row, where, states, names.get(who)) for who in found[start : start + limit]]
    more = start + limit < len(found)
    return Page(items, items[-1].matrix_id if more else None, len(found), users is not None, where.sync.synced_at)


def _named(states: Collection[str], users: Collection[UserRow], domain: str) -> dict[str, UserRow]:
    """As their username gives it: what an admin has said otherwise is in no cache."""
    found: dict[str, UserRow] = {}
    for row in users:
        matrix_id = f"@{row.username}:{domain}"
        if matrix_id in states and row.matrix_id in ("", matrix_id):
            found[matrix_id] = row
    return found


def _fits(matrix_id: str, row: UserRow | None, words: Sequence[str]) -> bool:
    if not words:
        return True
    text = matrix_id.casefold() + (f"\n{row.name}\n{row.username}".casefold() if row else "")
    return all(word in text for word in words)


def _after(found: Sequence[str], cursor: str | None) -> int:
    if cursor and not cursor.startswith("@"):
        raise Invalid.field("cursor", "expected the next_cursor of the page before")
    return bisect_right(found, cursor) if cursor else 0


def _resident(
    ports: Ports, who: str, row: RoomRow, where: Memberships, states: Mapping[str, str], account: UserRow | None
) -> Resident:
    kept, bridge = _kept(ports, who, row, where.sync.bot), bridge_of(who, ports.policy.puppets)
    plain = Resident(who, states[who], row.power_of(who), kept=kept, bridge=bridge)
    if account is None:
        return plain
    return replace(plain, pk=account.pk, username=account.username, name=account.name)


def _kept(ports: Ports, who: str, row: RoomRow, bot: str) -> str:
    """Seen in the cache, for greying out: what really happens is decided live."""
    if who == bot:
        return "is the bot itself"
    if who in ports.policy.protected:
        return PROTECTED
    ours = row.power_of(bot) if bot else None
    theirs = row.power_of(who)
    return f"they have power {theirs} here, the bot {ours}" if ours is not None and theirs >= ours > 0 else ""
