"""What Terraform would make is what the code needs: no more rights, no other names, no other lists."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from functions.admin import streams
from functions.tasks import task_url
from main import ENTRY_POINTS
from shared.domain import costs
from shared.domain.limits import BLOCKS
from shared.domain.onboarding import backoff
from shared.repositories import EXPIRING, GROUP_FIELDS, QUERIES, UNASKED
from shared.services import shards
from shared.services.breakers import neighbour_of
from shared.services.resume import LEASE_FOR
from shared.services.steps import CLAIM
from shared.services.sync import BUDGET
from shared.services.watching import LONGEST
from shared.settings import SECRET_NAME, SETTINGS, Concern, Settings
from shared.wiring import QUEUES
from tests.infra.deployment import FOLDER, PLAYBOOKS, ROOT, Run, Terraform, Values, example_lines

pytestmark = pytest.mark.timeout(600)

OWN_TARGETS = {"create_invite", "create_user"}
PUBLIC_KINDS = {"admin", "hook"}
LATER = {"MATRIX_REPLIES_KEY", "MATRIX_SYNC_ACCESS_TOKEN", "ASSISTANT_API_KEY", "SMTP_PASSWORD"}
CRYPTO_KEYS = {"MATRIX_PICKLE_KEY", "MATRIX_DEVICE_ACCOUNT"}
ELSEWHERE = {
    "MATRIX_DISABLE_SSL_VERIFICATION": "refused in production",
    "FIRESTORE_EMULATOR_HOST": "local only",
    "CLOUD_TASKS_EMULATOR_HOST": "local only",
    "MUSTER_DATA_DIR": "local only",
    "MUSTER_ALLOW_REMOTE": "local only",
    "TASKS_OIDC_ISSUER": "Google, by default",
    "TASKS_OIDC_JWKS": "Google, by default",
    "TRACING_ENDPOINT": "Google, by default",
    "MATRIX_PASSWORD": "given to one run of set-up, and kept nowhere",
    "MATRIX_RECOVERY_KEY": "a secret for set-up: no function has it",
}
"""Settings that no deployed function is given, and why."""
NEEDS: Mapping[str, tuple[Concern, ...]] = {
    "admin": ("authentik", "webhook", "admin", "matrix", "onboarding", "store", "tasks", "mail", "stack"),
    "create_invite": ("authentik", "admin", "onboarding", "store"),
    "create_user": ("authentik", "admin", "onboarding", "store", "tasks"),
    "enrollment_webhook": ("webhook", "authentik", "onboarding", "store", "tasks"),
    "resume_onboardings": ("authentik", "matrix", "onboarding", "store", "tasks"),
    "sync_directory": ("authentik", "matrix", "onboarding", "store", "tasks"),
}
"""The concerns that an entry point requires; of a task, see `functions.tasks.run`."""


def needs(name: str) -> tuple[Concern, ...]:
    return NEEDS.get(name) or ("tasks", "store", "onboarding", neighbour_of(name))


# ------------------------------------------------------------------ Terraform itself


def test_form(terraform: Terraform) -> None:
    """Every file has the form of `terraform fmt`."""
    asked = Terraform(FOLDER, terraform.environment)("fmt", "-check", "-recursive", "-diff", "-no-color")
    assert (asked.returncode, asked.stdout) == (0, "")


def test_valid(terraform: Terraform) -> None:
    """Arguments, types and references are right, without a warning."""
    validated = terraform("validate", "-no-color")
    assert (validated.returncode, validated.stderr) == (0, "")
    assert "Warning" not in validated.stdout


def test_runs(deployed: dict[str, Run]) -> None:
    """The runs of infra/terraform/tests pass, and so does terraform.tfvars.example with all of its lines."""
    assert {"usual", "everything", "example"} <= set(deployed)


def variables() -> dict[str, str]:
    texts = [file.read_text() for file in sorted(FOLDER.glob("*.tf"))]
    return {
        name: body
        for text in texts
        for name, body in re.findall(r'^variable "(\w+)" {\n(.*?)^}', text, re.MULTILINE | re.DOTALL)
    }


def test_variables_are_explained() -> None:
    """Each has a type and a description, is checked unless it is a mere switch, and stands in terraform.tfvars.example."""
    known = variables()
    for name, body in known.items():
        assert re.search(r"^  type +=", body, re.MULTILINE), name
        assert re.search(r'^  description = ".+"$', body, re.MULTILINE), name
        assert "validation {" in body or re.search(r"type += bool", body), name
    assert {line.split()[0] for line in example_lines()} == set(known) - {"image"}


def test_google_alone() -> None:
    """One provider, at least the version whose schema is tested, and state in a bucket that is named from outside."""
    text = (FOLDER / "versions.tf").read_text()
    assert re.findall(r'source += "(.+)"', text) == ["hashicorp/google"]
    assert 'version = ">= 6.50"' in text
    assert 'backend "gcs" {}' in text
    used = {
        kind
        for file in FOLDER.glob("*.tf")
        for kind in re.findall(r'^(?:resource|data) "(\w+)"', file.read_text(), re.MULTILINE)
    }
    assert {kind for kind in used if not kind.startswith("google_")} == set()


# ------------------------------------------------------------------ entry points


def test_entry_points(usual: Run, everything: Run) -> None:
    """What is deployed is main.py's list; those that the page serves as well come only when asked for."""
    assert {name: one["kind"] for name, one in everything.outputs["functions"].items()} == ENTRY_POINTS
    assert set(usual.services()) == set(ENTRY_POINTS) - OWN_TARGETS
    targets = {name: environment["FUNCTION_TARGET"] for name, environment in everything.environments().items()}
    assert targets == {name: name for name in ENTRY_POINTS}


