"""/api/templates"""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Request

from functions.admin import models as m
from functions.admin import templates_models as t
from shared.domain.templates import named
from shared.services import template_checks, template_edits, template_trials
from shared.wiring import wiring

router = APIRouter(tags=["templates"])


@router.get("/templates")
async def list_templates(limit: m.Limit = 50, cursor: m.Cursor = None) -> t.Templates:
    """Every purpose with its variants: which version is in force, and who changed it when."""
    start = m.offset_of(cursor)
    found = await template_edits.listing(wiring())
    following = str(start + limit) if start + limit < len(found) else None
    items = [t.template_out(each) for each in found[start : start + limit]]
    return t.Templates(items=items, next_cursor=following, total=len(found))


@router.post("/templates/lint")
async def lint_template(wanted: t.Linted) -> t.LintOut:
    """What is wrong with a text, or may be. Nothing is saved."""
    found = await template_checks.findings(wiring(), named(wanted.template).purpose, wanted.source)
    return t.LintOut(ok=not any(each.level == "error" for each in found), findings=t.findings_out(found))


@router.post("/templates/preview")
async def preview_template(wanted: t.Previewed) -> t.Previews:
    """How it turns out for somebody without a name, with a very long one, and with one from right to left."""
    ports, name = wiring(), named(wanted.template)
    source = wanted.source
    if source is None:
        number = wanted.version
        number = (await template_edits.there(ports, name.id)).current if number is None else number
        source = (await template_edits.version(ports, name.id, number)).source
    found = await template_checks.findings(ports, name.purpose, source)
    items = [t.preview_out(each) for each in template_checks.previews(ports, source)]
    return t.Previews(items=items, findings=t.findings_out(found))


@router.api_route("/templates/lint", methods=["GET", "PUT", "DELETE"], include_in_schema=False)
@router.api_route("/templates/preview", methods=["GET", "PUT", "DELETE"], include_in_schema=False)
async def no_template() -> None:
    """These names are acts, and no template can have them."""
    raise HTTPException(405)


@router.get("/templates/{template_id}")
async def read_template(template_id: t.TemplateId) -> t.TemplateDetail:
    return t.detail_out(await template_edits.detail(wiring(), template_id))


@router.get("/templates/{template_id}/versions/{number}")
async def read_version(template_id: t.TemplateId, number: t.NumberPath) -> t.VersionOut:
    """The text that a message which names this version was made from."""
    return t.version_out(await template_edits.version(wiring(), template_id, number))


@router.put("/templates/{template_id}")
async def put_template(
    request: Request, template_id: t.TemplateId, wanted: t.TemplateIn, dry_run: m.DryRun = False
) -> t.TemplateSaved:
    """A new version, in force within half a minute. 409 when another one is in force by now."""
    saved = await template_edits.put(
        wiring(), m.actor_of(request), template_id, wanted.source, wanted.version, dry_run=dry_run
    )
    return t.saved_out(saved)


@router.post("/templates/{template_id}/restore")
async def restore_template(
    request: Request, template_id: t.TemplateId, wanted: t.Restored, dry_run: m.DryRun = False
) -> t.TemplateSaved:
    """An older text, or the built-in one, as a new version."""
    saved = await template_edits.restore(
        wiring(), m.actor_of(request), template_id, wanted.number, wanted.version, dry_run=dry_run
    )
    return t.saved_out(saved)


@router.delete("/templates/{template_id}", status_code=204)
async def delete_template(
    request: Request, template_id: t.TemplateId, version: t.Seen = None, dry_run: m.DryRun = False
) -> None:
    """A variant: the next best one is used from then on. Its versions can still be read."""
    await template_edits.remove(wiring(), m.actor_of(request), template_id, version, dry_run=dry_run)


@router.post("/templates/{template_id}/send", status_code=202)
async def send_template(
    request: Request,
    template_id: t.TemplateId,
    wanted: t.Sent,
    dry_run: m.DryRun = False,
    idempotency_key: m.IdempotencyKey = "",
) -> m.JobStarted:
    """To one person, now, filled with samples: in their direct room with the bot, as every message goes."""
    asked = template_trials.Wanted(
        template_id, wanted.matrix_id, wanted.source, wanted.version, idempotency_key, m.body_of(request)
    )
    return m.JobStarted(
        job=m.job_out(await template_trials.start(wiring(), m.actor_of(request), asked, dry_run=dry_run))
    )
