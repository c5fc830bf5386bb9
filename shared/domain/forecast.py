"""How long Synapse's limits on invites make a plan take, said beforehand.

Its defaults: one member may be invited 5 times at once and then every 333 s; one account may invite 10 times at once,
and in the long run 12 times a minute (its limit on messages binds before that on invites; measured).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

PER_MEMBER = 5
EVERY = 1 / 0.003
"""Seconds between further invites of one member."""
PER_BOT = 10
BOT_EVERY = 5.0
"""Seconds between further invites by one account."""


class Forecast(Struct, frozen=True):
    """`now`: invites that go out at once; `later`: the others, over `seconds`."""

    now: int
    later: int
    seconds: float

    def words(self, command: str) -> str:
        """For a person; "" when nothing waits."""
        if not self.later:
            return ""
        return (
            f"The homeserver's limits stand in the way: {self.now} now, {self.later} more over {spoken(self.seconds)}, "
            f"or lift the limits: {command}"
        )


def forecast(invites: Mapping[str, int]) -> Forecast:
    """`invites`: how many for each member, if no limit is lifted."""
    total = sum(invites.values())
    at_once = min(PER_BOT, sum(min(count, PER_MEMBER) for count in invites.values()))
    longest = max(invites.values(), default=0)
    seconds = max((longest - PER_MEMBER) * EVERY, (total - PER_BOT) * BOT_EVERY, 0.0)
    return Forecast(at_once, total - at_once, seconds)


def per_member(matrix_ids: Iterable[str]) -> dict[str, int]:
    counted: dict[str, int] = {}
    for matrix_id in matrix_ids:
        counted[matrix_id] = counted.get(matrix_id, 0) + 1
    return counted


def spoken(seconds: float) -> str:
    """Minutes up to two hours, hours up to two days, then days."""
    for unit, size, most in (("minutes", 60, 120), ("hours", 3600, 48), ("days", 86_400, 0)):
        count = max(1, round(seconds / size))
        if count <= most or not most:
            return f"{count} {unit if count > 1 else unit[:-1]}"
    return ""
