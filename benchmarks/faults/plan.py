"""What shall go wrong, in a file that the running app reads anew whenever it changes."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

VARIABLE = "MUSTER_FAULTS"
"""Names the file in the app's environment."""


@dataclass(frozen=True, slots=True)
class Point:
    """Before or after a call of a port's method whose arguments, written out, contain all of `match`. `point` is
    such as "documents.write" or "chat.send"."""

    point: str
    when: str = "after"
    match: tuple[str, ...] = ()

    def meets(self, point: str, when: str, about: str) -> bool:
        return (point, when) == (self.point, self.when) and all(words in about for words in self.match)


@dataclass(frozen=True, slots=True)
class Kill(Point):
    """SIGKILL at the `nth` such call."""

    nth: int = 1


@dataclass(frozen=True, slots=True)
class Refusal(Point):
    """The first so many such calls fail: before the effect, or after it with the answer lost."""

    times: int = 1


@dataclass(frozen=True, slots=True)
class Plan:
    """`rate`: faults per call of `Documents` and `TaskQueue`, half of them before the effect, half after it.
    `mortality`: deaths (SIGKILL) per call of any port, half of them before the effect, half after it.
    The other numbers are seconds and hold from the app's next start: a claim, how late a task may be, the
    sweep's lease, how long a neighbour may take, and how often devices that came later are looked for. None: as
    in production."""

    rate: float = 0.0
    mortality: float = 0.0
    seed: int = 0
    kill: Kill | None = None
    refusal: Refusal | None = None
    claim: float | None = None
    overdue: float | None = None
    lease: float | None = None
    timeout: float | None = None
    look: float | None = None

    def keep(self, file: Path) -> None:
        """At once: a reader finds the old plan or this one."""
        beside = file.with_suffix(".new")
        beside.write_text(json.dumps(asdict(self)))
        beside.replace(file)

    @classmethod
    def read(cls, file: Path) -> Plan:
        said = json.loads(file.read_text())
        for name, kind in (("kill", Kill), ("refusal", Refusal)):
            if said[name]:
                said[name] = kind(**said[name] | {"match": tuple(said[name]["match"])})
        return cls(**said)


class CurrentPlan:
    """The plan as it stands; a look at the file's time is all that a call costs."""

    def __init__(self, file: Path) -> None:
        self.file, self._read_at, self._plan = file, -1, Plan()

    @classmethod
    def of_environment(cls) -> CurrentPlan:
        return cls(Path(os.environ[VARIABLE]))

    def __call__(self) -> Plan:
        changed_at = self.file.stat().st_mtime_ns
        if changed_at != self._read_at:
            self._plan, self._read_at = Plan.read(self.file), changed_at
        return self._plan
