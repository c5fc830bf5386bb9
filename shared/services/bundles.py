"""Bundles: kept, found by id or name, and turned into rooms, groups and levels where they are used."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct, field
from msgspec.structs import asdict, replace

from shared.domain import ids
from shared.domain.audit import audit
from shared.domain.bundles import EVERY_ROOM, Bundle, bundle_id
from shared.domain.errors import Conflict, Invalid, Outpaced
from shared.ports import Create, Delete, Query
from shared.repositories import BUNDLES, Listing, Stored, audit_write, every
from shared.services.context import Actor, Ports
from shared.services.groups import all_groups, check_grantable, find
from shared.services.tasks import again_when_outpaced
from shared.services.ways import Looked, look_at_rooms

MOST = 300
"""Bundles that are looked through when one is named. Far more than anybody can tell apart."""


class Wanted(Struct, frozen=True):
    """What an admin asks for. `rooms`: ids or aliases; `levels`: by those, or by `EVERY_ROOM`."""

    name: str
    rooms: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    for_groups: tuple[str, ...] = ()
    levels: dict[str, int] = field(default_factory=dict)
    removes: bool = False
    space_first: bool = True


async def create(
    ports: Ports, actor: Actor, wanted: Wanted, *, key: str = "", body: str = "", dry_run: bool = False
) -> tuple[Bundle, bool]:
    """The bundle, and whether it was made just now. Its id comes from its name, so there is one of a name; the same
    Idempotency-Key with the same body finds it again. Raises `Conflict`, `Invalid`."""
    name, now = bundle_id(wanted.name), ports.now()
    made_by = ids.digest("bundle", actor.name, key, body) if key else ""
    known = await BUNDLES.find(ports.documents, name)
    if known:
        return _repeated(known.record, made_by), False
    await _check_name(ports, wanted.name, name)
    fields = await _fields(ports, wanted)
    bundle = Bundle(
        id=name,
        created_at=now,
        created_by=actor.name,
        changed_at=now,
        changed_by=actor.name,
        made_by=made_by,
        **fields,
    )
    if dry_run:
        return bundle, True
    record = audit(now, actor.name, "bundle.create", name, source=actor.source, detail={"name": wanted.name})
    try:
        await ports.documents.write(Create(BUNDLES.path(name), bundle.data()), audit_write(record))
    except Outpaced:  # the same name at the same moment
        return _repeated((await BUNDLES.get(ports.documents, name)).record, made_by), False
    return bundle, True


def _repeated(known: Bundle, made_by: str) -> Bundle:
    if not made_by or known.made_by != made_by:
        raise Conflict(f"there is a bundle {known.name!r} already ({known.id})", "Change that one, or choose a name.")
    return known


async def change(
    ports: Ports, actor: Actor, name: str, wanted: Wanted, revision: int, *, dry_run: bool = False
) -> Bundle:
    """Replaces all of it, if it still has this revision. Raises `Conflict`, `Invalid`, `NotFound`."""
    stored = await _at(ports, name, revision)
    await _check_name(ports, wanted.name, name)
    fields = await _fields(ports, wanted)
    before, now = stored.record, ports.now()
    changed = before.but(**fields, changed_at=now, changed_by=actor.name, revision=revision + 1)
    if dry_run:
        return changed
    detail = {
        "revision": changed.revision,
        "fields": [each for each in fields if getattr(before, each) != fields[each]],
    }
    record = audit(now, actor.name, "bundle.change", name, str(revision), source=actor.source, detail=detail)
    try:
        await ports.documents.write(stored.replaced(changed), audit_write(record))
    except Outpaced as error:
        raise _changed_meanwhile(name) from error
    return changed


async def delete(ports: Ports, actor: Actor, name: str, *, dry_run: bool = False) -> None:
    """Nobody loses anything by it. Invites that name it give what else they name; a bundle that is gone is done."""

    async def attempt() -> None:
        stored = await BUNDLES.find(ports.documents, name)
        if stored is None or dry_run:
            return
        record = audit(ports.now(), actor.name, "bundle.delete", name, source=actor.source)
        detail = {"name": stored.record.name, "rooms": list(stored.record.rooms)}
        await ports.documents.write(Delete(stored.path, stored.version), audit_write(record.but(detail=detail)))

    await again_when_outpaced(attempt)


async def _at(ports: Ports, name: str, revision: int) -> Stored[Bundle]:
    stored = await BUNDLES.get(ports.documents, name)
    if stored.record.revision != revision:
        raise _changed_meanwhile(name)
    return stored


def _changed_meanwhile(name: str) -> Conflict:
    return Conflict(f"the bundle {name!r} was changed meanwhile", "Read it again, then change it at its new revision.")


async def _check_name(ports: Ports, wanted: str, own: str) -> None:
    """A name, or an id, that leads to another bundle would give somebody the wrong rooms."""
    for other in await everyone(ports):
        if other.id != own and wanted.casefold() in (other.name.casefold(), other.id):
            raise Conflict(f"there is a bundle {other.name!r} already ({other.id})", "Choose another name.")


async def _fields(ports: Ports, wanted: Wanted) -> dict[str, Any]:
    """As they are stored: rooms by id, each looked at. Raises `Invalid` naming the field."""
    await check_grantable(ports, wanted.groups)
    await check_there(ports, wanted.for_groups, "for_groups")
    looked = await look_at_rooms(ports, wanted.rooms, spaces=wanted.space_first)
    return asdict(replace(wanted, rooms=_room_ids(looked), levels=_levels(wanted, looked))) | {
        "ways": {look.room_id: {"id": look.way.space, "name": look.way.name} for look in looked if look.way}
    }


def _room_ids(looked: Sequence[Looked]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(look.room_id for look in looked))


def _levels(wanted: Wanted, looked: Sequence[Looked]) -> dict[str, int]:
    room_ids = {look.named: look.room_id for look in looked} | {look.room_id: look.room_id for look in looked}
    for room in wanted.levels:
        if room != EVERY_ROOM and room not in room_ids:
            raise Invalid.field("levels", f"expected rooms of this bundle, or {EVERY_ROOM!r} for all of them")
    return {room_ids.get(room, room): level for room, level in wanted.levels.items()}


async def check_there(ports: Ports, names: Iterable[str], field: str) -> None:
    """Raises `Invalid` on that field for a group that Authentik does not have."""
    wanted = list(names)
    groups = await all_groups(ports) if wanted else []
    if any(find(groups, name) is None for name in wanted):
        groups = await all_groups(ports, fresh=True)
    for name in wanted:
        if find(groups, name) is None:
            raise Invalid.field(field, f"there is no group {name!r} in Authentik")


# ------------------------------------------------------------------ found


async def read(ports: Ports, name: str) -> Bundle:
    """Raises `NotFound`."""
    return (await BUNDLES.get(ports.documents, name)).record


async def listing(ports: Ports, limit: int, cursor: str | None) -> Listing[Bundle]:
    return await BUNDLES.list(ports.documents, (), "name", limit, cursor)


async def everyone(ports: Ports) -> list[Bundle]:
    found = await every(ports.documents, Query("bundles", (), "name"))
    if len(found) > MOST:
        raise Conflict(f"there are {len(found)} bundles, and Muster can work with {MOST}", "Delete those of no use.")
    return [Bundle.of(document.data) for document in found]


async def named(ports: Ports, refs: Sequence[str], *, field: str = "bundles") -> list[Bundle]:
    """By id or by name, each once. Raises `Invalid` on `field`."""
    if not refs:
        return []
    held = await everyone(ports)
    by_name = {bundle.name.casefold(): bundle for bundle in held} | {bundle.id: bundle for bundle in held}
    found = {}
    for ref in refs:
        bundle = by_name.get(ref) or by_name.get(ref.casefold())
        if bundle is None:
            raise Invalid.field(field, f"there is no bundle {ref!r}; GET /api/bundles lists them")
        found[bundle.id] = bundle
    return list(found.values())


async def of_ids(ports: Ports, bundle_ids: Sequence[str]) -> list[Bundle]:
    """Those that are still there, as they are now."""
    if not bundle_ids:
        return []
    documents = await ports.documents.get_many([BUNDLES.path(name) for name in bundle_ids])
    return [Bundle.of(document.data) for document in documents if document]


async def granting(ports: Ports, refs: Sequence[str]) -> tuple[str, ...]:
    """Their ids, for who is to have them by a form. Raises `Invalid` also where one gives a group that no form may."""
    found = await named(ports, refs)
    try:
        await check_grantable(ports, [group for bundle in found for group in bundle.groups])
    except Invalid as error:
        raise Invalid.field("bundles", error.cause.removeprefix("groups: ")) from error
    return tuple(bundle.id for bundle in found)
