"""What goes in and out of /api/bundles."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from functions.admin import models as m
from shared.domain.bundles import Bundle

Level = Annotated[int, Field(ge=0, le=100)]
Levels = Annotated[
    dict[Annotated[str, Field(min_length=1, max_length=255)], Level],
    Field(max_length=100, description='A room of the bundle, or "*" for all of them, to the power level there'),
]


class NewBundle(m.Strict):
    """`for_groups`: Authentik groups whose members are to have it. `removes`: whether a plan may take those who are not
    to have it out of its rooms, and take its power back."""

    name: m.Label
    rooms: m.Rooms = []
    groups: m.Groups = []
    for_groups: m.Groups = []
    levels: Levels = {}
    removes: bool = False
    space_first: bool = True


class ChangedBundle(NewBundle):
    """All of it, as it is to be. `revision`: of the one that was read."""

    revision: Annotated[int, Field(ge=1, le=2**31)]


class WayOut(m.Out):
    id: str
    name: str


class BundleOut(m.Out):
    """`ways`: of rooms that are entered by a space, which one."""

    id: str
    name: str
    revision: int
    rooms: list[str]
    groups: list[str]
    for_groups: list[str]
    levels: dict[str, int]
    removes: bool
    space_first: bool
    ways: dict[str, WayOut]
    created_at: m.Time
    created_by: str
    changed_at: m.Time
    changed_by: str


class Bundles(m.Listed):
    items: list[BundleOut]


def bundle_out(bundle: Bundle) -> BundleOut:
    return BundleOut.model_validate(bundle.data())
