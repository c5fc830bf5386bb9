"""How the system itself is, at the cost of one read: for whoever looks often."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from msgspec import Struct

from shared.services import breakers
from shared.services.breakers import Breaker
from shared.services.context import Ports
from shared.services.enroll import LAST_WEBHOOK
from shared.services.resume import HEARTBEAT


class Status(Struct, frozen=True):
    """`down`: the neighbours that are, the others are up as far as anybody has seen. `sweep_failed`: by part, why."""

    down: Sequence[Breaker] = ()
    sweep_at: datetime | None = None
    sweep_failed: Mapping[str, str] = {}
    webhook_at: datetime | None = None


async def status(ports: Ports) -> Status:
    paths = [*(breakers.path(name) for name in breakers.NAMES), HEARTBEAT, LAST_WEBHOOK]
    *neighbours, sweep, webhook = await ports.documents.get_many(paths)
    return Status(
        down=[breaker for document in neighbours if (breaker := breakers.read(document))],
        sweep_at=sweep.data["at"] if sweep else None,
        sweep_failed=sweep.data.get("failed", {}) if sweep else {},
        webhook_at=webhook.data["at"] if webhook else None,
    )
