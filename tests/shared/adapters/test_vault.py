"""Where set-up keeps its secrets: a file for its owner's eyes, or Secret Manager where a setting names it."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from shared.adapters.vault import FileVault, SettingsVault
from shared.domain.errors import Misconfigured
from shared.settings import Settings

SECRET = "projects/p/secrets/recovery/versions/3"


class Versions:
    """`SecretVersions`, as far as a vault uses it."""

    def __init__(self) -> None:
        self.values: dict[str, list[str]] = {}

    async def newest(self, name: str) -> str:
        return self.values.get(name.partition("/versions/")[0], [""])[-1]

    async def add(self, name: str, value: str) -> None:
        self.values.setdefault(name.partition("/versions/")[0], []).append(value)

    async def close(self) -> None: ...


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data" / "matrix.json"


def text(file: Path, new: str = "") -> str:
    """What is in the file, from now on."""
    file.parent.mkdir(exist_ok=True)
    if new:
        file.write_text(new)
    return file.read_text()


def modes(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


async def test_a_file_keeps(file: Path) -> None:
    """What is kept is read by another vault, beside what was there, and by nobody but its owner."""
    await FileVault(file).keep({"ONE": "1", "TWO": "2"})
    await FileVault(file).keep({"TWO": "zwei"})
    assert FileVault(file).values() == {"ONE": "1", "TWO": "zwei"}
    assert await FileVault(file).read("THREE") == ""
    assert modes(file.parent) == {"matrix.json": 0o600}


async def test_a_file_that_was_left_half_written(file: Path) -> None:
    """A crash while writing leaves the old file whole: what was half written does not count."""
    await FileVault(file).keep({"ONE": "1"})
    text(file.with_name("matrix.json.new"), '{"ONE": "half')
    assert await FileVault(file).read("ONE") == "1"
    await FileVault(file).keep({"TWO": "2"})
    assert FileVault(file).values() == {"ONE": "1", "TWO": "2"}


async def test_a_broken_file_is_not_overwritten(file: Path) -> None:
    """A file that is no JSON stops set-up: what it held cannot be made again."""
    text(file, "oops")
    with pytest.raises(Misconfigured, match=r"matrix\.json"):
        await FileVault(file).keep({"ONE": "1"})
    assert text(file) == "oops"


async def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """Where nothing can be kept, that is said before anything is published."""
    text(tmp_path / "data", "a file")
    with pytest.raises(Misconfigured, match="MUSTER_DATA_DIR"):
        await FileVault(tmp_path / "data" / "matrix.json").keep({"ONE": "1"})


async def test_a_setting_goes_first(file: Path) -> None:
    """A setting's own value is read before the file's; a person is told of those that differ."""
    await FileVault(file).keep({"MATRIX_ACCESS_TOKEN": "new", "MATRIX_PICKLE_KEY": "same", "MATRIX_RECOVERY_KEY": "r"})
    given = {"MUSTER_DATA_DIR": str(file.parent), "MATRIX_ACCESS_TOKEN": "old", "MATRIX_PICKLE_KEY": "same"}
    vault = SettingsVault(Settings(given))
    read = [await vault.read(f"MATRIX_{name}") for name in ("ACCESS_TOKEN", "PICKLE_KEY", "RECOVERY_KEY", "PASSWORD")]
    assert read == ["old", "same", "r", ""]
    assert vault.unset() == ["MATRIX_ACCESS_TOKEN", "MATRIX_RECOVERY_KEY"]


async def test_secrets_go_where_their_settings_say(file: Path) -> None:
    """A setting that names a secret is kept there as its newest version, whatever version it names, and in no file."""
    versions = Versions()
    vault = SettingsVault(Settings({"MUSTER_DATA_DIR": str(file.parent), "MATRIX_RECOVERY_KEY": SECRET}), versions)  # type: ignore[arg-type]
    assert await vault.read("MATRIX_RECOVERY_KEY") == ""
    await vault.keep({"MATRIX_RECOVERY_KEY": "key", "MATRIX_PICKLE_KEY": "pickle"})
    assert await vault.read("MATRIX_RECOVERY_KEY") == "key"
    assert versions.values == {"projects/p/secrets/recovery": ["key"]}
    assert json.loads(text(file)) == {"MATRIX_PICKLE_KEY": "pickle"}
    assert vault.unset() == ["MATRIX_PICKLE_KEY"]
