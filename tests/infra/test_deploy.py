"""deploy.sh, with stand-ins of gcloud and terraform first on PATH, real git, and a server that answers like Muster."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from main import ENTRY_POINTS
from tests.infra import cloud

ROOT = Path(__file__).parents[2]
PLANTED = {
    "AUTHENTIK_API_TOKEN": "ak-token-0d9c1f",
    "MATRIX_ACCESS_TOKEN": "syt_bot_77f0aa",
    "ADMIN_API_KEYS": "ada:" + "ab" * 32,
}
PYTHON = f'#!/bin/sh\nPYTHONPATH="{sysconfig.get_path("purelib")}" exec "{sys.executable}" -S "$@"\n'
"""With the packages, and without looking through them first: one deployment starts it nine times."""
SHARED = [f"shared/{name}.py" for name in ("__init__", "settings", "domain/__init__", "domain/errors")]
"""What the scripts need of it: all of it would be most of these tests' time."""
TASKS = [name for name, kind in ENTRY_POINTS.items() if kind == "task"]
MAIN_TF = """
resource "google_project_service" "apis" {
}
resource "google_artifact_registry_repository" "images" {
}
resource "google_secret_manager_secret" "secrets" {
}
resource "google_cloud_run_v2_service" "functions" {
}
"""


class Muster(BaseHTTPRequestHandler):
    """Each entry point below its own name, refusing strangers as ours and Google do."""

    broken: set[str] = set()  # noqa: RUF012 - of the class on purpose: a test breaks all of them

    def do_GET(self) -> None:
        name, _, path = self.path.lstrip("/").partition("/")
        if name in self.broken:
            self.say(500, "text/plain", "it crashed")
        elif path == "api/health":
            self.say(200, "application/json", '{"status": "ok"}')
        elif path == "api/invites":
            self.say(401, "application/problem+json", "{}")
        else:
            self.say(200, "text/html; charset=utf-8", "<!doctype html>")

    def do_POST(self) -> None:
        name = self.path.strip("/")
        kind = ENTRY_POINTS[name]
        if name in self.broken:
            self.say(200, "application/json", "{}")  # it lets a stranger in
        elif kind in ("task", "job"):
            self.say(403, "text/html", "Forbidden")
        else:
            self.say(401, "application/problem+json", '{"detail": "no", "fix": "no"}')

    def say(self, status: int, kind: str, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: Any) -> None:
        pass


@contextlib.contextmanager
def serving() -> Iterator[str]:
    Muster.broken = set()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Muster)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def served() -> Iterator[str]:
    with serving() as base:
        yield base


