"""Documents, tasks and secrets outlive a deployment: what each release has left behind, this one reads and works off."""

from __future__ import annotations

import contextlib
import importlib
import json
import pkgutil
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

import shared
from functions.jobs.sync_directory import parse as parse_sync
from functions.tasks import parse
from main import ENTRY_POINTS
from shared.adapters.olm import Sealer
from shared.domain.audit import Audit
from shared.domain.broadcasts import Message
from shared.domain.bulk import Bulk
from shared.domain.bundles import Bundle
from shared.domain.categories import Category
from shared.domain.device_account import DeviceAccount
from shared.domain.errors import MusterError
from shared.domain.imports import Import, Part
from shared.domain.indoc import Pause, Stay
from shared.domain.invites import Invite
from shared.domain.jobs import Job
from shared.domain.limits import Proactive
from shared.domain.onboarding import Onboarding, Step
from shared.domain.plans import Plan
from shared.domain.records import Record
from shared.domain.removals import RemovalReason
from shared.domain.replies import Reply
from shared.domain.sent import Sent
from shared.domain.signal_chats import SignalChat, Turn
from shared.domain.sponsors import SponsorPause
from shared.domain.suggestions import Month, Suggested
from shared.domain.syncs import Sync
from shared.domain.templates import Template, Version
from shared.ports import Create, Task
from shared.rarer_repositories import IMPORTS
from shared.repositories import AUDIT, INVITES, JOBS, ONBOARDINGS
from shared.services import cache, categories, imports, jobs, sync
from shared.services.breakers import Breaker
from shared.services.encryption import Letter
from shared.services.inbox import Unopened
from shared.services.messaging import DirectRoom
from shared.services.new_users import Request
from shared.services.position import Position
from tests.fakes.chat_rooms import FakeRoom
from tests.releases.make import data, world
from tests.shared.services.test_encryption import PICKLE_KEY
from tests.world import World

FOLDER = Path(__file__).parent
RELEASES = sorted(path.parent.name for path in FOLDER.glob("*/documents.json"))
VERSION = tomllib.loads((FOLDER.parents[1] / "pyproject.toml").read_text())["project"]["version"]
RECORDS: dict[str, type[Record]] = {
    r"invites/[^/]+": Invite,
    r"onboardings/[^/]+": Onboarding,
    r"jobs/[^/]+": Job,
    r"indoc/[^/]+": Stay,
    r"indoc_pauses/[^/]+": Pause,
    r"removal_reasons/[^/]+": RemovalReason,
    r"(onboardings|jobs|indoc|messages)/[^/]+/steps/[^/]+": Step,
    r"imports/[^/]+": Import,
    r"(imports|bulks|messages)/[^/]+/lines/[^/]+": Part,
    r"bulks/[^/]+": Bulk,
    r"messages/[^/]+": Message,
    r"audit/[^/]+": Audit,
    r"categories/[^/]+": Category,
    r"sponsor_pauses/[^/]+": SponsorPause,
    r"breakers/[^/]+": Breaker,
    r"direct_rooms/[^/]+": DirectRoom,
    r"letters/[^/]+": Letter,
    r"replies/[^/]+": Reply,
    r"sent/[^/]+": Sent,
    r"to_device/[^/]+": Unopened,
    r"installation/reader": Position,
    r"installation/signal_turn": Turn,
    r"signal/[^/]+": SignalChat,
    r"user_requests/[^/]+": Request,
    r"syncs/[^/]+": Sync,
    r"bundles/[^/]+": Bundle,
    r"plans/[^/]+": Plan,
    r"templates/[^/]+": Template,
    r"templates/[^/]+/versions/[^/]+": Version,
    r"proactive/[^/]+": Proactive,
    r"suggestions/[^/]+": Suggested,
    r"assistant_months/[^/]+": Month,
}
"""The documents that are records, by their paths. Never take a line away that a release has written."""


