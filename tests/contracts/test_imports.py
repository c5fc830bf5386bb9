"""The largest import, on each store: its lines are one batch, and a page of them few documents."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from functions.admin import MAX_FILE
from functions.admin.import_fields import read
from shared.domain.imports import MAX_LINES
from shared.services import imports
from shared.services.imports import Wanted
from tests.world import ADMIN, World

if TYPE_CHECKING:
    from tests.contracts.documents_fixtures import Store

pytest_plugins = ("tests.contracts.documents_fixtures",)


@pytest.mark.parametrize(("lines", "text"), [(MAX_LINES, 160), (240, 4000)])
async def test_as_large_as_may_be(store: Store, lines: int, text: int) -> None:
    """As many lines, or as long ones, as a file may have are stored at once, shown and begun."""
    made = World(_now=store.clock())
    made.documents = store.connect()  # type: ignore[assignment]
    rows = "".join(f"Member {number},m{number}@b.test,{'é' * (text // 2)}\n" for number in range(lines))
    file = f"first_name,email,intro\n{rows}".encode()
    assert 0.8 * MAX_FILE < len(file) <= MAX_FILE
    columns, found = read(file, "users", made.now())
    started = await imports.start(made, ADMIN, Wanted("users", columns, found, key="k", body="b"))
    again = await imports.start(made, ADMIN, Wanted("users", columns, found, key="k", body="b"))
    assert [line.line for line in again.lines] == list(range(2, lines + 2))
    page = await imports.table(made, started.imported.id, 50, str(lines - 50))
    assert ([line.line for line in page.lines], page.next_cursor) == (list(range(lines - 48, lines + 2)), None)
    assert await made.once(made.due("lines")) == "scheduled"
    counts = (await imports.table(made, started.imported.id, 1)).imported.counts
    assert counts == {"created": 200, "pending": lines - 200}