def executable(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


class Deployer:
    """A checkout of its own, and the world that deploy.sh finds around it; both may be `like` another's, as they are."""

    def __init__(self, folder: Path, base: str, like: Deployer | None = None) -> None:
        self.checkout, self.home, self.bin = folder / "muster", folder / "home", folder / "bin"
        self.home.mkdir()
        self.cloud = cloud.Cloud(self.home, list(ENTRY_POINTS), base)
        self.secrets = folder / "given"
        self.secrets.write_text("".join(f"{name}={value}\n" for name, value in PLANTED.items()))
        for program in ("gcloud", "terraform"):
            executable(self.bin / program, self.cloud.stand_in(program))
        if like:
            self.cloud.world = copy.deepcopy(like.world) | {"base": base}
            shutil.copytree(like.checkout, self.checkout, symlinks=True)
        else:
            self._clone()

    def _clone(self) -> None:
        self.checkout.mkdir()
        for name in ("deploy.sh", "main.py", "pyproject.toml", "requirements.txt", ".gitignore"):
            shutil.copy(ROOT / name, self.checkout)
        shutil.copytree(ROOT / "scripts", self.checkout / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
        for name in SHARED:
            (self.checkout / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, self.checkout / name)
        executable(self.checkout / "scripts" / "setup", "#!/bin/sh\n")
        executable(self.checkout / "scripts" / "check", '#!/bin/sh\nenv >"$HOME/checked"\n')
        executable(self.checkout / "scripts" / "sbom", '#!/bin/sh\necho "{}" >"$1"\n')
        (self.checkout / "infra" / "terraform").mkdir(parents=True)
        (self.checkout / "infra" / "terraform" / "main.tf").write_text(MAIN_TF)
        self.git("init", "--quiet")
        self.commit("the first")
        executable(self.checkout / ".venv" / "bin" / "python", PYTHON)
        (self.checkout / "terraform.tfvars").write_text("")

    def git(self, *arguments: str) -> str:
        identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false"]
        command = ["git", *identity, *arguments]
        run = subprocess.run(command, cwd=self.checkout, capture_output=True, text=True, check=True)  # noqa: S603
        return run.stdout.strip()

    def commit(self, subject: str) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", subject)
        return self.git("rev-parse", "HEAD")

    # -- the world

    @property
    def world(self) -> Any:
        return self.cloud.world

    def change(self, **changes: Any) -> None:
        self.cloud.world.update(changes)

    @property
    def calls(self) -> list[list[str]]:
        return self.cloud.calls

    def spoken(self) -> list[str]:
        """The calls in short: the words without the options; of a plan or an apply its name."""
        short = []
        for call in self.calls:
            words = [each.rpartition("/")[2] for each in cloud.words(call)]
            short.append(" ".join([*words, *(f"-> {Path(each).name}" for each in call if each.startswith("-out="))]))
        return short

    def forget(self) -> None:
        self.cloud.calls.clear()

    # -- the person

    def run(
        self, *arguments: str, answers: str = "", cwd: Path | None = None, shell: tuple[str, ...] = (), **more: str
    ) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": f"{self.bin}:{os.environ['PATH']}", "HOME": str(self.home), "SMOKE_PATIENCE": "0"}
        command = [*shell, str(self.checkout / "deploy.sh"), *arguments]
        return subprocess.run(  # noqa: S603
            command,
            cwd=cwd or self.checkout,
            env=environment | more,
            input=answers,
            capture_output=True,
            text=True,
            check=False,
        )

    def deploy(self, *arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
        given = ["muster-test", "europe-west1", "--yes", "--secrets", str(self.secrets), *arguments]
        return self.run(*given, **more)

    def history(self) -> Any:
        return json.loads(self.world["files"]["gs://muster-test-muster-state/deployments.json"])

    def running(self) -> set[str]:
        return set(self.world["services"].values())


@pytest.fixture
def deployer(tmp_path: Path, served: str) -> Iterator[Deployer]:
    made = Deployer(tmp_path, served)
    yield made
    made.cloud.close()


class First(NamedTuple):
    """A first deployment that nobody changes any more, and what it said."""

    deployer: Deployer
    run: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[First]:
    with serving() as base:
        made = Deployer(tmp_path_factory.mktemp("first"), base)
        yield First(made, done(made.deploy(GOOGLE_APPLICATION_CREDENTIALS="/dev/null", CLOUDSDK_AUTH_ACCESS_TOKEN="x")))
        made.cloud.close()


@pytest.fixture(scope="module")
def two_deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Deployer, str, str]]:
    """After two deployments, and the image of each; to be copied."""
    with serving() as base:
        made, images = Deployer(tmp_path_factory.mktemp("twice"), base), list[str]()
        for subject in ("the second", "the third"):
            made.commit(subject)
            done(made.deploy())
            images += made.running()
        yield made, images[0], images[1]
        made.cloud.close()


class Twice(NamedTuple):
    deployer: Deployer
    before: str
    last: str


@pytest.fixture
def twice(
    tmp_path_factory: pytest.TempPathFactory, served: str, two_deployed: tuple[Deployer, str, str]
) -> Iterator[Twice]:
    """Two commits were deployed, one after the other."""
    like, before, last = two_deployed
    made = Deployer(tmp_path_factory.mktemp("copy"), served, like)
    yield Twice(made, before, last)
    made.cloud.close()


def done(run: subprocess.CompletedProcess[str]) -> subprocess.CompletedProcess[str]:
    assert run.returncode == 0, run.stdout + run.stderr
    return run


def stopped(run: subprocess.CompletedProcess[str], words: str) -> None:
    assert run.returncode, run.stdout
    assert words in run.stderr, run.stdout + run.stderr


# ------------------------------------------------------------------ the way it goes


def test_a_first_deployment(first: First) -> None:
    """From an empty project to services that answer: state, registry, image, secrets, those that do tasks, the rest."""
    deployer, shown = first.deployer, first.run.stdout
    looks = r" (auth|describe|cat|show|output|versions list)\b"
    steps = [each for each in deployer.spoken() if not re.search(looks, each)]
    assert steps[0].startswith("gcloud services enable ")
    assert steps[1:] == [
        "gcloud storage buckets create muster-test-muster-state",
        "gcloud storage buckets update muster-test-muster-state",
        "terraform init",
        "terraform plan -> foundation",
        "terraform apply foundation",
        "gcloud builds submit source.tar.gz",
        f"gcloud storage cp sbom.json {deployer.git('rev-parse', 'HEAD')}.json",
        "gcloud secrets versions add muster-admin-api-keys",
        "gcloud secrets versions add muster-authentik-api-token",
        "gcloud secrets versions add muster-authentik-webhook-secrets",
        "gcloud secrets versions add muster-matrix-access-token",
        "terraform plan -> shown",
        "gcloud storage cp history.new deployments.json",
        "terraform plan -> first",
        "terraform apply first",
        "terraform plan -> rest",
        "terraform apply rest",
        "gcloud run services list",
        "gcloud storage cp history.new deployments.json",
    ]
    assert deployer.running() == {f"europe-west1-docker.pkg.dev/muster-test/muster/muster@{cloud.DIGEST.format(1)}"}
    base = deployer.world["base"]
    assert f"{base}/admin/" in shown
    assert f"MUSTER_WEBHOOK_URL     {base}/enrollment_webhook" in shown


def test_it_says_what_it_deploys_before_it_begins(first: First) -> None:
    """Commit, project, region, account and settings are named before anything happens."""
    said = first.run.stdout.partition("== Tests")[0]
    for words in (
        "Muster 0.1.0",
        str(first.deployer.checkout),
        "the first",
        "project muster-test",
        "europe-west1",
        "ada@",
    ):
        assert words in said


def test_every_call_names_the_project(first: First) -> None:
    """No call relies on the project that somebody has configured for gcloud."""
    free = ("auth", "storage cat", "storage cp", "storage buckets describe", "projects describe", "billing")
    for call in first.deployer.calls:
        words = " ".join(call[1:])
        if call[0] == "gcloud" and not words.startswith(free):
            assert "--project=muster-test" in call, call


def test_again_changes_nothing(deployer: Deployer) -> None:
    """The same commit a second time: nothing is built, no secret is asked for, no service changes."""
    done(deployer.deploy())
    before = json.loads(json.dumps(deployer.world))
    deployer.forget()
    done(deployer.deploy())
    assert not [each for each in deployer.spoken() if re.search(r"submit|versions add|apply f|enable|create", each)]
    after = deployer.world
    assert (after["services"], after["secrets"]) == (before["services"], before["secrets"])
    assert len(deployer.history()["good"]) == 1


def test_those_that_do_tasks_come_first(deployer: Deployer) -> None:
    """No service may enqueue what the one that does it cannot read yet: the others wait for those."""
    done(deployer.deploy())
    deployer.commit("the second")
    deployer.forget()
    done(deployer.deploy())
    first = next(call for call in deployer.calls if any(each.endswith("/first") for each in call) and "plan" in call)
    targets = [each for each in first if each.startswith("-target=")]
    assert targets == [f'-target=google_cloud_run_v2_service.functions["{name}"]' for name in TASKS]
    assert len(deployer.running()) == 1
    assert [each["commit"] for each in deployer.history()["good"]][1] == deployer.git("rev-parse", "HEAD")


def test_what_is_built_is_the_commit(deployer: Deployer, tmp_path: Path) -> None:
    """The source that is sent is git's archive of the commit: no settings, no secrets, nothing that lies about."""
    (deployer.checkout / ".env").write_text("MATRIX_ACCESS_TOKEN=x")
    keep = f'#!/bin/sh\n[ "$1 $2" = "builds submit" ] && cp "$3" "{tmp_path}/sent"\nexec "{deployer.bin}/real" "$@"\n'
    shutil.move(deployer.bin / "gcloud", deployer.bin / "real")
    executable(deployer.bin / "gcloud", keep)
    done(deployer.deploy())
    listing = subprocess.run(["tar", "-tzf", tmp_path / "sent"], capture_output=True, text=True, check=True)  # noqa: S603, S607
    files = [name for name in listing.stdout.splitlines() if not name.endswith("/")]
    assert sorted(files) == sorted(deployer.git("ls-files").splitlines())


def test_the_tests_run_without_the_deployers_credentials(first: First) -> None:
    """What scripts/check runs could not reach Google even if it wanted to."""
    assert not re.search("GOOGLE|CLOUDSDK", (first.deployer.home / "checked").read_text())


def test_a_workflow_may_have_tested_before(deployer: Deployer) -> None:
    """--skip-tests leaves scripts/check to the job before."""
    done(deployer.deploy("--skip-tests"))
    assert not (deployer.home / "checked").exists()


def test_terraforms_lock_file_is_no_change(deployer: Deployer) -> None:
    """Terraform's first run leaves its lock file here: the next deployment goes on, and says to commit it."""
    (deployer.checkout / "infra" / "terraform" / ".terraform.lock.hcl").write_text("")
    assert "Commit infra/terraform/.terraform.lock.hcl" in done(deployer.deploy()).stdout


# ------------------------------------------------------------------ asked


def test_each_change_is_asked_for(deployer: Deployer) -> None:
    """Without --yes: the bucket, the registry and the services, each after what it would do was shown."""
    given = ("muster-test", "europe-west1", "--secrets", str(deployer.secrets))
    for answers, words in (("", "Nothing was changed"), ("y\nn\n", "by Terraform"), ("y\nyes\n\n", "as they were")):
        stopped(deployer.run(*given, answers=answers), words)
        assert not deployer.world["services"]
        deployer.change(owner="", made=[])
    done(deployer.run(*given, answers="y\ny\ny\n"))
    assert len(deployer.world["services"]) == len(ENTRY_POINTS)


# ------------------------------------------------------------------ in the way

FAILURES: dict[str, tuple[dict[str, Any], str]] = {
    "not logged in": ({"login": False}, "gcloud auth login"),
    "no such project": ({"project": ""}, "there is no project muster-test"),
    "project being deleted": ({"project": "DELETE_REQUESTED"}, "DELETE_REQUESTED"),
    "no billing": ({"billing": "False"}, "has no billing account"),
    "billing unknown": ({"billing": ""}, "cloudbilling.googleapis.com"),
    "bucket of a stranger": ({"owner": "666"}, "belongs to another project"),
    "services": ({"fails": ["gcloud services enable"]}, "could not be enabled"),
    "bucket": ({"fails": ["gcloud storage buckets create"]}, "could not be made"),
    "versioning": ({"fails": ["gcloud storage buckets update"]}, "could not be switched on"),
    "init": ({"fails": ["terraform init"]}, "could not be set up"),
    "foundation's plan": ({"fails": ["foundation"]}, "could not plan (foundation)"),
    "foundation": ({"fails": ["terraform apply"]}, "in the middle (foundation)"),
    "build": ({"fails": ["gcloud builds submit"]}, "could not be built"),
    "image lost": ({"fails": ["lose-image"]}, "not in the registry"),
    "bill of materials": ({"fails": ["gcloud storage cp"]}, "what is in the image"),
    "outputs": ({"fails": ["terraform output"]}, "where the registry is"),
    "secrets listed": ({"fails": ["gcloud secrets versions list"]}, "not every secret has a value"),
    "secret put in": ({"fails": ["gcloud secrets versions add muster-matrix"]}, "not every secret has a value"),
    "plan": ({"fails": ["shown"]}, "could not plan (shown)"),
    "history": ({"fails": ["gcloud storage cat"]}, "could not be read"),
    "first plan": ({"fails": ["first"]}, "could not plan (first)"),
    "apply halfway": ({"fails": ["apply-halfway"]}, "in the middle (first)"),
    "second plan": ({"fails": ["rest"]}, "could not plan (rest)"),
    "services listed": ({"fails": ["gcloud run services list"]}, "could not be listed"),
    "revision": ({"not_ready": ["deliver_welcome"]}, "does not answer as it should"),
}
BEFORE_ANY_CHANGE = list(FAILURES)[:6]


@pytest.mark.parametrize("name", FAILURES)
def test_after_each_failure_it_is_run_again(deployer: Deployer, name: str) -> None:
    """Whatever fails is said with its fix, nothing after it happens, and the next run brings it to its end."""
    wrong, words = FAILURES[name]
    right = {key: json.loads(json.dumps(cloud.EMPTY[key])) for key in wrong}
    deployer.change(**wrong)
    stopped(deployer.deploy(), words)
    if name in BEFORE_ANY_CHANGE:
        assert not re.search(r"apply|create|enable|submit|storage cp|versions add", "\n".join(deployer.spoken()))
    assert "good" not in json.dumps(deployer.world["files"]).replace('"good\\": []', "")
    deployer.change(**right)
    done(deployer.deploy())
    assert len(deployer.running()) == 1
    assert [each["commit"] for each in deployer.history()["good"]] == [deployer.git("rev-parse", "HEAD")]
    assert all(len(values) == 1 for values in deployer.world["secrets"].values())


def test_failed_tests_deploy_nothing(deployer: Deployer) -> None:
    """A check that fails stops it before anything is made."""
    executable(deployer.checkout / "scripts" / "check", "#!/bin/sh\nexit 1\n")
    deployer.commit("broken")
    stopped(deployer.deploy(), "a check failed: nothing was deployed")
    assert not re.search(r"terraform|create|enable|submit", "\n".join(deployer.spoken()))


@pytest.mark.parametrize("name", ["admin", "enrollment_webhook", "invite_to_room", "resume_onboardings", "create_user"])
def test_an_entry_point_that_answers_wrongly_is_named(deployer: Deployer, name: str) -> None:
    """The smoke test names it and how to go back; it does not count as deployed."""
    Muster.broken = {name}
    run = deployer.deploy()
    stopped(run, "--rollback")
    assert re.search(rf"FAILED +{name}", run.stdout)
    assert deployer.history()["good"] == []


def test_what_changed_in_the_meantime_is_not_applied(deployer: Deployer) -> None:
    """What was agreed to is applied, and nothing that came into the plan after it."""
    deployer.change(drift=True)  # once services are there, the plan wants to delete something
    run = deployer.deploy()
    stopped(run, "not what you were shown")
    assert "delete google_cloud_tasks_queue.x" in run.stderr
    assert set(deployer.world["services"]) == set(TASKS)


# ------------------------------------------------------------------ the wrong folder


def test_another_folder_is_refused(deployer: Deployer, tmp_path: Path) -> None:
    """Called from elsewhere, it names both folders: the wrong application was once deployed so."""
    stopped(deployer.deploy(cwd=tmp_path), f"you are in {tmp_path.resolve()}")
    stopped(deployer.deploy(cwd=deployer.checkout / "scripts"), "belongs to")


def test_another_application_is_refused(deployer: Deployer) -> None:
    """A deploy.sh that stands beside another application deploys nothing."""
    pyproject = deployer.checkout / "pyproject.toml"
    pyproject.write_text(pyproject.read_text().replace('name = "muster"', 'name = "mustard"'))
    stopped(deployer.deploy(), "is not Muster's checkout")
    assert not deployer.calls


def test_a_folder_within_another_checkout_is_refused(deployer: Deployer, tmp_path: Path) -> None:
    """Files of Muster within another application's checkout would be deployed as that one's commit."""
    shutil.rmtree(deployer.checkout / ".git")
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)  # noqa: S603, S607
    stopped(deployer.deploy(), "not a git checkout of its own")


