"""What GitHub runs: the repository's own scripts, actions pinned to a version, and no key that could leak."""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any

import pytest
import yaml

from tests.test_architecture import ROOT

FOLDER = ROOT / ".github"
FILES = sorted((FOLDER / "workflows").glob("*.yml"))


class Loader(yaml.SafeLoader):
    """`on` is a key here, not a truth."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag != "tag:yaml.org,2002:bool"]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def workflow(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.load((FOLDER / "workflows" / f"{name}.yml").read_text(), Loader)  # noqa: S506
    return found


def steps(name: str) -> list[dict[str, Any]]:
    return [step for job in workflow(name)["jobs"].values() for step in job.get("steps", ())]


NAMES = [file.stem for file in FILES]


@pytest.mark.parametrize("name", NAMES)
def test_a_workflow_hangs_together(name: str) -> None:
    """Each job has a machine, an end and steps, or calls another workflow; nothing may write unless it says so."""
    found = workflow(name)
    assert found["permissions"] == {"contents": "read"}
    for job in found["jobs"].values():
        assert ("uses" in job) or {"runs-on", "timeout-minutes", "steps"} <= set(job)
        if "uses" in job:
            assert (ROOT / job["uses"]).is_file()
        for needed in [job["needs"]] if "needs" in job else []:
            assert needed in found["jobs"]


@pytest.mark.parametrize("name", NAMES)
def test_actions_are_pinned(name: str) -> None:
    """Each action names a major version, of an owner whom we know."""
    for step in steps(name):
        assert ("uses" in step) != ("run" in step)
        if "uses" in step:
            assert re.fullmatch(r"(actions|hashicorp|google-github-actions)/[a-z-]+@v\d+", step["uses"])


@pytest.mark.parametrize("name", NAMES)
def test_no_expression_within_a_script(name: str) -> None:
    """What comes from outside reaches a script by its environment: within its text it could be a command."""
    scripts = [step["run"] for step in steps(name) if "run" in step]
    assert [script for script in scripts if "${{" in script] == []
    for script in scripts:
        linter = [str(ROOT / ".venv" / "bin" / "shellcheck"), "--shell=bash", "-"]
        found = subprocess.run(linter, input=script, capture_output=True, text=True, check=False)  # noqa: S603
        assert found.returncode == 0, found.stdout


def test_ci_is_what_everybody_can_run() -> None:
    """The check is .ci/run, and a deployment waits for it."""
    assert [step["run"] for step in steps("check") if "run" in step] == [".ci/run"]
    assert workflow("deploy")["jobs"]["deploy"]["needs"] == "check"
    assert workflow("deploy")["jobs"]["check"]["uses"] == "./.github/workflows/check.yml"


def test_a_deployment_has_no_key() -> None:
    """It logs in by workload identity: a token of this run, for this job alone, and no credential that is kept."""
    job = workflow("deploy")["jobs"]["deploy"]
    assert job["permissions"] == {"contents": "read", "id-token": "write"}
    assert job["environment"] == "production"
    [login] = [step["with"] for step in job["steps"] if step.get("uses", "").startswith("google-github-actions/auth@")]
    assert "workload_identity_provider" in login
    assert "credentials_json" not in (FOLDER / "workflows" / "deploy.yml").read_text()
    [script] = [step["run"] for step in job["steps"] if "deploy.sh" in step.get("run", "")]
    assert "--yes --skip-tests --secrets -" in script
    for ignored in ("gha-creds-*.json", "terraform.tfvars"):  # else the checkout would not be clean
        assert ignored in (ROOT / ".gitignore").read_text().splitlines()


def test_dependencies_are_watched() -> None:
    """Dependabot looks at every kind that is here."""
    updates = yaml.safe_load((FOLDER / "dependabot.yml").read_text())["updates"]
    kinds = {each["package-ecosystem"]: each["directory"] for each in updates}
    assert set(kinds) == {"pip", "github-actions", "docker", "terraform", "npm"}
    assert (ROOT / kinds["npm"].lstrip("/") / "package.json").is_file()


def test_the_bill_of_materials(tmp_path: Any) -> None:
    """scripts/sbom lists exactly what requirements.txt locks and what the page has under vendor, with hashes, and the same
    file for the same commit."""
    files = [tmp_path / "a.json", tmp_path / "b.json"]
    for file in files:
        subprocess.run([ROOT / "scripts" / "sbom", file], check=True, timeout=180)  # noqa: S603
    first, second = (json.loads(file.read_text()) for file in files)
    assert first == second
    assert (first["bomFormat"], first["metadata"]["component"]["name"]) == ("CycloneDX", "muster")
    listed = {f"{each['name']}=={each['version']}" for each in first["components"]}
    locked = set(re.findall(r"^([\w.-]+==[\w.]+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE))
    assert listed == locked | {"lean-qr==2.7.4"}
    [library] = [each for each in first["components"] if each["name"] == "lean-qr"]
    assert (library["purl"], library["licenses"]) == ("pkg:npm/lean-qr@2.7.4", [{"license": {"id": "MIT"}}])
    assert all("hashes" in each or "externalReferences" in each for each in first["components"])
