"""/api/settings and /api/status: what is set and from where, what is down and how old things are; never a secret."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from shared.domain.errors import Unreachable
from shared.ports import Put
from shared.services import breakers
from shared.services.resume import HEARTBEAT
from shared.settings import SETTINGS
from shared.settings_told import FROM_DOTENV
from tests.functions.served import PLANTED, Service
from tests.world import World

NAME = "projects/p/secrets/muster-authentik-api-token/versions/7"


async def told(service: Service) -> dict[str, dict[str, Any]]:
    answer = await service.api("GET", "/api/settings")
    assert answer.status_code == 200, answer.text
    assert not [secret for secret in PLANTED.values() if secret in answer.text]
    return {item["name"]: item for item in answer.json()["items"]}


async def test_every_setting_is_told(service: Service) -> None:
    """Each setting of the table once, with what it is for; values of those that are no secret, and only of those."""
    del service.env["MATRIX_PASSWORD"]
    found = await told(service)
    assert list(found) == [setting.name for setting in SETTINGS]
    for setting in SETTINGS:
        item = found[setting.name]
        assert (item["concern"], item["about"], item["secret"]) == (setting.concern, setting.about, setting.secret)
        assert not setting.secret or (item["value"], item["default"]) == (None, None)
        assert setting.secret or not item["ok"] or item["value"] is not None
    assert (found["ADMIN_GROUP"]["source"], found["ADMIN_GROUP"]["value"]) == ("default", "muster-admins")
    assert (found["MATRIX_DOMAIN"]["source"], found["MATRIX_DOMAIN"]["is_set"]) == ("environment", True)
    assert (found["MATRIX_PASSWORD"]["source"], found["MATRIX_PASSWORD"]["is_set"]) == ("nowhere", False)


async def test_where_each_comes_from(service: Service) -> None:
    """From .env, from the environment, from Secret Manager by name and version, or by default."""
    service.env |= {"AUTHENTIK_API_TOKEN": NAME, "MATRIX_PUPPETS": "@x_", FROM_DOTENV: "MATRIX_DOMAIN,ADMIN_GROUP"}
    found = await told(service)
    assert (found["AUTHENTIK_API_TOKEN"]["source"], found["AUTHENTIK_API_TOKEN"]["version"]) == ("secret manager", "7")
    assert NAME not in str(found)
    sources = [found[name]["source"] for name in ("MATRIX_DOMAIN", "MATRIX_PUPPETS", "ADMIN_GROUP")]
    assert sources == [".env", "environment", "default"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MATRIX_USER_ID", "syt_a_token_in_the_wrong_place"),
        ("MATRIX_DOMAIN", ""),
        ("MATRIX_DISABLE_SSL_VERIFICATION", "true"),
        ("ADMIN_API_KEYS", "not-a-hash"),
    ],
)
async def test_what_is_wrong_has_a_fix(service: Service, name: str, value: str) -> None:
    """What is missing, malformed or refused here is named with its fix; of what is malformed nothing is quoted."""
    if name == "MATRIX_DISABLE_SSL_VERIFICATION":
        service.env["MUSTER_ENV"] = "production"
    token = service.issuer.access()  # ADMIN_API_KEYS may be the one that is wrong
    service.env[name] = value
    answer = await service.api("GET", "/api/settings", token=token)
    if name == "ADMIN_API_KEYS":  # then nobody is let in by a key, and a person's sign-in needs the same settings
        assert answer.status_code == 503
        assert name in answer.text
        return
    item = next(each for each in answer.json()["items"] if each["name"] == name)
    assert (item["ok"], item["value"], answer.json()["ok"]) == (False, None, False)
    assert name in item["problem"]
    assert ".env" in item["fix"]
    assert not value or len(value) < 5 or value not in answer.text
    wrong = (await service.api("GET", "/api/status", token=token)).json()["settings"]
    assert [each["name"] for each in wrong] == [name]


async def test_a_password_in_an_address(service: Service) -> None:
    """Credentials in an address are no value to be shown."""
    service.env["AUTHENTIK_URL"] = "https://ada:hunter2@auth.example.test"
    answer = await service.api("GET", "/api/settings")
    assert "hunter2" not in answer.text
    assert "https://…@auth.example.test" in answer.text


async def test_status(service: Service, world: World) -> None:
    """What is down since when and why, how old the sweep is and what failed in it: one read, and nothing at first."""
    fresh = (await service.api("GET", "/api/status")).json()
    assert (fresh["down"], fresh["sweep_at"], fresh["webhook_at"], fresh["settings"]) == ([], None, None, [])
    since = world.now()
    await breakers.trip(world, "matrix", Unreachable("matrix", "connection refused").cause)
    await world.documents.write(Put(HEARTBEAT, {"v": 1, "at": since, "failed": {"clock": "no room"}}))
    world.pause(seconds=90)
    told = (await service.api("GET", "/api/status")).json()
    [down] = told["down"]
    assert (down["neighbour"], down["cause"]) == ("matrix", "connection refused")
    assert down["since"] == told["sweep_at"] == f"{since:%Y-%m-%dT%H:%M:%SZ}"
    assert told["sweep_failed"] == {"clock": "no room"}
    assert told["at"] >= f"{since + timedelta(seconds=90):%Y-%m-%dT%H:%M:%SZ}"


async def test_status_without_a_store(service: Service) -> None:
    """Where the store itself is malformed, that is what is told, and the answer comes all the same."""
    service.env["MUSTER_STORE"] = "mysql"
    told = (await service.api("GET", "/api/status")).json()
    assert [each["name"] for each in told["settings"]] == ["MUSTER_STORE"]
    assert (told["down"], told["sweep_at"]) == ([], None)
