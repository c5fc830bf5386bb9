"""What each line of an import becomes. How they are worked off: `shared.services.line_work`.

Each line has a key derived from the import and its number, under which an account or an invite is made once.
"""

from __future__ import annotations

import msgspec

from shared.domain import ids
from shared.domain.errors import Conflict, MusterError, Rejected, TryLater
from shared.domain.imports import Import, Line
from shared.rarer_repositories import IMPORTS
from shared.services import invites, new_users
from shared.services.context import Actor, Ports, log, note
from shared.services.import_check import has_account
from shared.services.line_work import Fault, Work, work_off
from shared.services.steps import Act, Ending

AT_ONCE = 4


async def make_lines(act: Act) -> Ending:
    """Raises a passing fault that has kept all that were tried from being made."""
    return await work_off(act, WORK)


async def _made(act: Act, imported: Import, line: Line) -> Line | Fault:
    """What became of it: made, in conflict, not possible; or a fault that is no fault of its own."""
    try:
        return await (_user if imported.kind == "users" else _invite)(act, imported, line)
    except Conflict as error:
        if await _is_being_made(act.ports, imported, line):
            return Fault(line, TryLater(error.cause, error.fix, after=new_users.BUSY.total_seconds()))
        return line.failed(error.cause, error.fix, "skipped" if imported.on_conflict == "skip" else "failed")
    except Rejected as error:
        return line.failed(error.cause, error.fix or "Correct this line.")
    except MusterError as error:
        return Fault(line, error)
    except Exception as error:
        log.exception("a line crashed", extra={"fields": {"job": imported.id, "line": line.line}})
        return Fault(line, error)


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


def _at_once(imported: Import) -> int:
    return 1 if imported.on_conflict == "stop" else AT_ONCE


WORK = Work(IMPORTS, _made, _at_once, ("created",), "Import it again later.")
