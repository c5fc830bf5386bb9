"""`scripts/bench`: the chosen benchmarks one after the other, as tables and as JSON."""

from __future__ import annotations

import argparse
import importlib
import json
import platform
import sys
import time
from pathlib import Path

from benchmarks.common import Report

NAMES = ("cold", "onboarding", "growth", "warm", "encrypted", "recommend", "sync", "plans")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("which", nargs="*", metavar="|".join(NAMES), help="all of them when none is named")
    parser.add_argument("--small", action="store_true", help="few and small runs: whether it works, not how fast")
    parser.add_argument("--repeat", type=int, default=0, help="rounds of each; each benchmark has its own default")
    parser.add_argument("--json", type=Path, metavar="FILE", help="gets all figures")
    chosen = parser.parse_args(arguments)
    if unknown := set(chosen.which) - set(NAMES):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}")
    reports: list[Report] = []
    for name in chosen.which or NAMES:
        began = time.monotonic()
        reports.append(importlib.import_module(f"benchmarks.{name}").run(chosen.small, chosen.repeat))
        print(reports[-1].as_text(), f"({name} took {time.monotonic() - began:.0f} s)", sep="\n", flush=True)
        if chosen.json:  # after each: a later one may fail
            chosen.json.write_text(as_json(reports))
    return 0


def as_json(reports: list[Report]) -> str:
    machine = {"python": platform.python_version(), "machine": platform.machine(), "system": platform.system()}
    data = {"machine": machine, "benchmarks": [report.as_data() for report in reports]}
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.exit(main())
