"""What deploy.sh asks of Terraform's files and plans.

plans.py foundation FOLDER          -target= for each registry and secret that is declared there, and their services
plans.py registry <STATE            where images are pushed, from `terraform show -json`
plans.py services PLAN tasks        -target= for the services of that plan which do tasks and change
plans.py services PLAN callers      the same for all others
plans.py within SHOWN PLAN          fails when PLAN has a change that SHOWN has not
"""

from __future__ import annotations

import ast
import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
REGISTRY, SERVICE = "google_artifact_registry_repository", "google_cloud_run_v2_service"
FOUNDATION = (REGISTRY, "google_secret_manager_secret", "google_project_service")


def kinds() -> dict[str, str]:
    """Each entry point of main.py and its kind, read without running it."""
    for node in ast.parse((ROOT / "main.py").read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "ENTRY_POINTS":
            return dict(ast.literal_eval(node.value))
    raise SystemExit("main.py names no ENTRY_POINTS")


def foundation(folder: Path) -> list[str]:
    """Addresses of what must be there before an image and the secrets' values can be."""
    declared = re.compile(r'^resource\s+"([a-z0-9_]+)"\s+"([a-z0-9_]+)"', re.MULTILINE)
    found = [match for file in sorted(folder.glob("*.tf")) for match in declared.findall(file.read_text())]
    if not any(kind == REGISTRY for kind, _ in found):
        raise SystemExit(f"no {REGISTRY} is declared in {folder.name}")
    return [f"{kind}.{name}" for kind, name in found if kind in FOUNDATION]


def changes(plan: dict[str, Any]) -> dict[str, list[str]]:
    """Address to actions, of what would change."""
    listed = {each["address"]: each["change"]["actions"] for each in plan.get("resource_changes", ())}
    return {address: actions for address, actions in listed.items() if actions not in (["no-op"], ["read"])}


def services(plan: dict[str, Any], which: str) -> list[str]:
    tasks = {name for name, kind in kinds().items() if kind == "task"}
    running = [each for each in plan.get("resource_changes", ()) if each["type"] == SERVICE and "index" in each]
    chosen = [each["address"] for each in running if (each["index"] in tasks) == (which == "tasks")]
    return [address for address in chosen if address in changes(plan)]


def unforeseen(shown: dict[str, Any], plan: dict[str, Any]) -> list[str]:
    """Changes that were not shown. One that was shown may be gone: it has been applied."""
    before = changes(shown)
    return [f"{'/'.join(how)} {what}" for what, how in changes(plan).items() if before.get(what) != how]


def read(path: str) -> Any:
    return json.loads(Path(path).read_text())


def main(verb: str, *arguments: str) -> int:
    if verb == "within":
        new = unforeseen(*map(read, arguments))
        print("\n".join(new), file=sys.stderr, end="\n" if new else "")
        return len(new) > 0
    found = foundation(Path(arguments[0])) if verb == "foundation" else services(read(arguments[0]), arguments[1])
    print("\n".join(f"-target={address}" for address in found))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
