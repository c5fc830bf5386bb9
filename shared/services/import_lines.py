"""The step of an import: makes its lines, a few at once, until all are made or the time of a task is over.

Each line has a key derived from the import and its number, under which an account or an invite is made once: who dies
between making and recording finds it made. Only the holder of the step's claim runs, and what it records is a
compare-and-set on the part and the import together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import msgspec
from msgspec import Struct

from shared.domain import ids
from shared.domain.errors import Abandoned, Conflict, MusterError, Rejected, TryLater
from shared.domain.imports import Import, Line, Part
from shared.domain.onboarding import MAX_FAULTS
from shared.repositories import IMPORTS, Stored
from shared.services import invites, new_users
from shared.services.context import Actor, Ports, log, note
from shared.services.import_check import has_account
from shared.services.imports import part_path
from shared.services.steps import Act, Continues, Done, Ending

AT_ONCE = 4
FOR = timedelta(seconds=25)
"""After which a task begins no more lines: it has 60 s, and its step 50."""
PER_TASK = 200
PAUSE = 2.0
"""Seconds until the next try, where some lines were made and one met a passing fault."""
TRIES = MAX_FAULTS - 1
"""Of one line, with nothing made in between; then it is given up, so that it does not keep the others waiting."""


class _Fault(Struct, frozen=True):
    line: Line
    error: Exception


class _Place(Struct, frozen=True):
    """Where a run is: the import and one of its parts, as they were written last."""

    imported: Stored[Import]
    part: Stored[Part]
    lines: Sequence[Line]

    @property
    def pending(self) -> list[Line]:
        return [line for line in self.lines if line.state == "pending"]


async def make_lines(act: Act) -> Ending:
    """Raises a passing fault that has kept all that were tried from being made."""
    ports, began, done = act.ports, act.ports.now(), 0
    stored = await IMPORTS.get(ports.documents, act.step.parent.removeprefix("jobs/"))
    for at in range(stored.record.at, len(stored.record.sizes)):
        place = await _place(ports, stored, at)
        while place.pending and not place.imported.record.stopped_at:
            if done >= PER_TASK or ports.now() - began > FOR:
                return Continues(_told(place.imported.record))
            place, made, faults = await _wave(act, place)
            done += made
            if faults:
                return _after_faults(faults, place.imported.record, made)
        stored = place.imported
        if stored.record.stopped_at:
            break
    return Done(_told(stored.record))


def _told(imported: Import) -> dict[str, object]:
    return {"lines": imported.lines, **imported.counts}


async def _place(ports: Ports, stored: Stored[Import], at: int) -> _Place:
    document = await ports.documents.get(part_path(stored.record.id, at))
    if document is None:  # kept for 30 days: nothing is begun after that
        raise Abandoned("the lines of this import are gone", "Import the file anew.")
    part = Stored(Part.of(document.data), document.path, document.version)
    imported = Stored(stored.record.but(at=at), stored.path, stored.version)
    return _Place(imported, part, part.record.read())


async def _wave(act: Act, place: _Place) -> tuple[_Place, int, list[_Fault]]:
    """The next lines at once; what became of them is recorded before anything else is begun."""
    imported = place.imported.record
    wave = place.pending[: 1 if imported.on_conflict == "stop" else AT_ONCE]
    results = await asyncio.gather(*(_made(act, imported, line) for line in wave))
    faults = [result for result in results if isinstance(result, _Fault)]
    ended = {result.line: result for result in results if isinstance(result, Line)}
    if faults and not ended and act.step.faults + 1 >= TRIES and not _is_ours(faults[0].error):
        ended, faults = {fault.line.line: _given_up(fault, act.step.attempts) for fault in faults}, []
    if ended:
        place = await _recorded(act.ports, place, ended)
    return place, len(ended), faults


def _is_ours(error: Exception) -> bool:
    """What no line can help, and a person must mend: then the whole step waits or fails."""
    return isinstance(error, Abandoned)


def _given_up(fault: _Fault, attempts: int) -> Line:
    cause = fault.error.cause if isinstance(fault.error, MusterError) else "Muster failed"
    return fault.line.failed(f"given up after {attempts} tries: {cause}", "Import it again later.")


def _after_faults(faults: Sequence[_Fault], imported: Import, made: int) -> Ending:
    worst = next((fault.error for fault in faults if _is_ours(fault.error)), faults[0].error)
    if not made or _is_ours(worst):
        raise worst
    wait = worst.after if isinstance(worst, TryLater) and worst.after else PAUSE
    return Continues(_told(imported), wait)


async def _recorded(ports: Ports, place: _Place, ended: dict[int, Line]) -> _Place:
    """Part and import in one write."""
    lines = [ended.get(line.line, line) for line in place.lines]
    imported = place.imported.record.recounted(place.lines, lines)
    failed = next((line for line in ended.values() if line.state != "created"), None)
    if failed and imported.on_conflict == "stop":
        imported = imported.but(stopped_at=failed.line, stopped_by=failed.cause)
        rest = imported.counts.pop("pending", 0)
        imported.counts.update({"left": imported.counts.get("left", 0) + rest} if rest else {})
    part = Part.of_lines(lines, place.part.record.expire_at)
    versions = await ports.documents.write(place.part.replaced(part), place.imported.replaced(imported))
    return _Place(Stored(imported, place.imported.path, versions[1]), Stored(part, place.part.path, versions[0]), lines)


async def _made(act: Act, imported: Import, line: Line) -> Line | _Fault:
    """What became of it: made, in conflict, not possible; or a fault that is no fault of its own."""
    try:
        return await (_user if imported.kind == "users" else _invite)(act, imported, line)
    except Conflict as error:
        if await _is_being_made(act.ports, imported, line):
            return _Fault(line, TryLater(error.cause, error.fix, after=new_users.BUSY.total_seconds()))
        return line.failed(error.cause, error.fix, "skipped" if imported.on_conflict == "skip" else "failed")
    except Rejected as error:
        return line.failed(error.cause, error.fix or "Correct this line.")
    except MusterError as error:
        return _Fault(line, error)
    except Exception as error:
        log.exception("a line crashed", extra={"fields": {"job": imported.id, "line": line.line}})
        return _Fault(line, error)


async def _user(act: Act, imported: Import, line: Line) -> Line:
    """An account and its onboarding; no way in, which nobody would be there to see."""
    ports, actor = act.ports, Actor(imported.actor)
    wanted = msgspec.convert(line.fields | _once(imported, line) | {"way_in": False}, new_users.Wanted)
    await _check_email(ports, wanted.email, new_users.request_id(actor, wanted.key))
    made = await new_users.create(ports, actor, wanted)
    note("import: an account", job=imported.id, line=line.line, onboarding=made.view.onboarding.id)
    return line.made(str(made.account.pk), made.account.username, made.view.onboarding.id)


async def _invite(act: Act, imported: Import, line: Line) -> Line:
    wanted = msgspec.convert(line.fields | _once(imported, line), invites.Wanted)
    invite, _ = await invites.create(act.ports, Actor(imported.actor), wanted)
    return line.made(invite.id)


async def _is_being_made(ports: Ports, imported: Import, line: Line) -> bool:
    """By a task that has died: a conflict with itself, which passes."""
    return await new_users.is_being_made(ports, new_users.request_id(Actor(imported.actor), _key(imported, line)))


def _key(imported: Import, line: Line) -> str:
    return f"{imported.id}:{line.line}"


def _once(imported: Import, line: Line) -> dict[str, str]:
    body = ids.digest(msgspec.json.encode(line.fields, order="deterministic").decode())
    return {"key": _key(imported, line), "body": body}


async def _check_email(ports: Ports, email: str, request_id: str) -> None:
    """Authentik lets several accounts have one address: asked once more, just before. Raises `Conflict`; not for the
    account that this very line has made before."""
    if not email:
        return
    found = await (await ports.directory()).accounts(search=email, size=100)
    for account in found.items:
        ours = account.attributes.get(new_users.ATTRIBUTE) == request_id
        if account.email.casefold() == email.casefold() and not ours:
            raise Conflict(has_account(account), "Leave this line out, or correct it.")
