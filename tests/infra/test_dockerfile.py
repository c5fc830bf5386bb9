"""The image: linted, its stages done by hand since no engine runs here, and one entry point served out of it."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import time
import tomllib
from urllib.request import urlopen

import pytest

from main import ENTRY_POINTS
from tests.infra.dockerfile import Replay, ignored, stages, words
from tests.test_architecture import ROOT, tracked

FILE = ROOT / "Dockerfile"
STAGES = {stage.name: stage for stage in stages(FILE.read_text())}
PACKAGES, TESTS, RUNTIME = (STAGES[name] for name in ("packages", "tests", "runtime"))


def test_the_linter_has_nothing_to_say() -> None:
    """hadolint knows what goes wrong with images."""
    linter = ROOT / ".venv" / "bin" / "hadolint"
    if not linter.exists():
        pytest.skip("hadolint is not installed (it has no wheel for this system)")
    found = subprocess.run([linter, FILE], capture_output=True, text=True, check=False)  # noqa: S603
    assert (found.returncode, found.stdout) == (0, "")


def test_the_bases_are_pinned() -> None:
    """Each stage names one release of Python, which the project's own range covers, and all the same one."""
    versions = {re.fullmatch(r"python:(3\.\d+\.\d+)(-slim)?-\w+", stage.base)[1] for stage in STAGES.values()}  # type: ignore[index]
    assert len(versions) == 1
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert wanted == ">=3.11"
    assert versions.pop() > "3.11"


def test_the_tests_are_a_gate() -> None:
    """What runs copies the mark that only passed tests leave: without them there is no image."""
    assert ("COPY", "--from=tests /tested ./.tested") in RUNTIME.steps
    gate = TESTS.last("RUN")
    assert gate.endswith("&& touch /tested")
    assert not re.search(r"\|\||;", gate)
    for folder in re.findall(r"\btests/\S+", gate):
        assert (ROOT / folder).exists()


def test_nobody_in_particular_runs_it() -> None:
    """A number that is not root's, after the last step that writes anything."""
    names = [name for name, _ in RUNTIME.steps]
    assert int(RUNTIME.last("USER").split(":")[0]) >= 10_000
    assert not {"RUN", "COPY", "ADD"} & set(names[names.index("USER") :])


def test_packages_come_with_their_hashes() -> None:
    """A package that is not the one that was locked is refused."""
    assert "--require-hashes --only-binary :all: -r requirements.txt" in PACKAGES.last("RUN")


def test_what_an_image_must_not_hold() -> None:
    """Settings, state, credentials and what was made here never reach a build; all that is tracked does."""
    for name in (
        ".env",
        ".git/config",
        ".venv/bin/python",
        ".venv-synapse/x",
        ".muster/secrets.json",
        "terraform.tfvars",
    ):
        assert ignored(name), name
    for name in (
        "infra/terraform/.terraform/x",
        "infra/terraform/a.tfvars",
        "gha-creds-1.json",
        "shared/__pycache__/x.pyc",
    ):
        assert ignored(name), name
    assert [path.name for path in tracked() if ignored(path.relative_to(ROOT).as_posix())] == []


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Replay:
    """Packages and what runs, each step done in a folder; the gate is taken as passed: these tests are it."""
    replay = Replay(tmp_path_factory.mktemp("image"))
    replay.run(PACKAGES)
    (replay.folder / "tests").mkdir()
    (replay.folder / "tests" / "tested").touch()
    replay.run(RUNTIME)
    return replay


def serve(image: Replay, target: str) -> subprocess.Popen[str]:
    environment = image.environment["runtime"] | {"PORT": str(free_port()), "FUNCTION_TARGET": target}
    image.environment["runtime"] = environment
    command = words(RUNTIME.last("CMD"))
    cwd, pipe = image.at("runtime"), subprocess.PIPE
    return subprocess.Popen(command, cwd=cwd, env=environment, stdout=pipe, stderr=subprocess.STDOUT, text=True)  # noqa: S603


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def becomes_healthy(image: Replay) -> bool:
    command = words(RUNTIME.last("HEALTHCHECK"))
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if image.shell("runtime", command).returncode == 0:
            return True
        time.sleep(0.5)
    return False


@pytest.mark.stack
def test_the_image_serves(image: Replay) -> None:
    """Its own command, environment and health check, on what COPY brings and RUN makes: admin answers /api/health."""
    server = serve(image, "admin")
    try:
        assert becomes_healthy(image), "it never answered"
        with urlopen(f"http://127.0.0.1:{image.environment['runtime']['PORT']}/api/health", timeout=30) as answer:
            assert json.load(answer) == {"status": "ok"}
    finally:
        server.terminate()
        server.wait(30)


@pytest.mark.stack
def test_every_entry_point_is_healthy(image: Replay) -> None:
    """The health check holds for those too that know no such path."""
    for target in [name for name, kind in ENTRY_POINTS.items() if kind in ("hook", "task")][:2]:
        server = serve(image, target)
        try:
            assert becomes_healthy(image), target
        finally:
            server.terminate()
            server.wait(30)


@pytest.mark.stack
def test_own_code_is_compiled(image: Replay) -> None:
    """A cold start compiles nothing: each module lies there compiled, and is not looked at again."""
    app = image.at("runtime")
    sources = [path for path in app.rglob("*.py") if "__pycache__" not in path.parts]
    compiled = {path.name.partition(".")[0] for path in app.rglob("*.pyc")}
    assert {path.stem for path in sources} == compiled
    assert not (app / "tests").exists()
    assert not (app / "local").exists()


@pytest.mark.stack
def test_the_image_holds_what_is_deployed(image: Replay) -> None:
    """Its packages are those of requirements.txt, and pip; nothing of the tests."""
    listed = image.shell("runtime", ["python", "-m", "pip", "list", "--format=json", "--disable-pip-version-check"])
    names = {each["name"].lower().replace("_", "-").replace(".", "-") for each in json.loads(listed.stdout)}
    locked = re.findall(r"^([\w.-]+)==", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert names - {"pip", "setuptools"} == {name.lower().replace("_", "-").replace(".", "-") for name in locked}
