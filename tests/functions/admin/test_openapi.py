"""The API's own description: complete, valid, and true under thousands of odd requests."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import cache
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.generation.feedback import FeedbackSources
from schemathesis.pytest._test_builder import build_operation_test
from schemathesis.python._constants.orchestrator import make_constants_value_source
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

import shared.wiring
from functions.admin.app import app
from tests.functions.admin.test_abuse import KNOWN, LISTS
from tests.functions.conftest import new_world
from tests.functions.served import API_KEY, Service, application
from tests.functions.tokens import Issuer

CONTRACT = """
POST /api/invites
GET /api/invites
GET /api/invites/{invite_id}
GET /api/invites/{invite_id}/text
PATCH /api/invites/{invite_id}
POST /api/invites/{invite_id}/revoke
POST /api/invites/{invite_id}/email
GET /api/invites/{invite_id}/email
POST /api/users
GET /api/users
GET /api/users/{pk}
PATCH /api/users/{pk}
DELETE /api/users/{pk}
POST /api/users/{pk}/activate
POST /api/users/{pk}/deactivate
POST /api/users/{pk}/recovery
POST /api/users/{pk}/recovery/email
POST /api/users/{pk}/onboard
POST /api/users/{pk}/offboard
DELETE /api/users/{pk}/bundles/{bundle_id}
GET /api/users/{pk}/standing
GET /api/users/{pk}/signal
POST /api/users/{pk}/signal
GET /api/groups
GET /api/onboardings
GET /api/onboardings/{onboarding_id}
GET /api/onboardings/{onboarding_id}/events
POST /api/onboardings/{onboarding_id}/retry
POST /api/onboardings/{onboarding_id}/skip
POST /api/onboardings/{onboarding_id}/approve
POST /api/onboardings/{onboarding_id}/reject
GET /api/rooms
GET /api/rooms/{room_id}
GET /api/rooms/{room_id}/members
GET /api/members/{matrix_id}/rooms
GET /api/members/{matrix_id}/conversation
GET /api/members/{matrix_id}/conversation/events
POST /api/members/{matrix_id}/conversation
POST /api/rooms/invite
POST /api/rooms/remove
GET /api/bundles
POST /api/bundles
GET /api/bundles/{bundle_id}
PUT /api/bundles/{bundle_id}
DELETE /api/bundles/{bundle_id}
GET /api/messages
POST /api/messages
GET /api/messages/{message_id}
GET /api/messages/{message_id}/events
GET /api/messages/{message_id}/items
GET /api/messages/{message_id}/report.csv
POST /api/messages/{message_id}/pause
POST /api/messages/{message_id}/resume
POST /api/messages/{message_id}/cancel
POST /api/messages/{message_id}/retry
GET /api/plans
POST /api/plans
GET /api/plans/{plan_id}
GET /api/plans/{plan_id}/lines
POST /api/plans/{plan_id}/apply
POST /api/plans/{plan_id}/undo
GET /api/jobs
POST /api/rooms/recommend
GET /api/assistant
POST /api/assistant/suggest
GET /api/categories
POST /api/categories
GET /api/categories/{category_id}
PUT /api/categories/{category_id}
DELETE /api/categories/{category_id}
GET /api/jobs/{job_id}
GET /api/jobs/{job_id}/events
GET /api/jobs/{job_id}/items
POST /api/jobs/{job_id}/retry
POST /api/users/bulk
GET /api/removal_reasons
GET /api/removal_reasons/{reason_id}
PUT /api/removal_reasons/{reason_id}
DELETE /api/removal_reasons/{reason_id}
GET /api/templates
POST /api/templates/lint
POST /api/templates/preview
GET /api/templates/{template_id}
GET /api/templates/{template_id}/versions/{number}
PUT /api/templates/{template_id}
DELETE /api/templates/{template_id}
POST /api/templates/{template_id}/restore
POST /api/templates/{template_id}/send
GET /api/indoc
POST /api/indoc/{matrix_id}/pause
POST /api/indoc/{matrix_id}/resume
GET /api/sponsors
POST /api/sponsors/pause
POST /api/sponsors/resume
GET /api/jobs/{job_id}/invites.csv
POST /api/invites/batch
POST /api/imports
GET /api/imports
GET /api/imports/{import_id}
GET /api/imports/{import_id}/left.csv
GET /api/export/{what}.csv
GET /api/export/{what}.json
GET /api/audit
GET /api/audit.csv
GET /api/settings
GET /api/status
GET /api/health
GET /api/self-check
GET /api/metrics
GET /api/costs
GET /api/sync
POST /api/sync
""".strip().splitlines()
"""What callers from outside rely on: all of it. More is welcome; nothing of it goes."""

FIELDS = {
    "NewInvite": "label rooms groups bundles email matrix_id expires_in_hours expires_at max_uses note sponsor",
    "InviteOut": "id link code expires_at status uses max_uses rooms groups",
    "NewUser": "first_name last_name email username groups rooms bundles interests matrix_id organization intro signal_number "
    "invited_by personal_line skip_indoc_removal send_welcome",
    "AssistantOut": "on problem host model tokens cap requests per_minute",
    "Introduced": "introduction",
    "UserMade": "user onboarding recovery_link temporary_password secret_shown",
    "GroupOut": "id name members grantable why",
    "StandingOut": "matrix_id matrix_id_given_by matrix_problem onboarding live age_seconds bridge",
    "SignalOut": "set_up number problem room_id matrix_id bridge name opened_at job state",
    "Onboard": "matrix_id rooms bundles skip_indoc_removal send_welcome",
    "OnboardingOut": "id state member source personal_line steps created_at finished_at",
    "OnboardingWithReplies": "id state member source steps replies created_at finished_at",
    "ReplyOut": "at event_id text cause",
    "SaidOut": "direction state at text cause fix kind by template event_id encrypted devices job",
    "Answer": "text",
    "StepOut": "state attempts next_at cause fix result",
    "Retry": "steps",
    "Skip": "step reason",
    "ListedRoom": "room_id name topic alias encrypted members bot_power invite_power remove_power needs invited",
    "RoomDetail": "room_id needs live bot domain in_spaces entered_by",
    "RoomMember": "matrix_id membership power pk username name kept bridge",
    "RoomsInvite": "matrix_id matrix_ids rooms",
    "RoomsRemove": "matrix_id matrix_ids rooms reason template message message_required",
    "Bulk": "act pks filter group rooms count",
    "JobOut": "id kind state reason part_of items counts total notes",
    "JobItem": "kind step pk username name state cause fix result",
    "TemplateIn": "source version",
    "TemplateOut": "id purpose label when goes kind of version latest built_in source updated_at updated_by variables",
    "TemplateSaved": "id version findings",
    "VersionOut": "template number built_in source created_at created_by restored",
    "FindingOut": "level code text line",
    "PreviewOut": "sample display_name plain html mentions findings",
    "NewBundle": "name rooms groups for_groups levels removes space_first",
    "BundleOut": "id name revision rooms groups for_groups levels removes space_first ways",
    "NewPlan": "bundles groups matrix_ids",
    "PlanOut": "id state created_at total counts notes job applied undo_until undo_job",
    "PlanLineOut": "id action matrix_id username room_id room before after reason",
    "Apply": "lines all_of without removals",
    "Offboard": "reason template message message_required keep_rooms matrix_ids",
    "ReasonOut": "id label reason message",
    "IndocItem": "matrix_id since hours onboarding state nudge_at remove_at",
    "MemberRooms": "items live age_seconds",
    "ImportStarted": "job table",
    "ImportLines": "imported state items next_cursor total",
    "LineOut": "line state cause fix id username",
    "BatchInvites": "count label rooms groups expires_in_hours expires_at note sponsor",
    "Interested": "interests limit",
    "RecommendedOut": "items wanted unwanted",
    "RecommendationOut": "room_id name score because",
    "CategoryOut": "id name keywords synonyms rooms revision created_at updated_at",
    "CheckOut": "name ok detail fix command",
    "AuditList": "items next_cursor total looked",
    "SettingOut": "name concern about secret is_set source value ok problem fix",
    "StatusOut": "at settings down sweep_at sweep_failed webhook_at",
    "Problem": "type title status detail errors",
    "Invites": "items next_cursor total",
    "MetricsOut": "at since by_state waiting_steps failed_steps failures failures_of time_to_home series",
    "FailureOut": "kind cause fix count example",
    "CostsOut": "currency prices_of onboardings rooms per_onboarding per_month lines assumed not_counted",
}
EXAMPLES = 12
MAKING = (
    "POST /api/invites",
    "POST /api/invites/batch",
    "POST /api/users",
    "POST /api/invites/{invite_id}/email",
    "POST /api/users/{pk}/recovery/email",
    "POST /api/users/{pk}/offboard",
    "POST /api/users/{pk}/signal",
    "POST /api/users/bulk",
    "POST /api/imports",
    "POST /api/bundles",
    "POST /api/plans",
    "POST /api/categories",
    "POST /api/rooms/invite",
    "POST /api/rooms/remove",
    "POST /api/members/{matrix_id}/conversation",
    "POST /api/templates/{template_id}/send",
    "POST /api/messages",
)


@cache
def document() -> dict[str, Any]:
    return app().openapi()


def operations() -> dict[str, dict[str, Any]]:
    return {
        f"{method.upper()} {path}": operation
        for path, methods in document()["paths"].items()
        for method, operation in methods.items()
    }


def test_every_route_of_the_contract_is_there() -> None:
    """Whatever callers rely on is a route, and the tables that the other tests use know no other."""
    assert set(CONTRACT) == set(operations())
    sample = {"invite_id": "inv_x", "pk": "2", "onboarding_id": "ob_x", "matrix_id": "@a:b.test", "job_id": "job_x"}
    sample |= {"import_id": "imp_x", "what": "invites", "bundle_id": "bundle_x", "plan_id": "plan_x"}
    sample["message_id"] = "msg_x"
    sample |= {"category_id": "cat_x", "template_id": "hello", "number": "1"}
    sample |= {"reason_id": "rules", "room_id": "!a:b.test"}
    known = {f"{method} {path}" for path, methods in KNOWN.items() for method in methods}
    assert {name.format(**sample) for name in operations()} == known


@pytest.mark.parametrize("model", FIELDS)
def test_every_field_of_the_contract_is_there(model: str) -> None:
    """Each document has at least the fields that callers rely on."""
    assert set(FIELDS[model].split()) <= set(document()["components"]["schemas"][model]["properties"])


ASKING = (
    "POST /api/rooms/recommend",
    "POST /api/templates/lint",
    "POST /api/templates/preview",
    "POST /api/assistant/suggest",
)
"""What is asked with a body, and changes nothing."""


def test_every_act_can_be_tried_and_every_making_repeated() -> None:
    """Everything that acts takes `dry_run`; what makes something takes an Idempotency-Key."""
    for name, operation in operations().items():
        taken = {parameter["name"].lower() for parameter in operation.get("parameters", [])}
        asks = name.startswith("GET") or name in ASKING
        assert ("dry_run" in taken) is not asks, name
        assert ("idempotency-key" in taken) is (name in MAKING), name


def test_every_list_has_pages() -> None:
    """Whatever can grow without end takes a limit and a cursor."""
    for path in LISTS:
        taken = {parameter["name"]: parameter["schema"] for parameter in operations()[f"GET {path}"]["parameters"]}
        assert {"limit", "cursor"} <= set(taken)
        assert {name: taken["limit"][name] for name in ("minimum", "maximum", "default")} == {
            "minimum": 1,
            "maximum": 200,
            "default": 50,
        }


def test_everything_is_locked_but_health() -> None:
    """Each operation says that it needs a credential, health that it needs none."""
    for name, operation in operations().items():
        assert operation["security"] == ([] if name == "GET /api/health" else [{"bearer": []}])
        assert {"401", "403"} <= set(operation["responses"]) or name == "GET /api/health"
        assert "422" not in operation["responses"]


def test_its_schemas_are_schemas() -> None:
    """Every schema in it is valid JSON Schema, every reference leads somewhere, every operation has a name of its own."""
    assert document()["openapi"].startswith("3.1")
    for schema in document()["components"]["schemas"].values():
        jsonschema_rs.Draft202012Validator(schema | {"components": document()["components"]})
    references = [value.rpartition("/")[2] for value in _references(document())]
    assert set(references) <= set(document()["components"]["schemas"])
    ids = [operation["operationId"] for operation in operations().values()]
    assert len(set(ids)) == len(ids)


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


async def test_it_is_served(service: Service) -> None:
    """The document that admins get is this one."""
    assert (await service.api("GET", "/api/openapi.json")).json() == document()


# ------------------------------------------------------------------ odd requests


@pytest.fixture(scope="module")
def furnished(issuer: Issuer) -> Iterator[Service]:
    """A deployment with somebody and something of each kind in it, for all odd requests together."""
    world, indoc = new_world()
    service = Service(world, issuer, indoc)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shared.wiring, "factory", service.wire)
        asyncio.run(_furnish(service))
        yield service


IDS: dict[str, Any] = {}


@pytest.mark.parametrize("path", ["/api/openapi.json", "/api/settings"])
async def test_large_answers_are_packed(service: Service, path: str) -> None:
    """Whoever takes gzip gets a large answer in a fraction of its bytes, and the same in it."""
    plain = await service.send("admin", "GET", path, API_KEY, headers={"Accept-Encoding": "identity"})
    packed = await service.send("admin", "GET", path, API_KEY, headers={"Accept-Encoding": "gzip"})
    assert (plain.headers.get("content-encoding"), packed.headers["content-encoding"]) == (None, "gzip")
    assert int(packed.headers["content-length"]) * 3 < len(plain.content)
    assert packed.json() == plain.json()
    assert packed.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"


async def _furnish(service: Service) -> None:
    world = service.world
    IDS["room_id"] = world.homeserver.add_room("Ops", alias="ops")
    world.authentik.add_group("staff")
    IDS["invite_id"] = (await service.api("POST", "/api/invites", json={"label": "x"})).json()["id"]
    made = (await service.api("POST", "/api/users", json={"first_name": "Ada"})).json()
    IDS["pk"], IDS["onboarding_id"] = made["user"]["pk"], made["onboarding"]["id"]
    category = {"name": "Work", "keywords": ["jobs"], "synonyms": {"ops": ["operations"]}, "rooms": ["#ops:fake.test"]}
    IDS["category_id"] = (await service.api("POST", "/api/categories", json=category)).json()["id"]
    body = {"matrix_id": "@ada:fake.test", "rooms": ["#ops:fake.test"]}
    IDS["job_id"] = (await service.api("POST", "/api/rooms/invite", json=body)).json()["job"]["id"]
    body = {"name": "Garden", "rooms": ["#ops:fake.test"]}
    IDS["bundle_id"] = (await service.api("POST", "/api/bundles", json=body)).json()["id"]
    IDS["plan_id"] = (await service.api("POST", "/api/plans", json={})).json()["id"]
    IDS["matrix_id"] = "@ada:fake.test"
    IDS["reason_id"] = "rules"
    await service.api("PUT", "/api/removal_reasons/rules", json={"label": "Rules", "reason": "broke them, {name}"})
    file = "first_name,groups\nBee,\nCee,nobody\n"
    started = await service.api("POST", "/api/imports?kind=users&on_conflict=skip", content=file)
    IDS["import_id"] = started.json()["table"]["imported"]["id"]


ODD = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def described() -> schemathesis.BaseSchema:
    schema = schemathesis.openapi.from_dict(document())
    schema.app = application("admin")
    schema.config.update(base_url="http://testserver")
    schema.hook(map_path_parameters)
    return schema


@pytest.fixture(scope="module")
def feedback(described: schemathesis.BaseSchema) -> FeedbackSources:
    """Values that our own code compares with are tried too."""
    return FeedbackSources(constants_value_source=make_constants_value_source(described))


def map_path_parameters(context: Any, path_parameters: dict[str, Any] | None) -> dict[str, Any] | None:
    """Every other request is about something that is there. A line break in a path is left out: the
    functions-framework's own router answers that with 404 before Muster is asked."""
    for name, value in (path_parameters or {}).items():
        if isinstance(value, str):
            path_parameters[name] = value.replace("\n", "n").replace("%0A", "n")  # type: ignore[index]
        if name in IDS and len(str(path_parameters[name])) % 2:  # type: ignore[index]
            path_parameters[name] = IDS[name]  # type: ignore[index]
    return path_parameters


