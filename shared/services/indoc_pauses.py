"""An admin stops the clock of INDOC for one person, or lets it run again. The last one to say so counts."""

from __future__ import annotations

from datetime import datetime

from shared.domain.audit import audit
from shared.domain.indoc import Pause, pause_path
from shared.domain.members import MemberId
from shared.ports import Put
from shared.repositories import audit_write
from shared.services.context import Actor, Ports


async def pause(ports: Ports, actor: Actor, member: MemberId, until: datetime | None, *, dry_run: bool) -> Pause:
    """`until` None: until somebody lets it run again. Whether or not they are in INDOC just now."""
    record = Pause(matrix_id=member, by=actor.name, at=ports.now(), until=until)
    return await _kept(ports, actor, "indoc.pause", record, dry_run=dry_run)


async def unpause(ports: Ports, actor: Actor, member: MemberId, *, dry_run: bool) -> Pause:
    """From now on. Nobody is removed at once because of that: they have the time between nudge and removal again."""
    now, document = ports.now(), await ports.documents.get(pause_path(member))
    known = Pause.of(document.data) if document else Pause(matrix_id=member, by=actor.name, at=now, until=now)
    if not known.holds(now):
        return known
    return await _kept(ports, actor, "indoc.resume", known.but(until=now), dry_run=dry_run)


async def _kept(ports: Ports, actor: Actor, action: str, record: Pause, *, dry_run: bool) -> Pause:
    if dry_run:
        return record
    said = audit(ports.now(), actor.name, action, record.matrix_id, f"{ports.chance():x}", source=actor.source)
    detail = {"until": record.until} if record.until else {}
    await ports.documents.write(Put(pause_path(record.matrix_id), record.data()), audit_write(said.but(detail=detail)))
    return record
