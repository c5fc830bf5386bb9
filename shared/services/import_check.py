"""What would become of each line of an import: asked of Authentik, of the homeserver and of the file itself.

Read in bulk, a bounded number of calls at once: a line is looked at again when it is made.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Sequence

from msgspec import Struct

from shared.bounded import each
from shared.domain import members
from shared.domain.cached_users import UserRow
from shared.domain.errors import Invalid, Refused
from shared.domain.imports import Kind, Line, OnConflict, stopped
from shared.ports import Account, Query, Room
from shared.repositories import INVITES, every
from shared.services import bundles, lists
from shared.services.context import Ports
from shared.services.groups import all_groups, find, is_guarded
from shared.services.managed import managed, room_id_of

PAGE = 100
"""Authentik's largest."""
FRESH = 600.0
"""Seconds: an account that came since is found when its line is made."""


class Known(Struct, frozen=True):
    """What stands against a group, a room, a bundle, a username or an e-mail address (casefolded); nothing against the
    others."""

    groups: dict[str, str]
    rooms: dict[str, str]
    bundles: dict[str, str]
    usernames: dict[str, str]
    emails: dict[str, str]


async def checked(ports: Ports, kind: Kind, lines: Sequence[Line], on_conflict: OnConflict) -> list[Line]:
    """Each line `pending`, or `failed`, `skipped` or `left` with cause and fix. Changes nothing."""
    groups, rooms, given, taken = await asyncio.gather(
        _groups(ports, _named(lines, "groups")),
        rooms_against(ports, _named(lines, "rooms")),
        _bundles(ports, _named(lines, "bundles")),
        _taken(ports, kind, lines),
    )
    known = Known(groups, rooms, given, *taken)
    judged = [_judged(line, kind, known, on_conflict) for line in lines]
    return stopped(judged) if on_conflict == "stop" else judged


def _named(lines: Iterable[Line], field: str) -> list[str]:
    return list(dict.fromkeys(name for line in lines for name in line.fields.get(field, ())))


def _judged(line: Line, kind: Kind, known: Known, on_conflict: OnConflict) -> Line:
    """`known` learns what this line takes, for those below it."""
    errors = [*line.errors, *_refused(line, kind, known)]
    if errors:
        cause = "; ".join(f"{field}: {message}" for field, message in errors)
        return line.but(errors=tuple(errors)).failed(cause, "Correct this line.")
    conflict = _conflict(line, known)
    if conflict:
        fix = "Leave this line out, or correct it."
        return line.failed(conflict, fix, "skipped" if on_conflict == "skip" else "failed")
    email, username = line.fields.get("email", "").casefold(), line.fields.get("username", "")
    known.emails.update({email: f"line {line.line} has the same e-mail address"} if email else {})
    known.usernames.update({username: f"line {line.line} has the same username"} if username else {})
    return line


def _refused(line: Line, kind: Kind, known: Known) -> list[tuple[str, str]]:
    username = line.fields.get("username", "")
    errors = [("rooms", known.rooms[name]) for name in line.fields.get("rooms", ()) if name in known.rooms]
    errors += [("groups", known.groups[name]) for name in line.fields.get("groups", ()) if name in known.groups]
    errors += [("bundles", known.bundles[name]) for name in line.fields.get("bundles", ()) if name in known.bundles]
    if kind == "users" and username and not members.USERNAME.fullmatch(username):
        errors.append(("username", members.USERNAME_FORM))
    return errors


def _conflict(line: Line, known: Known) -> str:
    username, email = line.fields.get("username", ""), line.fields.get("email", "").casefold()
    return known.usernames.get(username, "") or known.emails.get(email, "")


async def _groups(ports: Ports, names: Sequence[str]) -> dict[str, str]:
    if not names:
        return {}
    groups, against = await all_groups(ports, fresh=True), dict[str, str]()
    for name in names:
        group = find(groups, name)
        if group is None:
            against[name] = f"there is no group {name!r} in Authentik; several are separated by a semicolon"
        elif is_guarded(group, ports.policy):
            against[name] = f"{group.name!r} gives administrative power; name it in GRANTABLE_GROUPS to allow this"
    return against


async def rooms_against(ports: Ports, names: Sequence[str]) -> dict[str, str]:
    """A room that the bot is not in is one that it can invite nobody to. Those that the cache does not have are looked
    for once more, live."""
    if not names:
        return {}
    cached = {name for room in (await lists.rooms(ports)).rooms for name in (room.room_id, room.alias)}
    asked = [name for name in names if name not in cached]
    ours = await managed(ports) if asked else []
    answers = await each(asked, lambda name: _against_room(ports, name, ours))
    return {name: answer for name, answer in zip(asked, answers, strict=True) if answer}


async def _against_room(ports: Ports, name: str, ours: Sequence[Room]) -> str:
    if any(name in (room.room_id, room.alias) for room in ours):
        return ""
    try:
        room_id = "" if name.startswith("!") else await room_id_of(ports, name)
    except Refused:
        return f"there is no room {name}"
    return "" if room_id in {room.room_id for room in ours} else f"the bot is not in the room {name}"


async def _bundles(ports: Ports, names: Sequence[str]) -> dict[str, str]:
    async def against(name: str) -> str:
        try:
            await bundles.granting(ports, [name])
        except Invalid as error:
            return "; ".join(message for _, message in error.errors)
        return ""

    answers = await each(names, against)
    return {name: answer for name, answer in zip(names, answers, strict=True) if answer}


async def _taken(ports: Ports, kind: Kind, lines: Sequence[Line]) -> tuple[dict[str, str], dict[str, str]]:
    """Usernames and e-mail addresses that are somebody's already; of invites, also of who is invited."""
    usernames = {line.fields["username"] for line in lines if line.fields.get("username")}
    emails = {line.fields["email"].casefold() for line in lines if line.fields.get("email")}
    found = await _accounts(ports, usernames, emails) if usernames or emails else []
    named = {account.username: f"the username {account.username!r} is taken" for account in found}
    invited = await _invited(ports) if kind == "invites" and emails else {}
    there = {account.email.casefold(): has_account(account) for account in found if account.email}
    return named, invited | there


def has_account(account: Account | UserRow) -> str:
    return f"{account.email} has an account already: {account.username}"


async def _accounts(ports: Ports, usernames: set[str], emails: set[str]) -> Sequence[Account | UserRow]:
    """Those of the cache, where it is fresh. Else everybody page by page, or one question for each name: whichever are
    fewer calls."""
    known = await lists.fresh_users(ports, FRESH)
    if known is not None:
        return [row for row in known if row.username in usernames or row.email.casefold() in emails]
    directory = await ports.directory()
    first = await directory.accounts(size=PAGE)
    pages = math.ceil(first.total / PAGE)
    if pages <= len(usernames) + len(emails):
        others = await each(range(2, pages + 1), lambda page: directory.accounts(page=page, size=PAGE))
        return [account for found in (first, *others) for account in found.items]
    named = await each(sorted(usernames), directory.account_named)
    mailed = await each(sorted(emails), lambda email: directory.accounts(search=email, size=PAGE))
    return [account for account in named if account] + [account for found in mailed for account in found.items]


async def _invited(ports: Ports) -> dict[str, str]:
    """By invites that can still be used."""
    now, query = ports.now(), Query("invites", [("closed", "==", ""), ("expires_at", ">", ports.now())], "expires_at")
    invites = [INVITES.stored(item).record for item in await every(ports.documents, query)]
    return {
        invite.email.casefold(): f"{invite.email} is invited already: {invite.label!r}"
        for invite in invites
        if invite.email and invite.status(now) == "pending"
    }
