"""From a template to what is sent: which one counts for this member, filled in, with its version in the message.

Nothing is stored here. A recovery link is among the values only when the message is sent: `Composed.kept` is the text
without it, which is what may be recorded, shown and put into a step's result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from shared.domain import messages
from shared.domain.errors import Invalid
from shared.domain.template_defaults import BUILT_IN
from shared.domain.templates import (
    ALWAYS,
    Name,
    Person,
    Rendered,
    Template,
    Value,
    Version,
    candidates,
    named,
    unknown_variable,
    values_for,
)
from shared.repositories import Repository
from shared.services.context import Ports, log

TEMPLATES = Repository("templates", Template, "template")
REMEMBERED = 20.0
"""Seconds until a process sees a new version."""
WRITTEN = "written"
"""What a message names as its template that an admin has written for this once."""


def versions_of(template: str) -> Repository[Version]:
    return Repository(f"templates/{template}/versions", Version, "version of this template")


class Chosen(Struct, frozen=True):
    """`template`: with its version, as "welcome@3"."""

    template: str
    source: str


class Text(Struct, frozen=True):
    template: str
    rendered: Rendered


class Composed(Struct, frozen=True):
    """`content`: of an m.room.message. `template`: with its version. `kept`: the plain text as it may be recorded."""

    content: dict[str, Any]
    template: str
    kept: str


async def compose(
    ports: Ports,
    purpose: str,
    person: Person,
    values: Mapping[str, Value],
    *,
    marker: str,
    bundles: Sequence[str] = (),
    invite: str = "",
    language: str = "",
) -> Composed:
    """The message of this purpose for this member. `values`: beyond those that every template has
    (`shared.domain.templates.values_for`). Costs one read, remembered for some seconds."""
    text = await worded(ports, purpose, person, values, bundles=bundles, invite=invite, language=language)
    return _composed(text, marker)


async def written(ports: Ports, source: str, person: Person, values: Mapping[str, Value], *, marker: str) -> Composed:
    """What an admin has just written, by the same rules. Raises `Invalid` on the field `source`."""
    known = dict.fromkeys((*ALWAYS, *values))
    for name in sorted(ports.renderer.variables(source) - known.keys()):
        raise unknown_variable(name, known)
    return await as_written(ports, WRITTEN, source, person, values, marker=marker)


async def as_written(
    ports: Ports, template: str, source: str, person: Person, values: Mapping[str, Value], *, marker: str
) -> Composed:
    """A text with its name, whichever counts for the person. Raises `Invalid` on the field `source`."""
    return _composed(Text(template, _rendered(ports, source, person, values)), marker)


async def worded(
    ports: Ports,
    purpose: str,
    person: Person,
    values: Mapping[str, Value],
    *,
    bundles: Sequence[str] = (),
    invite: str = "",
    language: str = "",
) -> Text:
    """As `compose`, for what is no Matrix message: mails, and texts to pass on."""
    found = await chosen(ports, purpose, bundles=bundles, invite=invite, language=language)
    try:
        rendered = _rendered(ports, found.source, person, values)
        if rendered.plain:
            return Text(found.template, rendered)
        cause = "it renders to nothing"
    except Invalid as error:  # stored by another release: nobody stays without a welcome because of it
        cause = error.cause
    name = Name(purpose)
    log.error(
        "a template could not be used; the built-in text took its place",
        extra={"fields": {"template": found.template, "cause": cause, "fix": "Mend it on the page, under Templates."}},
    )
    return Text(name.version(0), _rendered(ports, BUILT_IN[name.id], person, values))


async def chosen(
    ports: Ports, purpose: str, *, bundles: Sequence[str] = (), invite: str = "", language: str = ""
) -> Chosen:
    """That of the invite, else of a bundle, else of the language, else the default, else the built-in text."""
    ids = candidates(purpose, invite=invite, bundles=bundles, language=language)

    async def read() -> Chosen:
        documents = await ports.documents.get_many([TEMPLATES.path(each) for each in ids])
        stored = {each.id: TEMPLATES.stored(each).record for each in documents if each}
        return first(ids, stored)

    if invite:
        return await read()  # what is remembered is never let go: not for each of many invites
    return await ports.remember(f"template {' '.join(ids)}", REMEMBERED, read)


def first(ids: Sequence[str], stored: Mapping[str, Template]) -> Chosen:
    for each in ids:
        template = stored.get(each)
        if template and template.current:
            return Chosen(named(each).version(template.current), template.source)
        if each in BUILT_IN:
            return Chosen(named(each).version(0), BUILT_IN[each])
    raise AssertionError(f"{ids[-1]} has no built-in text")


def _rendered(ports: Ports, source: str, person: Person, values: Mapping[str, Value]) -> Rendered:
    always = values_for(person, ports.policy.domain, ports.policy.bot, ports.now())
    return ports.renderer.render(source, always | dict(values))


def _composed(text: Text, marker: str) -> Composed:
    rendered, template = text.rendered, text.template
    content = messages.content(rendered.plain, rendered.html, marker, rendered.mentions, template=template)
    return Composed(content, template, rendered.kept)
