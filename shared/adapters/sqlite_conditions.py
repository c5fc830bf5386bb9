"""Queries over JSON documents as SQL, with Firestore's rules: a comparison finds only values of its
own type; null < booleans < numbers < times < texts < bytes < lists < maps; a missing field is not found.

Column names: `data` is the tagged JSON, `path` the sort key. Values are always bound; field names
are checked by `field_parts` and quoted here.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Any

from shared.adapters.documents_common import field_parts, ordering
from shared.adapters.documents_data import BYTES, dumps, tagged
from shared.ports import Query

Condition = tuple[str, list[Any]]
_ORDER_OF_TYPES = "CASE {0} WHEN 'null' THEN 0 WHEN 'false' THEN 1 WHEN 'true' THEN 1 WHEN 'integer' THEN 2"
_RANK = _ORDER_OF_TYPES + " WHEN 'real' THEN 2 WHEN 'text' THEN 3 WHEN 'array' THEN 4 ELSE 5 END"


def where(query: Query) -> Condition:
    """Everything that decides whether a document belongs to the answer, but for its expiry."""
    column = "name" if query.group else "collection"
    conditions: list[Condition] = [(f"{column} = ?", [query.collection])]
    conditions += [_condition(field, op, value) for field, op, value in query.where]
    return _joined(" AND ", conditions)


def order(query: Query, after: tuple[list[Any], str] | None) -> tuple[Condition, str]:
    """The condition that keeps what lies behind the cursor and has the fields; the ORDER BY."""
    fields, descending = ordering(query)
    columns = [column for field in fields for column in _sorted_by(field)] + ["path"]
    conditions = [(f"{_type(field)} IS NOT NULL", list[Any]()) for field in fields]
    if after:
        places = ", ".join("?" * len(columns))
        bound = [bound for value in after[0] for bound in (_rank(value), _bound(value))]
        conditions.append((f"({', '.join(columns)}) {'<' if descending else '>'} ({places})", [*bound, key(after[1])]))
    direction = " DESC" if descending else ""
    return _joined(" AND ", conditions), ", ".join(column + direction for column in columns)


def key(path: str) -> str:
    """Sorts as Firestore does, segment by segment: the separator is below every letter of an id."""
    return path.replace("/", "\x01")


def _condition(field: str, op: str, value: Any) -> Condition:
    kind, content = _type(field), _content(field)
    if op == "in":
        return _joined(" OR ", [_compared(kind, content, "==", item) for item in value])
    if op == "array_contains":
        inner, bound = _compared("type", "atom", "==", value)
        items = f"SELECT 1 FROM json_each(documents.data, {_place(field)}) WHERE {inner}"  # noqa: S608
        return f"({kind} = 'array' AND EXISTS ({items}))", bound
    return _compared(kind, content, op, value)


def _compared(kind: str, content: str, op: str, value: Any) -> Condition:
    """`value`'s own type decides which stored types can match."""
    if value is None:
        return f"{kind} = 'null'", []
    if isinstance(value, bool):
        return f"({kind} IN ('true', 'false') AND {content} {op} ?)", [int(value)]
    if isinstance(value, int | float):
        return f"({kind} IN ('integer', 'real') AND {content} {op} ?)", [value]
    if isinstance(value, datetime):
        return f"({kind} = 'text' AND {content} {op} ? AND {content} < char(2))", [tagged(value)]
    if isinstance(value, str):
        return f"({kind} = 'text' AND {content} {op} ? AND {content} >= char(2) AND {content} < ?)", [
            tagged(value),
            BYTES,
        ]
    if isinstance(value, bytes):
        return f"({kind} = 'text' AND {content} {op} ? AND {content} >= ?)", [tagged(value), BYTES]
    name = "object" if isinstance(value, dict) else "array"
    content = content if content != "atom" else "value"  # json_each has no atom for lists and maps
    return f"({kind} = '{name}' AND {content} {op} ?)", [dumps(tagged(value))]


def _joined(word: str, conditions: list[Condition]) -> Condition:
    text = word.join(sql for sql, _ in conditions) or "1"
    return f"({text})", [value for _, bound in conditions for value in bound]


def _place(field: str) -> str:
    path = "$" + "".join(f'."{part}"' for part in field_parts(field))
    return "'" + path.replace("'", "''") + "'"


@lru_cache(1024)
def _type(field: str) -> str:
    return f"json_type(data, {_place(field)})"


@lru_cache(1024)
def _content(field: str) -> str:
    return f"json_extract(data, {_place(field)})"


@lru_cache(1024)
def _sorted_by(field: str) -> tuple[str, str]:
    return _RANK.format(_type(field)), f"coalesce({_content(field)}, 0)"


def _rank(value: Any) -> int:
    if value is None or isinstance(value, bool):
        return 0 if value is None else 1
    kinds: list[tuple[Any, int]] = [((int, float), 2), ((str, datetime, bytes), 3), (list, 4)]
    return next((rank for kind, rank in kinds if isinstance(value, kind)), 5)


def _bound(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return int(bool(value))
    content = tagged(value)
    return dumps(content) if isinstance(content, list | dict) else content
