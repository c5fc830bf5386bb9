"""A look at a template before it is saved or sent: its findings, and how it turns out for three sample members."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from msgspec import Struct

from shared.bounded import each
from shared.domain import messages
from shared.domain.errors import Invalid, MusterError, NotFound, Rejected
from shared.domain.template_lint import (
    Finding,
    Sample,
    about_html,
    about_names,
    about_plain,
    about_size,
    about_source,
    rooms_named,
    sample_values,
    samples,
)
from shared.domain.templates import PURPOSES, Rendered, values_for
from shared.services.context import Ports
from shared.services.managed import room_id_of

MOST_ROOMS = 20
"""That are looked for; a text with more of them is no message."""
_LINE = re.compile(r"line ([0-9]+): (.*)", re.DOTALL)


class Shown(Struct, frozen=True):
    """How it turns out for one of the samples. `findings`: where it cannot be rendered at all, why."""

    sample: Sample
    rendered: Rendered
    findings: Sequence[Finding]


async def findings(ports: Ports, purpose: str, source: str) -> list[Finding]:
    """Errors first. Rooms are looked for only where nothing worse is found."""
    found = _own_findings(ports, purpose, source)
    if not any(finding.level == "error" for finding in found):
        found += await _dead_rooms(ports, source)
    return sorted(found, key=lambda finding: (finding.level, finding.line))


def refuse_errors(found: Sequence[Finding]) -> None:
    """Raises `Invalid` with each error, on the field `source`."""
    errors = [("source", _told(finding)) for finding in found if finding.level == "error"]
    if errors:
        raise Invalid("; ".join(f"{field}: {text}" for field, text in errors), errors)


def _told(finding: Finding) -> str:
    return f"line {finding.line}: {finding.text}" if finding.line else finding.text


def previews(ports: Ports, source: str) -> list[Shown]:
    return [_shown(ports, source, sample) for sample in samples(ports.policy.domain)]


def _shown(ports: Ports, source: str, sample: Sample) -> Shown:
    try:
        rendered = rendered_for(ports, source, sample)
    except Invalid as error:
        return Shown(sample, Rendered("", ""), [_finding(error)])
    own = [*about_html(source, [rendered]), *about_size({sample.label: size_of(rendered)})]
    return Shown(sample, rendered, [*own, *about_plain({sample.label: rendered})])


def rendered_for(ports: Ports, source: str, sample: Sample) -> Rendered:
    """Raises `Invalid`."""
    policy = ports.policy
    always = values_for(sample.person, policy.domain, policy.bot, ports.now())
    return ports.renderer.render(source, always | sample_values(sample, policy.domain))


def size_of(rendered: Rendered) -> int:
    content = messages.content(rendered.plain, rendered.html, "m" * 64, rendered.mentions, template="t" * 64)
    return len(json.dumps(content, ensure_ascii=False).encode())


def _own_findings(ports: Ports, purpose: str, source: str) -> list[Finding]:
    try:
        names = ports.renderer.variables(source)
    except Invalid as error:
        return [_finding(error)]
    found = [*about_names(source, names, purpose), *about_source(source)]
    if any(finding.level == "error" and finding.code == "unknown_variable" for finding in found):
        return found
    tried = samples(ports.policy.domain)
    try:
        rendered = {sample.label: rendered_for(ports, source, sample) for sample in tried}
    except Invalid as error:
        return [*found, _finding(error)]
    sizes = {label: size_of(each) for label, each in rendered.items()}
    if PURPOSES[purpose].goes in ("mail", "page"):
        sizes = {}
    return [*found, *about_html(source, rendered.values()), *about_size(sizes), *about_plain(rendered)]


def _finding(error: Invalid) -> Finding:
    """The renderer's words; with the line where it says one."""
    text = error.errors[0][1] if error.errors else error.cause
    line = _LINE.fullmatch(text)
    code = "too_large" if "longer than" in text else "syntax"
    return Finding("error", code, line[2] if line else text, int(line[1]) if line else 0)


async def _dead_rooms(ports: Ports, source: str) -> list[Finding]:
    named = list(rooms_named(source).items())[:MOST_ROOMS]

    async def one(room: tuple[str, int]) -> Finding | None:
        problem = await _problem(ports, room[0])
        return Finding("warning", "dead_room", f"{room[0]} {problem}", room[1]) if problem else None

    return [finding for finding in await each(named, one) if finding]


async def _problem(ports: Ports, room: str) -> str:
    try:
        room_id = await room_id_of(ports, room)
        if not room_id.startswith("!") or await (await ports.chat()).room(room_id) is None:
            return "is no room"
    except (NotFound, Rejected):
        return "is not a room that the bot knows: it is gone, or the bot is not in it"
    except MusterError as error:
        if getattr(error, "code", "") == "M_NOT_FOUND":
            return "does not exist (any more)"
        return "could not be looked for just now"
    return ""