# `schema.parametrize` would do all of this for every operation when the tests are collected, in each worker, which is half
# of collecting; its `from_fixture` asks of pytest what this release has no more. So its test of one operation is built here.
@pytest.mark.parametrize("name", CONTRACT)
def test_odd_requests(
    described: schemathesis.BaseSchema, feedback: FeedbackSources, furnished: Service, name: str
) -> None:
    """Whatever is sent, the answer is one that the document describes, and never the server's own mistake."""
    # What a field may hold is said in words too ("a Matrix id"), so a request may be true to the document and refused.
    # The other way round, what it breaks may be the credentials, which every call here gets again; that each field is
    # refused by name is held in the tests of the resources.
    excluded = [positive_data_acceptance, negative_data_rejection]

    @ODD
    def answered(case: schemathesis.Case) -> None:
        furnished.world.pause(seconds=1)  # a limit of requests a minute is for other tests
        case.call_and_validate(headers={"Authorization": f"Bearer {API_KEY}"}, excluded_checks=excluded)

    for operation in described.get_all_operations():
        if operation.ok().label == name:
            build_operation_test(
                config=described.config,
                operation=operation.ok(),
                test_func=answered,
                given_kwargs={},
                feedback=feedback,
            )()
            return
    raise AssertionError(f"no such operation: {name}")
