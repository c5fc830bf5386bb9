"""The blueprint for a real Authentik: it hangs together, and what its mappings sign is what would be sent."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
import standardwebhooks

from local.authentik_flow import PROMPTS
from tests.infra.blueprints import FOLDER, Tag, entry, evaluate, load, tags

RECORDED = FOLDER.parents[1] / "tests" / "contracts" / "recorded.json"
RAW = "no base64, but ünique"
SECRETS = ["whsec_" + base64.b64encode(b"k" * 32).decode(), base64.b64encode(b"k" * 24).decode(), RAW, f"whsec_{RAW}"]


@pytest.fixture(scope="module", params=["blueprint.yaml", "admin-page.yaml"])
def any_blueprint(request: pytest.FixtureRequest) -> dict[str, Any]:
    return load(request.param)


@pytest.fixture(scope="module")
def blueprint() -> dict[str, Any]:
    return load("blueprint.yaml")


def notification(**event: Any) -> SimpleNamespace:
    user = {"pk": 8, "email": "josé@example.test", "username": "jose"}
    context = {"name": "José 李 🎈", "created": True, "attributes": {"muster_invite": "inv_1"}, "password": "*" * 20}
    usual = {"pk": UUID("ec41a99ee246451da5c73245908c9d36"), "action": "user_write", "app": "authentik.events.signals"}
    usual |= {"created": datetime(2026, 11, 21, 8, 54, 40, 926864, UTC), "client_ip": "127.0.0.1"}
    return SimpleNamespace(event=SimpleNamespace(**(usual | {"user": user, "context": context} | event)))


def test_every_reference_leads_back(any_blueprint: dict[str, Any]) -> None:
    """Authentik resolves in order, so each !KeyOf names an entry that stands before it."""
    seen: set[str] = set()
    for one in any_blueprint["entries"]:
        assert {tag.value for tag in tags(one) if tag.name == "KeyOf"} <= seen, one
        assert one.get("id") not in seen
        seen.add(one.get("id", ""))


def test_every_context_value_is_defined(any_blueprint: dict[str, Any]) -> None:
    """Each !Context is in the blueprint's context, whose values come from the worker's environment, with a default."""
    context = any_blueprint["context"]
    assert {tag.value for tag in tags(any_blueprint["entries"]) if tag.name == "Context"} == context.keys()
    for value in context.values():
        ((name, default),) = [tag.value for tag in tags(value) if tag.name == "Env"]
        assert name.startswith("MUSTER_")
        assert default


def test_entries_are_ours(any_blueprint: dict[str, Any]) -> None:
    """What is made bears our name, so that nothing of somebody else is changed, and no group makes superusers."""
    for one in any_blueprint["entries"]:
        if one["model"] == "authentik_blueprints.metaapplyblueprint":
            continue
        named = [one["identifiers"][key] for key in ("name", "slug", "username") if key in one["identifiers"]]
        assert all(name.startswith("muster-") for name in named)
        assert named or "target" in one["identifiers"]
        assert not one.get("attrs", {}).get("is_superuser")


def test_the_rule_can_fire(blueprint: dict[str, Any]) -> None:
    """A rule needs a bound policy and a recipient; one POST goes out however many recipients there are."""
    bound = [one["identifiers"] for one in blueprint["entries"] if one["model"] == "authentik_policies.policybinding"]
    assert [binding["target"] for binding in bound] == [Tag("KeyOf", "rule")] * 2
    assert entry(blueprint, "rule")["attrs"]["destination_group"] == Tag("KeyOf", "recipients")
    assert entry(blueprint, "recipient")["attrs"]["groups"] == [Tag("KeyOf", "recipients")]
    assert entry(blueprint, "transport")["attrs"]["send_once"] is True


def test_the_stand_in_asks_the_same_questions(blueprint: dict[str, Any]) -> None:
    """The prompts here and those of the stand-in are one list."""
    prompts = [one["attrs"] for one in blueprint["entries"] if one["model"] == "authentik_stages_prompt.prompt"]
    asked = [(prompt["field_key"], prompt["label"], prompt["type"]) for prompt in prompts]
    assert asked == PROMPTS
    assert [prompt["order"] for prompt in prompts] == list(range(len(prompts)))


@pytest.mark.parametrize(
    ("action", "context", "fires"),
    [
        ("user_write", {"created": True}, True),
        ("user_write", {"created": False}, False),
        ("user_write", {}, False),
        ("login", {"created": True}, False),
    ],
)
def test_only_new_accounts_match(blueprint: dict[str, Any], action: str, context: dict[str, Any], fires: bool) -> None:
    """A change of profile or password is no enrollment."""
    request = SimpleNamespace(context={"event": SimpleNamespace(action=action, context=context)})
    assert evaluate(entry(blueprint, "enrolled")["attrs"]["expression"], request=request) is fires


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize(
    "event",
    [{}, {"user": {}, "client_ip": None, "created": None, "context": {"when": datetime(2026, 1, 1, tzinfo=UTC)}}],
)
def test_the_signature_is_that_of_the_bytes_sent(
    blueprint: dict[str, Any], monkeypatch: pytest.MonkeyPatch, secret: str, event: dict[str, Any]
) -> None:
    """The Standard Webhooks library accepts the headers for the bytes as Authentik sends them, non-ASCII included."""
    monkeypatch.setenv("MUSTER_WEBHOOK_SECRET", secret)
    given = notification(**event)
    body = evaluate(entry(blueprint, "body")["attrs"]["expression"], notification=given)
    headers = evaluate(entry(blueprint, "headers")["attrs"]["expression"], notification=given)
    sent = json.dumps(body, allow_nan=False).encode()
    webhook = standardwebhooks.Webhook(secret.encode() if RAW in secret else secret)
    assert webhook.verify(sent, headers) == body
    assert headers["webhook-id"] == headers["X-Authentik-Event"] == body["event_id"]
    assert secret not in json.dumps([headers, body])


def test_the_body_is_the_recorded_one(blueprint: dict[str, Any]) -> None:
    """The mapping sends the keys that were recorded of a running server, its time in the same form."""
    recorded = json.loads(RECORDED.read_text(encoding="utf-8"))
    body = evaluate(entry(blueprint, "body")["attrs"]["expression"], notification=notification())
    assert body.keys() == recorded["user_write"].keys()
    assert body["created"] == recorded["user_write"]["created"]
