"""For the driving side: a deployment on fakes, and the promise that its logs keep after every test."""

from __future__ import annotations

import contextlib
import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

import shared.wiring
from shared import logs
from shared.services.context import Policy
from tests.functions.served import Service, Watched
from tests.functions.tokens import Issuer
from tests.world import DOMAIN, World


@pytest.fixture(scope="session")
def issuer() -> Iterator[Issuer]:
    with Issuer() as running:
        yield running


def new_world() -> tuple[World, str]:
    """A world with an INDOC room, whose writes are remembered."""
    world = World()
    indoc = world.homeserver.add_room("INDOC", alias="indoc")
    world.policy = Policy(domain=DOMAIN, indoc=indoc, admin_group="muster-admins")
    world.documents = Watched(":memory:", now=world.now)
    return world, indoc


@pytest.fixture
def service(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> Service:
    """The entry points on a world of their own."""
    world, indoc = new_world()
    made = Service(world, issuer, indoc)
    monkeypatch.setattr(shared.wiring, "factory", made.wire)
    return made


@pytest.fixture
def world(service: Service) -> World:
    return service.world


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """What the functions write to standard output as their log."""
    loggers = [logging.getLogger("muster"), logging.getLogger()]
    loggers[0].handlers.clear()
    stream = io.StringIO()
    with contextlib.redirect_stdout(stream):
        logs.configure()
    ours = loggers[0].handlers[0]
    yield stream
    for logger in loggers:
        logger.removeHandler(ours)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    """The log, each line read as JSON."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.fixture(autouse=True)
def _clean_logs(request: pytest.FixtureRequest, logged: io.StringIO) -> Iterator[None]:
    """After each test here: one JSON object a line, and no secret in any."""
    name = next((name for name in ("service", "furnished") if name in request.fixturenames), None)
    service = request.getfixturevalue(name) if name else None
    yield
    written = lines(logged)
    assert all(isinstance(line, dict) and line["severity"] and line["message"] for line in written)
    assert not [secret for secret in service.secrets if secret in logged.getvalue()] if service else True
