"""What the commands of scripts/setup have in common: settings, a question before anything changes, how they end."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

from shared.domain.errors import Misconfigured, MusterError
from shared.settings import BY_NAME, Concern, Settings

DOTENV = Path(__file__).parent.parent / ".env"


def read_settings() -> Settings:
    """From the environment, then from .env."""
    return Settings({**dotenv(DOTENV), **os.environ})


def dotenv(file: Path) -> dict[str, str]:
    lines = file.read_text().splitlines() if file.exists() else []
    pairs = [line.partition("=") for line in lines if not line.lstrip().startswith("#")]
    found = {name.strip(): value.strip().strip("\"'") for name, _, value in pairs}
    return {name: value for name, value in found.items() if name in BY_NAME and value}


def require(settings: Settings, *concerns: Concern, but: str = "") -> None:
    """All problems in one `Misconfigured`; `but`: the setting that the command may bring itself."""
    problems = [each for each in settings.problems(*concerns) if not but or not each.startswith(f"{but} ")]
    if problems:
        raise Misconfigured("; ".join(problems), "Set them in the environment or in .env.")


def finish(work: Coroutine[Any, Any, int]) -> int:
    """The command's exit code; an error of ours is two lines, cause and fix."""
    try:
        return asyncio.run(work)
    except MusterError as error:
        print(f"{error.cause}.\n{error.fix}" if error.fix else f"{error.cause}.", file=sys.stderr)
        return 1


def agreed(steps: Sequence[str], *, yes: bool, dry_run: bool) -> bool:
    """Shows what would be done and asks once for all of it, unless `yes`."""
    print("To do:")
    for step in steps:
        print(f"  {step}")
    if dry_run:
        print("\nNothing was changed (--dry-run).")
        return False
    return ask("\nDo it?", yes=yes) or _unchanged()


def ask(question: str, *, yes: bool) -> bool:
    """Where nobody can be asked, the answer is no."""
    if yes:
        return True
    if not sys.stdin.isatty():
        print(f"{question} Nobody is there to ask: add --yes to have it done.")
        return False
    return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")


def _unchanged() -> bool:
    print("Nothing was changed.")
    return False
