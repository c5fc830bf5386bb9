"""`Vault`: secrets that set-up makes, kept where their settings say: in Secret Manager when a setting is the name
of a secret there, else in a file beside the data, for its owner's eyes only."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from shared.domain.errors import Misconfigured
from shared.settings import SECRET_NAME, Settings

if TYPE_CHECKING:
    from shared.adapters.secret_versions import SecretVersions

FILE = "matrix.json"


class FileVault:
    """One JSON object, replaced as a whole: what is kept in one call is there together or not at all."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def values(self) -> dict[str, str]:
        try:
            return dict(json.loads(self.path.read_text())) if self.path.exists() else {}
        except (OSError, ValueError) as error:
            fix = "Put the file back as it was; what it kept cannot be made again. If it is lost, move it away."
            raise Misconfigured(f"{self.path.name} in MUSTER_DATA_DIR cannot be read as JSON", fix) from error

    async def read(self, name: str) -> str:
        return self.values().get(name, "")

    async def keep(self, values: Mapping[str, str]) -> None:
        text = json.dumps({**self.values(), **values}, indent=2)
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _replace(self.path, text)
        except OSError as error:
            fix = "Set MUSTER_DATA_DIR to a folder that this program may write."
            raise Misconfigured(f"{self.path.name} cannot be written to MUSTER_DATA_DIR", fix) from error


class SettingsVault:
    """What a setting says goes before what the file keeps, and the newest version of a secret before the one named."""

    def __init__(self, settings: Settings, secrets: SecretVersions | None = None, file: str = FILE) -> None:
        self._settings, self._secrets = settings, secrets
        self.file = FileVault(Path(settings["MUSTER_DATA_DIR"]) / file)

    async def read(self, name: str) -> str:
        raw = self._settings.raw(name)
        if SECRET_NAME.fullmatch(raw):
            return await self._versions().newest(raw)
        return raw or await self.file.read(name)

    async def keep(self, values: Mapping[str, str]) -> None:
        """The file last: what it holds can be read at once, what is in Secret Manager by its next reader."""
        elsewhere = {name: raw for name in values if SECRET_NAME.fullmatch(raw := self._settings.raw(name))}
        for name, raw in elsewhere.items():
            await self._versions().add(raw, values[name])
        own = {name: value for name, value in values.items() if name not in elsewhere}
        if own:
            await self.file.keep(own)

    def unset(self) -> list[str]:
        """Settings that do not say what the file keeps: a person has to pass them on to a deployment."""
        said = {name: self._settings.raw(name) for name in self.file.values()}
        kept = self.file.values()
        return [name for name, raw in said.items() if raw != kept[name] and not SECRET_NAME.fullmatch(raw)]

    async def close(self) -> None:
        if self._secrets is not None:
            await self._secrets.close()

    def _versions(self) -> SecretVersions:
        if self._secrets is None:
            from shared.adapters.secret_versions import SecretVersions

            self._secrets = SecretVersions()
        return self._secrets


def _replace(path: Path, text: str) -> None:
    """By a rename of a file that is on the disk, so that a crash leaves the old one or the new one."""
    beside = path.with_name(f"{path.name}.new")
    with os.fdopen(os.open(beside, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
