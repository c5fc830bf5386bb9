"""What infra/terraform would make, value by value, as `terraform test` with a mocked provider tells it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.infra.tfcheck import offline

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "infra" / "terraform"
PLAYBOOKS = ROOT / "docs" / "playbooks"
IMAGE = f"europe-west1-docker.pkg.dev/muster-test/muster/muster@sha256:{'0' * 64}"

Values = dict[str, Any]


@dataclass(frozen=True)
class Run:
    """One run of the test file: its resources and outputs. Values that Google would choose are made up, and unique."""

    resources: Sequence[Values]
    outputs: Mapping[str, Any]

    def all(self, type_: str, name: str = "") -> dict[str, Values]:
        """By index, or by name where there is one alone."""
        found = [each for each in self.resources if each["type"] == type_ and name in ("", each["name"])]
        return {str(each.get("index", each["name"])): each["values"] for each in found}

    def types(self) -> set[str]:
        return {each["type"] for each in self.resources}

    def environments(self) -> dict[str, dict[str, str]]:
        """Of each function."""
        containers = {name: one["template"][0]["containers"][0] for name, one in self.services().items()}
        return {name: {env["name"]: env["value"] for env in one["env"]} for name, one in containers.items()}

    def services(self) -> dict[str, Values]:
        return self.all("google_cloud_run_v2_service")

    def accounts(self) -> dict[str, str]:
        """Member to the function (or the invoker) whose account it is."""
        return {values["member"]: name for name, values in self.all("google_service_account").items()}


@dataclass(frozen=True)
class Terraform:
    """Runs on a copy, so that no run leaves anything behind in the checkout."""

    folder: Path
    environment: Mapping[str, str]

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["terraform", f"-chdir={self.folder}", *arguments]
        return subprocess.run(  # noqa: S603
            command, env=dict(self.environment), capture_output=True, text=True, timeout=400, check=False
        )


def start(tmp: Path, until: ExitStack) -> Terraform:
    """With the real provider where it may be fetched (MUSTER_ALLOW_REMOTE=1) and can be; else with its schema alone."""
    if shutil.which("terraform") is None:
        pytest.skip("there is no terraform on the PATH: see developer.hashicorp.com/terraform/install")
    folder = copied(tmp)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    inherited |= {"TF_DATA_DIR": str(tmp / "data"), "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1"}
    init = ("init", "-backend=false", "-input=false", "-no-color")
    if os.environ.get("MUSTER_ALLOW_REMOTE") == "1":
        own = {name: value for name, value in os.environ.items() if name == "TF_CLI_CONFIG_FILE"}
        real = Terraform(folder, inherited | own)
        if real(*init).returncode == 0:
            return real
    known = Terraform(folder, inherited | until.enter_context(offline()))
    made = known(*init)
    assert made.returncode == 0, made.stdout + made.stderr
    return known


def copied(tmp: Path) -> Path:
    """Beside the playbooks, which it reads. The example of terraform.tfvars becomes one more run."""
    folder = tmp / "infra" / "terraform"
    shutil.copytree(FOLDER, folder, ignore=shutil.ignore_patterns(".terraform*", "*.tfvars", "*.tfstate*"))
    shutil.copytree(PLAYBOOKS, tmp / "docs" / "playbooks")
    mocks = (FOLDER / "tests" / "deployment.tftest.hcl").read_text().partition("\nvariables {")[0]
    example = "\n".join(example_lines())
    more = f'{mocks}\nrun "example" {{\n  variables {{\n{example}\nimage = "{IMAGE}"\n  }}\n}}\n'
    (folder / "tests" / "example.tftest.hcl").write_text(more)
    return folder


def example_lines() -> list[str]:
    """The assignments of terraform.tfvars.example, the optional ones too."""
    text = (FOLDER / "terraform.tfvars.example").read_text()
    return [line.removeprefix("# ") for line in text.splitlines() if re.match(r"(# )?[a-z_]+ +=", line)]


def runs(terraform: Terraform) -> dict[str, Run]:
    done = terraform("test", "-json", "-verbose")
    events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    amiss = [event["@message"] + str(event.get("diagnostic", "")) for event in events if event["@level"] == "error"]
    assert done.returncode == 0, "\n".join([*amiss, done.stderr])
    return {event["@testrun"]: run_of(event["test_state"]) for event in events if event["type"] == "test_state"}


def run_of(state: Values) -> Run:
    resources = [each for each in state["root_module"]["resources"] if each["mode"] == "managed"]
    return Run(resources, {name: output["value"] for name, output in state["outputs"].items()})
