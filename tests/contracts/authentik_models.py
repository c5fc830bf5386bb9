"""The models of Authentik's official client, each loaded when it is asked for: the whole client is some thousand of
them, with an API for each, and takes longer to load than all our tests together."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

CLIENT = "authentik_client"


class Models:
    """`models.User` is what `authentik_client.models.User` is."""

    def __getattr__(self, name: str) -> Any:
        try:
            return getattr(importlib.import_module(_modules()[name]), name)
        except KeyError:
            raise AttributeError(f"{CLIENT} has no model {name}") from None


models = Models()


@cache
def _modules() -> dict[str, str]:
    """By the name of the model, as the client's own list of them says."""
    _without_its_init(CLIENT)
    listed = (_without_its_init(f"{CLIENT}.models") / "__init__.py").read_text(encoding="utf-8")
    return {name: module for module, name in re.findall(r"^from (\S+) import (\w+)$", listed, re.MULTILINE)}


def _without_its_init(name: str) -> Path:
    """The package's folder; from now on its modules can be imported, and what would import all of them is not run."""
    spec = importlib.util.find_spec(name)
    assert spec
    assert spec.submodule_search_locations
    package = sys.modules.setdefault(name, ModuleType(name))
    package.__path__ = spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0])