def test_what_is_not_committed_is_not_deployed(deployer: Deployer) -> None:
    """Changed and new files stop it: what runs is always a commit."""
    (deployer.checkout / "new.py").write_text("")
    stopped(deployer.deploy(), "1 files here differ from the commit")
    shown = done(deployer.deploy("--dry-run")).stdout
    assert "not committed: they would not be deployed" in shown


def test_missing_variables_are_named(deployer: Deployer) -> None:
    """Without terraform.tfvars it says where the example is; another file can be named."""
    (deployer.checkout / "terraform.tfvars").rename(deployer.secrets.parent / "mine.tfvars")
    stopped(deployer.deploy(), "terraform.tfvars.example")
    done(deployer.deploy("--var-file", "../mine.tfvars"))


def test_settings_of_another_installation_are_refused(deployer: Deployer) -> None:
    """A terraform.tfvars that names another project or region is not this one's; one that names none, or this, is."""
    file = deployer.checkout / "terraform.tfvars"
    for line, words in (
        ('project_id = "muster-prod"', "for project_id muster-prod"),
        ('region="us-east1"', "for region"),
    ):
        file.write_text(f"{line}\n")
        stopped(deployer.deploy(), words)
    file.write_text('project_id  = "muster-test" # ours\n# region = "us-east1"\n')
    done(deployer.deploy("--dry-run"))


