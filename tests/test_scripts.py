"""The scripts and what they stand on: set-up, the guards of scripts/run, its children, its one port."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import socket
import stat
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import httpx
import pytest

from local.app import application
from local.processes import Part, PartFailed, Reaper
from local.screen import Screen
from local.surroundings import ADDRESSES, CREDENTIALS, PORTS, DataDirectory, given, is_loopback, ports, refuse_remote
from shared.settings import BY_NAME, SETTINGS
from shared.settings_told import FROM_DOTENV

ROOT = Path(__file__).parent.parent


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    known = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    command = (str(ROOT / command[0]), *command[1:])
    return subprocess.run(  # noqa: S603
        command, capture_output=True, text=True, env=known | environment, stdin=subprocess.DEVNULL, check=False
    )


# ------------------------------------------------------------------ scripts/setup


def test_a_new_key_fits_its_entry() -> None:
    """scripts/setup key prints a key and the entry of ADMIN_API_KEYS that lets it in."""
    printed = run("scripts/setup", "key", "ada").stdout
    key, entry = re.findall(r"(muster_[\w-]{43}|ada:[0-9a-f]{64})$", printed, re.MULTILINE)
    assert entry == f"ada:{hashlib.sha256(key.encode()).hexdigest()}"


def test_a_key_needs_a_name_fit_for_the_audit_log() -> None:
    """A name with a colon or a comma would tear ADMIN_API_KEYS apart: it is refused in words."""
    refused = run("scripts/setup", "key", "ada,eve")
    assert refused.returncode
    assert "A name has" in refused.stderr


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what scripts/setup reads, with a Python that only notes how it is called."""
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    for file in ROOT.glob("requirements*.txt"):
        shutil.copy(file, tmp_path)
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\n')
    python.chmod(0o755)
    return tmp_path


