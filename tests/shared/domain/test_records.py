"""Documents outlive a deployment: each release reads what the one before wrote, and what the next one will."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from shared.domain.audit import Audit, audit
from shared.domain.invites import Invite
from shared.domain.jobs import Job
from shared.domain.onboarding import Onboarding, Step
from shared.domain.records import Record
from shared.ports import Create
from shared.repositories import INVITES, ONBOARDINGS
from shared.services.breakers import Breaker
from shared.services.messaging import DirectRoom
from shared.services.new_users import Request
from tests.world import World

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
OLDEST: dict[type[Record], dict[str, Any]] = {
    Invite: {"id": "inv_1", "label": "x", "created_at": NOW, "created_by": "key:a", "expires_at": NOW},
    Onboarding: {
        "id": "ob_1",
        "source": "webhook",
        "account_pk": 7,
        "uid": "u",
        "username": "ada",
        "name": "Ada",
        "created_at": NOW,
    },
    Step: {"parent": "onboardings/ob_1", "name": "hello", "kind": "hello"},
    Job: {"id": "job_1", "kind": "invite", "matrix_id": "@a:b", "actor": "key:a", "created_at": NOW},
    Audit: {"id": "a", "at": NOW, "actor": "key:a", "action": "x", "target": "y"},
    Breaker: {"neighbour": "matrix", "open": True, "since": NOW},
    DirectRoom: {"matrix_id": "@a:b", "room_id": "!a", "encrypted": False},
    Request: {"id": "usr_1", "username": "ada", "name": "Ada", "actor": "key:a", "created_at": NOW},
}
"""The fewest fields a document of each kind was ever written with. Never make one longer: a field that is new has a default."""


@pytest.mark.parametrize("kind", OLDEST, ids=lambda kind: kind.__name__)
def test_an_old_document_is_read(kind: type[Record]) -> None:
    """What an older release did not write takes its default."""
    record = kind.of(OLDEST[kind])
    assert {name: getattr(record, name) for name in OLDEST[kind]} == OLDEST[kind]
    assert record.v == 1


@pytest.mark.parametrize("kind", OLDEST, ids=lambda kind: kind.__name__)
def test_a_newer_document_is_read(kind: type[Record]) -> None:
    """What a newer release has added is ignored."""
    assert kind.of(OLDEST[kind] | {"v": 2, "added_later": {"a": 1}}).v == 2


@pytest.mark.parametrize("kind", OLDEST, ids=lambda kind: kind.__name__)
def test_there_and_back(kind: type[Record]) -> None:
    """What is written is what is read."""
    record = kind.of(OLDEST[kind])
    assert kind.of(record.data()) == record


def test_lists_are_tuples_in_the_code() -> None:
    """So that a record cannot be changed by accident; in the store they are lists."""
    invite = Invite.of(OLDEST[Invite] | {"rooms": ["!a", "!b"]})
    assert invite.rooms == ("!a", "!b")
    assert invite.data()["rooms"] == ["!a", "!b"]


async def test_from_the_store() -> None:
    """An onboarding of an older release is listed and read like any other."""
    world = World()
    await world.store.write(
        Create("onboardings/ob_1", OLDEST[Onboarding]),
        Create("onboardings/ob_1/steps/hello", OLDEST[Step]),
        Create("invites/inv_1", OLDEST[Invite]),
    )
    view = await world.view("ob_1")
    assert (view.state, view.onboarding.username, [step.name for step in view.steps]) == ("running", "ada", ["hello"])
    assert (await INVITES.get(world.store, "inv_1")).record.status(NOW) == "expired"
    assert (await ONBOARDINGS.list(world.store)).total == 1


def test_audit_ids() -> None:
    """They sort by time, and the same act is one record."""
    later = NOW.replace(hour=13)
    first, again = audit(NOW, "a", "x", "y", "1"), audit(NOW, "a", "x", "y", "1")
    assert first.id == again.id
    assert first.id != audit(NOW, "a", "x", "y", "2").id
    assert first.id < audit(later, "a", "x", "y", "1").id
