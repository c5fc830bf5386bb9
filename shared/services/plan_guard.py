"""Between a plan and its being applied somebody may have left, or be known by another Matrix id: then nothing is
brought to them. Looked at once for each part of a plan, before its jobs are made; each step looks at its room itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from shared.domain.onboarding import Onboarding
from shared.domain.plans import Line
from shared.ports import Query
from shared.repositories import JOBS, ONBOARDINGS, every
from shared.services.community import OUT
from shared.services.context import Ports

TOGETHER = 300
IN = 30
"""Values that one query may ask for."""


async def not_any_more(ports: Ports, lines: Iterable[Line], since: datetime) -> dict[str, str]:
    """Why somebody is to get nothing any more, by Matrix id. Reads a document of each member whose account the lines
    name, and the off-boardings `since`."""
    by_onboarding = {line.onboarding: line.matrix_id for line in lines}
    people = sorted({line.matrix_id for line in lines})
    return await _begun(ports, by_onboarding) | await _offboarded(ports, people, since)


async def _begun(ports: Ports, by_onboarding: dict[str, str]) -> dict[str, str]:
    names, against = sorted(by_onboarding.keys() - {""}), dict[str, str]()
    for at in range(0, len(names), TOGETHER):
        for document in await ports.documents.get_many([ONBOARDINGS.path(name) for name in names[at : at + TOGETHER]]):
            onboarding = Onboarding.of(document.data) if document else None
            planned = by_onboarding[onboarding.id] if onboarding else ""
            if onboarding and onboarding.hold in OUT:
                against[planned] = "their onboarding is held, or was rejected"
            elif onboarding and onboarding.matrix_id not in ("", planned):
                against[planned] = f"their Matrix id is {onboarding.matrix_id}: the account was renamed"
    return against


async def _offboarded(ports: Ports, people: Sequence[str], since: datetime) -> dict[str, str]:
    found: dict[str, str] = {}
    for at in range(0, len(people), IN):
        query = Query("jobs", [("matrix_id", "in", list(people[at : at + IN])), ("kind", "==", "offboard")])
        jobs = [JOBS.stored(item).record for item in await every(ports.documents, query)]
        found |= {job.matrix_id: "they have been off-boarded since" for job in jobs if job.created_at >= since}
    return found