def test_the_readme_knows_them(everything: Run) -> None:
    """The README's table lists the same, and who calls them fits their kind."""
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]+?) \|", (ROOT / "README.md").read_text(), re.MULTILINE))
    callers = {"hook": "Authentik", "task": "Cloud Tasks", "job": "Cloud Scheduler"}
    assert set(rows) == set(everything.services())
    for name, kind in ENTRY_POINTS.items():
        assert rows[name] == callers.get(kind, rows[name])
        assert (kind == "admin") == ("scripts" in rows[name])


def test_one_image(everything: Run) -> None:
    """All run the same image, named by its digest."""
    images = {one["template"][0]["containers"][0]["image"] for one in everything.services().values()}
    assert len(images) == 1
    assert "@sha256:" in images.pop()


def test_addresses_and_audiences(everything: Run) -> None:
    """A service expects the audience that its callers' tokens have: the template's URL, which is its own address."""
    for name, service in everything.services().items():
        template = everything.environments()[name]["TASKS_URL_TEMPLATE"]
        url = task_url(template, name)
        assert service["custom_audiences"] == [url]
        assert url == f"https://{service['name']}-123456789012.{service['location']}.run.app"
        assert everything.outputs["functions"][name]["url"] == url
        assert len(url.removeprefix("https://").split(".")[0]) <= 63


# ------------------------------------------------------------------ who may call


def test_only_the_public_ones_are_public(everything: Run, usual: Run) -> None:
    """Anybody may call the page, the webhook and, where switched on, the two targets of their own; nothing else."""
    for run, expected in (
        (usual, {"admin", "enrollment_webhook"}),
        (everything, {"admin", "enrollment_webhook"} | OWN_TARGETS),
    ):
        granted = run.all("google_cloud_run_v2_service_iam_member").items()
        assert {name for name, one in granted if one["member"] in ("allUsers", "allAuthenticatedUsers")} == expected
        ingress = {name: service["ingress"] for name, service in run.services().items()}
        assert {name for name, one in ingress.items() if one == "INGRESS_TRAFFIC_ALL"} == expected
        assert set(ingress.values()) == {"INGRESS_TRAFFIC_ALL", "INGRESS_TRAFFIC_INTERNAL_ONLY"}
        assert not any(service["invoker_iam_disabled"] for service in run.services().values())


