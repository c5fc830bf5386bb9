"""/api/self-check: what is not as it must be, each with its fix, whatever else is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

import shared.wiring
from shared.domain.errors import Unreachable
from shared.ports import Finding
from shared.settings import SETTINGS
from shared.wiring import Wiring
from tests.functions.served import API_KEY, Service, key_entry
from tests.world import World

REQUIRED = {setting.name for setting in SETTINGS if setting.default is None}


async def test_all_is_well(service: Service, world: World) -> None:
    """Every part is looked at; only the syncs and the sweep, which never ran, are found."""
    answer = await service.api("GET", "/api/self-check")
    assert answer.status_code == 200, answer.text
    found = {item["name"]: item["ok"] for item in answer.json()["items"]}
    assert {"settings", "store", "authentik server", "neighbours", "sweep", "webhook"} <= set(found)
    assert [name for name, ok in found.items() if not ok] == [
        "cache of authentik",
        "cache of matrix",
        "sweep",
    ]
    assert answer.json()["ok"] is False


async def test_what_is_wrong_has_a_fix(service: Service, world: World) -> None:
    """A part that cannot be looked at is a finding of its own; the others are looked at all the same."""
    world.authentik.fail("check", Unreachable("authentik", "no answer within 10 s", "See that it is up."))
    world.homeserver.fail_next(Unreachable("matrix", "connection refused", "See that it is up."), times=9)
    items = (await service.api("GET", "/api/self-check")).json()["items"]
    wrong = {item["name"]: item for item in items if not item["ok"]}
    assert {"authentik", "matrix"} <= set(wrong)
    assert all(item["detail"] and item["fix"] for item in wrong.values())
    assert [item["ok"] for item in items if item["name"] == "store"] == [True]


async def test_a_part_that_crashes(service: Service, world: World) -> None:
    """Even a mistake of ours in one part is a finding, and hides none of the others."""
    world.authentik.findings = [Finding("authentik server", ok=True, detail="fine")]
    world.authentik.fail("check", RuntimeError("a mistake"))  # type: ignore[arg-type]
    answer = await service.api("GET", "/api/self-check")
    assert answer.status_code == 200, answer.text
    found = {item["name"]: item for item in answer.json()["items"]}
    assert (found["authentik"]["ok"], found["store"]["ok"]) == (False, True)
    assert "a mistake" not in answer.text


async def test_with_hardly_a_setting(service: Service, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With nothing set but a key to come in, the self-check answers and names every missing setting."""
    service.env = {
        "MUSTER_STORE": "sqlite",
        "MUSTER_DATA_DIR": str(tmp_path),
        "ADMIN_API_KEYS": key_entry("ops", API_KEY),
    }
    monkeypatch.setattr(shared.wiring, "factory", lambda _: Wiring(service.wire(_).settings))
    answer = await service.api("GET", "/api/self-check")
    assert answer.status_code == 200, answer.text
    items = answer.json()["items"]
    named = {name for name in REQUIRED for item in items if item["name"] == "settings" and name in item["detail"]}
    assert named == REQUIRED
    assert [item["ok"] for item in items if item["name"] == "store"] == [True]
    assert all(item["fix"] for item in items if not item["ok"])


@pytest.mark.parametrize("name", ["MATRIX_DOMAIN", "TASKS_URL_TEMPLATE", "MATRIX_HOMESERVER", "AUTHENTIK_API_TOKEN"])
async def test_with_one_setting_missing(service: Service, name: str) -> None:
    """One missing setting is named, and whatever does not need it is looked at all the same."""
    del service.env[name]
    items = (await service.api("GET", "/api/self-check")).json()["items"]
    assert [item for item in items if item["name"] == "settings" and name in item["detail"]]
    assert {item["name"] for item in items if item["ok"]} >= {"store", "neighbours", "webhook"}
    assert not [item for item in items if not item["ok"] and not (item["detail"] and item["fix"])]
