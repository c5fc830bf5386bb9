"""New accounts, made by an admin: the intent first, then the account in Authentik, groups, a way in, the onboarding."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from shared.domain import ids, members
from shared.domain.errors import Conflict, Invalid, MusterError, Outpaced
from shared.domain.records import Record
from shared.ports import Account, Create, Delete, Directory, Group, Query, Replace
from shared.repositories import Stored
from shared.services import bundles, users
from shared.services.context import Actor, Ports
from shared.services.enroll import Start, begin
from shared.services.groups import check_grantable
from shared.services.onboardings import View, begun, view
from shared.services.users import audited

ATTRIBUTE = "muster_user"
"""Names our record in the account, so that one whose answer was lost is found again."""
NAMES_TRIED = 8
BUSY = timedelta(seconds=60)
"""Longer than making an account takes: a repeat that comes earlier would set a second password over the first."""


class Wanted(Struct, frozen=True):
    """What an admin asks for. `key`: the Idempotency-Key; `body`: a digest of the request. `way_in`: whether a link or
    password is made, which nobody but the caller ever sees."""

    first_name: str
    last_name: str = ""
    email: str = ""
    username: str = ""
    groups: tuple[str, ...] = ()
    rooms: tuple[str, ...] = ()
    bundles: tuple[str, ...] = ()
    matrix_id: str = ""
    attributes: dict[str, Any] = field(default_factory=dict)
    skip_indoc: bool = False
    send_welcome: bool = True
    personal_line: str = ""
    key: str = ""
    body: str = ""
    way_in: bool = True

    @property
    def name(self) -> str:
        return f"{self.first_name} {self.last_name}".strip()


class Request(Record, frozen=True, kw_only=True):
    """The intent, committed before the account is made: `chosen`: the admin named the
    username. `busy_until`: somebody is at it. `made`: the onboarding has begun."""

    id: str
    username: str
    chosen: bool = False
    name: str
    actor: str
    created_at: datetime
    email: str = ""
    groups: tuple[str, ...] = ()
    rooms: tuple[str, ...] = ()
    bundles: tuple[str, ...] = ()
    matrix_id: str = ""
    attributes: dict[str, Any] = field(default_factory=dict)
    skip_indoc: bool = False
    send_welcome: bool = True
    personal_line: str = ""
    body: str = ""
    busy_until: datetime | None = None
    made: bool = False
    account_pk: int = 0


class Made(Struct, frozen=True):
    """`recovery_link` or `temporary_password`: shown once, stored nowhere; neither in a repeat."""

    account: Account
    view: View
    recovery_link: str = ""
    temporary_password: str = ""
    secret_shown: bool = False


async def create(ports: Ports, actor: Actor, wanted: Wanted, *, dry_run: bool = False) -> Made:
    """Raises `Conflict` for a username that is taken or a key used with another body, `Invalid`."""
    if wanted.username and not members.USERNAME.fullmatch(wanted.username):
        raise Invalid.field("username", members.USERNAME_FORM)
    name = request_id(actor, wanted.key or f"{ports.chance():032x}")
    groups, known = await asyncio.gather(check_grantable(ports, wanted.groups), _known(ports, name, wanted))
    wanted = replace(wanted, bundles=await bundles.granting(ports, wanted.bundles))
    if dry_run:
        return await _dry(ports, actor, wanted)
    if known and known.record.made:
        account = await (await ports.directory()).account(known.record.account_pk)
        return Made(account, await view(ports, ids.onboarding_id(account.uid)), secret_shown=True)
    request = await _resumed(ports, known) if known else await _intent(ports, actor, wanted, name)
    try:
        account, request = await _account(ports, request)
        return await _finish(ports, actor, account, request, groups, way_in=wanted.way_in)
    except Exception:
        with contextlib.suppress(MusterError):  # it lapses by itself
            await _release(ports, request.id)
        raise


def request_id(actor: Actor, key: str) -> str:
    """Of the intent; the account bears it in `ATTRIBUTE`."""
    return ids.keyed_id("usr", actor.name, "users", key)


async def _known(ports: Ports, name: str, wanted: Wanted) -> Stored[Request] | None:
    document = await ports.documents.get(f"user_requests/{name}") if wanted.key else None
    if document is None:
        return None
    known = Stored(Request.of(document.data), document.path, document.version)
    if known.record.body != wanted.body:
        raise Conflict("this Idempotency-Key was used with another body", "Use a new key for a new user.")
    return known


async def _resumed(ports: Ports, known: Stored[Request]) -> Request:
    """One that was begun and not finished, unless somebody is at it. Raises `Conflict`."""
    if _is_busy(known.record, ports.now()):
        raise _being_made()
    again = known.record.but(busy_until=ports.now() + BUSY)
    try:
        await ports.documents.write(known.replaced(again))
    except Outpaced as error:
        raise _being_made() from error
    return again


async def is_being_made(ports: Ports, name: str) -> bool:
    """Whether somebody is at this request just now, or has died over it a moment ago."""
    document = await ports.documents.get(f"user_requests/{name}")
    return document is not None and _is_busy(Request.of(document.data), ports.now())


def _is_busy(request: Request, now: datetime) -> bool:
    return request.busy_until is not None and request.busy_until > now


def _being_made() -> Conflict:
    return Conflict("the same request is being carried out just now", "Ask again in a minute.")


async def _release(ports: Ports, name: str) -> None:
    document = await ports.documents.get(f"user_requests/{name}")
    if document is not None:
        free = Request.of(document.data).but(busy_until=None)
        await ports.documents.write(Replace(document.path, free.data(), document.version))


async def _dry(ports: Ports, actor: Actor, wanted: Wanted) -> Made:
    username = wanted.username or members.suggested_username(wanted.first_name, ports.chance())
    if wanted.username and await (await ports.directory()).account_named(wanted.username):
        raise Conflict(f"the username {wanted.username!r} is taken", "Choose another one.")
    account = Account(0, "", username, wanted.name, wanted.email, active=True)
    start = Start(
        "api",
        actor,
        wanted.matrix_id,
        wanted.rooms,
        wanted.groups,
        (),
        wanted.skip_indoc,
        wanted.send_welcome,
        bundles=wanted.bundles,
        personal_line=wanted.personal_line,
    )
    return Made(account, await begun(ports, account, start, dry_run=True))


async def _intent(ports: Ports, actor: Actor, wanted: Wanted, name: str) -> Request:
    request = Request(
        id=name,
        username=wanted.username or members.suggested_username(wanted.first_name, ports.chance()),
        name=wanted.name,
        actor=actor.name,
        created_at=ports.now(),
        email=wanted.email,
        groups=wanted.groups,
        rooms=wanted.rooms,
        bundles=wanted.bundles,
        matrix_id=wanted.matrix_id,
        attributes=wanted.attributes,
        chosen=bool(wanted.username),
        skip_indoc=wanted.skip_indoc,
        send_welcome=wanted.send_welcome,
        personal_line=wanted.personal_line,
        body=wanted.body,
        busy_until=ports.now() + BUSY,
    )
    try:
        await ports.documents.write(Create(_path(request), request.data()))
    except Outpaced as error:
        raise _being_made() from error
    return request


def _path(request: Request) -> str:
    return f"user_requests/{request.id}"


async def _account(ports: Ports, request: Request) -> tuple[Account, Request]:
    """Makes the account under the committed username; one that is taken gives way to the next."""
    directory = await ports.directory()
    for _ in range(NAMES_TRIED):
        try:
            return await _create_or_find(directory, request), request
        except Conflict as error:
            if request.chosen:
                await _withdraw(ports, request)
                raise Conflict(f"the username {request.username!r} is taken", "Choose another one.") from error
            request = await _another_name(ports, request)
    await _withdraw(ports, request)
    raise Conflict("every username that was tried is taken", "Give one yourself.")


async def _create_or_find(directory: Directory, request: Request) -> Account:
    marked = request.attributes | {ATTRIBUTE: request.id}
    try:
        return await directory.create_account(
            username=request.username, name=request.name, email=request.email, attributes=marked
        )
    except Conflict:
        ours = await directory.account_marked(ATTRIBUTE, request.id)
        if ours is None:
            raise
        return ours


async def _another_name(ports: Ports, request: Request) -> Request:
    other = request.but(username=members.suggested_username(request.name, ports.chance()))
    return await _rewrite(ports, other)


async def _rewrite(ports: Ports, request: Request) -> Request:
    document = await ports.documents.get(_path(request))
    if document is not None:
        await ports.documents.write(Replace(document.path, request.data(), document.version))
    return request


async def _withdraw(ports: Ports, request: Request) -> None:
    """Nothing was made: the same key may be used again with a better name."""
    document = await ports.documents.get(_path(request))
    if document is not None:
        await ports.documents.write(Delete(document.path, document.version))


async def _finish(
    ports: Ports, actor: Actor, account: Account, request: Request, groups: list[Group], *, way_in: bool
) -> Made:
    """Groups and the way in side by side; then the onboarding, which takes care of what failed."""
    directory = await ports.directory()
    added, (link, password) = await asyncio.gather(
        _add_groups(directory, account, groups),
        users.way_in(ports, directory, account.pk) if way_in else _no_way_in(),
    )
    start = _start(request, actor, added)
    verdict = await begin(ports, account, start)
    shown = await view(ports, verdict.onboarding)
    account = await directory.account(account.pk) if added else account
    # Whatever fails up to here can be repeated; from here on the way in counts as shown, so nothing may fail.
    await _rewrite(ports, request.but(made=True, account_pk=account.pk))
    await audited(ports, actor, "user.create", account, {"groups": list(added)})
    return Made(account, shown, link, password)


async def _no_way_in() -> tuple[str, str]:
    return "", ""


def _start(request: Request, actor: Actor, added: tuple[str, ...]) -> Start:
    return Start(
        "api",
        actor,
        request.matrix_id,
        request.rooms,
        request.groups,
        added,
        request.skip_indoc,
        request.send_welcome,
        bundles=request.bundles,
        personal_line=request.personal_line,
    )


async def _add_groups(directory: Directory, account: Account, groups: list[Group]) -> tuple[str, ...]:
    """Those that could be added now, under both their names; the onboarding's step adds the others."""
    results = await asyncio.gather(
        *(directory.add_to_group(group.pk, account.pk) for group in groups), return_exceptions=True
    )
    added = [group for group, result in zip(groups, results, strict=True) if not isinstance(result, BaseException)]
    return tuple(name for group in added for name in (group.name, group.pk))


async def finish_half_made(ports: Ports, limit: int = 50) -> int:
    """For the sweep: accounts that were made, and whose onboarding never began."""
    page = await ports.documents.query(Query("user_requests", [("made", "==", False)], limit=limit))
    finished = 0
    for document in page.items:
        request = Request.of(document.data)
        if (ports.now() - request.created_at).total_seconds() < 120 or _is_busy(request, ports.now()):
            continue
        directory = await ports.directory()
        account = await directory.account_marked(ATTRIBUTE, request.id)
        if account is None:
            await _withdraw(ports, request)
            continue
        await begin(ports, account, _start(request, Actor(request.actor), ()))
        await _rewrite(ports, request.but(made=True, account_pk=account.pk))
        finished += 1
    return finished
