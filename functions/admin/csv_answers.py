"""Answers that are CSV: to be saved as a file, and by nobody in between."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from starlette.responses import Response

from shared.domain import sheets

CSV: dict[int | str, dict[str, Any]] = {
    200: {"description": "A table, UTF-8", "content": {"text/csv": {"schema": {"type": "string"}}}}
}


def file_headers(name: str) -> dict[str, str]:
    """`name`: letters, digits, dashes and dots only."""
    return {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}


def csv_answer(columns: Sequence[str], rows: Iterable[Sequence[str]], name: str) -> Response:
    """For what is known to be small."""
    return Response(sheets.write(columns, rows), media_type="text/csv", headers=file_headers(f"{name}.csv"))
