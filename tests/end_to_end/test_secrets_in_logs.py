"""What the whole stack wrote into its logs while it was well, ill and killed: no secret, and nothing but JSON of Muster's."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from local import sample
from local.loopback import LOOPBACK
from shared.settings import SETTINGS

pytest_plugins = ("tests.end_to_end.faulty",)
pytestmark = [pytest.mark.stack, pytest.mark.timeout(180)]

ERRORS = ("step failed", "step given up", "Matrix down since", "Authentik down since")
"""Of these a person must know; all else is INFO or WARNING."""


def secrets_of(env: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Every secret that the environment, and what the stack keeps, has; by name."""
    for name in (*(setting.name for setting in SETTINGS if setting.secret), "ADMIN_API_KEY", "ADMIN_PASSWORD"):
        for number, value in enumerate(env.get(name, "").split(",")):
            yield f"{name} {number}", value.rpartition(":")[2] if name == "ADMIN_API_KEYS" else value
            yield f"{name} {number} without its prefix", value.removeprefix("whsec_").removeprefix("muster_")
    yield "SYNAPSE_REGISTRATION_SECRET", env.get("SYNAPSE_REGISTRATION_SECRET", "")
    kept = Path(env["MUSTER_DATA_DIR"]) / "synapse"
    if kept.exists():
        yield "the bot's password", json.loads((kept / "bot.json").read_text())["password"]
        yield "the macaroon secret", (kept / "macaroon_secret").read_text()


def logs(env: Mapping[str, str]) -> Iterator[Path]:
    data = Path(env["MUSTER_DATA_DIR"])
    yield from (path for path in (*data.glob("logs/*"), *data.glob("synapse/*.log*")) if path.is_file())


def leaks(env: Mapping[str, str], more: Mapping[str, str]) -> list[str]:
    """The names of the secrets that stand in a log, never their values."""
    known = {name: value for name, value in {**dict(secrets_of(env)), **more}.items() if len(value) >= 8}
    assert {"MATRIX_ACCESS_TOKEN 0", "AUTHENTIK_API_TOKEN 0", "ADMIN_API_KEY 0"} <= set(known)
    texts = {path.name: path.read_text(errors="replace") for path in logs(env)}
    assert {"app.log", "tasks.log", "authentik.log"} <= set(texts)
    return [f"{name} in {file}" for name, value in known.items() for file, text in texts.items() if value in text]


async def ways_in(env: Mapping[str, str]) -> dict[str, str]:
    """A recovery link, an invite's code and a task's token, made now: secrets that no environment has."""
    async with sample.api(env) as client:
        body = {"first_name": "Ada", "last_name": secrets.token_hex(4), "send_welcome": False}
        made = (await client.post("/api/users", json=body)).raise_for_status().json()
        invited = (await client.post("/api/invites", json={"label": "x", "expires_in_hours": 1})).raise_for_status()
        await client.post(
            "/api/invites", json={"label": "x"}, headers={"Authorization": "Bearer a-wrong-but-secret-key"}
        )
    who = {"audience": "a", "email": env["TASKS_SERVICE_ACCOUNT"]}
    async with httpx.AsyncClient(**LOOPBACK) as client:
        token = (await client.post(f"{env['TASKS_OIDC_ISSUER']}/token", json=who)).raise_for_status().json()["token"]
    recovery = parse_qs(urlsplit(made["recovery_link"]).query)["flow_token"][0]
    code = invited.json()["code"]
    return {"recovery": recovery, "invite": code, "a task's token": token, "wrong key": "a-wrong-but-secret-key"}


async def test_of_the_stack_with_bad_luck(town: Any) -> None:
    """With faults at every outside call, where errors are logged, and with temporary passwords, still none does."""
    found = await ways_in(town.env)
    town.stack.faults(0.3)
    names, link = await town.newcomers(4)
    await town.enroll(link, names)
    for _ in range(5):
        with_errors = await asyncio.gather(*(town.sweep() for _ in range(2)), return_exceptions=True)
        await asyncio.sleep(0.5)
    assert with_errors
    town.stack.faults(0.0)
    await town.verdict(names)
    found |= await temporary_password(town)
    assert leaks(town.env, found) == []


async def temporary_password(town: Any) -> dict[str, str]:
    """Of an account made where the brand has no recovery flow."""
    config = Path(town.env["MUSTER_DATA_DIR"]) / "authentik.json"
    usual = config.read_text()
    try:
        config.write_text(json.dumps(json.loads(usual) | {"recovery": False}))
        await asyncio.to_thread(town.stack.restart, "authentik")
        async with sample.api(town.env) as client:
            made = (await client.post("/api/users", json={"first_name": "Grace"})).raise_for_status().json()
    finally:
        config.write_text(usual)
        await asyncio.to_thread(town.stack.restart, "authentik")
    assert not made["recovery_link"]
    return {"temporary password": made["temporary_password"]}


async def test_a_line_is_an_object(town: Any) -> None:
    """Muster's log is one JSON object a line with severity and message; a step's line names onboarding, step and attempt;
    ERROR is only where a person must act."""
    names, link = await town.newcomers()
    await town.enroll(link, names)
    await town.verdict(names)
    lines = [json.loads(line) for line in town.stack.log_file.read_text().splitlines()]
    assert lines
    assert all({"severity", "message"} <= set(line) for line in lines)
    steps = [line for line in lines if line["message"].startswith(("room:", "hello:", "welcome:", "groups:"))]
    assert steps
    assert all({"onboarding", "step", "attempt"} <= set(line) for line in steps)
    errors = [line for line in lines if line["severity"] not in ("DEBUG", "INFO", "WARNING")]
    assert [line for line in errors if not line["message"].startswith(ERRORS)] == []
