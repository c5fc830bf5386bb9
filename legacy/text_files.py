"""Message files: one text in each, or a JSON or YAML file of several; or a folder of these. Nothing in them is run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from legacy.names import REASONS
from legacy.report import Entry
from legacy.settings import parse
from legacy.texts import OldText, is_text_setting
from shared.domain.errors import Misconfigured

TEXT_FILES = frozenset((".txt", ".md", ".markdown", ".html", ".htm", ".j2", ".jinja", ".jinja2", ".tmpl", ".tpl"))
DATA_FILES = frozenset((".json", ".yaml", ".yml"))
MOST_FILES, LARGEST = 500, 1_000_000
"""Of a folder; bytes of a file."""


class Found(Struct):
    """`settings`: of an .env in the folder. `entries`: what was left out and why."""

    texts: list[OldText] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)

    def leave(self, name: str, reason: str) -> None:
        self.entries.append(Entry("text", name, "skipped", reason))


def is_message_file(path: Path) -> bool:
    """Its name says so: what else is a text may be an .env of any name."""
    return path.suffix.lower() in TEXT_FILES | DATA_FILES


def of_file(path: Path) -> Found:
    """Raises `Misconfigured` for one that cannot be read."""
    found = Found()
    _file(found, path, path.name)
    return found


def of_folder(folder: Path) -> Found:
    """With all folders in it. Raises `Misconfigured`."""
    found = Found()
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    files = [path for path in files if ".git" not in path.relative_to(folder).parts]
    if not files or len(files) > MOST_FILES:
        cause = f"{folder.name} has {len(files)} files in it"
        raise Misconfigured(cause, f"Name the folder of the messages alone: 1 to {MOST_FILES} files.")
    for path in files:
        name = path.relative_to(folder).as_posix()
        if is_message_file(path):
            _file(found, path, name)
        elif path.name.startswith(".env") or path.suffix == ".env":
            found.settings |= parse(_read(path))
        else:
            found.leave(name, f"is no message file: those are {', '.join(sorted(TEXT_FILES | DATA_FILES))}")
    return found


def of_settings(settings: dict[str, str]) -> list[OldText]:
    """The texts among them, which are taken out: they are no settings of Muster's."""
    names = [name for name in settings if is_text_setting(name)]
    return [OldText(name, [name], settings.pop(name)) for name in names]


def _file(found: Found, path: Path, name: str) -> None:
    parts = list(Path(name).with_suffix("").parts)
    if path.suffix.lower() in TEXT_FILES:
        found.texts.append(OldText(name, parts, _read(path)))
        return
    data = _data(path)
    if isinstance(data, dict):
        found.texts += _leaves(found, name, [], data)
    elif data and isinstance(data, list):
        found.texts.append(OldText(name, parts, data))
    else:
        found.leave(name, "has no texts by their names in it")


def _leaves(found: Found, name: str, keys: list[str], data: dict[Any, Any]) -> Iterator[OldText]:
    for key, value in data.items():
        parts = [*keys, str(key)]
        origin = f"{name} {'.'.join(parts)}"
        if isinstance(value, dict) and str(key).lower() not in REASONS:
            yield from _leaves(found, name, parts, value)
        elif isinstance(value, str | dict | list):
            yield OldText(origin, parts, value)
        else:
            found.leave(origin, "is no text")


def _data(path: Path) -> Any:
    text = _read(path)
    if path.suffix.lower() == ".json":
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise _unreadable(path, "is no JSON") from error
    try:
        import yaml
    except ImportError as error:
        fix = "Install it beside Muster: .venv/bin/python -m pip install -r requirements-import.txt"
        raise Misconfigured("reading YAML needs PyYAML, which is not installed", fix) from error
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _unreadable(path, "is no YAML") from error


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST:
            raise _unreadable(path, f"is larger than {LARGEST:,} bytes")
        return path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise _unreadable(path, f"cannot be read ({type(error).__name__})") from error


def _unreadable(path: Path, why: str) -> Misconfigured:
    return Misconfigured(f"{path.name} {why}", "Mend it, or take it out of what is imported.")
