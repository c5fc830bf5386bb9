"""The sweep: whatever was lost on the way is found here, and nothing twice.

Lost tasks, lapsed claims, steps whose time has come, neighbours that are back, enrollments that the
webhook never delivered, half-made users, invitations to be settled, m.direct. One run at a time, by
a lease; every part may fail without keeping the others from their work.
"""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct

from shared.domain import ids
from shared.domain.errors import Abandoned, MusterError, Outpaced, Rejected
from shared.domain.invites import ATTRIBUTE
from shared.domain.onboarding import OPEN, Onboarding, Step
from shared.logs import about
from shared.ports import Account, Put, Query, Replace, Write
from shared.repositories import INVITES, ONBOARDINGS, Stored
from shared.services import (
    breakers,
    device_watch,
    indoc_clock,
    invites,
    late_devices,
    leases,
    leave_watch,
    new_users,
    reader,
)
from shared.services.context import Actor, Ports, log, note, whose
from shared.services.enroll import Start, begin
from shared.services.messaging import DirectRoom
from shared.services.stopping import was_offboarded
from shared.services.tasks import SETTLED, change_parent, enqueue, going_on, restate

LEASE = "leases/resume_onboardings"
LEASE_FOR = timedelta(minutes=4)
Part = Callable[[Ports], Awaitable[int]]
HEARTBEAT = "heartbeats/resume_onboardings"
WATERMARK = "installation/watermark"
OVERDUE = timedelta(seconds=60)
"""How late a task may be before it counts as lost: tasks are usually prompt, and one more is harmless."""
OVERLAP = timedelta(hours=1)
"""Accounts are looked at again for so long: Authentik's clock and ours differ, and lists are not instant."""
GRACE = timedelta(seconds=5)
"""The webhook usually comes about a second after the account: let it be first."""
PRESENCE_LOOKS = (60, 300, 1800, 7200, 21_600)
PRESENCE_UNTIL = timedelta(days=14)
PER_RUN = 500
WITNESSES = {"running": OPEN, "waiting": ("waiting", "pending")}
"""What a parent is said to be, and the states of which one of its steps at least must then be in."""


class _Each:
    """One thing after the other: a fault of one keeps no other from its turn, and is told at the end. Many in a
    row are an outage: then the rest would only wait for it."""

    def __init__(self) -> None:
        self.done, self._in_a_row = 0, 0
        self._error: MusterError | None = None

    async def do(self, work: Awaitable[int]) -> None:
        try:
            self.done += await work
            self._in_a_row = 0
        except MusterError as error:
            self._error, self._in_a_row = error, self._in_a_row + 1
            if self._in_a_row >= breakers.TRIP_AFTER:
                raise

    def total(self) -> int:
        if self._error:
            raise self._error
        return self.done


class Report(Struct):
    """What a run did, and which of its parts could not be done."""

    done: dict[str, int] = {}
    failed: dict[str, str] = {}


async def resume(ports: Ports) -> Report | None:
    """One sweep; None when another one is under way."""
    lease = await leases.take(ports, LEASE, LEASE_FOR)
    if lease is None:
        return None
    report = Report()
    for name, part in PARTS.items():
        await _part(ports, report, name, part)
    now = ports.now()
    beat = {"v": 1, "at": now, "done": report.done, "failed": report.failed}
    await ports.documents.write(Put(HEARTBEAT, beat))
    await leases.give_back(ports, LEASE, lease)
    note("sweep", **report.done, failed=report.failed)
    return report


async def _part(ports: Ports, report: Report, name: str, part: Callable[[Ports], Awaitable[int]]) -> None:
    try:
        report.done[name] = await part(ports)
    except MusterError as error:
        report.failed[name] = error.cause
        log.warning("a part of the sweep failed", extra={"fields": {"part": name, "cause": error.cause}})
    except Exception as error:
        report.failed[name] = f"Muster failed ({type(error).__name__})"
        log.exception("a part of the sweep crashed", extra={"fields": {"part": name}})


async def neighbours(ports: Ports) -> int:
    """Probes what is down; what waited for a neighbour that is up goes on."""
    still_open = set()
    for breaker in await breakers.all_open(ports):
        if not await breakers.probe(ports, breaker):
            still_open.add(breaker.neighbour)
    freed = 0
    for name in breakers.NAMES:
        if name not in still_open:
            freed += await _reschedule(ports, Query("steps", [("waits_for", "==", name)], limit=200, group=True))
    return freed


