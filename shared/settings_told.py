"""What may be told of the settings: each with where it comes from and what is wrong with it, and of secrets only
whether they are set. Nothing is fetched: of a secret that is named, the name's version is all that is known here."""

from __future__ import annotations

import re
from typing import Literal

from msgspec import Struct

from shared.settings import SECRET_NAME, SETTINGS, Setting, Settings

Source = Literal["environment", ".env", "secret manager", "default", "nowhere"]
FROM_DOTENV = "MUSTER_FROM_DOTENV"
"""Names, comma-separated, that `scripts/run` has read from .env."""
FIX = "Set it in terraform.tfvars and deploy again; on this machine in .env, then start anew."
FIX_OF_SECRETS = (
    "Give the secret a version in Secret Manager: deploy.sh asks for it without showing it. "
    "On this machine set it in .env, then start anew."
)
CREDENTIALS = re.compile(r"(?<=//)[^/@\s]*@")


class Told(Struct, frozen=True):
    """`value`: as it stands, of what is valid and no secret; of what is malformed nothing, since it may be a secret in
    the wrong place. `version`: of the secret that it names."""

    setting: Setting
    source: Source
    value: str | None
    version: str
    problem: str
    fix: str

    @property
    def is_set(self) -> bool:
        return self.source not in ("default", "nowhere")


def told(settings: Settings) -> list[Told]:
    """All of them, in the order of the table."""
    dotenv = settings.raw(FROM_DOTENV).split(",")
    return [_told(settings, setting, dotenv) for setting in SETTINGS]


def _told(settings: Settings, setting: Setting, dotenv: list[str]) -> Told:
    raw, problem = settings.raw(setting.name), settings.problem(setting.name)
    named = SECRET_NAME.fullmatch(raw) if setting.secret else None
    shown = None if setting.secret or problem else CREDENTIALS.sub("…@", raw or setting.default or "")
    return Told(
        setting=setting,
        source="secret manager" if named else _source(setting, raw, dotenv),
        value=shown,
        version=raw.rpartition("/")[2] if named else "",
        problem=problem,
        fix="" if not problem else FIX_OF_SECRETS if setting.secret else FIX,
    )


def _source(setting: Setting, raw: str, dotenv: list[str]) -> Source:
    if raw and raw != setting.default:
        return ".env" if setting.name in dotenv else "environment"
    return "default" if setting.default else "nowhere"
