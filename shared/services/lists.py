"""Lists of users and rooms: from the cache, with its age; where there is none yet, or it is older than what this
process has changed since, from Authentik and the homeserver themselves."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import islice

from msgspec import Struct

from shared.bounded import each
from shared.domain import cached_users
from shared.domain.cache import Users
from shared.domain.cached_rooms import RoomRow
from shared.domain.errors import Invalid, MusterError, NotFound
from shared.ports import Account, Accounts, Room
from shared.services import cache, user_shards
from shared.services.context import Ports
from shared.services.managed import managed
from shared.services.sync_requests import touched_at

AFTER = "after-"
LIVE_PAGE = 100
"""Authentik gives no more at once."""


class Person(Struct, frozen=True):
    """`groups`: names."""

    pk: int
    username: str
    name: str
    email: str
    active: bool
    groups: Sequence[str]
    matrix_id: str
    onboarding: str
    joined_at: datetime | None
    last_login: datetime | None


class Wanted(Struct, frozen=True):
    """`words`: each of them somewhere in username, name, e-mail or Matrix id."""

    words: str = ""
    active: bool | None = None
    group: str = ""
    limit: int = 50
    cursor: str | None = None


class People(Struct, frozen=True):
    """`synced_at`: how old it may be at most."""

    items: Sequence[Person]
    next_cursor: str | None
    total: int
    synced_at: datetime


class Homes(Struct, frozen=True):
    rooms: Sequence[Room]
    synced_at: datetime


async def people(ports: Ports, wanted: Wanted) -> People:
    """By pk, and from Authentik by when they joined, which is the same order. Raises `Invalid` for an unknown group and
    for a cursor of another list."""
    if wanted.cursor and not wanted.cursor.startswith(AFTER):
        return await _live(ports, wanted)
    known = await _users(ports, started=bool(wanted.cursor))
    if known is None:
        return await _live(ports, wanted)
    found = _found(known, wanted)
    if found is None or (wanted.words and not found.total):
        return await _perhaps_new(ports, wanted, found)
    return found


async def chosen(ports: Ports, wanted: Wanted, most: int) -> list[tuple[cached_users.UserRow, Sequence[str]]]:
    """All whom `people` would list, each with the names of their groups: one more than `most` where there are more."""
    known = await _users(ports, started=False)
    group = known.group_named(wanted.group) if known and wanted.group else ""
    if known is not None and group is not None:
        found = known.found(wanted.words, wanted.active, group)
        rows: list[tuple[cached_users.UserRow, Sequence[str]]] = []
        rows += [(row, known.group_names(row)) for row in islice(found, most + 1)]
        if rows or not wanted.words:
            return rows
    return await _chosen_live(ports, wanted, most)


async def _chosen_live(ports: Ports, wanted: Wanted, most: int) -> list[tuple[cached_users.UserRow, Sequence[str]]]:
    rows: list[tuple[cached_users.UserRow, Sequence[str]]] = []
    page: int | None = 1
    while page and len(rows) <= most:
        found = await _accounts(ports, wanted, page, LIVE_PAGE)
        rows += [(user_shards.row_of(account), account.groups) for account in found.items]
        page = found.next_page
    return rows[: most + 1]


async def named(ports: Ports, pks: Sequence[int]) -> list[tuple[int, cached_users.UserRow | None, Sequence[str]]]:
    """Each of them, as the cache has them or, where it has not, as Authentik does; None: there is no such account."""
    known, wanted = await _users(ports, started=False), dict.fromkeys(pks)
    rows = {row.pk: row for row in known if row.pk in wanted} if known else {}

    async def one(pk: int) -> tuple[int, cached_users.UserRow | None, Sequence[str]]:
        if known and pk in rows:
            return pk, rows[pk], known.group_names(rows[pk])
        try:
            account = await (await ports.directory()).account(pk)
        except NotFound:
            return pk, None, ()
        return pk, user_shards.row_of(account), account.groups

    return await each(wanted, one)


async def rooms(ports: Ports) -> Homes:
    """By name."""
    known = await cache.rooms(ports)
    if known is None or known.sync.synced_at is None:
        return Homes(await managed(ports), ports.now())
    return Homes([room_of(row) for row in known.by_name()], known.sync.synced_at)


def room_of(row: RoomRow) -> Room:
    return Room(
        row.room_id,
        row.name,
        row.topic,
        row.alias,
        row.encrypted,
        row.joined,
        row.kind,
        row.join_rule,
        replaced_by=row.replacement,
    )


async def fresh_users(ports: Ports, seconds: float) -> Users | None:
    """The cache, where it is no older than that, and than what this process has changed since."""
    known = await _users(ports, started=False)
    age = known.sync.age(ports.now()) if known else None
    return known if age is not None and age <= seconds else None


async def _users(ports: Ports, *, started: bool) -> Users | None:
    """None: there is no cache, or only one from before our own last change; but a list that was begun goes on."""
    known, changed = await cache.users(ports), await touched_at(ports, "authentik")
    if known is None or known.sync.synced_at is None:
        return None
    return None if changed and changed >= known.sync.synced_at and not started else known


def _found(known: Users, wanted: Wanted) -> People | None:
    """None: the cache knows no such group."""
    group = known.group_named(wanted.group) if wanted.group else ""
    if group is None or known.sync.synced_at is None:
        return None
    start, total = _start(wanted.cursor), 0
    rows: list[cached_users.UserRow] = []
    for row in known.found(wanted.words, wanted.active, group):
        total += 1
        if row.pk > start and len(rows) <= wanted.limit:
            rows.append(row)
    items = [_person(row, known.group_names(row)) for row in islice(rows, wanted.limit)]
    more = len(rows) > wanted.limit
    return People(items, f"{AFTER}{items[-1].pk}" if more else None, total, known.sync.synced_at)


async def _perhaps_new(ports: Ports, wanted: Wanted, found: People | None) -> People:
    """Nobody of that name, or no such group: perhaps Authentik has had them for moments only."""
    try:
        return await _live(ports, wanted if found is None else Wanted(wanted.words, wanted.active, wanted.group))
    except Invalid:
        raise
    except MusterError:
        if found is None:
            raise
        return found


def _start(cursor: str | None) -> int:
    text = (cursor or f"{AFTER}0").removeprefix(AFTER)
    if not (text.isascii() and text.isdigit() and len(text) < 11):
        raise _no_cursor()
    return int(text)


def _person(row: cached_users.UserRow, groups: Sequence[str]) -> Person:
    joined, login = cached_users.instant(row.joined_at), cached_users.instant(row.last_login)
    return Person(
        row.pk, row.username, row.name, row.email, row.active, groups, row.matrix_id, row.onboarding, joined, login
    )


async def _live(ports: Ports, wanted: Wanted) -> People:
    """A cursor is a page number and the size that it counts in."""
    size = min(wanted.limit, LIVE_PAGE)
    page = _page(wanted.cursor, size)
    at = ports.now()
    found = await _accounts(ports, wanted, page, size)
    following = f"{found.next_page}-{size}" if found.next_page else None
    return People([_account(account) for account in found.items], following, found.total, at)


async def _accounts(ports: Ports, wanted: Wanted, page: int, size: int) -> Accounts:
    directory = await ports.directory()
    try:
        return await directory.accounts(
            search=wanted.words, active=wanted.active, group=wanted.group, page=page, size=size
        )
    except Invalid as error:  # it names Authentik's parameter, not ours
        raise Invalid.field("group", f"there is no group {wanted.group!r} in Authentik") from error


def _account(account: Account) -> Person:
    return _person(user_shards.row_of(account), account.groups)


def _page(cursor: str | None, size: int) -> int:
    if not cursor:
        return 1
    page, _, of = cursor.partition("-")
    if not (page.isascii() and page.isdigit() and 0 < int(page[:8]) == int(page)) or of != str(size):
        raise _no_cursor()
    return int(page)


def _no_cursor() -> Invalid:
    return Invalid.field("cursor", "expected the next_cursor of the page before, with the same limit")