def test_invokers(everything: Run) -> None:
    """Tasks are called by the tasks' account, jobs by the scheduler's, and neither may call the other's, but for a job
    that goes on as a task."""
    accounts = everything.accounts()
    invoked = everything.all("google_cloud_run_v2_service_iam_member", "invoker")
    assert {one["role"] for one in invoked.values()} == {"roles/run.invoker"}
    callers = {name: accounts[one["member"]] for name, one in invoked.items()}
    expected = {"task": "tasks", "job": "scheduler"}
    assert callers == {name: expected[kind] for name, kind in ENTRY_POINTS.items() if kind not in PUBLIC_KINDS}
    going_on = everything.all("google_cloud_run_v2_service_iam_member", "going_on")
    assert {(name, accounts[one["member"]], one["role"]) for name, one in going_on.items()} == {
        ("sync_directory", "tasks", "roles/run.invoker")
    }


def test_the_functions_know_their_callers(everything: Run) -> None:
    """The accounts whose tokens the code accepts are those that call."""
    made = everything.all("google_service_account")
    for environment in everything.environments().values():
        assert environment["TASKS_SERVICE_ACCOUNT"] == made["tasks"]["email"]
        assert environment["SCHEDULER_SERVICE_ACCOUNT"] == made["scheduler"]["email"]
    [token] = {job["http_target"][0]["oidc_token"][0]["service_account_email"] for job in jobs(everything).values()}
    assert token == made["scheduler"]["email"]


# ------------------------------------------------------------------ what a function may do


def test_an_account_each(everything: Run) -> None:
    """Every function runs as an account of its own."""
    made = everything.all("google_service_account", "function")
    emails = {name: service["template"][0]["service_account"] for name, service in everything.services().items()}
    assert emails == {name: account["email"] for name, account in made.items()}
    assert max(Counter(emails.values()).values()) == 1
    assert all(6 <= len(account["account_id"]) <= 30 for account in made.values())


def readers(run: Run) -> dict[str, set[str]]:
    """Function to the secrets that it may read."""
    accounts = run.accounts()
    names = {secret["id"]: name for name, secret in run.all("google_secret_manager_secret").items()}
    found: dict[str, set[str]] = {name: set() for name in run.services()}
    for grant in run.all("google_secret_manager_secret_iam_member").values():
        assert grant["role"] == "roles/secretmanager.secretAccessor"
        found[accounts[grant["member"]]].add(names[grant["secret_id"]])
    return found


def test_secrets_of_each(everything: Run) -> None:
    """No function may read what its neighbour's settings do not need: the webhook nothing of Matrix, the page no key
    of encryption, and nobody what is for set-up."""
    may_read = readers(everything)
    assert may_read["enrollment_webhook"] == {"AUTHENTIK_WEBHOOK_SECRETS", "AUTHENTIK_API_TOKEN"}
    assert may_read["update_account"] == {"AUTHENTIK_API_TOKEN", "SMTP_PASSWORD"}
    assert {name for name, secrets in may_read.items() if "SMTP_PASSWORD" in secrets} == {"admin", "update_account"}
    assert {name for name, secrets in may_read.items() if secrets & CRYPTO_KEYS} == {
        "remove_from_indoc",
        "deliver_welcome",
        "send_message",
        "resume_onboardings",
    }
    assert {name for name, secrets in may_read.items() if "ADMIN_API_KEYS" in secrets} == {"admin"} | OWN_TARGETS
    assert {name for name, secrets in may_read.items() if "AUTHENTIK_WEBHOOK_SECRETS" in secrets} == {
        "enrollment_webhook"
    }
    assert not any("MATRIX_RECOVERY_KEY" in secrets for secrets in may_read.values())
    for name, kind in ENTRY_POINTS.items():
        if kind == "task":
            own = may_read[name] - {"SMTP_PASSWORD"}
            assert all(secret.startswith(neighbour_of(name).upper()) for secret in own)


