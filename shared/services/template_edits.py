"""Templates as admins see and change them. A version is never changed: each save and each restoration is a new one.

Idempotent: a save of what is in force already is answered as it is, so a repeat makes no second version; of two savers
who have seen the same version one is told that the other was faster.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from shared.domain.audit import audit
from shared.domain.errors import Conflict, NotFound, Outpaced
from shared.domain.template_defaults import BUILT_IN
from shared.domain.template_lint import Finding
from shared.domain.templates import KINDS, PURPOSES, Name, Template, Version, named
from shared.ports import Query, Write
from shared.repositories import Stored, audit_write, every
from shared.services.context import Actor, Ports
from shared.services.template_checks import findings, refuse_errors
from shared.services.templates import TEMPLATES, versions_of


class Saved(Struct, frozen=True):
    template: Template
    findings: Sequence[Finding]


class Detail(Struct, frozen=True):
    """`versions`: the newest first; the built-in text is number 0."""

    template: Template
    versions: Sequence[Version]


async def listing(ports: Ports) -> list[Template]:
    """Every purpose with its variants, in the order of `PURPOSES`."""
    stored = {
        item.id: _as_it_is(Template.of(item.data)) for item in await every(ports.documents, Query(TEMPLATES.collection))
    }
    known = {name: _built_in(named(name)) for name in BUILT_IN} | {
        name: template for name, template in stored.items() if template.current or name in BUILT_IN
    }
    order = {purpose: number for number, purpose in enumerate(PURPOSES)}
    kinds = ("", *KINDS)

    def place(template: Template) -> tuple[int, int, str]:
        name = named(template.id)
        return order[name.purpose], kinds.index(name.kind), name.of

    return sorted(known.values(), key=place)


async def detail(ports: Ports, template_id: str) -> Detail:
    """Raises `NotFound`. Of a variant that was removed too, so that what was sent can still be read."""
    template = await there(ports, template_id)
    found = await every(ports.documents, Query(f"templates/{template.id}/versions"))
    versions = [Version.of(item.data) for item in found]
    built_in = [_version_zero(template.id)] if template.id in BUILT_IN else []
    return Detail(template, sorted([*versions, *built_in], key=lambda version: -version.number))


async def there(ports: Ports, template_id: str) -> Template:
    """As it is now. Raises `NotFound`."""
    name, stored = named(template_id), await TEMPLATES.find(ports.documents, template_id)
    if stored is None and name.id not in BUILT_IN:
        raise NotFound(f"there is no template {template_id!r}", "List them: GET /api/templates.")
    return _as_it_is(stored.record) if stored else _built_in(name)


async def version(ports: Ports, template_id: str, number: int) -> Version:
    """Raises `NotFound`."""
    name = named(template_id)
    if number == 0 and name.id in BUILT_IN:
        return _version_zero(name.id)
    return (await versions_of(name.id).get(ports.documents, str(number))).record


async def put(ports: Ports, actor: Actor, template_id: str, source: str, seen: int, *, dry_run: bool = False) -> Saved:
    """A new version. `seen`: the number of the one that it was made from, 0 for a new variant. Raises `Invalid` for a
    text with errors, and `Conflict` where another version is in force by now."""
    name = named(template_id)
    found = await findings(ports, name.purpose, source)
    refuse_errors(found)
    template = await _next(ports, actor, name, source, seen, "template.put", dry_run=dry_run)
    return Saved(template, found)


async def restore(
    ports: Ports, actor: Actor, template_id: str, number: int, seen: int, *, dry_run: bool = False
) -> Saved:
    """An older text as a new version. Raises as `put`, and `NotFound`."""
    name, old = named(template_id), await version(ports, template_id, number)
    found = await findings(ports, name.purpose, old.source)
    refuse_errors(found)
    template = await _next(ports, actor, name, old.source, seen, "template.restore", restored=number, dry_run=dry_run)
    return Saved(template, found)


async def remove(
    ports: Ports, actor: Actor, template_id: str, seen: int | None = None, *, dry_run: bool = False
) -> None:
    """Of a variant: from now on the next best one is used. Its versions stay, so that what was sent can be read. Raises
    `NotFound`, and `Conflict` for a default, and for a version that is not in force any more."""
    name, stored = named(template_id), await TEMPLATES.find(ports.documents, template_id)
    if not name.kind:
        cause = f"{name.id} is the default, which is always needed"
        raise Conflict(cause, "To get the built-in text back, restore its version 0.")
    if stored is None or not stored.record.current:
        raise NotFound(f"there is no template {template_id!r}", "List them: GET /api/templates.")
    if seen is not None and stored.record.current != seen:
        raise _overtaken(stored.record)
    template = stored.record.but(current=0, source="", updated_at=ports.now(), updated_by=actor.name)
    if not dry_run:
        await _write(ports, actor, "template.delete", template, stored, [])


async def _next(
    ports: Ports,
    actor: Actor,
    name: Name,
    source: str,
    seen: int,
    action: str,
    *,
    restored: int | None = None,
    dry_run: bool,
) -> Template:
    stored = await TEMPLATES.find(ports.documents, name.id)
    before = _as_it_is(stored.record) if stored else _built_in(name)
    if source == before.source and (before.current or name.id in BUILT_IN):
        return before
    if before.current != seen:
        raise _overtaken(before)
    number, now = before.latest + 1, ports.now()
    template = before.but(current=number, latest=number, source=source, updated_at=now, updated_by=actor.name)
    made = Version(
        template=name.id, number=number, source=source, created_at=now, created_by=actor.name, restored=restored
    )
    if not dry_run:
        writes: list[Write] = [versions_of(name.id).create(made, str(number))]
        await _write(ports, actor, action, template, stored, writes)
    return template


async def _write(
    ports: Ports, actor: Actor, action: str, template: Template, stored: Stored[Template] | None, more: list[Write]
) -> None:
    write = stored.replaced(template) if stored else TEMPLATES.create(template, template.id)
    detail: dict[str, Any] = {"version": template.current}
    nonce = f"{ports.chance():x}"
    record = audit(ports.now(), actor.name, action, template.id, nonce, source=actor.source, detail=detail)
    try:
        await ports.documents.write(write, *more, audit_write(record))
    except Outpaced as error:
        raise _overtaken(template) from error


def _overtaken(template: Template) -> Conflict:
    by = f" ({template.updated_by}, {template.updated_at:%Y-%m-%d %H:%M} UTC)" if template.updated_by else ""
    return Conflict(
        f"{template.id} has another version by now{by}: what you made comes from an older one",
        "Read it again, put your change into what is there now, and save that with its version.",
    )


def _built_in(name: Name) -> Template:
    source = BUILT_IN.get(name.id, "")
    return Template(id=name.id, purpose=name.purpose, source=source)


def _as_it_is(template: Template) -> Template:
    """Where it was removed, the built-in text is in force again."""
    return template if template.current else template.but(source=BUILT_IN.get(template.id, ""))


def _version_zero(template_id: str) -> Version:
    return Version(template=template_id, number=0, source=BUILT_IN[template_id])
