"""Everything of a kind, page by page: never more of it in memory than one page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from shared.bounded import each
from shared.domain.audit import audit
from shared.domain.errors import Invalid, NotFound
from shared.ports import Account, Query
from shared.rarer_repositories import CATEGORIES, IMPORTS, PLANS, REMOVAL_REASONS
from shared.repositories import AUDIT, BUNDLES, INVITES, JOBS, ONBOARDINGS, Repository, audit_write
from shared.services import lists
from shared.services.context import Actor, Ports
from shared.services.room_lists import everything

PAGE = 200
ONE_BY_ONE = 500
"""Accounts that are asked for by their pks, eight at once; beyond that, whole pages are cheaper."""
EVERYONE = 10_000_000
EVERYBODY = lists.Wanted()
Pages = AsyncIterator[Sequence[Any]]


async def begin(ports: Ports, actor: Actor, what: str, form: str, only: lists.Wanted = EVERYBODY) -> Pages:
    """Who takes what is recorded before anything is given; the first page is read before the answer begins, so that
    what cannot be read is an error and not an empty file. `only`: of users, those whom that list shows. Raises
    `Invalid` for a filter of anything else."""
    asked = {"q": only.words, "active": only.active, "group": only.group}
    given = {name: value for name, value in asked.items() if value not in ("", None)}
    if given and what != "users":
        raise Invalid("only users can be filtered", [(name, "is a filter of users alone") for name in given])
    pages = some_users(ports, only) if given else SOURCES[what](ports)
    first = await anext(pages, ())
    record = audit(ports.now(), actor.name, "export", what, f"{ports.chance():x}", source=actor.source)
    await ports.documents.write(audit_write(record.but(detail={"form": form} | ({"filter": given} if given else {}))))
    return _from(first, pages)


async def _from(first: Sequence[Any], others: Pages) -> Pages:
    yield first
    async for page in others:
        yield page


def records(repository: Repository[Any], order: str) -> Callable[[Ports], Pages]:
    """The oldest first: what comes in meanwhile comes at the end, and shifts nothing."""

    async def pages(ports: Ports) -> Pages:
        query: Query | None = Query(repository.collection, (), order, PAGE)
        while query:
            page = await ports.documents.query(query)
            yield [repository.stored(item).record for item in page.items]
            query = replace(query, cursor=page.next_cursor) if page.next_cursor else None

    return pages


async def users(ports: Ports) -> Pages:
    """Authentik's pages are numbered: an account that is deleted meanwhile may take the next one's place with it."""
    number: int | None = 1
    directory = await ports.directory()
    while number:
        found = await directory.accounts(page=number, size=100)
        yield found.items
        number = found.next_page


async def some_users(ports: Ports, only: lists.Wanted) -> Pages:
    """Whom the list finds, as Authentik has them: one by one where they are few, else by going through everybody."""
    wanted = [row.pk for row, _ in await lists.chosen(ports, only, ONE_BY_ONE)]
    if len(wanted) <= ONE_BY_ONE:
        for at in range(0, max(1, len(wanted)), PAGE):
            found = await each(wanted[at : at + PAGE], lambda pk: _account(ports, pk))
            yield [account for account in found if account]
        return
    pks = {row.pk for row, _ in await lists.chosen(ports, only, EVERYONE)}
    async for page in users(ports):
        yield [account for account in page if account.pk in pks]


async def _account(ports: Ports, pk: int) -> Account | None:
    try:
        return await (await ports.directory()).account(pk)
    except NotFound:  # deleted since the cache was read
        return None


async def rooms(ports: Ports) -> Pages:
    yield (await everything(ports))[0]


SOURCES: Mapping[str, Callable[[Ports], Pages]] = {
    "users": users,
    "invites": records(INVITES, "created_at"),
    "onboardings": records(ONBOARDINGS, "created_at"),
    "bundles": records(BUNDLES, "created_at"),
    "plans": records(PLANS, "created_at"),
    "removal_reasons": records(REMOVAL_REASONS, "created_at"),
    "rooms": rooms,
    "categories": records(CATEGORIES, "created_at"),
    "jobs": records(JOBS, "created_at"),
    "imports": records(IMPORTS, "created_at"),
    "audit": records(AUDIT, "at"),
}
