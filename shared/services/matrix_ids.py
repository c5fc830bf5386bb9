"""Matrix ids that an admin has vouched for before their onboarding began: of people who were here before Muster.

An attribute of the account is not enough: a member may have written it. So what is trusted is a document of ours.
"""

from __future__ import annotations

import contextlib

from shared.domain import ids
from shared.domain.audit import audit
from shared.domain.errors import Outpaced
from shared.domain.members import member_id
from shared.ports import Create
from shared.repositories import audit_write
from shared.services.context import Actor, Ports


async def vouched(ports: Ports, uid: str) -> str:
    """Empty when nobody has vouched for one. `uid`: that of the account."""
    document = await ports.documents.get(path_of(uid))
    return str(document.data["matrix_id"]) if document else ""


async def vouch(ports: Ports, actor: Actor, uid: str, matrix_id: str) -> str:
    """The one that counts: this one, or another that was vouched for before and stays. Raises `Invalid`."""
    now, checked = ports.now(), member_id(matrix_id)
    onboarding = ids.onboarding_id(uid)
    data = {"v": 1, "matrix_id": checked, "onboarding": onboarding, "by": actor.name, "at": now}
    record = audit(now, actor.name, "matrix_id.vouch", uid, source=actor.source, detail={"matrix_id": checked})
    with contextlib.suppress(Outpaced):
        await ports.documents.write(Create(path_of(uid), data), audit_write(record))
    return await vouched(ports, uid)


def path_of(uid: str) -> str:
    return f"matrix_ids/{ids.digest('matrix id', uid, length=32)}"
