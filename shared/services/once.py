"""Documents that are created once, whoever comes with them how often: what is there already stays as it is."""

from __future__ import annotations

from collections.abc import Sequence

from shared.domain.errors import Invalid
from shared.ports import Create
from shared.services.context import Ports, log
from shared.services.tasks import again_when_outpaced

TOGETHER = 50
"""In one batch: each may hold 100 KB, and a batch 10 MiB."""


async def create_missing(ports: Ports, creates: Sequence[Create]) -> int:
    """How many were new. One that no store can keep is logged and left out: it must not keep the others away."""
    wanted = list({create.path: create for create in creates}.values())
    return sum([await _together(ports, wanted[at : at + TOGETHER]) for at in range(0, len(wanted), TOGETHER)])


async def _together(ports: Ports, creates: Sequence[Create]) -> int:
    async def attempt() -> int:
        found = await ports.documents.get_many([create.path for create in creates])
        missing = [create for create, there in zip(creates, found, strict=True) if there is None]
        if missing:
            await ports.documents.write(*missing)
        return len(missing)

    try:
        return await again_when_outpaced(attempt)
    except Invalid as error:
        if len(creates) > 1:
            return sum([await _together(ports, [create]) for create in creates])
        log.warning("not kept", extra={"fields": {"document": creates[0].path, "cause": error.cause}})
        return 0
