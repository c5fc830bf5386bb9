"""Categories of rooms: an admin's words for them. Read all together, written one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from shared.domain import ids
from shared.domain.audit import audit
from shared.domain.categories import MOST, Category
from shared.domain.errors import Conflict, Invalid, Outpaced
from shared.ports import Delete, Query, Write
from shared.rarer_repositories import CATEGORIES
from shared.repositories import Listing, Stored, audit_write, every
from shared.services.context import Actor, Ports

KEPT = 60.0
"""Seconds until this process sees what another one has changed. Its own changes it sees at once."""


class Wanted(Struct, frozen=True):
    """`key`: the Idempotency-Key; `body`: a digest of the request."""

    name: str
    keywords: tuple[str, ...] = ()
    synonyms: Mapping[str, Sequence[str]] = {}
    rooms: tuple[str, ...] = ()
    key: str = ""
    body: str = ""


async def everything(ports: Ports, *, anew: bool = False) -> list[Category]:
    """All of them, by name."""

    async def read() -> list[Category]:
        found = await every(ports.documents, Query(CATEGORIES.collection))
        return sorted((Category.of(each.data) for each in found), key=lambda each: (each.name.casefold(), each.id))

    return await ports.remember("categories", 0 if anew else KEPT, read)


async def listing(ports: Ports, limit: int, cursor: str | None) -> Listing[Category]:
    return await CATEGORIES.list(ports.documents, order="name", limit=limit, cursor=cursor)


async def read(ports: Ports, category_id: str) -> Category:
    """Raises `NotFound`."""
    return (await CATEGORIES.get(ports.documents, category_id)).record


async def create(ports: Ports, actor: Actor, wanted: Wanted, *, dry_run: bool = False) -> tuple[Category, bool]:
    """The category, and whether it was made just now. Raises `Conflict` for a name that another one has, and for a key
    used with another body."""
    name = ids.keyed_id("cat", actor.name, "categories", wanted.key or f"{ports.chance():032x}")
    known = await CATEGORIES.find(ports.documents, name) if wanted.key else None
    if known:
        return _repeated(known, wanted), False
    await _check_name(ports, wanted.name)
    category = _of(wanted, name, Category(id=name, name=wanted.name, created_at=ports.now(), request=wanted.body))
    if dry_run:
        return category, True
    try:
        await _write(ports, actor, "category.create", category, CATEGORIES.create(category, name))
    except Outpaced:  # the same key at the same moment
        return _repeated(await CATEGORIES.get(ports.documents, name), wanted), False
    return category, True


def _repeated(known: Stored[Category], wanted: Wanted) -> Category:
    if known.record.request != wanted.body:
        raise Conflict("this Idempotency-Key was used with another body", "Use a new key for a new category.")
    return known.record


async def replace(
    ports: Ports, actor: Actor, category_id: str, wanted: Wanted, revision: int, *, dry_run: bool = False
) -> Category:
    """The whole of it. Raises `NotFound`, and `Conflict` when it is not at that revision any more. The same again, from
    the revision before, changes nothing: it is answered as it is there."""
    stored = await CATEGORIES.get(ports.documents, category_id)
    changed = _of(wanted, category_id, stored.record)
    if revision == stored.record.revision - 1 and changed == stored.record:
        return stored.record
    _check_revision(stored.record, revision)
    if changed == stored.record:
        return changed
    await _check_name(ports, wanted.name, category_id)
    changed = changed.but(revision=revision + 1, updated_at=ports.now())
    if not dry_run:
        try:
            await _write(ports, actor, "category.edit", changed, stored.replaced(changed))
        except Outpaced as error:
            raise _overtaken(changed.name) from error
    return changed


async def delete(
    ports: Ports, actor: Actor, category_id: str, revision: int | None = None, *, dry_run: bool = False
) -> None:
    """Its rooms stay as they are. Raises `NotFound`, and `Conflict` when a revision is named and is not its own."""
    stored = await CATEGORIES.get(ports.documents, category_id)
    if revision is not None:
        _check_revision(stored.record, revision)
    if dry_run:
        return
    try:
        await _write(ports, actor, "category.delete", stored.record, Delete(stored.path, stored.version))
    except Outpaced as error:
        raise _overtaken(stored.record.name) from error


def _of(wanted: Wanted, category_id: str, base: Category) -> Category:
    return base.but(
        id=category_id,
        name=wanted.name,
        keywords=tuple(dict.fromkeys(wanted.keywords)),
        synonyms={word: list(dict.fromkeys(also)) for word, also in wanted.synonyms.items()},
        rooms=tuple(dict.fromkeys(wanted.rooms)),
    )


def _check_revision(category: Category, revision: int) -> None:
    if category.revision != revision:
        raise _overtaken(category.name)


def _overtaken(name: str) -> Conflict:
    cause = f"{name} was changed by somebody else since you read it"
    return Conflict(cause, "Read it again, make your change to what is there now, and send it with that revision.")


async def _check_name(ports: Ports, name: str, category_id: str = "") -> None:
    others = [each for each in await everything(ports, anew=True) if each.id != category_id]
    if any(each.name.casefold() == name.casefold() for each in others):
        raise Conflict(f"there is a category {name!r} already", "Edit that one, or choose another name.")
    if len(others) >= MOST:
        raise Invalid.field("name", f"expected at most {MOST} categories: delete one first")


async def _write(ports: Ports, actor: Actor, action: str, category: Category, write: Write) -> None:
    """With its audit record, and at once seen by this process."""
    record = audit(ports.now(), actor.name, action, category.id, str(category.revision), source=actor.source)
    detail = {"name": category.name, "revision": category.revision}
    await ports.documents.write(write, audit_write(record.but(detail=detail)))
    await everything(ports, anew=True)