@pytest.mark.skipif(not list((ROOT / "infra" / "terraform").glob("*.tf")), reason="there is no infra/terraform yet")
def test_terraform_has_what_the_script_relies_on() -> None:
    """The real infra/terraform declares the variables, outputs and resources that are used here by their names."""
    text = "\n".join(path.read_text() for path in sorted((ROOT / "infra" / "terraform").glob("*.tf")))
    for name in ("project_id", "region", "image"):
        assert f'variable "{name}"' in text
    for name in ("admin_url", "webhook_url", "authentik_redirect_uri", "registry", "functions", "secrets"):
        assert f'output "{name}"' in text
    for kind in ("google_artifact_registry_repository", "google_secret_manager_secret", "google_cloud_run_v2_service"):
        assert f'resource "{kind}"' in text
    assert 'backend "gcs"' in text
    assert (ROOT / "infra" / "terraform" / "terraform.tfvars.example").is_file()


def test_missing_tools_are_named(deployer: Deployer, tmp_path: Path) -> None:
    """Without gcloud or terraform it says what to install."""
    bare = tmp_path / "bare"
    bare.mkdir()
    for program in ("bash", "git", "grep", "sed", "dirname", "env"):
        (bare / program).symlink_to(shutil.which(program) or program)
    for program, links in (("gcloud", []), ("terraform", ["gcloud"])):
        for link in links:
            (bare / link).symlink_to(deployer.bin / link)
        stopped(deployer.deploy(PATH=str(bare)), f"{program} is not installed")


