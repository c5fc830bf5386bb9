"""What a stored document looks like in the code: a frozen record that reads its own older shapes.

Formats outlive a deployment: each record carries `v`, unknown fields are ignored, and a field that an
older release did not write takes its default.
"""

from __future__ import annotations

from typing import Any, Self

from msgspec import Struct
from msgspec.structs import replace


class Record(Struct, frozen=True, kw_only=True):
    v: int = 1

    def data(self) -> dict[str, Any]:
        """As it is stored; tuples become lists."""
        values = ((name, getattr(self, name)) for name in self.__struct_fields__)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values}

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        known = set(cls.__struct_fields__)
        return cls(**{name: _frozen(value) for name, value in data.items() if name in known})

    def but(self, **changes: Any) -> Self:
        """A copy with these fields changed."""
        return replace(self, **changes)


def unshown(record: Any) -> str:
    """The `__repr__` of what holds a secret: it may turn up in a log or an error."""
    return f"<{type(record).__name__}, not shown>"


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
