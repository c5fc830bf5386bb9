"""The house stands as it is drawn: which way things point, what an import costs, which lists say the same."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import NamedTuple

import pytest

from shared import ports
from shared.settings import SETTINGS

ROOT = Path(__file__).parent.parent
PRODUCT = ("functions", "shared")
OUTSIDE = ("google", "httpx", "nio", "aiohttp", "grpc", "jwt", "vodozemac", "opentelemetry")
IMPURE = (*OUTSIDE, "os", "time", "random", "secrets", "uuid", "socket", "sqlite3", "subprocess", "asyncio", "logging")


class Rule(NamedTuple):
    """Modules below `package` import nothing below any of `never`, at their top or within a function."""

    package: str
    never: tuple[str, ...]


RULES = (
    Rule(
        "shared.domain", (*IMPURE, "functions", "local", "main", "shared.adapters", "shared.services", "shared.wiring")
    ),
    Rule("shared.domain", ("shared.ports", "shared.repositories", "shared.settings", "shared.logs")),
    Rule("shared.ports", (*IMPURE, "shared.adapters", "shared.services", "shared.wiring")),
    Rule(
        "shared.repositories", (*OUTSIDE, "functions", "local", "shared.adapters", "shared.services", "shared.wiring")
    ),
    Rule("shared.services", (*OUTSIDE, "functions", "local", "main", "shared.adapters", "shared.wiring")),
    Rule("shared.adapters", ("functions", "local", "main", "shared.services", "shared.wiring")),
    Rule("shared.wiring", ("functions", "local", "main")),
    Rule("functions", ("google", "nio", "grpc", "local", "main", "shared.adapters")),
    Rule("main", (*OUTSIDE, "local", "shared")),
    Rule("local", ("functions", "shared.adapters", "shared.services", "shared.wiring")),
    Rule("legacy", (*OUTSIDE, "functions", "local", "main", "shared.adapters")),
    Rule("shared", ("legacy",)),
    Rule("functions", ("legacy",)),
)


def tracked(*patterns: str) -> list[Path]:
    """What a clone has or is about to have; generated and ignored files fall away."""
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", *patterns]
    found = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout  # noqa: S603
    return sorted(ROOT / name for name in found.split("\0") if name and (ROOT / name).is_file())


def modules(package: str) -> Iterator[Path]:
    folder = ROOT / package.replace(".", "/")
    yield from sorted(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]


def imported(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Every import at any depth, as (line, dotted name); `from a import b` counts as `a.b`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"line {node.lineno}: imports name the whole path"
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def below(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def lines(*packages: str) -> int:
    """Lines of Python, blank ones and all."""
    return sum(len(path.read_text().splitlines()) for package in packages for path in modules(package))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.package}-{rule.never[0]}")
def test_things_point_inwards(rule: Rule) -> None:
    """functions -> services -> domain; adapters behind their ports; only the wiring knows both sides."""
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in modules(rule.package)
        for line, name in imported(parsed(path))
        if any(below(name, banned) for banned in rule.never)
    ]
    assert not wrong, "\n".join(wrong)


def test_the_domain_asks_no_clock() -> None:
    """The domain is handed `now` and ids: it calls no clock, so every case of it can be tested."""
    clocks = ("now", "utcnow", "today", "fromtimestamp")
    asked = [
        f"{path.relative_to(ROOT)}:{node.lineno} calls {ast.unparse(node.func)}"
        for path in modules("shared.domain")
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in clocks
        if ast.unparse(node.func.value) in ("datetime", "date", "datetime.datetime", "datetime.date")
    ]
    assert not asked, "\n".join(asked)


def test_importing_main_loads_nothing_heavy() -> None:
    """A cold start pays only for what its entry point uses: importing `main` loads no client at all."""
    heavy = "nio google.cloud.firestore google.cloud.firestore_v1 google.cloud.tasks_v2 google.cloud.secretmanager"
    heavy += " google.cloud.secretmanager_v1 google.auth grpc httpx pydantic fastapi jwt cryptography sqlite3"
    show = f"import sys, main; print(*(name for name in {heavy.split()!r} if name in sys.modules))"
    run = subprocess.run([sys.executable, "-c", show], cwd=ROOT, env={}, capture_output=True, text=True, check=False)  # noqa: S603
    assert (run.returncode, run.stdout.split()) == (0, []), run.stderr


OTHERS_WORK = {
    "room": "encryption messaging cache imports plans indoc_clock removals recommendations users",
    "groups": "encryption messaging rooms cache imports plans indoc_clock removals recommendations users",
    "hello": "cache imports plans plan_acts indoc_clock removals recommendations users entering",
    "indoc_farewell": "cache imports plans plan_acts indoc_clock removals recommendations users entering",
    "": "steps encryption messaging rooms imports plans indoc_clock removals recommendations users",
}
"""Kinds of steps, and "" for the webhook, with services that they have no need of."""


@pytest.mark.parametrize("kind", OTHERS_WORK)
def test_a_cold_start_loads_no_others_work(kind: str) -> None:
    """A step that is waited for, and the webhook, import what they do themselves: not the cache, plans, imports."""
    names = ["shared.domain.recommending", *(f"shared.services.{name}" for name in OTHERS_WORK[kind].split())]
    load = f"import functions.tasks; from shared.services.actions import TABLES; TABLES[{kind!r}]()"
    load = load if kind else "import functions.hooks.enrollment"
    show = f"{load}; import sys; print(*(name for name in {names} if name in sys.modules))"
    run = subprocess.run([sys.executable, "-c", show], cwd=ROOT, env={}, capture_output=True, text=True, check=False)  # noqa: S603
    assert (run.returncode, run.stdout.split()) == (0, []), run.stderr


def test_tracing_that_is_off_costs_nothing() -> None:
    """While tracing is off, neither `main` nor the wiring nor any port loads a module of OpenTelemetry; nor does the API,
    but for what FastAPI itself imports of its interface."""
    look = """
