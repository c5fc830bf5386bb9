"""What goes out of /api/status."""

from __future__ import annotations

from typing import Literal

from functions.admin.models import Out, Time


class DownOut(Out):
    """`probe_at`: when it is tried again."""

    neighbour: Literal["authentik", "matrix"]
    since: Time
    cause: str
    probe_at: Time | None


class WrongSetting(Out):
    name: str
    problem: str
    fix: str


class StatusOut(Out):
    """`settings`: those that are missing or malformed. `down`: neighbours that do not answer, and since when.
    `sweep_at`, `webhook_at`: the last run of the sweep, the last webhook that was accepted. `sweep_failed`: its parts
    that failed then, and why."""

    at: Time
    settings: list[WrongSetting]
    down: list[DownOut]
    sweep_at: Time | None
    sweep_failed: dict[str, str]
    webhook_at: Time | None
