"""The bot's device: the sweep looks at it, and the self-check tells, since the page has no key of encryption."""

from __future__ import annotations

from datetime import timedelta

from msgspec import convert
from msgspec.structs import asdict, replace

from shared.ports import Finding, Put
from shared.services.context import Ports

SEEN = "heartbeats/matrix_device"
EVERY = timedelta(minutes=5)
STALE = timedelta(minutes=30)
"""Older ones are told no more: things may have changed since."""
SEE_SWEEP = "See what is said of the sweep."


async def look(ports: Ports) -> int:
    """A part of the sweep: three calls to the homeserver, not at every run. Raises what they raise."""
    known = await ports.documents.get(SEEN)
    if known is not None and ports.now() - known.data["at"] < EVERY:
        return 0
    found = [asdict(finding) for finding in await ports.check_device()]
    await ports.documents.write(Put(SEEN, {"v": 1, "at": ports.now(), "findings": found}))
    return 1


async def seen(ports: Ports) -> list[Finding]:
    """As it was when the sweep last looked; that is told."""
    known = await ports.documents.get(SEEN)
    age = ports.now() - known.data["at"] if known else None
    if known is None or age is None or age > STALE:
        since = "yet" if age is None else f"for {int(age.total_seconds() / 60)} minutes"
        detail = f"the sweep has not been able to look at the bot's device {since}"
        return [Finding("matrix device", ok=False, detail=detail, fix=SEE_SWEEP)]
    return [
        replace(finding, detail=f"{finding.detail} (the sweep looked {int(age.total_seconds())} s ago)")
        for finding in convert(known.data["findings"], list[Finding])
    ]
