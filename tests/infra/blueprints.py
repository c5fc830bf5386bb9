"""Authentik's blueprints as data: its own YAML tags are kept as they stand, and expressions can be run."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parents[2] / "infra" / "authentik"


@dataclass(frozen=True)
class Tag:
    """One of Authentik's own YAML tags."""

    name: str
    value: Any


class Loader(yaml.SafeLoader):
    pass


def _tag(loader: Loader, suffix: str, node: yaml.Node) -> Tag:
    if isinstance(node, yaml.SequenceNode):
        return Tag(suffix, loader.construct_sequence(node, deep=True))
    assert isinstance(node, yaml.ScalarNode)
    return Tag(suffix, loader.construct_scalar(node))


for known in ("KeyOf", "Env", "Context", "Find", "Format"):  # any other tag fails to load
    Loader.add_constructor(f"!{known}", lambda loader, node, known=known: _tag(loader, known, node))


def load(name: str) -> dict[str, Any]:
    return dict(yaml.load((FOLDER / name).read_text(encoding="utf-8"), Loader))  # noqa: S506 - a SafeLoader with tags


def tags(value: Any) -> Iterator[Tag]:
    """Every tag, those within tags too."""
    if isinstance(value, Tag):
        yield value
        value = value.value
    if isinstance(value, dict):
        for inner in value.values():
            yield from tags(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from tags(inner)


def entry(blueprint: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for one in blueprint["entries"] if one.get("id") == name)


def evaluate(expression: str, **names: Any) -> Any:
    """As Authentik does: the expression is the body of a function whose arguments are the names."""
    scope: dict[str, Any] = {}
    exec(f"def handler({', '.join(names)}):\n{textwrap.indent(expression, '    ')}", scope)  # noqa: S102
    return scope["handler"](**names)
