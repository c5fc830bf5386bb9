"""Texts brought in as versions of templates, and as reasons for removals, through the same services as the API."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct, to_builtins

from legacy.importing import ACTOR
from legacy.report import Entry, Outcome
from legacy.texts import Draft, Reason
from shared.domain.errors import Invalid, Misconfigured, MusterError, NotFound
from shared.domain.template_defaults import BUILT_IN
from shared.domain.template_lint import Finding
from shared.domain.templates import Name, Template, named
from shared.rarer_repositories import REMOVAL_REASONS
from shared.services import reasons, template_edits
from shared.services.context import Ports
from shared.services.template_checks import findings, refuse_errors
from shared.services.template_edits import Detail


class ImportTexts(Struct):
    """What an admin has written stays as it is. `look`: whether the store is asked at all."""

    ports: Ports
    apply: bool
    look: bool = True

    async def run(self, drafts: Sequence[Draft], given: Sequence[Reason]) -> list[Entry]:
        """Never raises one of our errors."""
        entries = [await self._template(draft) for draft in drafts]
        return entries + [await self._removal_reason(reason) for reason in given]

    # -------------------------------------------------------------- templates

    async def _template(self, draft: Draft) -> Entry:
        outcome: Outcome
        try:
            outcome, words = await self._put(draft)
        except Invalid as error:
            outcome, words = "skipped", f"cannot be {draft.template}: {error.cause}"
        except MusterError as error:
            outcome, words = "failed", f"{error.cause} {error.fix}".strip()
        told = "; ".join([words, *_about(draft)])
        again = to_builtins(draft.old) if outcome in ("skipped", "failed") else {}
        return Entry("text", draft.old.origin, outcome, told, again)

    async def _put(self, draft: Draft) -> tuple[Outcome, str]:
        name, source = named(draft.template), draft.text.source
        if not self.look:
            return "made", "; ".join([f"becomes {name.version(1)}", *await self._looked_at(name, source)])
        there = await self._there(name)
        before = there.template
        if source == before.source and (before.current or name.id in BUILT_IN):
            return "unchanged", f"is {name.version(before.current)}, which is in force"
        if known := next((each for each in there.versions if each.number and each.source == source), None):
            now = name.version(before.current)
            return "unchanged", f"was brought in as {name.version(known.number)}; by now {now} is in force"
        if before.current and before.updated_by != ACTOR.name:
            by = f"{before.updated_by} has written {name.version(before.current)}"
            return "skipped", f"{by}, which stays as it is: look on the page whether this text should replace it"
        saved = await template_edits.put(self.ports, ACTOR, name.id, source, before.current, dry_run=not self.apply)
        return "made", "; ".join([f"becomes {name.version(saved.template.current)}", *_told(saved.findings)])

    async def _there(self, name: Name) -> Detail:
        try:
            return await template_edits.detail(self.ports, name.id)
        except NotFound:
            return Detail(Template(id=name.id, purpose=name.purpose), ())

    async def _looked_at(self, name: Name, source: str) -> list[str]:
        """Raises `Invalid`."""
        try:
            found = await findings(self.ports, name.purpose, source)
        except Misconfigured as error:
            return [f"was not looked at yet: {error.cause}"]
        refuse_errors(found)
        return _told(found)

    # -------------------------------------------------------------- reasons for removals

    async def _removal_reason(self, one: Reason) -> Entry:
        key = one.origin
        try:
            if self.look and (known := await REMOVAL_REASONS.find(self.ports.documents, one.id)):
                stays = "" if known.record.reason == one.reason else ": it stays as it is"
                return Entry("removal reason", key, "unchanged", f"there is a reason {one.id!r}{stays}")
            if self.apply:
                await reasons.put(self.ports, ACTOR, one.id, one.label, one.reason, one.message)
            return Entry("removal reason", key, "made", f"becomes the reason {one.id!r}")
        except MusterError as error:
            return Entry("text", key, "failed", f"{error.cause} {error.fix}".strip(), _again(one))


def _again(one: Reason) -> dict[str, Any]:
    about = {"label": one.label, "reason": one.reason, "message": one.message}
    return {"origin": one.origin, "parts": ["removal_reasons"], "value": {one.id: about}}


def _about(draft: Draft) -> list[str]:
    """What was understood, and what was not."""
    names = draft.text.known.items()
    known = [f"{written} is {{{variable}}}" for written, variable in names if written != f"{{{variable}}}"]
    told = [", ".join(known)] if known else []
    if draft.text.left:
        told.append(f"NOT UNDERSTOOD, left as text: {', '.join(draft.text.left)}")
    return told


def _told(found: Sequence[Finding]) -> list[str]:
    return [f"line {finding.line}: {finding.text}" if finding.line else finding.text for finding in found]
