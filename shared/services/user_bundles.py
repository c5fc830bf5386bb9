"""Taking away a bundle that an invite or an admin gave to somebody."""

from __future__ import annotations

from collections.abc import Sequence

from shared.domain import ids
from shared.domain.audit import audit
from shared.domain.bundles import highest
from shared.domain.errors import NotFound
from shared.domain.onboarding import Onboarding, Step
from shared.repositories import ONBOARDINGS, Stored, audit_write, steps_of
from shared.services import bundles
from shared.services.context import Actor, Ports
from shared.services.tasks import again_when_outpaced, settle


async def take(ports: Ports, actor: Actor, pk: int, name: str, *, dry_run: bool = False) -> None:
    """From now on they have it by their groups alone. Nobody is moved by it: a plan shows who would be. Power that they
    were still to get by it they do not get; its groups in Authentik stay. Raises `NotFound`."""
    account = await (await ports.directory()).account(pk)
    onboarding_id = ids.onboarding_id(account.uid)

    async def attempt() -> None:
        stored = await ONBOARDINGS.find(ports.documents, onboarding_id)
        if stored is None or name not in stored.record.bundles:
            raise NotFound(f"no bundle {name!r} was given to {account.username}", _fix(stored))
        changed = stored.record.but(bundles=tuple(each for each in stored.record.bundles if each != name))
        stopping = await _no_longer_given(ports, stored, changed)
        if dry_run:
            return
        now = ports.now()
        said = audit(now, actor.name, "user.bundle.take", account.username, onboarding_id, name, source=actor.source)
        detail = {"onboarding": onboarding_id, "bundle": name, "steps": [each.record.name for each in stopping]}
        skipped = [(each, each.record.ended("skipped", now, result=_why(each.record, name))) for each in stopping]
        await ports.documents.write(
            stored.replaced(changed),
            *(each.replaced(step) for each, step in skipped),
            audit_write(said.but(detail=detail)),
        )

    await again_when_outpaced(attempt)
    if not dry_run:
        await settle(ports, ONBOARDINGS.path(onboarding_id))


def _fix(stored: Stored[Onboarding] | None) -> str:
    held = ", ".join(stored.record.bundles) if stored else ""
    by_groups = "What they have by a group of Authentik they lose with the group."
    return f"Given to them: {held}. {by_groups}" if held else by_groups


def _why(step: Step, name: str) -> dict[str, object]:
    return {**step.result, "reason": f"the bundle {name} was taken away"}


async def _no_longer_given(ports: Ports, stored: Stored[Onboarding], changed: Onboarding) -> Sequence[Stored[Step]]:
    """Levels that wait for them to join, and that no bundle which they keep gives."""
    kept = highest(await bundles.of_ids(ports, changed.bundles))
    steps = await steps_of(ports.documents, stored.path)
    waiting = [each for each in steps if each.record.kind == "level" and each.record.state not in ("done", "skipped")]
    return [each for each in waiting if int(each.record.wanted["level"]) > kept.get(each.record.room, -1)]
