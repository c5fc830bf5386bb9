"""What goes in and out of /api/templates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import Path, Query
from pydantic import AfterValidator, Field, StringConstraints

from functions.admin import models as m
from shared.domain.template_defaults import BUILT_IN
from shared.domain.template_lint import Finding
from shared.domain.templates import LONGEST, PURPOSES, VARIABLES, Template, Version, named, variables_of
from shared.services.template_checks import Shown
from shared.services.template_edits import Detail, Saved

TemplateId = Annotated[
    str, Path(max_length=140, description='A purpose, as "welcome"; or a variant, as "welcome.language.de"')
]
Name = Annotated[str, StringConstraints(min_length=1, max_length=140), AfterValidator(m._printable)]
Number = Annotated[int, Field(ge=0, le=2**31)]
NumberPath = Annotated[int, Path(ge=0, le=2**31)]
Seen = Annotated[int | None, Query(ge=0, le=2**31, description="The version that you have seen")]
Source = Annotated[
    str,
    StringConstraints(min_length=1, max_length=LONGEST),
    AfterValidator(m._printable),
    Field(
        description="Markdown with {variables}, {% if name %} ... {% endif %}, {% for room in rooms %} ... {% endfor %}"
    ),
]


class TemplateIn(m.Strict):
    """`version`: of the one that this was made from; 0 for a built-in text, and for a new variant."""

    source: Source
    version: Number


class Restored(m.Strict):
    """`number`: whose text is to be in force again; `version`: that is in force now."""

    number: Number
    version: Number


class Linted(m.Strict):
    template: Name
    source: Source


class Previewed(m.Strict):
    """`source`, or the `version` of the template; neither: the one in force."""

    template: Name
    source: Source | None = None
    version: Number | None = None


class Sent(m.Strict):
    """`matrix_id`: to whom; empty: to yourself. `source`, or a `version`; neither: the one in force."""

    matrix_id: m.MatrixId = ""
    source: Source | None = None
    version: Number | None = None


class VariableOut(m.Out):
    name: str
    meaning: str


class FindingOut(m.Out):
    """An error is not saved; a warning is. `line`: of the source, 0 where it has none."""

    level: Literal["error", "warning"]
    code: str
    text: str
    line: int


class TemplateOut(m.Out):
    """`kind`, `of`: of which language, bundle or invite it is a variant; empty for the default. `goes`: to the member's
    direct room, into a room that others read, by mail, or onto the page to be passed on. `version`: in force; 0 is the
    built-in text. `updated_at`, `updated_by`: null and "" while it never was changed."""

    id: str
    purpose: str
    label: str
    when: str
    goes: str
    kind: str
    of: str
    version: int
    latest: int
    built_in: bool
    source: str
    updated_at: m.Time | None
    updated_by: str
    variables: list[VariableOut]


class VersionOut(m.Out):
    """`restored`: the number of the version whose text this is again."""

    template: str
    number: int
    built_in: bool
    source: str
    created_at: m.Time | None
    created_by: str
    restored: int | None


class TemplateDetail(TemplateOut):
    """`versions`: the newest first; 0 is the built-in text."""

    versions: list[VersionOut]


class TemplateSaved(TemplateOut):
    """`findings`: what was saved all the same, and should be looked at."""

    findings: list[FindingOut]


class Templates(m.Listed):
    items: list[TemplateOut]


class LintOut(m.Out):
    """`ok`: it can be saved."""

    ok: bool
    findings: list[FindingOut]


class PreviewOut(m.Out):
    """For one of the samples: the text and the HTML that clients would show, and whom it mentions."""

    sample: str
    display_name: str
    plain: str
    html: str
    mentions: list[str]
    findings: list[FindingOut]


class Previews(m.Out):
    items: list[PreviewOut]
    findings: list[FindingOut]


def template_out(template: Template) -> TemplateOut:
    return TemplateOut.model_validate(_template(template))


def _template(template: Template) -> dict[str, object]:
    name, about = named(template.id), PURPOSES[template.purpose]
    return {
        **template.data(),
        "label": about.label,
        "when": about.when,
        "goes": about.goes,
        "kind": name.kind,
        "of": name.of,
        "version": template.current,
        "built_in": template.current == 0 and template.id in BUILT_IN,
        "variables": [{"name": each, "meaning": VARIABLES[each]} for each in variables_of(template.purpose)],
    }


def version_out(version: Version) -> VersionOut:
    return VersionOut.model_validate({**version.data(), "built_in": version.number == 0})


def detail_out(detail: Detail) -> TemplateDetail:
    versions = [version_out(each) for each in detail.versions]
    return TemplateDetail.model_validate({**_template(detail.template), "versions": versions})


def saved_out(saved: Saved) -> TemplateSaved:
    return TemplateSaved.model_validate({**_template(saved.template), "findings": findings_out(saved.findings)})


def findings_out(found: Sequence[Finding]) -> list[FindingOut]:
    return [FindingOut(level=each.level, code=each.code, text=each.text, line=each.line) for each in found]


def preview_out(shown: Shown) -> PreviewOut:
    return PreviewOut(
        sample=shown.sample.label,
        display_name=shown.sample.person.called,
        plain=shown.rendered.kept,
        html=shown.rendered.html,
        mentions=list(shown.rendered.mentions),
        findings=findings_out(shown.findings),
    )
