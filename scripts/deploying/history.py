"""Which images were deployed and proven: stdin is the old deployments.json, stdout the new one.

history.py begin IMAGE COMMIT [back]   is about to be applied; back: by a rollback
history.py good                        what was begun has passed the smoke test
history.py before                      prints the image to go back to and its commit; fails when there is none
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import Any

History = dict[str, Any]
"""`tried`: what was begun last, {image, commit, at, back?}. `good`: what was proven, the newest last."""
KEPT = 50


def begin(history: History, image: str, commit: str, at: str, *, back: bool = False) -> History:
    tried = {"image": image, "commit": commit, "at": at} | ({"back": True} if back else {})
    return {"v": 1, "good": history.get("good", []), "tried": tried}


def good(history: History) -> History:
    """One deployment more; after a rollback, none but those up to the one that it went back to."""
    done, tried = list(history.get("good", [])), dict(history["tried"])
    images = [each["image"] for each in done]
    if tried.pop("back", False) and tried["image"] in images:
        done = done[: len(images) - images[::-1].index(tried["image"])]
    elif tried["image"] not in images[-1:]:
        done.append(tried)
    return {"v": 1, "good": done[-KEPT:], "tried": tried}


def before(history: History) -> dict[str, str] | None:
    """The last proven one that is not what was begun last; a rollback that was stopped goes on to where it went."""
    tried = history.get("tried", {})
    if tried.get("back"):
        return dict(tried)
    others = [each for each in history.get("good", []) if each["image"] != tried.get("image")]
    return others[-1] if others else None


def main(verb: str, *arguments: str) -> int:
    history = json.load(sys.stdin)
    if verb == "before":
        found = before(history)
        print(f"{found['image']} {found['commit']}" if found else "", end="")
        return found is None
    if verb == "begin":
        now = datetime.now(UTC).isoformat(timespec="seconds")
        history = begin(history, arguments[0], arguments[1], now, back="back" in arguments[2:])
    else:
        history = good(history)
    json.dump(history, sys.stdout, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