async def due_steps(ports: Ports) -> int:
    """Tasks that never came, claims that lapsed, steps that wait until now."""
    return await _reschedule(ports, Query("steps", [("due_at", "<", ports.now())], "due_at", 200, group=True))


async def _reschedule(ports: Ports, query: Query) -> int:
    each, cursor = _Each(), None
    while each.done < PER_RUN:
        page = await ports.documents.query(Query(query.collection, query.where, query.order, 200, cursor, group=True))
        for item in page.items:
            with about(**whose(item.path)):
                await each.do(_again(ports, Stored(Step.of(item.data), item.path, item.version)))
        cursor = page.next_cursor
        if cursor is None:
            break
    return each.total()


async def _again(ports: Ports, stored: Stored[Step]) -> int:
    """A new generation, so that its task has a name that was never used. Its parent is told first: were that lost
    after the step's own write, nothing would show that it should be told."""
    step, now = stored.record, ports.now()
    if step.state == "scheduled" and step.due_at and step.due_at > now - _patience(step):
        return 0
    scheduled = step.scheduled(now)
    if step.state not in OPEN:
        await change_parent(ports, step.parent, going_on)
    try:
        [version] = await ports.documents.write(stored.replaced(scheduled))
    except Outpaced:
        return 0  # it is on its way after all
    if not await enqueue(ports, [scheduled]):
        # There is no task that is merely slow: the next sweep need not be patient.
        overdue = scheduled.but(due_at=now - _patience(scheduled))
        await _insisted(ports, Replace(stored.path, overdue.data(), version))
    note("sweep: a step goes on", was=step.state, waited_for=step.waits_for, attempt=step.attempts)
    return 1


async def _insisted(ports: Ports, write: Write) -> None:
    """Where one thing has just failed the next may as well, and a step that nobody calls overdue waits for a quarter of
    an hour. More is not worth it: it waits then, and is not lost."""
    for _ in range(3):
        try:
            await ports.documents.write(write)
        except Outpaced:
            return
        except MusterError:
            continue
        return


def _patience(step: Step) -> timedelta:
    """Doubled with each try: a queue that is merely slow, or paused, must not be filled with one more task a minute for
    every step, each of which makes the one before it worthless."""
    return OVERDUE * (1 << min(step.generation, 4))


async def unsettled(ports: Ports) -> int:
    """Onboardings and jobs whose last step was recorded by somebody who did not live to say so."""
    each, before = _Each(), ports.now() - OVERDUE
    for collection, (state, witnesses) in itertools.product(SETTLED, WITNESSES.items()):
        where: Any = [("state", "==", state), ("created_at", "<", before)]
        page = await ports.documents.query(Query(collection, where, "-created_at", PER_RUN))
        for item in page.items:
            with about(**whose(item.path)):
                await each.do(_settled(ports, item.path, witnesses))
    return each.total()


async def _settled(ports: Ports, path: str, witnesses: Sequence[str]) -> int:
    active = await ports.documents.query(Query(f"{path}/steps", [("state", "in", list(witnesses))], limit=1))
    if active.items:
        return 0
    await restate(ports, path)
    note("sweep: settled")
    return 1


async def enrollments(ports: Ports) -> int:
    """Accounts for which no webhook came (Authentik gives up after seven minutes and says nothing)."""
    since = await watermark(ports)
    directory = await ports.directory()
    each, page, latest = _Each(), 1, since
    while True:
        accounts = await directory.accounts(joined_after=since, page=page, size=100)
        for account in await _unknown(ports, accounts.items):
            with about(onboarding=ids.onboarding_id(account.uid)):
                await each.do(_enrolled(ports, account))
        latest = max([latest, *(account.joined_at for account in accounts.items if account.joined_at)])
        if accounts.next_page is None:
            break
        page = accounts.next_page
    begun = each.total()
    await _advance(ports, latest - OVERLAP)
    return begun


async def _unknown(ports: Ports, accounts: Sequence[Account]) -> list[Account]:
    """Those without an onboarding, found in one round trip for all of them."""
    paths = [ONBOARDINGS.path(ids.onboarding_id(account.uid)) for account in accounts]
    documents = await ports.documents.get_many(paths) if paths else []
    return [account for account, document in zip(accounts, documents, strict=True) if document is None]


async def _enrolled(ports: Ports, account: Account) -> int:
    """Only who bears our invite, or was made by the enrollment flow; everybody else is not ours."""
    if account.joined_at and account.joined_at > ports.now() - GRACE:
        return 0
    if not await _is_ours(ports, account) or await was_offboarded(ports, account.pk):
        return 0
    try:
        verdict = await begin(ports, account, Start("sweep", Actor("muster")))
    except (Rejected, Abandoned) as error:  # one that cannot be begun keeps nobody else waiting
        log.error("enrollment not begun", extra={"fields": {"account": account.pk, "cause": error.cause}})
        return 0
    return int(verdict.kind == "accepted")


