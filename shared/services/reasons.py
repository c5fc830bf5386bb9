"""Templates for the reasons of removals: stored, listed and edited by admins."""

from __future__ import annotations

from typing import Any

from shared.domain.audit import audit
from shared.domain.removals import RemovalReason, checked
from shared.ports import Delete, Write
from shared.rarer_repositories import REMOVAL_REASONS
from shared.repositories import audit_write
from shared.services.context import Actor, Ports
from shared.services.tasks import again_when_outpaced


async def put(
    ports: Ports, actor: Actor, name: str, label: str, reason: str, message: str, *, dry_run: bool = False
) -> RemovalReason:
    """Made, or replaced. Raises `Invalid` for a place in the texts that nothing is known for."""
    checked(reason, "reason", name)
    checked(message, "message", name)

    async def attempt() -> RemovalReason:
        known, now = await REMOVAL_REASONS.find(ports.documents, name), ports.now()
        record = RemovalReason(id=name, label=label, reason=reason, message=message, created_at=now)
        record = record.but(updated_at=now, updated_by=actor.name)
        if known:
            record = record.but(created_at=known.record.created_at)
        if dry_run:
            return record
        write = known.replaced(record) if known else REMOVAL_REASONS.create(record, name)
        await _written(ports, actor, "removal_reason.put", name, write, {"reason": reason})
        return record

    return await again_when_outpaced(attempt)


async def delete(ports: Ports, actor: Actor, name: str, *, dry_run: bool = False) -> None:
    """Raises `NotFound`. Jobs that were begun with it keep its words."""
    await REMOVAL_REASONS.get(ports.documents, name)
    if not dry_run:
        await _written(ports, actor, "removal_reason.delete", name, Delete(REMOVAL_REASONS.path(name)), {})


async def _written(ports: Ports, actor: Actor, action: str, name: str, write: Write, detail: dict[str, Any]) -> None:
    record = audit(ports.now(), actor.name, action, name, f"{ports.chance():x}", source=actor.source, detail=detail)
    await ports.documents.write(write, audit_write(record))