@pytest.mark.parametrize("arguments", [[], ["muster-test"], ["Not_A_Project", "europe-west1"], ["a-project", "x", "y"]])
def test_wrong_arguments_show_how(deployer: Deployer, arguments: list[str]) -> None:
    """Without a project and a region it shows its usage, and takes none from gcloud's configuration."""
    run = deployer.run(*arguments)
    assert run.returncode == 2
    assert "./deploy.sh PROJECT REGION" in run.stderr
    assert not deployer.calls


# ------------------------------------------------------------------ secrets


@pytest.mark.parametrize("shell", [(), ("bash", "-x")])
def test_no_secret_is_shown(deployer: Deployer, shell: tuple[str, ...]) -> None:
    """Secrets and the deployer's token are in no command line and no output, not even of a traced run."""
    run = done(deployer.deploy(shell=shell))
    kept = deployer.world["secrets"]
    assert kept["muster-matrix-access-token"] == [PLANTED["MATRIX_ACCESS_TOKEN"]]
    assert kept["muster-admin-api-keys"] == [PLANTED["ADMIN_API_KEYS"]]
    seen = run.stdout + run.stderr + str(deployer.calls)
    for value in (*PLANTED.values(), cloud.TOKEN, kept["muster-authentik-webhook-secrets"][0]):
        assert value not in seen