def left(release: str, what: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((FOLDER / release / f"{what}.json").read_text())
    return found


def kind_of(path: str) -> type[Record] | None:
    return next((kind for pattern, kind in RECORDS.items() if re.fullmatch(pattern, path)), None)


def all_records() -> set[type[Record]]:
    for found in pkgutil.walk_packages(shared.__path__, "shared."):
        importlib.import_module(found.name)
    return set(Record.__subclasses__())


async def inherited(release: str) -> World:
    """A world whose store holds what that release has left; the homeserver still has the rooms of then."""
    made = world()
    documents = left(release, "documents")
    for each in documents:
        await made.store.write(Create(each["path"], data(each["data"])))
    made._now = max(data(each["data"])["at"] for each in documents if each["path"].startswith("audit/"))
    for each in documents:
        if each["path"].startswith("direct_rooms/"):
            room = each["data"]["room_id"]
            made.homeserver.homes[room] = FakeRoom(room, "direct", members={made.homeserver.user_id: "join"})
    return made


@pytest.mark.parametrize("release", RELEASES)
def test_each_record_is_read(release: str) -> None:
    """Every record of that release is one of this one, with what was written in it."""
    for each in left(release, "documents"):
        kind = kind_of(each["path"])
        if kind is None:
            continue
        was = data(each["data"])
        now = kind.of(was).data()
        assert {name: now[name] for name in was if name in now} == {name: was[name] for name in was if name in now}


@pytest.mark.parametrize("release", RELEASES)
async def test_lists_and_views_show_what_was_left(release: str) -> None:
    """Everything that the admin API lists is listed, and each onboarding and job shown with its steps."""
    made = await inherited(release)
    for repository in (INVITES, ONBOARDINGS, JOBS, IMPORTS):
        listing: Any = await repository.list(made.store, limit=200)
        written = [each for each in left(release, "documents") if kind_of(each["path"]) is repository.type]
        assert len(listing.items) == len(written) > 0
        for record in listing.items:
            if repository is ONBOARDINGS:
                assert (await made.view(record.id)).steps
            if repository is JOBS:
                assert (await jobs.view(made, record.id)).steps
            if repository is IMPORTS:
                assert (await imports.table(made, record.id)).lines
    assert (await AUDIT.list(made.store, order="-at")).total
    assert len(await categories.everything(made)) == (await categories.listing(made, 200, None)).total > 0


@pytest.mark.parametrize("release", RELEASES)
async def test_each_task_is_worked_off(release: str) -> None:
    """A task that was enqueued by that release finds its entry point and its step here, and comes to an answer."""
    made = await inherited(release)
    for each in left(release, "tasks"):
        if each["entry_point"] == "sync_directory":
            source, kind = parse_sync(each["payload"])
            assert source
            assert (await sync.run(made, source, kind)).done
            continue
        parent, step, generation = parse(each["payload"])
        assert ENTRY_POINTS[each["entry_point"]] == "task"
        assert generation == each["payload"]["generation"]
        assert await made.store.get(f"{parent}/steps/{step}")
        # Answered in words, and tried again, where the fake homeserver has forgotten the member.
        with contextlib.suppress(MusterError):
            assert await made.once(Task(each["entry_point"], "again", each["payload"]))


@pytest.mark.parametrize("release", RELEASES)
async def test_the_cache_is_read(release: str) -> None:
    """What that release has packed, this one unpacks."""
    made = await inherited(release)
    people, where = await cache.users(made), await cache.memberships(made)
    assert people is not None
    assert where is not None
    assert len(list(people)) == people.sync.counts["users"] > 0
    assert sum(len(where.members_of(room)) for room in where.rooms) == where.sync.counts["memberships"] > 0


@pytest.mark.parametrize("release", RELEASES)
async def test_the_sweep_goes_on_from_there(release: str) -> None:
    """Steps, watermark, lease, letters and breakers of that release: no part of the sweep stumbles over them."""
    made = await inherited(release)
    assert await made.sweep() is None  # its lease counts too
    made.pause(minutes=10)
    report = await made.sweep()
    assert report is not None
    assert [cause for cause in report.failed.values() if cause.startswith("Muster failed")] == []


@pytest.mark.parametrize("release", RELEASES)
def test_the_bots_device_is_read(release: str) -> None:
    """The account in the secret opens with its key: nobody has to set encryption up again."""
    [secret] = left(release, "secrets")
    account = DeviceAccount.parse(secret["value"])
    Sealer(account.user_id, account.device_id, account.account, PICKLE_KEY)
    assert account.fallback_keys


def test_this_version_has_left_everything() -> None:
    """Each kind of record and each entry point of a task is among what this version leaves: python -m tests.releases.make"""
    assert VERSION in RELEASES
    kinds = {kind_of(each["path"]) for each in left(VERSION, "documents")} | {DeviceAccount}
    assert all_records() - kinds == set()
    tasks = {name for name, kind in ENTRY_POINTS.items() if kind == "task"}
    assert {each["entry_point"] for each in left(VERSION, "tasks")} == tasks | {"sync_directory"}
