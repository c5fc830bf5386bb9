"""revisions.py IMAGE <SERVICES: whether each entry point that is deployed runs IMAGE, ready and with all traffic.

SERVICES is `gcloud run services list --format=json`. This says of the private services what the smoke test cannot:
Google refuses a stranger before our code is asked.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from plans import kinds


def target_of(service: dict[str, Any]) -> str:
    """The entry point of a service; "" for one that is not ours."""
    containers = service["spec"]["template"]["spec"].get("containers", [{}])
    environment = {each["name"]: each.get("value", "") for each in containers[0].get("env", ())}
    return str(environment.get("FUNCTION_TARGET", ""))


def problem(service: dict[str, Any], image: str) -> str:
    """ "" when all is well."""
    status = service.get("status", {})
    conditions = {each["type"]: each for each in status.get("conditions", ())}
    ready = conditions.get("Ready", {})
    if ready.get("status") != "True":
        return f"is not ready: {ready.get('message') or 'Google does not say why'}"
    if service["spec"]["template"]["spec"]["containers"][0]["image"] != image:
        return "runs another image"
    if status.get("latestCreatedRevisionName") != status.get("latestReadyRevisionName"):
        return "still runs an earlier revision: the new one did not start; see its logs"
    latest = [each.get("percent") for each in status.get("traffic", ()) if each.get("latestRevision")]
    return "" if latest == [100] else "does not give all its traffic to the new revision"


def main(image: str) -> int:
    services = {name: each for each in json.load(sys.stdin) if (name := target_of(each)) in kinds()}
    wrong = [f"{name} {text}" for name, each in sorted(services.items()) if (text := problem(each, image))]
    if not services:
        wrong = ["no service of Muster is there"]
    print("\n".join(f"   {line}" for line in wrong) or f"   {len(services)} services run the new revision")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
