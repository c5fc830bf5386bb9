"""put_secrets.py PROJECT OUTPUTS [FILE]: gives each secret that has no value one, and shows none.

OUTPUTS is `terraform output -json`, FILE holds NAME=value lines (- is stdin). Without FILE it asks, with no echo.
A value goes to gcloud by its standard input: it is in no command line, no environment and no log.
"""

from __future__ import annotations

import base64
import getpass
import json
import secrets
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
from shared.settings import BY_NAME, Setting  # noqa: E402

GIVEN = "AUTHENTIK_WEBHOOK_SECRETS"
"""Nobody has it before we do: made here, and set in Authentik afterwards."""
SET_UP = (
    "MATRIX_PASSWORD",
    "MATRIX_RECOVERY_KEY",
    "MATRIX_DEVICE_ACCOUNT",
    "MATRIX_PICKLE_KEY",
    "MATRIX_REPLIES_KEY",
    "MATRIX_SYNC_ACCESS_TOKEN",
)
"""Set-up asks for these, or makes them, when it is run."""

Ask = Callable[[str], str]


def from_file(lines: str) -> Ask:
    pairs = [line.partition("=") for line in lines.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    values = {name.strip(): value.strip().strip("\"'") for name, _, value in pairs}
    return lambda name: values.get(name, "")


def from_person(name: str) -> str:
    setting = BY_NAME[name]
    empty = "Enter: a new one is made" if name == GIVEN else "needed" if setting.default is None else "Enter: none"
    return getpass.getpass(f"   {name} ({setting.about}; {empty}): ").strip()


def objection(setting: Setting, value: str) -> str:
    """Never quotes the value."""
    try:
        setting.parse(value)
    except ValueError as error:
        return f"expected {error}"
    return "" if value or setting.default is not None else "it is needed"


class Gcloud:
    """Secret Manager, through gcloud."""

    def __init__(self, project: str) -> None:
        self.common = [f"--project={project}", "--quiet"]

    def has_value(self, secret: str) -> bool:
        listing = ["list", secret, "--filter=state=ENABLED", "--limit=1", "--format=value(name)"]
        return bool(self._run(listing, "").strip())

    def add(self, secret: str, value: str) -> None:
        self._run(["add", secret, "--data-file=-"], value)

    def _run(self, arguments: list[str], given: str) -> str:
        command = ["gcloud", "secrets", "versions", *arguments, *self.common]
        run = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
        if run.returncode:
            raise SystemExit(f"   gcloud secrets versions {arguments[0]} {arguments[1]} failed: {run.stderr[-500:]}")
        return run.stdout


def put(found: Mapping[str, str], gcloud: Gcloud, ask: Ask) -> list[str]:
    """`found`: the secrets by their settings' names. Answers with what is still wrong, in words."""
    wrong = []
    for name, secret in sorted(found.items()):
        if gcloud.has_value(secret):
            print(f"   {name}: there already")
            continue
        value = "" if name in SET_UP else ask(name)
        if not value and name == GIVEN:
            value = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
        problem = objection(BY_NAME[name], value)
        if problem:
            wrong.append(f"{name}: {problem}")
        elif value:
            gcloud.add(secret, value)
            print(f"   {name}: put in")
        else:
            print(f"   {name}: none; {'scripts/setup matrix needs or makes it' if name in SET_UP else 'not needed'}")
    return wrong


def main(project: str, outputs: str, file: str = "") -> int:
    named = json.loads(Path(outputs).read_text())["secrets"][
        "value"
    ]  # projects/P/secrets/ID/versions/latest, by setting
    found = {name: secret.split("/")[3] for name, secret in named.items() if name in BY_NAME}
    ask = from_file(sys.stdin.read() if file == "-" else Path(file).read_text()) if file else from_person
    if not file and not sys.stdin.isatty():
        ask = from_file("")
    wrong = put(found, Gcloud(project), ask)
    for problem in wrong:
        print(f"   {problem}", file=sys.stderr)
    if wrong and not file:
        print("   Where nobody can be asked: --secrets FILE with NAME=value lines, or - for stdin.", file=sys.stderr)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