def test_no_secret_for_the_whole_project(everything: Run) -> None:
    """On the project there is a role for documents, in one database, and where spans are sent, that of sending them;
    secrets are granted one by one."""
    on_project = [one for one in everything.resources if one["type"] == "google_project_iam_member"]
    documents, spans = "roles/datastore.user", "roles/telemetry.tracesWriter"
    assert {grant["values"]["role"] for grant in on_project} == {documents, spans}
    for grant in everything.all("google_project_iam_member", "documents").values():
        [condition] = grant["condition"]
        assert condition["expression"] == 'resource.name == "projects/muster-test/databases/muster"'
    broad = {"google_project_iam_binding", "google_project_iam_policy", "google_service_account_key"}
    assert everything.types() & broad == set()
    assert {one for one in everything.types() if one.startswith("google_secret_manager")} == {
        "google_secret_manager_secret",
        "google_secret_manager_secret_iam_member",
    }  # no version: a value in the state could be read there


def test_who_enqueues(everything: Run) -> None:
    """A task may put its step into its own queue again; what begins onboardings, into all of them. Each may name the
    account that tasks are called by, and no other."""
    accounts, queues = everything.accounts(), {queue["name"]: key for key, queue in queues_of(everything).items()}
    found: dict[str, set[str]] = {}
    for grant in everything.all("google_cloud_tasks_queue_iam_member", "enqueuer").values():
        assert grant["role"] == "roles/cloudtasks.enqueuer"
        found.setdefault(accounts[grant["member"]], set()).add(queues[grant["name"]])
    tasks = {name: {QUEUES[name].lower()} for name, kind in ENTRY_POINTS.items() if kind == "task"}
    beginners = ("admin", "create_user", "enrollment_webhook", "resume_onboardings", "update_account")
    tasks["sync_directory"] = {"accounts"}
    tasks["apply_plan"] |= {"invites", "broadcasts"}
    for name in ("invite_to_room", "remove_from_room", "set_power_level", "deliver_welcome", "apply_plan"):
        tasks[name] |= {"accounts"}  # they may end a job, and then ask for a sync
    begun = {key: {"invites", "messages", "accounts"} for key in beginners}
    for name in ("admin", "resume_onboardings"):
        begun[name] |= {"broadcasts"}  # the sweep lets a recipient go on; an admin begins with the job alone
    assert found == tasks | begun
    acting = everything.all("google_service_account_iam_member")
    assert {accounts[one["member"]] for one in acting.values()} == set(found)
    assert {one["role"] for one in acting.values()} == {"roles/iam.serviceAccountUser"}
    assert {one["service_account_id"] for one in acting.values()} == {
        everything.all("google_service_account")["tasks"]["name"]
    }


# ------------------------------------------------------------------ settings


def test_settings(everything: Run) -> None:
    """Every setting reaches a function, or it is said why none has it; and nothing else is set."""
    given = {name for environment in everything.environments().values() for name in environment}
    assert given - {"FUNCTION_TARGET"} == {setting.name for setting in SETTINGS} - set(ELSEWHERE)
    secrets = {setting.name for setting in SETTINGS if setting.secret}
    assert set(everything.all("google_secret_manager_secret")) == secrets - {"MATRIX_PASSWORD"}


@pytest.mark.parametrize("which", ["usual", "everything", "example"])
def test_settings_are_enough(deployed: dict[str, Run], which: str) -> None:
    """The code reads each function's environment without a complaint, and the page's self-check has none either."""
    for name, environment in deployed[which].environments().items():
        assert Settings(environment).problems(*needs(name)) == [], name
        assert all(environment.values())
    assert Settings(deployed[which].environments()["admin"]).problems() == []


@pytest.mark.parametrize("which", ["usual", "everything"])
def test_secrets_go_by_their_names(deployed: dict[str, Run], which: str) -> None:
    """A function is given the names of the secrets that it may read (and the page one more, to say whether it is set),
    never a value; those of encryption, e-mail and the assistant only once it is switched on, since before there are none."""
    run, secret = deployed[which], {setting.name for setting in SETTINGS if setting.secret}
    later = set() if which == "everything" else {*CRYPTO_KEYS, *LATER}
    made = {one["secret_id"] for one in run.all("google_secret_manager_secret").values()}
    for name, environment in run.environments().items():
        named = {key: value for key, value in environment.items() if key in secret}
        also = {"AUTHENTIK_WEBHOOK_SECRETS"} if name == "admin" else set()
        assert set(named) == (readers(run)[name] | also) - later
        assert all(SECRET_NAME.fullmatch(value) and value.split("/")[3] in made for value in named.values())


