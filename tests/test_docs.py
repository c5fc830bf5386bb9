"""What the pages say is there: files, headings, scripts, routes, secrets, findings, collections, steps."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from functions.admin.app import app
from shared.domain.onboarding import ENTRY_POINTS
from shared.rarer_repositories import CATEGORIES, IMPORTS, PLANS
from shared.repositories import AUDIT, BUNDLES, INVITES, JOBS, ONBOARDINGS
from shared.settings import SETTINGS

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PAGES = [README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted(ROOT.glob("infra/**/*.md"))]
LINK = re.compile(r"\]\(([^)\s]+)\)")
BLOCK = re.compile(r"^ *```sh\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
SCRIPT = re.compile(r"(?<![\w./-])(?:\./)?((?:scripts|infra|benchmarks|tests)/[\w./-]*[\w-])")
MODULE = re.compile(r"python3? -m ([\w.]+)")
CURL = re.compile(r'^ *muster ([^\n|#]*?)"?\$PUBLIC_URL(/[^\s"?]*)([^\n#]*)', re.MULTILINE)
REPOSITORIES = (AUDIT, BUNDLES, CATEGORIES, IMPORTS, INVITES, JOBS, ONBOARDINGS, PLANS)
PLACES = {
    "ob_...": "{onboarding_id}",
    "$id": "{onboarding_id}",
    "17": "{pk}",
    "job_...": "{job_id}",
    "msg_...": "{message_id}",
    "plan_...": "{plan_id}",
    "imp_...": "{import_id}",
    "cat_...": "{category_id}",
    "rules": "{reason_id}",
    "welcome": "{template_id}",
    "welcome.language.de": "{template_id}",
    "welcome.bundle.hikers": "{template_id}",
    "@ada:example.org": "{matrix_id}",
}


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def links(page: Path) -> Iterator[tuple[Path, str]]:
    """File and heading of each link that leads to a file of ours."""
    for target in LINK.findall(page.read_text()):
        parts = urlsplit(target)
        if not parts.scheme:
            yield (page.parent / parts.path).resolve() if parts.path else page, parts.fragment


def anchors(page: Path) -> set[str]:
    """Of its headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def rows(page: str, heading: str) -> list[list[str]]:
    """The cells of the first table below that heading."""
    section = re.split(r"^#+ ", (ROOT / page).read_text().partition(f"# {heading}\n")[2], flags=re.MULTILINE)[0]
    table = re.search(r"(?:^\|.*\n)+", section, re.MULTILINE)
    assert table, f"{page} has no table below {heading!r}"
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table[0].splitlines()[2:]]


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link leads to a file that exists, and to a heading that it has."""
    found = list(links(page))
    missing = [target.relative_to(ROOT).as_posix() for target, _ in found if not target.exists()]
    headless = [f"{name(target)}#{part}" for target, part in found if part and part not in anchors(target)]
    assert not missing + headless


def test_every_page_can_be_reached() -> None:
    """From the README, link by link, one comes to every file in docs/."""
    reached, ahead = set[Path](), [README]
    while ahead:
        page = ahead.pop()
        if page not in reached:
            reached.add(page)
            ahead += [target for target, _ in links(page) if target.exists()] if page.suffix == ".md" else []
    there = {path for path in (ROOT / "docs").rglob("*") if path.is_file()}
    assert not sorted(map(name, there - reached))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_scripts_that_are_named_exist(page: Path) -> None:
    """What a block of commands runs is there: scripts, modules, and what set-up is asked for."""
    text = "\n".join(BLOCK.findall(page.read_text()))
    paths = {path for path in SCRIPT.findall(text) if not (ROOT / path).exists()}
    modules = {module for module in MODULE.findall(text) if not _is_module(module)}
    verbs = set(re.findall(r"scripts/setup ([a-z]+)", text)) - _verbs()
    assert not paths | modules | verbs


def _is_module(module: str) -> bool:
    path = ROOT / module.replace(".", "/")
    return path.with_suffix(".py").exists() or (path / "__main__.py").exists()


def _verbs() -> set[str]:
    return set(re.findall(r"^#   scripts/setup ([a-z]+)", (ROOT / "scripts" / "setup").read_text(), re.MULTILINE))


def test_routes_that_are_called_exist() -> None:
    """Each call by curl in the pages is a route of the API, with a method that it has."""
    routes = app().openapi()["paths"]
    wrong, seen = [], 0
    for page in PAGES:
        for before, path, after in CURL.findall("\n".join(BLOCK.findall(page.read_text()))):
            known = "/".join(PLACES.get(part, part) for part in path.split("/"))
            known = re.sub(r"/export/\w+", "/export/{what}", known)
            known = known.replace("/jobs/{import_id}", "/jobs/{job_id}")  # an import's job has the same id
            asked = re.search(r"-X (\w+)", before)
            method = asked[1].lower() if asked else "post" if " -d " in after else "get"
            seen += 1
            if method not in routes.get(known, {}):
                wrong.append(f"{name(page)}: {method} {path}")
    assert not wrong
    assert seen > 20


def test_sh_blocks_are_shell() -> None:
    """Every block of commands is one that bash can read."""
    for page in PAGES:
        for block in BLOCK.findall(page.read_text()):
            read = subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True, check=False)  # noqa: S607
            assert read.returncode == 0, f"{name(page)}: {read.stderr}\n{block}"


def test_each_secret_is_explained() -> None:
    """The security page says of each secret what it opens, the operations page how to rotate it; neither knows another."""
    secrets = {setting.name for setting in SETTINGS if setting.secret}
    explained = [secret for row in rows("docs/security.md", "What each secret opens") for secret in quoted(row[0])]
    assert sorted(explained) == sorted(secrets)
    rotated = {secret for row in rows("docs/operations.md", "Rotate a secret") for secret in quoted(row[0])}
    assert rotated == secrets


def test_each_entry_point_has_its_caller() -> None:
    """The security page's table of callers names every entry point."""
    import main

    named = {entry for row in rows("docs/security.md", "Who may call what") for entry in quoted(row[0])}
    assert set(main.ENTRY_POINTS) <= named


def test_each_finding_is_one_of_the_self_checks() -> None:
    """What the operations page says of a finding is said of one that the code has."""
    code = "\n".join(path.read_text() for path in (ROOT / "shared").rglob("*.py"))
    findings = [finding for row in rows("docs/operations.md", "When something is red") for finding in quoted(row[0])]
    assert len(findings) > 20
    unknown = [each for each in findings if f'"{each.removesuffix(" ...")}' not in code.replace('f"', '"')]
    assert not unknown


def test_each_step_is_explained() -> None:
    """The table of steps has every kind that there is, with the function that runs it."""
    table = rows("docs/architecture.md", "Steps and their states")
    said = {kind.partition(":")[0]: quoted(row[1])[0] for row in table for kind in quoted(row[0])}
    assert said == ENTRY_POINTS


def test_each_collection_is_explained() -> None:
    """Every collection that the code writes to is in the table of documents."""
    named = {each.rpartition("/")[2] for row in rows("docs/architecture.md", "Documents") for each in quoted(row[0])}
    code = "\n".join(path.read_text() for path in (ROOT / "shared" / "services").rglob("*.py"))
    written = set(re.findall(r'"([a-z_]+)/(?:\{|[a-z_]+")', code)) | {each.collection for each in REPOSITORIES}
    assert len(written) > 12
    assert not sorted(written - named - {"rooms", "users"})  # which are routes