async def _is_ours(ports: Ports, account: Account) -> bool:
    """An invite that we do not know may be another installation's, or from before a lost database: unlike
    the webhook, which tells of somebody who comes in just now, the sweep leaves such an account alone."""
    named = account.attributes.get(ATTRIBUTE)
    if named:
        return await INVITES.find(ports.documents, str(named)) is not None
    return await _by_our_flow(ports, account)


async def _by_our_flow(ports: Ports, account: Account) -> bool:
    made_here = bool(account.attributes.get(new_users.ATTRIBUTE))
    return not made_here and await (await ports.directory()).enrolled_by_flow(account.username)


async def watermark(ports: Ports) -> datetime:
    """From when on accounts are looked at. Made by the first run: whoever was there before is
    not new, unless an invite of ours is older."""
    document = await ports.documents.get(WATERMARK)
    if document is None:
        oldest = await ports.documents.query(Query("invites", (), "created_at", 1))
        at: datetime = min([ports.now(), *(item.data["created_at"] for item in oldest.items)])
        await ports.documents.write(Put(WATERMARK, {"v": 1, "at": at, "installed_at": at}))
        return at
    known: datetime = document.data["at"]
    return known


async def _advance(ports: Ports, at: datetime) -> None:
    document = await ports.documents.get(WATERMARK)
    if document is not None and at > document.data["at"]:
        await ports.documents.write(Replace(WATERMARK, document.data | {"at": at}, document.version))


async def presence(ports: Ports) -> int:
    """Who was invited without ever having logged in: have they now?"""
    each = _Each()
    page = await ports.documents.query(Query("onboardings", [("look_at", "<", ports.now())], "look_at", 100))
    for item in page.items:
        with about(**whose(item.path)):
            await each.do(_look(ports, item.path, Onboarding.of(item.data).matrix_id))
    return each.total()


async def _look(ports: Ports, path: str, matrix_id: str) -> int:
    seen = await (await ports.chat()).has_profile(matrix_id)
    await change_parent(ports, path, _looked(seen, ports.now()))
    note("sweep: has logged in to Matrix" if seen else "sweep: has not logged in to Matrix yet")
    return 1


def _looked(seen: bool, now: datetime) -> Callable[[Any], Any]:
    def change(onboarding: Any) -> Any:
        age = (now - onboarding.created_at).total_seconds()
        wait = next((pause for pause in PRESENCE_LOOKS if pause > age / 2), PRESENCE_LOOKS[-1])
        over = seen or age > PRESENCE_UNTIL.total_seconds()
        return onboarding.but(seen=seen, look_at=None if over else now + timedelta(seconds=wait))

    return change


async def direct_rooms(ports: Ports) -> int:
    """m.direct has one writer: this one. It reads, adds what is new, and writes once."""
    page = await ports.documents.query(Query("direct_rooms", [("listed", "==", False)], limit=200))
    if not page.items:
        return 0
    chat = await ports.chat()
    listed = await chat.direct_rooms()
    writes: list[Write] = []
    for item in page.items:
        room = DirectRoom.of(item.data)
        known = listed.setdefault(room.matrix_id, [])
        if room.room_id not in known:
            known.append(room.room_id)
        writes.append(Replace(item.path, room.but(listed=True).data(), item.version))
    await chat.set_direct_rooms(listed)
    await ports.documents.write(*writes)
    return len(writes)


def sealed_only(part: Part) -> Part:
    """Where encryption is switched off there is nothing to look at."""

    async def run(ports: Ports) -> int:
        return await part(ports) if ports.policy.encrypt else 0

    return run


PARTS: dict[str, Part] = {
    "neighbours": neighbours,
    "due_steps": due_steps,
    "enrollments": enrollments,
    "half_made_users": new_users.finish_half_made,
    "invites": invites.reconcile_all,
    "unsettled": unsettled,
    "presence": presence,
    "direct_rooms": direct_rooms,
    "device": sealed_only(device_watch.look),
    "first_devices": sealed_only(late_devices.first_devices),
    "replies": sealed_only(reader.read),
    "joins": sealed_only(late_devices.joins),
    "leave_watch": leave_watch.arrivals,
    "indoc_clock": indoc_clock.clock,
    "late_devices": sealed_only(late_devices.late_devices),
}