# ------------------------------------------------------------------ queues and schedules


def queues_of(run: Run) -> dict[str, Values]:
    return run.all("google_cloud_tasks_queue")


def jobs(run: Run) -> dict[str, Values]:
    return run.all("google_cloud_scheduler_job")


def seconds(text: str) -> float:
    return float(text.removesuffix("s"))


def test_queues(everything: Run) -> None:
    """There is a queue for each limit downstream, under the name that the code is told."""
    assert {key.upper() for key in queues_of(everything)} == set(QUEUES.values())
    for environment in everything.environments().values():
        told = {key: environment[f"TASKS_QUEUE_{key.upper()}"] for key in queues_of(everything)}
        assert told == {key: queue["name"] for key, queue in queues_of(everything).items()}


def test_retries(everything: Run) -> None:
    """A queue pauses as the code does between two tries of a step, and has more tries than a step has faults."""
    for queue in queues_of(everything).values():
        [retry] = queue["retry_config"]
        first, last = seconds(retry["min_backoff"]), seconds(retry["max_backoff"])
        paused = [min(last, first * 2 ** min(tries, retry["max_doublings"])) for tries in range(12)]
        assert paused == [backoff(faults).total_seconds() for faults in range(1, 13)]
        assert retry["max_attempts"] > 2 * 10
        assert seconds(retry["max_retry_duration"]) > 0  # 0 would have no end


def test_functions_keep_up_with_their_queue(everything: Run) -> None:
    """What a queue sends at once, a function may serve at once."""
    for name in QUEUES:
        [limits] = queues_of(everything)[QUEUES[name].lower()]["rate_limits"]
        [template] = everything.services()[name]["template"]
        room = template["max_instance_request_concurrency"] * template["scaling"][0]["max_instance_count"]
        assert room >= limits["max_concurrent_dispatches"], name


def test_who_follows_leaves_room(everything: Run) -> None:
    """An instance full of streams still answers others, and a stream ends before Cloud Run would cut it."""
    [template] = everything.services()["admin"]["template"]
    assert template["max_instance_request_concurrency"] >= streams.MOST + 20
    assert LONGEST.total_seconds() + 30 <= seconds(template["timeout"])


def test_times(everything: Run) -> None:
    """A task ends before its claim lapses, a run before its lease does, and the schedule waits for the answer."""
    for name, service in everything.services().items():
        limit = seconds(service["template"][0]["timeout"])
        if ENTRY_POINTS[name] == "task":
            assert 60 <= limit < CLAIM.total_seconds()  # 60: the deadline that the code gives each task
        if name == "sync_directory":
            assert BUDGET < limit < shards.CLAIM.total_seconds()
        if name == "resume_onboardings":
            assert limit < LEASE_FOR.total_seconds()
    for name, job in jobs(everything).items():
        limit = seconds(everything.services()[name]["template"][0]["timeout"])
        assert limit < seconds(job["attempt_deadline"]) <= 1800


def test_schedules(everything: Run) -> None:
    """Every job has its schedule, called with a token for its own audience."""
    assert set(jobs(everything)) == {name for name, kind in ENTRY_POINTS.items() if kind == "job"}
    for name, job in jobs(everything).items():
        [target] = job["http_target"]
        [audience] = everything.services()[name]["custom_audiences"]
        assert (target["uri"], target["oidc_token"][0]["audience"], target["http_method"]) == (
            audience,
            audience,
            "POST",
        )
    assert jobs(everything)["resume_onboardings"]["schedule"] == "* * * * *"
    assert jobs(everything)["sync_directory"]["schedule"] == "*/5 * * * *"
    assert (costs.ASSUMED["sync_minutes"], costs.ASSUMED["schedule_count"]) == (5, len(jobs(everything)))
    assert costs.ASSUMED["sweep_minutes"] == 1, "what a month costs is reckoned with this schedule"


