"""What Muster asks of Google Cloud, and about what that costs. An estimate: the bill is Google's.

The operations of an onboarding follow from its plan; they were counted on the real stack, and a test counts them
again. Prices and free tiers are Google's public ones for us-central1, as copies of its pages showed them on `AS_OF`;
other regions cost more. Prices, tiers and assumptions can all be set otherwise, by the setting COST_PRICES.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Self

from msgspec import Struct
from msgspec.structs import asdict

AS_OF = date(2026, 11, 21)
CURRENCY = "USD"
DAYS = 30
"""Of the month that is reckoned with. Firestore's free tier is one for each day: a rush may leave it on one day."""


class Operations(Struct, frozen=True):
    """Firestore's `reads`, `writes` and `deletes` by document; `tasks` enqueued; `requests` answered by Muster;
    calls of `matrix` and `authentik`, which cost nothing at Google. `documents`: those that are kept."""

    reads: float = 0
    writes: float = 0
    deletes: float = 0
    tasks: float = 0
    requests: float = 0
    matrix: float = 0
    authentik: float = 0
    documents: float = 0

    def __add__(self, other: Self) -> Operations:
        mine, theirs = asdict(self), asdict(other)
        return Operations(**{name: mine[name] + theirs[name] for name in mine})

    def __mul__(self, times: float) -> Operations:
        return Operations(**{name: value * times for name, value in asdict(self).items()})


BY_WEBHOOK = Operations(reads=45, writes=40, tasks=6, requests=7, matrix=6, authentik=3, documents=20)
"""One that begins with the webhook of an invite's last use: group, farewell, removal, hello and welcome, all at the
first try and in plain text. One write is a block of the webhook's permits: many at once share it."""
PER_ROOM = Operations(reads=4, writes=4, tasks=1, requests=1, matrix=2, documents=2)
AFTERWARDS = Operations(reads=1, writes=1, deletes=1, matrix=2)
"""What a sweep adds for each: the direct room is listed in m.direct. And the permits are swept away."""
SWEEP = Operations(reads=19, writes=2, deletes=1, requests=1, authentik=1)
"""One that finds nothing to do. It looks for an hour at each account that is new: a read for each."""
SYNC = Operations(reads=4, writes=4, requests=1, matrix=2, authentik=3)
"""Both sources, with nothing new. What is new is a document or two for each shard it is in."""
LOOKED_AT_MINUTES = 60


class Item(Struct, frozen=True):
    """A line of the bill. `free`: in a month, `unit`s all of them."""

    name: str
    unit: str
    price: float
    free: float


ITEMS = (
    Item("reads", "Firestore: documents read", 0.03 / 100_000, 50_000 * DAYS),
    Item("writes", "Firestore: documents written", 0.09 / 100_000, 20_000 * DAYS),
    Item("deletes", "Firestore: documents deleted", 0.01 / 100_000, 20_000 * DAYS),
    Item("stored_gib", "Firestore: GiB kept", 0.15, 1),
    Item("task_operations", "Cloud Tasks: tasks created and delivered", 0.40 / 1_000_000, 1_000_000),
    Item("requests", "Cloud Run: requests", 0.40 / 1_000_000, 2_000_000),
    Item("vcpu_seconds", "Cloud Run: vCPU seconds", 0.000024, 180_000),
    Item("gib_seconds", "Cloud Run: GiB seconds of memory", 0.0000025, 360_000),
    Item("schedules", "Cloud Scheduler: schedules", 0.10, 3),
    Item("secret_versions", "Secret Manager: active versions", 0.06, 6),
    Item("log_gib", "Cloud Logging: GiB", 0.50, 50),
    Item("image_gib", "Artifact Registry: GiB", 0.10, 0.5),
)
SOURCE = "the pricing pages of each service below cloud.google.com, for us-central1"
ASSUMED: Mapping[str, float] = {
    "sweep_minutes": 1,
    "sync_minutes": 5,
    "rooms": 5,
    "request_seconds": 0.5,
    "sweep_seconds": 2,
    "vcpu": 1,
    "memory_gib": 0.5,
    "document_kib": 2,
    "log_kib": 2.5,
    "schedule_count": 2,
    "secret_count": 8,
    "image_size_gib": 1,
}
"""What nobody has measured in production: seconds are those that Cloud Run bills, cold starts included, for one
request at a time; a document's size is with its indexes; the log is ours and Cloud Run's own, for each request; `rooms`
counts where nobody knows better."""
PRICES: Mapping[str, float] = {
    **{item.name: item.price for item in ITEMS},
    **{f"free_{item.name}": item.free for item in ITEMS},
    **ASSUMED,
}
NOT_COUNTED = (
    "what admins ask of the API and the page",
    "tries after a fault, and what encryption stores with each message",
    "traffic that leaves Google, backups, point-in-time recovery, spans",
    "Authentik and the homeserver themselves",
)