import importlib, pkgutil, sys
from shared.settings import Settings
from shared.wiring import Wiring
import main, functions
env = {name: "http://x.test" for name in ("AUTHENTIK_URL", "MATRIX_HOMESERVER", "TASKS_URL_TEMPLATE")}
env |= {"MUSTER_STORE": "sqlite", "TASKS_SERVICE_ACCOUNT": "x", "FIRESTORE_EMULATOR_HOST": "x.test:1"}
wired = Wiring(Settings(env))
assert wired.tracer is None and wired.documents and wired.queue and Wiring(Settings(env | {"MUSTER_STORE": "firestore"})).documents
import shared.adapters.matrix, shared.adapters.authentik, shared.adapters.secret_manager
loaded = lambda: {name for name in sys.modules if name.startswith("opentelemetry.")}
api = ("functions.admin.",)
for found in pkgutil.walk_packages(functions.__path__, "functions."):
    if not found.name.startswith(api):
        importlib.import_module(found.name)
print(sorted(loaded()))
import functions.admin.app
print(sorted(name for name in loaded() if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter", "opentelemetry.proto"))))
"""
    run = subprocess.run([sys.executable, "-c", look], cwd=ROOT, env={}, capture_output=True, text=True, check=False)  # noqa: S603
    assert (run.returncode, run.stdout.split()) == (0, ["[]", "[]"]), run.stderr + run.stdout


def test_importing_main_reads_no_setting() -> None:
    """Nothing happens at import: `main` and every function module come up without environment, and ask for none."""
    watch = """
import os, pkgutil, importlib
class Watched(dict):
    def get(self, name, *rest):
        assert not name.startswith(("MUSTER_", "MATRIX_", "AUTHENTIK_", "TASKS_", "ADMIN_")), name
        return dict.get(self, name, *rest)
    __getitem__ = get
os.environ = Watched()
import main, functions
for found in pkgutil.walk_packages(functions.__path__, "functions."):
    importlib.import_module(found.name)
"""
    run = subprocess.run([sys.executable, "-c", watch], cwd=ROOT, env={}, capture_output=True, text=True, check=False)  # noqa: S603
    assert run.returncode == 0, run.stderr


def test_the_product_imports_what_is_deployed() -> None:
    """Whatever the product imports is in requirements.txt: what only tests have is missing in a deployment."""
    names = re.findall(r"^([\w.-]+)==", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    deployed = {re.sub(r"[-_.]+", "-", name).lower() for name in names}
    distributions = packages_distributions()
    missing = {
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for package in ("main", *PRODUCT)
        for path in modules(package)
        for line, name in imported(parsed(path))
        if (top := name.partition(".")[0]) not in (*sys.stdlib_module_names, "main", *PRODUCT)
        if not {re.sub(r"[-_.]+", "-", found).lower() for found in distributions.get(top, ())} & deployed
    }
    assert not missing, "\n".join(sorted(missing))


def adapters() -> list[type]:
    package = importlib.import_module("shared.adapters")
    found = [importlib.import_module(f"shared.adapters.{each.name}") for each in pkgutil.iter_modules(package.__path__)]
    return [kind for module in found for _, kind in inspect.getmembers(module, inspect.isclass)]


def speaks(kind: type, port: type) -> bool:
    """Has each method of the port, with the same parameters."""
    asked = {name: method for name, method in inspect.getmembers(port, inspect.isfunction) if not name.startswith("_")}
    return all(
        list(inspect.signature(method).parameters) == list(inspect.signature(getattr(kind, name)).parameters)
        if inspect.isfunction(getattr(kind, name, None))
        else False
        for name, method in asked.items()
    )


@pytest.mark.parametrize(
    ("port", "least"),
    [
        (ports.Documents, 2),
        (ports.TaskQueue, 1),
        (ports.Directory, 1),
        (ports.Chat, 1),
        (ports.Keys, 1),
        (ports.Secrets, 1),
        (ports.TextIndex, 1),
        (ports.Assistant, 1),
    ],
)
def test_each_port_has_its_adapter(port: type, least: int) -> None:
    """Every port is implemented, method by method and parameter by parameter; documents by two stores."""
    speaking = {kind.__qualname__ for kind in adapters() if speaks(kind, port)}
    assert len(speaking) >= least, f"{port.__name__}: {sorted(speaking)}"


def test_the_example_of_settings_is_the_table() -> None:
    """.env.example names each setting of the table once, with its default, and no secret has a value."""
    text = (ROOT / ".env.example").read_text()
    assert text == runpy.run_path(str(ROOT / "scripts" / "env_example"))["text"](), "scripts/format writes it anew"
    given = dict(line.split("=", 1) for line in text.splitlines() if line and not line.startswith("#"))
    assert set(given) == {setting.name for setting in SETTINGS}
    assert not [setting.name for setting in SETTINGS if setting.secret and given[setting.name]]


def test_the_scaffolding_stays_small() -> None:
    """local/ is scaffolding: it stays under a quarter of the product's lines."""
    local, product = lines("local"), lines("main", *PRODUCT)
    assert local * 4 < product, f"local has {local} lines, the product {product}"


def test_every_test_states_its_promise() -> None:
    """Each test function has a docstring: the promise it keeps."""
    silent = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in tracked("tests/*.py")
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
        if not ast.get_docstring(node)
    ]
    assert not silent, "\n".join(silent)


def test_no_file_knows_a_machine() -> None:
    """What is tracked runs anywhere: no folder of somebody's machine, no package registry by its host's name."""
    # Put together here, so that this file does not find itself.
    machine = "|".join(rf"(?<![\w./~$}}-])/{top}/" for top in ("work", "root", "home", "Users", "tmp"))
    registry = "|".join(("pypi" + r"\.org", "pythonhosted" + r"\.org", "npmjs" + r"\.(org|com)", r"--index-" + "url"))
    banned = re.compile(f"{machine}|{registry}|file" + "://")
    texts = [path for path in tracked() if path.suffix not in (".png", ".ico", ".woff2", ".gif", ".webp")]
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for path in texts
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if banned.search(line)
    ]
    assert not found, "\n".join(found)
