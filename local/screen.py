"""What a person sees: one line per fact, 79 columns, colours only on a terminal."""

from __future__ import annotations

import os
import sys
import textwrap

WIDTH, NAME = 79, 15
BOLD, GREEN, RED, DIM = "1", "32", "31", "2"


class Screen:
    def __init__(self) -> None:
        self._colours = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def title(self, text: str) -> None:
        self._write(f"\n{self._in(BOLD, text)}\n")

    def line(self, name: str, text: str, tail: str = "", *, ok: bool = True) -> None:
        """A fact that holds or not; `tail` (where it was read, how long it took) stands at the right."""
        room = WIDTH - 4 - NAME - len(tail) - 1
        shown = text if len(text) <= room else f"{text[: room - 1]}…"
        mark = self._in(GREEN, "✓") if ok else self._in(RED, "✗")
        self._write(f"  {mark} {name:<{NAME}}{shown:<{room}} {self._in(DIM, tail)}".rstrip())

    def timed(self, name: str, text: str, seconds: float) -> None:
        first, *rest = textwrap.wrap(text, WIDTH - 4 - NAME - 8) or [""]
        self.line(name, first, f"{seconds:.1f} s" if seconds else "")
        for more in rest:
            self._write(" " * (4 + NAME) + more)

    def say(self, name: str, text: str) -> None:
        """Never cut: it is there to be copied."""
        self._write(f"    {name:<{NAME}}{text}")

    def problem(self, text: str) -> None:
        """Cause and fix, as long as they are."""
        first, *rest = [part for line in text.splitlines() for part in textwrap.wrap(line, WIDTH - 4)]
        self._write("\n".join([f"  {self._in(RED, '✗')} {first}", *(f"    {line}" for line in rest)]))

    def _write(self, text: str) -> None:
        """At once: several parts come up at the same time."""
        print(f"{text}\n", end="", flush=True)

    def _in(self, colour: str, text: str) -> str:
        return f"\033[{colour}m{text}\033[0m" if self._colours and text else text
