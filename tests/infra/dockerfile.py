"""A Dockerfile, read just far enough to do by hand what an engine would do."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct, field

from tests.test_architecture import ROOT, tracked


class Stage(Struct):
    """`steps`: each instruction with its arguments as one line."""

    base: str
    name: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def last(self, instruction: str) -> str:
        return [given for name, given in self.steps if name == instruction][-1]


def stages(text: str) -> list[Stage]:
    """Continued lines are joined, comments fall away."""
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    found: list[Stage] = []
    for line in re.sub(r"\\\n\s*", " ", code).splitlines():
        instruction, _, given = line.strip().partition(" ")
        if instruction == "FROM":
            base, _, name = given.partition(" AS ")
            found.append(Stage(base, name))
        elif instruction:
            found[-1].steps.append((instruction, given.strip()))
    return found


def ignored(path: str) -> bool:
    """By .dockerignore: whether an engine would not even see this file. The last rule that fits counts."""
    outcome = False
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        rule = line.strip()
        if rule and not rule.startswith("#"):
            pattern = _pattern(rule.removeprefix("!"))
            parts = path.split("/")
            if any(pattern.fullmatch("/".join(parts[:count])) for count in range(1, len(parts) + 1)):
                outcome = not rule.startswith("!")
    return outcome


def _pattern(rule: str) -> re.Pattern[str]:
    pieces = {"**/": "(?:.*/)?", "*": "[^/]*"}
    return re.compile("".join(pieces.get(each, re.escape(each)) for each in re.split(r"(\*\*/|\*)", rule)))


class Replay:
    """Stages as folders below `folder`: what a stage calls /x is `folder`/stage/x here."""

    def __init__(self, folder: Path, context: Path = ROOT) -> None:
        self.folder, self.context = folder, context
        self.environment: dict[str, dict[str, str]] = {}
        self._workdir: dict[str, str] = {}
        self._steps = {"ENV": self._env, "WORKDIR": self._enter, "COPY": self._copy, "RUN": self._run}

    def run(self, stage: Stage) -> None:
        (self.folder / stage.name).mkdir(exist_ok=True)
        self.environment[stage.name] = dict(self._outside())
        for instruction, given in stage.steps:
            if instruction in self._steps:
                self._steps[instruction](stage.name, given)

    def inside(self, stage: str, text: str) -> str:
        """A command of the stage, with its absolute paths in its folder."""
        return re.sub(r"(?<![\w./$-])/(venv|app|tested)\b", f"{self.folder / stage}/\\1", text)

    def shell(self, stage: str, command: list[str]) -> subprocess.CompletedProcess[str]:
        cwd = self.at(stage)
        environment = self.environment[stage]
        return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)  # noqa: S603

    def at(self, stage: str) -> Path:
        return Path(self._workdir[stage])

    @staticmethod
    def _outside() -> Mapping[str, str]:
        """How this machine reaches its package index, and nothing else of it; packages are not compiled here, which is
        half of their installing."""
        kept = {
            name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_")) or name == "HOME"
        }
        return kept | {"PATH": os.environ["PATH"], "PIP_NO_COMPILE": "1"}

    def _env(self, stage: str, given: str) -> None:
        environment = self.environment[stage]
        for pair in shlex.split(given):
            name, _, value = self.inside(stage, pair).partition("=")
            environment[name] = value.replace("$PATH", environment["PATH"])

    def _enter(self, stage: str, given: str) -> None:
        self._workdir[stage] = self.inside(stage, given)
        Path(self._workdir[stage]).mkdir(parents=True, exist_ok=True)

    def _copy(self, stage: str, given: str) -> None:
        *sources, target = given.split()
        if sources[0].startswith("--from="):
            origin = self.folder / sources.pop(0).removeprefix("--from=")
            _brought([origin / source.lstrip("/") for source in sources], self._target(stage, target))
            return
        for path in tracked():
            name = path.relative_to(self.context).as_posix()
            for source in sources:
                if not ignored(name) and (source == "." or name == source or name.startswith(f"{source}/")):
                    self._place(path, name, source, stage, target)

    def _place(self, path: Path, name: str, source: str, stage: str, target: str) -> None:
        into = self._target(stage, target)
        inner = name if source == "." else name.removeprefix(source).lstrip("/")
        file = into / (inner or Path(name).name) if inner or target.endswith("/") else into
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, file)

    def _target(self, stage: str, target: str) -> Path:
        return Path(self.inside(stage, target)) if target.startswith("/") else self.at(stage) / target

    def _run(self, stage: str, given: str) -> None:
        done = self.shell(stage, ["/bin/sh", "-ec", self.inside(stage, given)])
        assert done.returncode == 0, done.stdout + done.stderr


def _brought(sources: list[Path], target: Path) -> None:
    """Links, not copies: the packages alone are 200 MB. A venv's own scripts go on naming its first place."""
    for source in sources:
        if source.exists():
            target.symlink_to(source)


def words(exec_form: str) -> list[str]:
    """Of CMD ["a", "b"]."""
    found: list[str] = json.loads(exec_form[exec_form.index("[") :])
    return found
