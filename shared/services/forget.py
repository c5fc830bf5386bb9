"""Everything that is kept of one member, found and deleted: for who asks to be forgotten.

Idempotent: the onboarding's own document goes last, so that a run which was cut short is simply run again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from shared.domain import ids
from shared.domain.audit import audit
from shared.domain.errors import Conflict, NotFound
from shared.domain.indoc import pause_path
from shared.domain.limits import latest_days, proactive_path
from shared.domain.onboarding import Onboarding
from shared.ports import Delete, Document, Documents, Op, Query
from shared.repositories import ONBOARDINGS, audit_write, every
from shared.services import matrix_ids
from shared.services.context import Actor, Ports

TOGETHER = 400
"""Deletions in one batch, which may hold 500."""
IN = 30
"""Values that one query may ask for."""


class Traces(Struct, frozen=True):
    """`paths`: of documents, the onboarding's own last. `account_pk`: in Authentik."""

    onboarding: str
    account_pk: int
    paths: Sequence[str]


async def traces(ports: Ports, onboarding_id: str) -> Traces:
    """Changes nothing. Raises `NotFound`. An invite for several people stays: of them it holds the onboarding's id."""
    documents = ports.documents
    onboarding = (await ONBOARDINGS.get(documents, onboarding_id)).record
    own = f"onboardings/{onboarding.id}"
    steps = await _paths(documents, f"{own}/steps")
    letters = await _found(documents, "letters", "step", steps)
    people = sorted({onboarding.matrix_id, *(str(letter.data["matrix_id"]) for letter in letters)} - {""})
    letters += await _found(documents, "letters", "matrix_id", people)
    jobs = await _any(documents, "jobs", "matrix_id", people)
    jobs += await _any(documents, "jobs", "account_pk", [onboarding.account_pk])
    stays = await _any(documents, "indoc", "matrix_id", people)
    invites = [item.path for item in await _invites(documents, onboarding)]
    found = [
        *[path for letter in letters for path in await _below(documents, letter.path, "parts", "shares")],
        *[letter.path for letter in letters],
        *[path for job in jobs for path in await _below(documents, job, "steps")],
        *[item.path for item in await _found(documents, "steps", "matrix_id", people, group=True)],
        *jobs,
        *[path for stay in stays for path in await _below(documents, stay, "steps")],
        *stays,
        *await _there(documents, [pause_path(person) for person in people]),
        *await _there(
            documents, [proactive_path(person, day) for person in people for day in latest_days(ports.now())]
        ),
        *await _any(documents, "to_device", "sender", people),
        *await _any(documents, "room_keys", "user_id", people),
        *await _any(documents, "replies", "matrix_id", people),
        *await _there(documents, [matrix_ids.path_of(onboarding.uid)]),
        *await _there(
            documents, [path for person in people for path in (ids.direct_path(person), ids.notice_path(person))]
        ),
        *await _any(documents, "user_requests", "account_pk", [onboarding.account_pk]),
        *await _any(documents, "events", "onboarding", [onboarding.id]),
        *await _audited(documents, onboarding, [*people, *(path.partition("/")[2] for path in invites)], steps),
        *invites,
        *steps,
        own,
    ]
    return Traces(onboarding.id, onboarding.account_pk, list(dict.fromkeys(found)))


async def forget(ports: Ports, actor: Actor, found: Traces) -> int:
    """How many documents were deleted. One audit record stays: that it was done, when and by whom. Raises `Conflict`
    while there is an account: the sweep would take it for a new member."""
    try:
        await (await ports.directory()).account(found.account_pk)
    except NotFound:
        pass
    else:
        fix = f"Delete it first: DELETE /api/users/{found.account_pk}."
        raise Conflict("the account is still there in Authentik", fix)
    for at in range(0, len(found.paths), TOGETHER):
        await ports.documents.write(*(Delete(path) for path in found.paths[at : at + TOGETHER]))
    record = audit(ports.now(), actor.name, "member.forget", found.onboarding, detail={"documents": len(found.paths)})
    await ports.documents.write(audit_write(record))
    return len(found.paths)


async def _invites(documents: Documents, onboarding: Onboarding) -> list[Document]:
    """Those that were for this member alone."""
    used = await _all(documents, "invites", "used_by", "array_contains", onboarding.id)
    named = await _found(documents, "invites", "matrix_id", [onboarding.matrix_id] if onboarding.matrix_id else [])
    return [item for item in (*used, *named) if item.data["max_uses"] == 1]


async def _audited(documents: Documents, onboarding: Onboarding, ids: Sequence[str], steps: Sequence[str]) -> list[str]:
    return [
        *await _any(
            documents, "audit", "target", [onboarding.username, onboarding.uid, str(onboarding.account_pk), *ids]
        ),
        *await _any(documents, "audit", "detail.onboarding", [onboarding.id]),
        *await _any(documents, "audit", "detail.step", steps),
    ]


async def _there(documents: Documents, paths: Sequence[str]) -> list[str]:
    return [item.path for item in await documents.get_many(paths) if item] if paths else []


async def _below(documents: Documents, path: str, *collections: str) -> list[str]:
    return [found for name in collections for found in await _paths(documents, f"{path}/{name}")]


async def _any(documents: Documents, collection: str, field: str, values: Sequence[str | int]) -> list[str]:
    return [item.path for item in await _found(documents, collection, field, values)]


async def _found(
    documents: Documents, collection: str, field: str, values: Sequence[str | int], *, group: bool = False
) -> list[Document]:
    found: list[Document] = []
    for at in range(0, len(values), IN):
        query = Query(collection, [(field, "in", list(values[at : at + IN]))], group=group)
        found += await every(documents, query)
    return found


async def _paths(documents: Documents, collection: str) -> list[str]:
    return [item.path for item in await _read(documents, collection, ())]


async def _all(documents: Documents, collection: str, field: str, op: Op, value: object) -> list[Document]:
    return await _read(documents, collection, [(field, op, value)])


async def _read(documents: Documents, collection: str, where: Iterable[tuple[str, Op, object]]) -> list[Document]:
    return await every(documents, Query(collection, list(where)))