def test_secrets_come_by_stdin_too(deployer: Deployer) -> None:
    """--secrets - reads them from standard input, as a workflow's secret store gives them."""
    done(deployer.run("muster-test", "europe-west1", "--yes", "--secrets", "-", answers=deployer.secrets.read_text()))
    assert deployer.world["secrets"]["muster-authentik-api-token"] == [PLANTED["AUTHENTIK_API_TOKEN"]]
    assert deployer.run("muster-test", "europe-west1", "--secrets", "-").returncode == 2  # answers and secrets in one


def test_a_webhook_secret_is_made(first: First) -> None:
    """Nobody needs to think one up: a new one is made, and the command that shows it is printed at the end."""
    shown = first.run.stdout
    assert re.fullmatch(r"whsec_[\w+/]{43}=", first.deployer.world["secrets"]["muster-authentik-webhook-secrets"][0])
    assert "versions access latest --secret=muster-authentik-webhook-secrets" in shown


def test_missing_and_malformed_secrets_are_named(deployer: Deployer) -> None:
    """All that is missing or malformed is said at once, never a value; what is optional may be absent."""
    deployer.secrets.write_text("ADMIN_API_KEYS=no-such-form\n")
    run = deployer.deploy()
    stopped(run, "AUTHENTIK_API_TOKEN: it is needed")
    assert "MATRIX_ACCESS_TOKEN: it is needed" in run.stderr
    assert "ADMIN_API_KEYS: expected name:sha256" in run.stderr
    assert "no-such-form" not in run.stdout + run.stderr
    deployer.secrets.write_text("AUTHENTIK_API_TOKEN=a\nMATRIX_ACCESS_TOKEN='b'\n")
    done(deployer.deploy())
    assert "muster-admin-api-keys" not in deployer.world["secrets"]
    assert deployer.world["secrets"]["muster-matrix-access-token"] == ["b"]


