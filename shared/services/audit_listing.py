"""The audit by who, what, whom, when and with which outcome; and all of that as a file.

One filter, and the time, are Firestore's: each of FIELDS has its index. Of several, the first of FIELDS is asked for
and the others narrow what comes, within `AT_ONCE` reads: whoever gets a cursor and few records can search on.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from shared.domain.audit import Audit, audit
from shared.domain.errors import Invalid
from shared.ports import Op, Query
from shared.repositories import AUDIT, audit_write
from shared.services.context import Actor, Ports
from shared.services.exports import Pages

FIELDS = ("target", "actor", "action", "outcome")
"""By how few records one value of it usually has."""
AT_ONCE = 1000
PAGE = 200


class Wanted(Struct, frozen=True):
    """Exact values, "" for any; from `since` on, and before `until`."""

    target: str = ""
    actor: str = ""
    action: str = ""
    outcome: str = ""
    since: datetime | None = None
    until: datetime | None = None

    @property
    def asked(self) -> list[tuple[str, str]]:
        return [(name, value) for name in FIELDS if (value := getattr(self, name))]

    @property
    def where(self) -> list[tuple[str, Op, Any]]:
        """What Firestore has an index for."""
        found: list[tuple[str, Op, Any]] = [(name, "==", value) for name, value in self.asked[:1]]
        found += [("at", ">=", self.since)] if self.since else []
        return found + ([("at", "<", self.until)] if self.until else [])

    def fits(self, record: Audit) -> bool:
        return all(getattr(record, name) == value for name, value in self.asked[1:])


class Found(Struct, frozen=True):
    """`looked`: how many records were read for it, of `total` that fit the filters of the index."""

    items: Sequence[Audit]
    next_cursor: str | None
    total: int
    looked: int


async def listing(ports: Ports, wanted: Wanted, limit: int = 50, cursor: str | None = None) -> Found:
    """The newest first. With one filter `total` is theirs; with several it is that of the first. Raises `Invalid` for a
    cursor that is none."""
    query = Query("audit", wanted.where, "-at", limit, cursor or None)
    if len(wanted.asked) < 2:
        found = await AUDIT.list(ports.documents, query.where, query.order, limit, query.cursor)
        return Found(found.items, found.next_cursor, found.total, len(found.items))
    return await _narrowed(ports, wanted, limit, cursor)


async def _narrowed(ports: Ports, wanted: Wanted, limit: int, cursor: str | None) -> Found:
    """A cursor of it names a page and how many of its records were looked at."""
    skip, following = _place(cursor)
    query: Query | None = Query("audit", wanted.where, "-at", PAGE, following)
    total, items, looked = await ports.documents.count(Query("audit", wanted.where, "-at")), list[Audit](), 0
    while query and looked < AT_ONCE:
        page = await ports.documents.query(query)
        for at, document in enumerate(page.items[skip:], skip):
            if len(items) == limit:
                return Found(items, f"{at}~{query.cursor or ''}", total, looked)
            looked += 1
            record = AUDIT.stored(document).record
            items += [record] if wanted.fits(record) else []
        skip, query = 0, replace(query, cursor=page.next_cursor) if page.next_cursor else None
    return Found(items, f"0~{query.cursor}" if query else None, total, looked)


def _place(cursor: str | None) -> tuple[int, str | None]:
    skip, apart, following = (cursor or "0~").partition("~")
    if not apart or not (skip.isascii() and skip.isdigit() and len(skip) < 4):
        raise Invalid.field("cursor", "expected the next_cursor of the page before")
    return int(skip), following or None


async def export(ports: Ports, actor: Actor, wanted: Wanted) -> Pages:
    """All of them, the newest first. Who takes them is recorded before anything is given, and is not among them."""
    until = min(wanted.until, ports.now()) if wanted.until else ports.now()
    wanted = replace(wanted, until=until)
    record = audit(ports.now(), actor.name, "export", "audit", f"{ports.chance():x}", source=actor.source)
    first = await ports.documents.query(Query("audit", wanted.where, "-at", PAGE))
    await ports.documents.write(audit_write(record.but(detail={"form": "csv"} | dict(wanted.asked))))
    return _pages(ports, wanted, first)


async def _pages(ports: Ports, wanted: Wanted, page: Any) -> Pages:
    while True:
        records = [AUDIT.stored(document).record for document in page.items]
        yield [record for record in records if wanted.fits(record)]
        if page.next_cursor is None:
            return
        page = await ports.documents.query(Query("audit", wanted.where, "-at", PAGE, page.next_cursor))
