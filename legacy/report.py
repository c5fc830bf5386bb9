"""What came of each thing, with a reason; the file of what was left out can be mended and read again."""

from __future__ import annotations

import csv
import io
import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct, field

Outcome = Literal["made", "unchanged", "skipped", "failed"]
COLUMNS = ("kind", "key", "outcome", "reason", "data")


class Entry(Struct, frozen=True):
    """`kind`: setting, matrix id, invite, note, category, categories (a part of one), text, removal reason, rooms,
    table or column. `data`: what it takes to try it again; never a secret."""

    kind: str
    key: str
    outcome: Outcome
    reason: str = ""
    data: dict[str, Any] = field(default_factory=dict)


def counted(entries: Iterable[Entry]) -> dict[tuple[str, Outcome], int]:
    return dict(sorted(Counter((entry.kind, entry.outcome) for entry in entries).items()))


def as_csv(entries: Iterable[Entry]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for entry in entries:
        data = json.dumps(entry.data, ensure_ascii=False, sort_keys=True) if entry.data else ""
        writer.writerow((entry.kind, entry.key, entry.outcome, entry.reason, data))
    return text.getvalue()


def again(text: str) -> list[Entry]:
    """Of a file as `as_csv` writes it. Raises `ValueError`."""
    rows = list(csv.DictReader(io.StringIO(text)))
    return [Entry(row["kind"], row["key"], "skipped", row["reason"], json.loads(row["data"] or "{}")) for row in rows]


def is_report(text: str) -> bool:
    return text.partition("\n")[0].strip() == ",".join(COLUMNS)


def write_private(path: Path, text: str) -> None:
    """For its owner's eyes: there are secrets and personal data in it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def left_out(entries: Sequence[Entry]) -> list[Entry]:
    return [entry for entry in entries if entry.outcome in ("skipped", "failed")]