def test_nobody_there_to_be_asked(deployer: Deployer) -> None:
    """Without a terminal and without --secrets, the missing ones are named with the way to give them."""
    stopped(deployer.run("muster-test", "europe-west1", "--yes"), "--secrets FILE")


# ------------------------------------------------------------------ back


def test_back_to_the_image_before(twice: Twice) -> None:
    """--rollback brings the image before, those that enqueue first; nothing is tested or built."""
    deployer, before, _ = twice
    done(deployer.deploy("--rollback"))
    assert deployer.running() == {before}
    first = next(call for call in deployer.calls if any(each.endswith("/first") for each in call) and "plan" in call)
    targets = [each for each in first if each.startswith("-target=")]
    assert targets == [f'-target=google_cloud_run_v2_service.functions["{n}"]' for n in ENTRY_POINTS if n not in TASKS]
    assert not (deployer.home / "checked").exists()
    assert "gcloud builds submit source.tar.gz" not in deployer.spoken()
    stopped(deployer.deploy("--rollback"), "no image before this one is known")


def test_back_from_what_does_not_answer(twice: Twice) -> None:
    """A deployment that failed its smoke test goes back to the last one that passed it."""
    deployer, _, last = twice
    deployer.commit("the bad one")
    Muster.broken = {"admin"}
    stopped(deployer.deploy(), "does not answer as it should")
    Muster.broken = set()
    done(deployer.deploy("--rollback"))
    assert deployer.running() == {last}


def test_a_rollback_that_was_stopped_goes_on(twice: Twice) -> None:
    """Run again after it failed halfway, it goes to where it went, and not one image further."""
    deployer, before, _ = twice
    deployer.change(fails=["apply-halfway"])
    stopped(deployer.deploy("--rollback"), "in the middle (first)")
    assert len(deployer.running()) == 2
    deployer.change(fails=[])
    done(deployer.deploy("--rollback"))
    assert deployer.running() == {before}


def test_forward_again_after_going_back(twice: Twice) -> None:
    """After a rollback the next deployment goes on, and the one before it is what was gone back to."""
    deployer, before, _ = twice
    done(deployer.deploy("--rollback"))
    deployer.commit("the mended one")
    done(deployer.deploy())
    done(deployer.deploy("--rollback"))
    assert deployer.running() == {before}


def test_no_way_back_where_nothing_is(deployer: Deployer, twice: Twice) -> None:
    """--rollback in an empty project makes nothing, and says so; so it does when the image is gone."""
    stopped(deployer.deploy("--rollback"), "nothing to go back to")
    assert not deployer.world["owner"]
    twice.deployer.change(images={})
    stopped(twice.deployer.deploy("--rollback"), "no longer in the registry")


# ------------------------------------------------------------------ dry


CHANGING = r"apply|create|update|enable|submit|storage cp|versions add"


def test_a_dry_run_changes_nothing(deployer: Deployer) -> None:
    """In an empty project it says what would come; later it shows the plan of the image that is or would be built."""
    shown = done(deployer.deploy("--dry-run")).stdout
    assert "nothing was changed" in shown
    assert not re.search(CHANGING, "\n".join(deployer.spoken()))
    done(deployer.deploy())
    deployer.commit("the second")
    deployer.forget()
    for arguments in ([], ["--rollback"]):
        run = deployer.deploy("--dry-run", *arguments)
        assert not re.search(CHANGING, "\n".join(deployer.spoken()))
        if not arguments:
            assert f"Plan: {len(ENTRY_POINTS)} to change" in done(run).stdout
            assert "it would be built" in run.stdout


def test_nothing_is_left_behind(deployer: Deployer, tmp_path: Path) -> None:
    """Plans may hold what nobody else should read: they are gone when it ends, well or not."""
    scratch = tmp_path / "scratch"
    scratch.mkdir(mode=stat.S_IRWXU)
    done(deployer.deploy(TMPDIR=str(scratch)))
    deployer.change(fails=["shown"])
    stopped(deployer.deploy(TMPDIR=str(scratch)), "could not plan")
    assert not list(scratch.iterdir())
