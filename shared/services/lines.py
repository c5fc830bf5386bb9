"""Lines of an import, or of an act on many people: where they lie, and what lies between two of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from shared.domain.imports import KEPT, Line, Part, packed
from shared.ports import Create
from shared.services.context import Ports

TOGETHER = 200
"""Documents read in one round trip."""


def part_path(parent: str, at: int) -> str:
    return f"{parent}/lines/{at:04}"


def creations(parent: str, lines: Sequence[Line], now: datetime) -> tuple[tuple[int, ...], list[Create]]:
    """How many lines each part has, and the writes that make the parts."""
    parts = packed(lines)
    made = [Create(part_path(parent, at), Part.of_lines(part, now + KEPT).data()) for at, part in enumerate(parts)]
    return tuple(len(part) for part in parts), made


async def read_lines(ports: Ports, parent: str, sizes: Sequence[int], start: int, limit: int) -> list[Line]:
    """Reads the parts that hold them, and no others."""
    wanted: list[int] = []
    first, before = 0, 0
    for at, size in enumerate(sizes):
        if before < start + limit and before + size > start:
            first = first if wanted else before
            wanted.append(at)
        before += size
    found: list[Line] = []
    for at in range(0, len(wanted), TOGETHER):
        paths = [part_path(parent, part) for part in wanted[at : at + TOGETHER]]
        documents = await ports.documents.get_many(paths)
        found += [line for document in documents if document for line in Part.of(document.data).read()]
    return found[start - first : start - first + limit]
