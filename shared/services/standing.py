"""What Muster knows of somebody beside their account: which Matrix id is theirs, and their onboarding.

With Authentik down who they are is taken from the cache: their rooms, their onboarding and the audit can be looked at
all the same. Nothing is done by it: what acts reads the account itself.
"""

from __future__ import annotations

from msgspec import Struct

from shared.domain import ids, members
from shared.domain.bridges import bridge_of
from shared.domain.errors import Limited, Unreachable
from shared.domain.invites import Invite
from shared.domain.members import MatrixIdentity
from shared.domain.onboarding import Onboarding
from shared.ports import Query
from shared.repositories import INVITES, ONBOARDINGS
from shared.services import cache
from shared.services.context import Ports
from shared.services.enroll import MATRIX_ATTRIBUTE


class Who(Struct, frozen=True):
    """`onboarding`: the id that theirs has, or would have."""

    pk: int
    username: str
    name: str
    active: bool
    superuser: bool
    claimed: str
    onboarding: str


class Standing(Struct, frozen=True):
    """`matrix`: the id that is theirs, or would be used; `bridge`: by which that comes, "" where it is no puppet's.
    `age_seconds`: of the account, where it is not live. `invite`: that by which they came, whose sponsor vouched for
    them."""

    who: Who
    matrix: MatrixIdentity
    onboarding: Onboarding | None
    age_seconds: float | None = None
    invite: Invite | None = None
    bridge: str = ""


async def standing(ports: Ports, pk: int) -> Standing:
    """Raises `NotFound`; what Authentik raised where the cache does not know them either."""
    who, age = await _who(ports, pk)
    found = await ONBOARDINGS.find(ports.documents, who.onboarding)
    onboarding = found.record if found else None
    matrix = await _matrix(ports, who, onboarding)
    invite = await INVITES.find(ports.documents, onboarding.invite) if onboarding and onboarding.invite else None
    bridge = bridge_of(matrix.matrix_id, ports.policy.puppets)
    return Standing(who, matrix, onboarding, age, invite.record if invite else None, bridge)


async def _who(ports: Ports, pk: int) -> tuple[Who, float | None]:
    try:
        account = await (await ports.directory()).account(pk)
    except (Unreachable, Limited):
        known = await cache.users(ports)
        row = next((row for row in known if row.pk == pk), None) if known else None
        if known is None or row is None:
            raise
        age = known.sync.age(ports.now())
        return Who(row.pk, row.username, row.name, row.active, row.superuser, row.matrix_id, row.onboarding), age
    claimed = str(account.attributes.get(MATRIX_ATTRIBUTE) or "")
    name = ids.onboarding_id(account.uid) if account.uid else ""
    return Who(account.pk, account.username, account.name, account.active, account.superuser, claimed, name), None


async def _matrix(ports: Ports, who: Who, onboarding: Onboarding | None) -> MatrixIdentity:
    """As an onboarding that begins now would have it; the one that there is has decided."""
    if onboarding and onboarding.matrix_id:
        return MatrixIdentity(onboarding.matrix_id, "username" if onboarding.given_by == "username" else "admin")
    given = await _vouched(ports, who.onboarding) if who.onboarding and not onboarding else ""
    return members.identify(who.username, ports.policy.domain, given=given, claimed=who.claimed)


async def _vouched(ports: Ports, onboarding: str) -> str:
    """By the onboarding that it is for: of a cached account the uid is not known."""
    found = await ports.documents.query(Query("matrix_ids", [("onboarding", "==", onboarding)], limit=1))
    return str(found.items[0].data["matrix_id"]) if found.items else ""
