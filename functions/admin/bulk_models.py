"""What goes in and out of /api/users/bulk."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from functions.admin import models as m
from shared.domain.bulk import MOST_NAMED, Deed

Count = Annotated[int, Field(ge=0, le=1_000_000, description="How many people you mean, as you have seen it")]
Pk = Annotated[int, Field(ge=1, le=2**31 - 1)]


class Filter(m.Strict):
    """As `GET /api/users`."""

    q: m.Line = ""
    active: bool | None = None
    group: m.Line = ""


class Bulk(m.Strict):
    """Either `pks` or `filter`: everybody whom that list shows. With `filter`, and for more than ten deactivations,
    `count` has to be there: where they are more by now, nothing is done. `group`: to add to or remove from; `rooms`: to
    invite to, or for an onboarding beyond the usual ones."""

    act: Deed
    pks: Annotated[list[Pk], Field(min_length=1, max_length=MOST_NAMED)] | None = None
    filter: Filter | None = None
    group: m.Line = ""
    rooms: m.Rooms = []
    count: Count | None = None

    @model_validator(mode="after")
    def _whole(self) -> Bulk:
        if (self.pks is None) == (self.filter is None):
            raise ValueError("expected either pks or filter")
        return self