def test_one_cpu_for_many_requests(everything: Run) -> None:
    """Whoever serves more than one request at a time has a whole CPU: Cloud Run asks for that."""
    for service in everything.services().values():
        [template] = service["template"]
        assert template["containers"][0]["resources"][0]["limits"]["cpu"] == "1"


# ------------------------------------------------------------------ Firestore


def test_indexes(everything: Run) -> None:
    """The composite indexes are those of the queries in the code."""
    order = {"ASCENDING": "", "DESCENDING": "-"}
    made = Counter(
        (index["collection"], tuple(order[field["order"]] + field["field_path"] for field in index["fields"]))
        for index in everything.all("google_firestore_index").values()
    )
    assert made == Counter(QUERIES)


def test_group_fields(everything: Run) -> None:
    """Fields that are asked for across collections are indexed for that, and within theirs as before."""
    made = everything.all("google_firestore_field", "group").values()
    assert {(one["collection"], one["field"]) for one in made} == set(GROUP_FIELDS)
    for one in made:
        indexes = {(index["query_scope"], index["order"]) for index in one["index_config"][0]["indexes"]}
        assert indexes == {("COLLECTION", "ASCENDING"), ("COLLECTION", "DESCENDING"), ("COLLECTION_GROUP", "ASCENDING")}


def test_unasked(everything: Run) -> None:
    """What is packed is in no index."""
    made = everything.all("google_firestore_field", "unasked").values()
    assert {(one["collection"], one["field"]) for one in made} == set(UNASKED)
    assert all(one["index_config"][0]["indexes"] == [] for one in made)


def test_expiry(everything: Run) -> None:
    """What has an end is swept away after it, and nothing else is."""
    made = everything.all("google_firestore_field", "expiry").values()
    assert {(one["collection"], one["field"]) for one in made} == {(name, "expire_at") for name in EXPIRING}
    assert all(one["ttl_config"] for one in made)
    assert all(one["index_config"][0]["indexes"] == [] for one in made)
    assert not any(one["ttl_config"] for one in everything.all("google_firestore_field", "group").values())


def test_every_writer_of_an_expiry_is_known() -> None:
    """Each module that gives documents an end is one that the list of collections was made for."""
    core = [*(ROOT / "shared" / "services").glob("*.py"), *(ROOT / "shared" / "domain").glob("*.py")]
    writers = {file.stem for file in core if re.search(r"\bexpire_at\b(\"|: datetime|=)", file.read_text())}
    assert writers == {
        "leases",
        "limits",
        "permits",
        "replies",
        "room_keys",
        "inbox",
        "imports",
        "plans",
        "assistant",
        "suggestions",
        "sent",
        "answers",
    }, (  # fmt: skip
        "add its collection to EXPIRING and to this test"
    )


def test_each_instance_can_have_a_block_of_permits(everything: Run) -> None:
    """There are no more instances that share a caller's permits than these are cut into: none finds all of them leased."""
    functions = everything.all("google_cloud_run_v2_service", "function")
    for shared in (("admin", "create_invite", "create_user"), ("enrollment_webhook",)):
        assert sum(functions[name]["template"][0]["scaling"][0]["max_instance_count"] for name in shared) <= BLOCKS


def test_the_database_is_not_lost(everything: Run) -> None:
    """It can be read as it was in any minute, is backed up every day, and nobody deletes it by mistake."""
    [database] = everything.all("google_firestore_database").values()
    assert database["type"] == "FIRESTORE_NATIVE"
    assert database["point_in_time_recovery_enablement"] == "POINT_IN_TIME_RECOVERY_ENABLED"
    assert (database["delete_protection_state"], database["deletion_policy"]) == (
        "DELETE_PROTECTION_ENABLED",
        "ABANDON",
    )
    [backup] = everything.all("google_firestore_backup_schedule").values()
    assert backup["daily_recurrence"]
    assert backup["database"] == database["name"]
    assert all(secret["deletion_protection"] for secret in everything.all("google_secret_manager_secret").values())


