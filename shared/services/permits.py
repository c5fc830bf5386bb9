"""How often one caller may ask within a minute: the limiter of the webhook and the admin API.

A caller's permits of a minute are cut into blocks. An instance leases a block by one atomic write, and spends it in
memory: no two instances have the same one, so all of them together never let through more than the limit. What an
instance has leased and not spent when the minute is over (or when it ends) is lost, so that slightly fewer may come
through; the more instances, the fewer. Why: docs/decisions/0021-permits-are-leased.md.

While the store cannot be asked everybody is let through: that is said in the log, and must keep no admin from the page.
"""

from __future__ import annotations

import asyncio
from collections import Counter

from msgspec import Struct, field

from shared.domain.errors import MusterError, Outpaced, TooMany
from shared.domain.limits import Window, block_path, blocks
from shared.ports import Create
from shared.services.context import Ports, log

PATIENCE = 3.0
"""Seconds for the lease, after which the caller is let through: their own question may need none of the store."""
MOST_SOURCES = 10_000
"""Addresses of wrong credentials that an instance remembers in a minute; from then on it begins anew."""


class _Held(Struct):
    """What this instance has of one caller's permits in one minute. `spent`: nobody has any more."""

    left: int = 0
    spent: bool = False
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Limiter:
    """One per instance and event loop."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._window = Window(0)
        self._held: dict[str, _Held] = {}
        self._wrong: Counter[str] = Counter()

    async def take(self, what: str, caller: str, limit: int, setting: str) -> None:
        """One of the caller's permits for `what`. Raises `TooMany` when all of this minute are gone, with the seconds
        until the next. Otherwise one round trip for each block of them, and none for the rest."""
        window = self._now()
        held = self._held.setdefault(f"{what} {caller}", _Held())
        async with held.lock:
            if not held.left and not held.spent:
                held.left = await self._leased(what, caller, limit, window)
                held.spent = not held.left
            if held.spent:
                cause = f"there were more than {limit} requests by {caller or 'one caller'} within a minute"
                raise self._too_many(window, cause, f"{setting} says how many there may be.")
            held.left -= 1

    def wrong(self, what: str, source: str, limit: int) -> None:
        """Credentials from this address were wrong. Raises `TooMany` when that was too often within this minute.

        An instance counts by itself, so that a stranger causes no write: all of them together let a few times as many
        through."""
        self._now()
        self._wrong[f"{what} {source}"] += 1
        if len(self._wrong) > MOST_SOURCES:
            self._wrong.clear()
        self.unless_guessing(what, source, limit)

    def unless_guessing(self, what: str, source: str, limit: int) -> None:
        """Raises `TooMany` while too many wrong credentials have come from there, whatever comes now: a right guess
        must look like all the others."""
        window = self._now()
        if self._wrong[f"{what} {source}"] > limit:
            cause = f"more than {limit} wrong credentials came from this address within a minute"
            raise self._too_many(window, cause, "Then send the right ones.")

    def _now(self) -> Window:
        """This minute; what was held for another one is of no use any more."""
        window = Window.of(self._ports.now())
        if window != self._window:
            self._window, self._held = window, {}
            self._wrong.clear()
        return window

    def _too_many(self, window: Window, cause: str, hint: str) -> TooMany:
        after = window.seconds_left(self._ports.now())
        return TooMany(cause, after, f"Wait {after} second{'s' * (after > 1)} and go on. {hint}")

    async def _leased(self, what: str, caller: str, limit: int, window: Window) -> int:
        """How many permits; 0: there are no more. While the store does not answer, as many as in a block."""
        sizes = blocks(limit)
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._block(
                    [block_path(what, caller, window, n) for n in range(len(sizes))], sizes, window
                )
        except (MusterError, TimeoutError) as error:
            fields = {"cause": error.cause if isinstance(error, MusterError) else "no answer", "caller": caller}
            log.warning("requests are not counted, and let through", extra={"fields": fields})
            return sizes[0]

    async def _block(self, paths: list[str], sizes: list[int], window: Window) -> int:
        """Any that is free: a first one by chance, so that instances which begin at once seldom want the same; then
        among those that are seen to be free. Each miss means that another has got one."""
        free = list(range(len(paths)))
        while free:
            number = free[self._ports.chance() % len(free)]
            try:
                await self._ports.documents.write(Create(paths[number], {"v": 1, "expire_at": window.expires}))
            except Outpaced:
                found = await self._ports.documents.get_many(paths)
                free = [at for at, document in enumerate(found) if document is None]
            else:
                return sizes[number]
        return 0
