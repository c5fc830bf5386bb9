"""Everybody, as the cache of accounts has them, with what onboardings and vouched Matrix ids say beyond it.

Of the onboardings only those are read that say more than the account does: whose Matrix id an admin has named, that are
held, that were given one of the bundles; those of accounts whose own data give no Matrix id, or another one than was
vouched for; and those of people who
are in a room under a name of this domain that is no account's any more: somebody was renamed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from shared.bounded import each
from shared.domain import members
from shared.domain.bundles import Bundle
from shared.domain.cache import Memberships, Users
from shared.domain.cached_users import UserRow
from shared.domain.onboarding import Onboarding
from shared.domain.plans import INSIDE, Person
from shared.ports import Op, Query
from shared.repositories import ONBOARDINGS, every
from shared.services.community import OUT, person_of
from shared.services.context import Ports

STRANGERS = 600
"""Members without an account who are looked for among the onboardings, 30 in a question."""
IN = 30
TOGETHER = 300
"""Documents in one round trip."""


async def everybody(
    ports: Ports, users: Users, bundles: Sequence[Bundle], where: Memberships, removing: Iterable[str]
) -> tuple[list[Person], int]:
    """Everybody whose Matrix id is known, and how many strangers were not looked for."""
    plain = [plainly(ports, row, users.group_names(row)) for row in users]
    begun, vouched = await _said(ports, plain, bundles)

    def named() -> list[Person]:
        found = [person_of(one, begun.get(one.onboarding), vouched.get(one.onboarding, "")) for one in plain]
        return [person for person in found if person.matrix_id]

    people = named()
    strangers = _strangers(ports, people, where, removing)
    renamed = await _of_matrix_ids(ports, strangers[:STRANGERS])
    begun |= renamed
    return named() if renamed else people, max(0, len(strangers) - STRANGERS)


async def known(ports: Ports, plain: Sequence[Person], bundles: Sequence[Bundle] = ()) -> list[Person]:
    """The same people, one for one, as their onboardings and what was vouched for have them; without a Matrix id where
    nobody has said which one is theirs. Of the bundles given to them these alone are sure to be there."""
    begun, vouched = await _said(ports, plain, bundles)
    return [person_of(one, begun.get(one.onboarding), vouched.get(one.onboarding, "")) for one in plain]


async def _said(
    ports: Ports, plain: Sequence[Person], bundles: Sequence[Bundle]
) -> tuple[dict[str, Onboarding], dict[str, str]]:
    begun, vouched = await _begun(ports, bundles), await _vouched(ports)
    unclear = [
        one.onboarding
        for one in plain
        if not one.matrix_id or vouched.get(one.onboarding, one.matrix_id) != one.matrix_id
    ]
    return begun | await _read(ports, [name for name in unclear if name not in begun]), vouched


def plainly(ports: Ports, row: UserRow, groups: Iterable[str]) -> Person:
    """As the account alone says. `groups`: their names."""
    return Person(
        members.identify(row.username, ports.policy.domain, claimed=row.matrix_id).matrix_id,
        row.username,
        frozenset((*groups, *row.groups)),
        active=row.active,
        onboarding=row.onboarding,
    )


def _strangers(ports: Ports, people: Sequence[Person], where: Memberships, rooms: Iterable[str]) -> list[str]:
    ours, home = {person.matrix_id for person in people}, f":{ports.policy.domain}"
    states = (item for room in rooms for item in where.states_of(room).items())
    return sorted({who for who, state in states if state in INSIDE and who not in ours and who.endswith(home)})


async def _begun(ports: Ports, bundles: Sequence[Bundle]) -> dict[str, Onboarding]:
    """By id, those that an account alone would not tell; each question is of one field."""
    asked: list[tuple[str, Op, object]] = [("given_by", "==", "admin"), ("hold", "in", list(OUT))]
    asked += [("bundles", "array_contains", bundle.id) for bundle in bundles]
    return await _asked(ports, asked)


async def _of_matrix_ids(ports: Ports, ids: Sequence[str]) -> dict[str, Onboarding]:
    chunks = [list(ids[at : at + IN]) for at in range(0, len(ids), IN)]
    return await _asked(ports, [("matrix_id", "in", chunk) for chunk in chunks])


async def _asked(ports: Ports, asked: Sequence[tuple[str, Op, object]]) -> dict[str, Onboarding]:
    found = await each(asked, lambda one: every(ports.documents, Query("onboardings", [one])))
    onboardings = [Onboarding.of(document.data) for documents in found for document in documents]
    return {onboarding.id: onboarding for onboarding in onboardings}


async def _read(ports: Ports, onboardings: Sequence[str]) -> dict[str, Onboarding]:
    paths = [ONBOARDINGS.path(name) for name in onboardings if name]
    chunks = [paths[at : at + TOGETHER] for at in range(0, len(paths), TOGETHER)]
    found = [document for documents in await each(chunks, ports.documents.get_many) for document in documents]
    begun = [Onboarding.of(document.data) for document in found if document]
    return {onboarding.id: onboarding for onboarding in begun}


async def _vouched(ports: Ports) -> dict[str, str]:
    """By the onboarding that they have, or will have."""
    found = await every(ports.documents, Query("matrix_ids"))
    return {document.data.get("onboarding", ""): str(document.data["matrix_id"]) for document in found}