# ------------------------------------------------------------------ whoever is told


def test_alerts_and_playbooks(everything: Run) -> None:
    """Every alert has a playbook of its own name, which its e-mail holds, and every playbook an alert."""
    alerts = everything.all("google_monitoring_alert_policy")
    assert everything.all("google_billing_budget")["0"]["display_name"] == "Muster (docs/playbooks/budget.md)"
    written = {file.stem for file in PLAYBOOKS.glob("*.md")} - {"README"}
    assert {*alerts, "budget"} == written
    channel = everything.all("google_monitoring_notification_channel")["email"]
    for name, alert in alerts.items():
        [documentation] = alert["documentation"]
        assert documentation["content"].startswith((PLAYBOOKS / f"{name}.md").read_text())
        assert len(documentation["content"].encode()) <= 8192
        assert alert["notification_channels"] == [channel["name"]]
    for job in jobs(everything):
        assert f"no-progress-of-{job.replace('_', '-')}" in alerts


@pytest.mark.parametrize("file", sorted(PLAYBOOKS.glob("*.md")), ids=lambda file: file.stem)
def test_playbooks(file: Path) -> None:
    """Each says what it means, what to look at, by which command, and when to worry."""
    text = file.read_text()
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    if file.stem == "README":
        linked = set(re.findall(r"\]\(([\w-]+)\.md\)", text))
        assert linked == {other.stem for other in PLAYBOOKS.glob("*.md")} - {"README"}
    else:
        assert headings == ["What it means", "What to look at", "What to do", "When to worry"]
        assert "```sh" in text


def test_alerts_watch_what_is_there(everything: Run) -> None:
    """Each looks at a metric that is made here, or at the uptime check; and every metric is looked at."""
    metrics = {metric["name"] for metric in everything.all("google_logging_metric").values()}
    watched = set()
    for alert in everything.all("google_monitoring_alert_policy").values():
        condition = alert["conditions"][0]["condition_threshold"][0]
        [kind] = re.findall(r'metric\.type="([^"]+)"', condition["filter"])
        watched.add(kind.removeprefix("logging.googleapis.com/user/"))
        if condition["evaluation_missing_data"]:
            assert seconds(condition["duration"]) >= 60  # or Google refuses it
        assert condition["aggregations"][0]["alignment_period"].removesuffix("s").isdigit()
    assert watched == metrics | {"monitoring.googleapis.com/uptime_check/check_passed"}


def test_metrics_count_what_the_code_says(everything: Run) -> None:
    """The words that are looked for in the logs are words that the code logs."""
    code = "\n".join(file.read_text() for file in [*ROOT.glob("shared/**/*.py"), *ROOT.glob("functions/**/*.py")])
    said = re.findall(r"(?:log\.\w+|note)\(\s*f?\"([^\"]*)\"", code)
    for name, metric in everything.all("google_logging_metric").items():
        looked_for = re.findall(r"jsonPayload\.message=\(([^)]+)\)|jsonPayload\.message=(\"[^\"]+\")", metric["filter"])
        for phrase in re.findall(r'"([^"]+)"', " ".join("".join(pair) for pair in looked_for)):
            assert phrase in said, (name, phrase)
    assert " down since " in everything.all("google_logging_metric")["neighbour_down"]["filter"]
    assert "} down since {" in (ROOT / "shared" / "services" / "breakers.py").read_text()


def test_the_page_is_watched_from_outside(usual: Run) -> None:
    """What is asked for is health, which costs nothing and needs no login."""
    [check] = usual.all("google_monitoring_uptime_check_config").values()
    assert check["http_check"][0]["path"] == "/api/health"
    assert check["monitored_resource"][0]["labels"]["host"] == usual.outputs["admin_url"].removeprefix("https://")


def test_the_budget_is_asked_for(usual: Run, everything: Run) -> None:
    """Without a billing account there is no budget, and its API stays off."""
    assert usual.all("google_billing_budget") == {}
    assert "billingbudgets" not in usual.all("google_project_service")
    assert "billingbudgets" in everything.all("google_project_service")
