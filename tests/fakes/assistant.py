"""`Assistant` in memory: it says what a test has put there, piece by piece."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from shared.ports import Used

ANSWER = '{"line": "Good to have you: the choir meets on Mondays.", "interests": ["choir", "books"]}'


class FakeAssistant:
    """`fails`: raised instead of an answer, the first ones first, or in the middle of it (`after` pieces). `held`: it
    says no more than its first piece until a test lets it."""

    def __init__(self) -> None:
        self.says, self.size, self.used = ANSWER, 7, Used(120, 30)
        self.counts, self.after = True, 0
        self.fails: list[Exception] = []
        self.asked: list[tuple[str, str, int]] = []
        self.held: asyncio.Event | None = None

    async def answer(
        self, instructions: str, text: str, most: int, told: Callable[[str], Awaitable[None]]
    ) -> Used | None:
        self.asked.append((instructions, text, most))
        pieces = [self.says[at : at + self.size] for at in range(0, len(self.says), self.size)]
        failure = self.fails.pop(0) if self.fails else None
        for count, piece in enumerate(pieces):
            if failure and count == self.after:
                raise failure
            await told(piece)
            if self.held:
                await self.held.wait()
        if failure:
            raise failure
        return self.used if self.counts else None

    async def close(self) -> None:
        """Nothing to close."""
