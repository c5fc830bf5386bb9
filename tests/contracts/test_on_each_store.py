"""Services whose promise hangs on the store: the largest import, and limits that hold however many ask at once."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from functions.admin import MAX_FILE
from functions.admin.import_fields import read
from shared.domain.broadcasts import MOST as MOST_RECIPIENTS
from shared.domain.errors import Refused, TooMany
from shared.domain.imports import MAX_LINES
from shared.ports import Query
from shared.repositories import MESSAGES
from shared.services import broadcasts, imports
from shared.services.broadcast_choice import To
from shared.services.broadcast_run import counted
from shared.services.imports import Wanted
from shared.services.limits import proactive
from shared.settings import Settings
from shared.wiring import Wiring
from tests.world import ADMIN, World

if TYPE_CHECKING:
    from tests.contracts.documents_fixtures import Store

pytest_plugins = ("tests.contracts.documents_fixtures",)

MOST = "MAX_PROACTIVE_MESSAGES_PER_DAY"
CALLERS = 16


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


# ------------------------------------------------------------------ a message to many


async def test_a_message_stops_however_many_try_at_once(store: Store) -> None:
    """Sixteen tasks side by side, all of which fail: every failure is counted, no try begins once 20 are recorded, and
    it stops once; the largest one that there may be is stored at once."""
    made = World(_now=store.clock())
    made.documents = store.connect()  # type: ignore[assignment]
    everybody = tuple(f"@m{number}:elsewhere.test" for number in range(MOST_RECIPIENTS))
    wanted = broadcasts.Wanted(To("people", names=everybody), "Hello", expected=len(everybody))
    assert (await broadcasts.start(made, ADMIN, wanted)).sends == MOST_RECIPIENTS
    few = broadcasts.Wanted(To("people", names=everybody[:60]), "Hello", expected=60)
    started = await broadcasts.start(made, ADMIN, few)
    job = next(task for task in made.queue.tasks.values() if task.payload.get("job") == started.message.job)
    await made.deliver(job)
    tasks = iter([task for task in made.queue.tasks.values() if task.entry_point == "send_message"])
    made.homeserver.fail_next(Refused("you are not welcome"), times=60, method="create_direct_room")

    async def work_off() -> None:
        for task in tasks:
            await made.deliver(task)

    await asyncio.gather(*(work_off() for _ in range(CALLERS)))
    counts = await counted(made, started.message.id)
    assert 20 <= counts["failed"] < 20 + CALLERS
    assert counts["failed"] + counts["waiting"] == 60
    assert len(made.homeserver.called("create_direct_room")) == counts["failed"]
    stopped = (await MESSAGES.get(made.documents, started.message.id)).record
    assert stopped.state == "stopped"
    said = await made.documents.query(Query("audit", [("action", "==", "message.stop")]))
    assert len(said.items) == 1


# ------------------------------------------------------------------ limits


class Instance(Wiring):
    """One of several: its own client and memory, the store that all share, and a clock that stands still."""

    def __init__(self, store: Store, most: int = 3) -> None:
        super().__init__(Settings({"MATRIX_DOMAIN": "x.test", MOST: str(most)}))
        self.__dict__["documents"] = store.connect()
        self._clock = store.clock

    def now(self) -> datetime:
        return self._clock()


async def let_through(instance: Instance, limit: int, tries: int = 1000) -> int:
    """How many requests of one caller come through, until one is told to wait."""
    for number in range(tries):
        try:
            await instance.limiter.take("api", "key:ops", limit, "API_REQUESTS_PER_MINUTE")
        except TooMany:
            return number
    return tries


@pytest.mark.parametrize(("instances", "limit"), [(16, 50), (4, 123), (2, 7)])
async def test_never_more_than_the_limit(store: Store, instances: int, limit: int) -> None:
    """Sixteen callers at once on many instances: exactly the limit gets through in a minute, and as many in the next."""
    running = [Instance(store) for _ in range(instances)]
    for _ in range(2):
        callers = [let_through(running[number % instances], limit) for number in range(CALLERS)]
        assert sum(await asyncio.gather(*callers)) == limit
        store.clock.pass_by(minutes=1)


async def test_callers_do_not_share(store: Store) -> None:
    """What one caller has used up keeps no other from asking, nor the same one from asking for something else."""
    instance = Instance(store)
    assert await let_through(instance, 5) == 5
    for what, caller in (("api", "key:script"), ("webhook", "key:ops")):
        await instance.limiter.take(what, caller, 5, "")


@pytest.mark.parametrize("instances", [16, 2])
async def test_never_more_messages_a_day(store: Store, instances: int) -> None:
    """Sixteen steps of one member at once: exactly the limit is sent; each asked again, the same ones may."""
    running = [Instance(store) for _ in range(instances)]

    async def ask() -> list[datetime | None]:
        steps = (
            proactive(running[n % instances], "@ada:x.test", f"jobs/{n}/steps/message:0000") for n in range(CALLERS)
        )
        return await asyncio.gather(*steps)

    first = await ask()
    assert first.count(None) == 3
    midnight = store.clock().replace(hour=0) + timedelta(days=1)
    assert set(first) == {None, midnight}
    assert await ask() == first
    store.clock.time = midnight
    assert (await ask()).count(None) == 3


async def test_one_step_many_times(store: Store) -> None:
    """The same step sixteen times at once counts once."""
    running = [Instance(store, most=2) for _ in range(4)]
    asked = (proactive(running[n % 4], "@ada:x.test", "jobs/a/steps/m") for n in range(CALLERS))
    assert set(await asyncio.gather(*asked)) == {None}
    assert await proactive(running[0], "@ada:x.test", "jobs/b/steps/m") is None
    assert await proactive(running[1], "@ada:x.test", "jobs/c/steps/m") is not None
