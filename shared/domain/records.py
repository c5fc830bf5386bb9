"""What a stored document looks like in the code: a frozen record that reads its own older shapes.

Formats outlive a deployment: each record carries `v`, unknown fields are ignored, and a field that an
older release did not write takes its default.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Self


@dataclasses.dataclass(frozen=True, kw_only=True)
class Record:
    v: int = 1

    def data(self) -> dict[str, Any]:
        """As it is stored; tuples become lists."""
        values = ((field.name, getattr(self, field.name)) for field in dataclasses.fields(self))
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values}

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        known = {field.name for field in dataclasses.fields(cls)}
        return cls(**{name: _frozen(value) for name, value in data.items() if name in known})

    def but(self, **changes: Any) -> Self:
        """A copy with these fields changed."""
        return dataclasses.replace(self, **changes)


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
