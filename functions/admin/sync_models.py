"""What goes in and out about the cache: its state, and the lists that come from it."""

from __future__ import annotations

from typing import Literal

from functions.admin import models as m
from shared.domain.syncs import Kind, Source


class Aged(m.Listed):
    """`synced_at`: the list is at least as new as that; `age_seconds`: how long that is ago, now."""

    synced_at: m.Time
    age_seconds: float


class UserItem(m.Out):
    """Of a list. `matrix_id`: what the account itself says; all of its attributes are in `GET /api/users/{pk}`."""

    pk: int
    username: str
    name: str
    email: str
    active: bool
    groups: list[str]
    matrix_id: str
    onboarding: str
    joined_at: m.Time | None
    last_login: m.Time | None


class Users(Aged):
    items: list[UserItem]


class SyncAsk(m.Strict):
    """Both, and whichever kind is due, unless said otherwise."""

    source: Literal["authentik", "matrix"] | None = None
    kind: Literal["light", "full"] | None = None


class SyncOut(m.Out):
    """`kind`, `progress` (from 0 to 1) and `running`: of the one under way. `light_at`, `full_at`: when the last one of
    its kind that came to its end began. `synced_at`: the later one of them, `age_seconds` ago; null: there is no cache
    yet. `cause` and `fix`: of the last run, where it failed, at `failed_at`."""

    source: Source
    synced_at: m.Time | None
    age_seconds: float | None
    light_at: m.Time | None
    full_at: m.Time | None
    running: bool
    kind: Kind | None
    progress: float | None
    counts: dict[str, int]
    failed_at: m.Time | None
    cause: str
    fix: str


class SyncList(m.Listed):
    items: list[SyncOut]
