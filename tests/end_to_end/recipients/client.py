"""What a test wants of a member's own client, whichever implementation of Matrix's encryption it stands on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Seen:
    """`body`: None where the client shows "unable to decrypt", then `why` says why. `shield`: the warning beside the
    message, "red", "grey" or "none"; None where the client knows no shields."""

    event_id: str
    sender: str
    body: str | None
    shield: str | None = None
    why: str = ""


class Recipient(Protocol):
    """One device of a member, logged in, its keys published."""

    user_id: str
    device_id: str

    async def join(self, room_id: str) -> None: ...
    async def sync(self) -> None:
        """Takes what came, looks up who is new, and fills up the keys that were used."""
        ...

    async def seen(self, room_id: str) -> list[Seen]:
        """A sync, then the room's messages, oldest first."""
        ...

    async def say(self, room_id: str, body: str) -> None:
        """To everybody in the room, encrypted."""
        ...

    async def close(self) -> None: ...