class Line(Struct, frozen=True):
    """`covered`: how much of `amount` is free, from 0 to 1. `list_price`: without the free tier."""

    name: str
    unit: str
    amount: float
    covered: float
    list_price: float
    money: float


class Bill(Struct, frozen=True):
    operations: Operations
    lines: Sequence[Line]

    @property
    def money(self) -> float:
        return sum(line.money for line in self.lines)

    @property
    def list_price(self) -> float:
        return sum(line.list_price for line in self.lines)


def prices(changed: Mapping[str, float]) -> Mapping[str, float]:
    return {**PRICES, **changed}


def onboarding(rooms: float, known: Mapping[str, float] = PRICES) -> Operations:
    """All that one member costs, with what the sweeps do for them."""
    looks = Operations(reads=LOOKED_AT_MINUTES / known["sweep_minutes"])
    return BY_WEBHOOK + PER_ROOM * rooms + AFTERWARDS + looks


def per_onboarding(rooms: float, known: Mapping[str, float] = PRICES) -> Bill:
    """As if there were no free tier, and without what is there anyway: the price of one more."""
    operations = onboarding(rooms, known)
    return _bill(operations, _usage(operations, operations.documents, 0, known), known, free=False)


def month(onboardings: float, rooms: float, kept: float, known: Mapping[str, float] = PRICES) -> Bill:
    """So many onboardings, and the schedules, for `DAYS` days. `kept`: those of all time, whose documents stay."""
    sweeps, syncs = (DAYS * 24 * 60 / known[f"{name}_minutes"] for name in ("sweep", "sync"))
    operations = onboarding(rooms, known) * onboardings + SWEEP * sweeps + SYNC * syncs
    documents = onboarding(rooms, known).documents * kept
    fixed = {name: known[count] for name, count in FIXED.items()}
    return _bill(operations, _usage(operations, documents, sweeps + syncs, known) | fixed, known, free=True)


FIXED = {"schedules": "schedule_count", "secret_versions": "secret_count", "image_gib": "image_size_gib"}


def _usage(operations: Operations, documents: float, runs: float, known: Mapping[str, float]) -> dict[str, float]:
    """`runs`: of the schedules."""
    seconds = (operations.requests - runs) * known["request_seconds"] + runs * known["sweep_seconds"]
    return {
        "reads": operations.reads,
        "writes": operations.writes,
        "deletes": operations.deletes,
        "stored_gib": documents * known["document_kib"] / 2**20,
        "task_operations": operations.tasks * 2,
        "requests": operations.requests,
        "vcpu_seconds": seconds * known["vcpu"],
        "gib_seconds": seconds * known["memory_gib"],
        "log_gib": operations.requests * known["log_kib"] / 2**20,
    }


def _bill(operations: Operations, usage: Mapping[str, float], known: Mapping[str, float], *, free: bool) -> Bill:
    return Bill(operations, [_line(item, usage[item.name], known, free) for item in ITEMS if item.name in usage])


def _line(item: Item, amount: float, known: Mapping[str, float], free: bool) -> Line:
    covered = min(amount, known[f"free_{item.name}"] if free else 0.0)
    price = known[item.name]
    share = covered / amount if amount else 1.0
    return Line(item.name, item.unit, amount, share, amount * price, (amount - covered) * price)


def as_data(bill: Bill) -> dict[str, Any]:
    """Rounded to what an estimate can say."""
    operations = {name: round(value, 1) for name, value in asdict(bill.operations).items()}
    return {"operations": operations, "money": round(bill.money, 6), "list_price": round(bill.list_price, 6)}