def setup(checkout: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return run(str(checkout / "scripts" / "setup"), *arguments, **environment)


def calls(checkout: Path) -> list[str]:
    noted = checkout / "calls"
    return noted.read_text().splitlines() if noted.exists() else []


def test_set_up_installs_once(checkout: Path) -> None:
    """A second scripts/setup finds everything done, and one with --dev has done what one without does."""
    for arguments in (["--dev"], ["--dev"], []):
        assert setup(checkout, *arguments).returncode == 0
    assert len(calls(checkout)) == 1


def test_set_up_follows_the_requirements(checkout: Path) -> None:
    """Changed requirements are installed at the next call."""
    setup(checkout)
    with (checkout / "requirements.txt").open("a") as file:
        file.write("# changed\n")
    setup(checkout)
    assert len(calls(checkout)) == 2


def test_an_old_python_is_told_what_is_missing(checkout: Path, tmp_path: Path) -> None:
    """Without Python 3.11 or newer, set-up says so and how to get one."""
    shutil.rmtree(checkout / ".venv")
    old = tmp_path / "old"
    old.mkdir()
    for name in ("python3", "python3.11", "python3.12", "python3.13"):
        (old / name).write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.2"\nexit 1\n')
        (old / name).chmod(0o755)
    for tool in ("bash", "dirname", "cat", "cksum", "flock"):
        (old / tool).symlink_to(shutil.which(tool) or "")
    refused = setup(checkout, PATH=str(old))
    assert refused.returncode
    assert "3.11 or newer; python3 here is Python 3.9.2" in refused.stderr
    assert "apt install" in refused.stderr


def test_the_python_that_is_used(checkout: Path, tmp_path: Path) -> None:
    """The one that is named; else the first of the versions that are locked, unless it was compiled without optimizations
    and another was not."""
    shutil.rmtree(checkout / ".venv")
    slow, fast = tmp_path / "slow", tmp_path / "fast"
    for folder, answer in ((slow, "*--enable-optimizations*) exit 1;;"), (fast, "")):
        folder.mkdir()
        (folder / "python3").write_text(f'#!/bin/sh\ncase "$2" in {answer} *) exit 0;; esac\n')
        (folder / "python3").chmod(0o755)

    def used(**environment: str) -> str:
        return setup(checkout, "python", **environment).stdout.strip()

    path = os.environ["PATH"]
    assert used(PATH=f"{slow}:{fast}:{path}") == str(fast / "python3")
    assert used(PATH=f"{fast}:{slow}:{path}") == str(fast / "python3")
    assert used(PATH=f"{fast}:{path}", PYTHON=sys.executable) == sys.executable


LOCKED = tuple(f"requirements{kind}.txt" for kind in ("", "-dev", "-synapse", "-sbom", "-checkov", "-import"))


def locked(name: str) -> dict[str, list[str]]:
    """Each line that names a package, and the hashes below it."""
    found: dict[str, list[str]] = {}
    for line in (ROOT / name).read_text().splitlines():
        if line.startswith("    --hash=sha256:"):
            found[list(found)[-1]].append(line.removesuffix(" \\").removeprefix("    --hash=sha256:"))
        elif not line.startswith(("#", "-r ")):
            found[line.removesuffix(" \\")] = []
    return found


@pytest.mark.parametrize("name", LOCKED)
def test_locked_files_hold_versions_and_hashes(name: str) -> None:
    """Every package is pinned to one version, with the hashes of its files: nothing else can be installed."""
    packages = locked(name)
    assert [line for line in packages if not re.fullmatch(r"[a-z0-9-]+==[\w.+!]+( ; .+)?", line)] == []
    wrong = [each for hashes in packages.values() for each in hashes if not re.fullmatch("[0-9a-f]{64}", each)]
    assert (wrong, [line for line, hashes in packages.items() if not hashes]) == ([], [])


def test_development_comes_on_top() -> None:
    """requirements-dev.txt repeats nothing of requirements.txt, which it names: two versions of one package cannot be."""
    own, shared = ({line.partition("==")[0] for line in locked(f"requirements{kind}.txt")} for kind in ("-dev", ""))
    assert own & shared == set()
    assert "-r requirements.txt" in (ROOT / "requirements-dev.txt").read_text().splitlines()


def test_set_up_takes_no_package_without_its_hash(checkout: Path) -> None:
    """pip is told to refuse what is not the file that was locked."""
    setup(checkout)
    assert "--require-hashes" in calls(checkout)[0]


# ------------------------------------------------------------------ guards


@pytest.mark.parametrize("name", [*ADDRESSES, *CREDENTIALS])
def test_other_machines_are_refused_by_name(name: str) -> None:
    """An address elsewhere, or a Google credential, stops everything: it is named, never quoted."""
    value = "https://elsewhere.example.org/{entry_point}"
    with pytest.raises(PartFailed, match=rf"^{name} would.*\n.*MUSTER_ALLOW_REMOTE=1") as refused:
        refuse_remote({name: value})
    assert "elsewhere" not in str(refused.value)
    refuse_remote({name: value, "MUSTER_ALLOW_REMOTE": "1"})


def test_every_address_among_the_settings_is_guarded() -> None:
    """A setting that is an address is one of those that are looked at; the example's defaults are not refused."""
    urls = {setting.name for setting in SETTINGS if setting.name.endswith(("_URL", "_HOST", "_ISSUER", "HOMESERVER"))}
    assert urls - {"TASKS_OIDC_ISSUER"} <= set(ADDRESSES) <= set(BY_NAME)
    refuse_remote(given({}, ROOT / ".env.example"))


@pytest.mark.parametrize(
    ("address", "ours"),
    [
        ("http://127.0.0.1:8080/x", True),
        ("localhost:8080", True),
        ("http://[::1]:80", True),
        ("http://localhost.example.org", False),
        ("http://127.0.0.1@example.org", False),
        ("10.0.0.1:80", False),
        ("metadata.google.internal", False),
        ("", False),
    ],
)
def test_loopback_is_told_from_what_looks_like_it(address: str, ours: bool) -> None:
    """Only this machine's own addresses pass."""
    assert is_loopback(address) is ours


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    """Settings come from the environment, else from .env, which is told; comments, blanks and defaults say nothing."""
    file = tmp_path / ".env"
    file.write_text(
        "# MATRIX_DOMAIN=no\nMATRIX_DOMAIN='file.test'\nPORT=1\nMATRIX_USER_ID=\nMUSTER_ENV=production\nX=1\n"
    )
    assert given({"PORT": "2", "HOME": "h"}, file) == {
        "MATRIX_DOMAIN": "file.test",
        "PORT": "2",
        FROM_DOTENV: "MATRIX_DOMAIN",
    }


@pytest.mark.parametrize("name", PORTS)
def test_a_taken_port_is_named_with_its_variable(name: str) -> None:
    """Whoever holds a port is left alone; the message names the variable that takes another."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        with pytest.raises(PartFailed, match=rf"Port {taken} is taken.*\n.*{name}="):
            ports({"MUSTER_FREE_PORTS": "1", name: str(taken)})


def test_free_ports_are_all_different() -> None:
    """MUSTER_FREE_PORTS=1 gives each part a port of its own, and keeps one that is asked for."""
    found = ports({"MUSTER_FREE_PORTS": "1"})
    assert len(set(found.values())) == len(PORTS)
    assert ports({"MUSTER_FREE_PORTS": "1", "PORT": str(found["PORT"])})["PORT"] == found["PORT"]


# ------------------------------------------------------------------ what is kept


def test_one_supervisor_at_a_time(tmp_path: Path) -> None:
    """A second run is told that one is up and where; once that has ended, the next one may."""
    first = DataDirectory(tmp_path / "data")
    first.enter()
    with pytest.raises(PartFailed, match=f"up already, with what is in {tmp_path}"):
        DataDirectory(tmp_path / "data").enter()
    first.leave()
    DataDirectory(tmp_path / "data").enter()


def test_the_environment_is_shown_while_it_runs(tmp_path: Path) -> None:
    """--env shows what is up, and nothing once it has ended, however it ended."""
    kept = DataDirectory(tmp_path / "data")
    kept.enter()
    kept.write("environment", "PORT=1\n")
    assert DataDirectory(tmp_path / "data").running() == "PORT=1\n"
    kept._lock.close()  # type: ignore[union-attr]  # as if it had been killed
    assert DataDirectory(tmp_path / "data").running() == ""
    assert not (tmp_path / "data" / "environment").exists()


def test_secrets_are_made_once_for_their_owner(tmp_path: Path) -> None:
    """A second start finds the same secrets, in a file and a folder that nobody else can read."""
    kept = DataDirectory(tmp_path / "data")
    kept.enter()
    assert kept.secrets() == kept.secrets()
    assert stat.S_IMODE(kept.path.stat().st_mode) == 0o700
    assert stat.S_IMODE((kept.path / "secrets.json").stat().st_mode) == 0o600


def test_nothing_up_is_said(tmp_path: Path) -> None:
    """scripts/run --env without a running stack prints no setting, says how to start one, and fails."""
    command, environment = [sys.executable, "-m", "local", "--env"], {"MUSTER_DATA_DIR": str(tmp_path)}
    shown = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    assert (shown.returncode, shown.stdout) == (1, "")
    assert "scripts/run --serve" in shown.stderr


# ------------------------------------------------------------------ children


def test_a_part_that_fails_says_why(tmp_path: Path) -> None:
    """A part that ends at its start is reported with its own last words."""
    command = [sys.executable, "-c", "raise SystemExit('no such luck')"]
    reaper = Reaper()
    with pytest.raises(PartFailed, match=r"part did not start(.|\n)*no such luck"):
        Part(command, tmp_path / "part.log", lambda: False, reaper).start({})
    reaper.close()


def test_a_part_can_be_killed_and_started_again(tmp_path: Path) -> None:
    """`kill` takes what the part has started along; a start afterwards is a new process with the same settings."""
    mark = tmp_path / "mark"
    command = ["/bin/sh", "-c", f'echo "$$ $NAME" >> {mark}; sleep 600']
    reaper = Reaper()
    part = Part(command, tmp_path / "part.log", lambda: mark.exists() and bool(mark.read_text().strip()), reaper)
    part.start({"NAME": "one"})
    part.kill()
    mark.unlink()
    part.start(part.environment)
    assert mark.read_text().split()[1] == "one"
    reaper.close()
    assert gone(int(mark.read_text().split()[0]))


def gone(pid: int) -> bool:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks at processes under /proc: Linux only")
def test_no_child_outlives_a_killed_supervisor(tmp_path: Path) -> None:
    """kill -9 of the supervisor ends its parts too, even one that was started from a thread that is gone."""
    mark, log = tmp_path / "mark", tmp_path / "part.log"
    supervisor = f"""
        import os, pathlib, signal, threading
        from local.processes import Part, Reaper
        mark = pathlib.Path({str(mark)!r})
        command = ["/bin/sh", "-c", "echo $$ > {mark}.new; mv {mark}.new {mark}; sleep 600"]
        part = Part(command, pathlib.Path({str(log)!r}), mark.exists, Reaper())
        thread = threading.Thread(target=part.start, args=(dict(os.environ),))
        thread.start()
        thread.join()
        os.kill(os.getpid(), signal.SIGKILL)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(supervisor)], cwd=ROOT, check=False)  # noqa: S603
    assert gone(int(mark.read_text()))


