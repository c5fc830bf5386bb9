"""What both stores of documents share: which paths and queries are allowed, order and cursors.

The limits are Firestore's (its documentation, and the emulator's refusals), kept by SQLite as well,
so that nothing passes a unit test that production refuses.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from shared.adapters.documents_data import MAX_NAME_BYTES, dumps, is_unicode, lookup, tagged, untagged
from shared.domain.errors import Invalid
from shared.ports import Document, Increment, Query, Write

MAX_WRITES: Final = 500
MAX_IN: Final = 30

_RANGES = frozenset({"<", "<=", ">", ">="})
_OPS = _RANGES | {"==", "in", "array_contains"}
_RESERVED = re.compile(r"\.{1,2}|__.*__", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x1f]")
_UNSEARCHABLE = re.compile(r'[\x00-\x1f"\\]')


def check_path(path: str) -> None:
    """Raises `Invalid` on the field `id`: such a path often holds an id that somebody typed."""
    parts = path.split("/")
    if len(parts) % 2 or not all(map(_is_name, parts)):
        raise Invalid.field("id", "is not the id of a document")


@lru_cache(4096)
def _is_name(part: str) -> bool:
    return bool(
        part
        and is_unicode(part)
        and not _RESERVED.fullmatch(part)
        and not _CONTROL.search(part)
        and len(part.encode()) <= MAX_NAME_BYTES
    )


def check_writes(writes: Sequence[Write]) -> None:
    """A batch writes a document once; what it wrote it may increment."""
    if len(writes) > MAX_WRITES:
        raise Invalid.field("writes", f"at most {MAX_WRITES} in one batch")
    seen = set[str]()
    for write in writes:
        check_path(write.path)
        if write.path in seen and not isinstance(write, Increment):
            raise Invalid.field("writes", f"{write.path} is written twice in one batch")
        seen.add(write.path)


def field_parts(field: str) -> list[str]:
    """Keys from the top of the document. A key that holds a dot cannot be reached."""
    parts = field.split(".")
    if not all(parts) or _UNSEARCHABLE.search(field):
        raise Invalid.field("field", f"{field!r} cannot be searched or counted")
    return parts


def check_query(query: Query) -> None:
    """Raises `Invalid`; the values are checked as data are."""
    parts = query.collection.split("/")
    if (len(parts) != 1 if query.group else len(parts) % 2 == 0) or not all(map(_is_name, parts)):
        raise Invalid.field("collection", f"{query.collection!r} is not a collection")
    if query.limit < 1:
        raise Invalid.field("limit", "must be at least 1")
    for field, op, value in query.where:
        field_parts(field)
        _check_condition(field, op, value)


def _check_condition(field: str, op: str, value: Any) -> None:
    tagged(value, field)
    if op not in _OPS:
        raise Invalid.field(field, f"{op!r} is not an operator")
    if op == "in" and not (isinstance(value, list | tuple) and 1 <= len(value) <= MAX_IN):
        raise Invalid.field(field, f'"in" takes a list of 1 to {MAX_IN} values')
    if op != "==" and (value is None or (op == "in" and None in value)):
        raise Invalid.field(field, 'None can only be compared with "=="')


# ------------------------------------------------------------------ order and cursors


def ordering(query: Query) -> tuple[list[str], bool]:
    """The fields that sort, most significant first, before the path; and whether all descend.

    Firestore sorts by every field under a range filter before it sorts by path, and refuses to
    do otherwise; so a range adds its field, after that of `order`.
    """
    order = query.order.removeprefix("-")
    ranged = {field for field, op, _ in query.where if op in _RANGES} - {order}
    return ([order] if order else []) + sorted(ranged), query.order.startswith("-")


def cursor_after(query: Query, document: Document) -> str:
    """The position behind this document, for the next page of the same query."""
    fields, _ = ordering(query)
    values = [tagged(lookup(document.data, field)) for field in fields]
    text = dumps({"query": _shape(query), "values": values, "path": document.path})
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def position(query: Query) -> tuple[list[Any], str] | None:
    """Sort values and path that the cursor names. Raises `Invalid` on the field `cursor`."""
    if query.cursor is None:
        return None
    try:
        return _read_cursor(query, query.cursor)
    except (ValueError, KeyError, TypeError, RecursionError, Invalid) as error:
        raise Invalid.field("cursor", "is not the next_cursor of a page of this very query") from error


def _read_cursor(query: Query, cursor: str) -> tuple[list[Any], str]:
    found = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    if found["query"] != _shape(query):
        raise ValueError("another query's")
    values, path = [untagged(value) for value in found["values"]], found["path"]
    check_path(path)
    parent = path.rpartition("/")[0]
    if len(values) != len(ordering(query)[0]) or query.collection != (_last(parent) if query.group else parent):
        raise ValueError("a place where this query never is")
    tagged(values)
    return values, path


def _shape(query: Query) -> str:
    """Everything but limit and cursor, so that a page may have another size than the one before; and but the bounds
    of ranges: "not expired by now" asks anew with each page, and a place in its order stays what it is."""
    where = [[field, op, None if op in _RANGES else tagged(value)] for field, op, value in query.where]
    shape = dumps([query.collection, where, query.order, query.group])
    return hashlib.sha256(shape.encode()).hexdigest()[:16]


def _last(collection: str) -> str:
    return collection.rpartition("/")[2]
