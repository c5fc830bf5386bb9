"""Messages to the bot's device, saved as they came."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta

from shared.domain import ids
from shared.domain.arrivals import Event
from shared.domain.records import Record
from shared.ports import Create
from shared.services.context import Ports
from shared.services.once import create_missing

INBOX = "to_device"
KEPT_UNOPENED = timedelta(days=1)
"""A device that is new to our homeserver, or whose homeserver is silent, is asked for again for so long."""


class Unopened(Record, frozen=True, kw_only=True):
    """`event`: JSON, for it may be of any shape, and nested beyond what a store takes."""

    sender: str
    event: str
    created_at: datetime
    look_at: datetime
    expire_at: datetime


async def keep(ports: Ports, events: Sequence[Event]) -> int:
    """How many are new."""
    now = ports.now()
    creates = []
    for event in events:
        text = json.dumps(event, sort_keys=True)
        expire_at = now + 14 * KEPT_UNOPENED
        unopened = Unopened(sender=event["sender"], event=text, created_at=now, look_at=now, expire_at=expire_at)
        creates.append(Create(f"{INBOX}/{ids.digest(INBOX, text)}", unopened.data()))
    return await create_missing(ports, creates)