# ------------------------------------------------------------------ one port, one screen

ENTRY = """
from functions_framework.aio import http
ENTRY_POINTS = {"admin": "admin", "hear": "hook", "act": "task", "sweep": "job", "create": "admin"}
@http
async def admin(request): return "admin"
@http
async def hear(request): return "hear"
@http
async def act(request): return "act"
@http
async def sweep(request): return "sweep"
@http
async def create(request): return "create"
"""


async def test_each_path_reaches_its_entry_point(tmp_path: Path) -> None:
    """Hook, tasks and jobs have their paths on the one port, a job its task too; all the rest is the admin page and API."""
    (tmp_path / "entry.py").write_text(ENTRY)
    transport = httpx.ASGITransport(app=application(tmp_path / "entry.py"))
    async with httpx.AsyncClient(transport=transport, base_url="http://muster") as client:
        paths = ("/", "/api/health", "/hooks/authentik", "/tasks/act", "/jobs/sweep", "/tasks/sweep", "/tasks/create")
        answers = [(await client.post(path)).text for path in paths]
    assert answers == ["admin", "admin", "hear", "act", "sweep", "sweep", "admin"]


def test_the_screen_stays_within_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    """Facts are cut, causes and fixes are wrapped, and without a terminal there is not one escape sequence."""
    screen = Screen()
    screen.line("welcome", "words " * 40, "the member's client")
    screen.timed("documents", "words " * 40, 1.234)
    screen.problem("cause " * 40)
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 80
    assert "\033" not in printed
    assert "1.2 s" in printed
