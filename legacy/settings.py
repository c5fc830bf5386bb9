"""The tool's .env as a proposal for Muster's. A value is shown nowhere but in the proposal itself."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from legacy.names import NOT_NEEDED, ROOM_PREFIXES, ROOM_SETTINGS, SETTINGS
from legacy.report import Entry
from shared.settings import BY_NAME
from shared.settings import SETTINGS as OURS

UUID = re.compile(r"[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}", re.IGNORECASE)


class Proposal(Struct, frozen=True):
    """`values`: Muster's settings. `origin`: the name each had. `rooms`: kept for the room directory."""

    values: dict[str, str]
    origin: dict[str, str]
    rooms: dict[str, Any]
    entries: list[Entry]


def parse(text: str) -> dict[str, str]:
    """KEY=value lines, `export` and quotes taken off; a quoted value may go over several lines."""
    found: dict[str, str] = {}
    pattern = r"""^[ \t]*(?:export[ \t]+)?([A-Za-z_]\w*)[ \t]*=[ \t]*("[^"]*"|'[^']*'|[^\n]*)"""
    for name, value in re.findall(pattern, text, re.MULTILINE):
        bare = value.strip()
        quoted = bare[:1] in "\"'" and bare[-1:] == bare[:1] and len(bare) > 1
        found[name] = bare[1:-1] if quoted else re.sub(r"\s+#.*$", "", bare)
    return found


def propose(given: Mapping[str, str]) -> Proposal:
    """Every name of `given` ends in an entry."""
    proposal = Proposal({}, {}, {}, [])
    for setting in OURS:
        _choose(proposal, setting.name, given)
    told = {entry.key for entry in proposal.entries}
    for name in given.keys() - told:
        proposal.entries.append(_other(proposal, name, given[name]))
    proposal.entries.sort(key=lambda entry: entry.key)
    return proposal


def _choose(proposal: Proposal, ours: str, given: Mapping[str, str]) -> None:
    """The first name that has a usable value; others of the same meaning are reported."""
    for name in (ours, *SETTINGS.get(ours, ())):
        if name not in given:
            continue
        if not given[name]:
            proposal.entries.append(Entry("setting", name, "skipped", "is empty"))
        elif ours in proposal.values:
            reason = f"{proposal.origin[ours]} gave {ours} already"
            proposal.entries.append(Entry("setting", name, "skipped", reason))
        else:
            proposal.entries.append(_take(proposal, ours, name, given))


def _take(proposal: Proposal, ours: str, name: str, given: Mapping[str, str]) -> Entry:
    value = given[name]
    if ours == "AUTHENTIK_FLOW_SLUG" and UUID.fullmatch(value):
        fix = "is a flow's id; Muster wants the slug of its enrollment flow (Authentik, Flows)"
        return Entry("setting", name, "skipped", fix)
    value = _converted(ours, value, given)
    try:
        BY_NAME[ours].parse(value)
    except ValueError as error:
        return Entry("setting", name, "skipped", f"cannot be {ours}: expected {error}")
    proposal.values[ours], proposal.origin[ours] = value, name
    return Entry("setting", name, "made", "" if name == ours else f"as {ours}")


def _converted(ours: str, value: str, given: Mapping[str, str]) -> str:
    """From the tool's form to ours."""
    if ours == "AUTHENTIK_URL":
        return re.sub(r"/api/v3/?$", "", value.rstrip("/"))
    if ours == "MATRIX_USER_ID" and not value.startswith("@"):
        domain = next((given[name] for name in ("MATRIX_DOMAIN", *SETTINGS["MATRIX_DOMAIN"]) if given.get(name)), "")
        return f"@{value}:{domain}" if domain and ":" not in value else f"@{value}" if ":" in value else value
    return value


def _other(proposal: Proposal, name: str, value: str) -> Entry:
    if name in ROOM_SETTINGS or name.startswith(ROOM_PREFIXES):
        proposal.rooms[name] = _json(value)
        return Entry("setting", name, "made", "kept in rooms.json")
    unknown = "nobody knows this name here: look whether Muster needs it (.env.example)"
    return Entry("setting", name, "skipped", NOT_NEEDED.get(name, unknown))


def _json(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value


def as_env(proposal: Proposal) -> str:
    """In the order of .env.example, with the needed ones that are still missing named at the end."""
    lines = ["# Proposed by scripts/import-legacy. Look through it, then take it over into .env or Secret Manager.", ""]
    for setting in OURS:
        if setting.name in proposal.values:
            origin = proposal.origin[setting.name]
            lines.append(f"# {setting.about}{'' if origin == setting.name else f' (was {origin})'}")
            lines.append(f"{setting.name}={proposal.values[setting.name]}")
    missing = [setting for setting in OURS if setting.default is None and setting.name not in proposal.values]
    lines += ["", *(f"# needed still: {setting.name} ({setting.about})" for setting in missing)]
    return "\n".join(lines) + "\n"
