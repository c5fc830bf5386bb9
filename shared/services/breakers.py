"""A breaker per neighbour: an outage of a day is shown as one fact, and exhausts no attempts.

Five passing faults in a row, in one process, open it for all. While it is open, steps that need the
neighbour wait without trying; `resume_onboardings` probes, and lets them go on.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from shared.domain.errors import Limited, MusterError, TryLater, Unreachable
from shared.domain.records import Record
from shared.ports import Document, Put
from shared.services.context import Ports, log, note

TRIP_AFTER = 5
NAMES = {"matrix": "Matrix", "authentik": "Authentik"}


def neighbour_of(entry_point: str) -> Literal["authentik", "matrix"]:
    """Which one an entry point for tasks needs."""
    return "authentik" if entry_point == "update_account" else "matrix"


class Breaker(Record, frozen=True, kw_only=True):
    """`open` since when, and why; `probe_at`: the next look."""

    neighbour: str
    open: bool
    since: datetime
    cause: str = ""
    probes: int = 0
    probe_at: datetime | None = None

    def words(self) -> str:
        return f"{NAMES[self.neighbour]} down since {self.since:%H:%M} UTC: {self.cause}"


def path(neighbour: str) -> str:
    return f"breakers/{neighbour}"


def read(document: Document | None) -> Breaker | None:
    """The breaker, if it is open."""
    breaker = Breaker.of(document.data) if document else None
    return breaker if breaker and breaker.open else None


async def all_open(ports: Ports) -> list[Breaker]:
    found = await ports.documents.get_many([path(name) for name in NAMES])
    return [breaker for document in found if (breaker := read(document))]


async def saw(ports: Ports, neighbour: str, error: Exception | None) -> Breaker | None:
    """Counts a success or a passing fault; answers the breaker when this one opened it."""
    if not isinstance(error, Unreachable) or error.neighbour != neighbour:
        ports.failures[neighbour] = 0
        return None
    ports.failures[neighbour] = ports.failures.get(neighbour, 0) + 1
    if ports.failures[neighbour] < TRIP_AFTER:
        return None
    return await trip(ports, neighbour, error.cause)


async def trip(ports: Ports, neighbour: str, cause: str) -> Breaker:
    """Opens the breaker, or keeps the one that is open already with its `since`."""
    ports.failures[neighbour] = 0
    known = read(await ports.documents.get(path(neighbour)))
    if known:
        return known
    breaker = Breaker(neighbour=neighbour, open=True, since=ports.now(), cause=cause, probe_at=ports.now())
    await ports.documents.write(Put(path(neighbour), breaker.data()))
    log.error(breaker.words(), extra={"fields": {"neighbour": neighbour}})
    return breaker


async def probe(ports: Ports, breaker: Breaker) -> bool:
    """One cheap call; closes the breaker when it is answered. Waits longer each time, up to 5 minutes."""
    now = ports.now()
    if breaker.probe_at and breaker.probe_at > now:
        return False
    try:
        await _call(ports, breaker.neighbour)
    except Limited:
        pass  # a neighbour that limits us is up
    except TryLater as error:
        again = breaker.but(
            probes=breaker.probes + 1,
            probe_at=now + timedelta(seconds=min(300, 5 * 2 ** min(breaker.probes, 6))),
            cause=error.cause,
        )
        await ports.documents.write(Put(path(breaker.neighbour), again.data()))
        return False
    except MusterError:
        pass  # an answer, if not the one hoped for: the neighbour is up
    await ports.documents.write(Put(path(breaker.neighbour), breaker.but(open=False).data()))
    note("neighbour is back", neighbour=breaker.neighbour)
    return True


async def _call(ports: Ports, neighbour: str) -> None:
    if neighbour == "matrix":
        await (await ports.chat()).joined_rooms()
    else:
        await (await ports.directory()).groups()
