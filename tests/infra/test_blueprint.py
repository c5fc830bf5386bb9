"""The blueprint for a real Authentik: it hangs together, and what its mappings sign is what would be sent."""

from __future__ import annotations

import base64
import json
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
import standardwebhooks
import yaml

from local.authentik_flow import PROMPTS

BLUEPRINT = Path(__file__).parents[2] / "infra" / "authentik" / "blueprint.yaml"
RAW = "no base64, but ünique"
SECRETS = ["whsec_" + base64.b64encode(b"k" * 32).decode(), base64.b64encode(b"k" * 24).decode(), RAW, f"whsec_{RAW}"]


@dataclass(frozen=True)
class Tag:
    """One of Authentik's own YAML tags."""

    name: str
    value: Any


class Loader(yaml.SafeLoader):
    pass


def _tag(loader: Loader, suffix: str, node: yaml.Node) -> Tag:
    if isinstance(node, yaml.SequenceNode):
        return Tag(suffix, loader.construct_sequence(node, deep=True))
    assert isinstance(node, yaml.ScalarNode)
    return Tag(suffix, loader.construct_scalar(node))


for known in ("KeyOf", "Env", "Context", "Find", "Format"):  # any other tag fails to load
    Loader.add_constructor(f"!{known}", lambda loader, node, known=known: _tag(loader, known, node))


@pytest.fixture(scope="module")
def blueprint() -> dict[str, Any]:
    return dict(yaml.load(BLUEPRINT.read_text(encoding="utf-8"), Loader))  # noqa: S506 - a SafeLoader with tags


def tags(value: Any) -> Iterator[Tag]:
    if isinstance(value, Tag):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from tags(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from tags(inner)


def entry(blueprint: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for one in blueprint["entries"] if one.get("id") == name)


def evaluate(expression: str, **names: Any) -> Any:
    """As Authentik does: the expression is the body of a function whose arguments are the names."""
    scope: dict[str, Any] = {}
    exec(f"def handler({', '.join(names)}):\n{textwrap.indent(expression, '    ')}", scope)  # noqa: S102
    return scope["handler"](**names)


def notification(**event: Any) -> SimpleNamespace:
    user = {"pk": 8, "email": "josé@example.test", "username": "jose"}
    context = {"name": "José 李 🎈", "created": True, "attributes": {"muster_invite": "inv_1"}, "password": "*" * 20}
    usual = {"pk": UUID("ec41a99ee246451da5c73245908c9d36"), "action": "user_write", "app": "authentik.events.signals"}
    usual |= {"created": datetime(2026, 11, 21, 8, 54, 40, 926864, UTC), "client_ip": "127.0.0.1"}
    return SimpleNamespace(event=SimpleNamespace(**(usual | {"user": user, "context": context} | event)))


def test_every_reference_leads_back(blueprint: dict[str, Any]) -> None:
    """Authentik resolves in order, so each !KeyOf names an entry that stands before it."""
    seen: set[str] = set()
    for one in blueprint["entries"]:
        assert {tag.value for tag in tags(one) if tag.name == "KeyOf"} <= seen, one
        assert one.get("id") not in seen
        seen.add(one.get("id", ""))


def test_every_context_value_is_defined(blueprint: dict[str, Any]) -> None:
    """Each !Context is in the blueprint's context, and the address comes from the worker's environment."""
    assert {tag.value for tag in tags(blueprint["entries"]) if tag.name == "Context"} <= blueprint["context"].keys()
    assert blueprint["context"]["webhook_url"].value[0] == "MUSTER_WEBHOOK_URL"


def test_entries_are_ours(blueprint: dict[str, Any]) -> None:
    """What is made bears our name, so that nothing of somebody else is changed, and no group makes superusers."""
    for one in blueprint["entries"]:
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
    recorded = json.loads((BLUEPRINT.parents[2] / "tests" / "contracts" / "recorded.json").read_text(encoding="utf-8"))
    body = evaluate(entry(blueprint, "body")["attrs"]["expression"], notification=notification())
    assert body.keys() == recorded["user_write"].keys()
    assert body["created"] == recorded["user_write"]["created"]
