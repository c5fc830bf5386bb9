"""What goes out of /api/settings."""

from __future__ import annotations

from functions.admin.models import Listed, Out
from shared.settings import Concern
from shared.settings_told import Source, Told


class SettingOut(Out):
    """`value`: as it stands or by default; null for a secret, and for what is malformed (perhaps a secret in the wrong
    place). `source`: "nowhere" of what is not set and has no default; a function is given only the secrets that it
    reads, so others may have it. `version`: of the secret in Secret Manager. `ok`: whether it can be used as it is;
    a secret that is only named is looked at by what uses it, and by the self-check."""

    name: str
    concern: Concern
    about: str
    secret: bool
    required: bool
    is_set: bool
    source: Source
    version: str
    value: str | None
    default: str | None
    ok: bool
    problem: str
    fix: str


class SettingList(Listed):
    """`ok`: every setting is."""

    ok: bool
    items: list[SettingOut]


def setting_out(told: Told) -> SettingOut:
    setting = told.setting
    return SettingOut(
        name=setting.name,
        concern=setting.concern,
        about=setting.about,
        secret=setting.secret,
        required=setting.default is None,
        is_set=told.is_set,
        source=told.source,
        version=told.version,
        value=told.value,
        default=None if setting.secret else setting.default,
        ok=not told.problem,
        problem=told.problem,
        fix=told.fix,
    )
